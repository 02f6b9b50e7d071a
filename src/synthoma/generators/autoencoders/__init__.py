"""Relatives of GANs that learn from an autoencoder: boundary equilibrium, adversarial codes, denoising."""
