from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from synthoma.core.errors import InputError
from synthoma.metrics.overlap import (
    CONVENTIONS,
    Counts,
    convention_table,
    conventions,
    conventions_of,
    dice,
    iou,
    precision,
    recall,
    slice_counts,
    tversky,
    volume_error,
)

PAIRS = arrays.arrays(np.uint8, (2, 3, 4, 4), elements=st.integers(0, 2))


def counts(*rows: tuple[int, int, int]) -> Counts:
    return Counts(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


def test_scores_by_hand() -> None:
    unit = counts((6, 2, 4))
    assert dice(unit) == pytest.approx(12 / 18)
    assert iou(unit) == pytest.approx(6 / 12)
    assert volume_error(unit) == pytest.approx((8 - 10) / 10)
    # With false negatives at 0.7 a miss costs more than a false alarm.
    assert tversky(unit, false_positives=0.3, false_negatives=0.7) == pytest.approx(6 / (6 + 0.6 + 2.8))
    swapped = tversky(counts((6, 4, 2)), false_positives=0.3, false_negatives=0.7)
    assert swapped > tversky(unit, false_positives=0.3, false_negatives=0.7)


def test_precision_and_recall_by_hand() -> None:
    unit = counts((6, 2, 4))
    assert precision(unit) == pytest.approx(6 / 8)
    assert recall(unit) == pytest.approx(6 / 10)
    # Both empty, a false alarm alone, a tumour that was missed.
    units = counts((0, 0, 0), (0, 5, 0), (0, 0, 5))
    assert precision(units).tolist() == recall(units).tolist() == [1, 0, 0]


@given(PAIRS)
def test_dice_is_the_harmonic_mean_of_precision_and_recall(pair: np.ndarray) -> None:
    found = slice_counts(*pair)
    first, second = precision(found), recall(found)
    together = np.where(first + second > 0, 2 * first * second / np.where(first + second > 0, first + second, 1), 0)
    assert dice(found) == pytest.approx(together)


def test_empty_masks_have_a_written_convention() -> None:
    units = counts((0, 0, 0), (0, 5, 0), (0, 0, 5))
    for score in (dice, iou, lambda unit: tversky(unit, false_positives=0.1, false_negatives=2.0)):
        assert score(units).tolist() == [1, 0, 0]
    errors = volume_error(units)
    assert (errors[0], errors[2]) == (0, -1)
    assert np.isnan(errors[1])


@pytest.mark.parametrize("weights", [(0.0, 1.0), (1.0, 0.0), (-0.5, 0.5), (float("nan"), 0.5)])
def test_a_tversky_index_that_is_not_always_defined_is_refused(weights: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="above 0"):
        tversky(counts((1, 1, 1)), false_positives=weights[0], false_negatives=weights[1])


@given(PAIRS)
def test_slice_counts_equal_a_sum_over_pixels(pair: np.ndarray) -> None:
    truth, prediction = pair
    found = slice_counts(truth, prediction)
    for z in range(3):
        ours = {tuple(at) for at in np.argwhere(truth[z])}
        theirs = {tuple(at) for at in np.argwhere(prediction[z])}
        assert (found.tp[z], found.fp[z], found.fn[z]) == (len(ours & theirs), len(theirs - ours), len(ours - theirs))
        expected = 2 * len(ours & theirs) / (len(ours) + len(theirs)) if ours or theirs else 1
        assert dice(found)[z] == pytest.approx(expected)
    assert found.total().tp == np.count_nonzero(truth.astype(bool) & prediction.astype(bool))


@pytest.mark.slow
@given(PAIRS)
def test_dice_and_iou_are_two_faces_of_one_number_and_do_not_care_who_is_first(pair: np.ndarray) -> None:
    one, other = slice_counts(*pair), slice_counts(*pair[::-1])
    assert np.allclose(iou(one), dice(one) / (2 - dice(one)))
    assert np.array_equal(dice(one), dice(other))


def test_masks_of_255_score_as_masks_of_1() -> None:
    mask = np.zeros((2, 4, 4), np.uint8)
    mask[0, :2] = 1
    assert dice(slice_counts(mask, mask * 255)).tolist() == [1, 1]


def test_unlike_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="2x4x4 and 2x4x5"):
        slice_counts(np.zeros((2, 4, 4)), np.zeros((2, 4, 5)))
    with pytest.raises(InputError, match="z, y, x"):
        slice_counts(np.zeros((4, 4)), np.zeros((4, 4)))


# --- conventions ----------------------------------------------------------------------------------------------


def test_conventions_by_hand() -> None:
    large = counts((90, 0, 20), (0, 0, 0))  # Dice .9 and, empty and left empty, 1
    small = counts((1, 0, 0), (0, 3, 0), (0, 0, 1))  # 1, a false alarm, a miss
    nothing = counts((0, 0, 0), (0, 0, 0))
    found = conventions([large, small, nothing])
    volumes = [180 / 200, 2 / 6, 1.0]
    assert found == pytest.approx(
        {
            "tumour_slice_mean": (0.9 + 1 + 0) / 3,
            "slice_mean": (0.9 + 1 + 1 + 0 + 0 + 1 + 1) / 7,
            "pooled": 182 / (182 + 3 + 21),
            "patient_mean": sum(volumes) / 3,
            "patient_median": 0.9,
        }
    )
    assert tuple(found) == CONVENTIONS


def test_false_alarms_on_empty_slices_do_not_show_on_tumour_slices() -> None:
    quiet, loud = counts((50, 5, 5), (0, 0, 0)), counts((50, 5, 5), (0, 400, 0))
    before, after = conventions([quiet]), conventions([loud])
    assert before["tumour_slice_mean"] == after["tumour_slice_mean"]
    for name in set(CONVENTIONS) - {"tumour_slice_mean"}:
        assert after[name] < before[name], name


def test_conventions_without_tumour_or_patients() -> None:
    empty = conventions([counts((0, 0, 0))])
    assert np.isnan(empty.pop("tumour_slice_mean"))
    assert set(empty.values()) == {1.0}
    assert all(np.isnan(value) for value in conventions([]).values())


def test_rows_drawn_twice_are_patients_that_come_twice() -> None:
    patients = [counts((5, 1, 2), (0, 0, 0)), counts((3, 3, 0)), counts((0, 0, 4), (8, 1, 1))]
    table = convention_table(patients)
    drawn = [2, 0, 2]
    assert conventions_of(table[drawn]) == pytest.approx(conventions([patients[place] for place in drawn]))
