"""slices.csv, the table of a cohort, as it is read."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.core.untrusted import content_of_cell

if TYPE_CHECKING:
    import pandas as pd

TEXT_COLUMNS = (
    "case", "patient", "group", "split", "label", "case_label", "site", "source", "missing", "file_sha256", "look_at",
    "twin", "origin", "direction",
)  # fmt: skip
"""Columns of slices.csv that are text even where they look like numbers; an empty cell is an empty text."""

_GAPS = ["", "nan", "NaN", "NA", "<NA>", "N/A", "n/a", "#N/A", "null", "NULL", "None"]
"""What a cell of a column of numbers holds where there is none."""


_LARGE = 8 * 2**20
"""Bytes of a table from which on it is worth loading pyarrow for it: that takes 58 % of pandas' time."""

_HEAD = 1000
"""Rows from which pandas is asked what kind of column one is that pyarrow took for text."""


def read_table(path: Path) -> pd.DataFrame:
    """slices.csv: texts as they stand (a class may be called None), numbers as numbers, in the file's order of columns.

    Large tables are read by pyarrow where it is installed; what it might read otherwise than pandas, pandas reads.
    """
    table = _read_large(path) if path.stat().st_size >= _LARGE else None
    return _read(path) if table is None else table


def _options(path: Path) -> tuple[list[str], dict[str, Sequence[str]]]:
    """Which columns are texts, and what stands for no number in the others."""
    import pandas as pd

    names = [str(name) for name in pd.read_csv(path, nrows=0)]
    return [name for name in names if name in TEXT_COLUMNS], {name: _GAPS for name in names if name not in TEXT_COLUMNS}


def _read(path: Path) -> pd.DataFrame:
    """The table as pandas reads it: texts of a million slices are few, so each is held once meanwhile."""
    import pandas as pd
    from pandas.api.types import is_string_dtype

    texts, gaps = _options(path)
    table = pd.read_csv(path, dtype=dict.fromkeys(texts, "category"), keep_default_na=False, na_values=gaps)
    # pandas reads categories that look like numbers as such, and 007 is a name.
    numbers = [name for name in texts if not is_string_dtype(table[name].cat.categories)]
    if numbers:
        exact = pd.read_csv(path, usecols=numbers, dtype="str", keep_default_na=False)
        table = table.assign(**{name: exact[name].astype("category") for name in numbers})
    for name in texts:
        column = table[name].cat
        known = pd.Series([content_of_cell(str(text)) for text in column.categories], dtype="str")
        table[name] = known.take(column.codes.to_numpy()).set_axis(table.index)
    return table


def _read_large(path: Path) -> pd.DataFrame | None:
    """The same, read by pyarrow; None where it is not installed, or where pandas might read something otherwise."""
    try:
        import pyarrow as pa
        from pyarrow import csv
    except ImportError:
        return None
    import pandas as pd

    if _has_hexadecimals(path):
        return None
    texts, gaps = _options(path)
    convert = csv.ConvertOptions(
        column_types={**dict.fromkeys(texts, pa.large_string())}, null_values=_GAPS, strings_can_be_null=False,
        true_values=["True", "TRUE", "true"], false_values=["False", "FALSE", "false"],
    )  # fmt: skip
    try:
        read = csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=convert)
    except pa.ArrowInvalid:  # rows of other lengths, bytes that are no text: pandas fills up, or says what is wrong
        return None
    if sorted(read.column_names) != sorted([*texts, *gaps]):  # two columns of one name
        return None
    head = pd.read_csv(path, nrows=_HEAD, dtype=dict.fromkeys(texts, "str"), keep_default_na=False, na_values=gaps)
    columns = []
    for name, column in zip(read.column_names, read.columns, strict=True):
        found = _freed(column) if name in texts else _as_pandas(column, head[name])
        if found is None:
            return None
        columns.append(found)
    # A table of pandas is one that can be changed.
    table: pd.DataFrame = pa.table(columns, names=read.column_names).to_pandas()
    return table.copy()


def _freed(column: Any) -> Any:
    """A column of texts, each freed of what keeps a spreadsheet from running it."""
    import pyarrow as pa
    from pyarrow import compute

    if not compute.any(compute.starts_with(column, "'")).as_py():
        return column
    known = column.combine_chunks().dictionary_encode()
    freed = pa.array([content_of_cell(text) for text in known.dictionary.to_pylist()], pa.large_string())
    return pa.DictionaryArray.from_arrays(known.indices, freed).cast(pa.large_string())


def _as_pandas(column: Any, head: pd.Series) -> Any:
    """A column of another kind as pandas would have it; None where that is not certain.

    Args:
        column: as pyarrow read it.
        head: its first rows, as pandas read them.
    """
    import pyarrow as pa
    from pandas.api.types import is_float_dtype, is_string_dtype
    from pyarrow import compute

    is_text = bool(is_string_dtype(head)) and bool(head.notna().any())
    if pa.types.is_null(column.type):
        return column.cast(pa.float64())
    if pa.types.is_string(column.type):
        # One text makes a column of texts for both; what only pyarrow does not take for a number is left to pandas.
        gap = compute.is_in(column, value_set=pa.array(_GAPS))
        return compute.if_else(gap, pa.scalar(None, pa.string()), column).cast(pa.large_string()) if is_text else None
    if pa.types.is_floating(column.type):
        # "NAN" is a number for one of them alone, and "+5" a whole one.
        finite = compute.all(compute.is_finite(column)).as_py() in (True, None)
        broken = is_float_dtype(head) or compute.any(compute.not_equal(column, compute.floor(column))).as_py()
        return column if finite and broken and not is_text else None
    whole = pa.types.is_integer(column.type) or (pa.types.is_boolean(column.type) and not column.null_count)
    return column if whole and not is_text else None


def _has_hexadecimals(path: Path) -> bool:
    """Whether there is what pyarrow takes for a whole number and pandas for a text: 0x1f."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(b"0x") >= 0 or text.find(b"0X") >= 0
