from __future__ import annotations

import pytest
import torch

from synthoma.core.errors import ConfigError
from synthoma.generators.autoencoders.network import AutoencodingDiscriminator, CodeGenerator, Encoder
from synthoma.generators.families import build_discriminator, build_generator, gan_summary, latent_shape
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape


@pytest.mark.parametrize("size", [16, 64])
def test_codes_begin_on_the_scale_of_normal_numbers(size: int) -> None:
    """Whatever the depth: the chain without normalisation neither dies out nor explodes."""
    torch.manual_seed(0)
    coarse = torch.randn(64, 2, 4, 4)
    codes = Encoder(size, 2, 12, 16)(torch.nn.functional.interpolate(coarse, size=size))
    assert codes.shape == (64, 12)
    assert 0.05 < float(codes.detach().std()) < 3


def test_a_generator_of_codes_decodes_what_it_is_given() -> None:
    torch.manual_seed(0)
    network = CodeGenerator(16, 3, 6, 8, 8, classes=2).eval()
    codes, label = torch.randn(4, 6), torch.tensor([0, 1, 0, 1])
    with torch.no_grad():
        assert torch.equal(network(codes, label), network.decode(codes, label))
        assert not torch.equal(network(codes, label), network(codes, 1 - label))
        assert network.encode(torch.randn(4, 3, 16, 16)).shape == (4, 6)


def test_with_a_density_latents_become_codes_first() -> None:
    torch.manual_seed(0)
    network = CodeGenerator(16, 1, 6, 8, 8, classes=2, components=3).eval()
    latents, label = torch.randn(4, 8), torch.tensor([0, 1, 0, 1])
    with torch.no_grad():
        assert torch.equal(network(latents, label), network.decode(latents[:, 2:]))
        network.density.fit(5 + torch.randn(40, 6), torch.arange(40) % 2, torch.Generator().manual_seed(0))
        assert torch.equal(network(latents, label), network.decode(network.density(latents, label)))
    assert network.decoder.classes == 0  # each class has a density; the decoder is told nothing


def test_the_discriminator_of_an_equilibrium_scores_by_what_it_rebuilds() -> None:
    torch.manual_seed(0)
    network = AutoencodingDiscriminator(16, 2, 6, 8)
    images = torch.randn(5, 2, 16, 16)
    said, rebuilt = network(images), network.rebuilt(images)
    by_hand = [-float((one - other).abs().mean().detach()) for one, other in zip(images, rebuilt, strict=True)]
    assert said.tolist() == pytest.approx(by_hand, rel=1e-5)
    assert network.features(images).shape[2:] == (4, 4)


@pytest.mark.parametrize("name", ["began", "aae", "dae"])
def test_sizes_that_are_no_powers_of_two_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="16, 32, 64"):
        build_generator(NetworkConfig(network=name), ImageShape(28, 1))


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", ["began", "aae", "dae"])
def test_tables_show_all_networks(name: str, classes: int) -> None:
    config, shape = NetworkConfig(network=name, width=8, critic_width=8, latent=6), ImageShape(16, 2, 1, classes)
    tables = gan_summary(config, shape)
    assert set(tables) == {"began": {"generator", "discriminator", "combined"}}.get(name, {"generator", "encoder"})
    assert tables["generator"][-1].shape == (3, 16, 16)
    assert latent_shape(config, shape) == ((8,) if name == "dae" else (6,))


@pytest.mark.parametrize("name", ["aae", "dae"])
def test_those_without_a_discriminator_of_images_say_so(name: str) -> None:
    with pytest.raises(ConfigError, match="a model with a discriminator"):
        build_discriminator(NetworkConfig(network=name), ImageShape(16, 1))
