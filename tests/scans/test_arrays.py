"""Arrays of other tools: what is no image or no mask is told in one sentence, whatever numbers stand in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.scans.arrays import take_arrays


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 0.5, -1.0])
def test_masks_of_other_than_whole_numbers_are_refused(tmp_path: Path, value: float) -> None:
    images = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    masks = np.zeros((2, 8, 8), np.float32)
    masks[0, 2, 2] = value
    np.savez(tmp_path / "set.npz", images=images, masks=masks)
    with pytest.raises(InputError):
        take_arrays(tmp_path / "set.npz", (), {})


def test_the_only_value_of_masks_is_tumour(tmp_path: Path) -> None:
    images = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    masks = np.zeros((2, 8, 8), np.float32)
    masks[0, 2, 2] = 255
    np.savez(tmp_path / "set.npz", images=images, masks=masks)
    first, second = (case.load() for case in take_arrays(tmp_path / "set.npz", (), {}).cases)
    assert first.labels == {1: "tumour"}
    assert first.mask is not None
    assert first.mask.sum() == first.mask[0, 2, 2] == 1
    assert second.mask is not None
    assert not second.mask.any()
