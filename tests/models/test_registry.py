from __future__ import annotations

import pytest
import torch

from synthoma.models.registry import NetworkConfig, as_seen


def test_a_discriminator_sees_images_as_they_are_unless_told_otherwise() -> None:
    planes = torch.rand(2, 3, 8, 8) * 2 - 1
    assert as_seen(NetworkConfig(), planes, 2) is planes


@pytest.mark.parametrize("gamma", [0.4, 0.5, 0.9])
def test_dark_values_are_spread_out_and_labels_are_not_touched(gamma: float) -> None:
    ramp = torch.linspace(-1, 1, 101).view(1, 1, 1, 101)
    marks = torch.where(ramp > 0, 1.0, -1.0)
    seen = as_seen(NetworkConfig(critic_gamma=gamma), torch.cat([ramp, marks], dim=1), 1)
    bent = seen[0, 0, 0]
    assert bent[0] == pytest.approx(-1, abs=1e-6)
    assert bent[-1] == pytest.approx(1, abs=1e-5)
    assert (bent.diff() > 0).all()
    assert bent[2] - bent[0] > 1.15 * (bent[-1] - bent[-3])
    assert torch.equal(seen[:, 1:], marks)


def test_black_has_a_finite_slope() -> None:
    images = torch.full((1, 1, 4, 4), -1.0, requires_grad=True)
    as_seen(NetworkConfig(critic_gamma=0.5), images, 1).sum().backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    assert (images.grad > 1).all()
