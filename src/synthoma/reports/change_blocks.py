"""What changed between visits, as the page of findings shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthoma.detection.change_records import Change, Measure, read_changes
from synthoma.reports.finding_cards import inside, reduced
from synthoma.reports.wording import MINUS, NONE, number

SHOWN, PICTURED = 40, 12
"""So many pairs are listed, and so many of them with a picture."""

_UNITS = {"ml": "ml", "mm2": "mm²"}


@dataclass(frozen=True)
class Row:
    """A size at both visits; texts as they are shown."""

    what: str
    before: str
    now: str
    difference: str
    limit: str
    word: str


@dataclass(frozen=True)
class Pair:
    """Two visits; ``picture`` is a data address, empty without one."""

    before: str
    now: str
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]
    overlap: str
    picture: str
    registration: str


@dataclass(frozen=True)
class ChangeBlocks:
    """All pairs, and how repeatability was measured."""

    pairs: tuple[Pair, ...]
    unpaired: tuple[str, ...]
    how: str


def change_blocks(folder: Path) -> ChangeBlocks | None:
    """The pairs of a folder of findings; None where no visits were compared.

    Raises:
        InputError: changes.json is damaged.
    """
    found = read_changes(folder)
    if found is None:
        return None
    shown = found.changes[:SHOWN]
    pairs = tuple(_pair(folder, one, pictured=number < PICTURED) for number, one in enumerate(shown))
    return ChangeBlocks(pairs, found.unpaired, found.repeatability)


def _pair(folder: Path, one: Change, *, pictured: bool) -> Pair:
    picture = inside(folder, one.picture) if one.picture and pictured else None
    return Pair(
        before=one.before,
        now=one.now,
        reasons=one.reasons,
        rows=tuple(_row(size) for size in one.measures),
        overlap=_overlap(one),
        picture="" if picture is None else reduced(picture),
        registration=f"{one.registration[:1].upper()}{one.registration[1:]}.",
    )


def _row(size: Measure) -> Row:
    unit = _UNITS[size.unit]

    def told(value: float | None) -> str:
        return NONE if value is None else f"{number(float(value))} {unit}"

    share = "" if not size.percent else f" ({MINUS if size.percent < 0 else '+'}{abs(size.percent):,.0f} %)"
    sign = "+" if (size.difference or 0) > 0 else ""
    limit = NONE if size.limit is None else f"± {told(size.limit)}"
    return Row(size.what, told(size.before), told(size.now), f"{sign}{told(size.difference)}{share}", limit, size.word)


def _overlap(one: Change) -> str:
    """Where the tumour lies at both visits, in a sentence."""
    both = one.overlap
    if both is None:
        return ""
    kept, new, gone = (number(float(size or 0)) for size in (both.kept_ml, both.new_ml, both.gone_ml))
    text = f"Laid over one another: {kept} ml at both visits, {new} ml now alone, {gone} ml before alone"
    return f"{text}; {both.new_lesions} new lesions apart from the earlier ones, {both.gone_lesions} no longer found."
