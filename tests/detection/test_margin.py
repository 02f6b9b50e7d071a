"""Where a tumour ends: half way in brightness, and small places that go."""

from __future__ import annotations

import numpy as np
import pytest

from synthoma.core.types import Bools, Float32
from synthoma.detection.detector import Detector
from synthoma.detection.margin import LEAST_OF_LARGEST, half_way, refined, without_small
from synthoma.detection.scan import look
from synthoma.detection.settings import DetectConfig
from synthoma.detectors.segmenters.tissues import TissueMap
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import phantom_case
from synthoma.training.bundle import shipped_model

ROWS, COLUMNS = np.indices((128, 128)) - 63.5


def brain_map(probability: float = 1.0) -> TissueMap:
    brain = np.repeat((np.hypot(ROWS, COLUMNS) < 50)[None], 6, axis=0)
    kinds = np.where(brain, np.where(ROWS < 0, 1, 2), 0).astype(np.uint8)
    return TissueMap(kinds, brain.astype(np.float32) * np.float32(probability), (1.4, 1.4, 5.0), 0.5)


def disc(radius: float, row: float = 0.0, column: float = 0.0) -> Bools:
    return np.repeat((np.hypot(ROWS - row, COLUMNS - column) < radius)[None], 6, axis=0)


def scan(bright: float) -> Float32:
    """A brain of 0.5 with a tumour whose brightness falls in a straight line from radius 10 to radius 18."""
    distance = np.hypot(ROWS, COLUMNS)
    layer = 0.5 + (bright - 0.5) * np.clip((18 - distance) / 8, 0, 1)
    return np.repeat(np.where(distance < 50, layer, 0)[None], 6, axis=0).astype(np.float32)


def maps_of(mask: Bools, probability: float = 0.9) -> Float32:
    return (mask[:, None] * probability).astype(np.float32)


def test_a_bright_tumour_ends_half_way_to_the_brain() -> None:
    shown = scan(1.5)
    result = refined(maps_of(disc(18)), (0.3,), shown, brain_map())
    kept = result.maps[:, 0] >= 0.3
    # By hand: the median of the disc lies on the slope, and half way from there to 0.5 is what stays.
    limit = (np.median(shown[disc(18)]) + 0.5) / 2
    assert np.array_equal(kept, disc(18) & (shown >= limit))
    radius = np.sqrt(kept[0].sum() / np.pi)
    assert 13.5 < radius < 16.5
    assert result.remark == ""


def test_a_faint_tumour_keeps_its_margin() -> None:
    maps = maps_of(disc(18))
    assert np.array_equal(refined(maps, (0.3,), scan(0.6), brain_map()).maps, maps)
    assert half_way(scan(0.6), disc(10), brain_map().mask & ~disc(18)) is None
    assert half_way(scan(1.5), disc(10), brain_map().mask & ~disc(18)) == pytest.approx(1.0)


def test_a_dark_cyst_inside_stays_and_one_at_the_edge_of_the_scan_does_no_harm() -> None:
    shown = scan(1.5)
    shown[disc(4)] = 0.1
    kept = refined(maps_of(disc(12)), (0.3,), shown, brain_map()).maps[:, 0] >= 0.3
    assert kept[disc(4)].all()


def test_small_places_go_and_are_counted() -> None:
    places = disc(12) | disc(2, -30) | disc(2, 30) | disc(6, 0, 35)
    large, small = without_small(places)
    assert small == 2
    assert np.array_equal(large, disc(12) | disc(6, 0, 35))
    assert disc(6).sum() > LEAST_OF_LARGEST * disc(12).sum() > disc(2).sum()
    result = refined(maps_of(places), (0.3,), scan(0.6), brain_map())
    assert result.small == 2
    assert result.remark.startswith("2 places were left out: they have less than a tenth")
    assert np.array_equal(result.maps[:, 0] > 0, large)


def test_a_place_of_three_ml_is_never_small() -> None:
    places = disc(30) | disc(4, 0, 42)
    least = int(disc(4).sum())
    assert least < LEAST_OF_LARGEST * disc(30).sum()
    kept, gone = (refined(maps_of(places), (0.3,), scan(0.6), brain_map(), ml / least) for ml in (3.0, 2.9))
    assert (kept.small, gone.small) == (0, 1)
    assert np.array_equal(kept.maps[:, 0] > 0, places)


def test_one_place_of_a_single_pixel_stays() -> None:
    mask = np.zeros((6, 128, 128), bool)
    mask[3, 64, 64] = True
    assert np.array_equal(refined(maps_of(mask), (0.3,), scan(0.5), brain_map()).maps, maps_of(mask))


def test_nothing_changes_without_a_sure_brain_or_an_outline() -> None:
    maps = maps_of(disc(18) | disc(2, 30))
    assert refined(maps, (0.3,), scan(1.5), brain_map(0.6)).maps is maps
    nothing = maps * np.float32(0.1)
    assert refined(nothing, (0.3,), scan(1.5), brain_map()).maps is nothing


def test_all_targets_lose_the_same_pixels() -> None:
    maps = np.concatenate([maps_of(disc(18)), maps_of(disc(17), 0.8)], axis=1)
    result = refined(maps, (0.3, 0.5), scan(1.5), brain_map()).maps
    gone = (maps[:, 0] > 0) & (result[:, 0] == 0)
    assert gone.any()
    assert not result[:, 1][gone].any()


def test_no_ring_of_low_probability_is_left_around_what_was_cut() -> None:
    maps = maps_of(disc(18))
    maps[:, 0][disc(20) & ~disc(18)] = 0.2
    result = refined(maps, (0.3,), scan(1.5), brain_map()).maps[:, 0]
    assert not result[disc(20) & ~disc(18)].any()


@pytest.mark.slow
def test_detect_refines_unless_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    # This tumour is not bright enough for its margin to be looked for.
    monkeypatch.setattr("synthoma.detection.margin.BRIGHT", 1.05)
    case = phantom_case(3, 1, PhantomConfig(slice_mm=6.0, pixel_mm=2.0, volume_ml=60.0, volume_spread=0.0))
    detector = Detector.open(shipped_model())
    masks = [look(case, detector, DetectConfig(refine=refine)).mask for refine in (True, False)]
    assert 0 < masks[0].sum() < masks[1].sum()
    assert not (masks[0] & ~masks[1]).any()
