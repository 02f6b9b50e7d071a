from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthoma.cohorts.dataset import TrainingSlices
from synthoma.core.errors import InputError
from tests.toys import write_cohort


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> TrainingSlices:
    draws = np.random.default_rng(0)
    images = draws.random((12, 2, 16, 16)) * 1.4 - 0.2
    masks = draws.integers(0, 4, (12, 16, 16)).astype(np.uint8)
    masks[masks == 2] = 5
    cohort = write_cohort(
        tmp_path_factory.mktemp("data") / "cohort",
        images,
        ["a", "b", "c"] * 4,
        masks,
        mask_names={"1": "core", "3": "enhancing", "5": "other"},
    )
    return TrainingSlices(cohort, np.array([1, 3, 4, 8, 11]), with_masks=True)


def test_a_batch_holds_what_the_cohort_holds(slices: TrainingSlices) -> None:
    batch = slices.fetch(np.array([4, 0]))
    rows = [11, 1]
    stored = np.asarray(slices.cohort.images[rows], np.float32)
    assert batch.images.dtype == torch.float32
    assert np.allclose(batch.images.numpy(), np.clip(stored, 0, 1) * 2 - 1, atol=1e-6)
    assert batch.masks.shape == (2, 3, 16, 16)
    assert set(batch.masks.unique().tolist()) == {-1.0, 1.0}
    for channel, value in enumerate((1, 3, 5)):
        assert np.array_equal(batch.masks[:, channel].numpy() > 0, slices.cohort.masks[rows] == value)
    assert batch.classes.tolist() == [2, 1]
    assert torch.equal(batch.planes(), torch.cat([batch.images, batch.masks], dim=1))


def test_without_masks_there_are_no_label_planes(slices: TrainingSlices) -> None:
    plain = TrainingSlices(slices.cohort, slices.rows)
    assert plain.fetch(np.array([0])).planes().shape == (1, 2, 16, 16)


def test_classes_are_numbered_as_asked(slices: TrainingSlices) -> None:
    chosen = TrainingSlices(slices.cohort, np.array([1, 2, 4]), classes=("c", "b"))
    assert chosen.fetch(np.arange(3)).classes.tolist() == [1, 0, 1]
    with pytest.raises(InputError, match="'a' in row 0"):
        TrainingSlices(slices.cohort, np.array([0, 1]), classes=("b", "c"))


def test_no_rows_are_an_error_that_says_so(slices: TrainingSlices) -> None:
    with pytest.raises(InputError, match="came none"):
        TrainingSlices(slices.cohort, np.array([], dtype=np.int64))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.integers(1, 13))
def test_every_epoch_shows_each_slice_once(slices: TrainingSlices, seed: int, size: int) -> None:
    steps = 5 * 4
    shown = np.concatenate([slices.positions(seed, "order", step, size) for step in range(steps)])
    assert shown.dtype == np.int64
    for epoch in range(len(shown) // 5):
        assert sorted(shown[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]


def test_positions_are_a_function_of_seed_purpose_and_step(slices: TrainingSlices) -> None:
    forwards = [slices.positions(1, "order", step, 3) for step in range(10)]
    backwards = [slices.positions(1, "order", step, 3) for step in reversed(range(10))][::-1]
    assert np.array_equal(forwards, backwards)
    assert not np.array_equal(forwards, [slices.positions(2, "order", step, 3) for step in range(10)])
    assert not np.array_equal(forwards, [slices.positions(1, "other", step, 3) for step in range(10)])
    orders = {tuple(slices.positions(1, "order", step, 5)) for step in range(8)}
    assert len(orders) > 4  # a new order each epoch


def test_one_slice_fills_a_batch(slices: TrainingSlices) -> None:
    alone = TrainingSlices(slices.cohort, np.array([7]))
    assert alone.positions(0, "order", 3, 4).tolist() == [0, 0, 0, 0]
