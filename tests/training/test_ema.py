from __future__ import annotations

import pytest
import torch
from torch import nn

from synthoma.training.ema import ema_decay, update_ema


def test_half_of_the_old_remains_after_a_half_life() -> None:
    decay = ema_decay(batch=10, images=1e9, half_life=500)
    assert decay ** (500 / 10) == pytest.approx(0.5)
    assert ema_decay(batch=500, images=1e9, half_life=500) == pytest.approx(0.5)


def test_the_half_life_grows_with_the_images_seen() -> None:
    # After 1,000 images the half-life is at most 50 of them.
    assert ema_decay(batch=50, images=1000, half_life=5000) == pytest.approx(0.5)
    decays = [ema_decay(16, images, 5000) for images in (0, 16, 1000, 50_000, 100_000, 1_000_000)]
    assert decays == sorted(decays)
    assert decays[0] < 1e-6
    assert decays[3] < decays[4] == decays[5]


def test_the_average_is_the_closed_form_and_buffers_are_copied() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    with torch.no_grad():
        average[0].weight.fill_(8.0)
        network[0].weight.fill_(0.0)
    network[1].running_mean.fill_(3.0)
    for _ in range(3):
        update_ema(average, network, 0.5)
    assert float(average[0].weight.detach()) == pytest.approx(1.0)
    assert float(average[1].running_mean) == 3.0
    assert float(network[0].weight.detach()) == 0.0


def test_no_decay_is_a_copy() -> None:
    network, average = nn.Linear(3, 3), nn.Linear(3, 3)
    update_ema(average, network, 0.0)
    assert torch.equal(average.weight, network.weight)
