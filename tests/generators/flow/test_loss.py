from __future__ import annotations

import math

import pytest
import torch

from synthoma.generators.flow.loss import draw_times, point_on_path, velocity_loss


def test_points_on_a_path_by_hand() -> None:
    data, noise = torch.full((3, 1, 1, 2), 2.0), torch.tensor([-2.0, 6.0]).view(1, 1, 1, 2).expand(3, 1, 1, 2)
    points = point_on_path(data, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert points.flatten(1).tolist() == [[2.0, 2.0], [1.0, 3.0], [-2.0, 6.0]]


def test_the_loss_by_hand() -> None:
    data, noise = torch.tensor([1.0, -1.0]).view(1, 1, 1, 2), torch.tensor([3.0, 0.0]).view(1, 1, 1, 2)
    assert float(velocity_loss(torch.tensor([2.0, 1.0]).view(1, 1, 1, 2), data, noise)) == 0
    assert float(velocity_loss(torch.tensor([0.0, 4.0]).view(1, 1, 1, 2), data, noise)) == pytest.approx((4 + 9) / 2)


def test_the_target_is_the_velocity_of_the_path() -> None:
    draws = torch.Generator().manual_seed(0)
    data, noise = torch.randn(2, 1, 4, 4, generator=draws), torch.randn(2, 1, 4, 4, generator=draws)
    time = torch.tensor([0.2, 0.7])
    velocity = (point_on_path(data, noise, time + 0.125) - point_on_path(data, noise, time)) / 0.125
    assert float(velocity_loss(velocity, data, noise)) < 1e-9


def test_times_are_of_their_density() -> None:
    for density, quarter in (("uniform", 0.25), ("logit-normal", 1 / (1 + math.exp(0.6745)))):
        times = draw_times(density, 20_000, torch.Generator().manual_seed(0))
        assert times.shape == (20_000,)
        assert float(times.min()) >= 0
        assert float(times.max()) <= 1
        wanted = torch.tensor([quarter, 0.5, 1 - quarter])
        assert torch.allclose(times.quantile(torch.tensor([0.25, 0.5, 0.75])), wanted, atol=0.015)
        assert torch.equal(times, draw_times(density, 20_000, torch.Generator().manual_seed(0)))
