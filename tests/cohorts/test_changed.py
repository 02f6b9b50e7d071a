"""What a person changes of a cohort becomes a cohort of its own, and says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthoma.cohorts.changed import Change, changed, write_changed
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import CohortError, ConfigError, InputError
from tests.toys import write_cohort


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Six slices of three patients; the third is held out."""
    images = np.arange(6)[:, None, None] / 6 * np.ones((6, 16, 16))
    groups, splits = ["a", "a", "b", "b", "c", "c"], ["train"] * 4 + ["test"] * 2
    return write_cohort(tmp_path / "c", images, ["tumour", "healthy"] * 3, groups=groups, splits=splits)


def saved(cohort: Cohort, tmp_path: Path, *changes: Change) -> Cohort:
    """The cohort that comes of it."""
    (tmp_path / "new").mkdir()
    write_changed(cohort, tmp_path / "new", changes)
    return Cohort(tmp_path / "new")


def test_changes_become_a_cohort_of_their_own(cohort: Cohort, tmp_path: Path) -> None:
    before = (cohort.path / "slices.csv").read_bytes()
    new = saved(
        cohort, tmp_path, Change("leave out", (0, 1)), Change("take back", (1,)), Change("class", (2,), "glioma"),
        Change("split", (3,), "validation"),
    )  # fmt: skip
    assert (cohort.path / "slices.csv").read_bytes() == before
    assert new.slices["label"].tolist() == ["healthy", "glioma", "healthy", "tumour", "healthy"]
    assert new.slices["split"].tolist() == ["train", "validation", "validation", "test", "test"]  # both slices of b
    assert np.array_equal(new.images[1], cohort.images[2])
    assert (new.meta.groups, new.meta.left_out, len(new)) == (3, 1, 5)
    assert new.meta.classes == ("healthy", "tumour", "glioma")
    assert "1 left out, 1 of another class, 2 moved" in new.meta.remarks[-1]
    listed = (new.path / "changes.csv").read_text(encoding="utf-8").splitlines()
    assert len(listed) == 4
    assert listed[2].endswith("class glioma; split validation")


def test_a_patient_leaves_as_a_whole(cohort: Cohort) -> None:
    assert changed(cohort, [Change("leave out group", (1, 4))]).out == {0, 1, 4, 5}


def test_what_was_is_no_change(cohort: Cohort) -> None:
    done = changed(
        cohort, [Change("class", (0,), "x"), Change("class", (0,), "tumour"), Change("split", (0,), "train")]
    )
    assert not done.labels
    assert not done.splits
    assert 0 not in done


@pytest.mark.parametrize(
    "change",
    [
        Change("leave out", ()), Change("leave out", (6,)), Change("leave out", (-1,)), Change("class", (0,), ""),
        Change("class", (0,), "../x"), Change("class", (0,), "=1+1"), Change("split", (0,), "tset"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(cohort: Cohort, change: Change) -> None:
    with pytest.raises((InputError, ConfigError)):
        changed(cohort, [change])


def test_something_is_left(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="none of 6"):
        saved(cohort, tmp_path, Change("leave out", tuple(range(6))))
