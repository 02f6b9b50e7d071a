"""What an editor and help() know of the functions is what the settings say."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

import synthoma
from synthoma.core.config import Config
from synthoma.pipeline import keywords
from tests.toys import blobs

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import keywords as maker


def test_keywords_are_made_from_the_settings() -> None:
    assert maker.PLACE.read_text(encoding="utf-8") == maker.text(), "run python tools/keywords.py"


@pytest.mark.parametrize(("name", "kind"), maker.KINDS.items())
def test_every_setting_completes(name: str, kind: type[Config]) -> None:
    shown = inspect.signature(getattr(synthoma, name)).parameters
    assert set(kind.model_fields) <= set(shown)
    assert not [one for one in shown.values() if one.kind is inspect.Parameter.VAR_KEYWORD]
    usual = kind()
    for field in kind.model_fields:
        if field not in ("seed", "config"):
            assert shown[field].default == getattr(usual, field) or kind.model_fields[field].default is None, field
    assert set(get_type_hints(getattr(keywords, maker.class_name(name)))) == set(kind.model_fields)


@pytest.mark.slow
def test_a_default_that_is_shown_is_not_given(tmp_path: Path) -> None:
    """Or auto and recipes, which leave alone what somebody gave, could change nothing."""
    images, masks = blobs(24, size=32)
    masks[::2] = 0
    run = synthoma.train(synthoma.Cohort.from_arrays(images, masks), tmp_path / "run", model="cnn", images=8)
    assert run.settings.given() == {"model", "images"}


def test_dir_is_complete() -> None:
    assert set(dir(synthoma)) >= {"Cohort", "Evaluation", "Findings", "Run", "prepare", "train", "generate", "evaluate",
                                  "detect", "chain", "demo"}  # fmt: skip
    for name in dir(synthoma):
        assert getattr(synthoma, name) is not None
        if callable(getattr(synthoma, name)):
            assert inspect.getdoc(getattr(synthoma, name)), name
