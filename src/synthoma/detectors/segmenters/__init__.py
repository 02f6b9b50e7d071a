"""Segmenters: networks, losses, the discriminator of masks, and what their figures of a scan mean."""
