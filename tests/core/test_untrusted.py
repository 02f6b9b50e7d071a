"""What strangers' texts may do: nothing."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthoma.core.errors import InputError
from synthoma.core.untrusted import (
    cell,
    check_names,
    check_texts,
    content_of_cell,
    csv_of_frame,
    csv_text,
    file_name,
    printable,
    visible,
)


def test_escapes_are_shown_and_not_obeyed() -> None:
    assert visible("a\x1b[2Jb") == r"a\x1b[2Jb"
    assert visible("\x9b31m") == r"\x9b31m"  # the one-byte form of the same
    assert visible("exe\u202egnp.") == r"exe\u202egnp."  # would be read from right to left
    assert visible("one\ntwo\r") == r"one\x0atwo\x0d"
    assert visible("one\ntwo", keep="\n") == "one\ntwo"
    assert visible("Ödem, 脑瘤 ½") == "Ödem, 脑瘤 ½"
    assert printable(os.fsdecode(b"caf\xe9\x07.png")) == r"caf\xe9\x07.png"


@pytest.mark.slow
@given(st.text())
def test_what_is_visible_stays_so(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    assert "\x1b" not in shown


@given(st.text())
def test_file_names_lead_nowhere_else(text: str) -> None:
    name = file_name(text)
    assert Path(name).name == name
    assert name not in (".", "..")
    assert not name.startswith("-")
    assert 0 < len(name.encode()) <= 100  # file systems count bytes
    assert "\0" not in name


def test_file_names_that_are_safe_stay() -> None:
    assert file_name("BraTS18_2013_2_1 b") == "BraTS18_2013_2_1 b"
    assert file_name("../../etc/passwd") == "______etc_passwd"
    assert file_name("--force") == "force"
    assert file_name("...") == "___"
    assert file_name("- -") == "_"


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1"])
def test_formulas_are_quoted_and_come_back(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert content_of_cell(cell(text)) == text


@given(st.text())
def test_cells_come_back(text: str) -> None:
    written = cell(text)
    assert content_of_cell(written) == text
    assert not written.startswith(("=", "@", "\t", "\r"))


@pytest.mark.parametrize("value", ["-1", "+2.5e-3", "-.5", -1, -0.5, None, "'plain'", "a=b", "a-b", "1.5", ""])
def test_numbers_and_plain_texts_stay(value: object) -> None:
    assert cell(value) == value


def test_tables_are_quoted_whatever_writes_them() -> None:
    rows = [{"case": "=cmd()", "n": -1, "score": -0.5, "more": 7}, {"case": "plain"}]
    written = csv_text(("case", "n", "score"), rows)
    assert list(csv.reader(io.StringIO(written))) == [
        ["case", "n", "score"],
        ["'=cmd()", "-1", "-0.5"],
        ["plain", "", ""],
    ]
    frame = pd.DataFrame({"case": ["=cmd()", "plain"], "n": [-1, 2]})
    assert csv_of_frame(frame) == "case,n\n'=cmd(),-1\nplain,2\n"
    assert frame["case"].tolist() == ["=cmd()", "plain"]


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\\b", "", " ", ".", "..", ".x", "-x", "a\0b", "a\x1bb", "x" * 65, 7, None, "a ", "con:"]
)
def test_names_that_could_lead_elsewhere_are_refused(name: object) -> None:
    with pytest.raises(InputError, match="modalities of distinct names"):
        check_names(["flair", name], "modalities", "cohort.json")


def test_names_must_differ_where_capitals_do_not_count() -> None:
    with pytest.raises(InputError, match="came 'FLAIR'"):
        check_names(["flair", "FLAIR"], "modalities", "cohort.json")
    with pytest.raises(InputError, match="a list of modalities"):
        check_names("flair", "modalities", "cohort.json")
    check_names(("flair", "t1c", "DWI b1000", "ADC (x10-6)", "脑瘤"), "modalities", "cohort.json")


@pytest.mark.parametrize("text", ["", "a\nb", "\x1b[31m", "x" * 201, 3, "\u202e"])
def test_texts_that_cannot_be_shown_are_refused(text: object) -> None:
    with pytest.raises(InputError, match="classes of 1 to 200"):
        check_texts(["glioma", text], "classes", "cohort.json")
