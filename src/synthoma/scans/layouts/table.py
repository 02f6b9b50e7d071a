"""``table``: a CSV, TSV or Parquet file that names the files; given itself, or as ``cases.csv`` on top of a folder."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.types import MODALITIES, PLAIN_MODALITY
from synthoma.core.untrusted import content_of_cell, printable
from synthoma.scans.case import Case, Skipped
from synthoma.scans.files import PICTURES, kind_of, natural, open_file, regular_size, suffix_of
from synthoma.scans.layouts.listing import Found, Layout, Listing, counted
from synthoma.scans.layouts.loading import UNSETTLED, Modality, load_files

MAX_TABLE_BYTES = 2**28
"""Largest table that is read, also after decompression: millions of rows."""

_SUFFIXES = (".csv", ".tsv", ".parquet")
_IMAGES = (*MODALITIES, PLAIN_MODALITY)
_KNOWN = frozenset({"patient", "case", "slice", "mask", "label", "site", *_IMAGES})
_EXAMPLE = "patient, image (or t1, t1c, t2, flair), and where known mask, label, site, case, slice"

Row = Mapping[str, str]


def _fits(listing: Listing) -> bool:
    return _table_of(listing) is not None


def _table_of(listing: Listing) -> Path | None:
    """The table: the file that was given, or the only ``cases`` table on top of the folder."""
    if listing.single is not None:
        return listing.single if suffix_of(listing.single) in _SUFFIXES else None
    tables = [
        path for path in listing.folders.get(listing.root, []) if path.name.lower() in {f"cases{s}" for s in _SUFFIXES}
    ]
    return tables[0] if len(tables) == 1 else None


def _take(listing: Listing) -> Found:
    """One case for each patient and case of the table."""
    table = _table_of(listing)
    if table is None:
        raise InputError("a table of cases", listing.summary(), "name it cases.csv, or give the table itself")
    cases: list[Case] = []
    skipped: list[Skipped] = []
    for name, rows in _grouped(_rows(table)).items():
        try:
            cases.append(_case(listing.root, name, rows))
        except InputError as error:
            skipped.append(Skipped(table, f"{printable(name)}: {error}"))
    named = {path for case in cases for path in case.sources}
    # Not looked at any further: what a table leaves out was left out on purpose.
    others = [path for path in listing.files if path != table and path not in named]
    pictures = sum(listing.kinds[path] != "unknown" for path in others)
    remarks = (f"{counted(pictures, 'scan file')} beside the table that it does not name",) * bool(pictures)
    return Found(tuple(cases), tuple(skipped), remarks, frozenset((table, *others)))


def _rows(table: Path) -> list[Row]:
    """Rows as text, with column names in lower case and without surrounding blanks.

    Raises:
        InputError: no such columns, or a file that is no table.
    """
    rows = _parquet_rows(table) if suffix_of(table) == ".parquet" else _text_rows(table)
    columns = set(rows[0]) if rows else set()
    if not columns & set(_IMAGES):
        came = ", ".join(sorted(printable(name)[:30] for name in columns)[:12]) or "no row"
        raise InputError(f"a table with the columns {_EXAMPLE}", came, "name the columns so")
    return rows


def _text_rows(table: Path) -> list[Row]:
    """Rows of a CSV or TSV file in UTF-8; a semicolon is taken where the header has one and no comma."""
    if regular_size(table) > MAX_TABLE_BYTES:
        raise InputError(f"a table of at most {MAX_TABLE_BYTES} bytes", f"{regular_size(table)}", "split it")
    with open_file(table) as stream:
        content = stream.read()
    try:
        # Excel begins UTF-8 with a mark, which would become part of the first column's name.
        text = content.decode("utf-8-sig")
        header = text.partition("\n")[0]
        separator = "\t" if suffix_of(table) == ".tsv" else ";" if ";" in header and "," not in header else ","
        # Strict: otherwise a quote that is never closed takes all later rows into one cell, in silence.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        columns = _columns(next(reader, []))
        return [_row(columns, values, line) for line, values in enumerate(reader, start=2) if any(values)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("a table in UTF-8", f"damaged text ({error})", "save it again as CSV in UTF-8") from error


def _row(columns: list[str], values: list[str], line: int) -> Row:
    # A comma inside an unquoted cell moves all later values into the wrong columns.
    if len(values) != len(columns):
        raise InputError(f"{len(columns)} values a row", f"{len(values)} in line {line}", "correct the table")
    return {name: content_of_cell(value.strip()) for name, value in zip(columns, values, strict=True)}


def _columns(names: Iterable[str]) -> list[str]:
    """Column names as they are looked up."""
    columns = [name.strip() for name in names]
    columns = [name.lower() if name.lower() in _KNOWN else name for name in columns]
    if len(set(columns)) != len(columns):
        raise InputError("each column once", ", ".join(columns)[:200], "rename the columns")
    return columns


def _parquet_rows(table: Path) -> list[Row]:
    """Rows of a Parquet file; its sizes are looked at before it is decompressed."""
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
    columns = _columns(content)
    return [
        {name: "" if value is None else str(value).strip() for name, value in zip(columns, values, strict=True)}
        for values in zip(*content.values(), strict=True)
    ]


def _grouped(rows: list[Row]) -> dict[str, list[Row]]:
    """Case name -> its rows.

    Rows of one patient and case belong together. Where no case is given, pictures of one patient are its slices, while
    each volume is a case of its own.
    """
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for number, row in enumerate(rows):
        patient, case = row.get("patient", ""), row.get("case", "")
        together = bool(case) or (bool(patient) and (bool(row.get("slice")) or not _is_volume(row)))
        groups[(patient, case) if together else (patient, case, str(number))].append(row)
    per_patient = Counter(patient for patient, *_ in groups)
    named: dict[str, list[Row]] = {}
    for (patient, case, *_), members in groups.items():
        image = next((members[0][role] for role in _IMAGES if members[0].get(role)), "row")
        name = case or (patient if per_patient[patient] == 1 else "") or image
        name = f"{patient}/{name}" if name in named else name
        named[name if name not in named else f"{name}#{len(named)}"] = members
    return named


def _is_volume(row: Row) -> bool:
    """By the suffix, which is enough to group rows."""
    name = next((row[name] for name in _IMAGES if row.get(name)), "")
    return suffix_of(Path(name)) not in (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def _case(root: Path, name: str, rows: list[Row]) -> Case:
    """Case of some rows; slices in the order of ``slice``, else of the rows."""
    if all(row.get("slice") for row in rows):
        rows = sorted(rows, key=lambda row: natural(row["slice"]))
    modalities = tuple((role, _files(root, rows, role)) for role in _IMAGES if any(row.get(role) for row in rows))
    masks = _files(root, rows, "mask") if any(row.get("mask") for row in rows) else ()
    if not modalities:
        raise InputError("an image in each row", "none", "fill in the column")
    # Several volumes under one case are visits or copies; stacked they would be one impossible head.
    if len(rows) > 1 and any(kind_of(path) not in PICTURES for _, paths in modalities for path in paths):
        raise InputError("one row for a volume", f"{len(rows)} rows of one case", "give each volume its own case")
    slices = modalities[0][1] if kind_of(modalities[0][1][0]) in PICTURES else ()
    patient, label, site = (_agreed(rows, column) for column in ("patient", "label", "site"))
    return Case(
        name=printable(name),
        patient=patient,
        modalities=tuple(role for role, _ in modalities),
        load=partial(load_files, modalities, masks, UNSETTLED),
        label=label,
        has_mask=bool(masks),
        site=site,
        sources=_each_once(modalities, masks),
        slice_names=tuple(printable(path.relative_to(root).as_posix()) for path in slices),
        facts={key: _number_or_text(value) for key, value in rows[0].items() if key not in _KNOWN and value},
    )


def _each_once(modalities: tuple[Modality, ...], masks: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys([*(path for _, paths in modalities for path in paths), *masks]))


def _files(root: Path, rows: list[Row], column: str) -> tuple[Path, ...]:
    """The files of one column, which must exist below the table's folder."""
    paths = []
    for row in rows:
        value = row.get(column, "")
        if not value:
            raise InputError(f"a file in the column {column!r} of each row of a case", "an empty one", "fill it in")
        # A zero byte would make `resolve` raise ValueError.
        if "\0" in value or not (root / value).resolve().is_relative_to(root.resolve()):
            came = f"{printable(value)[:80]!r}"
            raise InputError("files below the folder of the table", came, "move the table above its files")
        path = root / (Path(value).relative_to(root.resolve()) if Path(value).is_absolute() else value)
        regular_size(path)
        paths.append(path)
    return tuple(paths)


def _agreed(rows: list[Row], column: str) -> str | None:
    """The one value of a column over the rows of a case."""
    values = {row.get(column, "") for row in rows} - {""}
    if len(values) > 1:
        raise InputError(f"one {column} a case", ", ".join(sorted(map(printable, values)))[:80], "correct the table")
    return printable(values.pop()) if values else None


def _number_or_text(value: str) -> str | float:
    try:
        return float(value)
    except ValueError:
        return printable(value)


LAYOUT = Layout("table", f"a CSV, TSV or Parquet table with the columns {_EXAMPLE}", _fits, _take)
