"""Scores of anyone's masks against the truth: files or arrays, per patient, with intervals by patient.

Files meet by name. What is scored is the whole tumour (every value above 0), and within it the nested BraTS regions or
each label that both sides have, see ``mask_regions``; beside the masks, the probabilities that `synthoma detect` wrote.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthoma.data.case import Geometry
from synthoma.data.files import PICTURES, SUFFIXES, VOLUMES, kind_of, natural, printable, stem_of, suffix_of, walk
from synthoma.data.images import read_image
from synthoma.data.volumes import read_volume, same_grid
from synthoma.errors import InputError
from synthoma.evaluation.mask_chances import (
    FINDINGS,
    Chances,
    Detection,
    Judged,
    chance_scores,
    joined,
    judged,
    read_detection,
)
from synthoma.evaluation.mask_regions import LABELS_FILE, Region, Side, choose, read_names
from synthoma.metrics.boundary import PIXELS, TOLERANCE, Spacing, boundary
from synthoma.metrics.classification import scores_of_counts
from synthoma.metrics.intervals import DRAWS, bootstrap_many, paired_difference, score_interval
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
from synthoma.provenance import software
from synthoma.types import Array, Floats, Ints

SCHEMA = "synthoma.scores/1"
NOT_CLINICAL = "Research software. Not a medical device and not for clinical use: no result may guide a patient's care."
MOST_LABELS = 32
"""A mask with more values than this is a grey picture or a probability map."""

FALSE_NEGATIVES, FALSE_POSITIVES = 0.7, 0.3
"""Weights of the Tversky index: what is missed costs more than what is marked too much (Abraham and Khan 2019)."""

SCORES = (
    "dice", "iou", "tversky", "precision", "recall", "hd95", "surface_dice", "volume_error", "relative_volume_error",
)  # fmt: skip
_COMPARED = ("dice", "iou", "hd95", "surface_dice")
_IN_UNITS = ("hd95", "surface_dice", "volume_error")
_SIDES = ("truth", "prediction", "other")
_ANSWERS = ("precision", "recall", "specificity", "f1", "accuracy", "balanced_accuracy")
_NAMED = 10

_ENDING = re.compile(r"(?:^|[_\-. ]+)(?:mask|masks|seg|segmentation|pred|prediction|label|labels|gt|truth)$", re.I)
_SLICE_NUMBER = re.compile(r"[_\-. ]*(?:(?<![a-z])(?:slice|z)[_\-]?)?\d+$", re.I)
_MATCH = "give both files the same name, or names that differ in an ending such as _mask, _seg or _pred only"
_ON_GRID = "resample the prediction onto the grid of the truth (nearest neighbour)"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PatientMasks:
    """The masks of one patient, on one grid.

    Attributes:
        patient: name, unique among those scored together.
        truth: labels (z, y, x), background 0.
        prediction: labels (z, y, x).
        spacing: (z, y, x) in mm; None where nobody knows.
        other: another model's labels (z, y, x), for a paired comparison.
        chances: probabilities of tumour that came with the prediction.
    """

    patient: str
    truth: Array
    prediction: Array
    spacing: Spacing | None = None
    other: Array | None = None
    chances: Chances | None = None


@dataclass
class _Findings:
    """What scoring meets on its way through the files."""

    skipped: list[dict[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, Mapping[int, str]] = field(default_factory=dict)
    detections: dict[Path, Detection | None] = field(default_factory=dict)

    def skip(self, place: str, error: InputError | str) -> None:
        self.skipped.append({"file": place, "reason": str(error)})

    def detection(self, path: Path, root: Path, side: str) -> Detection | None:
        """What `synthoma detect` wrote beside a mask file; findings that cannot be used are listed once."""
        folder = path.parent
        if folder not in self.detections:
            self.detections[folder] = None
            try:
                self.detections[folder] = read_detection(folder)
            except InputError as error:
                self.skip(_place(folder / FINDINGS, root if root.is_dir() else folder, side), error)
        return self.detections[folder]


@dataclass(frozen=True)
class _Trio:
    """Files of one volume or slice; None where that side has none."""

    truth: Path
    prediction: Path | None
    other: Path | None


def score_masks(
    truth: Path,
    predictions: Path,
    *,
    other: Path | None = None,
    spacing: Spacing | None = None,
    nested: bool | None = None,
    tolerance: float = TOLERANCE,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = lambda text, done, total: None,
) -> dict[str, Any]:
    """Score mask files: NIfTI, MetaImage or NRRD volumes, one a patient, or PNG and TIFF slices.

    Files meet by their name without suffix and without endings such as ``_mask``, ``_seg`` or ``_pred``; sub-folders
    count only where names alone would not do. Where a side has files with such an ending, its others are taken for
    images. Slices of one patient are those of one sub-folder, or those whose names differ in a trailing number. A truth
    without prediction is scored against an empty one, and a remark says so. Where a ``dataset.json`` in the folder of a
    side, or above it, says what its values mean, only values named as in BraTS are taken for BraTS.

    Args:
        truth: a folder of masks, or one file.
        predictions: the same for the predictions.
        other: the same for another model's predictions; adds the paired difference.
        spacing: (z, y, x) in mm of slices, whose files do not say it.
        nested: score nested BraTS regions (True) or labels as they stand (False); None decides by the values.
        tolerance: of the surface Dice: mm, or pixels where no spacing is known.
        draws: of the bootstrap.
        seed: of the bootstrap.
        progress: told (text, done, total) after each patient that is read, and again after each that is scored.

    Returns:
        As `score_arrays`, and which files were skipped, with reasons.

    Raises:
        InputError: a path that is not there, no two files that match, nothing left to score, or values above 4 where
            nested regions are asked for.
    """
    findings = _Findings()
    roots = {"truth": truth, "predictions": predictions} | ({"other": other} if other is not None else {})
    trios = _matched({name: _masks_of(root, name, findings) for name, root in roots.items()}, roots, findings)
    cases = _by_patient(trios, roots, findings)
    _read_labels(trios, roots, findings)
    loaded = _loaded(cases, roots, spacing, findings, progress)
    result = _score(loaded, findings, nested, tolerance, draws, seed, progress)
    result["compared"] |= {name: printable(root.resolve().name) for name, root in roots.items()}
    return result


def score_arrays(
    patients: Iterable[PatientMasks],
    *,
    nested: bool | None = None,
    tolerance: float = TOLERANCE,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Score masks in memory; patients are taken one after the other, so they may come from a generator.

    Args:
        patients: their masks.
        nested: score nested BraTS regions (True) or labels as they stand (False); None decides by the values.
        tolerance: of the surface Dice: mm, or pixels where no spacing is known.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Plain data (nan is None): ``labels`` (which regions are scored, and why), ``regions`` (mean and median of each
        score with their intervals), ``conventions``, ``slices`` (detection by the masks), ``probabilities`` (None where
        no patient has any), ``per_patient``, ``comparison`` (None without another model), ``skipped``, ``remarks``.

    Raises:
        InputError: no patient, a name that comes twice, masks of two shapes, another number of probabilities than of
            slices, or values above 4 where nested regions are asked for.
    """
    return _score(patients, _Findings(), nested, tolerance, draws, seed)


# Scores --------------------------------------------------------------------------------------------------------------


def _score(
    patients: Iterable[PatientMasks],
    findings: _Findings,
    nested: bool | None,
    tolerance: float,
    draws: int,
    seed: int,
    progress: Progress = lambda text, done, total: None,
) -> dict[str, Any]:
    """As `score_arrays`; what reading the patients adds to the findings goes into the result."""
    sides = {side: Side() for side in _SIDES}
    kept = [_packed(masks, sides) for masks in patients]
    if not kept:
        came = findings.skipped[0]["reason"] if findings.skipped else "none"
        raise InputError("at least one patient with masks to score", came, "see the files that were skipped")
    for side in _SIDES:
        sides[side].names = findings.names.get(side)
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
    counts = slice_counts(truth, prediction)
    table = _called(counts)
    tp, fp, fn, _ = table
    answer = judged(truth, masks.chances)
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
    return row, counts, None if other is None else slice_counts(truth, other), answer


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


def _region(rows: Sequence[Mapping[str, float]], mixed: bool, draws: int, seed: int) -> dict[str, Any]:
    """Mean and median over patients of each score; of distances and volumes only in one unit."""
    found: dict[str, Any] = {}
    for name in SCORES:
        values = np.array([row[name] for row in rows])
        kinds: Sequence[Any] = () if mixed and name in _IN_UNITS else ("mean", "median")
        found[name] = {kind: asdict(score_interval(values, statistic=kind, draws=draws, seed=seed)) for kind in kinds}
    return found


def _conventions(counts: Sequence[Counts], draws: int, seed: int) -> dict[str, Any]:
    table = convention_table(counts)
    found = bootstrap_many(lambda drawn: conventions_of(table[drawn]), len(table), draws=draws, seed=seed)
    return {name: asdict(interval) for name, interval in found.items()}


def _detection(counts: Sequence[Counts], draws: int, seed: int) -> dict[str, Any]:
    """Whether a slice holds tumour, read from the masks: all slices together, and the mean of the patients' own scores.

    Intervals are by patient. A mean leaves out patients in whom the score is not defined: without a slice with tumour
    there is no recall, without an empty one no specificity.
    """
    table = np.array([_called(one) for one in counts], dtype=np.int64)

    def scores(drawn: Ints) -> dict[str, float]:
        return _yes_no(table[drawn].sum(axis=0))

    found = bootstrap_many(scores, len(table), draws=draws, seed=seed)
    tp, fp, fn, tn = table.sum(axis=0).tolist()
    numbers = {"slices": tp + fp + fn + tn, "tp": tp, "fp": fp, "fn": fn, "tn": tn}
    each = [_yes_no(row) for row in table]
    means = {
        name: asdict(score_interval(np.array([row[name] for row in each]), draws=draws, seed=seed)) for name in _ANSWERS
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
            other = score_interval(pair[1], draws=draws, seed=seed)
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


# Files ---------------------------------------------------------------------------------------------------------------

Key = tuple[str, ...]
"""Folders below the side's root, then the bare name (left out where nothing of it remains)."""

_Roots = Mapping[str, Path]
_Cases = Mapping[str, Sequence[_Trio]]


def _masks_of(root: Path, name: str, findings: _Findings) -> dict[Key, Path]:
    """Mask files of one side by key."""
    if root.is_file():
        return {_key(root, root): root}
    if not root.is_dir():
        raise InputError(f"a file or folder of masks ({name})", f"nothing at {root.name!r}", "check the path")
    files, unlisted = walk(root)
    kinds = {path: kind_of(path) for path in (*files, *(item.path for item in unlisted))}
    # A damaged or empty file keeps its place by its suffix: it is refused when it is read, and not taken for missing.
    usable = [path for path, kind in kinds.items() if kind in PICTURES | VOLUMES or suffix_of(path) in SUFFIXES]
    known = set(usable)
    for item in unlisted:
        if item.path not in known:
            findings.skip(_place(item.path, root, name), item.reason)
    if rest := sum(path not in known for path in files):
        findings.remarks.append(f"{name}: {rest} files that are no volumes or pictures were left aside")
    marked = [path for path in usable if _ENDING.search(stem_of(path))]
    if marked and len(marked) < len(usable):
        left = len(usable) - len(marked)
        findings.remarks.append(f"{name}: {left} files were taken for images, since others end in _mask or the like")
    found: dict[Key, Path] = {}
    for path in marked or usable:
        first = found.setdefault(_key(path, root), path)
        if first != path and not _same_detection(first, path, root, name, findings):
            came = f"a second one beside {_place(first, root)}"
            findings.skip(_place(path, root, name), InputError("one mask of each name", came, "keep one of the two"))
    return found


def _same_detection(first: Path, second: Path, root: Path, side: str, findings: _Findings) -> bool:
    """Whether both are of one slice that `synthoma detect` outlined: it writes a mask, and beside it the labels."""
    detection = findings.detection(first, root, side) if first.parent == second.parent else None
    return detection is not None and {first.name, second.name} <= {*detection.files}


def _place(path: Path, root: Path, side: str = "") -> str:
    """How a file is named in results: below the folder of its side."""
    inner = printable(path.name if path == root else path.relative_to(root))
    return f"{side}: {inner}" if side else inner


def _key(path: Path, root: Path) -> Key:
    bare = stem_of(path)
    while match := _ENDING.search(bare):
        bare = bare[: match.start()]
    folders = () if path == root else path.relative_to(root).parts[:-1]
    return (*folders, bare) if bare or not folders else folders


def _matched(sides: Mapping[str, Mapping[Key, Path]], roots: _Roots, findings: _Findings) -> list[_Trio]:
    """Each truth with its prediction and the other model's.

    Raises:
        InputError: no truth has a prediction.
    """
    truth = sides["truth"]
    ordered = sorted(truth, key=lambda key: natural("/".join(key)))
    partners: dict[str, dict[Key, Path]] = {}
    for name, side in sides.items():
        if name == "truth":
            continue
        two_files = roots["truth"].is_file() and roots[name].is_file()
        partners[name] = dict(zip(truth, side.values(), strict=True)) if two_files else _partners(truth, side)
        if not partners[name]:
            came = f"{len(truth)} files of the truth and {len(side)} of the {name}, none of which match"
            raise InputError("masks and predictions with names that match", came, _MATCH)
        if extra := len(side) - len(partners[name]):
            findings.remarks.append(f"{name}: {extra} files match no truth and are not scored")
        if missing := [printable("/".join(key)) for key in ordered if key not in partners[name]]:
            listed = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
            findings.remarks.append(
                f"{name}: {len(missing)} of {len(truth)} are missing and count as empty masks: {listed}"
            )
            findings.missing[name] = missing
    return [
        _Trio(truth[key], *(partners.get(side, {}).get(key) for side in ("predictions", "other"))) for key in ordered
    ]


def _partners(truth: Mapping[Key, Path], side: Mapping[Key, Path]) -> dict[Key, Path]:
    """File of a side for each truth: of the same key, else of the same last part where only one on each side has it."""
    found = {key: side[key] for key in truth if key in side}
    unmatched = [key for key in truth if key not in found], [key for key in side if key not in found]
    often = {name for keys in unmatched for name, number in Counter(key[-1] for key in keys).items() if number > 1}
    by_name = {key[-1]: side[key] for key in unmatched[1] if key[-1] not in often}
    return found | {key: by_name[key[-1]] for key in unmatched[0] if key[-1] in by_name and key[-1] not in often}


def _by_patient(trios: Sequence[_Trio], roots: _Roots, findings: _Findings) -> _Cases:
    """Volumes each by itself, slices by patient."""
    root = roots["truth"]
    slices = [trio for trio in trios if kind_of(trio.truth) in PICTURES]
    # A folder that all slices lie in (masks/) tells no patients apart.
    shared = len({trio.truth.parent for trio in slices}) == 1
    cases: dict[str, list[_Trio]] = defaultdict(list)
    for trio in slices:
        *folders, bare = _key(trio.truth, root)
        alone = shared or trio.truth.parent == root
        name = _SLICE_NUMBER.sub("", bare) or root.resolve().name if alone else "/".join(folders) or bare
        cases[printable(name)].append(trio)
    if len(cases) == 1 and len(slices) > 1:
        findings.remarks.append(
            f"all {len(slices)} slices were taken for one patient ({next(iter(cases))}), so there is no interval; "
            "if they are of several, put the slices of each into a folder of its own"
        )
    volumes = [(trio, _key(trio.truth, root)) for trio in trios if kind_of(trio.truth) not in PICTURES]
    often = Counter(key[-1] for _, key in volumes)
    for trio, key in volumes:  # also files that turn out to be none when they are read
        name = key[-1] if often[key[-1]] == 1 and key[-1] else "/".join(key) or stem_of(trio.truth)
        cases[printable(name) if name not in cases else _place(trio.truth, root)].append(trio)
    return dict(sorted(cases.items(), key=lambda item: natural(item[0])))


def _read_labels(trios: Sequence[_Trio], roots: _Roots, findings: _Findings) -> None:
    """Take note of what mask values mean, where findings or a `LABELS_FILE` of a side say so."""
    for side, name in zip(_SIDES, ("truth", "predictions", "other"), strict=True):
        if name not in roots:
            continue
        paths = [] if name == "truth" else [getattr(trio, side) for trio in trios]
        said = [findings.detection(path, roots[name], name) for path in paths if path is not None]
        own = {tuple(sorted(one.names.items())) for one in said if one is not None}
        if len(own) == 1:
            findings.names[side] = dict(own.pop())
        elif not own and (found := read_names(roots[name])) is not None:
            findings.names[side] = found[0]
            findings.remarks.append(f"{name}: what values mean was read from {LABELS_FILE} in {printable(found[1])}")


def _loaded(
    cases: _Cases, roots: _Roots, spacing: Spacing | None, findings: _Findings, progress: Progress
) -> Iterator[PatientMasks]:
    """Patients one after the other; what cannot be read is written into the findings."""
    for done, (name, trios) in enumerate(cases.items()):
        progress("reading", done, len(cases))
        parts: list[PatientMasks] = []
        for trio in trios:
            part = _read_trio(trio, roots, spacing, findings)
            if part is None:
                continue
            if parts and part.truth.shape[1:] != parts[0].truth.shape[1:]:
                came = f"{_size(part.truth)} among {_size(parts[0].truth)}"
                reason = InputError("slices of one size in a patient", came, "export them again in one size")
                findings.skip(part.patient, reason)
                continue
            parts.append(part)
        if parts:
            others = [part.other for part in parts if part.other is not None]
            yield PatientMasks(
                name,
                np.concatenate([part.truth for part in parts]),
                np.concatenate([part.prediction for part in parts]),
                parts[0].spacing,
                np.concatenate(others) if len(others) == len(parts) else None,
                joined([part.chances for part in parts], [len(part.truth) for part in parts]),
            )
    progress("reading", len(cases), len(cases))


def _read_trio(trio: _Trio, roots: _Roots, spacing: Spacing | None, findings: _Findings) -> PatientMasks | None:
    """Masks of one file each; None where the truth or the prediction cannot be used."""
    place = _place(trio.truth, roots["truth"], "truth")
    try:
        truth, geometry = _read(trio.truth)
    except InputError as error:
        findings.skip(place, error)
        return None
    drawn: dict[str, Array] = {}
    for name, path in (("predictions", trio.prediction), ("other", trio.other)):
        try:
            if name in roots:
                drawn[name] = np.zeros_like(truth) if path is None else _read_onto(path, truth, geometry)
        except InputError as error:
            assert path is not None
            findings.skip(_place(path, roots[name], name), error)
    if "predictions" not in drawn:
        return None
    if geometry is not None:
        spacing = (geometry.spacing[2], geometry.spacing[1], geometry.spacing[0])
    chances = _chances(trio.prediction, truth, roots["predictions"], findings)
    return PatientMasks(place, truth, drawn["predictions"], spacing, drawn.get("other"), chances)


def _chances(path: Path | None, truth: Array, root: Path, findings: _Findings) -> Chances | None:
    """Probabilities of the slices in a mask that `synthoma detect` wrote; None for any other."""
    detection = None if path is None else findings.detection(path, root, "predictions")
    if path is None or detection is None:
        return None
    try:
        return detection.of_file(path.name, truth.shape)
    except InputError as error:
        findings.detections[path.parent] = None  # said once, and not again for each slice
        findings.skip(_place(path.parent / FINDINGS, root if root.is_dir() else path.parent, "predictions"), error)
        return None


def _read_onto(path: Path, truth: Array, geometry: Geometry | None) -> Array:
    """A mask on the grid of its truth.

    Raises:
        InputError: damaged, no mask, or another grid.
    """
    mask, own = _read(path)
    if mask.shape != truth.shape:
        came = f"{_size(mask)} for a truth of {_size(truth)}"
        raise InputError("a prediction as large as its truth", came, _ON_GRID)
    if geometry is not None and own is not None and not same_grid(geometry, own):
        came = "another spacing, origin or direction"
        raise InputError("a prediction on the grid of its truth", came, _ON_GRID)
    return mask


def _size(mask: Array) -> str:
    """Width, height and, of a volume, depth: 240x240x155."""
    return "x".join(map(str, mask.shape[::-1] if len(mask) > 1 else mask.shape[:0:-1]))


def _read(path: Path) -> tuple[Array, Geometry | None]:
    """Labels (z, y, x) of one file, and its geometry where it has one.

    Raises:
        InputError: damaged, another format, or values that are no labels.
    """
    kind = kind_of(path)
    if kind == "jpeg":
        raise InputError("a mask stored without loss", "a JPEG, which changes values", "export it as PNG")
    if kind in VOLUMES or (kind == "unknown" and SUFFIXES.get(suffix_of(path)) in ("NIfTI", "MetaImage", "NRRD")):
        volume = read_volume(path)
        return _as_labels(volume.voxels), volume.geometry
    picture = read_image(path)
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    if picture.ndim == 3:  # colours tell tumour from black, but their numbers are no labels
        codes = picture.astype(np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
        return (_as_labels(codes) > 0).astype(np.uint8)[None], None
    return _as_labels(picture)[None], None


def _as_labels(values: Array) -> Array:
    """Stored numbers as whole labels, in the narrowest type.

    Raises:
        InputError: fractions, numbers below 0, or too many different ones.
    """
    present = np.unique(values)
    todo = "save the thresholded mask, with background 0"
    if present[0] < 0 or (present != np.rint(present)).any():
        raise InputError("whole labels from 0 up", f"values from {present[0]:g} to {present[-1]:g}", todo)
    if len(present) > MOST_LABELS:
        raise InputError(f"a mask of at most {MOST_LABELS} values", f"{len(present)} different ones", todo)
    return values.astype(np.uint8 if present[-1] < 256 else np.int64)
