"""The command as it is typed: errors in a sentence, outputs whole or not there, settings that fit their form."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import synthoma
from synthoma.commands.app import main
from synthoma.core.artefacts import faults
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.provenance import file_digest
from synthoma.exports.forms import FORMS, read_export
from synthoma.exports.models import FORMS as FORMS_OF_MODELS
from synthoma.exports.names import ABOUT
from tests.exports.cohorts import patients


def test_the_registry_has_words_for_each_form() -> None:
    assert [*FORMS, *FORMS_OF_MODELS] == list(ABOUT)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"to": "nnunett"}, "did you mean 'nnunet'"),
        ({"to": "coco", "slices": True}, "slices is for nnunet, monai, torchio, nifti, not for coco"),
        ({"to": "coco", "boxes": True}, "boxes=True is for yolo"),
        ({"to": "monai", "number": 3}, "number is for nnunet"),
        ({"to": "png", "sequences": ("flair",)}, "sequences is for"),
        ({"to": "nnunet", "number": 0}, "1 to 999"),
        ({"to": "monai", "sequences": ("flair", "flair")}, "each sequence once"),
    ],
)
def test_settings_that_say_nothing_are_refused(tmp_path: Path, settings: dict[str, object], words: str) -> None:
    patients(tmp_path / "cohort")
    with pytest.raises(ConfigError, match=words):
        synthoma.export(tmp_path / "cohort", tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_what_is_no_cohort_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="a cohort, findings"):
        synthoma.export(tmp_path / "run", tmp_path / "out", to="monai")
    monkeypatch.setattr(sys, "argv", ["synthoma", "export", str(tmp_path / "run"), "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "make one with `synthoma prepare`" in capsys.readouterr().err


def test_an_export_is_replaced_on_request_only_and_never_lies_in_its_cohort(tmp_path: Path) -> None:
    patients(tmp_path / "cohort")
    synthoma.export(tmp_path / "cohort", tmp_path / "out", to="monai")
    assert read_export(tmp_path / "out").form == "monai"
    assert "datalist.json" in read_export(tmp_path / "out").how
    with pytest.raises(InputError, match="force=True"):
        synthoma.export(tmp_path / "cohort", tmp_path / "out", to="nnunet")
    synthoma.export(tmp_path / "cohort", tmp_path / "out", to="nnunet", force=True)
    assert read_export(tmp_path / "out").form == "nnunet"
    assert not (tmp_path / "out" / "datalist.json").exists()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match=r"mine\.txt"):
        synthoma.export(tmp_path / "cohort", tmp_path / "out", to="nnunet", force=True)
    with pytest.raises(InputError):
        synthoma.export(tmp_path / "cohort", tmp_path / "cohort", to="nnunet", force=True)
    synthoma.Cohort(tmp_path / "cohort")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["nnunet", "bids", "huggingface", "coco", "yolo"])
def test_the_same_command_writes_the_same_bytes(tmp_path: Path, form: str) -> None:
    patients(tmp_path / "cohort")
    for name in ("a", "b"):
        synthoma.export(tmp_path / "cohort", tmp_path / name, to=form)
    files = [sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.*")) for name in "ab"]
    assert files[0] == files[1]
    for path in files[0]:
        if (tmp_path / "a" / path).is_file():
            assert file_digest(tmp_path / "a" / path) == file_digest(tmp_path / "b" / path), path


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (("t1c", "t1ce"), "nifti"), (("a.b", "a_b"), "nnunet"), (("flair", "seg"), "monai"),
        (("flair", "mask"), "coco"),
        (("flair", "image"), "huggingface"),
    ],
)  # fmt: skip
def test_no_file_is_written_over_another(tmp_path: Path, names: tuple[str, str], form: str) -> None:
    patients(tmp_path / "cohort", modalities=names)
    with pytest.raises(ConfigError, match=re.escape(names[1])):
        synthoma.export(tmp_path / "cohort", tmp_path / "out", to=form)
    synthoma.export(tmp_path / "cohort", tmp_path / "one", to=form, sequences=names[:1])


@pytest.mark.slow
def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    names = ["../../victim", "/etc/x", "[bold]red[/bold]", "a", "A"]
    patients(tmp_path / "cohort", names=names)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    for form in FORMS:
        synthoma.export(tmp_path / "cohort", tmp_path / "out" / form, to=form, name="../<x>\n\x1b[31m")
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(tmp_path / "out") for path in new)
    assert all("\x1b" not in path.read_text() for path in new if path.suffix in (".md", ".json", ".yaml", ".csv"))
    assert len(list((tmp_path / "out" / "nnunet").rglob("labels*/*.nii.gz"))) == 5


@pytest.mark.slow
def test_a_killed_export_leaves_nothing_or_all(tmp_path: Path) -> None:
    patients(tmp_path / "cohort", ["train"] * 200)
    command = [sys.executable, "-m", "synthoma", "export", "cohort", "--to", "nnunet", "-o", "out"]
    env = {**os.environ, "PYTHONPATH": str(Path(synthoma.__file__).parents[1])}
    for stop in (signal.SIGTERM, signal.SIGKILL):
        running = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while running.poll() is None and len(list(tmp_path.glob(".out.partial-*/*/imagesTr/*"))) < 20:
            time.sleep(0.01)
        running.send_signal(stop)
        assert running.wait() != 0
        assert not (tmp_path / "out").exists()
        assert bool(list(tmp_path.glob(".out.partial-*"))) == (stop == signal.SIGKILL)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert faults(tmp_path / "out") == []
    assert not list(tmp_path.glob(".out.*"))
