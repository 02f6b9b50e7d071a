"""Reading brain MRI and packing it as a cohort."""
