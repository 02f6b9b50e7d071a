"""Files as spreadsheets and people leave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthoma.core.errors import InputError
from synthoma.evaluation.readers.answers import LARGEST, alike, read_answers
from tests.evaluation.readers.conftest import read_set

HEAD = "item,answer,confidence,quality,remark\n"


def read(place: Path, file: Path, content: str | bytes) -> dict[str, object]:
    """Answers of one file with this content."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return dict(read_answers([file], read_set(place))[file.stem.removeprefix("answers-")])


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        HEAD + "001,real,4,5,smooth\n007,synthetic,,2,\n",
        "\ufeff" + HEAD + "001,real,4,5,smooth\n007,synthetic,,2,\n",
        (HEAD + "1,Real,4,5,smooth\n7,SYNTHETIC,,2,\n").replace(",", ";").replace("\n", "\r\n"),
        ("sep=;\n" + HEAD + "1,r,4,5,smooth\n7,s,-,2,\n").replace(",", ";"),
        (HEAD + "1.0,real,4.0,5,smooth\n7.0,synthetic,,2,\n").replace(",", "\t").encode("utf-16"),
        "Item,Answer,Confidence,Quality,Remark\n\n\n001,real,4,5,smooth\n,,,,\n007,synthetic,n/a,2,?\n"[:-2] + "\n",
        "remark,quality,confidence,answer,item\nsmooth,5,4,real,001\n,2,,synthetic,007\n",
    ],
    ids=["plain", "mark", "semicolons", "sep", "utf-16 tabs", "blank lines", "columns moved"],
)
def test_every_form_of_a_table_is_read_alike(blinded: Path, tmp_path: Path, content: str | bytes) -> None:
    found = read(blinded, tmp_path / "answers-A.csv", content)
    assert set(found) == {"001", "007"}
    one, other = found["001"], found["007"]
    assert (one.choice, one.confidence, one.quality, one.remark) == ("real", 4, (5,), "smooth")  # type: ignore[attr-defined]
    assert (other.choice, other.confidence, other.quality, other.remark) == ("synthetic", None, (2,), "")  # type: ignore[attr-defined]


def test_remarks_of_windows_and_of_formulas(blinded: Path, tmp_path: Path) -> None:
    text = HEAD + '001,real,,,"übermäßig glatt, =1+1"\n002,real,,,\'=cmd|x\n003,real,,,<b>bold</b>\x1b[2J\n'
    found = read(blinded, tmp_path / "answers-A.csv", text.encode("cp1252"))
    assert [one.remark for one in found.values()] == [  # type: ignore[attr-defined]
        "übermäßig glatt, =1+1", "=cmd|x", "<b>bold</b>\\x1b[2J",
    ]  # fmt: skip


def test_a_remark_of_several_lines_is_one_row(blinded: Path, tmp_path: Path) -> None:
    found = read(blinded, tmp_path / "answers-A.csv", HEAD + '001,real,,,"two\nlines"\n002,real,,,\n')
    assert set(found) == {"001", "002"}
    with pytest.raises(InputError, match=r"line 4: item 001 again, as in line 3"):
        read(blinded, tmp_path / "answers-A.csv", HEAD + '001,real,,,"two\nlines"\n001,real,,,\n')


def test_times_and_missing_answers(blinded: Path, tmp_path: Path) -> None:
    text = 'item,answer,seconds\n001,,3.5\n002,real,\n003,real,"4,5"\n'
    found = read(blinded, tmp_path / "answers-A.csv", text)
    assert [(one.choice, one.seconds) for one in found.values()] == [(None, 3.5), ("real", None), ("real", 4.5)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("001,rael,,,\n", r"line 2: answer 'rael'"),
        ("001,left,,,\n", r"line 2: answer 'left'"),
        ("001,real,6,,\n", r"line 2: confidence '6'"),
        ("001,real,high,0,\n", r"line 2: confidence 'high'; line 2: quality '0'"),
        ("099,real,,,\n", r"line 2: no item '099'"),
        ("1e2,real,,,\n", r"line 2: no item '1e2'"),
        (",real,,,\n", r"line 2: no item without a number"),
        ("001,real,,,\n001,real,,,\n", r"line 3: item 001 again, as in line 2"),
        ("1,real,,,\n001,real,,,\n", r"line 3: item 001 again"),
        ("001,real,,,smooth, and thin\n", r"line 2: more cells than the first line"),
        ("".join(f"{number},x,,,\n" for number in range(1, 9)), r"line 6: answer 'x', and 3 more; correct these lines"),
        ("001,\x1b[31mreal,,,\n", r"answer '\\\\x1b\[31mreal'"),
    ],
)
def test_mistakes_are_refused_by_their_lines(blinded: Path, tmp_path: Path, rows: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read(blinded, tmp_path / "answers-A.csv", HEAD + rows)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "an empty file"),
        ("item,awnser\n001,real\n", "a first line with item, answer, confidence"),
        ("item,answer,answer\n001,real,real\n", "a first line with"),
        ("001,real,,,\n", "restore the first line"),
        (b"PK\x03\x04rest of a spreadsheet", "save it as CSV in the spreadsheet"),
        (b"item,answer\n001,re\0al\n", "no text"),
        (b"item,answer\n" + b"x" * LARGEST, "at most 4 MB"),
    ],
)
def test_files_that_are_no_answers_are_refused(
    blinded: Path, tmp_path: Path, content: str | bytes, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        read(blinded, tmp_path / "answers-A.csv", content)


def test_one_file_of_each_reader(blinded: Path, tmp_path: Path) -> None:
    shown = read_set(blinded)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "answers-A.csv").write_text(HEAD + "001,real,,,\n")
    with pytest.raises(InputError, match="a second one of A"):
        read_answers([tmp_path / "one" / "answers-A.csv", tmp_path / "two" / "answers-A.csv"], shown)
    with pytest.raises(InputError, match="files of answers; came none"):
        read_answers([], shown)
    with pytest.raises(InputError, match="absent"):
        read_answers([tmp_path / "absent.csv"], shown)
    (tmp_path / "two" / "answers-A.csv").rename(tmp_path / "two" / "answers-B.csv")
    both = read_answers([tmp_path / "one" / "answers-A.csv", tmp_path / "two" / "answers-B.csv"], shown)
    assert "copy of the other" in alike(both)[0]
    (tmp_path / "two" / "answers-B.csv").write_text(HEAD + "001,synthetic,,,\n")
    both = read_answers([tmp_path / "one" / "answers-A.csv", tmp_path / "two" / "answers-B.csv"], shown)
    assert alike(both) == []


def test_pairs_are_answered_by_sides(paired: Path, tmp_path: Path) -> None:
    text = "item,answer,confidence,quality_left,quality_right,remark\n001,left,1,2,3,\n002,R,,,,\n"
    found = read(paired, tmp_path / "answers-A.csv", text)
    assert [(one.choice, one.quality) for one in found.values()] == [("left", (2, 3)), ("right", (None, None))]  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="answer 'real'"):
        read(paired, tmp_path / "answers-A.csv", "item,answer\n001,real\n")
