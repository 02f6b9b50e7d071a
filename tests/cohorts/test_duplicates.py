"""Duplicate search: known groups, recovered motions, invariances, refusals, and what it finds in real sets."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from synthoma.cohorts.copies.duplicates import Duplicates, find_duplicates
from synthoma.cohorts.copies.pairs import Pair
from synthoma.cohorts.copies.thumbnails import thumbnail
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.seeding import stream
from synthoma.core.types import Array, Float32

pytestmark = pytest.mark.slow

EMPTY = np.zeros((64, 64), dtype=np.float32)


def head(index: int, side: int = 64) -> Float32:
    """A made-up slice: a bright ring around smooth texture, another one for every index."""
    draw = stream(5, "head", index)
    rows, columns = (np.mgrid[:side, :side] - (side - 1) / 2) * (64 / side)
    radius = np.hypot(rows / draw.uniform(24, 27), columns / draw.uniform(19, 23))
    texture = ndimage.zoom(ndimage.gaussian_filter(draw.normal(size=(64, 64)), 1.3), side / 64, order=1)
    inside = 0.45 + 0.15 * texture / texture.std()
    picture = np.where(radius < 0.88, inside, np.where(radius < 1, 0.9, 0))
    return ndimage.gaussian_filter(picture, 0.6 * side / 64).clip(0, 1).astype(np.float32)


def heads(count: int, first: int = 0) -> Float32:
    return np.stack([head(first + index) for index in range(count)])


def turned(picture: Array, degrees: float) -> Array:
    return ndimage.rotate(picture, degrees, reshape=False, order=1)


def shifted(picture: Array, right: int, down: int) -> Array:
    return ndimage.shift(picture, (down, right), order=0)


def encoded(picture: Array, quality: int = 60) -> Array:
    buffer = io.BytesIO()
    Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image, dtype=np.float32) / 255


def search(pictures: list[Array], **options: object) -> Duplicates:
    stack = np.stack([np.ascontiguousarray(picture, dtype=np.float32) for picture in pictures])
    return find_duplicates(stack, jobs=1, **options)  # type: ignore[arg-type]


def partition(found: Duplicates) -> set[frozenset[int]]:
    """Groups as sets of positions."""
    return {frozenset(np.flatnonzero(found.groups == group).tolist()) for group in np.unique(found.groups)}


# Groups


def test_known_groups_are_found_and_named_by_their_first_image() -> None:
    a, b, c = heads(3)
    found = search([a, b, a[:, ::-1], c, turned(a, 5), encoded(b)])
    assert found.groups.tolist() == [0, 1, 0, 3, 0, 1]
    assert found.groups.dtype == np.int64
    assert found.redundant == 3


def test_pairs_join_their_groups_by_single_linkage() -> None:
    pictures = [head(0), head(0)[:, ::-1], turned(head(0), 4), head(1), shifted(head(1), 3, 2), head(2)]
    found = search(pictures)
    group = list(range(len(pictures)))
    for pair in found.pairs:
        old, new = group[pair.second], group[pair.first]
        group = [new if name == old else name for name in group]
    assert {frozenset(i for i, name in enumerate(group) if name == kept) for kept in group} == partition(found)


def test_a_chain_of_copies_is_one_group() -> None:
    links = [head(0)]
    for _ in range(4):
        links.append(turned(links[-1], 5))
    assert search([*links, head(1)]).groups.tolist() == [0, 0, 0, 0, 0, 5]


def test_a_group_of_58_is_whole_although_it_is_larger_than_the_neighbourhood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthoma.cohorts.copies.duplicates._COMPARED", 0)
    copies = [encoded(np.rot90(head(0)[:, :: 1 - 2 * (i % 2)], i // 2 % 4), 60 + i // 2) for i in range(58)]
    found = search([*copies, *heads(30, first=1)])
    assert found.groups.tolist() == [0] * 58 + list(range(58, 88))
    assert found.redundant == 57


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_small_collections(count: int) -> None:
    found = find_duplicates(heads(2)[:count])
    assert found.groups.tolist() == list(range(count))
    assert found.pairs == ()
    assert found.redundant == 0


def test_two_equal_images_are_a_pair() -> None:
    found = search([head(0), head(0)])
    assert [(pair.first, pair.second, pair.kind) for pair in found.pairs] == [(0, 1, "near")]
    assert found.pairs[0].score > 0.999


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(8)))
def test_the_order_of_the_images_permutes_the_groups_and_nothing_else(order: list[int]) -> None:
    a, b = heads(2)
    pictures = [a, a[::-1], turned(a, -5), shifted(a, -3, 4), b, encoded(b), head(2), EMPTY]
    plain, mixed = search(pictures), search([pictures[i] for i in order])
    assert {frozenset(order[i] for i in group) for group in partition(mixed)} == partition(plain)
    scores = {frozenset((order[p.first], order[p.second])): p.score for p in mixed.pairs}
    assert scores == {frozenset((p.first, p.second)): p.score for p in plain.pairs}


def test_the_number_of_threads_changes_nothing() -> None:
    pictures = np.concatenate([heads(40), heads(20)[:, :, ::-1], heads(10)[:, ::-1]])
    threads = torch.get_num_threads()
    one, three = find_duplicates(pictures, jobs=1), find_duplicates(pictures, jobs=3)
    assert one.pairs == three.pairs
    assert one.groups.tolist() == three.groups.tolist()
    assert torch.get_num_threads() == threads


def test_thumbnails_on_a_disk_are_searched_like_those_in_memory(tmp_path: Path) -> None:
    pictures = np.concatenate([heads(20), heads(20)[:7, :, ::-1]])
    np.save(tmp_path / "thumbnails.npy", pictures)
    mapped = find_duplicates(np.load(tmp_path / "thumbnails.npy", mmap_mode="r"), jobs=1)
    found = find_duplicates(pictures, jobs=1)
    assert mapped.pairs == found.pairs
    assert found.groups[20:].tolist() == list(range(7))


def test_intensity_scale_does_not_matter() -> None:
    pictures = [head(0), head(1), head(0)[:, ::-1] * 3000 - 500]
    assert search(pictures).groups.tolist() == [0, 1, 0]


# Digests and patients


def test_equal_bytes_and_pixels_are_named_so() -> None:
    pictures = [head(0), head(0), head(0), head(1)]
    found = search(pictures, file_digests=["a", "a", "b", "c"], pixel_digests=["x", "x", "x", "y"])
    assert [(pair.first, pair.second, pair.kind, pair.score) for pair in found.pairs] == [
        (0, 1, "bytes", 1.0),
        (0, 2, "pixels", 1.0),
    ]
    assert found.groups.tolist() == [0, 0, 0, 3]


def test_unknown_digests_match_nothing() -> None:
    assert search(list(heads(3)), file_digests=["", "", ""], pixel_digests=["", "", ""]).redundant == 0


def test_slices_of_one_known_patient_are_never_paired() -> None:
    pictures = [head(0), head(0)[:, ::-1], head(1), head(1)]
    digests = ["a", "b", "c", "c"]
    assert search(pictures, pixel_digests=digests, patients=["p", "p", "q", "q"]).pairs == ()
    assert search(pictures, pixel_digests=digests, patients=["p", "q", "r", None]).redundant == 2


def test_a_patient_met_twice_is_joined_through_another() -> None:
    found = search([head(0)] * 3, file_digests=["a"] * 3, patients=["p", "p", "q"])
    assert sorted((pair.first, pair.second) for pair in found.pairs) == [(0, 2), (1, 2)]
    assert found.redundant == 2


def test_constant_and_empty_pictures_match_nothing() -> None:
    spot = EMPTY.copy()
    spot[30:34, 30:34] = 1
    pictures = [EMPTY, EMPTY, EMPTY + 7, EMPTY + 7, spot, shifted(spot, 2, 0), spot, head(0)]
    found = search(pictures, file_digests=["black"] * 2 + ["seven"] * 2 + ["d", "e", "f", "g"])
    assert found.pairs == ()
    assert found.groups.tolist() == list(range(8))


def test_noise_matches_only_itself() -> None:
    noise = stream(1, "noise").random((12, 64, 64)).astype(np.float32)
    assert search(list(noise)).redundant == 0


def test_conflicts_are_groups_of_several_labels() -> None:
    found = Duplicates((Pair(0, 2, "bytes", 1.0), Pair(1, 3, "near", 0.97)), np.array([0, 1, 0, 1, 4]))
    assert found.conflicts(["glioma", "none", "glioma", "pituitary", "none"]) == [[1, 3]]
    assert found.conflicts(["glioma", "", "", "pituitary", "none"]) == []
    with pytest.raises(InputError, match="5 labels"):
        found.conflicts(["glioma"])


# Motion


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("degrees", [0, 5, -5, 90, 180, -90, 86, 174])
@pytest.mark.parametrize("shift", [(0, 0), (4, -3)])
def test_motion_is_recovered(flip: bool, degrees: float, shift: tuple[int, int]) -> None:
    picture = head(0)
    copy = shifted(turned(picture[:, ::-1] if flip else picture, degrees), *shift)
    (pair,) = search([picture, copy, head(1)]).pairs
    assert (pair.first, pair.second, pair.flip) == (0, 1, flip)
    assert abs((pair.rotation_deg - degrees + 180) % 360 - 180) <= 1.5
    assert np.hypot(pair.shift_x - shift[0], pair.shift_y - shift[1]) <= 1.5
    assert pair.zoom == pytest.approx(1, abs=0.03)
    assert pair.kind == ("near" if not flip and degrees == 0 and shift == (0, 0) else "transformed")


def test_the_motion_leads_from_the_first_to_the_second_in_either_order() -> None:
    picture, copy = head(0), turned(head(0), 5)
    for pictures, sign in (([picture, copy], 1), ([copy, picture], -1)):
        (pair,) = search(pictures).pairs
        assert pair.rotation_deg == pytest.approx(5 * sign, abs=1.5)


def test_zoom_is_recovered_and_squeezed_copies_are_found() -> None:
    large = head(0, side=128)
    zoomed = np.asarray(Image.fromarray(large).resize((64, 64), box=(8, 8, 120, 120)))
    squeezed = np.asarray(Image.fromarray(np.pad(large, ((0, 0), (12, 12)))).resize((64, 64)))
    found = search([head(0), zoomed, squeezed, *heads(6, first=1)])
    assert found.groups[:3].tolist() == [0, 0, 0]
    assert next(p for p in found.pairs if (p.first, p.second) == (0, 1)).zoom == pytest.approx(128 / 112, abs=0.03)


@pytest.mark.parametrize("gamma", [0.7, 1.4])
def test_gamma_noise_and_encoding_are_near_copies(gamma: float) -> None:
    noisy = head(0) + stream(2, "noise").normal(0, 0.01, (64, 64))
    found = search([head(0), head(0) ** gamma, noisy, encoded(head(0)), 0.5 * head(0) + 0.2, *heads(4, first=1)])
    assert found.groups.tolist() == [0, 0, 0, 0, 0, 5, 6, 7, 8]
    assert {pair.kind for pair in found.pairs} == {"near"}


# Thumbnails


@pytest.mark.parametrize("shape", [(64, 64), (240, 240), (300, 200), (97, 211), (40, 30), (1, 1), (1, 500)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float64])
def test_a_thumbnail_of_any_shape_and_type(shape: tuple[int, int], dtype: type) -> None:
    made = thumbnail((stream(0, "any").random(shape) * 200).astype(dtype))
    assert made.shape == (64, 64)
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() <= 1


@pytest.mark.parametrize("value", [0, 7, -3])
def test_a_constant_picture_has_a_black_thumbnail(value: int) -> None:
    assert not thumbnail(np.full((30, 50), value)).any()


def alike(first: Array, second: Array) -> float:
    """Correlation coefficient of two pictures, smoothed so that half a pixel matters little."""
    smooth = [ndimage.gaussian_filter(picture, 1.5).ravel() for picture in (first, second)]
    return float(np.corrcoef(*smooth)[0, 1])


def test_thumbnails_keep_the_aspect() -> None:
    picture = np.zeros((200, 300))
    picture[60:110, 80:180] = 1
    rows, columns = (np.flatnonzero(thumbnail(picture).max(axis) > 0.5) for axis in (1, 0))
    assert len(columns) / len(rows) == pytest.approx(2, rel=0.08)
    assert len(columns) >= 40  # half the picture's side is kept, no less


@pytest.mark.parametrize("margins", [((0, 0), (60, 60)), ((40, 0), (0, 0)), ((50, 50), (50, 50)), ((0, 90), (30, 0))])
def test_thumbnails_ignore_margins(margins: tuple[tuple[int, int], tuple[int, int]]) -> None:
    picture = head(3, side=256)
    assert alike(thumbnail(np.pad(picture, margins)), thumbnail(picture)) > 0.95


def test_thumbnails_follow_flips_and_turns() -> None:
    picture = np.pad(head(4, side=200), ((0, 30), (10, 0)))
    plain = thumbnail(picture)
    assert alike(thumbnail(picture[:, ::-1]), plain[:, ::-1]) > 0.95
    assert alike(thumbnail(np.rot90(picture)), np.rot90(plain)) > 0.95


def test_copies_of_other_sizes_and_margins_meet() -> None:
    picture = head(5, side=256)
    small = np.asarray(Image.fromarray(picture).resize((150, 150)))
    other = [np.pad(small, ((20, 0), (0, 35))), encoded(picture[10:250, 20:240]), picture[:, ::-1] ** 0.8]
    found = find_duplicates(np.stack([thumbnail(p) for p in [picture, *other, head(6, side=256)]]))
    assert found.groups.tolist() == [0, 0, 0, 0, 4]


# Refusals and progress


def test_what_does_not_fit_is_refused() -> None:
    pictures = heads(2)
    with pytest.raises(InputError, match="shape"):
        find_duplicates(pictures[:, :32])
    with pytest.raises(InputError, match="finite"):
        find_duplicates(np.full((1, 64, 64), np.nan, dtype=np.float32))
    with pytest.raises(InputError, match="2 patients"):
        find_duplicates(pictures, patients=["p"])
    with pytest.raises(ConfigError, match="threshold"):
        find_duplicates(pictures, threshold=0)
    with pytest.raises(InputError, match="grey picture"):
        thumbnail(np.zeros((5, 5, 3)))


def test_progress_counts_images_and_ends() -> None:
    seen: list[tuple[int, int]] = []
    find_duplicates(heads(30), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (30, 30)


# Real scans


def web_set(folder: Path) -> tuple[Float32, list[str], list[str]]:
    files = sorted(folder.glob("*/*"))
    pictures = [thumbnail(np.asarray(Image.open(file).convert("L"))) for file in files]
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return np.stack(pictures), digests, [file.parent.name for file in files]


def test_kaggle253_holds_about_200_distinct_slices(real_scans: Path) -> None:
    pictures, digests, labels = web_set(real_scans / "kaggle253")
    found = find_duplicates(pictures, file_digests=digests)
    assert sum(pair.kind == "bytes" for pair in found.pairs) == 25
    assert 195 <= len(pictures) - found.redundant <= 205
    assert found.conflicts(labels) == []


def test_types_holds_about_320_distinct_slices(real_scans: Path) -> None:
    pictures, digests, _ = web_set(real_scans / "types")
    found = find_duplicates(pictures, file_digests=digests)
    assert 308 <= len(pictures) - found.redundant <= 325
    assert any(pair.flip for pair in found.pairs)


@pytest.fixture(scope="module")
def lgg_slices(real_scans: Path) -> tuple[Float32, list[str]]:
    files = sorted(f for f in (real_scans / "lgg" / "kaggle_3m").glob("*/*.tif") if not f.stem.endswith("_mask"))
    return np.stack([thumbnail(np.asarray(Image.open(f))[..., 1]) for f in files]), [f.parent.name for f in files]


def test_different_patients_are_never_copies(lgg_slices: tuple[Float32, list[str]]) -> None:
    pictures, patients = lgg_slices
    assert find_duplicates(pictures, patients=patients, threshold=0.9).pairs == ()


def test_adjacent_slices_are_hardly_ever_copies(lgg_slices: tuple[Float32, list[str]]) -> None:
    pictures, patients = lgg_slices
    found = find_duplicates(pictures)
    assert all(patients[pair.first] == patients[pair.second] for pair in found.pairs)
    assert len(found.pairs) <= 0.002 * len(pictures)


def test_planted_copies_of_real_slices_are_found(lgg_slices: tuple[Float32, list[str]]) -> None:
    pictures, patients = lgg_slices
    busy = np.flatnonzero((pictures > 0.15).mean((1, 2)) > 0.25)
    sources = stream(9, "sources").choice(busy, 120, replace=False)
    changes = [
        lambda a: a[:, ::-1],
        lambda a: a[::-1],
        np.rot90,
        lambda a: turned(a, 5),
        lambda a: turned(a, -5),
        lambda a: shifted(a, 4, 0),
        lambda a: shifted(a, 0, -4),
        encoded,
        lambda a: a**0.8,
        lambda a: encoded(turned(a[:, ::-1], 5) ** 0.8),
    ]
    copies = np.stack([changes[i % len(changes)](pictures[s]) for i, s in enumerate(sources)]).astype(np.float32)
    found = find_duplicates(np.concatenate([pictures, copies]), patients=[*patients, *[None] * len(copies)])
    assert (found.groups[sources] == found.groups[len(pictures) :]).mean() >= 0.98
    names = [*patients, *[patients[s] for s in sources]]
    assert all(names[pair.first] == names[pair.second] for pair in found.pairs)
