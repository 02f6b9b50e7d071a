"""What readers wrote: CSV files as spreadsheets leave them, read with every mistake named by its line.

Commas, semicolons or tabs; UTF-8 with or without a mark, UTF-16, or Windows' own; numbers that lost their zeros ("7" is
item "007"). An empty answer is missing and counted. What cannot be understood is refused, never guessed.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthoma.core.csv_text import csv_text_of, separator_of
from synthoma.core.errors import InputError
from synthoma.core.untrusted import content_of_cell, printable, visible
from synthoma.evaluation.readers.blinded import ANSWERS, Truth, TuringSet
from synthoma.evaluation.readers.making import COLUMNS

LARGEST = 4 * 2**20
"""Bytes of a file of answers."""

LONGEST_REMARK = 2000
SHOWN = 5
"""Mistakes that an error names."""

LEVELS = range(1, 6)
"""Of confidence and of quality."""

_LEFT_OUT = frozenset("-–?") | {"", "n/a", "na", "none"}
"""What stands for no answer."""


@dataclass(frozen=True)
class Answer:
    """What one reader said to one item.

    Attributes:
        choice: the answer; None where it is missing.
        confidence: 1 to 5; None where not given.
        quality: 1 to 5 of the picture; of a pair of the left and the right one; None where not given.
        remark: free words.
        seconds: time taken; None where nobody measured it.
    """

    choice: Truth | None
    confidence: int | None
    quality: tuple[int | None, ...]
    remark: str
    seconds: float | None


Answers = dict[str, Answer]
"""Item -> answer, of one reader; items that the file lacks are not in it."""


def read_answers(paths: Sequence[Path], shown: TuringSet) -> dict[str, Answers]:
    """Answers of all readers, by name: that of the file behind ``answers-``.

    Raises:
        InputError: no file, two of one reader, or one that cannot be understood, with the lines.
    """
    if not paths:
        raise InputError("files of answers", "none", "give them behind the set: SET/answers-A.csv")
    found: dict[str, Answers] = {}
    for path in paths:
        name = visible(printable(path.stem).removeprefix("answers-"))[:64] or "reader"
        if name in found:
            todo = "give each reader's file once, and under a name of its own (answers-NAME.csv)"
            raise InputError("one file of each reader", f"a second one of {name}: {path}", todo)
        found[name] = _of_file(path, shown)
    return found


def alike(answers: Mapping[str, Answers]) -> list[str]:
    """Remarks on readers whose files say the same in everything: one may be a copy of the other."""
    names = list(answers)
    return [
        f"the answers of {one} and {other} are the same in everything: is one file a copy of the other?"
        for at, one in enumerate(names)
        for other in names[at + 1 :]
        if answers[one] == answers[other] and any(answer.choice for answer in answers[one].values())
    ]


def _of_file(path: Path, shown: TuringSet) -> Answers:
    rows = _rows(path)
    wanted = COLUMNS[shown.design]
    header = [name.strip().lower().replace(" ", "_") for name in rows[0][1]] if rows else []
    strange = [name for name in header if name and name not in (*wanted, "seconds")]
    if strange or not {"item", "answer"} <= set(header) or len(set(header)) < len(header):
        came = f"{', '.join(visible(name)[:40] for name in header) or 'an empty file'} in {path}"
        raise InputError(f"a first line with {', '.join(wanted)} (and seconds)", came, "restore the first line")
    found: Answers = {}
    lines: dict[str, int] = {}
    faults: list[str] = []
    items = set(shown.items)
    for line, cells in rows[1:]:
        values = dict(zip(header, (content_of_cell(cell).strip() for cell in cells), strict=False))
        if not any(values.values()):
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            faults.append(f"line {line}: more cells than the first line has (a remark with a comma needs quotes)")
        item = _item(values.get("item", ""), items)
        if item is None:
            faults.append(f"line {line}: no item {_shown(values.get('item', ''))}")
        elif item in lines:
            faults.append(f"line {line}: item {item} again, as in line {lines[item]}")
        else:
            lines[item] = line
            found[item] = _answer(values, shown, f"line {line}", faults)
    if faults:
        more = f", and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        what = " or ".join(ANSWERS[shown.design])
        wanted_text = f"items of the set, each once, answered {what} or not at all, with 1 to 5 in the other columns"
        raise InputError(wanted_text, f"{path}: {'; '.join(faults[:SHOWN])}{more}", "correct these lines")
    return found


def _answer(values: Mapping[str, str], shown: TuringSet, where: str, faults: list[str]) -> Answer:
    """One line; what is wrong with it is added to ``faults``."""
    names = [name for name in COLUMNS[shown.design] if name.startswith("quality")]
    return Answer(
        _choice(values.get("answer", ""), shown, where, faults),
        _level(values.get("confidence", ""), "confidence", where, faults),
        tuple(_level(values.get(name, ""), name, where, faults) for name in names),
        visible(values.get("remark", ""))[:LONGEST_REMARK],
        _seconds(values.get("seconds", ""), where, faults),
    )


def _choice(text: str, shown: TuringSet, where: str, faults: list[str]) -> Truth | None:
    known = ANSWERS[shown.design]
    low = text.lower()
    if low in _LEFT_OUT:
        return None
    for choice in known:
        if low in (choice, choice[0]):
            return choice
    faults.append(f"{where}: answer {_shown(text)}")
    return None


def _level(text: str, name: str, where: str, faults: list[str]) -> int | None:
    if text.lower() in _LEFT_OUT:
        return None
    # Spreadsheets write 4.0, and 4,0 in some languages.
    if re.fullmatch(r"[1-5]([.,]0*)?", text):
        return int(text[0])
    faults.append(f"{where}: {name} {_shown(text)}")
    return None


def _seconds(text: str, where: str, faults: list[str]) -> float | None:
    if text.lower() in _LEFT_OUT:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    # Comparisons with nan are False, so it is refused with the rest.
    if 0 <= value < math.inf:
        return value
    faults.append(f"{where}: seconds {_shown(text)}")
    return None


def _item(text: str, items: Iterable[str]) -> str | None:
    """The item that is meant: spreadsheets turn 007 into 7 or 7.0."""
    # At most 9 digits: `int` raises ValueError beyond 4,300 of them.
    number = re.fullmatch(r"0*(\d{1,9})(?:[.,]0+)?", text)
    name = f"{int(number.group(1)):03d}" if number else text
    return name if name in items else None


def _shown(text: str) -> str:
    return repr(visible(text)[:40]) if text else "without a number"


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Lines of a CSV file, each with its number in the file.

    Raises:
        InputError: it cannot be read, or is no text.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"answers of at most {LARGEST // 2**20} MB", f"{path}", "give the file that was filled in")
        data = path.read_bytes()
    except OSError as error:
        raise InputError("a file of answers", f"{path}: {error.strerror or error}", "check its name") from None
    try:
        text, _ = csv_text_of(data, "answers")
    except InputError as error:
        raise InputError(error.expected, f"{path}, {error.came}", error.todo) from None
    separator, text = separator_of(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        came = f"{path}, line {reader.line_num}: {error}"
        raise InputError("a CSV file", came, "save it as CSV again") from None
