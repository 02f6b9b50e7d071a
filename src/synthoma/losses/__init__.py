"""Objectives as pure functions on tensors, each with its paper and equation."""
