"""What a training learns from: a cohort in a folder, or an endless stream of simulated patients by its address."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.cohorts import cohort as folders
from synthoma.cohorts.memory import CohortInMemory
from synthoma.cohorts.preparation import pack, table_of
from synthoma.core.artefacts import verified_digest
from synthoma.core.errors import ConfigError
from synthoma.core.fanout import ahead
from synthoma.core.progress import Progress
from synthoma.core.types import Place
from synthoma.phantom.stream import (
    StreamConfig,
    address_of,
    is_address,
    sample_cases,
    stream_of,
    streamed_patient,
)
from synthoma.pipeline.cohort import Cohort
from synthoma.scans.case import Inventory, Skipped

if TYPE_CHECKING:
    from synthoma.cohorts.meta import CohortMeta
    from synthoma.detectors.slices import LabelledSlices
    from synthoma.detectors.streamed import Stream, Wanted
    from synthoma.settings import TrainConfig

FIRST = 8
"""Patients of a stream who stand for all of them where a plan is made: classes, shares of them, sizes."""


@dataclass(frozen=True)
class Lesson:
    """What a training learns from.

    Attributes:
        cohort: its slices; of a stream the first few patients, and those that are held out.
        stream: patients who come in the course of it; None where the cohort is all.
        place: what the user calls it: a folder or an address.
    """

    cohort: folders.Cohort
    stream: Stream | None
    place: str


@contextmanager
def lesson(cohort: Place, config: TrainConfig | None, progress: Progress) -> Iterator[Lesson]:
    """Open what a training learns from; where the block ends nothing of a stream is left.

    Args:
        cohort: a cohort, its folder, or the address of a stream.
        config: the training's settings; None where a run goes on with those that it was begun with.
        progress: told how far the simulation of those is who are held out.

    Raises:
        CohortError: no cohort there.
        ConfigError: an address or a training that cannot be.
    """
    if not is_address(cohort):
        source = cohort if isinstance(cohort, folders.Cohort) else Cohort(cohort)
        for name in ("images.npy", "masks.npy"):  # of any size: what would be learned from them is not cheap
            verified_digest(source.path / name)
        yield Lesson(source, None, str(source.path))
        return
    wanted = stream_of(cohort)
    _check_alone()
    if config is not None:
        check_streamed(config)
    with tempfile.TemporaryDirectory(prefix="synthoma-") as place:
        source = _sample(wanted, Path(place), progress)
        yield Lesson(source, _stream(wanted, source.meta), fspath(cohort))


def check_streamed(config: TrainConfig) -> None:
    """Raise ConfigError where a training cannot learn from a stream."""
    if config.kind == "generator":
        todo = "give --model unet-25d, or make a cohort of simulated patients (`synthoma prepare --phantom N`)"
        raise ConfigError("a segmenter or classifier, for a stream", f"a generator ({config.model})", todo)
    for name in ("limit", "patients"):
        if getattr(config, name) is not None:
            raise ConfigError("a training on a whole stream", f"--{name}", "leave it out: a stream has no end")
    if config.recipe is not None:
        todo = "leave it out, and give --images"
        raise ConfigError("a budget that needs no number of slices", f"--recipe {config.recipe}", todo)


def _check_alone() -> None:
    """Raise ConfigError where each of several processes would simulate everybody, also in a run that goes on."""
    from synthoma.training.team import team

    if team().size > 1:
        todo = "train in one process, or on a cohort (`synthoma prepare --phantom N`)"
        raise ConfigError("one process, for a stream", f"{team().size} by torchrun", todo)


def _sample(config: StreamConfig, folder: Path, progress: Progress) -> Cohort:
    """The first patients of a stream to learn from, and those that are held out, as a cohort in an empty folder."""
    from synthoma.phantom.coarse import prepare_coarse  # loads torch

    parts = sample_cases(config, FIRST)
    split = folder / "split.csv"
    lines = [f"{case.name},{part}" for part, cases in parts.items() for case in cases]
    split.write_text("\n".join(("case,split", *lines)) + "\n", encoding="utf-8")
    people = Inventory("phantom", tuple(case for cases in parts.values() for case in cases))
    place = folder / "cohort"
    place.mkdir()
    fixed = config.model_copy(update={"split_from": split})
    pack(people, place, fixed, source=address_of(config), progress=progress, prepare=prepare_coarse)
    return Cohort(place)


def _stream(config: StreamConfig, meta: CohortMeta) -> Stream:
    from joblib import cpu_count

    from synthoma.detectors.streamed import Stream

    # One core learns. Where others have nothing to do they wait, for no more than a few patients are made ahead.
    workers = config.jobs or max(1, cpu_count() - 1)
    patients = partial(_patients, config, meta, workers)
    return Stream(address_of(config), config.mixed, config.per_patient, patients, workers)


def _patients(
    config: StreamConfig, meta: CohortMeta, workers: int, wanted: Wanted, first: int
) -> AbstractContextManager[Iterator[LabelledSlices | None]]:
    return ahead(_patient, ((config, meta, wanted, number) for number in count(first)), workers)


def _patient(config: StreamConfig, meta: CohortMeta, wanted: Wanted, number: int) -> LabelledSlices | None:
    """The slices of a streamed patient as a training takes them, in a worker: so learning does nothing but draw."""
    found = streamed_patient(config, number)
    if isinstance(found, Skipped):
        return None
    table = table_of(found.records, config).assign(split="train")
    table["group"] = table["patient"]
    return wanted.of(CohortInMemory(meta, found.images, found.masks, table))
