"""What the page shows of a scan: which slices, where its small copy lies, what its outline is painted in."""

from __future__ import annotations

import numpy as np

from synthoma.detection.overlay import PREDICTION, TRUTH
from synthoma.detection.regions import largest_regions
from synthoma.detection.view import WITH_TUMOUR, WITHOUT, coarser, outline, shown_slices
from synthoma.scans.case import Geometry


def test_slices_with_tumour_come_first_and_the_largest_always() -> None:
    blank, areas = np.zeros(200, bool), np.zeros(200, int)
    assert len(shown_slices(areas, blank)) == WITH_TUMOUR + WITHOUT
    areas[100:160] = 5
    areas[143] = 9
    rows = shown_slices(areas, blank)
    assert 143 in rows
    assert sum(100 <= row < 160 for row in rows) in (WITH_TUMOUR, WITH_TUMOUR + 1)
    assert rows == sorted(set(rows))
    blank[:100] = True
    assert min(shown_slices(areas, blank)) == 100
    assert shown_slices(np.zeros(3, int), np.ones(3, bool)) == [1]


def test_the_small_copy_lies_where_the_scan_lies() -> None:
    """Blocks of 2 x 2 voxels in the plane; slices of 5 mm stay. A mean is that of its block, and so is its place."""
    scan = np.arange(3 * 4 * 6, dtype=np.float32).reshape(3, 4, 6)
    labels = np.zeros(scan.shape, np.uint8)
    labels[1, 0:2, 2:4] = 3
    labels[2, 0, 0] = 1  # a quarter of its block
    small, mask, grid = coarser(scan, labels, Geometry((1.0, 1.0, 5.0), (10.0, 20.0, 30.0)))
    assert small.shape == mask.shape == (3, 2, 3)
    assert small[1, 0, 1] == scan[1, 0:2, 2:4].mean()
    assert grid.spacing == (2.0, 2.0, 5.0)
    assert grid.origin == (10.5, 20.5, 30.0)
    assert np.argwhere(mask).tolist() == [[1, 0, 1]]
    assert mask.max() == 3


def test_a_speck_is_not_lost_where_it_is_all_there_is() -> None:
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2, 2, 2] = 1
    _, mask, _ = coarser(labels.astype(np.float32), labels, Geometry((1.0, 1.0, 1.0)))
    assert np.argwhere(mask).tolist() == [[1, 1, 1]]


def test_no_axis_has_more_voxels_than_a_page_bears() -> None:
    scan = np.zeros((2, 300, 3), np.float32)
    small, _, grid = coarser(scan, scan.astype(np.uint8), Geometry((2.0, 2.0, 2.0)))
    assert small.shape == (2, 100, 3)
    assert grid.spacing == (2.0, 6.0, 2.0)


def test_what_was_found_is_filled_and_the_truth_is_a_line() -> None:
    found, truth = np.zeros((12, 12), bool), np.zeros((12, 12), bool)
    found[1:6, 1:6], truth[6:11, 6:11] = True, True
    painted = np.asarray(outline(found, truth).convert("RGBA"))
    assert tuple(painted[1, 1]) == (*PREDICTION, 255)
    assert tuple(painted[3, 3][:3]) == PREDICTION
    assert 0 < painted[3, 3][3] < 255
    assert tuple(painted[6, 6]) == (*TRUTH, 255)
    assert painted[8, 8][3] == painted[0, 0][3] == 0


def test_regions_are_measured_one_by_one() -> None:
    """Two boxes in a head that reaches from side to side: 8 and 2 voxels of 1 x 1 x 2 mm."""
    image = np.zeros((6, 20, 20))
    image[:, 2:18, 2:18] = 100
    mask = np.zeros(image.shape, bool)
    mask[1:3, 5:7, 3:5] = True
    mask[4, 10, 14:16] = True
    large, small = largest_regions(mask, image, Geometry((1.0, 1.0, 2.0)))
    assert (large.volume, small.volume) == (16.0, 4.0)
    assert (large.side, small.side) == ("right", "left")
    assert large.centroid_voxel == {"z": 1.5, "y": 5.5, "x": 3.5}
    assert small.diameter is not None
    assert abs(small.diameter - 3.0) < 1e-3  # the diagonal of 2 x 1 x 2 mm
    assert largest_regions(np.zeros_like(mask), image, None) == []
