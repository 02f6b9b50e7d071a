"""What scores of masks are: typed, read and written here and nowhere else.

Numbers that are not defined are nan in Python, so that means leave them out by themselves, and null in JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Record
from synthoma.core.whole_files import write_json
from synthoma.masks.estimates import Estimate as Estimate
from synthoma.masks.estimates import Gap as Gap
from synthoma.masks.estimates import Measure as Measure
from synthoma.masks.lesion_result import LesionScores, LesionsOfAll
from synthoma.masks.regions import Kind

FILE = "scores.json"
SCHEMA = "synthoma.scores/1"


Confusion = tuple[tuple[int, int], tuple[int, int]]
"""Numbers of slices: rows are the truth (empty, tumour), columns what was called."""

Unit = Literal["mm", "pixels"]


class RegionScores(Record):
    """How well a region of one patient was outlined; volumes in mm3, or in pixels where no spacing is known."""

    dice: Measure = Field(description="0..1; 1 where both masks are empty")
    iou: Measure = Field(description="0..1")
    tversky: Measure = Field(description="0..1; what is missed costs more than what is marked too much")
    precision: Measure = Field(description="share of what was marked that is tumour")
    recall: Measure = Field(description="share of the tumour that was marked")
    hd95: Measure = Field(description="mm or pixels; 95th percentile of the distances of both outlines")
    surface_dice: Measure = Field(description="share of both outlines that lie within the tolerance of each other")
    volume: Measure = Field(description="of the truth")
    volume_error: Measure = Field(description="predicted minus true volume")
    relative_volume_error: Measure = Field(description="the same over the true volume; null where only that is empty")


class Answers(Record):
    """Whether slices hold tumour: scores of these answers, 0..1; null where there is none to be right about."""

    precision: Measure
    recall: Measure
    specificity: Measure
    f1: Measure
    accuracy: Measure
    balanced_accuracy: Measure


class Called(Record):
    """Slices by what they are and what they were called."""

    confusion: Confusion


class PatientDetection(Answers, Called):
    """Whether the slices of one patient hold tumour, read from the masks."""


class Ranking(Record):
    """How well probabilities put slices with tumour before those without; null where all or none have it."""

    roc_auc: Measure = Field(description="0..1; 0.5 is guessing")
    pr_auc: Measure = Field(description="average precision, 0..1")
    sensitivity_at_95_specificity: Measure = Field(description="0..1")


class PatientScores(Record):
    """One patient."""

    patient: str
    slices: int
    tumour_slices: int = Field(description="slices with tumour in the truth")
    missed_slices: int = Field(description="of these, slices in which nothing was marked")
    false_slices: int = Field(description="slices without tumour in which something was marked")
    detection: PatientDetection
    probability: float | None = Field(description="of tumour in the scan, 0..1; null where nobody said one")
    slice_ranking: Ranking | None = Field(description="null where there are no probabilities")
    unit: Unit
    spacing: tuple[float, ...] | None = Field(description="(z, y, x) in mm; null where nobody knows")
    regions: dict[str, RegionScores]
    other: dict[str, RegionScores] | None = Field(description="of the other model; null without one")
    lesions: dict[str, LesionScores] | None = Field(
        default=None,
        description="by region; null where nobody knows the voxels' size, and in files of earlier versions",
    )


class Compared(Record):
    """Names of the folders or files; null for arrays."""

    truth: str | None
    predictions: str | None
    other: str | None


class Labels(Record):
    """Which regions are scored, and why."""

    convention: Kind
    text: str = Field(description="the same in a sentence")
    values: dict[str, dict[str, tuple[int, ...] | Literal["above 0"]]] = Field(
        description="mask values of each region, by side"
    )


class SliceAnswers(Record):
    """Scores of the answers whether slices hold tumour, with intervals by patient."""

    precision: Estimate
    recall: Estimate
    specificity: Estimate
    f1: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate


class SliceCounts(Record):
    """Slices of all patients together."""

    slices: int
    tp: int = Field(description="slices rightly called tumour")
    fp: int = Field(description="slices wrongly called tumour")
    fn: int = Field(description="slices with tumour that were missed")
    tn: int = Field(description="slices rightly left empty")
    confusion: Confusion


class SliceDetection(SliceAnswers, SliceCounts):
    """All slices of all patients together, and the mean of the patients' own scores."""

    patient_mean: SliceAnswers = Field(description="patients in whom a score is not defined are left out")


class RankingOfAll(Record):
    """Rankings of all slices, or of all scans, with intervals by patient."""

    number: int
    with_tumour: int
    roc_auc: Estimate
    pr_auc: Estimate
    sensitivity_at_95_specificity: Estimate


class CurvePoint(Record):
    """One bin of the reliability curve."""

    probability: float = Field(description="mean of the bin")
    share: float = Field(description="of its slices that have tumour")
    count: int = Field(description="slices in it")


class Calibration(Record):
    """Whether probabilities mean what they say."""

    ece: Estimate = Field(description="expected calibration error, 0..1")
    brier: Estimate = Field(description="Brier score, 0..1")
    bins: int = Field(description="of the curve, of equal mass")
    curve: tuple[CurvePoint, ...]


class ChanceScores(Record):
    """What the probabilities that came with the predictions are worth."""

    patients: int = Field(description="patients with probabilities")
    slices: RankingOfAll
    scans: RankingOfAll
    calibration: Calibration


class Centre(Record):
    """Mean and median over patients; both are missing where patients are measured in different units."""

    mean: Estimate | None = None
    median: Estimate | None = None


class BesideOther(Record):
    """A score of the other model, and how far the prediction is ahead of it."""

    other: Estimate
    difference: Gap


class DiceByConvention(Record):
    """Dice of the same masks under every convention in use."""

    tumour_slice_mean: Measure
    slice_mean: Measure
    pooled: Measure
    patient_mean: Measure
    patient_median: Measure


class OfBothModels(Record):
    """Dice of either model by convention, over the patients that both have."""

    prediction: DiceByConvention
    other: DiceByConvention


class Comparison(Record):
    """Prediction against another model's, over the patients that both have."""

    patients: int
    regions: dict[str, dict[str, BesideOther]]
    conventions: OfBothModels


class ScoreSettings(Record):
    """What the scores depend on beside the masks."""

    tolerance: float = Field(description="of the surface Dice: mm, or pixels where no spacing is known")
    draws: int = Field(description="of the bootstrap")
    level: float = Field(description="of the intervals, 0..1")
    seed: int = Field(description="of the bootstrap")
    tversky_false_negatives: float = Field(description="weight of what is missed")
    tversky_false_positives: float = Field(description="weight of what is marked too much")
    lesion_reach: float = Field(default=3.0, description="mm by which lesions are dilated")
    small_lesion: float = Field(default=50.0, description="mm3 up to which a lesion counts for nothing")
    lesion_sizes: tuple[float, ...] = Field(default=(1.0, 10.0), description="ml between the sizes of lesions")


class Provenance(Record):
    """What made the scores."""

    software: dict[str, str] = Field(description="versions")


class SkippedFile(Record):
    """A file that is not scored."""

    file: str = Field(description="side, and place below its folder")
    reason: str


class Scores(Record):
    """The content of scores.json."""

    version: Literal["synthoma.scores/1"] = Field(
        default="synthoma.scores/1", validation_alias="schema", serialization_alias="schema"
    )
    not_for_clinical_use: str
    compared: Compared
    patients: int
    labels: Labels
    slices: SliceDetection
    probabilities: ChanceScores | None = Field(description="null where no patient has any")
    unit: Literal["mm", "pixels", "mixed"]
    regions: dict[str, dict[str, Centre]] = Field(description="by region and score")
    lesions: dict[str, LesionsOfAll] | None = Field(
        default=None,
        description="by region; null where nobody knows the voxels' size, and in files of earlier versions",
    )
    conventions: dict[str, Estimate] = Field(description="Dice of the whole tumour under every convention in use")
    comparison: Comparison | None = Field(description="null without another model")
    per_patient: tuple[PatientScores, ...]
    missing: dict[str, tuple[str, ...]] = Field(description="truths without prediction, by side")
    skipped: tuple[SkippedFile, ...]
    remarks: tuple[str, ...]
    settings: ScoreSettings
    provenance: Provenance


def read_scores(path: Path) -> Scores:
    """Scores from their file or folder, with checksums and schema compared.

    Raises:
        InputError: damaged, of a version that is not read, or incomplete.
    """
    file = path / FILE if path.is_dir() else path
    return Scores.parse(read_artefact(file, SCHEMA), file)


def write_scores(folder: Path, scores: Scores) -> None:
    """Write scores.json so that it appears whole or not at all."""
    write_json(folder / FILE, scores.content())
