from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from synthoma.core.errors import ConfigError
from synthoma.generators.families import build_discriminator, build_generator, gan_summary
from synthoma.generators.gan.dcgan import Generator
from synthoma.generators.gan.residual import (
    GrowingBlock,
    ResidualDiscriminator,
    ResidualGenerator,
    ShrinkingBlock,
    SkipExcitation,
)
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape
from synthoma.metrics.spectrum import checkerboard_peak
from synthoma.training.layers import total

SMALL = NetworkConfig(network="residual", width=8, critic_width=8, latent=6)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
def test_every_size_and_number_of_channels(size: int, channels: int) -> None:
    shape = ImageShape(size, channels, labels=channels - 1, classes=2)
    label = torch.tensor([0, 1])
    with torch.no_grad():
        images = build_generator(SMALL, shape)(torch.randn(2, 6), label)
        discriminator = build_discriminator(SMALL, shape)
        scores = discriminator(images, label)
        features = discriminator.features(images)
    assert images.shape == (2, 2 * channels - 1, size, size)
    assert scores.shape == (2,)
    assert features.shape[2:] == (4, 4)
    assert discriminator.embedding is not None
    assert features.shape[1] == discriminator.embedding.weight.shape[1]


@pytest.mark.parametrize("size", [8, 48, 130])
def test_impossible_sizes_are_refused_with_advice(size: int) -> None:
    for build in (build_generator, build_discriminator):
        with pytest.raises(ConfigError, match=rf"came {size}; prepare the cohort with --size"):
            build(SMALL, ImageShape(size, 1))


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 128])
def test_new_networks_keep_the_scale_however_deep(size: int) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        generator = ResidualGenerator(size, 1)
        images = generator(torch.randn(16, 100))
        scores = ResidualDiscriminator(size, 1)(torch.randn(8, 1, size, size))
        bounded = generator.eval()(torch.randn(16, 100) * 50)
    assert 0.1 < float(images.std()) < 1.0
    assert float(bounded.abs().max()) == 1
    assert 0.001 < float(scores.std()) < 5


def test_images_are_cut_but_pixels_beyond_the_range_keep_their_gradient() -> None:
    torch.manual_seed(0)
    generator = ResidualGenerator(16, 1, 6, 8)
    nn.init.constant_(generator.head.bias, -4.0)  # as black as no pixel of a scan
    latent = torch.randn(4, 6)
    images = generator(latent)
    assert -1.5 < float(images.detach().mean()) < -1.1
    images.sum().backward()
    assert generator.stem.weight.grad is not None
    assert float(generator.stem.weight.grad.abs().max()) > 1e-3
    assert torch.equal(generator.eval()(latent), torch.full_like(images, -1.0))


def test_a_new_block_is_what_goes_past_its_branch() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 4, 8, 8)
    grown, shrunk = GrowingBlock(4, 4)(maps), ShrinkingBlock(4, 4)(maps)
    assert torch.allclose(grown, F.interpolate(maps, scale_factor=2, mode="bilinear"), atol=1e-6)
    assert torch.allclose(shrunk, maps.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5)), atol=1e-6)


def test_the_branches_learn_from_the_first_step_on() -> None:
    torch.manual_seed(0)
    for block in (GrowingBlock(8, 4), ShrinkingBlock(4, 8)):
        block(torch.randn(2, block.first.in_channels, 8, 8)).square().sum().backward()
        assert block.second.weight.grad is not None
        assert float(block.second.weight.grad.abs().max()) > 0


def test_no_layer_ties_the_images_of_a_batch_together() -> None:
    torch.manual_seed(0)
    generator, discriminator = ResidualGenerator(16, 1, 6, 8), ResidualDiscriminator(16, 1, 8)
    for network in (generator, discriminator):
        for parameter in network.parameters():
            nn.init.normal_(parameter, 0, 0.2)
    with torch.no_grad():
        latent = torch.randn(4, 6)
        images = generator(latent)
        assert torch.allclose(images[:1], generator(latent[:1]), atol=1e-5)
        assert torch.allclose(discriminator(images)[:1], discriminator(images[:1]), atol=1e-4)
        alike = ResidualDiscriminator(16, 1, 8, minibatch_deviation=True)
        twins = alike(torch.cat([images[:1]] * 4))
        assert not torch.allclose(alike(images)[0], twins[0], atol=1e-5)


def test_excitation_scales_large_maps_by_what_the_small_ones_show() -> None:
    torch.manual_seed(0)
    excitation = SkipExcitation(6, 4)
    small, large = torch.randn(2, 6, 8, 8), torch.randn(2, 4, 64, 64)
    assert torch.equal(excitation(small, large), large)  # untrained: factors of 1
    nn.init.normal_(excitation.second.weight)
    with torch.no_grad():
        factors = excitation(small, torch.ones(2, 4, 64, 64))
    assert torch.equal(factors, factors[:, :, :1, :1].expand_as(large))
    assert float(factors.min()) > 0
    assert float(factors.max()) < 2
    assert not torch.allclose(factors[0], factors[1], atol=1e-2)


def test_excitation_reaches_from_eight_times_smaller_maps() -> None:
    torch.manual_seed(0)
    excited = NetworkConfig(network="residual", width=8, latent=6, excitation=True)
    for size, gates in ((16, 0), (32, 1), (64, 2), (128, 3)):
        plain = build_generator(SMALL, ImageShape(size, 1))
        generator = build_generator(excited, ImageShape(size, 1))
        assert isinstance(generator, ResidualGenerator)
        assert len(generator.excitations) == gates
        latent = torch.randn(2, 6)
        generator.load_state_dict(plain.state_dict(), strict=False)
        assert torch.equal(generator(latent), plain(latent))
        for gate in generator.excitations:
            nn.init.normal_(gate.second.weight)
        assert torch.equal(generator(latent), plain(latent)) == (gates == 0)


@pytest.mark.parametrize("size", [32, 64])
def test_a_new_generator_draws_no_checkerboard_where_transposed_convolutions_do(size: int) -> None:
    peaks = {}
    for generator in (ResidualGenerator(size, 1), Generator(size, 1)):
        torch.manual_seed(0)
        for parameter in generator.parameters():
            if parameter.dim() == 4:  # branches too, as if they had learned
                nn.init.normal_(parameter, 0, parameter[0].numel() ** -0.5)
        with torch.no_grad():
            images = generator(torch.randn(32, 100))[:, 0].numpy()
        scaled = (images - images.min()) / (images.max() - images.min())
        peaks[type(generator)] = float(checkerboard_peak(scaled).mean())
    assert peaks[ResidualGenerator] < 0.7  # white noise has 0.2: the largest of three ratios
    assert peaks[Generator] > 1.2


def test_the_class_matters_to_both_networks() -> None:
    torch.manual_seed(0)
    generator, discriminator = ResidualGenerator(16, 1, 6, 8, 3), ResidualDiscriminator(16, 1, 8, 3)
    images = torch.rand(1, 1, 16, 16).expand(3, 1, 16, 16)
    with torch.no_grad():
        drawn = generator(torch.randn(1, 6).expand(3, 6), torch.arange(3))
        assert (drawn[0] - drawn[1]).abs().max() > 1e-3
        assert torch.allclose(*discriminator(images, torch.arange(3))[:2])  # a class means nothing yet
        assert discriminator.embedding is not None
        nn.init.normal_(discriminator.embedding.weight)
        difference = discriminator(images, torch.tensor([1, 1, 1])) - discriminator(images, torch.tensor([0, 0, 0]))
        direction = discriminator.embedding.weight[1] - discriminator.embedding.weight[0]
        expected = discriminator.features(images).sum(dim=(2, 3)) @ direction
    assert torch.allclose(difference, expected, atol=1e-4)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_summary_counts_every_parameter(classes: int) -> None:
    shape = ImageShape(32, 2, labels=1, classes=classes)
    tables = gan_summary(SMALL, shape)
    for name, build in (("generator", build_generator), ("discriminator", build_discriminator)):
        assert total(tables[name]) == sum(parameter.numel() for parameter in build(SMALL, shape).parameters())
