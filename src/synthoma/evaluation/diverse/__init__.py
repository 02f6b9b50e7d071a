"""Diverse? Whether the variety of real slices is there."""
