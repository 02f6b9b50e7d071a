"""Scores of anyone's masks against the truth: files or arrays, per patient, with intervals by patient.

What is scored is the whole tumour, and within it nested regions or each label that both sides have, see
``regions``; beside the masks, the probabilities that `synthoma detect` wrote. How files meet:
``matching``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.progress import Progress, silent
from synthoma.core.provenance import software
from synthoma.core.untrusted import printable
from synthoma.masks.chances import chance_scores
from synthoma.masks.files import read_patients
from synthoma.masks.lesion_result import LesionScores, LesionsOfAll
from synthoma.masks.lesions import lesions_of_all
from synthoma.masks.over_patients import comparison_of_models, conventions_of_all, detection_of_all, region_of_all
from synthoma.masks.patient_scores import (
    FALSE_NEGATIVES,
    FALSE_POSITIVES,
    Packed,
    PatientResult,
    score_patient,
)
from synthoma.masks.patients import SIDES, PatientMasks, ScoringNotes
from synthoma.masks.regions import GIVEN, WHOLE, Regions, Side, choose
from synthoma.masks.result import (
    Compared,
    Labels,
    PatientScores,
    Provenance,
    Scores,
    ScoreSettings,
)
from synthoma.metrics.boundary import TOLERANCE, Spacing
from synthoma.metrics.intervals import (
    DRAWS,
)  # fmt: skip
from synthoma.metrics.lesions import REACH, SIZES, SMALL
from synthoma.scans.convention_words import parsed
from synthoma.scans.conventions import Decision
from synthoma.scans.layouts.listing import counted

NOT_CLINICAL = "Research software. Not a medical device and not for clinical use: no result may guide a patient's care."


def score_masks(
    truth: Path,
    predictions: Path,
    *,
    other: Path | None = None,
    spacing: Spacing | None = None,
    nested: bool | None = None,
    convention: str | None = None,
    tolerance: float = TOLERANCE,
    lesion_reach: float = REACH,
    small_lesion: float = SMALL,
    lesion_sizes: Sequence[float] = SIZES,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = silent,
) -> Scores:
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
        lesion_reach: mm by which lesions are dilated before they are matched.
        small_lesion: mm3 up to which a lesion counts for nothing lesion by lesion.
        lesion_sizes: ml that part small from large lesions.
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
    notes = ScoringNotes(None if convention is None else parsed(convention))
    roots = {"truth": truth, "predictions": predictions} | ({"other": other} if other is not None else {})
    patients = read_patients(roots, spacing, notes, progress)
    compared = {name: printable(root.resolve().name) for name, root in roots.items()}
    return _score(
        patients,
        notes,
        nested,
        _settings(tolerance, (lesion_reach, small_lesion, lesion_sizes), draws, seed),
        compared,
        progress,
    )


def score_arrays(
    patients: Iterable[PatientMasks],
    *,
    nested: bool | None = None,
    convention: str | None = None,
    tolerance: float = TOLERANCE,
    lesion_reach: float = REACH,
    small_lesion: float = SMALL,
    lesion_sizes: Sequence[float] = SIZES,
    draws: int = DRAWS,
    seed: int = 0,
) -> Scores:
    """Score masks in memory; patients are taken one after the other, so they may come from a generator.

    Args:
        patients: their masks.
        nested: score nested regions (True) or labels as they stand (False); None decides by what values mean.
        convention: what values mean on all sides, see ``conventions.parsed``; else decided by the values of all masks.
        tolerance: of the surface Dice: mm, or pixels where no spacing is known.
        lesion_reach: mm by which lesions are dilated before they are matched.
        small_lesion: mm3 up to which a lesion counts for nothing lesion by lesion.
        lesion_sizes: ml that part small from large lesions.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        What scores.json holds, see ``result.Scores``: which regions are scored and why, mean and median of each score
        with their intervals, detection of slices by the masks, what the probabilities are worth, and each patient.

    Raises:
        InputError: no patient, a name that comes twice, masks of two shapes, another number of probabilities than of
            slices, values that the given convention does not have, or nested regions of values that are not known.
        ConfigError: a convention that is none.
    """
    notes = ScoringNotes(None if convention is None else parsed(convention))
    return _score(
        patients,
        notes,
        nested,
        _settings(tolerance, (lesion_reach, small_lesion, lesion_sizes), draws, seed),
        {},
        lambda text, done, total: None,
    )


def _settings(tolerance: float, lesions: tuple[float, float, Sequence[float]], draws: int, seed: int) -> ScoreSettings:
    return ScoreSettings(
        tolerance=tolerance,
        lesion_reach=lesions[0],
        small_lesion=lesions[1],
        lesion_sizes=tuple(lesions[2]),
        draws=draws,
        level=0.95,
        seed=seed,
        tversky_false_negatives=FALSE_NEGATIVES,
        tversky_false_positives=FALSE_POSITIVES,
    )


def _score(
    patients: Iterable[PatientMasks],
    notes: ScoringNotes,
    nested: bool | None,
    settings: ScoreSettings,
    compared: Mapping[str, str],
    progress: Progress,
) -> Scores:
    """As `score_arrays`; what reading the patients adds to the notes goes into the result."""
    sides = {side: Side() for side in SIDES}
    # What values mean is decided by the masks of all patients, so none can be scored before the last one is read.
    packed = [Packed.of(masks, sides) for masks in patients]
    if not packed:
        came = notes.skipped[0].reason if notes.skipped else "none"
        raise InputError("at least one patient with masks to score", came, "see the files that were skipped")
    chosen = _chosen(sides, notes, nested)
    found: list[PatientResult] = []
    for done, one in enumerate(packed):
        progress("scoring masks", done, len(packed))
        found.append(score_patient(one.unpacked(), chosen.regions, settings))
    progress("scoring masks", len(packed), len(packed))
    rows = [one.scores for one in found]
    # Two rows of one name would be drawn as two patients, and intervals be too narrow.
    if twice := [name for name, number in Counter(row.patient for row in rows).items() if number > 1]:
        raise InputError("each patient once", f"{twice[0]!r} twice", "give each patient a name of its own")
    return _result(found, chosen, notes, settings, compared)


def _chosen(sides: Mapping[str, Side], notes: ScoringNotes, nested: bool | None) -> Regions:
    """Which regions are scored, by what was read of the sides and by what the user says of them."""
    for side in SIDES:
        sides[side].said, sides[side].hint = notes.said.get(side), notes.hints.get(side)
        if notes.convention is not None:
            sides[side].said = Decision(notes.convention, GIVEN)
    chosen = choose(sides, nested)
    notes.remarks.extend(chosen.remarks)
    return chosen


def _result(
    found: Sequence[PatientResult],
    chosen: Regions,
    notes: ScoringNotes,
    settings: ScoreSettings,
    compared: Mapping[str, str],
) -> Scores:
    """All that was found, in the order of scores.json."""
    rows, counts = [one.scores for one in found], [one.counts for one in found]
    units = {row.unit for row in rows}
    # Known only now: one file without a spacing takes distances and volumes from the means of all.
    unit = units.pop() if len(units) == 1 else "mixed"
    if unit == "mixed":
        notes.remarks.append("some files state a spacing and some do not: distances and volumes are not averaged")
    elif unit == "pixels":
        notes.remarks.append("no spacing is known: distances are in pixels, a step between slices counting as one")
    notes.remarks.extend(_healthy(rows))
    return Scores(
        version="synthoma.scores/1",
        not_for_clinical_use=NOT_CLINICAL,
        compared=Compared.model_validate(dict.fromkeys(("truth", "predictions", "other")) | dict(compared)),
        patients=len(rows),
        labels=_labels(chosen),
        slices=detection_of_all(counts, settings),
        probabilities=chance_scores(
            [one.chances for one in found if one.chances is not None], settings.draws, settings.seed
        ),
        unit=unit,
        regions={
            region.name: region_of_all([row.regions[region.name] for row in rows], unit == "mixed", settings)
            for region in chosen.regions
        },
        lesions=_lesions([row.lesions for row in rows], settings),
        conventions=conventions_of_all(counts, settings),
        comparison=comparison_of_models(found, chosen.compared, settings),
        per_patient=tuple(rows),
        missing={side: tuple(names) for side, names in notes.missing.items()},
        skipped=tuple(notes.skipped),
        remarks=tuple(notes.remarks),
        settings=settings,
        provenance=Provenance(software=software()),
    )


def _healthy(rows: Sequence[PatientScores]) -> list[str]:
    """What a mean over patients does not say by itself: that some of them have no tumour."""
    if empty := sum(row.regions[WHOLE].volume == 0 for row in rows):
        return [
            f"{counted(empty, 'patient')} of {len(rows)} without tumour in the truth: their Dice is 1 where nothing "
            "was marked and 0 elsewhere, and weighs in the mean as others do"
        ]
    return []


def _lesions(rows: Sequence[dict[str, LesionScores] | None], settings: ScoreSettings) -> dict[str, LesionsOfAll] | None:
    """Lesion by lesion, of the patients whose voxels' size is known; None without any."""
    known = [row for row in rows if row is not None]
    if not known:
        return None
    return {region: lesions_of_all([row[region] for row in known], settings) for region in known[0]}


def _labels(chosen: Regions) -> Labels:
    return Labels(
        convention=chosen.convention,
        text=chosen.text,
        values={
            region.name: {side: tuple(region.values[side]) or "above 0" for side in ("truth", "prediction")}
            for region in chosen.regions
        },
    )
