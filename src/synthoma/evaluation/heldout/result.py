"""What the held-out scores of a trained model are: typed, read and written here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Record
from synthoma.core.whole_files import write_json
from synthoma.evaluation.heldout.group_result import GroupScores, Shift
from synthoma.masks.result import Estimate, Provenance, Scores

FILE = "model_scores.json"
SCHEMA = "synthoma.model-scores/1"


class ScoredModel(Record):
    """Which model was scored."""

    name: str = Field(description="as `synthoma train --list` has it")
    kind: Literal["segmenter", "classifier"]
    sha256: str = Field(description="of its file")
    origin: str = Field(description="of the slices that it learned from: real, phantom or synthetic; empty if unknown")
    learned_from: int = Field(description="patients or groups that it names as those it learned from")


class ScoredSlices(Record):
    """What it was scored on."""

    cohort: str = Field(description="name of the cohort's folder")
    origin: str = Field(description="real, phantom or synthetic")
    slices_sha256: str | None = Field(description="SHA-256 of its slices.csv")
    images_sha256: str | None = Field(description="SHA-256 of its images.npy")
    part: Literal["test", "validation", "all"] = Field(description="the split; all of them")
    slices: int = Field(description="scored")
    groups: int = Field(description="patients, or sets of near-duplicates: what intervals are drawn over")
    left_out: int = Field(description="slices of that part that cannot be scored; a remark says why")


class ClassScores(Record):
    """One class against the rest; intervals by patient."""

    slices: int = Field(description="of this class")
    groups: int = Field(description="patients with such slices")
    called: int = Field(description="slices called so")
    precision: Estimate = Field(description="of the slices called so, the share that are")
    recall: Estimate = Field(description="of the slices of this class, the share that were called so")
    f1: Estimate = Field(description="harmonic mean of both")
    auc: Estimate = Field(description="of its probability against all other classes; 0.5 is guessing")


class ClassifierScores(Record):
    """How well slices are told apart; intervals by patient."""

    classes: tuple[str, ...] = Field(description="in the model's order")
    accuracy: Estimate = Field(description="of all slices, the share that was called right")
    balanced_accuracy: Estimate = Field(description="mean recall of the classes that are there")
    precision: Estimate = Field(description="mean over classes")
    recall: Estimate = Field(description="mean over classes")
    f1: Estimate = Field(description="mean over classes")
    auc: Estimate = Field(description="mean over classes of one against the rest")
    commonest: float = Field(description="accuracy of always calling the commonest class")
    confusion: tuple[tuple[int, ...], ...] = Field(description="slices: rows are the truth, columns what was called")
    per_class: dict[str, ClassScores]
    inception: Estimate | None = Field(
        default=None, description="inception score, 1 to the number of classes; of synthetic slices alone"
    )


class SliceOverlap(Record):
    """Mean over single slices; intervals by patient."""

    slices: int
    dice: Estimate
    iou: Estimate
    precision: Estimate = Field(description="share of the marked pixels that are tumour")
    recall: Estimate = Field(description="share of the tumour's pixels that were marked")


class SegmenterScores(Record):
    """How well tumours are outlined: patient by patient, and slice by slice."""

    threshold: tuple[float, ...] = Field(description="probability from which a pixel belongs to each target")
    targets: tuple[str, ...] = Field(description="that the model outlines")
    tumour_slices: SliceOverlap | None = Field(description="slices that show tumour; null where none does")
    all_slices: SliceOverlap = Field(description="an empty slice that was left empty counts 1")
    masks: Scores = Field(description="patients, detection of slices, and probabilities, as of two folders of masks")


class HeldOutSettings(Record):
    """What the figures depend on beside model and cohort."""

    level: float = Field(description="of the intervals, 0..1")
    draws: int = Field(description="of the bootstrap, by patient")
    seed: int = Field(description="of the bootstrap")
    mirrored: bool = Field(description="each slice was looked at twice, once mirrored, as `synthoma detect` does")


class ModelScores(Record):
    """The content of model_scores.json."""

    version: Literal["synthoma.model-scores/1"] = Field(
        default="synthoma.model-scores/1", validation_alias="schema", serialization_alias="schema"
    )
    not_for_clinical_use: str
    model: ScoredModel
    scored: ScoredSlices
    classifier: ClassifierScores | None = Field(description="null for a segmenter")
    segmenter: SegmenterScores | None = Field(description="null for a classifier")
    groups: tuple[GroupScores, ...] = Field(default=(), description="of a segmenter, where groups were asked for")
    shift: Shift | None = Field(default=None, description="on another cohort; missing where none was given")
    remarks: tuple[str, ...]
    settings: HeldOutSettings
    provenance: Provenance


def read_model_scores(path: Path) -> ModelScores:
    """Scores from their file or folder, with checksums and schema compared.

    Raises:
        InputError: damaged, of a version that is not read, or incomplete.
    """
    file = path / FILE if path.is_dir() else path
    return ModelScores.parse(read_artefact(file, SCHEMA), file)


def write_model_scores(folder: Path, scores: ModelScores) -> None:
    """Write model_scores.json so that it appears whole or not at all."""
    write_json(folder / FILE, scores.content())
