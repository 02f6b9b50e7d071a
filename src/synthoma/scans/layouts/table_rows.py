"""Rows of a table of cases: text or Parquet, and what its columns mean."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthoma.core.csv_text import WINDOWS, csv_text_of, separator_of
from synthoma.core.errors import InputError
from synthoma.core.types import MODALITIES, PLAIN_MODALITY
from synthoma.core.untrusted import content_of_cell, printable
from synthoma.scans.files import SUFFIXES, open_file, regular_size, suffix_of

MAX_TABLE_BYTES = 2**28
"""Largest table that is read, also after decompression: millions of rows."""

TABLES = (".csv", ".tsv", ".parquet")
IMAGES = (*MODALITIES, PLAIN_MODALITY)
KNOWN = frozenset({"patient", "case", "slice", "mask", "label", "site", *IMAGES})
EXAMPLE = "patient, image (or t1, t1c, t2, flair), and where known mask, label, site, case, slice"

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "patient": ("patientid", "subject", "subjectid", "participant", "participantid", "pid"),
    "case": ("caseid", "visit", "session", "timepoint"),
    "mask": ("maskpath", "maskfile", "seg", "segpath", "segmentation", "tumormask", "tumourmask"),
    "label": ("class", "classname"),
    "site": ("center", "centre", "hospital", "institution"),
    "t1": ("t1w", "t1n"),
    "t1c": ("t1ce", "t1gd", "t1post", "t1wce"),
    "t2": ("t2w",),
    "flair": ("t2f", "t2flair", "fla"),
    PLAIN_MODALITY: ("imagepath", "imagefile", "filename", "filepath", "file", "path"),
}
"""Column -> other names for it, in small letters without blanks and signs."""

_DECIMAL = re.compile(r"-?\d+,\d+")
_ANY_SCAN = frozenset(suffix for suffix in SUFFIXES if suffix not in TABLES)

Row = Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """What a table holds.

    Attributes:
        rows: texts by column; known columns bear the names of `KNOWN`.
        remarks: how it was understood, where that is not plain.
        decimal: sign of decimal fractions.
    """

    rows: tuple[Row, ...]
    remarks: tuple[str, ...]
    decimal: str = "."


def read_rows(table: Path) -> Table:
    """Rows of a CSV, TSV or Parquet file, cells without surrounding blanks.

    Raises:
        InputError: no column with images, or a file that is no table.
    """
    remarks, decimal = list[str](), "."
    if suffix_of(table) == ".parquet":
        names, lines = _parquet(table)
    else:
        names, lines, remarks, decimal = _text(table)
    columns, told = _columns(names)
    rows = [{name: value for name, value in zip(columns, line, strict=True) if name} for line in lines]
    if not set(columns) & set(IMAGES):
        came = ", ".join(sorted(printable(name)[:30] for name in names)[:12]) or "no row"
        raise InputError(f"a table with the columns {EXAMPLE}", came, "name the columns so")
    rows, drawn = _masks_called_labels(rows)
    return Table(tuple(rows), (*remarks, *told, *drawn, *_unknown(rows)), decimal)


def _text(table: Path) -> tuple[list[str], list[list[str]], list[str], str]:
    """Names of columns, values of each row, remarks, and the sign of decimal fractions."""
    if regular_size(table) > MAX_TABLE_BYTES:
        raise InputError(f"a table of at most {MAX_TABLE_BYTES} bytes", f"{regular_size(table)}", "split it")
    with open_file(table) as stream:
        text, encoding = csv_text_of(stream.read(), "a table")
    separator, text = separator_of(text)
    if suffix_of(table) == ".tsv" and "\t" in text.partition("\n")[0]:
        separator = "\t"
    # Strict: otherwise a quote that is never closed takes all later rows into one cell, in silence.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        lines = [(reader.line_num, line) for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        came = f"damaged text in line {reader.line_num} ({error})"
        raise InputError("a CSV table", came, "save it again as CSV in UTF-8") from error
    names = lines[0][1] if lines else []
    for number, values in lines[1:]:
        # A comma inside an unquoted cell moves all later values into the wrong columns.
        if len(values) != len(names):
            raise InputError(f"{len(names)} values a row", f"{len(values)} in line {number}", "correct the table")
    remarks = [f"{printable(table.name)} is no UTF-8: its letters are read as Windows' own"] * (encoding == WINDOWS)
    cells = [[content_of_cell(cell.strip()) for cell in line] for _, line in lines[1:]]
    # Where commas part the cells they are none of a number.
    return names, cells, remarks, "." if separator == "," else ","


def _parquet(table: Path) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a Parquet file; its sizes are looked at before it is decompressed."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise InputError(
            "pyarrow for a Parquet table", "none", "install synthoma[parquet], or save it as CSV"
        ) from error
    regular_size(table)
    try:
        with parquet.ParquetFile(table) as stored:
            meta = stored.metadata
            size = sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))
            # Rows are counted too: a column of one value takes next to nothing in the file, and an object a row in
            # memory.
            if size > MAX_TABLE_BYTES or meta.num_rows * meta.num_columns > MAX_TABLE_BYTES // 8:
                raise InputError(f"a table of at most {MAX_TABLE_BYTES} bytes", f"{size}", "split it")
            content = stored.read().to_pydict()
    except (OSError, ValueError, TypeError, NotImplementedError) as error:  # ArrowInvalid is a ValueError
        raise InputError("a Parquet table", f"a damaged one ({str(error)[:80]})", "save it again") from error
    lines = zip(*content.values(), strict=True)
    return list(content), [["" if value is None else str(value).strip() for value in line] for line in lines]


# Columns -------------------------------------------------------------------------------------------------------------


def _columns(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names as columns are looked up, and a remark on those that are known by another name; "" is an unnamed one."""
    columns = [name.strip() for name in names]
    columns = [name.lower() if name.lower() in KNOWN else name for name in columns]
    named = [name for name in columns if name]
    if len(set(named)) != len(named):
        raise InputError("each column once", ", ".join(columns)[:200], "rename the columns")
    bare = {name: re.sub(r"[\W_]", "", name).lower() for name in named if name not in KNOWN}
    meant: dict[str, str] = {}
    for role, others in _OTHER_NAMES.items():
        # "path" beside t1 and flair is a remark, and no further image.
        taken = set(meant.values()) | set(columns)
        if role in taken or (role == PLAIN_MODALITY and taken & set(IMAGES)):
            continue
        found = [name for name in bare if bare[name] in others]
        if len(found) > 1 and role != "case":  # which of them is meant decides who is kept apart
            came = " and ".join(printable(name)[:40] for name in found)
            raise InputError(f"one column for {role}", came, f"call the one that is meant {role!r}")
        meant |= dict.fromkeys(found[:1], role)
    told = ", ".join(f"{printable(name)[:40]!r} as {role}" for name, role in meant.items())
    remarks = [f"columns of the table by other names: {told}"] if told else []
    return [meant.get(name, name) for name in columns], remarks


def _masks_called_labels(rows: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], list[str]]:
    """Rows whose column ``label`` holds files, as in segmentation, with it as the mask: no class is called a file."""
    labels = [row["label"] for row in rows if row.get("label")]
    if not labels or any("mask" in row for row in rows[:1]):
        return list(rows), []
    if any(suffix_of(Path(label)) not in _ANY_SCAN for label in labels):
        return list(rows), []
    moved = [{("mask" if name == "label" else name): value for name, value in row.items()} for row in rows]
    return moved, ["the column 'label' of the table holds files: they are taken for masks, and not for classes"]


def _unknown(rows: Sequence[Row]) -> list[str]:
    """What is said of columns that nobody knows: a mask among them would be missed in silence."""
    names = [printable(name)[:40] for name in (rows[0] if rows else ()) if name not in KNOWN]
    if not names:
        return []
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return [f"columns of the table that are kept and used for nothing: {', '.join(names[:8])}{more}"]


def number_or_text(value: str, decimal: str) -> str | float:
    """A cell as a number where it is one, with this sign of decimal fractions."""
    if decimal == "," and _DECIMAL.fullmatch(value):
        value = value.replace(",", ".")
    try:
        return float(value)
    except ValueError:
        return printable(value)


def is_volume(row: Row) -> bool:
    """By the suffix, which is enough to group rows."""
    name = next((row[name] for name in IMAGES if row.get(name)), "")
    return suffix_of(Path(name)) not in (".png", ".jpg", ".jpeg", ".tif", ".tiff")
