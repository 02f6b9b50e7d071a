"""What readers' answers were worth: typed, read and written here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.cohorts.meta import SourceCohort
from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Number, Record
from synthoma.core.whole_files import write_json
from synthoma.evaluation.readers.blinded import Truth
from synthoma.evaluation.readers.settings import Design
from synthoma.metrics.intervals import Interval

FILE = "readers.json"
SCHEMA = "synthoma.readers/1"

ReadersWord = Literal["TOLD APART", "TOLD APART, HARDLY", "CANNOT TELL", "NOT TOLD APART", "TAKEN THE WRONG WAY ROUND"]


class Figure(Record):
    """A figure with its 95 % interval."""

    value: Number = Field(description="null where it is not defined")
    low: Number
    high: Number

    @classmethod
    def of(cls, interval: Interval) -> Figure:
        """What was computed, as it is written."""
        return cls(value=interval.value, low=interval.low, high=interval.high)


class Share(Figure):
    """A share of right answers with Wilson's interval."""

    right: int
    count: int


class SelfAgreement(Record):
    """What a reader said to the pictures that were shown twice."""

    same: Share = Field(description="share of them that were answered alike both times")
    kappa: Number = Field(description="Cohen's; null where one answer was given throughout")


class Quality(Record):
    """Marks from 1 to 5 of real against synthetic pictures."""

    real: Number = Field(description="mean mark of real pictures")
    synthetic: Number = Field(description="mean mark of synthetic pictures")
    real_pictures: int
    synthetic_pictures: int
    superiority: Number = Field(description="chance that a real picture has the better mark, ties as half: U / nm")
    p: Number = Field(description="two-sided, Mann and Whitney 1947; over pictures")


class ConfidenceLevel(Record):
    """Answers given with one level of confidence."""

    level: int = Field(description="1 (guessed) to 5 (certain)")
    share: Share


class ReaderScores(Record):
    """One reader."""

    reader: str
    answered: int = Field(description="pictures or pairs answered, without repeats")
    missing: int
    accuracy: Share
    p: Number = Field(description="two-sided exact binomial, against guessing with the same leaning")
    real_as_real: Share = Field(description="sensitivity; of pairs, of those with the real picture at the left")
    synthetic_as_synthetic: Share = Field(description="specificity; of pairs, of those with the real one at the right")
    d: Figure = Field(description="d', log-linear; 0 is guessing")
    c: Figure = Field(description="bias; above 0 leans to synthetic, of pairs to the right side")
    smallest_seen: Number = Field(description="d' that would have been seen in 80 % with this number and bias")
    repeats: SelfAgreement | None = Field(description="null where nothing was answered twice")
    quality: Quality | None = Field(description="null where no marks were given")
    confidence: tuple[ConfidenceLevel, ...]
    seconds: Number = Field(description="median time of an answer; null where nobody measured it")


class Kappa(Record):
    """Agreement of readers beyond their habits."""

    kind: Literal["Cohen", "Fleiss"]
    kappa: Figure
    items: int = Field(description="pictures or pairs that all of them answered")


class Pooled(Record):
    """The mean of all readers; intervals for other pictures, and from three on for other readers as well."""

    readers: int
    about: Literal["these readers", "other readers"] = Field(description="whom the intervals are about")
    cases: int = Field(description="patients, or groups of synthetic slices, that intervals count")
    accuracy: Figure
    real_as_real: Figure
    synthetic_as_synthetic: Figure
    d: Figure
    c: Figure
    p: Number = Field(description="two-sided, that d' is 0")
    freedom: Number = Field(description="degrees of freedom of the interval of d'; null: the normal one")
    smallest_seen: Number = Field(description="d' that would have been seen in 80 % with these readers and pictures")
    kappa: Kappa | None = Field(description="null with one reader")
    quality: Quality | None = Field(description="over pictures, mean mark of all readers")
    confidence: tuple[ConfidenceLevel, ...]


class Mistaken(Record):
    """A picture, and how many took it for what it is not."""

    item: str
    truth: Truth
    label: str
    wrong: int
    answers: int


class NamedWord(Record):
    """A word of remarks on synthetic pictures that were called so."""

    word: str
    remarks: int


class ReadersVerdict(Record):
    """What follows, by limits that were stated before."""

    word: ReadersWord
    text: str


class Readers(Record):
    """The content of readers.json."""

    version: Literal["synthoma.readers/1"] = Field(
        default="synthoma.readers/1", validation_alias="schema", serialization_alias="schema"
    )
    design: Design
    sequence: str
    number: int = Field(description="pictures of each kind, or pairs")
    repeats: int
    matters: float = Field(description="the least d' that would matter, as it was stated before")
    verdict: ReadersVerdict
    pooled: Pooled
    readers: tuple[ReaderScores, ...]
    mistaken: tuple[Mistaken, ...] = Field(description="the most often first; of each kind at most ten")
    words: tuple[NamedWord, ...] = Field(description="the most named first")
    remarks: tuple[str, ...] = Field(description="what limits the result")
    real: SourceCohort
    synthetic: SourceCohort
    software: dict[str, str] = Field(description="versions")


def read_readers(path: Path) -> Readers:
    """A result from its file or folder, with checksums and schema compared.

    Raises:
        InputError: damaged, of a version that is not read, or incomplete.
    """
    file = path / FILE if path.is_dir() else path
    return Readers.parse(read_artefact(file, SCHEMA), file)


def write_readers(folder: Path, readers: Readers) -> None:
    """Write readers.json so that it appears whole or not at all."""
    write_json(folder / FILE, readers.content())
