from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from synthoma.generators.gan.losses import (
    SHIFT_FREE,
    discriminator_loss,
    distance_from_the_past,
    feature_matching,
    generator_loss,
    gradient_penalty,
    zero_centred_penalty,
)

REAL = torch.tensor([2.0, -1.0])
FAKE = torch.tensor([0.5, -3.0])


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def test_cross_entropy_by_hand() -> None:
    by_hand = -(log_sigmoid(2.0) + log_sigmoid(-1.0)) / 2 - (log_sigmoid(-0.5) + log_sigmoid(3.0)) / 2
    for kind in ("bce", "bce-saturating"):
        assert float(discriminator_loss(kind, REAL, FAKE)) == pytest.approx(by_hand, rel=1e-6)
    assert float(generator_loss("bce", FAKE)) == pytest.approx(-(log_sigmoid(0.5) + log_sigmoid(-3.0)) / 2, rel=1e-6)
    saturating = (log_sigmoid(-0.5) + log_sigmoid(3.0)) / 2
    assert float(generator_loss("bce-saturating", FAKE)) == pytest.approx(saturating, rel=1e-6)


def test_hinge_and_wasserstein_by_hand() -> None:
    assert float(discriminator_loss("hinge", REAL, FAKE)) == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    assert float(discriminator_loss("wasserstein", REAL, FAKE)) == pytest.approx(-1.25 - 0.5)
    for kind in ("hinge", "wasserstein"):
        assert float(generator_loss(kind, FAKE)) == pytest.approx(1.25)


def test_relativistic_pairs_by_hand() -> None:
    by_hand = -(log_sigmoid(2.0 - 0.5) + log_sigmoid(-1.0 + 3.0)) / 2
    mirrored = -(log_sigmoid(0.5 - 2.0) + log_sigmoid(-3.0 + 1.0)) / 2
    assert float(discriminator_loss("relativistic", REAL, FAKE)) == pytest.approx(by_hand, rel=1e-6)
    assert float(generator_loss("relativistic", FAKE, REAL)) == pytest.approx(mirrored, rel=1e-6)
    # What the one gains the other loses: gradients of a pair are opposite, in each player's own loss.
    fake = FAKE.clone().requires_grad_(True)
    (push,) = torch.autograd.grad(generator_loss("relativistic", fake, REAL), fake)
    assert torch.allclose(push, -torch.sigmoid(REAL - FAKE) / 2)
    (pull,) = torch.autograd.grad(discriminator_loss("relativistic", REAL, fake), fake)
    assert torch.allclose(pull, torch.sigmoid(FAKE - REAL) / 2)


def test_only_differences_count_in_losses_without_a_boundary() -> None:
    for kind in ("wasserstein", "relativistic"):
        assert kind in SHIFT_FREE
        shifted = discriminator_loss(kind, REAL + 9, FAKE + 9)
        assert float(shifted) == pytest.approx(float(discriminator_loss(kind, REAL, FAKE)), abs=1e-5)
    for kind in ("bce", "hinge"):
        assert kind not in SHIFT_FREE
        assert discriminator_loss(kind, REAL + 9, FAKE + 9) > discriminator_loss(kind, REAL, FAKE) + 1


def test_the_relativistic_generator_must_see_real_outputs() -> None:
    with pytest.raises(ValueError, match="outputs for real images"):
        generator_loss("relativistic", FAKE)


@pytest.mark.parametrize("kind", ["bce", "bce-saturating", "hinge", "wasserstein", "relativistic"])
def test_losses_fall_where_the_players_do_better(kind: str) -> None:
    assert discriminator_loss(kind, REAL + 0.5, FAKE - 0.4) < discriminator_loss(kind, REAL, FAKE)
    assert generator_loss(kind, FAKE + 0.1, REAL) < generator_loss(kind, FAKE, REAL)


def test_only_the_saturating_gradient_vanishes_where_the_discriminator_wins() -> None:
    gradients = {}
    for kind in ("bce", "bce-saturating"):
        fake = torch.full((4,), -12.0, requires_grad=True)
        generator_loss(kind, fake).backward()
        gradients[kind] = float(fake.grad.abs().sum())
    assert gradients["bce"] == pytest.approx(1.0, abs=1e-4)
    assert gradients["bce-saturating"] < 1e-4


def test_smoothing_touches_real_targets_only() -> None:
    plain = discriminator_loss("bce", REAL, FAKE)
    smooth = discriminator_loss("bce", REAL, FAKE, smoothing=0.1)
    # Cross-entropy with target 0.9 instead of 1 differs by 0.1 * logit, and the fake part not at all.
    assert float(smooth - plain) == pytest.approx(0.1 * float(REAL.mean()), abs=1e-6)
    fake = FAKE.clone().requires_grad_(True)
    discriminator_loss("bce", REAL, fake, smoothing=0.4).backward()
    assert torch.allclose(fake.grad, FAKE.sigmoid() / 2)


def test_a_smoothed_target_of_the_generator_by_hand() -> None:
    """Cross-entropy with target 0.9, as the mask project of the seeds trained its generator."""
    by_hand = -sum(0.9 * log_sigmoid(x) + 0.1 * log_sigmoid(-x) for x in (0.5, -3.0)) / 2
    assert float(generator_loss("bce", FAKE, smoothing=0.1)) == pytest.approx(by_hand, rel=1e-6)
    believed = torch.tensor([math.log(9.0)], requires_grad=True)  # D = 0.9
    generator_loss("bce", believed, smoothing=0.1).backward()
    assert float(believed.grad) == pytest.approx(0, abs=1e-7)
    for kind in ("bce-saturating", "hinge", "wasserstein", "relativistic"):
        with pytest.raises(ValueError, match="the loss bce"):
            generator_loss(kind, FAKE, REAL, smoothing=0.1)


def test_errors_are_no_outputs_of_a_discriminator() -> None:
    for loss in (lambda: discriminator_loss("equilibrium", REAL, FAKE), lambda: generator_loss("equilibrium", FAKE)):
        with pytest.raises(ValueError, match="network=began"):
            loss()


def test_the_distance_from_the_past_sums_all_parameters() -> None:
    weights = [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([[3.0]], requires_grad=True)]
    means = [torch.tensor([0.0, 2.0], requires_grad=True), torch.tensor([[5.0]])]
    distance = distance_from_the_past(weights, means)
    assert float(distance.detach()) == 1 + 0 + 4
    distance.backward()
    assert means[0].grad is None
    assert torch.equal(weights[1].grad, torch.tensor([[-4.0]]))


def linear_critic(direction: Tensor) -> nn.Module:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(direction.numel(), 1), nn.Flatten(0))
    with torch.no_grad():
        critic[1].weight.copy_(direction.view(1, -1))
    return critic


def test_penalties_of_a_linear_critic_have_a_closed_form() -> None:
    direction = torch.zeros(1, 3, 3)
    direction[0, 0, 0], direction[0, 2, 1] = 3.0, 4.0  # of length 5
    critic = linear_critic(direction)
    real, fake = torch.randn(6, 1, 3, 3), torch.randn(6, 1, 3, 3)
    assert gradient_penalty(critic, real, fake, torch.rand(6)).detach() == pytest.approx(16.0, rel=1e-5)
    assert zero_centred_penalty(critic, real).detach() == pytest.approx(25.0 / 2, rel=1e-5)
    gradient_penalty(critic, real, fake, torch.rand(6)).backward()
    # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    assert torch.allclose(critic[1].weight.grad.view(1, 3, 3), 2 * 4 * direction / 5, atol=1e-4)


def test_gradient_penalty_of_a_small_network_equals_a_loop_over_images() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 16, 1), nn.Flatten(0))
    real, fake, mix = torch.randn(3, 2, 6, 6), torch.randn(3, 2, 6, 6), torch.tensor([0.0, 0.3, 1.0])
    terms, at_real = [], []
    for i in range(3):
        x = (mix[i] * real[i] + (1 - mix[i]) * fake[i])[None].requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(x).sum(), x)
        terms.append((float(gradient.square().sum().sqrt()) - 1) ** 2)
        x = real[i][None].clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(x).sum(), x)
        at_real.append(float(gradient.square().sum()) / 2)
    assert gradient_penalty(critic, real, fake, mix).detach() == pytest.approx(sum(terms) / 3, rel=1e-5)
    assert zero_centred_penalty(critic, real).detach() == pytest.approx(sum(at_real) / 3, rel=1e-5)


def test_the_penalty_on_generated_images_teaches_the_discriminator_only() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1), nn.Flatten(0))
    fake = torch.randn(5, 1, 2, 2, requires_grad=True)
    zero_centred_penalty(critic, fake).backward()
    assert fake.grad is None
    assert float(critic[1].weight.grad.abs().max()) > 0


def test_a_flat_critic_gives_a_finite_gradient() -> None:
    critic = linear_critic(torch.zeros(1, 2, 2))
    gradient_penalty(critic, torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2), torch.rand(2)).backward()
    assert torch.isfinite(critic[1].weight.grad).all()


def test_feature_matching_compares_means_and_teaches_the_generator_only() -> None:
    real = torch.tensor([[0.0, 2.0], [2.0, 4.0]], requires_grad=True)
    same_mean = torch.tensor([[1.0, 3.0]], requires_grad=True)
    assert feature_matching(real, same_mean).detach() == 0
    fake = torch.tensor([[3.0, 3.0], [5.0, 3.0]], requires_grad=True)
    loss = feature_matching(real, fake)
    assert loss.detach() == pytest.approx((3.0**2 + 0.0) / 2)
    loss.backward()
    assert real.grad is None
    assert torch.allclose(fake.grad, torch.tensor([[1.5, 0.0], [1.5, 0.0]]))
