from __future__ import annotations

import pytest
import torch
from torch import nn

from synthoma.core.errors import ConfigError
from synthoma.generators.families import build_discriminator, build_generator, gan_summary
from synthoma.generators.gan.dcgan import Discriminator, SeedDiscriminator, SeedGenerator, batch_deviation
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape
from synthoma.training.layers import total


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def small(network: str = "dcgan", **settings: object) -> NetworkConfig:
    return NetworkConfig(network=network, width=4, critic_width=4, latent=6, **settings)


def test_the_seed_networks_have_the_parameters_that_were_published() -> None:
    generator, discriminator = SeedGenerator(128), SeedDiscriminator(128)
    assert parameters(generator) == 27_265_281
    assert parameters(discriminator) == 582_785
    with torch.no_grad():
        images = generator(torch.randn(1, 100))
        assert images.shape == (1, 1, 128, 128)
        assert discriminator(images).shape == (1,)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
def test_every_size_and_number_of_channels(size: int, channels: int) -> None:
    shape = ImageShape(size, channels, labels=channels - 1, classes=2)
    label = torch.tensor([0, 1])
    with torch.no_grad():
        images = build_generator(small(), shape)(torch.randn(2, 6), label)
        scores = build_discriminator(small(), shape)(images, label)
    assert images.shape == (2, 2 * channels - 1, size, size)
    assert images.abs().max() <= 1
    assert scores.shape == (2,)


@pytest.mark.parametrize("size", [16, 20, 28, 36, 64])
def test_the_seed_networks_at_every_multiple_of_four(size: int) -> None:
    shape = ImageShape(size, 1, classes=2)
    label = torch.tensor([0, 1])
    with torch.no_grad():
        images = build_generator(small("seed"), shape)(torch.randn(2, 6), label)
        assert images.shape == (2, 1, size, size)
        assert build_discriminator(small("seed"), shape)(images, label).shape == (2,)


@pytest.mark.parametrize(
    ("network", "size"), [("dcgan", 8), ("dcgan", 48), ("dcgan", 130), ("seed", 12), ("seed", 30), ("seed", 129)]
)
def test_impossible_sizes_are_refused_with_advice(network: str, size: int) -> None:
    for build in (build_generator, build_discriminator):
        with pytest.raises(ConfigError, match=rf"came {size}; prepare the cohort with --size"):
            build(small(network), ImageShape(size, 1))


@pytest.mark.parametrize("network", ["dcgan", "seed"])
def test_the_class_matters_to_both_networks(network: str) -> None:
    torch.manual_seed(0)
    shape = ImageShape(16, 1, classes=3)
    generator, discriminator = build_generator(small(network), shape), build_discriminator(small(network), shape)
    nn.init.normal_(discriminator.embedding.weight)
    generator, discriminator = generator.eval(), discriminator.eval()
    latent, images = torch.randn(1, 6).expand(3, 6), torch.rand(1, 1, 16, 16).expand(3, 1, 16, 16)
    with torch.no_grad():
        drawn, scores = generator(latent, torch.arange(3)), discriminator(images, torch.arange(3))
    assert (drawn[0] - drawn[1]).abs().max() > 1e-4
    assert len(scores.unique()) == 3


@pytest.mark.parametrize("kind", [Discriminator, SeedDiscriminator])
def test_the_class_enters_by_projection(kind: type[Discriminator]) -> None:
    torch.manual_seed(0)
    network = kind(16, 1, classes=2).eval()
    nn.init.normal_(network.embedding.weight)
    images = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        difference = network(images, torch.tensor([1, 1])) - network(images, torch.tensor([0, 0]))
        direction = network.embedding.weight[1] - network.embedding.weight[0]
        expected = network.features(images).sum(dim=(2, 3)) @ direction
    assert torch.allclose(difference, expected, atol=1e-4)


def test_a_new_conditional_seed_discriminator_is_undecided() -> None:
    torch.manual_seed(0)
    network = SeedDiscriminator(128, 1, classes=2).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 1, 128, 128) * 2 - 1, torch.tensor([0, 1])).abs().max() < 5


def test_batch_deviation_by_hand() -> None:
    maps = torch.zeros(2, 2, 1, 2)
    maps[0, 0, 0, 0], maps[1, 0, 0, 0] = 1.0, 5.0  # deviation 2 at one of four places
    deviation = batch_deviation(maps)
    assert deviation.shape == (2, 1, 1, 2)
    assert torch.allclose(deviation, torch.full_like(deviation, (2 + 3e-4) / 4), atol=1e-5)
    assert batch_deviation(torch.ones(3, 2, 4, 4)).max() < 1e-3


def test_the_discriminator_sees_how_alike_a_batch_is() -> None:
    torch.manual_seed(0)
    network = Discriminator(16, 1, width=4, norm="none", minibatch_deviation=True).eval()
    one, other = torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        alike, unlike = network(torch.cat([one, one]))[0], network(torch.cat([one, other]))[0]
    assert alike != unlike


def test_spectral_norm_holds_the_largest_singular_value_near_one() -> None:
    torch.manual_seed(0)
    network = Discriminator(16, 1, width=8, classes=2, norm="none", spectral=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(50)
        for _ in range(20):  # each forward pass in training is one step of power iteration
            network(torch.rand(2, 1, 16, 16), torch.tensor([0, 1]))
    weights = [part.weight for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(weights) == 4
    for weight in weights:
        assert float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("network", ["dcgan", "seed"])
@pytest.mark.parametrize("classes", [0, 3])
def test_the_summary_counts_every_parameter(network: str, classes: int) -> None:
    config, shape = small(network), ImageShape(32, 2, labels=1, classes=classes)
    tables = gan_summary(config, shape)
    numbers = [parameters(build(config, shape)) for build in (build_generator, build_discriminator)]
    assert [total(tables["generator"]), total(tables["discriminator"])] == numbers
    assert total(tables["combined"]) == sum(numbers)
    assert tables["combined"][0].shape == (3, 32, 32)


def test_the_summary_of_a_spectral_discriminator_counts_every_parameter_once() -> None:
    config, shape = small(spectral=True), ImageShape(16, 1, classes=2)
    assert total(gan_summary(config, shape)["discriminator"]) == parameters(build_discriminator(config, shape))


def test_one_class_and_one_channel_networks_ignore_labels() -> None:
    shape = ImageShape(16, 1)
    with torch.no_grad():
        images = build_generator(small(), shape).eval()(torch.zeros(1, 6))
        assert build_discriminator(small(), shape).eval()(images).shape == (1,)
