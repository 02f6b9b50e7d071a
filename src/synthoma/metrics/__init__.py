"""Scores as pure functions on arrays, each with its source."""
