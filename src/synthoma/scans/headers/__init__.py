"""Headers of volumes, a file for each format."""
