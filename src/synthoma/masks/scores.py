"""Scores of anyone's masks against the truth: files or arrays, per patient, with intervals by patient.

What is scored is the whole tumour, and within it nested regions or each label that both sides have, see
``regions``; beside the masks, the probabilities that `synthoma detect` wrote. How files meet:
``files``.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.provenance import software
from synthoma.core.types import Array, Floats, Ints
from synthoma.core.untrusted import printable
from synthoma.masks.chances import Judged, chance_scores, judged
from synthoma.masks.files import SIDES, Findings, PatientMasks, Progress, read_patients
from synthoma.masks.regions import GIVEN, Region, Side, choose
from synthoma.metrics.boundary import PIXELS, TOLERANCE, Spacing, boundary
from synthoma.metrics.classification import scores_of_counts
from synthoma.metrics.intervals import (
    ANYTHING,
    DRAWS,
    SHARE,
    Limits,
    bootstrap_many,
    paired_difference,
    score_interval,
)  # fmt: skip
from synthoma.metrics.overlap import (
    Counts,
    as_masks,
    convention_table,
    conventions_of,
    dice,
    iou,
    precision,
    recall,
    slice_counts,
    tversky,
    volume_error,
)
from synthoma.scans.conventions import Decision, parsed

SCHEMA = "synthoma.scores/1"
NOT_CLINICAL = "Research software. Not a medical device and not for clinical use: no result may guide a patient's care."
FALSE_NEGATIVES, FALSE_POSITIVES = 0.7, 0.3
"""Weights of the Tversky index: what is missed costs more than what is marked too much (Abraham and Khan 2019)."""

SCORES = (
    "dice", "iou", "tversky", "precision", "recall", "hd95", "surface_dice", "volume_error", "relative_volume_error",
)  # fmt: skip
_LIMITS: dict[str, Limits] = {
    "hd95": (0.0, math.inf), "volume_error": ANYTHING, "relative_volume_error": (-1.0, math.inf)
}  # fmt: skip
"""Least and largest value of the scores that are no shares."""
_COMPARED = ("dice", "iou", "hd95", "surface_dice")
_IN_UNITS = ("hd95", "surface_dice", "volume_error")
_ANSWERS = ("precision", "recall", "specificity", "f1", "accuracy", "balanced_accuracy")


def score_masks(
    truth: Path,
    predictions: Path,
    *,
    other: Path | None = None,
    spacing: Spacing | None = None,
    nested: bool | None = None,
    convention: str | None = None,
    tolerance: float = TOLERANCE,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = lambda text, done, total: None,
) -> dict[str, Any]:
    """Score mask files: NIfTI, MetaImage or NRRD volumes, one a patient, or PNG and TIFF slices.

    Files meet by their name without suffix and without words such as ``_mask``, ``_tumor_seg`` or ``_pred``, else by
    the patient and visit in it; sub-folders count only where names alone would not do. Where a side has files called
    masks, its others are taken for images; masks of the brain and maps of probability are left aside. Slices of one
    patient are those of one sub-folder, or those whose names differ in a trailing number. A truth without prediction is
    scored against an empty one, and a remark says so. What values mean is decided for each side: see
    ``regions.choose``.

    Args:
        truth: a folder of masks, or one file.
        predictions: the same for the predictions.
        other: the same for another model's predictions; adds the paired difference.
        spacing: (z, y, x) in mm of slices, whose files do not say it.
        nested: score nested regions (True) or labels as they stand (False); None decides by what values mean.
        convention: what values mean on all sides, see ``conventions.parsed``; else it is read or decided for each.
        tolerance: of the surface Dice: mm, or pixels where no spacing is known.
        draws: of the bootstrap.
        seed: of the bootstrap.
        progress: told (text, done, total) after each patient that is read, and again after each that is scored.

    Returns:
        As `score_arrays`, and which files were skipped, with reasons.

    Raises:
        InputError: a path that is not there, no two files that match, nothing left to score, values that the given
            convention does not have, or nested regions of values that are not known.
        ConfigError: a convention that is none.
    """
    findings = Findings(None if convention is None else parsed(convention))
    roots = {"truth": truth, "predictions": predictions} | ({"other": other} if other is not None else {})
    patients = read_patients(roots, spacing, findings, progress)
    result = _score(patients, findings, nested, tolerance, draws, seed, progress)
    result["compared"] |= {name: printable(root.resolve().name) for name, root in roots.items()}
    return result


def score_arrays(
    patients: Iterable[PatientMasks],
    *,
    nested: bool | None = None,
    convention: str | None = None,
    tolerance: float = TOLERANCE,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Score masks in memory; patients are taken one after the other, so they may come from a generator.

    Args:
        patients: their masks.
        nested: score nested regions (True) or labels as they stand (False); None decides by what values mean.
        convention: what values mean on all sides, see ``conventions.parsed``; else decided by the values of all masks.
        tolerance: of the surface Dice: mm, or pixels where no spacing is known.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Plain data (nan is None): ``labels`` (which regions are scored, and why), ``regions`` (mean and median of each
        score with their intervals), ``conventions``, ``slices`` (detection by the masks), ``probabilities`` (None where
        no patient has any), ``per_patient``, ``comparison`` (None without another model), ``skipped``, ``remarks``.

    Raises:
        InputError: no patient, a name that comes twice, masks of two shapes, another number of probabilities than of
            slices, values that the given convention does not have, or nested regions of values that are not known.
        ConfigError: a convention that is none.
    """
    findings = Findings(None if convention is None else parsed(convention))
    return _score(patients, findings, nested, tolerance, draws, seed)


def _score(
    patients: Iterable[PatientMasks],
    findings: Findings,
    nested: bool | None,
    tolerance: float,
    draws: int,
    seed: int,
    progress: Progress = lambda text, done, total: None,
) -> dict[str, Any]:
    """As `score_arrays`; what reading the patients adds to the findings goes into the result."""
    sides = {side: Side() for side in SIDES}
    kept = [_packed(masks, sides) for masks in patients]
    if not kept:
        came = findings.skipped[0]["reason"] if findings.skipped else "none"
        raise InputError("at least one patient with masks to score", came, "see the files that were skipped")
    for side in SIDES:
        sides[side].said, sides[side].hint = findings.said.get(side), findings.hints.get(side)
        if findings.convention is not None:
            sides[side].said = Decision(findings.convention, GIVEN)
    chosen = choose(sides, nested)
    findings.remarks.extend(chosen.remarks)
    rows: list[dict[str, Any]] = []
    counts: list[Counts] = []
    others: list[Counts | None] = []
    answers: list[Judged | None] = []
    for done, unpacked in enumerate(kept):
        progress("scoring", done, len(kept))
        row, ours, theirs, answer = _patient(unpacked(), chosen.regions, tolerance)
        rows.append(row)
        counts.append(ours)
        others.append(theirs)
        answers.append(answer)
    progress("scoring", len(kept), len(kept))
    if twice := [name for name, number in Counter(row["patient"] for row in rows).items() if number > 1]:
        raise InputError("each patient once", f"{twice[0]!r} twice", "give each patient a name of its own")
    units = {row["unit"] for row in rows}
    unit = units.pop() if len(units) == 1 else "mixed"
    if unit == "mixed":
        findings.remarks.append("some files state a spacing and some do not: distances and volumes are not averaged")
    elif unit == "pixels":
        findings.remarks.append("no spacing is known: distances are in pixels, a step between slices counting as one")
    result = {
        "schema": SCHEMA,
        "not_for_clinical_use": NOT_CLINICAL,
        "compared": {"truth": None, "predictions": None, "other": None},
        "patients": len(rows),
        "labels": {
            "convention": chosen.convention,
            "text": chosen.text,
            "values": {
                region.name: {side: list(region.values[side]) or "above 0" for side in ("truth", "prediction")}
                for region in chosen.regions
            },
        },
        "slices": _detection(counts, draws, seed),
        "probabilities": chance_scores([one for one in answers if one is not None], draws, seed),
        "unit": unit,
        "regions": {
            region.name: _region([row["regions"][region.name] for row in rows], unit == "mixed", draws, seed)
            for region in chosen.regions
        },
        "conventions": _conventions(counts, draws, seed),
        "comparison": _comparison(rows, counts, others, chosen.compared, draws, seed),
        "per_patient": rows,
        "missing": findings.missing,
        "skipped": findings.skipped,
        "remarks": findings.remarks,
        "settings": {
            "tolerance": tolerance,
            "draws": draws,
            "level": 0.95,
            "seed": seed,
            "tversky_false_negatives": FALSE_NEGATIVES,
            "tversky_false_positives": FALSE_POSITIVES,
        },
        "provenance": {"software": software()},
    }
    plain: dict[str, Any] = _plain(result)
    return plain


def _packed(masks: PatientMasks, sides: Mapping[str, Side]) -> Callable[[], PatientMasks]:
    """The same masks in little memory, noted in the sides: what they share is known only after the last patient.

    Raises:
        InputError: masks of two shapes.
    """
    arrays = {"truth": masks.truth, "prediction": masks.prediction}
    if masks.other is not None:
        arrays["other"] = masks.other
    packed = {}
    for side, mask in arrays.items():
        as_masks(masks.truth, mask)
        sides[side].add(mask)
        packed[side] = (zlib.compress(mask.tobytes(), 1), mask.dtype, mask.shape)
    nothing = np.zeros((0, 0, 0), dtype=np.uint8)
    shell = replace(masks, truth=nothing, prediction=nothing, other=None)

    def unpacked() -> PatientMasks:
        full = {
            side: np.frombuffer(zlib.decompress(data), kind).reshape(shape)
            for side, (data, kind, shape) in packed.items()
        }
        return replace(shell, truth=full["truth"], prediction=full["prediction"], other=full.get("other"))

    return unpacked


def _patient(
    masks: PatientMasks, chosen: Sequence[Region], tolerance: float
) -> tuple[dict[str, Any], Counts, Counts | None, Judged | None]:
    """Row of one patient, the slice counts of the whole tumour, those of the other model, and the probabilities."""
    truth, prediction, other = masks.truth, masks.prediction, masks.other
    regions: dict[str, dict[str, float]] = {}
    theirs: dict[str, dict[str, float]] = {}
    for region in chosen:
        real = region.drawn(truth, "truth")
        regions[region.name] = _scores(real, region.drawn(prediction, "prediction"), masks.spacing, tolerance)
        if other is not None:
            theirs[region.name] = _scores(real, region.drawn(other, "other"), masks.spacing, tolerance)
    whole = chosen[0]
    tumour = whole.drawn(truth, "truth")
    counts = slice_counts(tumour, whole.drawn(prediction, "prediction"))
    table = _called(counts)
    tp, fp, fn, _ = table
    answer = judged(tumour, masks.chances)
    row = {
        "patient": masks.patient,
        "slices": len(truth),
        "tumour_slices": tp + fn,
        "missed_slices": fn,
        "false_slices": fp,
        "detection": {"confusion": _confusion(table), **_yes_no(np.array(table, dtype=np.int64))},
        "probability": None if answer is None else answer.probability,
        "slice_ranking": None if answer is None else answer.ranking(),
        "unit": "pixels" if masks.spacing is None else "mm",
        "spacing": None if masks.spacing is None else list(masks.spacing),
        "regions": regions,
        "other": None if other is None else theirs,
    }
    theirs_whole = None if other is None else slice_counts(tumour, whole.drawn(other, "other"))
    return row, counts, theirs_whole, answer


def _scores(truth: Array, prediction: Array, spacing: Spacing | None, tolerance: float) -> dict[str, float]:
    """Scores of one region; volumes in mm3, or in pixels where no spacing is known."""
    counts = slice_counts(truth, prediction).total()
    surface = boundary(truth, prediction, spacing or PIXELS, tolerance)
    voxel = math.prod(spacing) if spacing else 1.0
    return {
        "dice": float(dice(counts)),
        "iou": float(iou(counts)),
        "tversky": float(tversky(counts, false_positives=FALSE_POSITIVES, false_negatives=FALSE_NEGATIVES)),
        "precision": float(precision(counts)),
        "recall": float(recall(counts)),
        "hd95": surface.hd95,
        "surface_dice": surface.surface_dice,
        "volume": float(counts.tp + counts.fn) * voxel,
        "volume_error": float(counts.fp - counts.fn) * voxel,
        "relative_volume_error": float(volume_error(counts)),
    }


def _limits(score: str) -> Limits:
    """Least and largest value that a score can have."""
    return _LIMITS.get(score, SHARE)


def _region(rows: Sequence[Mapping[str, float]], mixed: bool, draws: int, seed: int) -> dict[str, Any]:
    """Mean and median over patients of each score; of distances and volumes only in one unit."""
    found: dict[str, Any] = {}
    for name in SCORES:
        values = np.array([row[name] for row in rows])
        kinds: Sequence[Any] = () if mixed and name in _IN_UNITS else ("mean", "median")
        found[name] = {
            kind: asdict(score_interval(values, statistic=kind, limits=_limits(name), draws=draws, seed=seed))
            for kind in kinds
        }
    return found


def _conventions(counts: Sequence[Counts], draws: int, seed: int) -> dict[str, Any]:
    table = convention_table(counts)
    found = bootstrap_many(lambda drawn: conventions_of(table[drawn]), len(table), limits=SHARE, draws=draws, seed=seed)
    return {name: asdict(interval) for name, interval in found.items()}


def _detection(counts: Sequence[Counts], draws: int, seed: int) -> dict[str, Any]:
    """Whether a slice holds tumour, read from the masks: all slices together, and the mean of the patients' own scores.

    Intervals are by patient. A mean leaves out patients in whom the score is not defined: without a slice with tumour
    there is no recall, without an empty one no specificity.
    """
    table = np.array([_called(one) for one in counts], dtype=np.int64)

    def scores(drawn: Ints) -> dict[str, float]:
        return _yes_no(table[drawn].sum(axis=0))

    found = bootstrap_many(scores, len(table), limits=SHARE, draws=draws, seed=seed)
    tp, fp, fn, tn = table.sum(axis=0).tolist()
    numbers = {"slices": tp + fp + fn + tn, "tp": tp, "fp": fp, "fn": fn, "tn": tn}
    each = [_yes_no(row) for row in table]
    means = {
        name: asdict(score_interval(np.array([row[name] for row in each]), limits=SHARE, draws=draws, seed=seed))
        for name in _ANSWERS
    }
    return {
        **numbers,
        "confusion": _confusion((tp, fp, fn, tn)),
        **{name: asdict(interval) for name, interval in found.items()},
        "patient_mean": means,
    }


def _confusion(numbers: tuple[int, int, int, int]) -> list[list[int]]:
    """Rows are the truth (empty, tumour), columns what was called."""
    tp, fp, fn, tn = numbers
    return [[tn, fp], [fn, tp]]


def _called(counts: Counts) -> tuple[int, int, int, int]:
    """Slices rightly called tumour, wrongly called, missed, rightly left empty."""
    has, called = counts.tp + counts.fn > 0, counts.tp + counts.fp > 0
    kinds = (has & called, ~has & called, has & ~called, ~has & ~called)
    tp, fp, fn, tn = (int(kind.sum()) for kind in kinds)
    return tp, fp, fn, tn


def _yes_no(numbers: Ints) -> dict[str, float]:
    tp, fp, fn, tn = numbers.tolist()
    scores = scores_of_counts(tp=tp, fp=fp, fn=fn, tn=tn)
    return {name: scores[name] for name in _ANSWERS}


def _comparison(
    rows: Sequence[dict[str, Any]],
    counts: Sequence[Counts],
    others: Sequence[Counts | None],
    regions: Sequence[str],
    draws: int,
    seed: int,
) -> dict[str, Any] | None:
    """Prediction minus other, over the patients that both have; None without another model."""
    both = [row for row in rows if row["other"] is not None]
    if not both:
        return None
    found: dict[str, Any] = {"patients": len(both), "regions": {}}
    for region in regions:
        found["regions"][region] = {}
        for name in _COMPARED if len({row["unit"] for row in both}) == 1 else _COMPARED[:2]:
            pair: list[Floats] = [np.array([row[side][region][name] for row in both]) for side in ("regions", "other")]
            gap = paired_difference(*pair, draws=draws, seed=seed)
            other = score_interval(pair[1], limits=_limits(name), draws=draws, seed=seed)
            found["regions"][region][name] = {"other": asdict(other), "difference": asdict(gap)}
    pairs = [(one, two) for one, two in zip(counts, others, strict=True) if two is not None]
    tables = [convention_table(side) for side in zip(*pairs, strict=True)]
    found["conventions"] = {"prediction": conventions_of(tables[0]), "other": conventions_of(tables[1])}
    return found


def _plain(content: Any) -> Any:
    """The same with None for every number that is not finite, which JSON has no word for."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_plain(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
