"""Preparation as the seed projects do it: stretched, padded and windowed, tiled, and with changed copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthoma
from synthoma.cohorts.changed_copies import as_scanned
from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.framing import Box, Fit, centred, fit_square, part_of, resize, resize_back, shown_part
from synthoma.cohorts.settings import PREPARATIONS, PrepareConfig
from synthoma.cohorts.slicing import PreparedCase, prepare_case
from synthoma.cohorts.squares import FramingRule, frame, from_squares, tiles, to_squares
from synthoma.core.errors import ConfigError
from synthoma.detectors.learning import AugmentConfig
from synthoma.detectors.offline import changed
from synthoma.scans.case import Case, Geometry, Study


def test_a_stretched_slice_fills_the_square_and_its_pixels_are_no_squares() -> None:
    fit, pixel = fit_square(Box(0, 0, 20, 40), (1.0, 1.0), 10, "stretch")
    assert (fit.rows, fit.columns, fit.top, fit.left) == (10, 10, 0, 0)
    assert pixel == (2.0, 4.0)
    kept, pixel = fit_square(Box(0, 0, 20, 40), (1.0, 1.0), 10)
    assert (kept.rows, kept.columns, pixel) == (5, 10, (4.0, 4.0))


def test_a_slice_is_centred_in_a_larger_square_and_part_of_it_is_kept() -> None:
    # The seed's: 240 x 155 is padded to 256 and rows and columns 50 to 199 are kept.
    box = part_of(centred(Box(0, 0, 155, 240), 256), 50, 200)
    assert box == Box(50 - 50, 50 - 8, 150, 150)
    image = np.arange(12.0).reshape(3, 4)
    shown = shown_part(image, Box(-1, 2, 3, 4), fill=-1)
    assert shown.tolist() == [[-1, -1, -1, -1], [2, 3, -1, -1], [6, 7, -1, -1]]


def test_what_reaches_beyond_a_slice_comes_back_onto_its_own_grid() -> None:
    image = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    fit = Fit(Box(-2, -1, 9, 9), 9, 9, 9)
    np.testing.assert_array_equal(resize_back(resize(image, fit, 0.0), fit, image.shape), image)


def test_cubic_resizing_agrees_with_scipys_zoom_and_makes_no_new_extremes() -> None:
    from scipy import ndimage

    image = np.random.default_rng(1).random((40, 60)).astype(np.float32)
    fit = Fit(Box(0, 0, 40, 60), 16, 24, 24)
    ours = resize(image, fit, 0.0, "cubic")[4:20]
    other = ndimage.zoom(image, 0.4, order=3, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(ours, other.clip(image.min(), image.max()), atol=1e-5)
    assert not np.allclose(ours, resize(image, fit, 0.0)[4:20], atol=0.05)


def study() -> Study:
    """Four slices of 30 x 50 pixels, brighter from left to right, on a dark ground."""
    image = np.tile(np.linspace(0, 1, 50, dtype=np.float32), (4, 30, 1))
    image[:, 15:] *= 0.5
    return Study({"t1": image}, Geometry((1.0, 1.0, 1.0)))


@pytest.mark.parametrize("rule", [FramingRule(crop=False, fitting="stretch", normalise="unit"), FramingRule(
    crop=False, pad=64, normalise="unit")])  # fmt: skip
def test_maps_over_such_squares_come_back_where_they_belong(rule: FramingRule) -> None:
    framing = frame(study(), ("t1",), size=100 if rule.pad is None else 64, rule=rule)
    back = from_squares(to_squares(framing), framing)[0]
    assert np.abs(back - study().images["t1"])[:, 1:-1, 1:-1].mean() < 0.02
    assert (framing.side_mm is None) == (rule.fitting == "stretch")


def test_tiles_cover_a_slice_and_overlap_evenly() -> None:
    framing = frame(study(), ("t1",), size=16, rule=FramingRule(crop=False, normalise="unit"))
    cut = tiles(framing, 20)
    assert [(name, part.fit.box.top, part.fit.box.left) for name, part in cut.items()] == [
        ("0-0", 0, 0), ("0-1", 0, 15), ("0-2", 0, 30), ("1-0", 10, 0), ("1-1", 10, 15), ("1-2", 10, 30),
    ]  # fmt: skip
    seen = np.zeros((30, 50), dtype=bool)
    for part in cut.values():
        box = part.fit.box
        seen[box.top : box.top + box.height, box.left : box.left + box.width] = True
    assert seen.all()
    assert tiles(framing, 64) == {"0-0": framing}, "what is smaller than a tile stays whole"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve 8-bit pictures of 60 x 90 pixels in two class folders."""
    place = tmp_path_factory.mktemp("pictures")
    draws = np.random.default_rng(5)
    for number in range(12):
        pixels = draws.integers(0, 60, (60, 90), dtype=np.uint8)
        pixels[20:40, 30 + number : 60 + number] += 150
        (place / ("yes", "no")[number % 2]).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place / ("yes", "no")[number % 2] / f"{number}.png")
    return place


def test_the_seeds_recipe_is_plain_stretching_of_pictures_by_255(folder: Path, tmp_path: Path) -> None:
    cohort = synthoma.prepare(folder, tmp_path / "c", recipe="dcgan-seed", size=30, duplicates=False)
    assert cohort.size == 30, "what is given counts before the recipe"
    row = int(np.flatnonzero(cohort.slices["source"].str.contains("4"))[0])
    pixels = np.asarray(Image.open(folder / "yes" / "4.png"), dtype=np.float32)
    places = np.meshgrid((np.arange(30) + 0.5) * 2 - 0.5, (np.arange(30) + 0.5) * 3 - 0.5, indexing="ij")
    rows, columns = (np.floor(place).astype(int) for place in places)
    # Linear by hand: each place lies between two rows, and on a column.
    by_hand = (pixels[rows, columns] + pixels[rows + 1, columns]) / 2 / 255
    np.testing.assert_allclose(cohort.images[row, 0], by_hand, atol=1e-3)


def test_a_recipe_is_what_is_not_given() -> None:
    own = PrepareConfig.model_validate({"recipe": "mask-dcgan-seed", "size": 56})
    assert (own.size, own.pad, own.window, own.plane) == (56, 256, (50, 200), "sagittal")
    with pytest.raises(ConfigError, match="recipe"):
        PrepareConfig.resolve(assignments=["recipe=seed"])
    with pytest.raises(ConfigError, match="window"):
        PrepareConfig.resolve(assignments=["window=[200,50]"])
    assert set(PREPARATIONS) == {"dcgan-seed", "mask-dcgan-seed", "resunet-seed", "resnet50-seed"}


@pytest.fixture(scope="module")
def copied(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """The pictures with two changed copies of each training slice."""
    place = tmp_path_factory.mktemp("copied") / "c"
    return synthoma.prepare(folder, place, size=32, crop=False, augment=2, duplicates=False, seed=3)


@pytest.mark.slow
def test_only_training_slices_are_copied_and_stay_with_their_patient(
    copied: Cohort, folder: Path, tmp_path: Path
) -> None:
    plain = synthoma.prepare(folder, tmp_path / "c", size=32, crop=False, duplicates=False, seed=3)
    table = copied.slices
    assert (table["changed_copy"].value_counts().to_dict()) == {0: 12, 1: 8, 2: 8}
    assert set(table["split"][table["changed_copy"] > 0]) == {"train"}
    for _, rows in table.groupby("case"):
        assert rows["group"].nunique() == rows["label"].nunique() == rows["split"].nunique() == 1
    np.testing.assert_array_equal(copied.images[:12], plain.images)
    assert as_scanned(table).sum() == 12
    first = np.asarray(copied.images[12:20], np.float32)
    sources = np.asarray(plain.images[plain.rows(split="train")], np.float32)
    assert (np.abs(first - sources).mean(axis=(1, 2, 3)) > 0.01).all()
    assert any("changed copies" in remark for remark in copied.meta.remarks)
    assert not list(copied.path.glob("without*"))


@pytest.mark.slow
def test_a_copy_does_not_depend_on_how_many_there_are(copied: Cohort, folder: Path, tmp_path: Path) -> None:
    one = synthoma.prepare(folder, tmp_path / "c", size=32, crop=False, augment=1, duplicates=False, seed=3)
    np.testing.assert_array_equal(one.images, copied.images[:20])


def test_a_changed_mask_has_no_value_of_its_own() -> None:
    import torch

    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24], mask[12:20, 12:20] = 1, 3
    image = mask[None].astype(np.float32) / 3
    draws = torch.Generator().manual_seed(1)
    only_moved = AugmentConfig(gamma=0, contrast=0, bias=0, noise=0, ghosting=0, blur=0)
    moved, found = changed(image, mask, only_moved, draws)
    assert set(np.unique(found)) == {0, 1, 3}
    assert found.any()
    assert (found != mask).any()
    assert np.abs(moved[0] - found / 3).mean() < 0.03, "the mask moves with its slice"


@pytest.mark.slow
def test_tiles_become_slices_of_one_case(folder: Path, tmp_path: Path) -> None:
    cohort = synthoma.prepare(folder, tmp_path / "c", size=32, crop=False, tile=45, normalise="unit", apart=True)
    table = cohort.slices
    assert set(table["tile"]) == {"0-0", "0-1", "1-0", "1-1"}
    assert len(cohort) == 48
    assert (table.groupby("case")["split"].nunique() == 1).all()
    assert set(table["box_left"]) == {0, 45}
    assert set(table["box_top"]) == {0, 15}


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_a_tile_that_uses_all_of_its_type_is_not_taken_for_an_empty_one(kind: type[np.signedinteger]) -> None:
    """The difference of its ends lies beyond the type, and wraps round below 0."""
    ends = np.iinfo(kind)
    slope = np.linspace(ends.min, ends.max, 32).astype(kind)
    image = np.broadcast_to(slope, (1, 32, 32)).copy()
    case = Case("one", None, ("t1",), lambda: Study({"t1": image}, Geometry((1.0, 1.0, 1.0))))
    config = PrepareConfig(size=16, tile=32, crop=False, normalise="unit", slices="all", min_brain=0.0)
    found = prepare_case(case, config, ("t1",), 0)
    assert isinstance(found, PreparedCase), found
    assert len(found.images) == 1
