from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from synthoma.cohorts.settings import PrepareConfig
from synthoma.core.config import Config
from synthoma.core.errors import ConfigError, SynthomaError
from synthoma.core.fields import said
from synthoma.core.toml import parsed, toml_value
from synthoma.detection.settings import DetectConfig
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.phantom import PhantomCohortConfig
from synthoma.settings import TrainConfig


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('size = 64\nplane = "coronal"\nevery = 2\n')
    config = PrepareConfig.resolve(file, ["size=96", "every = 3"], {"every": 5, "plane": None})
    assert (config.size, config.plane, config.every) == (96, "coronal", 5)


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'modalities'"):
        PrepareConfig.resolve(assignments=["modalitys=flair"])


@pytest.mark.parametrize(
    "bad", ["size=8", "size=large", "plane=diagonal", "folds=1", "modalities=t1,t9", "split=[1,0]"]
)
def test_values_out_of_range_are_refused(bad: str) -> None:
    with pytest.raises(ConfigError, match=bad.split("=")[0]):
        PrepareConfig.resolve(assignments=[bad])


@pytest.mark.parametrize("text", ["size", "=3"])
def test_assignment_needs_key_and_value(text: str) -> None:
    with pytest.raises(ConfigError, match="key=value"):
        PrepareConfig.resolve(assignments=[text])


def test_broken_and_missing_files_are_errors(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("size = = 3")
    for name in ("broken.toml", "absent.toml"):
        with pytest.raises(ConfigError, match=name):
            PrepareConfig.resolve(tmp_path / name)


def test_printed_settings_read_back(tmp_path: Path) -> None:
    config = PrepareConfig.resolve(assignments=["modalities=t1,flair", "split=[0.5,0.25,0.25]", "crop=false"])
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml())
    assert PrepareConfig.resolve(file) == config


def test_nested_keys_and_text_with_quotes_survive() -> None:
    class Inner(Config):
        name: str = "x"

    class Outer(Config):
        inner: Inner = Inner()

    import tomllib

    outer = Outer.resolve(assignments=['inner.name="a \\"b\\" \\\\ c"'])
    assert outer.inner.name == 'a "b" \\ c'
    assert Outer.model_validate(tomllib.loads(outer.to_toml())) == outer


def test_what_is_nested_stands_in_tables_and_what_is_undecided_in_comments() -> None:
    class Innermost(Config):
        low: float | None = None

    class Inner(Config):
        name: str = "x"
        most: int | None = Field(None, description="no more than this", json_schema_extra=said(unset="all"))
        deep: Innermost = Innermost()

    class Outer(Config):
        inner: Inner = Inner()
        size: int = 3  # after a table, but not part of it

    assert Outer().to_toml().splitlines() == [
        "size = 3  # default",
        "",
        "[inner]",
        'name = "x"  # default',
        "# most = (not set: all; no more than this)",
        "",
        "[inner.deep]",
        "# low = (not set)",
    ]


ABSURD = [
    "inf",
    "-inf",
    "nan",
    "1e999",
    "-1",
    "0",
    "99999999999999999999",
    "1e30",
    "1e-320",
    "0x10",
    "",
    "[[[[",
    "{a=1}",
]


@pytest.mark.parametrize("kind", [PrepareConfig, PhantomCohortConfig, TrainConfig, EvaluateConfig, DetectConfig])
@pytest.mark.parametrize("value", ABSURD)
def test_absurd_values_are_taken_or_refused_in_one_sentence(kind: type[Config], value: str) -> None:
    """Whatever stands behind ``--set``: never another error, and never a number that is none."""
    for name, field in kind.model_fields.items():
        inner = field.annotation
        below = inner.model_fields if isinstance(inner, type) and issubclass(inner, Config) else ()
        for key in (name, *(f"{name}.{sub}" for sub in below)):
            try:
                settings = kind.resolve(assignments=[f"{key}={value}"])
            except SynthomaError:
                pass
            else:
                assert not re.search(r"(= |\[|, )[+-]?(inf|nan)\b", settings.to_toml()), key


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 20_000 + "]" * 20_000, "a" + ".a" * 4_000 + " = 1", "size = " + "9" * 5000, "\0", "size = [1"],
)
def test_a_settings_file_without_end_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(ConfigError):
        PrepareConfig.resolve(tmp_path / "own.toml")


def test_a_file_tells_what_was_given_and_remembers_it(tmp_path: Path) -> None:
    config = PhantomCohortConfig.resolve(assignments=["phantom.sites=3"], flags={"size": 128})
    assert config.given() == {"size", "phantom.sites"}  # though 128 is the default
    text = config.to_toml()
    assert "size = 128\n" in text
    assert 'plane = "axial"  # default\n' in text
    (tmp_path / "own.toml").write_text(text.replace('plane = "axial"  #', 'plane = "coronal"  #'))
    again = PhantomCohortConfig.resolve(tmp_path / "own.toml", flags={"every": 2})
    assert again.given() == {"size", "phantom.sites", "plane", "every"}  # what was edited is no default any more
    assert again.plane == "coronal"


def test_changes_of_the_program_are_not_those_of_the_user() -> None:
    config = TrainConfig.resolve(assignments=["gan.width=48"], flags={"model": "dcgan"})
    assert config.given() == {"model", "gan.width"}
    assert config.model_copy(update={"minutes": 10.0}).given() == {"model", "gan.width"}
    assert config.origins()["gan.generator_rate"] == "default"  # the model's own


def test_a_text_that_looks_like_a_mark_is_none(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('convention = "a  # default"\n')
    assert PrepareConfig.resolve(tmp_path / "own.toml").given() == {"convention"}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_comes_back_from_toml(text: str) -> None:
    assert parsed(f"x = {toml_value(text)}", None) == {"x": text}
