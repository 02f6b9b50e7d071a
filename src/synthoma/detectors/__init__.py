"""Networks that are told what is on a slice: segmenters and classifiers, and how they learn."""
