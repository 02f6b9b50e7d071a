"""Useful? Detectors trained on real, synthetic and both, tested on held-out patients."""
