"""Rectified flow: a velocity from noise to images."""
