r"""Texts that somebody else wrote (names of files, entries of an artefact): how they are shown, tabled and made names.

A name may hold what a terminal obeys, what a spreadsheet computes, or the way to another folder.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.errors import InputError, SynthomaError

if TYPE_CHECKING:
    import pandas as pd

LONGEST_NAME = 64
"""Characters of a modality's or target's name; names of files are made of it."""

LONGEST_TEXT = 200
"""Characters of a class or a label."""

LONGEST_FILE_NAME = 100

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories that are obeyed and not shown: controls (escapes), marks of direction, separators of lines."""

# Apostrophes ahead count: a text with one of its own gets a second, since `content_of_cell` takes one off.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_BEGINS = tuple("'=+-@\t\r\n")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_NAME = re.compile(r"\w[\w .+()-]*")


def visible(text: str, keep: str = "") -> str:
    r"""Text that can only be looked at: what a terminal would obey becomes ``\x1b`` and its like.

    Args:
        text: any.
        keep: controls that stay as they are, for example line ends.
    """
    if text.isascii() and text.isprintable():  # nearly all there is
        return text
    return "".join(
        character if character in keep or unicodedata.category(character) not in _UNSEEN else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable(name: str | Path) -> str:
    r"""A file's name as text that every terminal and writer takes: bytes that are no UTF-8 become ``\xNN``."""
    return visible(os.fsencode(name).decode("utf-8", "backslashreplace"))


def file_name(text: str, longest: int = LONGEST_FILE_NAME) -> str:
    """A text as one part of a path that any file system takes, that leads nowhere else and that no command obeys.

    Letters, digits, ``_``, ``-`` and inner spaces stay; all else becomes ``_``. Texts may become alike.
    """
    # Leading hyphens go, or a command would take the name for an option.
    return shortened(re.sub(r"[^\w -]", "_", text), longest).strip().lstrip("- ") or "_"


def shortened(text: str, longest: int = LONGEST_FILE_NAME) -> str:
    """The beginning of a text, of at most ``longest`` bytes in UTF-8: file systems count bytes, not characters."""
    return text.encode("utf-8", "ignore")[:longest].decode("utf-8", "ignore")


# Tables --------------------------------------------------------------------------------------------------------------


def cell(value: object) -> object:
    """A value for a CSV file: a text that a spreadsheet would compute gets an apostrophe; numbers stay."""
    if isinstance(value, str) and value[:1] in _BEGINS and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def content_of_cell(text: str) -> str:
    """What `cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A CSV file of rows: first the columns' names; entries of other names are left out, those missing are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(row.get(name, "")) for name in columns] for row in rows)
    return text.getvalue()


def csv_of_frame(table: pd.DataFrame, *, float_format: str | None = None) -> str:
    """As `csv_text`, of a pandas table; ``float_format`` is how numbers with a fraction are written."""
    # Columns of numbers are left alone: a minus sign there begins no formula.
    texts = [name for name in table if table[name].dtype.kind not in "biufc"]
    safe = table.assign(**{str(name): table[name].map(cell) for name in texts}) if texts else table
    return str(safe.rename(columns=cell).to_csv(index=False, lineterminator="\n", float_format=float_format))


# Names in artefacts --------------------------------------------------------------------------------------------------


def check_names(names: object, what: str, where: str, error: type[SynthomaError] = InputError) -> None:
    """Raise unless names can become parts of files' names and of columns' names.

    Args:
        names: a list or tuple of texts: letters, digits, spaces and ``_ - + . ( )``, the first a letter or digit, at
            most 64 characters, distinct also where capitals do not count.
        what: of what they are names, in the plural.
        where: the file, for the message.
        error: what is raised.

    Raises:
        InputError: they cannot; or what ``error`` says.
    """
    if not isinstance(names, list | tuple):
        raise error(f"a list of {what}", f"{_shown(names)} in {where}", "correct it, or make it again")
    seen: set[str] = set()
    for name in names:
        fits = isinstance(name, str) and len(name) <= LONGEST_NAME and _NAME.fullmatch(name) and name == name.strip()
        # Without regard to capitals: on many disks two such files would be one.
        if not fits or name.lower() in seen:
            wanted = f"{what} of distinct names of letters, digits and _ - + . ( ), at most {LONGEST_NAME} characters"
            raise error(wanted, f"{_shown(name)} in {where}", "rename it there, or make it again")
        seen.add(name.lower())


def check_texts(texts: object, what: str, where: str, error: type[SynthomaError] = InputError) -> None:
    """As `check_names`, of a list or tuple of texts that can be shown as they are, of 1 to 200 characters."""
    if not isinstance(texts, list | tuple):
        raise error(f"a list of {what}", f"{_shown(texts)} in {where}", "correct it, or make it again")
    for text in texts:
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT or visible(text) != text:
            wanted = f"{what} of 1 to {LONGEST_TEXT} characters that can be printed"
            raise error(wanted, f"{_shown(text)} in {where}", "rename it there, or make it again")


def _shown(value: object) -> str:
    return visible(repr(value)[:80])
