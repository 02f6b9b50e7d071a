"""What a plan is: typed, read and written here and nowhere else. It names no patient."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.cohorts.meta import SourceCohort
from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Number, Record
from synthoma.core.whole_files import write_json
from synthoma.planning.settings import PlanConfig

FILE = "plan.json"
SCHEMA = "synthoma.plan/1"

Axis = Literal["class", "size", "side", "lobe", "site", "sequence"]
Word = Literal["WORTH IT", "NOT WORTH IT", "CANNOT TELL"]
Lobe = Literal["frontal", "temporal", "parietal", "occipital", "deep", "posterior fossa"]


class Tally(Record):
    """How many training patients are of one kind."""

    axis: Axis
    kind: str = Field(description="small, left, frontal, or the name of a class, site or sequence")
    have: int = Field(ge=0, description="training patients of this kind")
    make: int = Field(0, ge=0, description="synthetic cases of this kind that the plan orders")


class Unknown(Record):
    """A quantity that is not planned for, and why."""

    axis: Axis
    patients: int = Field(description="training patients of whom it is not known")
    because: str


class Order(Record):
    """So many synthetic cases of one kind; what is None is left as the training patients have it."""

    name: str = Field(description="small right temporal")
    count: int = Field(ge=1, le=100_000, description="cases")
    label: str | None = Field(None, description="class")
    size_ml: tuple[float, float] | None = Field(None, description="least and largest volume of the tumour")
    side: Literal["left", "right"] | None = Field(None, description="of the patient")
    lobe: Lobe | None = Field(None, description="in which the tumour's middle lies")
    sequences: bool = Field(False, description="with all sequences of the cohort")


class Point(Record):
    """One number of training patients on the learning curve."""

    patients: int = Field(description="how many were learned from")
    score: float = Field(description="mean over seeds and validation patients")
    by_seed: tuple[float, ...] = Field(description="mean of each seed")


class Curve(Record):
    """What more real patients would give: 1 - score = scale * patients ** -power, with 95 % intervals."""

    endpoint: str = Field(description="what the score is")
    points: tuple[Point, ...]
    validation_patients: int = Field(description="whom detectors were asked about")
    scale: float
    power: float = Field(description="0 where more patients do not help")
    power_low: Number
    power_high: Number
    steps: int = Field(description="batches of each training")


class Gain(Record):
    """What is to be expected of the synthetic cases, in the unit of the endpoint."""

    source: Literal["evaluation", "learning curve"]
    value: Number = Field(description="of a curve what as many real patients would give: the most to hope for")
    low: Number = Field(description="lower end of its 95 % interval")
    high: Number = Field(description="upper end")
    n: int = Field(description="patients that it stands on")
    real_patients: Number = Field(description="further real patients who would give as much; None where nobody can say")
    real_low: Number = None
    real_high: Number = None


class Verdict(Record):
    """One word, and why."""

    word: Word
    because: str


class Provenance(Record):
    """What the plan was made from."""

    cohort: SourceCohort = Field(description="the cohort, with its splits")
    config: PlanConfig = Field(description="settings, without paths")
    software: dict[str, str] = Field(description="versions")


class Plan(Record):
    """The content of plan.json."""

    version: Literal["synthoma.plan/1"] = Field(
        default="synthoma.plan/1", validation_alias="schema", serialization_alias="schema"
    )
    patients: int = Field(description="training patients")
    cases: int = Field(description="their scans")
    slices_each: int = Field(ge=1, description="slices with tumour of one case, median; 1 where none shows any")
    tallies: tuple[Tally, ...]
    unknown: tuple[Unknown, ...]
    orders: tuple[Order, ...] = Field(description="what is to be made")
    ratio: float = Field(description="synthetic cases for each training patient")
    curve: Curve | None = Field(None, description="None where none was measured")
    gain: Gain | None = Field(None, description="None where nothing is known of it")
    verdict: Verdict
    remarks: tuple[str, ...]
    provenance: Provenance

    @property
    def make(self) -> int:
        """Synthetic cases in all."""
        return sum(order.count for order in self.orders)


def read_plan(path: Path) -> Plan:
    """A plan from its file or folder, with checksums and schema compared.

    Raises:
        InputError: damaged, of a version that is not read, or incomplete.
    """
    file = path / FILE if path.is_dir() else path
    return Plan.parse(read_artefact(file, SCHEMA), file)


def write_plan(folder: Path, plan: Plan) -> None:
    """Write plan.json so that it appears whole or not at all."""
    write_json(folder / FILE, plan.content())
