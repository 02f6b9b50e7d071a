"""Private? Copies of training patients among synthetic slices."""
