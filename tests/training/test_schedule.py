"""Learning rates: up and down, or down where a score no longer falls."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from synthoma.training.bundle import Bundle
from synthoma.training.schedule import Plateau


def plateau(patience: int = 3, **changes: float) -> tuple[Plateau, torch.optim.Optimizer]:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    settings = {"factor": 0.2, "delta": 1e-4, "least": 0.0, **changes}
    return Plateau(optimiser, patience=patience, **settings), optimiser  # type: ignore[arg-type]


def rates(scores: list[float], patience: int = 3, **changes: float) -> list[float]:
    """The rate after each snapshot."""
    seen, optimiser = plateau(patience, **changes)
    found = []
    for score in scores:
        seen.see(score)
        found.append(optimiser.param_groups[0]["lr"])
    return found


def test_a_flat_score_lowers_the_rate_after_patience_snapshots() -> None:
    assert rates([0.5] * 8) == pytest.approx([1, 1, 1, 0.2, 0.2, 0.2, 0.04, 0.04])
    assert rates([0.5] * 3, patience=1) == pytest.approx([1, 0.2, 0.04])


def test_a_falling_score_does_not() -> None:
    assert rates([0.5 - 0.01 * number for number in range(20)]) == [1.0] * 20


def test_a_score_that_falls_by_less_than_delta_does_not_count() -> None:
    assert rates([0.5, 0.49995, 0.4999, 0.49985], delta=1e-3)[-1] == pytest.approx(0.2)
    assert rates([0.5, 0.49995, 0.4999, 0.49985], delta=0.0)[-1] == 1.0


def test_the_rate_does_not_fall_below_the_least_and_no_score_counts_neither_way() -> None:
    assert rates([0.5] * 40, least=0.05)[-1] == pytest.approx(0.05)
    assert rates([0.5, float("nan"), float("nan"), float("nan"), 0.5, 0.5]) == [1.0] * 6


def test_what_was_seen_goes_on_from_a_checkpoint() -> None:
    whole = rates([0.5, 0.6, 0.55, 0.7, 0.7, 0.7, 0.7])
    first, _ = plateau()
    for score in (0.5, 0.6, 0.55, 0.7, 0.7):
        first.see(score)
    second, optimiser = plateau()
    second.restore("p", Bundle({}, first.state("p"), "", path=Path("x")))
    assert optimiser.param_groups[0]["lr"] == whole[4]
    found = []
    for score in (0.7, 0.7):
        second.see(score)
        found.append(optimiser.param_groups[0]["lr"])
    assert found == whole[5:]
