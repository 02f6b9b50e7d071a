"""``table``: a CSV, TSV or Parquet file that names the files; given itself, or as ``cases.csv`` on top of a folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Skipped
from synthoma.scans.files import PICTURES, kind_of, natural, regular_size, suffix_of
from synthoma.scans.layouts.listing import Found, Layout, Listing, counted
from synthoma.scans.layouts.loading import UNSETTLED, Modality, load_files
from synthoma.scans.layouts.spelling import people
from synthoma.scans.layouts.table_rows import (
    EXAMPLE,
    IMAGES,
    KNOWN,
    TABLES,
    Row,
    Table,
    is_volume,
    number_or_text,
    read_rows,
)

_SPLITS = ("split", "fold", "subset", "partition")


def _fits(listing: Listing) -> bool:
    return _table_of(listing) is not None


def _table_of(listing: Listing) -> Path | None:
    """The table: the file that was given, or the only ``cases`` table on top of the folder."""
    if listing.single is not None:
        return listing.single if suffix_of(listing.single) in TABLES else None
    tables = [
        path for path in listing.folders.get(listing.root, []) if path.name.lower() in {f"cases{s}" for s in TABLES}
    ]
    return tables[0] if len(tables) == 1 else None


def _take(listing: Listing) -> Found:
    """One case for each patient and case of the table."""
    table = _table_of(listing)
    if table is None:
        raise InputError("a table of cases", listing.summary(), "name it cases.csv, or give the table itself")
    listed: list[tuple[int, Case]] = []
    skipped: list[Skipped] = []
    read = _read(table)
    place = {id(row): number for number, row in enumerate(read.rows)}
    for name, rows in _grouped(read.rows).items():
        first = place[id(rows[0])]
        try:
            listed.append((first, _case(listing.root, name, rows, read.decimal)))
        except InputError as error:
            skipped.append(_refused(table, first, error))
    cases, shared = _each_of_one(listed, table)
    skipped += shared
    named = {path for case in cases for path in case.sources}
    # Not looked at any further: what a table leaves out was left out on purpose.
    others = [path for path in listing.files if path != table and path not in named]
    pictures = sum(listing.kinds[path] != "unknown" for path in others)
    remarks = [f"{counted(pictures, 'scan file')} beside the table that it does not name"] * bool(pictures)
    return Found(tuple(cases), tuple(skipped), (*read.remarks, *remarks), frozenset((table, *others)))


def unused(listing: Listing) -> list[str]:
    """What is said of tables on top of a folder that name its files and are not read for their own names."""
    said = []
    for path in listing.folders.get(listing.root, []):
        if suffix_of(path) not in TABLES:
            continue
        try:
            rows = read_rows(path).rows
            named = sum(any((listing.root / row[name]).is_file() for name in IMAGES if row.get(name)) for row in rows)
        except (InputError, OSError, ValueError):  # any other table
            continue
        if named:
            text = f"{printable(path.name)} names {named} of these files and was not read: give the table itself"
            said.append(f"{text} in place of the folder, or call it cases.csv, if it says whose they are")
    return said


def _refused(table: Path, row: int, error: InputError) -> Skipped:
    """Line for a row that cannot be used, by its number: lists of skipped files are kept beside pseudonyms too."""
    return Skipped(table, f"row {row + 1} below the first line: {error}")


def _each_of_one(cases: Sequence[tuple[int, Case]], table: Path) -> tuple[list[Case], list[Skipped]]:
    """Cases without those that share a file with another patient's: one of the two is wrong, and nobody knows which."""
    owners: dict[Path, set[str]] = defaultdict(set)
    for _, case in cases:
        for path in case.sources:
            owners[path].update([case.patient] if case.patient else [])
    kept, skipped = list[Case](), list[Skipped]()
    for row, case in cases:
        if (most := max((len(owners[path]) for path in case.sources), default=0)) < 2:
            kept.append(case)
            continue
        error = InputError("files of one patient", f"one that is listed for {most}", "correct the table")
        skipped.append(_refused(table, row, error))
    return kept, skipped


def _read(table: Path) -> Table:
    """The rows, each patient under one name; see `table_rows.read_rows`."""
    read = read_rows(table)
    spelled, remarks = people(row.get("patient", "") for row in read.rows)
    rows = tuple({**row, "patient": spelled[row["patient"]]} if row.get("patient") else row for row in read.rows)
    return Table(rows, (*read.remarks, *remarks, *_torn(rows)), read.decimal)


def _torn(rows: Sequence[Row]) -> list[str]:
    """What is said of a column that deals patients out, and deals some out twice."""
    name = next((name for name in (rows[0] if rows else ()) if name.lower() in _SPLITS), None)
    if name is None:
        return []
    parts: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        parts[row.get("patient", "")].add(row[name])
    torn = [printable(patient) for patient, found in parts.items() if patient and len(found - {""}) > 1]
    said = f"the column {printable(name)!r} of the table is not used: patients are dealt out anew"
    if not torn:
        return [said]
    more = f" and {len(torn) - 3} more" if len(torn) > 3 else ""
    return [f"{said}; it puts {counted(len(torn), 'patient')} on several sides: {', '.join(torn[:3])}{more}"]


def _grouped(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Case name -> its rows.

    Rows of one patient and case belong together. Where no case is given, pictures of one patient are its slices, while
    each volume is a case of its own.
    """
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for number, row in enumerate(rows):
        patient, case = row.get("patient", ""), row.get("case", "")
        together = bool(case) or (bool(patient) and (bool(row.get("slice")) or not is_volume(row)))
        groups[(patient, case) if together else (patient, case, str(number))].append(row)
    per_patient = Counter(patient for patient, *_ in groups)
    named: dict[str, list[Row]] = {}
    for (patient, case, *_), members in groups.items():
        image = next((members[0][role] for role in IMAGES if members[0].get(role)), "row")
        name = case or (patient if per_patient[patient] == 1 else "") or image
        name = f"{patient}/{name}" if name in named else name
        named[name if name not in named else f"{name}#{len(named)}"] = members
    return named


def _case(root: Path, name: str, rows: list[Row], decimal: str) -> Case:
    """Case of some rows; slices in the order of ``slice``, else of the rows."""
    if all(row.get("slice") for row in rows):
        rows = sorted(rows, key=lambda row: natural(row["slice"]))
    modalities = tuple((role, _files(root, rows, role)) for role in IMAGES if any(row.get(role) for row in rows))
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
        facts=_facts(rows, decimal),
    )


def _facts(rows: Sequence[Row], decimal: str) -> dict[str, str | float]:
    """Further columns on which all rows of a case agree: what differs from slice to slice is none of the case."""
    alike = (key for key, value in rows[0].items() if key not in KNOWN and value)
    return {
        key: number_or_text(rows[0][key], decimal) for key in alike if all(row[key] == rows[0][key] for row in rows)
    }


def _each_once(modalities: tuple[Modality, ...], masks: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys([*(path for _, paths in modalities for path in paths), *masks]))


def _files(root: Path, rows: list[Row], column: str) -> tuple[Path, ...]:
    """The files of one column, which must exist below the table's folder."""
    paths = []
    for row in rows:
        value = row.get(column, "")
        if not value:
            raise InputError(f"a file in the column {column!r} of each row of a case", "an empty one", "fill it in")
        paths.append(_existing(root, value, column))
    return tuple(paths)


def _existing(root: Path, value: str, column: str) -> Path:
    """A file that a cell names.

    Raises:
        InputError: outside of the table's folder, or not to be read.
    """
    # A zero byte would make `resolve` raise ValueError.
    if "\\" in value and "\0" not in value and not (root / value).exists():
        value = value.replace("\\", "/")  # as Windows writes it
    if "\0" in value or not (root / value).resolve().is_relative_to(root.resolve()):
        came = f"{printable(value)[:80]!r}"
        raise InputError("files below the folder of the table", came, "move the table above its files")
    path = root / (Path(value).relative_to(root.resolve()) if Path(value).is_absolute() else value)
    try:
        regular_size(path)
    except InputError as error:
        # Not by its name, which may be a person's: lists of skipped files are kept beside pseudonyms.
        near = any(other.name.lower() == path.name.lower() for other in _beside(path))
        todo = "a file there differs in capitals alone: correct the table" if near else error.todo
        raise InputError(error.expected, f"in the column {column!r}: {error.came}", todo) from error
    return path


def _beside(path: Path) -> list[Path]:
    try:
        return list(path.parent.iterdir())
    except OSError:
        return []


def _agreed(rows: list[Row], column: str) -> str | None:
    """The one value of a column over the rows of a case."""
    values = {row.get(column, "") for row in rows} - {""}
    if len(values) > 1:
        raise InputError(f"one {column} a case", ", ".join(sorted(map(printable, values)))[:80], "correct the table")
    return printable(values.pop()) if values else None


LAYOUT = Layout("table", f"a CSV, TSV or Parquet table with the columns {EXAMPLE}", _fits, _take)
