"""What a file is: the names that people give to scans, read with one vocabulary."""
