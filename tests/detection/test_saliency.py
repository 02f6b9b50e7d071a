"""What the network looked at, on networks whose answer depends on a known place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from synthoma.cohorts.framing import resize_mask
from synthoma.cohorts.squares import frame, to_squares
from synthoma.core.types import MODALITIES
from synthoma.detection.detector import Detector
from synthoma.detection.saliency import activation_map, decoder_layer, gradient_saliency
from synthoma.detectors.segmenters.chances import slice_probabilities
from synthoma.phantom import PhantomConfig, simulate
from synthoma.training.bundle import shipped_model
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


class Decodes(nn.Module):
    """Halves twice and doubles twice: what speaks for tumour at the middle level is known."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.AvgPool2d(2), nn.AvgPool2d(2)])
        self.up = nn.ModuleList([nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2)])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        fine = self.down[0](images[:, :1])
        middle = self.up[0](self.down[1](fine)) + fine
        return self.up[1](middle) - 0.5


def test_the_map_shows_what_spoke_for_the_outlined_pixels(write_model: WriteModel) -> None:
    """Of two places of one brightness, one above what counts as tumour, only that one is warm."""
    detector = replace(Detector.open(write_model(modalities=("t1", "flair"))), network=Decodes())
    pixels = np.zeros((3, 2, 32, 32), np.float32)
    pixels[1, 0, 8:16, 16:24] = 1.0
    pixels[1, 0, 24:28, 0:4] = 0.2  # not outlined: 2 x 0.2 < 0.5
    assert decoder_layer(detector.network, torch.zeros(1, 2, 32, 32)) is detector.network.up[0]
    heat = activation_map(detector, pixels, 1)
    assert heat.shape == (32, 32)
    assert heat.max() == 1
    assert heat[8:16, 16:24].min() > 0.3
    assert heat[22:30, 0:6].max() == 0


def test_where_nothing_is_outlined_the_likeliest_place_is_asked(write_model: WriteModel) -> None:
    detector = replace(Detector.open(write_model(modalities=("t1", "flair"))), network=Decodes())
    pixels = np.zeros((3, 2, 32, 32), np.float32)
    pixels[1, 0, 24:28, 0:4] = 0.2
    heat = activation_map(detector, pixels, 1)
    assert np.unravel_index(heat.argmax(), heat.shape)[0] in range(24, 28)


@pytest.mark.slow
def test_most_of_the_heat_lies_in_the_tumour() -> None:
    """The model inside the package on simulated patients whom it never saw, in the slice that it is surest of."""
    detector = Detector.open(shipped_model())
    inside = []
    for index, sequences in enumerate([("flair",), MODALITIES]):
        study = simulate(77, index, PhantomConfig(slice_mm=6.0, modalities=sequences)).study
        framing = frame(study, detector.modalities, size=detector.shape.size)
        pixels, truth = to_squares(framing), framing.mask
        assert truth is not None
        chances = slice_probabilities(detector.probabilities(pixels, framing.step_mm)[:, 0])
        z = int(chances.argmax())
        ill = resize_mask((truth[z] > 0).astype(np.uint8), framing.fit) > 0
        heat = activation_map(detector, pixels, z, framing.step_mm)
        assert ill[np.unravel_index(heat.argmax(), heat.shape)], "the warmest pixel is tumour"
        inside.append(heat[ill].sum() / heat.sum())
    assert min(inside) > 0.5


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
