from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from synthoma.cohorts.checks import suspicions


def head(seed: int = 0) -> np.ndarray:
    """A head-like disc with smooth texture on a dark, noisy ground, (200, 180) uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((200, 180))
    inside = np.hypot((rows - 100) / 1.2, columns - 90) < 70
    texture = ndimage.gaussian_filter(rng.normal(size=(200, 180)), 3) * 250
    return np.clip(np.where(inside, 120 + texture, 0) + rng.rayleigh(3, (200, 180)), 0, 255).astype(np.uint8)


def test_a_plain_scan_raises_no_suspicion() -> None:
    assert all(suspicions(head(seed)) == [] for seed in range(5))


def test_a_name_in_the_corner_is_seen() -> None:
    picture = Image.fromarray(head())
    ImageDraw.Draw(picture).text((4, 3), "DOE JOHN 1961", fill=255, font=ImageFont.load_default(11))
    assert suspicions(np.asarray(picture)) == ["burned-in text"]


def test_scrambled_values_are_seen() -> None:
    # What an overflow does in a conversion: 16 bit values cut to their lowest 8 bits.
    scan = head().astype(np.int64) * 256 + np.random.default_rng(1).integers(0, 256, (200, 180)) * 37
    assert "noise-like" in suspicions((scan % 256).astype(np.uint8))


def test_empty_and_tiny_slices_are_harmless() -> None:
    assert suspicions(np.zeros((100, 100), np.uint8)) == []
    assert suspicions(np.full((4, 4), 9, np.uint8)) == []
