from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from synthoma.generators.autoencoders.density import CodeDensity, Mixture, belonging, fit_mixture


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_clouds(number: int = 300) -> Tensor:
    """A third around (-4, 0), narrow; the others around (3, 1), stretched along a diagonal."""
    rng = np.random.default_rng(0)
    first = rng.normal([-4, 0], 0.3, (number // 3, 2))
    second = rng.multivariate_normal([3, 1], [[1.0, 0.8], [0.8, 1.0]], number - number // 3)
    return torch.from_numpy(np.concatenate([first, second]))


def test_belonging_is_that_of_scipys_densities() -> None:
    codes = two_clouds(30)
    covariances = torch.tensor([[[1.0, 0.2], [0.2, 0.5]], [[2.0, -0.3], [-0.3, 1.0]]]).double()
    mixture = Mixture(torch.tensor([0.3, 0.7]).double(), torch.tensor([[-1.0, 0.0], [2.0, 1.0]]).double(), covariances)
    densities = np.stack(
        [
            float(weight) * multivariate_normal(mean.numpy(), covariance.numpy()).pdf(codes.numpy())
            for weight, mean, covariance in zip(mixture.weights, mixture.means, covariances, strict=True)
        ],
        axis=1,
    )
    assert np.allclose(belonging(codes, mixture).numpy(), densities / densities.sum(axis=1, keepdims=True), atol=1e-9)


def test_two_clouds_are_found() -> None:
    codes = two_clouds()
    found = fit_mixture(codes, 2, draws())
    order = found.means[:, 0].argsort()
    assert found.weights[order].tolist() == pytest.approx([1 / 3, 2 / 3], abs=0.01)
    assert torch.allclose(found.means[order], torch.stack([codes[:100].mean(0), codes[100:].mean(0)]), atol=0.02)
    # Two further codes of the pooled covariance are in that of each.
    own = [torch.from_numpy(np.cov(part.numpy().T, bias=True)) for part in (codes[:100], codes[100:])]
    pooled = own[0] / 3 + 2 * own[1] / 3
    expected = [(100 * own[0] + 2 * pooled) / 102, (200 * own[1] + 2 * pooled) / 202]
    assert torch.allclose(found.covariances[order], torch.stack(expected), atol=0.02)


def test_one_component_is_mean_and_covariance() -> None:
    codes = two_clouds()
    found = fit_mixture(codes, 1, draws())
    assert torch.allclose(found.means[0], codes.mean(dim=0))
    assert np.allclose(found.covariances[0].numpy(), np.cov(codes.numpy().T, bias=True), atol=1e-4)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_few_codes_give_fewer_components(number: int) -> None:
    found = fit_mixture(torch.randn(number, 3, generator=draws()), 4, draws())
    assert found.weights.shape == (4,)
    assert float(found.weights.sum()) == pytest.approx(1)
    assert int((found.weights > 0).sum()) <= max(1, number // 2)
    assert bool(torch.isfinite(torch.linalg.cholesky(found.covariances)).all())


def test_codes_that_are_all_alike_are_drawn_again() -> None:
    density = CodeDensity(3, 2)
    density.fit(torch.full((10, 3), 2.0), torch.zeros(10), draws())
    assert torch.allclose(density(torch.randn(5, 5)), torch.full((5, 3), 2.0), atol=1e-2)


def test_before_a_fit_codes_are_the_numbers_themselves() -> None:
    latents = torch.randn(6, 5)
    assert torch.equal(CodeDensity(3, 4, 2)(latents, torch.tensor([0, 1, 0, 1, 0, 1])), latents[:, 2:])


def test_what_is_drawn_has_the_moments_of_what_was_fitted() -> None:
    codes = two_clouds(600)
    density = CodeDensity(2, 2)
    density.fit(codes, torch.zeros(600), draws())
    drawn = density(torch.randn(20_000, 4, generator=draws(1)))
    assert torch.allclose(drawn.mean(dim=0).double(), codes.mean(dim=0), atol=0.06)
    assert np.allclose(np.cov(drawn.numpy().T), np.cov(codes.numpy().T), rtol=0.05)
    assert float((drawn[:, 0] < -2).float().mean()) == pytest.approx(1 / 3, abs=0.02)


def test_truncation_narrows_components_and_keeps_their_shares() -> None:
    density = CodeDensity(2, 2)
    density.fit(two_clouds(600), torch.zeros(600), draws())
    latents = torch.randn(5000, 4, generator=draws(1))
    full, half = density(latents), density(latents * 0.5)
    assert torch.equal(full[:, 0] < -2, half[:, 0] < -2)
    near = full[:, 0] < -2
    assert torch.allclose(half[near].std(dim=0), full[near].std(dim=0) / 2, rtol=1e-3)


def test_each_class_has_a_density_of_its_own() -> None:
    codes, classes = two_clouds(300), torch.cat([torch.zeros(100), torch.ones(200)])
    density = CodeDensity(2, 2, 3)
    density.fit(codes, classes, draws())
    latents, numbers = torch.randn(300, 4, generator=draws(1)), torch.arange(300) % 3
    drawn = density(latents, numbers)
    assert bool((drawn[numbers == 0][:, 0] < -2).all())
    assert bool((drawn[numbers == 1][:, 0] > -1.5).all())
    assert torch.equal(drawn[numbers == 2], latents[numbers == 2][:, 2:])  # without codes, as it was
