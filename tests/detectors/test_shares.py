"""Shares of a batch: painted slices stand in for the few real ones, and never for those of simulated patients."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream
from synthoma.detectors.learning import LearnerConfig
from synthoma.detectors.plan import DetectorPlan
from synthoma.detectors.shares import batch_counts, painted_in
from synthoma.detectors.task import SupervisedTask
from synthoma.settings import TrainConfig
from tests.toys import ONE, blobs, write_cohort

SMALL: dict[str, Any] = {"levels": 3, "width": 4}


def _cohort(folder: Path, names: list[str], **meta: Any) -> Cohort:
    """Six slices for each name, of 32 px, half of them with a tumour."""
    groups = [name for name in names for _ in range(6)]
    images, masks = blobs(len(groups), size=32)
    masks[1::2] = 0
    meta = {"mask_names": {"1": "tumour"}, **meta}
    return write_cohort(folder, images, masks=masks, groups=groups, **meta)


def _made_from(names: list[str], origin: str = "real") -> dict[str, Any]:
    """What a synthetic cohort says of the patients behind it."""
    known = {"slices": 1, "classes": ("tumour",), "groups": tuple(names)}
    return {"origin": "synthetic", "provenance": {"trained_on": known, "training_cohort": {"origin": origin}}}


def _task(cohort: Cohort, *others: Cohort, **told: Any) -> SupervisedTask:
    flags = {"model": "unet-25d", "extra": [one.path for one in others], "segmenter": {**SMALL, **told}}
    plan = DetectorPlan(cohort, TrainConfig.resolve(flags=flags))
    return plan.task(ONE, lambda network, images: (0.0, {}, torch.zeros(0)))


@pytest.fixture
def cohorts(tmp_path: Path) -> dict[str, Cohort]:
    """Three real patients, what was painted into two of them, simulated patients, and drawn slices of nobody."""
    own = ["a", "b", "c"]
    return {
        "real": _cohort(tmp_path / "real", own, origin="real"),
        "painted": _cohort(tmp_path / "painted", ["a", "b"], **_made_from(["a", "b"])),
        "simulated": _cohort(tmp_path / "simulated", [f"sim-{n}" for n in range(5)], origin="phantom"),
        "drawn": _cohort(tmp_path / "drawn", ["drawn-0", "drawn-1"], **_made_from(own)),
    }


def test_painted_slices_take_no_room_of_simulated_ones(cohorts: dict[str, Cohort]) -> None:
    """Ten thousand draws: half simulated, with and without painted ones; these come out of the real half."""
    for ratio, share in ((0.5, 1 / 4), (0.25, 1 / 8)):
        task = _task(cohorts["real"], cohorts["painted"], cohorts["simulated"], painted_ratio=ratio, batch=1000)
        names, seen = Counter[str](), set[int]()
        for step in range(10):
            for number, (source, count) in enumerate(zip(task.sources, task.counts, strict=True)):
                rows = source.draw(0, f"training.slices.{number}", step, count, 0.65)
                names[source.cohort.path.name] += len(rows)
                seen |= set(rows.tolist()) if source.painted else set()
        assert sum(names.values()) == 10_000
        assert names["simulated"] == 5_000
        assert names["painted"] == 10_000 * share
        assert seen == set(range(12)), "each of them"
    before = _task(cohorts["real"], cohorts["simulated"]).counts
    assert before == [8, 8]


def test_nothing_changes_where_nobody_is_painted(cohorts: dict[str, Cohort]) -> None:
    """Half of a batch comes from all --with cohorts in equal parts, by the same streams."""
    task = _task(cohorts["real"], cohorts["drawn"], cohorts["simulated"], painted_ratio=0.9)
    usual = _task(cohorts["real"], cohorts["drawn"], cohorts["simulated"])
    assert task.counts == usual.counts == [8, 4, 4]
    for step in range(3):
        one, other = task._batch(step), usual._batch(step)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.masks, other.masks)


def test_painted_alone_have_half_of_a_batch_as_ever(cohorts: dict[str, Cohort]) -> None:
    assert _task(cohorts["real"], cohorts["painted"]).counts == [8, 8]


def test_counts_by_hand() -> None:
    config = LearnerConfig()
    assert batch_counts([False], config) == [16]
    assert batch_counts([False, False], config) == [8, 8]
    assert batch_counts([False, True], config) == [8, 8]
    assert batch_counts([False, True, False], config) == [4, 4, 8]
    assert batch_counts([False, False, True], config) == [4, 8, 4]
    assert batch_counts([False, True, True, False, False], config) == [4, 2, 2, 4, 4]
    assert batch_counts([False, True, True, True, False], config) == [4, 2, 1, 1, 8]
    uneven = LearnerConfig(with_ratio=0.25, painted_ratio=0.25)
    assert batch_counts([False, True, False], uneven) == [9, 3, 4]


def test_every_source_is_seen_while_a_batch_has_room() -> None:
    """Whatever the ratios: the cohort itself always, each other one where there are no more of them than slices."""
    for seed in range(300):
        draws = stream(seed, "test.shares")
        painted = [False, *(draws.random(int(draws.integers(0, 6))) < 0.5).tolist()]
        config = LearnerConfig(
            batch=int(draws.integers(2, 20)),
            with_ratio=float(draws.uniform(0.01, 0.99)),
            painted_ratio=float(draws.uniform(0.01, 0.99)),
        )
        counts = batch_counts(painted, config)
        assert sum(counts) == config.batch
        assert len(counts) == len(painted)
        assert counts[0] >= 1
        assert min(counts) >= (1 if config.batch >= len(painted) else 0), (painted, config.batch, counts)


def test_batches_too_small_for_all_cohorts_are_refused(cohorts: dict[str, Cohort]) -> None:
    assert _task(cohorts["real"], cohorts["painted"], cohorts["simulated"], batch=3).counts == [1, 1, 1]
    with pytest.raises(ConfigError, match="2 slices for 3 kinds"):
        _task(cohorts["real"], cohorts["painted"], cohorts["simulated"], batch=2)


def test_who_is_painted_is_said_by_each_row(cohorts: dict[str, Cohort], tmp_path: Path) -> None:
    """By the parent that a row names; a cohort may hold painted and drawn slices."""
    real = cohorts["real"]
    mixed = _cohort(tmp_path / "mixed", ["a", "drawn-7"], **_made_from(["a", "b"]))
    rows = np.arange(12)
    assert painted_in(real, mixed, rows).tolist() == [True] * 6 + [False] * 6
    assert painted_in(real, mixed, rows[6:]).tolist() == [False] * 6
    assert painted_in(real, mixed, rows[:0]).tolist() == []
    task = _task(real, mixed, cohorts["simulated"])
    assert task.counts == [4, 4, 4, 4]
    assert [source.painted for source in task.sources] == [False, True, False, False]
    assert sorted(np.concatenate([source.rows for source in task.sources[1:3]]).tolist()) == rows.tolist()
    # The same names mean nothing where no patient of theirs is behind the slices, or only simulated ones are.
    for name, meta in {
        "strangers": _made_from(["x"]), "simulated": _made_from(["a"], "phantom"), "scans": {"origin": "real"},
    }.items():  # fmt: skip
        assert not painted_in(real, _cohort(tmp_path / f"other-{name}", ["a"], **meta), np.arange(6)).any(), name
    # Beside the simulated patients themselves, what was painted into them is theirs.
    phantom = _cohort(tmp_path / "phantom", ["a"], origin="phantom")
    painted = _cohort(tmp_path / "painted-phantom", ["a"], **_made_from(["a"], "phantom"))
    assert painted_in(phantom, painted, np.arange(6)).all()
