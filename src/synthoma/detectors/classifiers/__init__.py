"""Classifiers of single slices."""
