"""Duplicates and near copies among slices."""
