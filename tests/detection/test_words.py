"""Findings in words: units that people read, lines that no terminal breaks, and what was skipped."""

from __future__ import annotations

from typing import Any

import pytest

from synthoma.detection.words import (
    length_text,
    remark_lines,
    shortened,
    size_text,
    skipped_lines,
    table_lines,
    track_record,
)
from synthoma.detectors.segmenters.chances import calibration_of, read_calibrations
from synthoma.training.bundle import open_model, shipped_model

LONG = "sub-0123456789_ses-preoperative_acq-highres_run-02_space-native_FLAIR_defaced_final_version"


def row(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "case": name, "probability": 0.9731, "has_tumour": True, "type": "", "volume": 45_312.4, "unit": "mm3",
        "diameter": 51.7, "diameter_unit": "mm", "side": "right", "dice": 0.81, "told": (), **changes,
    }  # fmt: skip


def test_sizes_are_in_ml_and_mm() -> None:
    assert size_text(45_312.4, "mm3") == "45.3 ml"
    assert size_text(1_234_567.0, "mm3") == "1,234.6 ml"
    assert size_text(31.0, "mm3") == "0.031 ml"
    assert size_text(31.0, "pixels") == "31 px"
    assert size_text(0.0, "mm3") == size_text(None, "mm3") == length_text(None, "mm") == "-"
    assert length_text(51.7, "mm") == "52 mm"
    assert length_text(1051.7, "pixels") == "1,052 px"


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("names", [("a", "b"), (LONG, LONG + "2"), (LONG, "b")])
def test_no_line_is_wider_than_the_terminal(width: int, names: tuple[str, ...]) -> None:
    rows = [row(name, type="meningioma" if width > 60 else "") for name in names]
    lines = table_lines(rows, width)
    assert max(map(len, lines)) <= width
    assert len(lines) == 3
    assert len({len(line) for line in lines[1:]}) == 1, "columns stand below one another"
    for line in lines[1:]:
        assert " 0.97" in line
        assert line.split()[2] == "yes"
    if width >= 60:
        assert "45.3 ml" in lines[1]
        assert "52 mm" in lines[1]
    if width == 200:
        assert names[0] in lines[1]


def test_names_that_differ_at_their_ends_stay_apart() -> None:
    lines = table_lines([row(LONG), row(LONG + "2")], 80)
    assert lines[1].split()[0] != lines[2].split()[0]
    assert shortened(LONG, 20) == "sub-0123456"[:10] + "\N{HORIZONTAL ELLIPSIS}" + LONG[-9:]
    assert shortened("short", 20) == "short"


def test_what_is_outlined_in_a_scan_without_tumour_stands_in_brackets() -> None:
    lines = table_lines([row("a", has_tumour=False, probability=0.2), row("b", has_tumour=False, volume=0.0)], 80)
    assert "(45.3 ml)" in lines[1]
    assert "(" not in lines[2]
    assert lines[3].startswith("In brackets: outlined")


def test_a_long_list_says_how_many_more_there_are() -> None:
    lines = table_lines([row(f"p{number}") for number in range(1234)], 80, most=20)
    assert len(lines) == 22
    assert lines[-1] == "... and 1,214 more, see index.csv"


def test_escapes_in_names_are_shown_and_not_obeyed() -> None:
    lines = table_lines([row("a\x1b[2Jb")], 80)
    assert "\x1b" not in "".join(lines)


def test_remarks_are_told_once_with_the_number_of_their_scans() -> None:
    rows = [
        row("a", told=("it is taken for flair", "missing: t1; the rest")),
        row("b", told=("it is taken for flair",)),
    ]
    assert remark_lines(rows, 80) == [
        "note: all scans: it is taken for flair",
        "note: 1 of 2 scans: missing: t1; the rest",
    ]
    assert remark_lines(rows[1:], 80) == ["note: it is taken for flair"]
    assert max(map(len, remark_lines([row("a", told=("word " * 60,))], 60))) <= 60


def test_what_was_skipped_is_counted_with_its_reasons() -> None:
    skipped = [
        {"path": f"/data/{LONG}/{number}.nii", "kind": "x", "reason": "expected a volume; came text; remove it"}
        for number in range(3)
    ]
    skipped.append({"path": "/data/other.png", "kind": "y", "reason": "expected a picture; came nothing; export it"})
    lines = skipped_lines(2, skipped, "found/skipped.csv", 80)
    assert lines[0] == "2 scans looked at, 4 files or studies skipped:"
    text = " ".join(" ".join(lines).split())
    assert "- 3, as 0.nii: expected a volume; came text; remove it" in text
    assert "- other.png: expected a picture" in text
    assert lines[-1] == "all of them: found/skipped.csv"
    assert max(map(len, lines)) <= 80
    assert skipped_lines(1, [], "found/skipped.csv", 80) == ["1 scan looked at, none skipped"]


def test_the_model_inside_the_package_knows_when_it_says_tumour() -> None:
    meta = open_model(shipped_model()).meta.content()
    known = read_calibrations(meta["calibration"])
    for kind in ("scan", "picture"):
        for shown in (("flair",), ("t1", "t1c", "t2", "flair")):
            one = calibration_of(known, kind, shown, guessed=False)
            assert one is not None
            assert one.healthy >= 20
            assert one.alarms <= 0.05 * one.healthy
        assert track_record(meta, kind).startswith("Where there is no tumour this model said tumour in")
    three, one = (calibration_of(known, kind, ("flair",), guessed=False) for kind in ("planes", "scan"))
    assert three is not None
    assert three != one, "three planes are counted by themselves"
    assert three.healthy >= 20
    assert three.alarms <= 0.05 * three.healthy
    guess, flair = (calibration_of(known, "picture", ("flair",), guessed=guessed) for guessed in (True, False))
    assert guess is not None
    assert flair is not None
    assert guess.figure > flair.figure, "of what may be any sequence more is asked"


def test_how_often_a_model_is_wrong_in_health_is_one_sentence() -> None:
    measured = [
        {"kind": "picture", "scans": "pictures", "said": 4, "of": 98},
        {"kind": "scan", "scans": "volumes", "said": 1, "of": 40},
    ]
    table = {"scan": {"flair": {"alarms": 3, "healthy": 60}, "t1": {"alarms": 1, "healthy": 60}}}
    told = "Where there is no tumour this model said tumour in"
    assert track_record({"measured": measured, "calibration": table}, "scan") == f"{told} 1 of 40 volumes."
    assert track_record({"calibration": table}, "scan").startswith(f"{told} at most 3 of 60 scans")
    assert track_record({"calibration": table}, "picture").startswith("Nobody measured")
