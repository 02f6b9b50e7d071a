"""Slices of patients who come and go: who is shown when follows from the number of the batch, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.memory import CohortInMemory
from synthoma.cohorts.meta import CohortMeta
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.provenance import file_digest
from synthoma.detectors import train as detectors
from synthoma.detectors.plan import DetectorPlan
from synthoma.detectors.slices import LabelledSlices
from synthoma.detectors.streamed import MOST_SLICES, Stream, StreamedSlices, Wanted
from synthoma.detectors.train import train_detector
from synthoma.settings import TrainConfig
from synthoma.training.bundle import open_model
from synthoma.training.loop import Progress
from tests.toys import ONE, blobs, write_cohort

SIZE = 16
META = CohortMeta(
    origin="phantom", modalities=("flair",), labels={"1": "tumour"}, classes=("healthy", "tumour"), size=SIZE
)
WANTED = Wanted(("flair",), ("tumour",), (3, 4.0), (), "zero-to-one")


def _cohort(number: int, slices: int = 6) -> CohortInMemory:
    """Patient ``number``: slices as bright as the number says, in thousandths; tumour in every second one."""
    images, masks = blobs(slices, seed=number, size=SIZE)
    images[:, 0, 0] = number / 1000
    masks[::2] = 0
    table = pd.DataFrame(
        {
            "case": f"p{number}",
            "group": f"p{number}",
            "split": "train",
            "slice": range(slices),
            "step_mm": 4.0,
            "has_mask": True,
            "tumour_pixels": (masks > 0).sum(axis=(1, 2)),
        }
    )
    table["label"] = np.where(table["tumour_pixels"] > 0, "tumour", "healthy")
    return CohortInMemory(META, images[:, None].astype(np.float16), masks, table)


class People:
    """A stream of such patients that notes what is asked of it; every ``missing``-th of them has no slices."""

    def __init__(self, mixed: int = 4, per_patient: int = 8, missing: int = 0) -> None:
        self.missing, self.begun, self.ended = missing, list[int](), 0
        self.stream = Stream("people://", mixed, per_patient, self._open)

    @contextmanager
    def _open(self, wanted: Wanted, first: int) -> Iterator[Iterator[LabelledSlices | None]]:
        self.begun.append(first)
        yield (None if self.missing and not n % self.missing else wanted.of(_cohort(n)) for n in count(first))
        self.ended += 1


def _seen(slices: StreamedSlices, step: int, batch: int = 8) -> set[int]:
    return set((slices.draw(1, "test", step, batch, None) // MOST_SLICES).tolist())


def test_a_batch_is_drawn_from_those_whose_turn_it_is_and_nobody_comes_back() -> None:
    slices = StreamedSlices(People(mixed=4, per_patient=8).stream, WANTED)
    everybody = [_seen(slices, step) for step in range(40)]
    for step, seen in enumerate(everybody):
        assert seen <= {step, step + 1, step + 2, step + 3}
    assert set().union(*everybody) >= set(range(3, 40)), "each patient is shown"


def test_each_patient_is_shown_as_often_as_was_asked_for() -> None:
    slices = StreamedSlices(People(mixed=8, per_patient=32).stream, WANTED)
    shown = np.concatenate([slices.draw(1, "test", step, 16, None) // MOST_SLICES for step in range(200)])
    times = np.bincount(shown)[8:-8]  # those at both ends are there for less than their time
    assert times.mean() == pytest.approx(32, rel=0.05)


def test_a_batch_depends_on_its_number_alone() -> None:
    people = People()
    walked, sudden = StreamedSlices(people.stream, WANTED), StreamedSlices(People().stream, WANTED)
    for step in range(12):
        rows = walked.draw(5, "test", step, 8, 0.5)
    again = sudden.draw(5, "test", 11, 8, 0.5)
    assert rows.tolist() == again.tolist()
    assert (walked.fetch(rows).images == sudden.fetch(again).images).all()
    assert people.begun == [0], "nothing is simulated twice on the way"
    assert (
        walked.draw(5, "test", 0, 8, 0.5).tolist()
        == StreamedSlices(People().stream, WANTED).draw(5, "test", 0, 8, 0.5).tolist()
    ), "going back begins there anew"
    assert people.begun == [0, 0]
    assert people.ended == 1


def test_what_is_fetched_is_the_patients_own_with_neighbours_and_mask() -> None:
    slices = StreamedSlices(People().stream, WANTED)
    rows = slices.draw(2, "test", 3, 16, None)
    found = slices.fetch(rows)
    for place, row in enumerate(rows.tolist()):
        number, at = divmod(row, MOST_SLICES)
        cohort = _cohort(number)
        near = [max(at - 1, 0), at, min(at + 1, 5)]
        assert (found.images[place].numpy() == cohort.images[near, 0].astype(np.float32)).all()
        assert (found.masks[place, 0].numpy() == cohort.masks[at]).all()


def test_tumours_are_favoured_as_asked_for_and_slices_may_be_drawn_alike() -> None:
    for by_patient in (True, False):
        slices = StreamedSlices(People(mixed=8).stream, WANTED, by_patient=by_patient)
        rows = np.concatenate([slices.draw(3, "test", step, 8, 0.9) for step in range(60)])
        assert (rows % MOST_SLICES % 2 == 1).mean() == pytest.approx(0.9, abs=0.04)


def test_patients_without_such_slices_are_passed_over() -> None:
    slices = StreamedSlices(People(missing=2).stream, WANTED)
    assert _seen(slices, 0) <= {1, 3}
    healthy = Wanted(("flair",), (), (1, 4.0), (), "zero-to-one", labels=("healthy",))
    rows = StreamedSlices(People().stream, healthy).draw(1, "test", 0, 16, None)
    assert set((rows % MOST_SLICES).tolist()) <= {0, 2, 4}
    with pytest.raises(InputError, match="none among 4 simulated patients"):
        _seen(StreamedSlices(People(missing=1).stream, WANTED), 0)


def test_learning_that_waits_for_patients_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(np.arange(0.0, 1e4, 0.5))  # every look at the clock is half a second later
    monkeypatch.setattr("synthoma.detectors.streamed.time.perf_counter", lambda: float(next(now)))
    slices = StreamedSlices(People(per_patient=8).stream, WANTED)
    for step in range(3):
        _seen(slices, step)
    assert "per_patient=256" in slices.warnings()[0]
    rare = StreamedSlices(People(per_patient=8).stream, WANTED)
    _seen(rare, 0)
    for _ in range(20):
        next(now)
    _seen(rare, 1)
    assert rare.warnings() == []


def _beside(folder: Path) -> Cohort:
    images, masks = blobs(24, size=SIZE)
    groups = [f"first{n % 4}" if n % 4 < 2 else f"held{n % 4}" for n in range(24)]
    splits = ["train" if group.startswith("first") else "validation" for group in groups]
    return write_cohort(folder, images, masks=masks, splits=splits, groups=groups, mask_names={"1": "tumour"})


def _learn(cohort: Cohort, run: Path, people: People, *, resume: bool = False, report: Any = None) -> Progress:
    learner = {"levels": 2, "width": 8, "batch": 8, "ema_images": 50.0}
    config = TrainConfig.resolve(flags={"model": "unet-25d", "images": 480, "snapshots": 6, "segmenter": learner})
    run.mkdir(parents=True, exist_ok=True)
    plan = DetectorPlan(cohort, config, people.stream)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectors, "calibrate", lambda device, name, trial, bf16: ONE)
        return train_detector(plan, run, report or (lambda *_: None), resume=resume)


@pytest.mark.slow
def test_a_segmenter_learns_from_a_stream_and_a_killed_training_goes_on_with_those_who_come_next(
    tmp_path: Path,
) -> None:
    cohort = _beside(tmp_path / "cohort")

    def kill(progress: Progress, share: float, recent: dict[str, float]) -> None:
        if progress.images >= 240:
            raise KeyboardInterrupt

    progress = _learn(cohort, tmp_path / "whole", People(per_patient=16))
    with pytest.raises(KeyboardInterrupt):
        _learn(cohort, tmp_path / "killed", People(per_patient=16), report=kill)
    after = People(per_patient=16)
    _learn(cohort, tmp_path / "killed", after, resume=True)
    assert after.begun[0] > 5, "patients who were shown are not simulated again"
    assert file_digest(tmp_path / "whole" / "model.safetensors") == file_digest(
        tmp_path / "killed" / "model.safetensors"
    )
    assert progress.best < 0.6, "1 - Dice; a blind guess of all pixels leaves 0.7"
    provenance = open_model(tmp_path / "whole").meta.provenance
    assert provenance.stream == "people://"
    assert provenance.streamed == 59 * 8 // 16 + 4, "those of the first batch, and one after each 16 slices"
    assert (provenance.trained_on.slices, provenance.trained_on.groups) == (0, ()), "nobody is held against it"


def test_batches_that_hold_more_than_all_who_are_there_may_show_are_refused(tmp_path: Path) -> None:
    config = TrainConfig.resolve(flags={"model": "unet-25d", "segmenter": {"batch": 16}})
    with pytest.raises(ConfigError, match="batches of at most 4 slices"):
        DetectorPlan(_beside(tmp_path / "cohort"), config, People(mixed=1, per_patient=4).stream)
