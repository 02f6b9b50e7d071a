"""``--quiet`` and ``--json``: what a command says to people who do not look, and to programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from synthoma.commands.app import COMMANDS, command_of, main

pytestmark = pytest.mark.slow


def _run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["synthoma", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


PHANTOM = ("prepare", "--phantom", "3", "--size", "32", "--modalities", "flair", "--slices", "tumour",
           "--set", "phantom.slice_mm=8.0", "--set", "phantom.pixel_mm=4.0")  # fmt: skip


def test_json_is_one_object_and_says_what_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, *PHANTOM, "-o", str(tmp_path / "cohort"), "--json") == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["command"] == "prepare"
    assert found["output"] == str(tmp_path / "cohort")
    assert found["artefact"]["kind"] == "cohort"
    assert found["artefact"]["cases"] == 3
    assert any(line.startswith("page: ") for line in found["said"])
    told = [json.loads(line) for line in said.err.splitlines()]
    assert told[0]["phase"] == "simulating patients"
    assert told[-1]["ended"] is True


def test_an_error_is_an_object_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "prepare", str(tmp_path / "none"), "-o", str(tmp_path / "out"), "--json") == 2
    said = capsys.readouterr()
    assert not said.out
    error = json.loads(said.err.splitlines()[-1])
    assert error["kind"] == "InputError"
    assert error["error"].startswith("expected ")
    # The next command speaks to people again.
    assert _run(monkeypatch, "prepare", str(tmp_path / "none"), "-o", str(tmp_path / "out")) == 2
    assert capsys.readouterr().err.startswith("error: expected ")


def test_a_list_goes_into_the_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, "train", "--list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["artefact"] is None
    assert found["said"][0] == "generators:"


def test_quiet_leaves_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, *PHANTOM, "-o", str(tmp_path / "cohort"), "--quiet") == 0
    said = capsys.readouterr()
    assert not said.err
    assert "page: " in said.out


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"info"}))
def test_every_command_that_works_for_a_while_has_both(name: str) -> None:
    flags = {flag for one in command_of(name).params for flag in one.opts}
    assert {"--json", "--quiet"} <= flags
