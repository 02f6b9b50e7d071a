"""Losses of segmenters against hand values and MONAI."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from synthoma.detectors.segmenters.losses import (
    SMOOTH,
    dice_loss,
    focal_loss,
    focal_tversky_loss,
    segmentation_loss,
    tversky_loss,
)

SURE = 40.0


def _logits(found: Tensor) -> Tensor:
    """Logits of a network that is certain."""
    return (found * 2 - 1) * SURE


def _case() -> tuple[Tensor, Tensor]:
    """Ten pixels of tumour of which six are found, and three others that are said to be tumour."""
    truth, said = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    truth.view(-1)[:10] = 1
    said.view(-1)[4:13] = 1
    return _logits(said), truth


def test_dice_by_hand() -> None:
    logits, truth = _case()
    assert float(dice_loss(logits, truth)) == pytest.approx(1 - (6 + SMOOTH) / (6 + 0.5 * 4 + 0.5 * 3 + SMOOTH))


def test_missed_tumour_weighs_more_than_false_alarm() -> None:
    logits, truth = _case()
    index = (6 + SMOOTH) / (6 + 0.7 * 4 + 0.3 * 3 + SMOOTH)
    assert float(tversky_loss(logits, truth)) == pytest.approx(1 - index)
    assert float(focal_tversky_loss(logits, truth)) == pytest.approx((1 - index) ** 0.75)


def test_overlap_is_taken_over_the_batch() -> None:
    """A slice without tumour adds its false alarms to the batch's, and nothing where it stays empty."""
    logits, truth = _case()
    empty = torch.full((1, 1, 8, 8), -SURE)
    longer = torch.cat([logits, empty]), torch.cat([truth, torch.zeros(1, 1, 8, 8)])
    assert float(dice_loss(*longer)) == pytest.approx(float(dice_loss(logits, truth)))


def test_perfect_and_empty_predictions() -> None:
    truth = torch.zeros(1, 1, 8, 8)
    for name in ("bce-dice", "tversky", "focal-tversky", "dice-focal"):
        assert float(segmentation_loss(name, _logits(truth), truth)) == pytest.approx(0, abs=1e-4)


def test_focal_loss_by_hand() -> None:
    logits = torch.tensor([[[[math.log(0.8 / 0.2)]]]])
    truth = torch.ones(1, 1, 1, 1)
    assert float(focal_loss(logits, truth)) == pytest.approx(0.2**2 * -math.log(0.8))


def test_targets_are_judged_each_for_itself() -> None:
    """Channels that contain one another are no classes: finding both is perfect."""
    truth = torch.ones(1, 2, 4, 4)
    assert float(segmentation_loss("bce-dice", _logits(truth), truth)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", ["bce-dice", "tversky", "focal-tversky", "dice-focal"])
def test_gradients_are_finite_where_nothing_is_left_to_learn(name: str) -> None:
    for truth in (torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)):
        logits = _logits(truth).requires_grad_()
        segmentation_loss(name, logits, truth).backward()  # type: ignore[arg-type]
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


def test_same_as_monai() -> None:
    from monai.losses import DiceLoss, FocalLoss, TverskyLoss

    draws = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 2, 9, 7, generator=draws)
    truth = (torch.rand(3, 2, 9, 7, generator=draws) < 0.3).float()
    # MONAI's smoothing is added to 2 x the overlap in its Dice, to the overlap itself in its Tversky loss.
    theirs = DiceLoss(sigmoid=True, batch=True, smooth_nr=2 * SMOOTH, smooth_dr=2 * SMOOTH)(logits, truth)
    assert float(dice_loss(logits, truth)) == pytest.approx(float(theirs), abs=1e-6)
    # Their alpha weighs the false positives, their beta the false negatives.
    weighted = TverskyLoss(sigmoid=True, batch=True, alpha=0.3, beta=0.7, smooth_nr=SMOOTH, smooth_dr=SMOOTH)
    assert float(tversky_loss(logits, truth)) == pytest.approx(float(weighted(logits, truth)), abs=1e-6)
    assert float(focal_loss(logits, truth)) == pytest.approx(float(FocalLoss(gamma=2.0)(logits, truth)), abs=1e-6)
