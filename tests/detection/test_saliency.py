"""What the network looked at, on networks whose answer depends on a known place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from synthoma.detection.detector import Detector
from synthoma.detection.saliency import activation_map, deepest_layer, gradient_saliency
from synthoma.models.segmenters import ResidualUNet
from tests.detection.conftest import WriteModel


class Looks(nn.Module):
    """Its logit is the image times a window, so only the window matters."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(2, 1, 8, stride=8)
        self.fine = nn.Conv2d(2, 1, 3, padding=1)
        nn.init.constant_(self.coarse.weight, 1.0)
        nn.init.constant_(self.fine.weight, 0.0)
        nn.init.zeros_(self.coarse.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        window = torch.zeros(32, 32)
        window[8:16, 16:24] = 1.0
        wide = nn.functional.interpolate(self.coarse(images), scale_factor=8.0)
        return self.fine(images) + wide * window


def test_known_places_are_found(write_model: WriteModel) -> None:
    run = write_model(modalities=("t1", "flair"))
    detector = replace(Detector.open(run), network=Looks())
    pixels = np.full((3, 2, 32, 32), 0.5, np.float32)
    heat = gradient_saliency(detector, pixels, 1)
    expected = np.zeros((32, 32))
    expected[8:16, 16:24] = 1
    np.testing.assert_allclose(heat, expected)
    assert deepest_layer(detector.network, torch.zeros(1, 2, 32, 32)) is detector.network.coarse
    heat = activation_map(detector, pixels, 1)
    assert heat.shape == (32, 32)
    assert heat.max() == 1


@pytest.mark.parametrize("network", ["unet-25d", "resunet-seed", "resunet", "segresnet", "critic-unet"])
def test_every_network_can_be_asked(network: str, write_model: WriteModel) -> None:
    context = 3 if network == "unet-25d" else 1
    detector = Detector.open(write_model(network={"network": network, "context": context, "width": 8}))
    pixels = np.random.default_rng(0).random((4, 1, 32, 32), dtype=np.float32)
    for heat in (gradient_saliency(detector, pixels, 2), activation_map(detector, pixels, 2)):
        assert heat.shape == (32, 32)
        assert heat.dtype == np.float32
        assert 0 <= heat.min() <= heat.max() <= 1
    assert gradient_saliency(detector, pixels, 2).max() == pytest.approx(1)
    if isinstance(detector.network, ResidualUNet):
        assert deepest_layer(detector.network, torch.zeros(1, 3, 32, 32)) is detector.network.down[-1]
