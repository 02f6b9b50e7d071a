"""Which settings of a run were given, decided or left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthoma.commands.info import run
from synthoma.pipeline import describe
from synthoma.settings import TrainConfig


def begun(folder: Path, text: str) -> Path:
    """A run that was begun with these settings."""
    (folder / "config.toml").write_text(text)
    (folder / "run.json").write_text('{"model": "dcgan"}')
    return folder


def test_a_run_tells_what_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = TrainConfig.resolve(assignments=["gan.width=48"], flags={"model": "dcgan", "images": 64})
    told = describe(begun(tmp_path, asked.to_toml()))["settings"]
    assert told["given"] == {"model": "dcgan", "images": 64, "gan.width": 48}
    assert told["decided"] == {}
    assert told["default"]["gan.generator_rate"] == 1e-3
    run(tmp_path)
    said = capsys.readouterr().out
    assert "    gan.width: 48" in said
    assert "more (--json shows all)" in said


def test_a_run_tells_what_auto_decided(tmp_path: Path) -> None:
    asked = TrainConfig.resolve(flags={"model": "auto", "minutes": 5})
    chosen = {**asked.model_dump(exclude={"gan", "segmenter", "classifier"}), "model": "dcgan", "with_masks": True}
    plan = TrainConfig.model_validate({**chosen, "gan": {"batch": 64}, "reasons": ("a GPU",)}).beside(asked)
    told = describe(begun(tmp_path, plan.to_toml()))["settings"]
    assert told["given"] == {"minutes": 5.0}
    assert told["decided"] == {"model": "dcgan", "with_masks": True, "gan.batch": 64, "reasons": ["a GPU"]}
    assert TrainConfig.resolve(tmp_path / "config.toml") == plan
    assert TrainConfig.resolve(tmp_path / "config.toml").origins() == plan.origins()


def test_what_an_earlier_version_wrote_is_not_told_apart(tmp_path: Path) -> None:
    assert "settings" not in describe(begun(tmp_path, 'model = "dcgan"\nminutes = 10.0\n'))
