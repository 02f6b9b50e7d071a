from __future__ import annotations

from pathlib import Path

import pytest

from synthoma.config import Config
from synthoma.data.settings import PrepareConfig
from synthoma.errors import ConfigError


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
        most: int | None = None
        deep: Innermost = Innermost()

    class Outer(Config):
        inner: Inner = Inner()
        size: int = 3  # after a table, but not part of it

    assert Outer().to_toml().splitlines() == [
        "size = 3",
        "",
        "[inner]",
        'name = "x"',
        "# most = (decided from the input)",
        "",
        "[inner.deep]",
        "# low = (decided from the input)",
    ]
