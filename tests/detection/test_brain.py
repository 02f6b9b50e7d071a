"""Midline, lobes and the border of the brain."""

from __future__ import annotations

import numpy as np
import pytest

from synthoma.core.lobes import lobe
from synthoma.core.tissues import HeadTissue
from synthoma.core.types import Array
from synthoma.detection.brain import lobes_of, midline_shift, mirror_plane, tissue_findings
from synthoma.detection.inside import CLOSED, MARGIN, confined, room
from synthoma.detectors.segmenters.tissues import TissueMap
from synthoma.scans.case import Geometry

SPACING = (2.0, 2.0, 5.0)


def head(shift: float = 0.0, lean: float = 0.0) -> tuple[Array, Array]:
    """An ellipsoid of brain about x = 80 mm, with two ventricles whose middle lies ``shift`` mm further left."""
    z, y, x = (np.arange(n) * step for n, step in zip((30, 100, 80), (5.0, 2.0, 2.0), strict=True))
    z, y, x = np.meshgrid(z, y, x, indexing="ij")
    middle = 80 + lean * (y - 100)
    brain = ((x - middle) / 65) ** 2 + ((y - 100) / 85) ** 2 + ((z - 72) / 70) ** 2 < 1
    labels = np.where(brain, int(HeadTissue.WHITE), 0).astype(np.uint8)
    labels[brain & (z < 60)] = HeadTissue.GREY
    off = x - middle - shift
    horns = (np.abs(np.abs(off) - 8) < 4.5) & (np.abs(y - 95) < 30) & (np.abs(z - 80) < 15)
    labels[horns] = HeadTissue.VENTRICLE
    return labels, brain


@pytest.mark.parametrize("lean", [0.0, 0.06])
def test_the_mirror_plane_of_a_brain_and_the_shift_of_its_ventricles(lean: float) -> None:
    labels, brain = head(6.0, lean)
    plane = mirror_plane(brain, SPACING)
    assert plane is not None
    assert plane @ (1, 100.0, 72.0) == pytest.approx(80, abs=1.0)
    assert plane[1] == pytest.approx(lean, abs=0.02)
    assert midline_shift(labels, brain, SPACING) == pytest.approx(6, abs=1.5)
    other, same = head(-9.0, lean)
    assert midline_shift(other, same, SPACING) == pytest.approx(-9, abs=1.5)
    straight, again = head(0.0, lean)
    assert abs(midline_shift(straight, again, SPACING) or 0.0) <= 1.5


def test_no_ventricles_no_shift() -> None:
    labels, brain = head()
    labels[labels == HeadTissue.VENTRICLE] = HeadTissue.WHITE
    assert midline_shift(labels, brain, SPACING) is None
    assert midline_shift(labels, np.zeros_like(brain), SPACING) is None


def found(shift: float = 0.0) -> TissueMap:
    labels, brain = head(shift)
    return TissueMap(labels, brain.astype(np.float32), SPACING, float(brain.mean()))


def test_lobes_of_places_in_a_brain() -> None:
    # The ellipsoid's front is at row 7 and its back at row 92; columns run to the left.
    mapped = found()
    centres = [(20, 14, 30), (16, 88, 48), (9, 45, 12), (15, 50, 42)]
    assert lobes_of(centres, mapped, Geometry(SPACING)) == ["frontal", "occipital", "temporal", "deep"]
    thin = TissueMap(mapped.labels[:3], mapped.brain[:3], SPACING, 0.3)
    assert lobes_of(centres[:1], thin, Geometry(SPACING)) == [None]
    turned = Geometry(SPACING, direction=(1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    upside = TissueMap(mapped.labels[:, ::-1], mapped.brain[:, ::-1], SPACING, mapped.shown)
    assert lobes_of([(20, 99 - 14, 30)], upside, turned) == ["frontal"]


def test_lobes_of_the_template() -> None:
    x, y, z = (np.array(values, float) for values in ([-30, 45, 8], [45, -5, -95], [30, -20, 5]))
    assert lobe(x, y, z).tolist() == ["frontal", "temporal", "occipital"]


def test_findings_of_a_map() -> None:
    mapped = found(5.0)
    told = tissue_findings(mapped, Geometry(SPACING))
    assert told is not None
    assert told.sure
    assert told.brain_ml == pytest.approx(mapped.brain.sum() * 0.02, abs=0.1)
    assert told.volumes_ml["ventricles"] == pytest.approx((mapped.labels == 3).sum() * 0.02, abs=0.1)
    assert told.midline_shift_mm == pytest.approx(5, abs=1.5)
    assert tissue_findings(TissueMap(mapped.labels, mapped.brain, None, 0.3), None) is None


def test_what_lies_outside_the_brain_is_left_out() -> None:
    rows, columns = np.indices((128, 128)) - 63.5
    brain = np.repeat((np.hypot(rows, columns) < 40)[None], 6, axis=0)
    kinds = np.where(brain, np.where(rows < 0, 1, 2), 0).astype(np.uint8)
    mapped = TissueMap(kinds, brain.astype(np.float32), (1.75, 1.75, 5.0), 0.4)
    assert mapped.sure
    maps = np.zeros((6, 1, 128, 128), np.float32)
    maps[:, 0, 60:70, 60:70] = 0.9  # inside
    maps[:, 0, 60:66, 22 - MARGIN : 31] = 0.9  # at the border
    maps[2, 0, 5:10, 60:70] = 0.9  # in the scalp
    result = confined(maps, (0.5,), mapped)
    assert (result.maps[:, 0, 60:70, 60:70] == np.float32(0.9)).all()
    assert not result.maps[2, 0, 5:10].any()
    assert result.left_out >= 50
    assert result.remark.startswith("1 place outside the brain")
    unsure = TissueMap(kinds, brain * np.float32(0.6), (1.75, 1.75, 5.0), 0.4)
    kept = confined(maps, (0.5,), unsure)
    assert np.array_equal(kept.maps, maps)
    assert "no brain was found for sure" in kept.remark


def test_room_fills_dents_and_has_a_margin() -> None:
    brain = np.zeros((3, 64, 64), bool)
    brain[:, 16:48, 16:48] = True
    brain[1, 16:24, 28:34] = False  # a dent
    allowed = room(brain)
    assert allowed[1, 16:48, 16:48].all()
    assert allowed[1, 16 - MARGIN, 30]
    assert not allowed[1, 16 - MARGIN - CLOSED - 1].any()
    lost = brain.copy()
    lost[1] = False
    assert room(lost)[1, 30, 30]
