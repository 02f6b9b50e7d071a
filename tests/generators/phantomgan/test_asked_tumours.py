"""What is asked of the tumours of a phantom-gan reaches the simulation, and is refused where nothing is simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import synthoma
from synthoma.core.errors import ConfigError
from synthoma.generators.request import GenerateConfig
from synthoma.phantom import PhantomCohortConfig
from synthoma.pipeline import own_patients
from synthoma.training.bundle import shipped_model


class SimulationError(Exception):
    """Stands for the simulation, which takes a minute."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the simulation was told."""
    found: dict[str, Any] = {}

    def simulate(folder: object, config: PhantomCohortConfig, *_: object) -> None:
        found.update(config.phantom.model_dump())
        raise SimulationError

    monkeypatch.setattr(own_patients, "write_own_patients", simulate)
    return found


def test_size_lobe_and_side_are_simulated(told: dict[str, Any], tmp_path: Path) -> None:
    asked = GenerateConfig.resolve(flags={"tumour_ml": 20, "tumour_lobe": "temporal", "tumour_side": "left"})
    with pytest.raises(SimulationError):
        synthoma.generate(shipped_model("generator"), tmp_path / "c", 8, tumour=asked.tumour())
    assert {key: told[key] for key in ("volume_ml", "volume_spread", "lobe", "side")} == {
        "volume_ml": 20.0, "volume_spread": 0.0, "lobe": "temporal", "side": "left",
    }  # fmt: skip


def test_what_is_not_asked_is_as_it_was_learned(told: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SimulationError):
        synthoma.generate(shipped_model("generator"), tmp_path / "c", 8, tumour={"side": "right"})
    assert told["side"] == "right"
    assert told["lobe"] is None


def test_patients_that_are_there_already_have_the_tumours_they_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="whose patients are there already"):
        synthoma.generate(
            shipped_model("generator"), tmp_path / "c", 8, phantom=tmp_path / "phantom", tumour={"side": "left"}
        )
