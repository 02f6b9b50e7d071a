from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from synthoma.cohorts.checks import doubts, suspicions
from synthoma.cohorts.squares import Framing, FramingRule, frame, to_squares
from synthoma.scans.case import Geometry, Study


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


# A mask and a size that cannot be right ---------------------------------------------------------------------------


def framed(side: float = 1.0) -> Framing:
    """How slices of 200 x 180 pixels of these sides became squares."""
    study = Study({"flair": np.stack([head(0), head(1)])}, Geometry((side, side, 4.0)))
    return frame(study, ("flair",), size=64, plane="axial", rule=FramingRule())


@pytest.mark.parametrize(("rows", "said"), [(slice(24, 40), False), (slice(0, 6), True), (slice(4, 12), False)])
def test_a_mask_beside_the_head_is_remarked(rows: slice, said: bool) -> None:
    framing = framed()
    images = to_squares(framing, [0, 1])
    masks = np.zeros((2, 64, 64), np.uint8)
    masks[:, rows, 10 if said else 28 : 20 if said else 36] = 1
    assert any("is it a mask of this scan" in text for text in doubts(images, masks, framing)) == said


@pytest.mark.parametrize(("side", "said"), [(1.0, False), (0.1, True), (10.0, True)])
def test_slices_of_no_heads_size_are_remarked(side: float, said: bool) -> None:
    framing = framed(side)
    empty = np.zeros((2, 64, 64), np.uint8)
    assert any("no head is" in text for text in doubts(to_squares(framing, [0, 1]), empty, framing)) == said
