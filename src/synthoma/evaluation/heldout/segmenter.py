"""Scores of a segmenter on held-out slices: patient by patient, slice by slice, with intervals by patient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from synthoma.cohorts.cohort import Cohort
from synthoma.core.progress import Progress
from synthoma.core.types import CAVITY, REGIONS, Bools, Bytes, Floats, Ints, tumour_of
from synthoma.detectors.segmenters.chances import (
    Calibrations,
    calibration_of,
    read_calibrations,
    scan_probability,
    slice_probabilities,
)
from synthoma.detectors.segmenters.label_maps import label_map
from synthoma.detectors.slices import STACK
from synthoma.evaluation.heldout.asking import Asked
from synthoma.evaluation.heldout.result import SegmenterScores, SliceOverlap
from synthoma.masks.chances import Chances
from synthoma.masks.patients import PatientMasks
from synthoma.masks.result import Estimate
from synthoma.masks.scores import score_arrays
from synthoma.metrics.boundary import Spacing
from synthoma.metrics.intervals import SHARE, score_interval
from synthoma.metrics.overlap import Counts, dice, iou, precision, recall, slice_counts
from synthoma.training.meta import ModelMeta

OVERLAPS = {"dice": dice, "iou": iou, "precision": precision, "recall": recall}

_NAMED = {True: "post-treatment", False: "brats-2023"}
"""What values mean in a cohort with sub-regions, with a cavity among them and without."""


def segmenter_scores(
    asked: Asked, meta: ModelMeta, cohort: Cohort, rows: Ints, *, draws: int, seed: int, progress: Progress
) -> SegmenterScores:
    """Outline the tumours of each patient, and score that against the cohort's masks.

    Where model and cohort both tell regions apart, whole tumour, core and enhancing tumour are scored; else the whole
    tumour. A patient is a group of the cohort: all slices of all its scans.

    Args:
        asked: the model.
        meta: its description.
        cohort: with masks.
        rows: which slices.
        draws: of the bootstrap, over patients.
        seed: of the bootstrap.
        progress: told after each patient.
    """
    parted = len(meta.targets) > 1 and cohort.tumour_labels == REGIONS
    told: list[tuple[str, Counts]] = []
    masks = score_arrays(
        _patients(asked, meta, cohort, rows, parted=parted, told=told, progress=progress),
        convention=_NAMED[any(value in cohort.labels for value in CAVITY)] if parted else None,
        draws=draws,
        seed=seed,
    )
    ill = [part.tp + part.fn > 0 for _, part in told]
    return SegmenterScores(
        threshold=tuple(meta.threshold),
        targets=meta.targets,
        tumour_slices=_over_slices(told, ill, draws, seed) if any(part.any() for part in ill) else None,
        all_slices=_over_slices(told, [np.ones_like(part) for part in ill], draws, seed),
        masks=masks,
    )


def _patients(
    asked: Asked,
    meta: ModelMeta,
    cohort: Cohort,
    rows: Ints,
    *,
    parted: bool,
    told: list[tuple[str, Counts]],
    progress: Progress,
) -> Iterator[PatientMasks]:
    """The masks of each patient, one after the other; what they overlap in each slice is added to ``told``."""
    known = read_calibrations(meta.calibration or {})
    table = cohort.slices.iloc[rows].assign(row=rows)
    # In the order of the scan: distances between surfaces take neighbours in the array for neighbours in the head.
    # Tiles, and sequences that are slices of their own, make stacks of their own.
    order = [name for name in (*STACK, "slice") if name in table]
    groups = table.sort_values(order, kind="stable").groupby(table["group"].astype(str), sort=True)
    for number, (name, members) in enumerate(groups):
        progress("outlining tumours", number, len(groups))
        own = members["row"].to_numpy()
        maps = asked.maps(own)
        truth = np.asarray(cohort.masks[own])
        # (n, T, S, S) of the network to (T, n, S, S), a map of the whole patient for each target.
        labels = label_map(maps.swapaxes(0, 1), meta.threshold, meta.targets)
        truth, labels = (truth, labels) if parted else (_binary(tumour_of(truth)), _binary(labels > 0))
        told.append((str(name), slice_counts(tumour_of(truth), labels)))
        chances = _chances(maps[:, 0], members, meta, cohort, known)
        yield PatientMasks(str(name), truth, labels, _spacing(members), chances=chances)
    progress("outlining tumours", len(groups), len(groups))


def _binary(mask: Bools) -> Bytes:
    return mask.astype(np.uint8)


def _chances(
    maps: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    members: pd.DataFrame,
    meta: ModelMeta,
    cohort: Cohort,
    known: Calibrations,
) -> Chances:
    """Chance of tumour in each slice, and in the patient: of the scan in which it is highest."""
    figures = slice_probabilities(maps)
    shown = [name for name in meta.modalities if name in cohort.modalities]
    slices, scans = np.zeros(len(figures)), []
    for found in members.reset_index(drop=True).groupby("case", sort=False).indices.values():
        places = np.asarray(found)
        calibration = calibration_of(known, "scan" if len(places) > 1 else "picture", shown, guessed=False)
        own = figures[places]
        whole = np.array(scan_probability(own))
        slices[places] = own if calibration is None else calibration.chance(own)
        # A patient has a tumour where any scan of him shows one, as scores of files have it.
        scans.append(float(whole if calibration is None else calibration.chance(whole)))
    return Chances(max(scans), slices)


def _spacing(members: pd.DataFrame) -> Spacing | None:
    """(z, y, x) in mm where the slices are those of one scan, evenly apart, and somebody knows; else None."""
    if members["case"].nunique() > 1 or not {"slice", "step_mm", "pixel_mm"} <= set(members):
        return None
    steps, sides = members["step_mm"].to_numpy(float), members["pixel_mm"].to_numpy(float)
    apart = np.unique(np.diff(members["slice"].to_numpy(np.int64)))
    # A gap would be a distance that no single spacing says, and surfaces would seem nearer than they are.
    if len(apart) != 1 or apart[0] < 1 or not (steps[0] > 0 and sides[0] > 0):
        return None
    if not (np.all(steps == steps[0]) and np.all(sides == sides[0])):
        return None
    return (float(apart[0] * steps[0]), float(sides[0]), float(sides[0]))


def _over_slices(told: list[tuple[str, Counts]], keep: list[Bools], draws: int, seed: int) -> SliceOverlap:
    """Mean scores of the slices that are kept of each patient."""
    names = [name for (name, _), kept in zip(told, keep, strict=True) for _ in range(int(kept.sum()))]

    def mean(score: str) -> Estimate:
        values: Floats = np.concatenate(
            [OVERLAPS[score](counts)[kept] for (_, counts), kept in zip(told, keep, strict=True)]
        )
        return Estimate.of(score_interval(values, groups=names, limits=SHARE, draws=draws, seed=seed))

    return SliceOverlap(
        slices=len(names), dice=mean("dice"), iou=mean("iou"), precision=mean("precision"), recall=mean("recall")
    )
