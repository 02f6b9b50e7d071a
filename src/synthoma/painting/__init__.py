"""Tumours put into scans, and taken out of them."""
