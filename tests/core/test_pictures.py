from __future__ import annotations

import numpy as np

from synthoma.core.pictures import contact_sheet, grey, outlined, tiled


def test_outline_stays_inside_its_region() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    picture = outlined(np.full((9, 9), 50, np.uint8), mask)
    coloured = (picture != 50).any(axis=2)
    assert coloured.sum() == 16
    assert not coloured[3:6, 3:6].any()
    assert not coloured[mask == 0].any()


def test_grey_keeps_order_and_uses_the_range() -> None:
    values = np.linspace(0, 1.2, 100).reshape(10, 10)
    picture = grey(values)
    assert (np.diff(picture.ravel().astype(int)) >= 0).all()
    assert (picture.min(), picture.max()) == (0, 255)


def test_contact_sheet_places_pictures_in_rows() -> None:
    black, white = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    sheet = contact_sheet([[black, white], [white, black]], ["a", "b"], tile=16)
    assert sheet[10, 10].tolist() == [0, 0, 0]
    assert sheet[10, 30].tolist() == [255, 255, 255]
    assert sheet[30, 10].tolist() == [255, 255, 255]


def test_tiles_leave_a_black_gap() -> None:
    white = np.full((4, 4), 255, np.uint8)
    sheet = tiled([white] * 3, columns=2, gap=1)
    assert sheet.shape == (9, 9, 3)
    assert sheet[4].max() == 0
    assert sheet[:, 4].max() == 0
    assert sheet[5:, 5:].max() == 0  # no fourth picture
