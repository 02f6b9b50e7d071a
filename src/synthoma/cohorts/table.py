"""slices.csv, the table of a cohort, as it is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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


def read_table(path: Path) -> pd.DataFrame:
    """slices.csv: texts as they stand (a class may be called None), numbers as numbers, in the file's order of columns.

    Texts of a million slices are few: each is held, and freed of what keeps a spreadsheet from running it, once.
    """
    import pandas as pd
    from pandas.api.types import is_string_dtype

    names = list(pd.read_csv(path, nrows=0))
    texts = [name for name in names if name in TEXT_COLUMNS]
    gaps: dict[str, Sequence[str]] = {str(name): _GAPS for name in names if name not in TEXT_COLUMNS}
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
