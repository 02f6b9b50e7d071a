"""Slices between drawn ones: hand values, and a distance that is measured pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Bytes
from synthoma.scans.case import Geometry, Volume
from synthoma.scans.volumes import read_volume, write_volume
from synthoma.studio.between import between, filled_between, signed_distance
from synthoma.studio.studio import Studio
from tests.studio.test_teaching import found

EVEN = (1.0, 1.0, 1.0)


def bar(low: int, high: int, value: int = 1) -> Bytes:
    """Rows low to high - 1 of 24."""
    mask = np.zeros((24, 8), np.uint8)
    mask[low:high] = value
    return mask


@pytest.mark.parametrize(("share", "high"), [(0.25, 15), (0.5, 16), (0.75, 17)])
def test_the_edge_moves_evenly(share: float, high: int) -> None:
    # One edge stays, the other goes from 14 to 18.
    assert np.array_equal(between(bar(10, 14), bar(10, 18), share, (1.0, 1.0)), bar(10, high))


def test_a_disc_between_discs_has_the_mean_radius() -> None:
    y, x = np.mgrid[-20:21, -20:21]
    discs = [(np.hypot(y, x) < radius).astype(np.uint8) for radius in (6.0, 14.0)]
    middle = between(discs[0], discs[1], 0.5, (1.0, 1.0))
    assert np.sqrt(middle.sum() / np.pi) == pytest.approx(10, abs=0.3)
    assert np.array_equal(middle, middle[::-1])
    assert np.array_equal(middle, middle.T)


def test_labels_leave_no_cracks_and_keep_their_place() -> None:
    one, other = bar(4, 16, 2), bar(8, 20, 2)
    one[8:12], other[12:16] = 1, 1
    middle = between(one, other, 0.5, (1.0, 1.0))
    assert np.array_equal(middle > 0, bar(6, 18) > 0)
    assert np.array_equal(middle == 1, bar(10, 14) > 0)


def test_distances_are_in_millimetres() -> None:
    shape = np.zeros((7, 9), np.bool_)
    shape[2:5, 3:8] = True
    sides = (3.0, 0.5)
    assert np.allclose(signed_distance(shape, sides), slow_distance(shape, sides))


def slow_distance(shape: Bools, spacing: tuple[float, float]) -> np.ndarray:
    """To the nearest pixel of the other side, one by one."""
    found = np.zeros(shape.shape)
    for y, x in np.ndindex(*shape.shape):
        rows, columns = np.nonzero(shape != shape[y, x])
        nearest = np.hypot((rows - y) * spacing[0], (columns - x) * spacing[1]).min()
        found[y, x] = nearest if shape[y, x] else -nearest
    return found


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_only_empty_slices_between_are_filled(axis: int) -> None:
    stack = np.zeros((9, 24, 8), np.uint8)
    stack[1], stack[3], stack[7] = bar(10, 14), bar(10, 18), bar(10, 10)
    stack[4] = bar(2, 4)
    drawn = np.moveaxis(stack, 0, axis)
    new, count = filled_between(drawn, drawn * 0, axis, "empty", EVEN)
    new = np.moveaxis(new, axis, 0)
    assert count == 1
    assert np.array_equal(new[2], bar(10, 16))
    assert np.array_equal(np.delete(new, 2, 0), np.delete(stack, 2, 0))


def test_all_between_slices_that_i_changed_is_replaced() -> None:
    model = np.stack([bar(0, 6)] * 7)
    drawn = model.copy()
    drawn[1], drawn[5] = bar(10, 14), bar(10, 18)
    new, count = filled_between(drawn, model, 0, "mine", EVEN)
    assert count == 3
    assert [int((one > 0).any(1).sum()) for one in new] == [6, 4, 5, 6, 7, 8, 6]
    assert np.array_equal(new[[0, 1, 5, 6]], drawn[[0, 1, 5, 6]])


def test_a_slice_that_was_emptied_is_an_end_of_nothing() -> None:
    model = np.stack([bar(4, 10)] * 5)
    drawn = model.copy()
    drawn[0], drawn[4] = 0, bar(4, 12)
    new, _ = filled_between(drawn, model, 0, "mine", EVEN)
    assert not new[1:4].any()


def test_nothing_to_fill_is_said() -> None:
    stack = np.zeros((5, 24, 8), np.uint8)
    for filled in ((), (2,), (2, 3)):
        drawn = stack.copy()
        drawn[list(filled)] = bar(3, 9)
        with pytest.raises(InputError, match="two drawn slices"):
            filled_between(drawn, stack, 0, "empty", EVEN)


def test_planes_are_those_of_the_patient(studio: Studio, visitor: TestClient, csrf: str) -> None:
    # Axial slices of this scan lie along the array's second axis.
    turned = Geometry((2.0, 3.0, 4.0), (40.0, -12.0, 7.0), (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0))
    scan: Path = studio.places.workspace / "s_flair.nii.gz"
    empty = np.zeros((8, 10, 12), np.uint8)
    write_volume(Volume(empty + np.arange(12, dtype=np.uint8), turned), scan)
    found(studio, "s", scan, empty)
    drawn = empty.copy()
    drawn[2:6, 3, 4:8] = drawn[2:6, 7, 4:8] = 1
    sent = studio.places.workspace / "sent.nii"
    write_volume(Volume(drawn, turned), sent)

    def ask(plane: str, **more: str) -> tuple[int, bytes, str]:
        answer = visitor.post(
            "/between/w/found-s/s", files={"mask": ("m.nii", sent.read_bytes())}, data={"plane": plane, **more},
            headers={"x-csrf": csrf, "accept": "application/json"},
        )  # fmt: skip
        return answer.status_code, answer.content, answer.headers.get("x-slices", "")

    status, content, count = ask("axial")
    assert (status, count) == (200, "3")
    sent.with_name("back.nii").write_bytes(content)
    back = read_volume(sent.with_name("back.nii"))
    drawn[2:6, 3:8, 4:8] = 1
    assert np.array_equal(back.voxels, drawn)
    assert back.geometry == turned
    assert ask("coronal")[0] == 400  # no gap there
    assert ask("oblique")[0] == 422
    assert ask("axial", which="all")[0] == 422
    assert not list((studio.places.workspace / "found-s" / "s").glob("*by_hand*"))  # nothing is saved
    assert visitor.post("/between/w/found-s/s", files={"mask": ("m", b"x")}).status_code == 403
