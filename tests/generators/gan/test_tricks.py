from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from synthoma.generators.families import build_discriminator, build_generator
from synthoma.generators.gan.dcgan import Discriminator, Generator
from synthoma.generators.gan.history import PastWeights
from synthoma.generators.gan.tricks import REFERENCE, MinibatchDiscrimination, VirtualBatchNorm2d
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape

# --- minibatch discrimination -----------------------------------------------------------------------------------


def test_nearness_by_hand() -> None:
    """Two kernels over two numbers each; features 1 and 2 are the rows of T."""
    layer = MinibatchDiscrimination(2, 2, 2)
    with torch.no_grad():
        layer.tensor.copy_(torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 0.0]]))
    near = layer(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    # M: [[0,0],[0,0]], [[1,0],[0,0]], [[0,1],[2,0]]; distances of kernel 1: 1, 1, 2; of kernel 2: 0, 2, 2.
    e = math.exp
    expected = [[e(-1) + e(-1), 1 + e(-2)], [e(-1) + e(-2), 1 + e(-2)], [e(-1) + e(-2), 2 * e(-2)]]
    assert torch.allclose(near, torch.tensor(expected))


def test_nearness_is_that_of_a_loop_over_pairs() -> None:
    torch.manual_seed(0)
    layer, features = MinibatchDiscrimination(6, 4, 3), torch.randn(5, 6)
    tensor = layer.tensor.detach().view(6, 4, 3)
    for image in range(5):
        for kernel in range(4):
            rows = [features[other] @ tensor[:, kernel] for other in range(5)]
            total = sum(
                math.exp(-float((rows[image] - rows[other]).abs().sum())) for other in range(5) if other != image
            )
            assert float(layer(features)[image, kernel].detach()) == pytest.approx(total, rel=1e-5)


def test_alike_images_are_nearest_and_a_single_one_has_no_neighbours() -> None:
    layer = MinibatchDiscrimination(3, 4, 2)
    assert torch.allclose(layer(torch.ones(7, 3)), torch.full((7, 4), 6.0))
    assert torch.allclose(layer(torch.ones(1, 3)), torch.zeros(1, 4))


@pytest.mark.parametrize("network", ["dcgan", "seed", "residual", "repaint"])
def test_discriminators_of_whole_pictures_see_the_others(network: str) -> None:
    config = NetworkConfig(network=network, critic_width=8, critic_norm="none", minibatch_kernels=6, minibatch_depth=3)
    torch.manual_seed(0)
    discriminator = build_discriminator(config, ImageShape(16, 1)).eval()
    images = torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        beside, alone = discriminator(images), torch.cat([discriminator(image[None]) for image in images])
        plain = build_discriminator(config.model_copy(update={"minibatch_kernels": 0}), ImageShape(16, 1)).eval()
        assert torch.allclose(plain(images), torch.cat([plain(image[None]) for image in images]), atol=1e-5)
    assert not torch.allclose(beside, alone, atol=1e-4)
    discriminator(images).sum().backward()
    assert float(discriminator.minibatch.tensor.grad.abs().max()) > 0


def test_weights_of_other_networks_begin_as_before() -> None:
    """What is off draws no random numbers."""
    torch.manual_seed(3)
    before = Discriminator(16, 1, 8)
    torch.manual_seed(3)
    after = Discriminator(16, 1, 8, minibatch=(0, 5))
    assert before.state_dict().keys() == after.state_dict().keys()
    assert all(map(torch.equal, before.state_dict().values(), after.state_dict().values()))


# --- virtual batch normalisation --------------------------------------------------------------------------------


def test_each_image_is_normalised_with_the_reference_as_one_batch() -> None:
    """Ordinary statistics over the reference batch with the image put into it."""
    torch.manual_seed(0)
    layer = VirtualBatchNorm2d(3, reference=4)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0, -1.0]))
        layer.bias.copy_(torch.tensor([0.0, 0.5, 1.0]))
    known, images = 5 + torch.randn(4, 3, 6, 6), 3 * torch.randn(5, 3, 6, 6) - 2
    found = layer(torch.cat([known, images]))
    gain, shift = layer.weight.view(1, 3, 1, 1), layer.bias.view(1, 3, 1, 1)
    for number, image in enumerate(images):
        alone = nn.functional.batch_norm(torch.cat([known, image[None]]), None, None, training=True)
        assert torch.allclose(found[4 + number], (alone * gain + shift)[4], atol=1e-5)
    plain = nn.functional.batch_norm(known, None, None, training=True) * gain + shift
    assert torch.allclose(found[:4], plain, atol=1e-5)


def test_an_image_does_not_depend_on_its_company() -> None:
    torch.manual_seed(0)
    generator = Generator(16, 1, latent=8, width=8, classes=2, norm="virtual").eval()
    latents, label = torch.randn(6, 8), torch.tensor([0, 1, 0, 1, 0, 1])
    with torch.no_grad():
        together = generator(latents, label)
        alone = torch.cat([generator(latents[[i]], label[[i]]) for i in range(6)])
        ordinary = Generator(16, 1, latent=8, width=8, norm="batch")
        apart = torch.cat([ordinary(latents[:3]), ordinary(latents[3:])])
        assert not torch.allclose(ordinary(latents), apart, atol=1e-3)  # what it is for
    assert together.shape == (6, 1, 16, 16)
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_reference_is_stored_with_the_weights() -> None:
    config, shape = NetworkConfig(latent=8, width=8, norm="virtual"), ImageShape(16, 1, classes=3)
    torch.manual_seed(0)
    one = build_generator(config, shape)
    torch.manual_seed(1)
    other = build_generator(config, shape)
    latents, label = torch.randn(3, 8), torch.tensor([0, 1, 2])
    assert not torch.equal(one.reference, other.reference)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(latents, label), other(latents, label))
    assert one.reference.shape == (REFERENCE, 8)
    assert set(one.reference_label.tolist()) == {0, 1, 2}


def test_the_reference_batch_teaches_too() -> None:
    """Gradients pass through its statistics, as in Salimans et al. 2016."""
    layer, maps = VirtualBatchNorm2d(2, reference=3), torch.randn(5, 2, 4, 4, requires_grad=True)
    layer(maps)[3:].square().sum().backward()
    assert float(maps.grad[:3].abs().max()) > 0


# --- historical averaging ---------------------------------------------------------------------------------------


def test_the_distance_from_the_past_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    past, seen = PastWeights(network), []
    for value in (1.0, 3.0, 8.0):
        with torch.no_grad():
            network.weight.fill_(value)
        seen.append(past.penalty())
    # Means 1, 2 and 4 of the weights so far: distances 0, 1 and 4.
    assert [float(one.detach()) for one in seen] == pytest.approx([0, 1, 16])
    seen[-1].backward()
    assert float(network.weight.grad) == pytest.approx(2 * (8 - 4))  # the mean stands still


def test_a_restored_past_goes_on() -> None:
    torch.manual_seed(0)
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    first, again = PastWeights(one), PastWeights(other)
    first.penalty()
    with torch.no_grad():
        one.weight += 1
    first.penalty()
    other.load_state_dict(one.state_dict())
    again.restore({name.removeprefix("past."): value for name, value in first.state("past").items()})
    with torch.no_grad():
        one.weight += 1
        other.weight += 1
    assert torch.equal(first.penalty(), again.penalty())
