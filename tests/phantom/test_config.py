"""Settings out of range are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from synthoma.core.errors import ConfigError
from synthoma.phantom import PhantomConfig


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("healthy", 1.2),
        ("high_grade", -0.1),
        ("volume_ml", 0.0),
        ("slice_mm", 20.0),
        ("slice_mm", (6.0, 3.0)),
        ("pixel_mm", 0.1),
        ("sites", 0),
        ("artefacts", 2.0),
        ("age", (80.0, 20.0)),
    ],
)
def test_value_out_of_range_names_the_setting(setting: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=setting):
        PhantomConfig(**{setting: value})


@pytest.mark.parametrize("modalities", [(), ("t1", "t1"), ("pet",)])
def test_modalities_are_known_and_different(modalities: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="modalities"):
        PhantomConfig(modalities=modalities)


def test_skull_is_one_of_three() -> None:
    with pytest.raises(ConfigError, match="stripped"):
        PhantomConfig.resolve(assignments=["skull=none"])


def test_a_single_slice_distance_is_a_range() -> None:
    assert PhantomConfig(slice_mm=4.0).slice_range == (4.0, 4.0)
