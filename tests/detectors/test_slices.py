"""Labelled slices: context, targets, channels, and draws that favour no patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.core.errors import InputError
from synthoma.core.types import REGIONS
from synthoma.detectors.learning import AugmentConfig
from synthoma.detectors.offline import write_with_copies
from synthoma.detectors.slices import LabelledSlices, context_rows, target_maps, target_names
from tests.toys import write_cohort


def _cohort(
    folder: Path,
    slices: dict[str, list[int]],
    *,
    modalities: tuple[str, ...] = ("t1", "flair"),
    labels: dict[int, str] | None = None,
    step_mm: float | None = 5.0,
) -> Cohort:
    """Cases with these slice numbers; the images' value is 0.01 x the slice number, plus 0.5 in the second channel."""
    labels = {1: "tumour"} if labels is None else labels
    rows = [(case, number) for case, numbers in slices.items() for number in numbers]
    images = np.zeros((len(rows), len(modalities), 16, 16))
    masks = np.zeros((len(rows), 16, 16), np.uint8)
    for row, (_, number) in enumerate(rows):
        for channel in range(len(modalities)):
            images[row, channel] = 0.01 * number + 0.5 * channel
        if number % 2:
            masks[row, 2:6, 2:6] = max(labels, default=0)
    table = pd.DataFrame(
        {
            "case": [case for case, _ in rows], "slice": [number for _, number in rows],
            "group": [case for case, _ in rows], "split": "train", "label": "tumour",
            "step_mm": step_mm, "has_mask": bool(labels), "missing": "",
            "tumour_pixels": (masks > 0).sum(axis=(1, 2)),
        }
    )  # fmt: skip
    meta = {
        "origin": "phantom", "modalities": list(modalities), "classes": ["tumour"], "size": 16,
        "labels": {str(value): name for value, name in labels.items()},
    }  # fmt: skip
    folder.mkdir()
    with CohortWriter(folder, channels=len(modalities), size=16) as writer:
        writer.add(images, masks, [{} for _ in rows])
        writer.finish(table, meta)
    return Cohort(folder)


def test_neighbours_are_of_the_same_case(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"a": [3, 1, 2], "b": [2, 3]})
    rows = context_rows(cohort, 3, 4.0)
    assert rows.tolist() == [[2, 0, 0], [1, 1, 2], [1, 2, 0], [3, 3, 4], [3, 4, 4]]


def test_thin_slices_look_further(tmp_path: Path) -> None:
    """Slices of 1 mm seen 4 mm apart."""
    cohort = _cohort(tmp_path / "c", {"a": list(range(20))}, step_mm=1.0)
    rows = context_rows(cohort, 3, 4.0)
    assert rows[10].tolist() == [6, 10, 14]
    assert rows[0].tolist() == [0, 0, 4]


def test_a_gap_is_no_neighbour(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"a": [1, 2, 9]})
    assert context_rows(cohort, 3, 4.0).tolist() == [[0, 0, 1], [0, 1, 1], [2, 2, 2]]


def test_every_other_slice_is_still_a_neighbour(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"a": [0, 2, 4]}, step_mm=None)
    assert context_rows(cohort, 3, 4.0).tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 2]]


def test_classes_as_they_are_drawn(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"large": list(range(8)), "small": [1, 2]})
    slices = LabelledSlices(cohort, np.arange(10), ("t1",), ())
    slices.classes = np.array([0] * 8 + [0, 1])
    assert slices.class_shares(2).tolist() == [0.75, 0.25]
    rows = np.concatenate([slices.draw(0, "test", step, 16, None) for step in range(200)])
    assert 0.2 < slices.classes[rows].mean() < 0.3
    # Slice 1 of the small one shows tumour, slice 2 does not and is of the second class.
    assert slices.class_shares(2, 0.75).tolist() == [0.875, 0.125]
    rows = np.concatenate([slices.draw(0, "test", step, 16, 0.75) for step in range(200)])
    assert 0.1 < slices.classes[rows].mean() < 0.15


def test_unknown_distance_takes_the_next_slice(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"a": [1, 2, 3]}, step_mm=None)
    assert context_rows(cohort, 3, 4.0)[1].tolist() == [0, 1, 2]


def test_images_and_masks_of_a_batch(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"a": [1, 2, 3]})
    slices = LabelledSlices(cohort, np.arange(3), ("flair", "t1c", "t1"), ("tumour",), (3, 4.0))
    batch = slices.fetch(np.array([1]))
    values = batch.images[0, :, 0, 0].tolist()
    assert values == pytest.approx([0.51, 0, 0.01, 0.52, 0, 0.02, 0.53, 0, 0.03], abs=1e-3)
    assert batch.masks.shape == (1, 1, 16, 16)
    assert float(slices.fetch(np.array([0])).masks.sum()) == 16
    assert slices.volume(np.array([1]))[0, :, 0, 0].tolist() == pytest.approx([0.52, 0, 0.02], abs=1e-3)


def test_targets_contain_one_another() -> None:
    masks = np.array([[[0, 1, 2, 3]]], np.uint8)
    maps = target_maps(masks, ("tumour", "core", "enhancing"))
    assert maps[0, :, 0].tolist() == [[0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]


def test_targets_of_a_cohort(tmp_path: Path) -> None:
    assert target_names(_cohort(tmp_path / "a", {"a": [1]}, labels=REGIONS)) == ("tumour", "core", "enhancing")
    plain = _cohort(tmp_path / "b", {"a": [1]})
    assert target_names(plain) == ("tumour",)
    with pytest.raises(InputError, match="masks"):
        target_names(_cohort(tmp_path / "c", {"a": [1]}, labels={}))
    with pytest.raises(InputError, match="whole-tumour"):
        LabelledSlices(plain, np.arange(1), ("t1",), ("tumour", "core"))


def test_foreign_modalities_are_refused(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"a": [1]}, modalities=("t2",))
    with pytest.raises(InputError, match="t1c"):
        LabelledSlices(cohort, np.arange(1), ("t1c",), ())
    assert LabelledSlices(cohort, np.arange(1), ("image",), ()).channels == [0]


def test_draws_favour_no_patient(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"large": list(range(90)), "small": [1, 2]})
    slices = LabelledSlices(cohort, np.arange(len(cohort)), ("t1",), ("tumour",))
    rows = np.concatenate([slices.draw(0, "test", step, 16, 0.75) for step in range(200)])
    small = rows >= 90
    assert 0.45 < small.mean() < 0.55
    assert 0.71 < slices.tumour[rows].mean() < 0.79
    assert np.array_equal(slices.draw(0, "test", 3, 16, 0.5), slices.draw(0, "test", 3, 16, 0.5))
    assert not np.array_equal(slices.draw(0, "test", 3, 16, 0.5), slices.draw(1, "test", 3, 16, 0.5))


def test_a_few_duplicates_among_pictures_do_not_switch_the_tumour_share_off(tmp_path: Path) -> None:
    """A hundred pictures of as many people, ten with tumour; two healthy ones were joined as duplicates."""
    masks = np.zeros((100, 8, 8), np.uint8)
    masks[:10, 2:5, 2:5] = 1
    groups = [f"picture-{min(i, 98)}" for i in range(100)]
    images = np.random.default_rng(0).random((100, 8, 8))
    made = write_cohort(tmp_path / "c", images, None, masks, groups=groups, mask_names={"1": "tumour"})
    slices = LabelledSlices(made, np.arange(100), ("flair",), ("tumour",))
    drawn = np.concatenate([slices.draw(0, "test", step, 16, 0.65) for step in range(100)])
    assert (drawn < 10).mean() == pytest.approx(0.65, abs=0.04)


def test_a_patient_without_tumour_is_drawn_too(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"well": [2, 4], "ill": [1, 3]})
    slices = LabelledSlices(cohort, np.arange(4), ("t1",), ("tumour",))
    rows = np.concatenate([slices.draw(0, "test", step, 8, 1.0) for step in range(50)])
    assert set(rows.tolist()) == {0, 1, 2, 3}


def test_slices_farther_apart_than_there_are_of_them_are_still_neighbours(tmp_path: Path) -> None:
    """Every tenth slice of one scan, three in all."""
    cohort = _cohort(tmp_path / "c", {"a": [0, 10, 20]}, step_mm=None)
    assert context_rows(cohort, 3, 4.0).tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 2]]


def test_a_changed_copy_is_learned_from_with_its_own_image(tmp_path: Path) -> None:
    """Copies bear the case and the number of the slice that they were made from, and lie in no scan themselves."""
    cohort = _cohort(tmp_path / "c", {"a": [1, 2, 3]})
    (tmp_path / "more").mkdir()
    write_with_copies(cohort, tmp_path / "more", 2, strength=AugmentConfig(gamma=1.0))
    more = Cohort(tmp_path / "more")
    rows = context_rows(more, 3, 4.0)
    assert rows[:3].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 2]]
    assert rows[3:].tolist() == [[row] * 3 for row in range(3, 9)]
    copy = LabelledSlices(more, np.arange(9), ("t1", "flair"), ("tumour",), (3, 4.0)).volume(np.array([4]))
    assert np.array_equal(copy[0], more.images[4].astype(np.float32))


@pytest.mark.parametrize("column", ["tile", "sequence"])
def test_neighbours_are_of_the_same_tile_or_sequence(tmp_path: Path, column: str) -> None:
    """Slices cut into tiles, and sequences that are slices of their own, share case and number."""
    cohort = _cohort(tmp_path / "c", {"a": [1, 1, 2, 2, 3, 3]})
    cohort.slices[column] = ["one", "other"] * 3
    assert context_rows(cohort, 3, 4.0).tolist() == [
        [0, 0, 2], [1, 1, 3], [0, 2, 4], [1, 3, 5], [2, 4, 4], [3, 5, 5],
    ]  # fmt: skip


def test_whatever_shares_its_number_each_slice_is_seen_itself(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path / "c", {"a": [1, 1, 1, 2]})
    assert context_rows(cohort, 3, 4.0)[:, 1].tolist() == [0, 1, 2, 3]
