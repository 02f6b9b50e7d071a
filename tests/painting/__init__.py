"""Tests of synthoma.painting."""
