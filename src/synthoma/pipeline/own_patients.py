"""Simulated slices for the images of one call, of patients of their own: no two images show the same anatomy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.cohorts.meta import CohortMeta, Provenance
from synthoma.cohorts.slicing import PreparedCase
from synthoma.core.errors import InputError
from synthoma.core.fanout import spread
from synthoma.core.progress import Progress
from synthoma.core.provenance import software
from synthoma.core.seeding import stream
from synthoma.core.types import Floats, Ints
from synthoma.generators.phantomgan.choosing import chosen_slices
from synthoma.generators.phantomgan.matching import FEATURES, Matching, structure
from synthoma.phantom import PhantomCohortConfig, prepared_patient
from synthoma.scans.case import Skipped

GROUP = 16
"""Images whose slices are chosen together: always numbers 16 k to 16 k + 15, whoever asks for which."""

SPARE = 1.25
"""Patients that are simulated for each that is needed, where the shares of real slices choose among them."""

CANDIDATES = 16
"""About so many slices of a patient are looked at: neighbours show the same."""

A_WORKER = 16
"""Patients for which another process is worth its start, which takes seconds."""

MOST = 1000
"""Patients of a group, after which nothing more is tried."""


@dataclass(frozen=True)
class Candidates:
    """Slices of one simulated patient that an image could show.

    Attributes:
        found: the slices.
        structure: what they are made of, (N, 9), see ``matching.structure``.
        heights: how high in the head they lie (N,), mm.
    """

    found: PreparedCase
    structure: Floats
    heights: Floats


def write_own_patients(
    folder: Path, config: PhantomCohortConfig, images: range, matching: Matching | None, kinds: Collection[str],
    per_patient: int, progress: Progress,
) -> tuple[Cohort, int]:  # fmt: skip
    """Simulate patients for these images and write one slice for each, in order, as a cohort of origin 'phantom'.

    The slice of image i is a function of (config, matching, kinds, per_patient, i): patients are numbered by groups of
    16 images, so that parts of a cohort can be drawn anywhere.

    Args:
        folder: an existing, empty folder.
        config: how patients vary and slices are prepared; its seed draws them.
        images: numbers of the images.
        matching: the shares in which slices are drawn; None for all alike.
        kinds: classes of simulated slices, "tumour", "healthy".
        per_patient: most images of one patient.
        progress: told how far it is.

    Returns:
        The cohort, and the number of the image that its first row is for.

    Raises:
        InputError: patients have no such slices.
    """
    from joblib import cpu_count

    # Whole groups, whichever images are asked for: a patient must be the same one in every shard.
    first = images.start - images.start % GROUP
    groups = range(first, images.stop, GROUP)
    need = int(np.ceil((SPARE if matching is not None else 1) * GROUP / per_patient))
    calls = ((config, group // GROUP * MOST + at, tuple(kinds)) for group in groups for at in range(need))
    jobs = config.jobs or max(1, min(cpu_count(), need * len(groups) // A_WORKER))
    channels = len(config.modalities or config.phantom.modalities)
    labels: dict[int, str] = {}
    with (
        CohortWriter(folder, channels=channels, size=config.size) as writer,
        spread(candidates, calls, jobs) as results,
    ):
        for group in groups:
            pool = [next(results) for _ in range(need)]
            chosen = _chosen(pool, config, group // GROUP, matching, kinds, per_patient)
            for one, row in chosen[: images.stop - group]:
                labels.update(one.found.labels)
                record = {**one.found.records[row], "group": one.found.records[row]["patient"], "split": "train"}
                record["label"] = "tumour" if record["tumour_pixels"] else "healthy"
                writer.add(one.found.images[row : row + 1], one.found.masks[row : row + 1], [record])
            progress("simulating patients", min(group + GROUP, images.stop) - first, images.stop - first)
        table = pd.DataFrame(writer.records)
        writer.finish(table, _meta(table, config, labels))
    return Cohort(folder), first


def candidates(config: PhantomCohortConfig, number: int, kinds: tuple[str, ...]) -> Candidates | None:
    """Slices of simulated patient ``number`` that are of these kinds; None where there are none."""
    found = prepared_patient(config.seed, number, config, name=f"own-{number:07d}", most=CANDIDATES)
    if isinstance(found, Skipped):
        return None
    ill = np.array([record["tumour_pixels"] > 0 for record in found.records])  # type: ignore[operator]
    made_of = structure(found.images[:, 0].astype(np.float64), found.masks)
    # A slice above the head shows nothing: repainted it would be a black picture that is called healthy.
    seen = made_of[:, FEATURES.index("head area")] > 0
    rows = np.flatnonzero(np.where(ill, "tumour" in kinds, "healthy" in kinds) & seen)
    if not len(rows):
        return None
    part = PreparedCase(
        found.images[rows], found.masks[rows], [found.records[row] for row in rows], found.thumbnails[:0], [],
        found.labels,
    )  # fmt: skip
    places = [float(str(record["slice"])) * _step(record) for record in part.records]
    return Candidates(part, made_of[rows], np.array(places))


def _step(record: Mapping[str, object]) -> float:
    """Distance of a slice from the next one in mm; 1 where nobody says."""
    return float(str(record["spacing"]).split()[2]) if record.get("spacing") else 1.0


def _chosen(
    pool: list[Candidates | None], config: PhantomCohortConfig, group: int, matching: Matching | None,
    kinds: Collection[str], per_patient: int,
) -> list[tuple[Candidates, int]]:  # fmt: skip
    """Patient and row of each of a group's 16 images; more patients are simulated where the first have too few."""
    tried = len(pool)
    while True:
        known = [one for one in pool if one is not None]
        taken = _drawn(known, config.seed, group, matching, per_patient) if known else []
        if len(taken) == GROUP:
            return taken
        if tried >= MOST:
            came = f"{len(taken)} among {MOST} simulated patients"
            raise InputError(
                f"{GROUP} slices of {', '.join(kinds)}", came, "leave out --class, or ask for other tumours"
            )
        # Numbers of a group end before those of the next one begin: nobody stands in two.
        pool = [*pool, candidates(config, group * MOST + tried, tuple(kinds))]
        tried += 1


def _drawn(
    known: list[Candidates], seed: int, group: int, matching: Matching | None, per_patient: int
) -> list[tuple[Candidates, int]]:
    rows: list[tuple[Candidates, int]] = [(one, row) for one in known for row in range(len(one.heights))]
    made_of = np.concatenate([one.structure for one in known])
    chances = np.full(len(rows), 1 / len(rows)) if matching is None else matching.chances(made_of)
    patients: Ints = np.repeat(np.arange(len(known)), [len(one.heights) for one in known])
    heights = np.concatenate([one.heights for one in known])
    draws = stream(seed, "synthesis.own patients", group)
    taken = chosen_slices(chances, patients, heights, GROUP, per_patient, draws)
    return [rows[at] for at in taken.tolist()]


def _meta(table: pd.DataFrame, config: PhantomCohortConfig, labels: Mapping[int, str]) -> CohortMeta:
    settings = config.model_dump(mode="json")
    for volatile in ("jobs", "split_from", "like"):
        settings.pop(volatile)
    return CohortMeta(
        origin="phantom",
        layout="phantom",
        modalities=config.modalities or config.phantom.modalities,
        labels={str(value): name for value, name in sorted(labels.items())},
        classes=tuple(sorted(set(table["label"]))),
        size=config.size,
        plane=config.plane,
        cases=int(table["case"].nunique()),
        patients=int(table["case"].nunique()),
        groups=int(table["case"].nunique()),
        provenance=Provenance(source="simulated", config=settings, software=dict(software())),
    )
