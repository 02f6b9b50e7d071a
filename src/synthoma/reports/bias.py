"""Who was learned from: what a cohort's own figures say about whom a model may serve badly.

Headings are those of "Datasheets for datasets" (Gebru et al. 2021, composition): groups that are known, their sizes,
and what nobody recorded, which is said as plainly as what is known.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from synthoma.cohorts.cohort import Cohort

if TYPE_CHECKING:
    import pandas as pd

FEW = 5
"""Patients of a group below which a model has hardly seen it."""

MOST = 0.5
"""Share of the patients in one group above which its look may be taken for everybody's."""

AGES = ("age", "patient_age", "patientage", "age_at_initial_pathologic", "age_years")
SEXES = ("sex", "gender", "patient_sex", "patientsex")
_SHOWN = 8


def bias_note(real: Cohort) -> tuple[list[tuple[str, str]], list[str]]:
    """Composition of the training split, and what follows from it.

    Args:
        real: the cohort whose training split was learned from.

    Returns:
        Rows (what, how many patients or groups), and sentences of warning.
    """
    table = real.slices[real.slices["split"] == "train"]
    rows: list[tuple[str, str]] = [("patients or groups", f"{table['group'].nunique():,}")]
    warnings: list[str] = []
    for what, column in (("site", "site"), ("class", "label")):
        _grouped(what, table, column, rows, warnings)
    _sizes(real, table, rows, warnings)
    _ages(table, rows, warnings)
    _grouped("sex", table, _named(table, SEXES), rows, warnings)
    return rows, warnings


def _grouped(what: str, table: pd.DataFrame, column: str, rows: list[tuple[str, str]], warnings: list[str]) -> None:
    """Patients of each value of a column; a patient may show several classes."""
    shown = table[["group", column]].astype(str) if column in table else None
    if shown is not None:
        # Each patient once a value: one with many slices must not count as many.
        shown = shown[~shown[column].isin(["", "nan", "None"])].drop_duplicates()
    if shown is None or not len(shown):
        rows.append((what, "not recorded"))
        warnings.append(f"The {what} is not recorded: whether the images serve all alike cannot be told.")
        return
    counts = Counter(shown[column].tolist()).most_common()
    # Shares are of those of whom it is known: what nobody recorded is told apart, and not taken for another group.
    total, known = table["group"].nunique(), shown["group"].nunique()
    listed = ", ".join(f"{name} {count:,}" for name, count in counts[:_SHOWN])
    more = f", and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    unknown = f"; not recorded of {total - known:,}" if known < total else ""
    rows.append((what, f"{listed}{more}{unknown}"))
    name, largest = counts[0]
    if what != "class" and largest > MOST * known:
        share = f"{largest:,} of {known:,} patients"
        if len(counts) == 1:
            warnings.append(f"All that is known of are of one {what} ({name}): others were not learned from.")
        else:
            warnings.append(f"Most are of one {what} ({name}, {share}): its look may be taken for everybody's.")
    if few := [f"{one} ({count})" for one, count in counts if count < FEW]:
        named = ", ".join(few[:_SHOWN]) + (f" and {len(few) - _SHOWN} more" if len(few) > _SHOWN else "")
        warnings.append(f"Fewer than {FEW} patients of {what}: {named}. What is drawn of them shows these few.")


def _sizes(real: Cohort, table: pd.DataFrame, rows: list[tuple[str, str]], warnings: list[str]) -> None:
    """Largest cut through each patient's tumour, as a share of the picture."""
    ill = table[table["tumour_pixels"] > 0]
    if not real.tumour_labels or not len(ill):
        rows.append(("tumour size", "not recorded (no masks)"))
        return
    # One number a patient, the largest cut: a mean over slices would depend on how thick they are.
    largest = 100 * ill.groupby("group")["tumour_pixels"].max().to_numpy(float) / real.size**2
    low, middle, high = np.percentile(largest, [5, 50, 95])
    span = f"{low:.1f} to {high:.1f}, median {middle:.1f} (5 to 95 % of {len(largest):,} patients)"
    rows.append(("largest cut of the tumour, % of the picture", span))
    if len(largest) >= FEW:
        warnings.append(f"Tumours whose largest cut is below {low:.1f} or above {high:.1f} % of the picture are rare.")


def _ages(table: pd.DataFrame, rows: list[tuple[str, str]], warnings: list[str]) -> None:
    import pandas as pd

    name = _named(table, AGES)
    by_patient = table.drop_duplicates("group")
    found = by_patient[name].astype(str).str.extract(r"(\d+(?:\.\d+)?)")[0] if name in table else pd.Series(dtype=str)
    ages = pd.to_numeric(found, errors="coerce").dropna().to_numpy(float)
    if not len(ages):
        rows.append(("age", "not recorded"))
        warnings.append("The age is not recorded: whether the images serve all alike cannot be told.")
        return
    missing = len(by_patient) - len(ages)
    unknown = f"; not recorded of {missing:,}" if missing else ""
    rows.append(("age", f"{ages.min():.0f} to {ages.max():.0f}, median {np.median(ages):.0f}{unknown}"))
    warnings.append(f"No patient was younger than {ages.min():.0f} or older than {ages.max():.0f}.")


def _named(table: pd.DataFrame, names: tuple[str, ...]) -> str:
    """The column that has one of these names, whatever its case; the first name where none has."""
    return next((str(column) for column in table if str(column).lower() in names), names[0])
