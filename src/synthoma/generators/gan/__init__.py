"""Generators that learn from a discriminator: networks, losses, the game."""
