from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from synthoma.core.errors import ConfigError, InputError
from synthoma.training.device import Execution, calibrate, choose_device, read_execution


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="--device auto"):
        choose_device("cuda")


def test_an_apple_gpu_is_used_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="expected a device mps; came none"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == "mps"
    assert choose_device("auto") == "cpu"
    execution = calibrate("mps", "anything", lambda execution: None, bf16=True)
    assert (execution.device, execution.channels_last, execution.bf16) == ("mps", False, False)


def test_the_choice_is_made_once(cache: Path) -> None:
    tried: list[Execution] = []
    first = calibrate("cpu", "model", tried.append)
    count = len(tried)
    assert count >= 5
    assert first in tried
    assert calibrate("cpu", "model", tried.append) == first
    assert len(tried) == count
    calibrate("cpu", "another model", tried.append)
    assert len(tried) == 2 * count
    assert len(list(cache.rglob("*.json"))) == 2


def test_a_damaged_memory_is_measured_again_and_what_a_run_was_begun_with_is_not(cache: Path) -> None:
    tried: list[Execution] = []
    calibrate("cpu", "model", tried.append)
    (file,) = cache.rglob("*.json")
    count = len(tried)
    for content in ("", "[]", '{"device": "cpu"}', '{"device": "cpu", "threads": "x", "channels_last": 0, "bf16": 0}'):
        file.write_text(content)
        with pytest.raises(InputError):
            read_execution(file)
    calibrate("cpu", "model", tried.append)
    assert len(tried) == 2 * count
    assert json.loads(file.read_text())["for"].startswith("model | ")


def test_no_place_to_remember_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert calibrate("cpu", "model", lambda execution: None).device == "cpu"
