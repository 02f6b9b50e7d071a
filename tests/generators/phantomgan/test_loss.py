from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from synthoma.generators.phantomgan.loss import _grown, lesion_contrast, structure_loss


def picture(seed: int) -> torch.Tensor:
    noise = np.random.default_rng(seed).normal(size=(2, 1, 48, 48))
    return torch.from_numpy(ndimage.gaussian_filter(noise, (0, 0, 2, 2)) * 3)


def test_gain_and_level_of_a_neighbourhood_do_not_count() -> None:
    first = picture(0)
    shading = torch.linspace(0.5, 1.4, 48, dtype=torch.float64)
    assert float(structure_loss(first, first)) == pytest.approx(0, abs=5e-3)
    assert float(structure_loss(first, 0.4 * first + 0.3)) == pytest.approx(0, abs=5e-3)
    assert float(structure_loss(first, -first)) == pytest.approx(2, abs=5e-3)  # a contrast turned over is another
    assert float(structure_loss(first, first * shading)) < 0.08


def test_another_picture_has_another_structure() -> None:
    assert float(structure_loss(picture(0), picture(1))) > 0.6
    noise = 0.1 * torch.randn(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    small, large = (float(structure_loss(picture(0), picture(0) + part)) for part in (noise, 5 * noise))
    assert 0 < small < large


def test_one_window_by_hand() -> None:
    """In the middle of a 3 x 3 picture and window: 1 - r of the nine values."""
    draws = np.random.default_rng(3)
    one, other = draws.normal(size=(2, 3, 3)) * [[[1.0]], [[0.2]]]  # the second fainter: nothing is invented
    found = structure_loss(*(torch.from_numpy(part)[None, None] for part in (one, other)), window=5)
    # Every window of 5 holds the whole picture where it is not cut: only the middle one is compared by hand.
    r = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    middle = torch.from_numpy(np.stack([one, other]))[:, None]
    assert float(structure_loss(middle[:1], middle[1:], window=5)) == pytest.approx(float(found))
    assert float(structure_loss(middle[:1], middle[1:], window=99)) == pytest.approx(1 - r, abs=1e-4)


def test_grain_where_the_original_is_flat_costs_nothing() -> None:
    first = picture(0)
    first[:, :, :, 24:] = 0
    painted = first.clone()
    painted[:, :, :, 34:] += 0.1 * torch.randn(2, 1, 48, 14, generator=torch.Generator().manual_seed(0))
    assert float(structure_loss(first, painted)) < 0.01


def test_a_band_where_the_original_is_flat_costs() -> None:
    """Its correlation has no weight there; its deviation has, beyond what a faint edge may have."""
    first = picture(0)
    first[:, :, :, 24:] = 0
    painted, faint = first.clone(), first.clone()
    painted[:, :, 20:28, 34:44] += 0.8
    faint[:, :, 20:28, 34:44] += 0.05
    assert float(structure_loss(first, faint)) < 0.01
    assert float(structure_loss(first, painted)) > 0.1
    painted.requires_grad_(True)
    structure_loss(first, painted).backward()
    gradient = painted.grad
    assert gradient is not None
    assert float(gradient[:, :, 20:28, 34:44].sum()) > 0  # downhill is darker


def test_the_gradient_goes_to_the_repainted_picture_alone() -> None:
    first, second = picture(0).requires_grad_(True), picture(1).requires_grad_(True)
    structure_loss(first, second).backward()
    assert first.grad is None
    assert second.grad is not None
    assert torch.isfinite(second.grad).all()
    flat = torch.zeros(1, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    structure_loss(torch.zeros(1, 1, 16, 16, dtype=torch.float64), flat).backward()
    assert torch.isfinite(flat.grad).all()  # type: ignore[arg-type]


def lesions(brightness: float, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A head of -0.2 in air of -1 with a square lesion, and its label planes: the lesion, and one that is empty."""
    images = torch.full((1, 1, size, size), -1.0, dtype=torch.float64)
    images[:, :, 8:56, 8:56] = -0.2
    images[:, :, 24:34, 24:34] = brightness
    labels = torch.full((1, 2, size, size), -1.0, dtype=torch.float64)
    labels[:, 0, 24:34, 24:34] = 1
    return images, labels


def test_the_contrast_of_a_lesion_is_that_to_the_brain_around_it() -> None:
    images, labels = lesions(0.3)
    found = lesion_contrast(images, labels)
    assert found.shape == (1, 2, 1, 2)
    assert found[0, 0, 0].tolist() == pytest.approx([0.5, 0.5])
    assert torch.isnan(found[0, 1]).all()
    images[:, :, 8:56, 8:22] = -1.0  # air where the ring would be does not count
    images[:, :, 36:38, 24:34] = 0.9  # nor does a bright scalp beside it
    assert lesion_contrast(images, labels)[0, 0, 0].tolist() == pytest.approx([0.5, 0.5])


def test_a_hollow_lesion_is_told_from_a_faint_one() -> None:
    images, labels = lesions(0.3)
    images[:, :, 28:33, 25:33] = -0.7  # 40 of 100 pixels are a dark cyst, 60 a bright rim
    bright, dark = lesion_contrast(images, labels)[0, 0, 0].tolist()
    assert bright == pytest.approx(0.5)
    assert dark == pytest.approx(0.1)  # all are at most as bright as the median


def test_slices_without_lesions_do_not_spoil_the_gradient() -> None:
    images, labels = lesions(0.3)
    images = torch.cat([images, images]).requires_grad_(True)
    contrast = lesion_contrast(images, torch.cat([labels, torch.full_like(labels, -1)]))
    contrast[torch.isfinite(contrast)].sum().backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    assert float(images.grad[0, 0, 24:34, 24:34].sum()) == pytest.approx(2)  # of both halves
    assert float(images.grad[1].abs().sum()) == 0


@pytest.mark.parametrize("pixels", [1, 3, 8])
def test_growing_by_rows_and_columns_is_growing_by_squares(pixels: int) -> None:
    inside = (torch.rand(3, 1, 20, 20, generator=torch.Generator().manual_seed(0)) > 0.97).float()
    square = F.max_pool2d(inside, 2 * pixels + 1, stride=1, padding=pixels)
    assert torch.equal(_grown(inside, pixels), square)
