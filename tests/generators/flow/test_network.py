from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from synthoma.core.errors import ConfigError
from synthoma.generators.families import build_discriminator, build_generator, gan_summary, latent_shape
from synthoma.generators.flow.network import SPREAD, FlowGenerator, integrate
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape
from synthoma.training.layers import total


def noise(count: int, planes: int = 1, size: int = 16, seed: int = 0) -> Tensor:
    return torch.randn(count, planes, size, size, generator=torch.Generator().manual_seed(seed))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("steps", [1, 3])
def test_a_straight_path_is_followed_exactly(steps: int) -> None:
    start, data = noise(4), noise(4, seed=1)
    assert torch.allclose(integrate(lambda images, time: start - data, start, steps), data, atol=1e-6)


def gaussian_velocity(images: Tensor, time: float, mean: float, deviation: float) -> Tensor:
    """Mean of noise - data, given a point, where the data are normal."""
    variance = time**2 + (1 - time) ** 2 * deviation**2
    slope = (time - (1 - time) * deviation**2) / variance
    return -mean + slope * (images - (1 - time) * mean)


def test_normal_data_are_reached_as_the_closed_form_says() -> None:
    """The flow of a normal distribution only moves and scales: its end is mean + deviation * noise."""
    start = noise(8).double()
    end = integrate(lambda images, time: gaussian_velocity(images, time, -0.4, 0.3), start, 32)
    assert torch.allclose(end, -0.4 + 0.3 * start, atol=2e-3)


def test_the_error_falls_with_the_square_of_the_steps() -> None:
    start = noise(8).double()
    ends = [integrate(lambda images, time: time * images, start, steps) for steps in (8, 16, 32)]
    errors = [float((end - math.exp(-0.5) * start).abs().max()) for end in ends]
    assert errors[0] < 0.03
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_where_the_velocity_is_asked_for() -> None:
    asked: list[float] = []

    def velocity(images: Tensor, time: float) -> Tensor:
        asked.append(time)
        return images

    integrate(velocity, noise(1), 3)
    assert asked == pytest.approx([1, (1 + 4 / 9) / 2, 4 / 9, (4 / 9 + 1 / 9) / 2, 1 / 9])


def test_the_last_step_ends_at_the_data_that_the_velocity_takes_for_true() -> None:
    """Else an error of the velocity close to the data would be left as noise."""
    believed = noise(2, seed=1)
    end = integrate(lambda images, time: (images - believed) / time, noise(2), 4)
    assert torch.allclose(end, believed, atol=1e-5)


@pytest.mark.slow
def test_an_untrained_network_draws_noise_of_the_supposed_spread() -> None:
    """Without a word of the network, the velocity is that of data that are normal with that deviation."""
    generator = FlowGenerator(16, 1, width=8, steps=64).eval()
    with torch.no_grad():
        images = generator(noise(4))
        times = torch.tensor([0.0, 0.2, 0.6, 1.0])
        found = generator.velocity(noise(4), times)
    assert torch.allclose(images, (SPREAD * noise(4)).clamp(-1, 1), atol=5e-3)
    for points, time, velocity in zip(noise(4), times.tolist(), found, strict=True):
        assert torch.allclose(velocity, gaussian_velocity(points, time, 0.0, SPREAD), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
def test_every_size_and_number_of_channels(size: int, channels: int) -> None:
    shape = ImageShape(size, channels, labels=channels - 1, classes=2)
    config = NetworkConfig(network="flow", width=4, flow_steps=1)
    generator = build_generator(config, shape).eval()
    latents = noise(2, *latent_shape(config, shape)[:2])
    with torch.no_grad():
        images = generator(latents, torch.tensor([0, 1]))
    assert images.shape == latents.shape == (2, 2 * channels - 1, size, size)
    assert float(images.abs().max()) <= 1


@pytest.mark.parametrize("size", [8, 48, 130])
def test_impossible_sizes_are_refused_with_advice(size: int) -> None:
    with pytest.raises(ConfigError, match=rf"came {size}; prepare the cohort with --size"):
        FlowGenerator(size, 1)


def random_output(generator: FlowGenerator) -> FlowGenerator:
    """With a last layer that says something, so that what came before it can be seen."""
    nn.init.normal_(generator.network.leave.weight, std=0.1)
    for name, parameter in generator.named_parameters():
        if name.endswith("second.weight"):
            nn.init.normal_(parameter, std=0.1)
    return generator.eval()


def test_time_and_class_matter() -> None:
    torch.manual_seed(0)
    generator = random_output(FlowGenerator(16, 1, width=8, classes=3))
    images = noise(1).expand(3, 1, 16, 16)
    with torch.no_grad():
        by_class = generator.velocity(images, torch.full((3,), 0.5), torch.tensor([0, 1, 2]))
        by_time = generator.network(images, torch.tensor([0.1, 0.11, 0.9]), torch.zeros(3, dtype=torch.long))
    for maps in (by_class, by_time):
        assert not torch.allclose(maps[0], maps[1], atol=1e-3)
        assert not torch.allclose(maps[0], maps[2], atol=1e-3)


def test_every_pixel_can_hear_every_other() -> None:
    torch.manual_seed(0)
    generator = random_output(FlowGenerator(64, 1, width=8))
    images = noise(1, size=64).requires_grad_()
    generator.velocity(images, torch.tensor([0.5]))[0, 0, 0, 0].backward()
    assert images.grad is not None
    assert (images.grad[0, 0, -8:, -8:] != 0).any()


def test_its_size_at_64_pixels() -> None:
    generator = build_generator(NetworkConfig(network="flow"), ImageShape(64, 1))
    assert 0.8e6 < parameters(generator) < 1.3e6


def test_it_has_no_discriminator() -> None:
    with pytest.raises(ConfigError, match="a model with a discriminator; came a flow"):
        build_discriminator(NetworkConfig(network="flow"), ImageShape(64, 1))


@pytest.mark.parametrize("classes", [0, 3])
def test_the_summary_counts_every_weight_once(classes: int) -> None:
    config, shape = NetworkConfig(network="flow", width=8), ImageShape(32, 2, 1, classes)
    tables = gan_summary(config, shape)
    assert list(tables) == ["velocity"]
    assert total(tables["velocity"]) == parameters(build_generator(config, shape))
    assert tables["velocity"][-1].shape == (12, 16, 16)
