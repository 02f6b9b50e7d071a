"""What the question "is it useful?" leaves in evaluation.json."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthoma.core.records import Number, OrEmpty, Record
from synthoma.evaluation.score import Estimate

Word = Literal["HELPS", "NO EVIDENCE", "HARMS", "CANNOT TELL"]


class Difference(Record):
    """Mean difference of two arms over the same held-out patients."""

    value: float = Field(description="in the unit of the endpoint")
    low: float = Field(description="lower end of its interval, which holds patients and seeds")
    high: float
    p: float = Field(description="two-sided, 0..1")
    n: int = Field(description="patients")
    spread: float = Field(description="standard error times the root of n")
    shake: float | None = Field(default=None, description="standard error from seeds alone")


class McNemar(Record):
    """Patients whom only one of two arms gets right."""

    only_this: int
    only_control: int
    p: Number = Field(description="two-sided, exact")


class Areas(Record):
    """ROC areas of slices of an arm and of the control (DeLong)."""

    auc: Number = Field(description="0..1; None where it is not defined")
    auc_control: Number
    p: Number = Field(description="two-sided; None where both areas have no variance and yet differ")


class _Against(Record):
    against: str = Field(description="arm that is compared with: the control")


class Comparison(Difference, _Against):
    """An arm against the control, and against real scans."""

    against_real: Difference = Field(description="the same against plain real scans")
    minimum_detectable: Number = Field(description="smallest difference that would have been found")
    mcnemar: McNemar | None = None
    delong: Areas | None = Field(default=None, description="missing where nothing is to be told apart")
    p_holm: Number = Field(default=None, description="p adjusted for all mixtures; missing of other arms")


class Point(Record):
    """One number of patients on the learning curve."""

    patients: int = Field(description="how many were learned from")
    score: float = Field(description="mean over seeds and held-out patients")
    by_seed: tuple[float, ...] = Field(description="mean of each seed")


class Line(Record):
    """score = start + slope * ln(patients), from so many patients on."""

    slope: float
    start: float
    begin: int


class Worth(Record):
    """What the mixtures are worth in real patients."""

    value: float | None = Field(
        description="further real patients that would give as much; below 0 for a loss. None if no number can be given"
    )
    low: float | None = Field(description="lower end of its 95 % interval, from -had on; None likewise")
    high: float | None = Field(description="upper end, up to ``most``")
    because: str = Field(description="why no number can be given; empty where one is")
    arm: str = Field(description="the mixture with the highest mean")
    reached: float = Field(description="score of the mixture that other patients and seeds choose")
    had: int = Field(description="real patients that one has")
    most: float = Field(description="further patients up to which the curve is followed")
    line: Line = Field(description="of the learning curve")
    curve: tuple[Point, ...] = Field(description="what it is drawn through")


class ArmResult(Record):
    """What detectors of one arm reach."""

    title: str
    patients: int = Field(description="real patients learned from")
    score: Estimate = Field(description="the endpoint")
    by_seed: tuple[float, ...] = Field(description="mean of each seed")
    detection: dict[str, Number] = Field(
        default_factory=dict, description="scores of single slices; None where undefined"
    )


Side = Literal["real", "synthetic", "combined"]


class CrossCell(Record):
    """What detectors of one kind of training reach on one kind of slices."""

    score: Estimate = Field(description="the endpoint; its n counts patients, synthetic ones included")
    detection: Estimate | None = Field(
        default=None, description="of segmenters: balanced accuracy of single slices (tumour or not); None otherwise"
    )


class CrossTable(Record):
    """Detectors trained on real, synthetic and combined slices, each tested on all three."""

    trained_on: dict[Side, dict[Side, CrossCell]] = Field(description="what was learned from -> what was asked")
    kept_back: int = Field(description="synthetic groups that no detector of this table learned from")
    kept_back_slices: int = Field(description="their slices")
    seeds: int = Field(description="trainings of each kind")


class Utility(Record):
    """What detectors learn in each arm. Where nothing could be trained there are the word and its reason alone."""

    word: Word
    because: str
    mixture: str = Field(default="", description="the mixture that decided")
    task: str = Field(default="", description='"outline" or "classify"')
    endpoint: str = Field(default="", description="what the score of an arm is")
    detector: str = Field(default="", description='"small" or "large"')
    steps: int = Field(default=0, description="batches of each training")
    seeds: int = Field(default=0, description="trainings of each arm")
    patients: int = Field(default=0, description="real patients that one has")
    held_out_patients: int = Field(default=0, description="real patients asked")
    held_out_slices: int = Field(default=0, description="their slices")
    seed_noise: float = Field(default=0.0, description="standard deviation of an arm's mean, seed to seed")
    arms: dict[str, ArmResult]
    comparisons: dict[str, Comparison] = Field(default_factory=dict)
    worth: OrEmpty[Worth] = Field(default=None, description="{} where there is no learning curve")
    cross: CrossTable | None = Field(default=None, description="3 x 3 table; None where it was not asked for or made")
    training_seconds: float = Field(default=0.0, description="of all trainings together")
    other_detectors: tuple[Utility, ...] = Field(default=(), description="other sizes, which do not decide")
