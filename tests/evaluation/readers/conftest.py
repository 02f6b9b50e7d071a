"""Small cohorts, and a set made of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import synthoma
from synthoma.evaluation.readers.blinded import TuringSet
from tests.toys import blobs, write_cohort

Cohorts = tuple[Path, Path]


@pytest.fixture(scope="session")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Cohorts:
    """60 real patients, of whom 40 are held out, and 60 synthetic slices of a generator that saw the other 20."""
    folder = tmp_path_factory.mktemp("cohorts")
    labels = ["glioma", "meningioma"] * 30
    known = {"mask_names": {"1": "tumour"}, "labels": labels}
    images, masks = blobs(60, 0, 32)
    write_cohort(folder / "real", images, masks=masks, splits=["train"] * 20 + ["test"] * 40, origin="real", **known)
    images, masks = blobs(60, 1, 32)
    groups = [f"case-{number:04d}" for number in range(20)]
    write_cohort(
        folder / "synthetic", images, masks=masks, origin="synthetic",
        groups=[f"synthetic-{number}" for number in range(60)],
        provenance={"trained_on": {"slices": 20, "classes": ["glioma", "meningioma"], "groups": groups}}, **known,
    )  # fmt: skip
    return folder / "real", folder / "synthetic"


@pytest.fixture(scope="session")
def blinded(cohorts: Cohorts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of single pictures for three readers, 16 + 16 and 8 repeats."""
    place = tmp_path_factory.mktemp("sets") / "set"
    synthoma.turing_make(*cohorts, place, number=16, repeats=0.25, readers=("A", "B", "C"), pixels=64)
    return place


@pytest.fixture(scope="session")
def paired(cohorts: Cohorts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 12 pairs and 3 repeats for one reader."""
    place = tmp_path_factory.mktemp("sets") / "pairs"
    synthoma.turing_make(*cohorts, place, design="pairs", number=12, repeats=0.25, pixels=64)
    return place


def truth_of(place: Path) -> dict[str, dict[str, str]]:
    """The key by item."""
    return {one["item"]: one for one in json.loads((place / "key.json").read_text())["items"]}


def write_answers(
    place: Path, file: Path, answer: Callable[[Mapping[str, str]], str], **others: Callable[[Mapping[str, str]], object]
) -> Path:
    """Fill in a reader's file: what is answered to an item of the key, and what stands in other columns."""
    key = truth_of(place)
    with next(place.glob("answers-*.csv")).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        item = key[row["item"]]
        row["answer"] = answer(item)
        row.update({name: str(value(item)) for name, value in others.items()})
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def read_set(place: Path) -> TuringSet:
    """The set as Python has it."""
    from synthoma.evaluation.readers.blinded import read_set as read

    return read(place)
