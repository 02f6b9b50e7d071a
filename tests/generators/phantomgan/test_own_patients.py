"""Every image of a patient of its own: which slices are chosen, and that parts of a cohort can be drawn anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.slicing import PreparedCase
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.progress import silent
from synthoma.generators.phantomgan.choosing import FAR_MM, chosen_slices
from synthoma.metrics.similarity import twins
from synthoma.phantom import PhantomCohortConfig
from synthoma.pipeline import own_patients
from synthoma.pipeline.own_patients import Candidates, write_own_patients
from synthoma.training.bundle import shipped_model

CONFIG = PhantomCohortConfig.model_validate({"size": 16, "modalities": ("flair",), "jobs": 1, "seed": 4})


def test_no_patient_gives_more_than_it_may_and_its_slices_lie_far_apart() -> None:
    patients, heights = np.repeat(np.arange(12), 10), np.tile(np.arange(10) * 9.0, 12)
    chances = np.full(120, 1 / 120)
    taken = chosen_slices(chances, patients, heights, 16, 2, np.random.default_rng(0))
    assert len(set(taken.tolist())) == 16
    for patient in range(12):
        own = heights[taken[patients[taken] == patient]]
        assert len(own) <= 2
        assert len(own) < 2 or abs(own[0] - own[1]) >= FAR_MM
    alone = chosen_slices(chances, patients, heights, 16, 1, np.random.default_rng(0))
    assert sorted(patients[alone].tolist()) == list(range(12))  # there are no more patients


def test_slices_lie_nearer_only_where_there_are_no_others() -> None:
    patients, heights = np.repeat(np.arange(4), 3), np.tile([0.0, 5.0, 10.0], 4)
    taken = chosen_slices(np.full(12, 1 / 12), patients, heights, 8, 2, np.random.default_rng(0))
    assert np.bincount(patients[taken]).tolist() == [2, 2, 2, 2]


def test_likelier_slices_are_chosen_more_often() -> None:
    patients, heights = np.repeat(np.arange(20), 4), np.tile(np.arange(4) * 40.0, 20)
    chances = np.where(np.arange(80) % 4 == 2, 10.0, 1.0)
    taken = chosen_slices(chances / chances.sum(), patients, heights, 20, 1, np.random.default_rng(1))
    assert (taken % 4 == 2).mean() > 0.6  # 10 of 13 by chance


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Patients of four slices, each pixel the patient's number; the first of them has a tumour. Who was asked for."""
    asked: list[int] = []

    def toy(config: PhantomCohortConfig, number: int, kinds: tuple[str, ...]) -> Candidates | None:
        asked.append(number)
        rows = [row for row in range(4) if ("tumour" if row == 0 else "healthy") in kinds]
        if number % 7 == 3 or not rows:
            return None
        images = np.full((len(rows), 1, 16, 16), number, np.float16)
        masks = np.stack([np.full((16, 16), row == 0, np.uint8) for row in rows])
        records = [
            {"case": f"own-{number}", "patient": f"own-{number}", "slice": row, "tumour_pixels": 256 * (row == 0)}
            for row in rows
        ]
        structure = np.ones((len(rows), 9))
        return Candidates(
            PreparedCase(images, masks, records, np.zeros(0), [], {1: "tumour"}), structure, 40.0 * np.array(rows)
        )  # type: ignore[arg-type]

    monkeypatch.setattr(own_patients, "candidates", toy)
    return asked


def drawn(
    folder: Path, images: range, kinds: Sequence[str] = ("healthy", "tumour"), per_patient: int = 2
) -> tuple[Cohort, int]:
    folder.mkdir()
    return write_own_patients(folder, CONFIG, images, None, kinds, per_patient, silent)


def test_the_slice_of_an_image_depends_on_its_number_alone(toys: list[int], tmp_path: Path) -> None:
    whole, first = drawn(tmp_path / "whole", range(50))
    assert (first, len(whole)) == (0, 50)
    part, begin = drawn(tmp_path / "part", range(20, 40))
    assert begin == 16
    assert np.array_equal(part.images[4:], whole.images[20:40])
    assert part.slices["case"].iloc[4:].tolist() == whole.slices["case"].iloc[20:40].tolist()
    assert whole.slices["case"].value_counts().max() <= 2
    assert whole.origin == "phantom"
    assert set(whole.slices["label"]) == {"tumour", "healthy"}


def test_more_patients_are_simulated_where_the_first_have_too_few(toys: list[int], tmp_path: Path) -> None:
    cohort, _ = drawn(tmp_path / "ill", range(16), ("tumour",))
    assert cohort.slices["case"].is_unique  # one slice each shows a tumour
    assert (cohort.slices["label"] == "tumour").all()
    assert len(set(toys)) > 16


def test_nothing_is_drawn_where_no_patient_has_such_a_slice(
    toys: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_patients, "MOST", 30)
    with pytest.raises(InputError, match="among 30 simulated patients"):
        drawn(tmp_path / "none", range(4), ("cyst",))


def test_images_per_patient_are_for_those_who_simulate_some(tmp_path: Path) -> None:
    model = shipped_model("generator")
    for said, settings in (
        ("whose patients are there already", {"count": 4, "phantom": tmp_path / "phantom"}),
        ("whole patients", {"patients": 2}),
        ("1 to 16 images", {"count": 4, "per_patient": 17}),
        ("1 to 16 images", {"count": 4, "per_patient": 2.5}),
        ("1 to 16 images", {"count": 4, "per_patient": "two"}),
    ):
        with pytest.raises(ConfigError, match=said):
            synthoma.generate(model, tmp_path / "no", **{"per_patient": 1, **settings})  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_cohort_without_twins(tmp_path: Path) -> None:
    model = shipped_model("generator")
    whole = synthoma.generate(model, tmp_path / "whole", 40, seed=2)
    table = whole.slices
    assert table["group"].value_counts().max() == 2
    images = np.clip(whole.images[:, 0].astype(np.float32), 0, 1)
    assert twins(images, table["case"].tolist()).share == 0
    assert ((whole.masks > 0).sum(axis=(1, 2)) == table["tumour_pixels"]).all()
    part = synthoma.generate(model, tmp_path / "part", 40, seed=2, shard=(2, 2))
    assert np.array_equal(part.images, whole.images[20:])
    assert part.slices["repaints"].tolist() == table["repaints"].tolist()[20:]


def test_no_slice_lies_above_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((3, 1, 16, 16), np.float16)
    images[:2, 0, 3:13, 3:13] = 0.6
    images[2] = 0.03  # noise alone
    records = [{"slice": row, "tumour_pixels": 0, "spacing": "1 1 6"} for row in range(3)]
    prepared = PreparedCase(images, np.zeros((3, 16, 16), np.uint8), records, np.zeros((3, 4)), [], {1: "tumour"})  # type: ignore[arg-type]
    monkeypatch.setattr(own_patients, "prepared_patient", lambda *_, **__: prepared)
    found = own_patients.candidates(CONFIG, 0, ("healthy",))
    assert found is not None
    assert [record["slice"] for record in found.found.records] == [0, 1]
    assert found.heights.tolist() == [0.0, 6.0]
