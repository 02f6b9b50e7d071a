from __future__ import annotations

import numpy as np
import pytest

from synthoma.masks.patients import PatientMasks
from synthoma.masks.regions import ENHANCING, WHOLE
from synthoma.masks.scores import score_arrays
from synthoma.masks.settings import MasksConfig
from synthoma.reports.scores_page import scores_page

MM = (1.0, 1.0, 1.0)


def cubes(*boxes: tuple[int, int]) -> np.ndarray:
    """Cubes (column, side) of a mask; they lie in a row."""
    mask = np.zeros((16, 16, 80), np.uint8)
    for at, side in boxes:
        mask[2 : 2 + side, 2 : 2 + side, at : at + side] = 1
    return mask


def test_patients_are_scored_lesion_by_lesion_and_by_size() -> None:
    both = cubes((2, 8), (40, 12))  # 0.512 and 1.728 ml
    found = score_arrays(
        [
            PatientMasks("one found", both, cubes((40, 12)), MM),
            PatientMasks("one made up", cubes((2, 8)), cubes((2, 8), (40, 3)), MM),
            PatientMasks("none", cubes(), cubes(), MM),
        ],
        lesion_sizes=(1.0,),
        draws=40,
    )
    assert found.lesions is not None
    whole = found.lesions[WHOLE]
    assert (whole.patients, whole.lesions, whole.made_up, whole.small) == (3, 3, 1, 0)
    # One of two, one beside a made-up one, and nothing rightly left empty.
    assert whole.dice.value == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert whole.hd95.value == pytest.approx((187 + 187 + 0) / 3)
    assert whole.found.value == pytest.approx(2 / 3)
    assert whole.made_up_per_scan.value == pytest.approx(1 / 3)
    small, large = whole.by_size
    assert (small.lesions, small.found.value, large.lesions, large.found.value) == (2, 0.5, 1, 1)
    assert (small.found.n, large.found.n) == (2, 1)
    assert "up to 1 ml" in scores_page(found.content())


def test_regions_are_matched_each_for_itself_and_sizes_in_pixels_not_at_all() -> None:
    truth, drawn = cubes((2, 10)), cubes((2, 10))
    truth[4:8, 4:8, 4:8] = 3
    values = np.unique(truth)
    assert values.tolist() == [0, 1, 3]
    known = score_arrays([PatientMasks("a", truth, drawn, MM)], convention="brats-2023", draws=40)
    assert known.lesions is not None
    assert (known.lesions[WHOLE].dice.value, known.lesions[ENHANCING].dice.value) == (1, 0)
    unknown = score_arrays([PatientMasks("a", truth, drawn)], draws=40)
    assert unknown.lesions is None
    assert unknown.per_patient[0].lesions is None
    assert "Lesion by lesion" not in scores_page(unknown.content())


def test_the_least_volume_and_the_reach_are_settings() -> None:
    truth = cubes((2, 3), (8, 3))
    patients = [PatientMasks("a", truth, cubes((2, 3)), MM)]
    usual = score_arrays(patients, draws=40)
    strict = score_arrays(patients, small_lesion=10, lesion_reach=0, draws=40)
    assert usual.lesions is not None
    assert strict.lesions is not None
    # As one of 54 mm3; apart, both would be too small.
    assert (usual.lesions[WHOLE].lesions, strict.lesions[WHOLE].lesions) == (1, 2)
    assert strict.lesions[WHOLE].found.value == 0.5
    assert (strict.settings.lesion_reach, strict.settings.small_lesion) == (0, 10)


@pytest.mark.parametrize("sizes", [(), (10.0, 1.0), (0.0, 1.0), (1.0, 1.0)])
def test_sizes_that_part_nothing_are_refused(sizes: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rising"):
        MasksConfig(lesion_sizes=sizes)
