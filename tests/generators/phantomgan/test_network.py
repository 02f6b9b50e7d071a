from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from synthoma.core.errors import ConfigError
from synthoma.generators.families import build_generator, latent_shape
from synthoma.generators.gan.patches import PatchDiscriminator
from synthoma.generators.phantomgan.network import STEM, Repainter, fitted_to, within
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape


def planes(count: int, channels: int, labels: int, size: int = 16) -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    image = torch.rand(count, channels, size, size, generator=draws) * 2 - 1
    marks = (torch.rand(count, labels, size, size, generator=draws) > 0.7).float() * 2 - 1
    return torch.cat([image, marks, torch.randn(count, 1, size, size, generator=draws)], dim=1)


@pytest.mark.parametrize(("channels", "labels", "size"), [(1, 0, 16), (1, 1, 32), (4, 3, 20)])
def test_an_untrained_network_gives_the_simulated_slice_back(channels: int, labels: int, size: int) -> None:
    shape = ImageShape(size, channels, labels)
    config = NetworkConfig(network="repaint", latent=8, width=8)
    network = build_generator(config, shape)
    given = planes(3, channels, labels, size)
    assert given.shape[1:] == latent_shape(config, shape)
    drawn = network(given)
    torch.testing.assert_close(drawn[:, :channels], given[:, :channels], atol=0.011, rtol=0)
    assert torch.equal(drawn[:, channels:], given[:, channels:-1])


def trained() -> Repainter:
    """With a last layer that is no longer silent."""
    return trained_at(16)


def trained_at(size: int) -> Repainter:
    torch.manual_seed(0)
    network = Repainter(size, 1, 1, style=4, width=8)
    torch.nn.init.normal_(network.head.weight, 0, 0.1)
    return network


def test_labels_are_exact_whatever_was_learned_and_images_stay_in_range() -> None:
    given = planes(4, 1, 1)
    drawn = trained()(given)
    assert torch.equal(drawn[:, 1], given[:, 1])
    assert drawn.abs().max() <= 1
    assert not torch.allclose(drawn[:, 0], given[:, 0], atol=0.02)
    extreme = torch.cat([torch.ones(1, 1, 16, 16), given[:1, 1:]], dim=1)
    assert torch.isfinite(trained()(extreme)).all()


def fitted(channels: int, labels: int) -> tuple[Repainter, PatchDiscriminator]:
    """Networks for so many modalities and labels with the weights of ones for one of each."""
    torch.manual_seed(0)
    known = PatchDiscriminator(2, width=4, spectral=False)
    painter, judge = fitted_to(trained().state_dict(), known.state_dict(), channels, labels)
    network = Repainter(16, channels, labels, style=4, width=8)
    network.load_state_dict(painter)
    discriminator = PatchDiscriminator(channels + labels, width=4, spectral=False)
    discriminator.load_state_dict(judge)
    return network, discriminator


@pytest.mark.slow
def test_weights_of_one_modality_and_label_stay_what_they_are() -> None:
    network, _ = fitted(1, 1)
    assert all(torch.equal(value, trained().state_dict()[name]) for name, value in network.state_dict().items())


def test_weights_of_one_modality_paint_many_alike() -> None:
    """Where all modalities show the same, each is painted as the one would be, and the discriminator says the same."""
    given = planes(2, 1, 1)
    network, judge = fitted(3, 1)
    alone, alone_judge = fitted(1, 1)
    drawn = network(torch.cat([given[:, :1]] * 3 + [given[:, 1:]], dim=1))
    for channel in range(3):
        torch.testing.assert_close(drawn[:, channel], alone(given)[:, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(judge(drawn), alone_judge(alone(given)), atol=1e-5, rtol=1e-4)
    # What differs is told apart: a bright modality leaves the dark one its own grey.
    other = torch.cat([given[:, :1], -given[:, :1], given[:, :1], given[:, 1:]], dim=1)
    assert (network(other)[:, 1] - drawn[:, 1]).abs().mean() > 0.1


@pytest.mark.parametrize("labels", [0, 2, 3])
def test_weights_of_one_label_read_many(labels: int) -> None:
    """Several labels that exclude one another say together what the one said; none at all say that there is none."""
    given = planes(2, 1, 1)
    if labels == 0:
        given[:, 1] = -1.0
    which = torch.randint(max(labels, 1), given[:, 1].shape, generator=torch.Generator().manual_seed(1))
    several = [torch.where(which == number, given[:, 1], -1.0)[:, None] for number in range(labels)]
    network, judge = fitted(1, labels)
    alone, alone_judge = fitted(1, 1)
    both = torch.cat([given[:, :1], *several, given[:, 2:]], dim=1)
    # Beyond the border of a picture a plane is 0, which is neither.
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    read, known = network.entry(F.pixel_unshuffle(both, STEM)), alone.entry(F.pixel_unshuffle(given, STEM))
    torch.testing.assert_close(read[inner], known[inner], atol=1e-5, rtol=1e-5)
    read, known = judge.layers[0](both[:, :-1]), alone_judge.layers[0](given[:, :-1])
    torch.testing.assert_close(read[inner], known[inner], atol=1e-5, rtol=1e-5)


def test_black_stays_within_reach_and_can_be_left() -> None:
    """Fluid within a head may be exactly black: a darker correction keeps it so, and a brighter one has a gradient."""
    network, given = trained(), planes(2, 1, 1)
    given[:, 0] = 0.5
    given[:, 0, 3:13, 3:13] = -1.0
    torch.nn.init.zeros_(network.head.weight)
    for correction in (-0.5, 0.1):  # what is hardly brighter than black is cut as well
        network.head.bias.data.fill_(correction)  # type: ignore[union-attr]
        drawn = network(given)[:, 0, 3:13, 3:13]
        assert torch.equal(drawn, torch.full_like(drawn, -1.0))
    drawn.sum().backward()
    assert network.head.bias.grad.abs() > 0  # type: ignore[union-attr,operator]


def test_air_is_left_alone() -> None:
    given = planes(1, 1, 1, size=32)
    y, x = torch.meshgrid(torch.arange(32) - 15.5, torch.arange(32) - 15.5, indexing="ij")
    distance = torch.hypot(x, y)
    image = torch.where(distance < 10, 0.5, 0.03 + 0.01 * torch.rand(32, 32))
    image[distance < 4] = 0.0  # a cavity
    image[3, 3] = 0.5  # a lonely pixel: the mean of its neighbourhood is dim
    given[0, 0] = image * 2 - 1
    inside = within(given[:, :1])[0, 0]
    assert inside[distance < 10].all()
    assert not inside[distance > 13.5].any()
    drawn = trained_at(32)(given)[0, 0]
    changed = (drawn - given[0, 0]).abs() > 0.02
    assert not changed[distance > 13.5].any()
    assert changed[distance < 10].float().mean() > 0.5


def test_the_style_is_the_first_numbers_of_the_noise_and_reaches_every_pixel() -> None:
    network, given = trained(), planes(1, 1, 1)
    other = given.clone()
    other[:, -1].flatten(1)[:, :4] += 2.0  # a view: the first four pixels of the noise plane
    far = (network(given) - network(other)).abs()[0, 0, 10:, 10:]
    assert (far > 1e-6).float().mean() > 0.9


def test_one_image_does_not_depend_on_its_company() -> None:
    network, given = trained(), planes(4, 1, 1)
    torch.testing.assert_close(network(given)[2:3], network(given[2:3]), atol=1e-5, rtol=1e-5)


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="a size from 16 that 4 divides; came 18"):
        Repainter(18, 1, 0)
