"""The service for other programs."""
