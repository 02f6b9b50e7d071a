"""The generator that repaints simulated slices with the look of real ones."""
