from __future__ import annotations

import pytest
import torch

from synthoma.core.errors import ConfigError
from synthoma.generators.families import build_discriminator
from synthoma.generators.gan.patches import PatchDiscriminator
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape


def test_a_piece_sees_38_pixels_and_no_more() -> None:
    torch.manual_seed(0)
    critic = PatchDiscriminator(1, 8, spectral=False)
    image = torch.randn(1, 1, 128, 128, requires_grad=True)
    logits = critic(image).view(16, 16)
    (seen,) = torch.autograd.grad(logits[8, 8], image)
    rows = seen[0, 0].abs().sum(dim=1).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == 38
    assert critic.features(image).shape == (1, 32, 16, 16)


def test_spectral_normalisation_bounds_what_a_change_can_do() -> None:
    torch.manual_seed(0)
    for spectral, bounded in ((True, True), (False, False)):
        critic = PatchDiscriminator(2, 8, spectral=spectral)
        with torch.no_grad():
            for name, weight in critic.layers[0].named_parameters():
                if "weight" in name or "original" in name:
                    weight.mul_(100)
            critic(torch.randn(2, 2, 32, 32))  # the estimate of the norm is up to date
            steps = torch.randn(8, 2, 32, 32)
            change = critic.layers[0](steps) - critic.layers[0](torch.zeros_like(steps))
        assert (float(change.norm() / steps.norm()) < 4) == bounded


def test_pieces_are_a_setting_and_know_no_classes() -> None:
    config = NetworkConfig(critic_patches=True, critic_width=8)
    critic = build_discriminator(config, ImageShape(64, 1, labels=1))
    assert critic(torch.zeros(3, 2, 64, 64)).shape == (3, 64)
    with pytest.raises(ConfigError, match="no classes for a discriminator of pieces"):
        build_discriminator(config, ImageShape(64, 1, classes=2))
