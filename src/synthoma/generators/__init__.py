"""Generators, a folder for each family, and what they share: settings, training, latents, sampling, export."""
