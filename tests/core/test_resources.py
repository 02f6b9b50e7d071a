"""What a machine cannot hold is refused before it begins, in words."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from synthoma.core.errors import InputError, OutputError
from synthoma.core.resources import Needs, check_disk, check_memory, in_words, total_memory
from synthoma.training.estimate import COPIES, HELD, PROCESS, SAVED, SHEETS, training_needs
from synthoma.training.layers import layers_of


class Usage(NamedTuple):
    """What the operating system says of a disk."""

    total: int
    used: int
    free: int


def test_memory_of_a_network_is_counted_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 64, 2))
    rows = {"network": layers_of(network, torch.zeros(1, 1, 8, 8))}
    found = training_needs(rows, batch=10, keep=2, seconds=60)
    weights = 4 * (4 * 9 + 4 + 256 * 2 + 2)
    given = 4 * 10 * (4 * 64 + 256 + 2)
    assert found.memory == PROCESS + COPIES * weights + HELD * given
    assert found.disk == 3 * SAVED * weights + 2 * weights + SHEETS


def test_too_little_memory_is_told() -> None:
    check_memory(1e9, "this", "nothing", total=2e9)
    with pytest.raises(InputError, match=r"expected 3\.0 GB of memory for this training; came 2\.0 GB; use less"):
        check_memory(3e9, "this training", "use less", total=2e9)
    assert 1e8 < total_memory() < 1e14


def test_too_small_a_disk_is_told_before_anything_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(10**9, 9 * 10**8, 10**8))
    check_disk(8e7, tmp_path / "a" / "b", "it", "nothing")
    with pytest.raises(OutputError, match="110 MB of disk for it; came 100 MB free in"):
        check_disk(1e8, tmp_path / "a" / "b", "it", "make room")


def test_a_machine_that_does_not_say_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sysconf")
    monkeypatch.setattr("synthoma.core.resources._LIMITS", ())
    check_memory(1e18, "this", "nothing")


def test_needs_in_words() -> None:
    assert Needs(1.23e9, 4.5e7, 600).text() == "about 1.2 GB of memory, 45 MB of disk, 10 minutes"
    assert Needs(2e8, 2e3).text() == "about 200 MB of memory, 1 MB of disk"
    assert (in_words(9.6e8), Needs(1, 1, 45).text().split(", ")[-1]) == ("1.0 GB", "45 seconds")
