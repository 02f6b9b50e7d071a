"""A painted tumour has the size, place and look that were asked for, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.painting import painters
from synthoma.painting.dials import Dials, place_of
from synthoma.painting.growth import NoRoomError, room_of
from synthoma.painting.lesions import lesion_of, pasted
from synthoma.painting.painters import Material, Stroke, grow_and_paint, paint_scan
from synthoma.painting.places import middle_of
from synthoma.painting.request import requested
from synthoma.painting.scan import Painted, Scan
from synthoma.painting.tissues import WHITE, TissueMap, tissues_of

pytestmark = pytest.mark.slow


def test_outside_of_what_changed_every_pixel_is_the_scans(head: Scan) -> None:
    made = paint_scan(stream(1, "test", 0), head, Dials(size_ml=(15, 15)))
    for name, image in head.images.items():
        new = made.images[name]
        assert np.array_equal(new[~made.changed], image[~made.changed])
        assert not np.array_equal(new, image)
    # The soft margin: half of the widest edge there is, and one pixel.
    far = ndimage.distance_transform_edt(made.mask == 0, sampling=head.spacing) > 2.5 + 2 * max(head.spacing)
    assert not (made.changed & far).any()


def test_same_stream_same_bytes_another_stream_another_tumour(head: Scan) -> None:
    one, same, other = (paint_scan(stream(seed, "test", 0), head, Dials(size_ml=(9, 9))) for seed in (1, 1, 2))
    assert np.array_equal(one.mask, same.mask)
    assert all(one.images[name].tobytes() == same.images[name].tobytes() for name in one.images)
    assert not np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("asked", [4.0, 30.0])
def test_volume_is_what_was_asked(head: Scan, asked: float) -> None:
    made = paint_scan(stream(2, "test", int(asked)), head, Dials(size_ml=(asked, asked)))
    counted = (made.mask > 0).sum() * np.prod(head.spacing) / 1000
    assert counted == pytest.approx(asked, rel=0.05)


def test_area_of_a_single_slice_is_that_of_a_ball_cut_in_half(head: Scan) -> None:
    widest = int(tissues_of(head.images, head.spacing).brain.sum((1, 2)).argmax())
    flat = Scan({name: image[widest : widest + 1] for name, image in head.images.items()}, head.spacing)
    made = paint_scan(stream(3, "test", 0), flat, Dials(size_ml=(10, 10)))
    area = (made.mask > 0).sum() * head.spacing[1] * head.spacing[2]
    assert area == pytest.approx(np.pi * (10_000 * 3 / 4 / np.pi) ** (2 / 3), rel=0.05)


def test_what_chance_drew_too_large_is_drawn_again_and_what_was_asked_is_not(
    head: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []

    def small_ones(*told: Any, **more: Any) -> Stroke:
        tried.append(told[2].biology.volume_ml)
        if tried[-1] > 10 or len(tried) < 3:
            raise NoRoomError("room", "none", "ask for a smaller one")
        return grow_and_paint(*told, **more)

    monkeypatch.setitem(painters.PAINTERS, "growth", small_ones)
    tissue, material = tissues_of(head.images, head.spacing), Material(sizes=(4.0,))
    made = paint_scan(stream(3, "test", 0), head, Dials(), material=material, tissue=tissue)
    assert len(set(tried)) == len(tried) == 3  # another size each time
    assert made.facts["asked_ml"] == tried[-1]
    tried.clear()
    with pytest.raises(NoRoomError):
        paint_scan(stream(3, "test", 0), head, Dials(size_ml=(60, 60)), tissue=tissue)
    assert len(tried) == 4  # at other places
    tried.clear()
    with pytest.raises(NoRoomError):
        paint_scan(stream(3, "test", 0), head, Dials(size_ml=(60, 60), place=(28.0, 10.0, 12.0)), tissue=tissue)
    assert len(tried) == 1


def test_place_in_mm_is_met(head: Scan) -> None:
    asked = np.array([28.0, 10.0, 12.0])
    made = paint_scan(stream(4, "test", 0), head, Dials(size_ml=(8, 8), place=(28.0, 10.0, 12.0)))
    tissue = tissues_of(head.images, head.spacing)
    found = ((np.argwhere(made.mask).mean(0) - middle_of(tissue)) * head.spacing)[::-1]
    assert np.sqrt(((found - asked) ** 2).sum()) < 5


@pytest.mark.parametrize("side", ["left", "right"])
def test_sides_are_the_patients(head: Scan, side: str) -> None:
    made = paint_scan(stream(5, "test", 0), head, Dials(size_ml=(5, 5), place=place_of(side)))
    columns = np.argwhere(made.mask)[:, 2].mean()
    middle = middle_of(tissues_of(head.images, head.spacing))[2]
    # Columns run to the patient's left.
    assert (columns > middle) == (side == "left")


def test_contrast_dial_is_monotone(head: Scan) -> None:
    shown = []
    for contrast in (0.3, 0.8, 1.3):
        dials = Dials(size_ml=(20, 20), grade="low", contrast=(contrast, contrast), place=("left",))
        made = paint_scan(stream(6, "test", 0), head, dials)
        inside = made.mask > 0
        shown.append(float((made.images["flair"] - head.images["flair"])[inside].mean()))
    assert 0 < shown[0] < shown[1] < shown[2]


def test_enhancing_and_oedema_dials(head: Scan) -> None:
    def made(enhancing: float, oedema: float) -> np.ndarray:
        dials = Dials(
            size_ml=(25, 25), grade="high", enhancing=(enhancing, enhancing), oedema=(oedema, oedema), place=("right",)
        )
        return paint_scan(stream(7, "test", 0), head, dials).mask

    none, much = made(0.0, 0.3), made(0.6, 0.3)
    assert (none == 3).sum() == 0 < (much == 3).sum()
    assert (made(0.0, 0.8) == 2).sum() > 1.5 * (none == 2).sum()


def test_two_tumours_do_not_touch(head: Scan) -> None:
    from scipy import ndimage

    made = paint_scan(stream(8, "test", 0), head, Dials(size_ml=(4, 4), count=(2, 2)))
    assert ndimage.label(ndimage.binary_dilation(made.mask > 0, iterations=1))[1] >= 2


def test_a_tumour_that_is_there_is_refused_or_stays_apart(head: Scan) -> None:
    first = paint_scan(stream(9, "test", 0), head, Dials(size_ml=(10, 10)))
    twice = replace(head, images=first.images, mask=first.mask)
    with pytest.raises(InputError, match="--beside"):
        paint_scan(stream(9, "test", 1), twice, Dials(size_ml=(5, 5)))
    second = paint_scan(stream(9, "test", 1), twice, Dials(size_ml=(5, 5)), beside=True)
    assert not ((second.mask > 0) & (first.mask > 0)).any()


def test_mass_effect_moves_what_is_around(head: Scan) -> None:
    still = paint_scan(stream(10, "test", 0), head, Dials(size_ml=(20, 20)))
    moved = paint_scan(stream(10, "test", 0), head, Dials(size_ml=(20, 20), mass_effect_mm=(5, 5)))
    assert np.array_equal(still.mask, moved.mask)
    assert moved.changed.sum() > still.changed.sum()
    assert np.array_equal(moved.images["t1"][~moved.changed], head.images["t1"][~moved.changed])


def test_mass_effect_leaves_other_tumours_where_their_masks_are(head: Scan) -> None:
    first = paint_scan(stream(9, "test", 0), head, Dials(size_ml=(10, 10)))
    twice = replace(head, images=first.images, mask=first.mask)
    dials = Dials(size_ml=(20, 20), mass_effect_mm=(10, 10))
    second = paint_scan(stream(9, "test", 1), twice, dials, beside=True)
    there = first.mask > 0
    # It pushes as far as there: the test would say nothing of tumours that lie far apart.
    assert second.changed[ndimage.binary_dilation(there, iterations=6)].any()
    assert not second.changed[there].any()
    assert all(np.array_equal(second.images[name][there], first.images[name][there]) for name in first.images)


def test_a_lesion_that_was_cut_off_ends_where_it_was(head: Scan) -> None:
    """A cohort of tumour slices alone ends where its tumours do."""
    tissue = tissues_of(head.images, head.spacing)
    z, y, x = (int(value) for value in middle_of(tissue))
    mask = np.zeros((3, *head.shape[1:]), np.uint8)
    mask[:, y - 5 : y + 5, x + 8 : x + 18] = 1
    cut = Scan({name: image[z - 1 : z + 2] for name, image in head.images.items()}, head.spacing, mask)
    flat = TissueMap(*(part[z - 1 : z + 2] for part in (tissue.brain, tissue.white, tissue.grey, tissue.depth_mm)),
                     tissue.levels, tissue.noise)  # fmt: skip
    lesion = lesion_of("donor", cut, flat)
    assert lesion is not None
    request = requested(stream(3, "test", 0), Dials(size_ml=(lesion.ml, lesion.ml)))
    start = np.array([z, y, x + 13], np.float64)
    shape, _, made, _ = pasted(stream(3, "test", 1), head, tissue, request, start, room_of(tissue), [lesion])
    rows = np.flatnonzero(made.any((1, 2))) + shape.box[0].start
    assert (rows[0], rows[-1]) == (z - 1, z + 1)


def test_own_mask_is_filled_as_it_is(head: Scan) -> None:
    tissue = tissues_of(head.images, head.spacing)
    z, y, x = (int(value) for value in middle_of(tissue))
    drawn = np.zeros(head.shape, np.uint8)
    drawn[z - 1 : z + 2, y - 6 : y + 6, x + 8 : x + 18] = 2
    drawn[z, y - 3 : y + 3, x + 11 : x + 15] = 3
    made = paint_scan(stream(11, "test", 0), head, Dials(), drawn=drawn)
    assert np.array_equal(made.mask, drawn)


def test_bad_masks_are_refused(head: Scan) -> None:
    outside, unknown = np.zeros(head.shape, np.uint8), np.zeros(head.shape, np.uint8)
    outside[:, :4, :4] = 1
    unknown[head.shape[0] // 2, 50:60, 50:60] = 9
    for drawn, words in (
        (outside, "inside the brain"),
        (unknown, "value 9"),
        (outside[:1], "the scan's grid"),
        (np.zeros(head.shape, np.uint8), "empty"),
    ):
        with pytest.raises(InputError, match=words):
            paint_scan(stream(12, "test", 0), head, Dials(), drawn=drawn)


def test_what_is_no_brain_is_refused(rng: np.random.Generator) -> None:
    blank = Scan({"flair": np.zeros((3, 64, 64), np.float32)}, (5.0, 3.0, 3.0))
    small = np.zeros((3, 64, 64), np.float32)
    small[:, 30:34, 30:34] = 1
    for scan in (blank, Scan({"flair": small}, (5.0, 1.0, 1.0))):
        with pytest.raises(InputError, match="brain"):
            paint_scan(rng, scan, Dials())


def test_a_plain_picture_is_not_guessed(head: Scan) -> None:
    plain = replace(head, images={"image": head.images["t1"]})
    with pytest.raises(InputError, match="--shows"):
        plain.showing(None)
    assert list(plain.showing("t1").images) == ["t1"]


def test_more_than_the_brain_holds_is_refused(head: Scan) -> None:
    few = Scan({name: image[10:12] for name, image in head.images.items()}, head.spacing)
    with pytest.raises(InputError, match="room"):
        paint_scan(stream(13, "test", 0), few, Dials(size_ml=(240, 240)))
    with pytest.raises(InputError, match="inside the brain"):
        paint_scan(stream(13, "test", 0), head, Dials(size_ml=(5, 5), place=(0.0, 300.0, 0.0)))


def test_lobes_are_the_phantoms() -> None:
    from typing import get_args

    from synthoma.painting.dials import LOBES
    from synthoma.phantom.config import Lobe

    assert get_args(Lobe) == LOBES


def _grown_ones(head: Scan, material: Material, count: int = 8) -> list[tuple[Painted, TissueMap]]:
    """Tumours of 20 ml, each in the same head."""
    tissue = tissues_of(head.images, head.spacing)
    dials = Dials(size_ml=(20, 20), grade="low")
    return [
        (paint_scan(stream(seed, "test.look"), head, dials, material=material, tissue=tissue), tissue)
        for seed in range(count)
    ]


def test_a_tumour_stands_out_as_those_of_patients(head: Scan) -> None:
    """Mean of the mask over white matter is what training patients show, with all the brain that is left in it."""
    aims = {"flair": 1.5, "t1": 0.8, "t1c": 0.8}
    found: dict[str, list[float]] = {name: [] for name in aims}
    for made, tissue in _grown_ones(head, Material(seen=aims)):
        for name in aims:
            found[name].append(float(made.images[name][made.mask > 0].mean()) / tissue.levels[name][WHITE])
    for name, aim in aims.items():
        assert abs(float(np.mean(found[name])) - aim) < 0.3 * abs(aim - 1), (name, np.mean(found[name]))


def test_a_tumour_fades_beyond_its_mask(head: Scan) -> None:
    """A pixel outside there is some of its contrast, inside nearly all, two pixels on next to nothing."""
    rings: dict[int, list[float]] = {-2: [], 1: [], 3: []}
    for made, _ in _grown_ones(head, Material()):
        mask = made.mask > 0
        away = np.stack([ndimage.distance_transform_edt(~one) - ndimage.distance_transform_edt(one) for one in mask])
        change = np.abs(made.images["flair"] - head.images["flair"])
        for ring, found in rings.items():
            found.append(float(change[np.round(away) == ring].mean() / change[mask].mean()))
    inner, outer, far = (float(np.mean(rings[ring])) for ring in (-2, 1, 3))
    assert inner > 0.85
    assert 0.12 < outer < 0.6
    assert far < 0.05
