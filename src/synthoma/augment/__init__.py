"""Random changes of images as pure functions on tensors."""
