from __future__ import annotations

import pytest
import torch

from synthoma.generators.autoencoders.loss import (
    absolute_error,
    convergence,
    equilibrium_loss,
    next_share,
    pulling_away,
    squared_error,
)


def test_errors_by_hand() -> None:
    images = torch.tensor([[[[1.0, -1.0]]], [[[0.0, 0.5]]]])
    rebuilt = torch.tensor([[[[0.0, -1.0]]], [[[1.0, -0.5]]]])
    assert torch.allclose(absolute_error(images, rebuilt), torch.tensor([0.5, 1.0]))
    assert float(squared_error(images, rebuilt)) == pytest.approx((1 + 0 + 1 + 1) / 4)


def test_the_loss_of_the_equilibrium_by_hand() -> None:
    real, fake = torch.tensor([0.2, 0.4]), torch.tensor([0.1, 0.3], requires_grad=True)
    loss = equilibrium_loss(real, fake, 0.25)
    assert float(loss.detach()) == pytest.approx(0.3 - 0.25 * 0.2)
    loss.backward()
    assert torch.allclose(fake.grad, torch.tensor([-0.125, -0.125]))


def test_the_share_moves_towards_balance_and_stays_a_share() -> None:
    assert next_share(0.2, real=0.4, fake=0.1, balance=0.5, rate=0.1) == pytest.approx(0.2 + 0.1 * (0.2 - 0.1))
    assert next_share(0.2, real=0.4, fake=0.3, balance=0.5, rate=0.1) == pytest.approx(0.2 - 0.1 * 0.1)
    assert next_share(0.2, real=0.4, fake=0.2, balance=0.5, rate=0.1) == pytest.approx(0.2)
    assert next_share(0.0, real=0.4, fake=9.0, balance=0.5, rate=0.1) == 0
    assert next_share(0.99, real=9.0, fake=0.0, balance=0.5, rate=0.1) == 1


def test_the_convergence_is_the_error_and_how_far_the_game_is_off_balance() -> None:
    assert convergence(real=0.4, fake=0.2, balance=0.5) == pytest.approx(0.4)
    assert convergence(real=0.4, fake=0.1, balance=0.5) == pytest.approx(0.5)
    assert convergence(real=0.4, fake=0.3, balance=0.5) == pytest.approx(0.5)


def test_codes_are_as_alike_as_their_squared_cosines() -> None:
    codes = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    pairs = [1.0, 0.0, 0.5, 0.0, 0.5, 0.5]  # of (1,2), (1,3), (1,4), (2,3), (2,4), (3,4)
    assert float(pulling_away(codes)) == pytest.approx(sum(pairs) / 6)
    assert float(pulling_away(codes, torch.tensor([0, 1, 0, 1]))) == pytest.approx((0.0 + 0.5) / 2)  # (1,3), (2,4)
    assert float(pulling_away(codes[:1])) == 0
