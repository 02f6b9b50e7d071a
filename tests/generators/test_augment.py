from __future__ import annotations

import pytest
import torch
from torch import Tensor

from synthoma.generators.augment import augment

ALL = ("brightness", "contrast", "translation", "cutout", "mirror")
SIDE = 16


def draws(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def planes() -> Tensor:
    """Two modalities, and a label whose border is the border of a bright square in both."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(6, 2, SIDE, SIDE, generator=generator) * 0.2 - 0.9
    masks = torch.full((6, 1, SIDE, SIDE), -1.0)
    images[:, :, 5:9, 3:10] += 1.2
    masks[:, :, 5:9, 3:10] = 1.0
    return torch.cat([images, masks], dim=1)


@pytest.mark.parametrize("change", [change for change in ALL if change != "mirror"])
def test_probability_zero_changes_nothing_and_one_everything(planes: Tensor, change: str) -> None:
    assert torch.equal(augment(planes, (change,), 0.0, draws(), 2), planes)
    changed = augment(planes, (change,), 1.0, draws(5), 2)
    assert changed.shape == planes.shape
    assert ((changed != planes).flatten(1).any(dim=1)).sum() >= 5  # a shift may be drawn as (0, 0)


def test_a_probability_between_changes_about_that_share() -> None:
    images = torch.rand(600, 1, 4, 4)
    changed = (augment(images, ("mirror",), 0.3, draws(), 1) != images).flatten(1).any(dim=1)
    assert 0.1 < changed.float().mean() < 0.2  # a mirror turns half of the images that it is applied to
    changed = (augment(images, ("brightness",), 0.3, draws(), 1) != images).flatten(1).any(dim=1)
    assert 0.22 < changed.float().mean() < 0.38


def test_a_mirror_leaves_half_of_the_images_as_they_are() -> None:
    """At probability 1, too: were all of them turned, every drawn head would have its left on the right."""
    images = torch.rand(600, 1, 4, 4)
    seen = augment(images, ("mirror",), 1.0, draws(), 1)
    same, turned = (seen == images).flatten(1).all(dim=1), (seen == images.flip(-1)).flatten(1).all(dim=1)
    assert (same ^ turned).all()
    assert 0.42 < turned.float().mean() < 0.58


@pytest.mark.parametrize("change", ["translation", "cutout", "mirror"])
def test_labels_move_with_the_image_and_keep_their_values(planes: Tensor, change: str) -> None:
    changed = augment(planes, (change,), 1.0, draws(), 2)
    label = changed[:, 2]
    assert set(label.unique().tolist()) <= {-1.0, 1.0}
    for channel in (0, 1):
        bright = (changed[:, channel] > 0.1) & (changed[:, channel] != 0)
        assert torch.equal(bright, label > 0)


@pytest.mark.parametrize("change", ["brightness", "contrast"])
def test_grey_values_change_without_the_labels(planes: Tensor, change: str) -> None:
    changed = augment(planes, (change,), 1.0, draws(), 2)
    assert torch.equal(changed[:, 2], planes[:, 2])
    assert (changed[:, :2] != planes[:, :2]).any()


def test_brightness_adds_and_contrast_keeps_the_mean(planes: Tensor) -> None:
    added = (augment(planes, ("brightness",), 1.0, draws(), 2) - planes)[:, :2].flatten(1)
    assert torch.allclose(added, added[:, :1].expand_as(added), atol=1e-6)
    assert added.abs().max() <= 0.2
    steeper = augment(planes, ("contrast",), 1.0, draws(), 2)[:, :2]
    assert torch.allclose(steeper.mean(dim=(1, 2, 3)), planes[:, :2].mean(dim=(1, 2, 3)), atol=1e-5)


def test_a_shift_brings_background_in_and_stays_within_an_eighth(planes: Tensor) -> None:
    changed = augment(planes + 5, ("translation",), 1.0, draws(), 2)
    moves = set()
    for before, after in zip(planes + 5, changed, strict=True):
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(
                before[:, max(0, -down) : SIDE - max(0, down), max(0, -right) : SIDE - max(0, right)],
                after[:, max(0, down) : SIDE + min(0, down), max(0, right) : SIDE + min(0, right)],
            )
        ]
        assert len(found) == 1
        outside = torch.ones(SIDE, SIDE, dtype=torch.bool)
        down, right = found[0]
        outside[max(0, down) : SIDE + min(0, down), max(0, right) : SIDE + min(0, right)] = False
        assert (after[:, outside] == -1).all()
        moves.add(found[0])
    assert len(moves) > 2


def test_a_cut_covers_three_eighths_of_the_side() -> None:
    images = torch.ones(64, 1, SIDE, SIDE)
    covered = (augment(images, ("cutout",), 1.0, draws(), 1) == 0)[:, 0]
    assert max(covered.any(dim=1).sum(dim=1).tolist()) == SIDE * 3 // 8
    assert max(covered.any(dim=2).sum(dim=1).tolist()) == SIDE * 3 // 8
    assert covered.sum() > 64 * 6


def test_one_seed_gives_one_result(planes: Tensor) -> None:
    assert torch.equal(augment(planes, ALL, 0.7, draws(9), 2), augment(planes, ALL, 0.7, draws(9), 2))
    assert not torch.equal(augment(planes, ALL, 0.7, draws(9), 2), augment(planes, ALL, 0.7, draws(10), 2))


def test_gradients_flow_through_all_changes(planes: Tensor) -> None:
    planes.requires_grad_(True)
    augment(planes, ALL, 1.0, draws(), 2).sum().backward()
    assert (planes.grad.abs().flatten(1).sum(dim=1) > 0).all()
