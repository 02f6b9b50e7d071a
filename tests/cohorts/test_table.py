"""Large tables are read by another library, and nobody sees a difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthoma.cohorts import table
from synthoma.core.untrusted import csv_of_frame

pytest.importorskip("pyarrow", reason="pip install 'synthoma[parquet]'")


def both(path: Path) -> pd.DataFrame | None:
    """The table as pyarrow reads it, which is as pandas does; None where it leaves it to pandas."""
    found = table._read_large(path)
    if found is not None:
        pd.testing.assert_frame_equal(found, table._read(path), check_exact=True)
    return found


@pytest.fixture
def written(tmp_path: Path) -> Path:
    chance = np.random.default_rng(0)
    rows = 2500  # more than the head that pandas is asked about
    frame = pd.DataFrame(
        {
            "case": [f"{n % 40:03d}" for n in range(rows)],
            "patient": np.where(np.arange(rows) % 3 == 0, "None", "=HYPERLINK(1)"),
            "group": ["Köln, \"Süd\"\nzwei", *["'quoted'"] * (rows - 1)],
            "split": "train", "label": "", "slice": np.arange(rows), "has_mask": np.arange(rows) % 2 == 0,
            "visit": np.nan, "kin": [np.nan, *[3.0] * (rows - 1)], "age": chance.random(rows) * 100,
            "scale_flair": chance.normal(size=rows) * 1e-9, "spacing": [np.nan, *["4 4 1"] * (rows - 1)],
        }
    )  # fmt: skip
    (tmp_path / "slices.csv").write_text(csv_of_frame(frame, float_format="%.7g"), encoding="utf-8")
    return tmp_path / "slices.csv"


def test_both_readers_read_the_same(written: Path) -> None:
    found = both(written)
    assert found is not None
    assert found["patient"][1] == "=HYPERLINK(1)"
    assert found["case"][7] == "007"
    assert found["patient"][0] == "None"
    found.loc[0, "slice"] = 9  # who reads it may change it
    assert found.loc[0, "slice"] == 9


@pytest.mark.parametrize(
    "cells",
    [
        ["+5", "7"], ["NAN", "1"], ["inf", "1"], ["2020-01-01", "2020-01-02"], ["True", ""], ["True", "7"],
        ["1_000", "2"], [" 5", "6"], ["18446744073709551615", "1"], ["12:30:00", "12:31:00"], ["x", "'=1"],
        ["007", "008"], ["", "x"], ["1", "x"], ["1e400", "2"], ["0x1f", "2"], ["'", "''"],
    ],
)  # fmt: skip
def test_cells_that_libraries_differ_about_are_read_as_ever(tmp_path: Path, cells: list[str]) -> None:
    place = tmp_path / "slices.csv"
    body = "".join(f"a,{cell}\n" for cell in cells)
    place.write_text(f"case,told\n{body}")
    both(place)
    # The same after a head of something else.
    place.write_text("case,told\n" + "a,1\n" * 1200 + body)
    both(place)


@pytest.mark.parametrize(
    "text",
    [
        "case,n,n\na,1,2\n",
        "case,n\na,1,2\n",
        "case,n\na\n",
        "case\xff,n\na,1\n",
        "case,n\n\na,1\n\n",
        "\ufeffcase,n\na,1\n",
    ],
)
def test_tables_of_another_shape_are_read_as_ever(tmp_path: Path, text: str) -> None:
    (tmp_path / "slices.csv").write_bytes(text.encode("latin1" if "\xff" in text else "utf-8"))
    try:
        table._read(tmp_path / "slices.csv")
    except (ValueError, TypeError) as expected:
        with pytest.raises(type(expected)):
            table._read_large(tmp_path / "slices.csv")
            table._read(tmp_path / "slices.csv")
    else:
        both(tmp_path / "slices.csv")


def test_only_large_tables_are_worth_another_library(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(table, "_read_large", asked.append)
    assert len(table.read_table(written)) == 2500
    assert not asked
    monkeypatch.setattr(table, "_LARGE", 1)
    assert len(table.read_table(written)) == 2500
    assert asked == [written]
