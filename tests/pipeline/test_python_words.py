"""Errors name arguments where Python calls, and options where a command runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import synthoma
from synthoma.commands.app import main
from synthoma.core.errors import ConfigError, InputError
from synthoma.pipeline.python_words import python_words
from tests.toys import blobs


@pytest.mark.parametrize(
    ("option", "argument"),
    [
        ("replace it with --force, or choose another name", "replace it with force=True, or choose another name"),
        ("prepare with --size 64", "prepare with size=64"),
        ("with --split 0.5,0.25,0.25 and --force", "with split=(0.5, 0.25, 0.25) and force=True"),
        ("prepare it with --normalise robust.", 'prepare it with normalise="robust".'),
        ("use lower rates (--set gan.generator_rate=5e-5)", 'use lower rates (gan={"generator_rate": 5e-5})'),
        ("give --phantom COHORT", "give phantom=COHORT"),
        ("add --with cohorts.", "add extra cohorts."),
        ("a class of the model (--class)", "a class of the model (label)"),
        ("--with-masks or --conditional", "with_masks=True or conditional=True"),
        ("run `synthoma train c -o r --resume` with --force", "run `synthoma train c -o r --resume` with force=True"),
        ("a -- dash, --- and 3--4", "a -- dash, --- and 3--4"),
    ],
)  # fmt: skip
def test_options_become_arguments(option: str, argument: str) -> None:
    assert python_words(option, ("label",)) == argument


def test_an_option_of_several_commands_is_that_of_the_one_that_was_called() -> None:
    assert python_words("see --class", ("classes", "images")) == "see classes"
    assert python_words("see --class", ("label",)) == "see label"


def test_python_is_told_arguments_and_the_shell_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images, masks = blobs(24, size=16)
    masks[::2] = 0
    cohort = synthoma.Cohort.from_arrays(images, masks, output=tmp_path / "cohort")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(InputError, match="continue it with resume=True, replace it with force=True") as caught:
        synthoma.train(cohort, tmp_path / "run", model="dcgan", images=8)
    assert "--" not in str(caught.value)
    monkeypatch.setattr(
        sys, "argv", ["synthoma", "train", str(cohort.path), "-o", str(tmp_path / "run"), "--model", "dcgan"]
    )
    with pytest.raises(SystemExit):
        main()
    assert "continue it with --resume, replace it with --force" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="size=32"):
        synthoma.train(cohort, tmp_path / "other", model="cnn", images=8)
