"""``synthoma turing`` as it is typed, and the example of its page."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from synthoma.commands.app import main
from tests.evaluation.readers.conftest import Cohorts, write_answers
from tests.evaluation.readers.conftest import blinded as blinded
from tests.evaluation.readers.conftest import cohorts as cohorts

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "turing.md"


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    monkeypatch.setattr(sys, "argv", ["synthoma", *words])
    code = 0
    try:
        main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_make_score_and_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cohorts: Cohorts, tmp_path: Path
) -> None:
    place, names = tmp_path / "set", ("A", "B")
    options = ("--number", "10", "--readers", "A,B", "--pixels", "32", "--quiet")
    code, out, _ = run(monkeypatch, capsys, "turing", "make", *map(str, cohorts), "-o", str(place), *options)
    assert code == 0
    assert "with 10 + 10 pictures and one reader a d' is seen" in out
    assert "too few for one reader" in out
    files = [write_answers(place, tmp_path / f"answers-{name}.csv", lambda item: item["truth"]) for name in names]
    words = ("turing", "score", str(place), *map(str, files), "-o", str(tmp_path / "result"), "--quiet")
    code, out, _ = run(monkeypatch, capsys, *words)
    assert code == 0
    assert "A: 10 of 10 right" not in out
    assert "A: 20 of 20 right [84, 100] %" in out
    assert "a copy of the other?" in out
    assert "TOLD APART: readers told them apart: d' " in out
    code, out, _ = run(monkeypatch, capsys, *words, "--force", "--json")
    facts = json.loads(out)
    assert (facts["artefact"]["kind"], facts["artefact"]["verdict"]["word"]) == ("answers of readers", "TOLD APART")
    code, out, _ = run(monkeypatch, capsys, "info", str(place), "--json")
    facts = json.loads(out)
    assert (facts["kind"], facts["readers"]) == ("blinded set", ["A", "B"])
    assert "real_row" not in out
    assert run(monkeypatch, capsys, "report", str(tmp_path / "result"))[0] == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("mkae", "a", "b"), "did you mean 'make'?"),
        (("make", "a"), "a real and a synthetic cohort; came 1 paths"),
        (("make", "a", "b", "--key", "k"), "--key; leave it out"),
        (("score", "a"), "a set, and answers behind it"),
        (("score", "a", "b", "--number", "7"), "--number; leave it out"),
        (("make", "a", "b", "--number", "1"), "number"),
        (("make", "a", "b", "--readers", "A,../B"), "readers"),
        (("score", "absent", "b"), "a set of `synthoma turing make`"),
    ],
)
def test_mistakes_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(monkeypatch, capsys, "turing", *words, "-o", "x")
    assert code == 2
    assert err.startswith("error: expected ")
    assert complaint in err
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_the_page_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cohorts: Cohorts, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, source in zip(("cohort", "synthetic"), cohorts, strict=True):
        shutil.copytree(source, tmp_path / name)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    first, rest = code.split("result = ")
    known: dict[str, object] = {}
    exec(compile(first, "turing.md", "exec"), known)
    for name in ("A", "B"):
        write_answers(tmp_path / "blinded", tmp_path / f"answers-{name}.csv", lambda item: item["truth"])
    exec(compile(f"result = {rest}", "turing.md", "exec"), known)
    assert "readers told them apart" in capsys.readouterr().out


def test_the_power_of_the_page_is_that_of_the_code() -> None:
    from synthoma.metrics.signal_detection import power

    rows = re.findall(r"^\| ([\d.]+) \|((?: \d+ % \|){5})$", PAGE.read_text(encoding="utf-8"), flags=re.M)
    assert len(rows) == 5
    for d, cells in rows:
        shown = [int(cell) for cell in re.findall(r"\d+", cells)]
        single = [power(float(d), count, count) for count in (25, 50, 100)]
        paired = [power(float(d), count - count // 2, count // 2, side_by_side=True) for count in (25, 50)]
        assert shown == [round(100 * share) for share in (*single, *paired)]
