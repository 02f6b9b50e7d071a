"""Planted copies are of the kind that they stand for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from synthoma.evaluation.private import kinds
from synthoma.metrics.copies import alterations
from synthoma.metrics.copies.whole import Gallery
from tests.metrics.test_copies import head


@pytest.mark.slow
def test_no_slice_is_blended_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among six slices one blend in six would be a plain copy, which is found for sure and raises the recall."""
    slices = np.stack([head(seed, 64) for seed in range(10)]).astype(np.float32)
    few: Any = SimpleNamespace(
        gallery=slices[:6], synthetic=slices[6:8], held_out=slices[8:], held_out_groups=("a", "b")
    )
    alike: list[bool] = []
    blended = alterations.blended

    def watched(one: np.ndarray, other: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        alike.extend((one == other).all(axis=(1, 2)).tolist())
        return blended(one, other, draws)

    monkeypatch.setattr(kinds, "blended", watched)
    kinds.blends(few, Gallery(few.gallery), np.arange(2), canaries=1, seed=0)
    assert len(alike) == kinds.SETTING_OTHERS + kinds.LEAST_MEASURED
    assert not any(alike)
