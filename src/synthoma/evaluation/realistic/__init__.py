"""Realistic? What tells synthetic slices from real ones."""
