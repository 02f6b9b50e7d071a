"""What a blinded set is: typed, read and written here and nowhere else.

    set.json               what is shown in which order to whom, and what was stated before; nothing of the truth
    key.json               the truth, sealed; readers do not need it, and it can be kept elsewhere until all is answered
    images/NNN.png         pictures or pairs under numbers that say nothing
    answers-READER.csv     to fill in: a line for each picture, in the reader's own order
    sheet-READER.html      the same to print: numbers, pictures, boxes to tick

Whoever shows the pictures (a browser, a printer) needs set.json and images only; whoever scores needs key.json and
answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.cohorts.meta import SourceCohort
from synthoma.core.artefacts import check_schema, read_artefact, read_json, sealed, unsealed
from synthoma.core.errors import InputError
from synthoma.core.records import Number, Record
from synthoma.core.whole_files import write_json
from synthoma.evaluation.readers.settings import Design

SET, KEY = "set.json", "key.json"
SET_SCHEMA, KEY_SCHEMA = "synthoma.turing_set/1", "synthoma.turing_key/1"

Truth = Literal["real", "synthetic", "left", "right"]

ANSWERS: dict[Design, tuple[Truth, Truth]] = {"single": ("real", "synthetic"), "pairs": ("left", "right")}
"""What can be answered: first the one that counts as a hit where it is true."""


class PowerPoint(Record):
    """How often one reader's interval would leave out 0."""

    d: float = Field(description="the true d'")
    share: float = Field(description="of tests in which it is seen, 0..1")


class TuringSet(Record):
    """The content of set.json."""

    version: Literal["synthoma.turing_set/1"] = Field(
        default="synthoma.turing_set/1", validation_alias="schema", serialization_alias="schema"
    )
    design: Design
    number: int = Field(description="pictures of each kind, or pairs, without repeats")
    repeats: int = Field(description="pictures or pairs that are shown again")
    sequence: str
    pixels: tuple[int, int] = Field(description="(rows, columns) of every picture")
    matters: float = Field(description="the least d' that would matter, stated before anybody answers")
    power: tuple[PowerPoint, ...] = Field(description="of one reader who leans to no answer")
    smallest_seen: Number = Field(description="d' that one such reader's interval sees in 80 % of tests")
    orders: dict[str, tuple[str, ...]] = Field(description="reader -> items in the order in which they are shown")
    remarks: tuple[str, ...] = Field(description="what limits the set")
    key_sha256: str = Field(description="seal of the key that belongs to it")
    software: dict[str, str] = Field(description="versions")

    @property
    def items(self) -> tuple[str, ...]:
        """Every item: "001" is images/001.png."""
        return tuple(sorted(next(iter(self.orders.values()))))


class KeyItem(Record):
    """The truth of one item."""

    item: str
    truth: Truth = Field(description="what it is, or on which side the real picture is")
    label: str = Field(description="class")
    real_row: int | None = Field(description="row of the real cohort; null where no real picture is shown")
    real_case: str | None = Field(description="patient or group, as the real cohort names it")
    synthetic_row: int | None = Field(description="row of the synthetic cohort; null where none is shown")
    synthetic_case: str | None = Field(description="group in the synthetic cohort")
    repeats: str | None = Field(description="item that it shows again; null where it is none")

    @property
    def case(self) -> str:
        """Whose answers depend on each other: those to slices of one patient."""
        return str(self.real_case if self.real_case is not None else self.synthetic_case)


class TuringKey(Record):
    """The content of key.json."""

    version: Literal["synthoma.turing_key/1"] = Field(
        default="synthoma.turing_key/1", validation_alias="schema", serialization_alias="schema"
    )
    seed: int
    real: SourceCohort
    synthetic: SourceCohort
    items: tuple[KeyItem, ...]


def write_set(folder: Path, shown: TuringSet) -> None:
    """Write set.json so that it appears whole or not at all."""
    write_json(folder / SET, shown.content())


def sealed_key(key: TuringKey) -> dict[str, object]:
    """The key with its seal under ``sha256``."""
    return sealed(key.content())


def read_set(path: Path) -> TuringSet:
    """A set from its folder.

    Raises:
        InputError: no set there, damaged, or of a version that is not read.
    """
    file = path / SET
    if not file.is_file():
        raise InputError("a set of `synthoma turing make`", str(path), "give its folder first, the answers behind it")
    return TuringSet.parse(read_artefact(file, SET_SCHEMA), file)


def read_key(path: Path, shown: TuringSet) -> TuringKey:
    """The key that belongs to a set.

    Args:
        path: the file, or a folder that holds it.
        shown: the set.

    Raises:
        InputError: not there, changed, or the key of another set.
    """
    file = path / KEY if path.is_dir() else path
    if not file.is_file():
        todo = "put key.json back into the set, or say where it is kept with --key"
        raise InputError("the key of the set", f"nothing at {file}", todo)
    content = read_json(file)
    check_schema(content, KEY_SCHEMA, file)
    bare = unsealed(content, file)
    if content.get("sha256") != shown.key_sha256:
        raise InputError("the key of this set", f"{file}, the key of another one", "give its own with --key")
    return TuringKey.parse(bare, file)
