"""A tumour tried in one slice is one of the size that was asked, at the pixel that was asked; the rest stays."""

from __future__ import annotations

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.painting.dials import Dials
from synthoma.painting.painters import paint_scan
from synthoma.painting.scan import Scan
from synthoma.painting.sketch import Sketch
from synthoma.painting.tissues import tissues_of
from synthoma.scans.case import Geometry, Study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def widest(head: Scan) -> int:
    """The slice with most brain."""
    return int(tissues_of(head.images, head.spacing).brain.sum((1, 2)).argmax())


def test_the_pixel_and_the_size_are_met(head: Scan, widest: int) -> None:
    brain = tissues_of(head.images, head.spacing).brain[widest]
    rows, columns = np.nonzero(brain)
    where = int(rows.mean()), int(columns.mean() + 0.25 * np.ptp(columns))
    sketch = Sketch(head)
    made = sketch.slice(widest, Dials(size_ml=(6, 6)), 3, where)
    distance = (np.argwhere(made.mask[0]).mean(0) - where) * np.array(head.spacing[1:])
    assert np.hypot(*distance) < 5
    assert made.facts["painted_ml"] == pytest.approx(6, rel=0.06)
    for name, image in head.images.items():
        new = made.images[name]
        assert new.shape[0] == 1
        assert np.array_equal(new[~made.changed], image[widest : widest + 1][~made.changed])
    larger = sketch.slice(widest, Dials(size_ml=(20, 20)), 3, where)
    assert (larger.mask > 0).sum() > 1.5 * (made.mask > 0).sum()


def test_of_a_scan_of_one_slice_it_is_the_very_tumour(head: Scan, widest: int) -> None:
    flat = Scan({name: image[widest : widest + 1] for name, image in head.images.items()}, head.spacing)
    dials = Dials(size_ml=(8, 8), place=("left",))
    tried = Sketch(flat).slice(0, dials, 7)
    painted = paint_scan(stream(7, "painting", 0), flat, dials)  # as `paint` does with this seed
    assert np.array_equal(tried.mask, painted.mask)
    assert all(np.array_equal(tried.images[name], painted.images[name]) for name in flat.images)


def test_a_voxel_becomes_the_place_that_paint_takes(head: Scan, widest: int) -> None:
    tissue = tissues_of(head.images, head.spacing)
    white = np.argwhere((tissue.white[widest] > 0.9) & (tissue.depth_mm[widest] > 20))
    voxel = (widest, *map(int, white[len(white) // 2]))
    place = Sketch(head).place(voxel)
    made = paint_scan(stream(1, "painting", 0), head, Dials(size_ml=(5, 5), place=place))
    distance = (np.argwhere(made.mask).mean(0) - voxel) * np.array(head.spacing)
    assert np.sqrt((distance**2).sum()) < 6  # slices lie 6 mm apart


def test_nothing_impossible_is_tried(head: Scan, widest: int) -> None:
    with pytest.raises(InputError, match="a slice from 0"):
        Sketch(head).slice(head.shape[0], Dials(), 0)
    with pytest.raises(InputError, match="inside the brain"):
        Sketch(head).slice(widest, Dials(size_ml=(5, 5)), 0, (0, 0))
    plain = Study({"image": head.images["flair"]}, Geometry(head.spacing[::-1]))
    with pytest.raises(InputError, match="shows"):
        Sketch.of(plain)
    assert list(Sketch.of(plain, "flair").scan.images) == ["flair"]
