"""The picture of a result: which slices, how many panels, which colours, and what stands below."""

from __future__ import annotations

import numpy as np
import pytest

from synthoma.cohorts.squares import FramingRule, frame
from synthoma.detection.overlay import PREDICTION, TILE, TRUTH, chosen_slices, overlay
from synthoma.scans.case import Geometry, Study

pytestmark = pytest.mark.slow


def test_slices_are_chosen_by_their_tumour() -> None:
    blank = np.zeros(20, bool)
    areas = np.zeros(20, int)
    assert chosen_slices(areas, blank) == [10]
    blank[:15] = True
    assert chosen_slices(areas, blank) == [17]
    areas[[3, 4]] = 5
    assert chosen_slices(areas, blank) == [3, 4]
    areas[2:19] = np.arange(17) + 1
    chosen = chosen_slices(areas, blank)
    assert len(chosen) <= 5
    assert 18 in chosen
    assert chosen == sorted(set(chosen))
    assert chosen_slices(np.zeros(3, int), np.ones(3, bool)) == [1]


@pytest.mark.parametrize("with_truth", [True, False])
def test_panels_show_truth_in_red_and_prediction_in_green(with_truth: bool) -> None:
    image = np.full((3, 20, 30), 50, np.int16)
    image[:, 5, 5] = 90
    truth, prediction = np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    truth[1, 2:8, 2:8], prediction[1, 10:18, 20:28] = True, True
    framing = frame(
        Study({"flair": image}, Geometry((2.0, 1.0, 4.0))), ("flair",), size=16, rule=FramingRule(crop=False)
    )
    sheet = overlay(framing, prediction, [1], ["slice 1"], truth if with_truth else None, "a case")
    assert sheet.shape[1] > (5 if with_truth else 3) * TILE
    assert TILE < sheet.shape[0] < 2 * TILE
    colours = {tuple(pixel) for pixel in sheet.reshape(-1, 3).tolist()}
    assert PREDICTION in colours
    assert (TRUTH in colours) == with_truth
