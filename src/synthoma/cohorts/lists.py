"""The lists beside a cohort, for people and for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.cohorts.splits import write_nnunet_splits
from synthoma.core.untrusted import csv_of_frame, printable
from synthoma.core.whole_files import write_text
from synthoma.scans.case import Skipped

if TYPE_CHECKING:
    import pandas as pd

    from synthoma.cohorts.copies.duplicates import Duplicates
    from synthoma.cohorts.settings import PrepareConfig


def write_lists(
    folder: Path,
    table: pd.DataFrame,
    searched: list[int],
    found: Duplicates | None,
    skipped: list[Skipped],
) -> None:
    """The lists beside the cohort: skipped files, duplicate pairs, and the split in nnU-Net's form."""
    import pandas as pd

    rows = [(printable(item.path), item.what, item.reason) for item in skipped]
    listing = pd.DataFrame(rows, columns=["path", "kind", "reason"])
    write_text(folder / "skipped.csv", csv_of_frame(listing))
    if found is not None:
        pairs = _pair_table(table, searched, found)
        write_text(folder / "duplicates.csv", csv_of_frame(pairs))
    write_nnunet_splits(folder / "splits_final.json", table)


def unsearched(table: pd.DataFrame, searched: int, cases: int, config: PrepareConfig) -> str:
    """What the search for duplicates left out, for the user; empty where it was nothing."""
    # Sequences of one slice may be rows of their own, and are searched for by the first.
    apart = table.drop_duplicates([name for name in ("case", "slice", "tile") if name in table])
    slices = len(apart)
    if not config.duplicates or searched >= slices:
        return ""
    # Every case has the same share, used or not: as many as the longest volume needs let none go short.
    enough = cases * int(apart["case"].value_counts().max())
    return (
        f"duplicates were searched among {searched:,} of {slices:,} slices, evenly spaced over each volume; a copy of "
        f"one of the others alone is not found (--set searched={enough} searches all)"
    )


def _pair_table(table: pd.DataFrame, searched: list[int], found: Duplicates) -> pd.DataFrame:
    """One row a pair: rows of slices.csv, where both come from, and how one becomes the other."""
    import pandas as pd

    columns = ["first", "second", "first_source", "second_source", "first_label", "second_label"]
    columns += ["kind", "score", "flip", "rotation_deg", "shift_x", "shift_y"]
    rows = []
    for pair in found.pairs:
        first, second = searched[pair.first], searched[pair.second]
        names = [table[column].iat[row] for column in ("source", "label") for row in (first, second)]
        motion = [pair.flip, round(pair.rotation_deg, 2), round(pair.shift_x, 2), round(pair.shift_y, 2)]
        rows.append([first, second, *names, pair.kind, round(pair.score, 4), *motion])
    return pd.DataFrame(rows, columns=columns)
