"""Masks of anybody against the truth: files, scores, regions, chances."""
