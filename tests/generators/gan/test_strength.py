from __future__ import annotations

import pytest
import torch

from synthoma.generators.gan.strength import adapted_probability, overfitting, ramped_probability


def test_a_ramp_is_a_straight_line_that_ends_at_the_most() -> None:
    assert [ramped_probability(images, 100, 0.6) for images in (0, 25, 100, 900)] == pytest.approx([0, 0.15, 0.6, 0.6])
    assert ramped_probability(0, 0, 0.6) == 0.6


def test_overfitting_by_hand() -> None:
    real = torch.tensor([2.0, 1.0, 0.5, -1.0])
    fake = torch.tensor([-2.0, 4.0])  # of mean 1
    assert overfitting(real, fake, shift_free=False) == pytest.approx((3 - 1) / 4)
    assert overfitting(real, fake, shift_free=True) == pytest.approx((1 + 0 - 1 - 1) / 4)


def test_a_constant_on_all_outputs_matters_only_where_the_boundary_is_zero() -> None:
    real, fake = torch.randn(50) + 1, torch.randn(50)
    for constant in (-7.0, 7.0):
        assert overfitting(real + constant, fake + constant, shift_free=True) == overfitting(
            real, fake, shift_free=True
        )
        assert overfitting(real + constant, fake + constant, shift_free=False) == (1.0 if constant > 0 else -1.0)


def test_the_probability_rises_while_the_discriminator_overfits_and_falls_otherwise() -> None:
    probability = 0.2
    for _ in range(10):
        probability = adapted_probability(probability, 1.0, 0.6, images=16, ramp=1000)
    assert probability == pytest.approx(0.2 + 10 * 0.4 * 16 / 1000)
    for _ in range(5):
        probability = adapted_probability(probability, 0.0, 0.6, images=16, ramp=1000)
    assert probability == pytest.approx(0.2 + (4 - 3) * 16 / 1000)
    assert adapted_probability(0.2, 0.6, 0.6, 16, 1000) == 0.2


def test_the_probability_stays_between_nothing_and_the_most() -> None:
    assert adapted_probability(0.79, 1.0, 0.5, 100, 100, most=0.8) == 0.8
    assert adapted_probability(0.01, -1.0, 0.5, 100, 100) == 0.0


@pytest.mark.slow
def test_it_comes_to_the_strength_at_which_overfitting_meets_the_target() -> None:
    """A discriminator that is the less sure the more is changed, with a noisy sign of one batch."""
    draws = torch.Generator().manual_seed(0)
    probability, late = 0.0, []
    for step in range(4000):
        chance = 1 - 0.8 * probability  # of D(real) > 0; the mean sign is 2 * chance - 1
        real = torch.where(torch.rand(16, generator=draws) < chance, 1.0, -1.0)
        sign = overfitting(real, -real, shift_free=False)
        probability = adapted_probability(probability, sign, 0.2, 16, 20_000)
        late += [probability] if step > 2000 else []
    assert sum(late) / len(late) == pytest.approx(0.5, abs=0.03)
