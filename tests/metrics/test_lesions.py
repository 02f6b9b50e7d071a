from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.metrics.lesions import MISSED_MM, match_lesions

MM = (1.0, 1.0, 1.0)


def cube(*boxes: tuple[int, int, int, int], shape: tuple[int, int, int] = (30, 40, 40)) -> np.ndarray:
    """Cubes of a side at a corner (z, y, x, side)."""
    mask = np.zeros(shape, np.uint8)
    for z, y, x, side in boxes:
        mask[z : z + side, y : y + side, x : x + side] = 1
    return mask


def by_definition(truth: np.ndarray, prediction: np.ndarray, reach: int, small: float) -> tuple[float, float, int]:
    """Dice, HD95 and number of false regions as the challenge's rules say them, on a grid of 1 mm, step by step."""
    struct = ndimage.generate_binary_structure(3, 2)
    everything = np.ones((3, 3, 3))
    drawn, drawn_count = ndimage.label(prediction, everything)
    joined, count = ndimage.label(ndimage.binary_dilation(truth, struct, iterations=reach), everything)
    dices, distances, met = [], [], set()
    for number in range(1, count + 1):
        lesion = (joined == number) & (truth > 0)
        own = set(np.unique(drawn[ndimage.binary_dilation(lesion, struct, iterations=reach)])) - {0}
        met |= own
        mine = np.isin(drawn, sorted(own))
        if lesion.sum() <= small:
            continue
        dices.append(2 * (lesion & mine).sum() / (lesion.sum() + mine.sum()))
        distances.append(hausdorff95(lesion, mine) if own else MISSED_MM)
    false = drawn_count - len(met)
    total = len(dices) + false
    if not total:
        return 1.0, 0.0, 0
    return sum(dices) / total, (sum(distances) + false * MISSED_MM) / total, false


def hausdorff95(first: np.ndarray, second: np.ndarray) -> float:
    """Larger of both 95th percentiles of distances between surface voxels, by distance maps."""
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (first, second)]
    fields = [ndimage.distance_transform_edt(~edge) for edge in edges]
    return max(np.percentile(fields[1][edges[0]], 95), np.percentile(fields[0][edges[1]], 95))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("reach", [1, 3])
def test_random_masks_score_as_the_rules_of_the_challenge_say(seed: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(rng.normal(size=(24, 32, 32)), 2) > 0.14
    prediction = ndimage.shift(truth.astype(float), (1, 0, 2), order=0) > 0
    prediction &= ndimage.gaussian_filter(rng.normal(size=truth.shape), 4) > -0.02
    prediction |= ndimage.gaussian_filter(rng.normal(size=truth.shape), 2) > 0.17
    found = match_lesions(truth, prediction, MM, reach=reach)
    dice, distance, false = by_definition(truth, prediction, reach, 50)
    assert (len(found.false), found.dice, found.hd95) == (false, pytest.approx(dice), pytest.approx(distance))
    assert len(found.counted) + false > 1


def test_two_lesions_one_missed_and_one_made_up() -> None:
    truth = cube((2, 2, 2, 6), (18, 28, 28, 6))
    prediction = cube((2, 2, 2, 6), (2, 28, 2, 3))
    found = match_lesions(truth, prediction, MM)
    # 1 for the first, 0 for the missed one and for the one that was made up.
    assert (found.dice, found.surface_dice) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert found.hd95 == pytest.approx(2 * MISSED_MM / 3)
    assert [one.found for one in found.counted] == [True, False]
    assert found.false == (27.0,)


def test_a_small_lesion_is_left_out_but_keeps_its_prediction_from_being_false() -> None:
    truth = cube((2, 2, 2, 3))
    assert match_lesions(truth, truth, MM).dice == 1
    found = match_lesions(truth, truth, MM, small=26.0)
    assert len(found.counted) == 1
    missed = match_lesions(truth, np.zeros_like(truth), MM)
    assert (missed.dice, missed.hd95, len(missed.small), missed.small[0].found) == (1, 0, 1, False)


def test_empty_masks_score_as_the_challenge_says() -> None:
    empty = np.zeros((10, 10, 10), np.uint8)
    found = match_lesions(empty, empty, MM)
    assert (found.dice, found.surface_dice, found.hd95) == (1, 1, 0)
    made_up = match_lesions(empty, cube((2, 2, 2, 3), shape=(10, 10, 10)), MM)
    assert (made_up.dice, made_up.hd95) == (0, MISSED_MM)


@pytest.mark.parametrize(("gap", "lesions"), [(6, 1), (7, 1), (8, 2)])
def test_regions_whose_dilations_touch_are_one_lesion(gap: int, lesions: int) -> None:
    truth = cube((5, 5, 5, 5), (5, 5, 9 + gap, 5))
    assert len(match_lesions(truth, truth, MM).counted) == lesions


def test_thick_slices_are_not_dilated_across() -> None:
    truth, above = cube((5, 5, 5, 6)), cube((14, 5, 5, 6))
    assert match_lesions(truth, above, (7.0, 1.0, 1.0)).false
    # On a grid of 1 mm four free slices lie between them, too.
    assert match_lesions(truth, above, MM, reach=4).false == ()


def test_corners_connect() -> None:
    truth = np.zeros((12, 12, 12), np.uint8)
    for step in range(10):
        truth[step + 1, step + 1, step + 1] = 1
    assert len(match_lesions(truth, truth, (1.0, 1.0, 1.0), reach=0, small=5).counted) == 1


def test_sizes_that_are_none_are_refused() -> None:
    mask = cube((2, 2, 2, 3))
    for options in itertools.chain([{"reach": -1.0}], [{"small": -1.0}]):
        with pytest.raises(InputError, match="at least 0"):
            match_lesions(mask, mask, MM, **options)
