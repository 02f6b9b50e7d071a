"""Losses of segmenters against hand values and MONAI."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from synthoma.detectors.segmenters.losses import (
    SMOOTH,
    Tversky,
    dice_loss,
    focal_loss,
    focal_tversky_loss,
    segmentation_loss,
    tversky_loss,
)
from synthoma.detectors.segmenters.rival import Rival

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


def test_focal_tversky_of_the_seed_project() -> None:
    """Soft hits 1.6, misses 1.4, alarms 0.2: 1.6 / (1.6 + 0.7 * 1.4 + 0.3 * 0.2) = 0.606; 0.394 ** 0.75 = 0.4972."""
    chance = torch.tensor([[[[0.9, 0.6], [0.1, 0.2]]]])
    truth = torch.tensor([[[[1.0, 1.0], [1.0, 0.0]]]])
    logits = torch.logit(chance)
    for smooth, value in ((1e-6, 0.4972), (1.0, 0.3908)):
        found = segmentation_loss("focal-tversky", logits, truth, Tversky(0.7, 0.75, smooth))
        assert float(found) == pytest.approx(value, abs=5e-5)
    assert float(segmentation_loss("tversky", logits, truth, Tversky(0.4, 9.0, 1e-6))) == pytest.approx(
        1 - 1.6 / (1.6 + 0.4 * 1.4 + 0.6 * 0.2), rel=1e-5
    )
    usual = [segmentation_loss("focal-tversky", logits, truth, weights) for weights in (None, Tversky())]
    assert torch.equal(*usual)


def test_what_a_segmenter_wants_of_its_discriminator() -> None:
    """With 0.1 off its target: 0.9 * -log p - 0.1 * log(1 - p); masks are shown through a tanh where that is asked."""
    seen: list[Tensor] = []

    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pairs: Tensor) -> Tensor:
            seen.append(pairs)
            return torch.full((len(pairs), 1), 2.0) + self.weight

    p = 1 / (1 + math.exp(-2.0))
    images, logits, masks = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)

    def rival(**changes: object) -> Rival:
        return Rival(Fixed(), 1.0, 1e-3, 0.1, sees_image=False, device="cpu", **changes)  # type: ignore[arg-type]

    assert float(rival().opinion(images, logits)) == pytest.approx(-math.log(p))
    assert float(seen[-1].mean()) == pytest.approx(2 / (1 + math.exp(-0.5)) - 1)
    smooth = rival(aim=0.1, shown="seed")
    assert float(smooth.opinion(images, logits)) == pytest.approx(-0.9 * math.log(p) - 0.1 * math.log(1 - p))
    assert float(seen[-1].mean()) == pytest.approx(math.tanh(0.5))
    smooth.learn(images, masks * 0, logits)
    assert [float(pairs.mean()) for pairs in seen[-2:]] == pytest.approx([0.0, math.tanh(0.5)])
    rival(shown="tanh").learn(images, masks * 0, logits)
    assert float(seen[-2].mean()) == -1
