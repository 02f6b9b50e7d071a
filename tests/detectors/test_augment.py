"""Augmentation of labelled slices: masks move with their slices, modalities of one scan change alike."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from synthoma.detectors.augment import augment_scans, drop_modalities, drop_neighbours
from synthoma.detectors.learning import AugmentConfig

STILL = AugmentConfig(flip=0, rotation=0, scale=0, shift=0, gamma=0, contrast=0, bias=0, noise=0, ghosting=0, blur=0)


def _draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _blob(count: int = 8, channels: int = 2) -> tuple[Tensor, Tensor]:
    """Bright discs off the centre on dark tissue, and their masks."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    disc = ((rows - 25) ** 2 + (columns - 38) ** 2 < 64).float()
    tissue = ((rows - 32) ** 2 + (columns - 32) ** 2 < 700).float()
    image = 0.3 * tissue + 0.6 * disc
    return image.expand(count, channels, 64, 64).clone(), disc.expand(count, 1, 64, 64).clone()


def test_nothing_changes_when_all_is_off() -> None:
    images, masks = _blob()
    changed, moved = augment_scans(images.clone(), masks, STILL, _draws(), channels=1)
    torch.testing.assert_close(changed, images, atol=1e-5, rtol=0)
    assert torch.equal(moved, masks)


def test_masks_move_with_their_slices() -> None:
    images, masks = _blob(16)
    strong = STILL.model_copy(update={"flip": 0.5, "rotation": 40.0, "scale": 0.2, "shift": 0.1})
    changed, moved = augment_scans(images.clone(), masks, strong, _draws(1), channels=1)
    assert set(moved.unique().tolist()) <= {0.0, 1.0}
    overlap = ((changed[:, :1] > 0.6) & (moved > 0)).sum() / ((changed[:, :1] > 0.6) | (moved > 0)).sum()
    assert overlap > 0.9
    places = torch.stack([torch.nonzero(mask[0]).float().mean(dim=0) for mask in moved])
    assert places.std(dim=0).min() > 2, "they should move to different places"


def test_flip_is_a_mirror() -> None:
    images, masks = _blob(2)
    mirror = STILL.model_copy(update={"flip": 1.0})
    changed, moved = augment_scans(images.clone(), masks, mirror, _draws(), channels=1)
    torch.testing.assert_close(changed, images.flip(-1), atol=1e-5, rtol=0)
    assert torch.equal(moved, masks.flip(-1))


def test_draws_are_a_function_of_the_generator() -> None:
    images, masks = _blob()
    first = augment_scans(images.clone(), masks, AugmentConfig(), _draws(5), channels=2)
    again = augment_scans(images.clone(), masks, AugmentConfig(), _draws(5), channels=2)
    other = augment_scans(images.clone(), masks, AugmentConfig(), _draws(6), channels=2)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("change", ["gamma", "contrast", "bias"])
def test_neighbouring_slices_change_alike(change: str) -> None:
    """Three slices of two modalities: the intensity curve belongs to the scan, not to the slice."""
    images, masks = _blob(4, channels=6)
    config = STILL.model_copy(update={change: 0.4})
    changed, _ = augment_scans(images.clone(), masks, config, _draws(2), channels=2)
    by_slice = changed.view(4, 3, 2, 64, 64)
    torch.testing.assert_close(by_slice[:, 0], by_slice[:, 1])
    torch.testing.assert_close(by_slice[:, 0], by_slice[:, 2])
    assert not torch.allclose(by_slice[:, 0, 0], by_slice[:, 0, 1], atol=1e-3), "modalities differ"


def test_air_stays_dark() -> None:
    images, masks = _blob(16)
    config = STILL.model_copy(update={"gamma": 0.5, "contrast": 0.3, "bias": 0.4})
    changed, _ = augment_scans(images.clone(), masks, config, _draws(3), channels=2)
    assert changed[images == 0].abs().max() < 0.02


def test_dropped_modalities_leave_one() -> None:
    images = torch.rand(400, 8, 4, 4, generator=_draws()) + 0.1
    images.view(400, 2, 4, 4, 4)[:, :, 3] = 0  # missing from the start
    kept = drop_modalities(images, 1.0, _draws(1), channels=4).view(400, 2, 4, 4, 4).amax(dim=(1, 3, 4)) > 0
    assert (kept.sum(dim=1) >= 1).all()
    assert not kept[:, 3].any()
    share = kept[:, :3].float().mean(dim=0)
    assert share.max() - share.min() < 0.1, "none is favoured"
    counts = kept.sum(dim=1)
    alone = float((counts == 1).float().mean())
    assert alone == pytest.approx(3**-0.5, abs=0.08), "the square of an even draw is below a third"
    assert {int(count) for count in counts.unique()} == {1, 2, 3}


def test_no_modality_is_dropped_without_chance() -> None:
    images = torch.rand(20, 3, 4, 4, generator=_draws()) + 0.1
    assert torch.equal(drop_modalities(images, 0.0, _draws(1), channels=3), images)


def test_dropped_neighbours_are_the_slice_itself() -> None:
    images = torch.rand(300, 6, 4, 4, generator=_draws())
    shown = drop_neighbours(images, 0.3, _draws(1), channels=2).view(300, 3, 2, 4, 4)
    middle = images.view(300, 3, 2, 4, 4)[:, 1]
    assert torch.equal(shown[:, 1], middle)
    alone = (shown[:, 0] == middle).flatten(1).all(dim=1)
    assert 0.2 < alone.float().mean() < 0.4
    assert torch.equal(shown[~alone], images.view(300, 3, 2, 4, 4)[~alone])
    assert torch.equal(shown[alone, 2], middle[alone])


def test_a_missing_modality_stays_missing() -> None:
    """Noise in an empty channel would look like a scan, and might be all that dropping modalities leaves."""
    images, masks = _blob(64, channels=4)
    images[:, 1::2] = 0
    changed, _ = augment_scans(images, masks, AugmentConfig(noise=0.1), _draws(4), channels=2)
    assert not changed[:, 1::2].any()
    kept = drop_modalities(changed, 1.0, _draws(5), channels=2)
    assert kept[:, 0::2].abs().amax(dim=(1, 2, 3)).min() > 0.1


def test_a_ghost_is_the_head_once_more_and_weaker() -> None:
    head = torch.zeros(64, 1, 32, 32)
    head[..., 12:20, 12:20] = 1
    only = STILL.model_copy(update={"ghosting": 1.0})
    ghosts, masks = augment_scans(head.clone(), head.clone(), only, torch.Generator().manual_seed(0), 1)
    torch.testing.assert_close(masks, head)  # where the tumour is does not change
    torch.testing.assert_close(ghosts.sum(dim=(1, 2, 3)), head.sum(dim=(1, 2, 3)))
    beside = (ghosts * (1 - head)).amax(dim=(1, 2, 3))
    assert (beside > 0).all()
    assert beside.max() <= 0.25 + 1e-6
    assert len(set(beside.tolist())) > 60
    for ghost in ghosts[:8, 0] * (1 - head[:8, 0]):  # shifted along rows or columns, not both
        assert bool(ghost[12:20].any()) != bool(ghost[:, 12:20].any())
