"""Detectors as the seed projects trained them, with their flaws, and corrected: `--recipe seed` and `corrected`.

What the seeds prepared otherwise is a matter of `synthoma prepare`: z-scores or values over 255, the stretch to a
square, sagittal slices of 28 px, and the split by slices that leaks. What cannot be reproduced from here: weights that
were learned from ImageNet, and Keras's own draws.
"""

from __future__ import annotations

from typing import Any

from synthoma.detectors.learning import STILL, AugmentConfig
from synthoma.detectors.models import CLASSIFIERS, SEED_HEAD, SEGMENTERS
from synthoma.detectors.settings import ClassifierConfig, SegmenterConfig
from synthoma.training.settings import Recipes

_KERAS: dict[str, Any] = {
    "optimiser": "adam", "weight_decay": 0.0, "clip": 0.0, "ema_images": 0.0, "draw": "slices",
    "modality_dropout": 0.0, "context_dropout": 0.0, "augment": AugmentConfig(**STILL),
}  # fmt: skip
"""What none of the seeds had: decay, clipping, averaged weights, patients drawn evenly, augmentation."""

_PLATEAU: dict[str, Any] = {"schedule": "plateau", "plateau_patience": 10, "plateau_factor": 0.2, "plateau_delta": 1e-4}

SEEDS: Recipes = {
    "resunet-seed": {
        # Tumour slices only, z-scored, at a rate of 0.05 that Adam's epsilon of 0.1 tames; focal Tversky over a batch.
        "seed": (
            SegmenterConfig(
                network="resunet-seed", loss="focal-tversky", tversky_alpha=0.7, tversky_gamma=0.75,
                tversky_smooth=1e-6, rate=0.05, epsilon=0.1, batch=16, tumour_share=1.0, scale="zscore",
                **_KERAS, **_PLATEAU,
            ),
            {"snapshots": 60, "patience": 20},
        ),
        # Slices without tumour too, patients drawn evenly, augmentation, averaged weights, grey values from 0 to 1.
        "corrected": (SEGMENTERS["resunet-seed"][1], {}),
    },
    "mask-dcgan-seed": {
        # No term but the discriminator's opinion, and that sees masks alone: any plausible mask would do.
        "seed": (
            SegmenterConfig(
                network="mask-seed", critic="mask-seed", critic_sees_image=False, critic_masks="seed", supervised=0.0,
                adversarial=1.0, label_smoothing=0.1, target_smoothing=0.1, rate=2e-4, critic_rate=2e-4, beta1=0.5,
                epsilon=1e-7, schedule="constant", batch=5, tumour_share=None, **_KERAS,
            ),
            {},
        ),
        # The discriminator sees the slice, masks are in -1 to 1 on both sides, and are held against the given ones.
        "corrected": (SEGMENTERS["mask-dcgan-seed"][1], {}),
    },
    "resnet50-seed": {
        # From random weights where the seed's were ImageNet's; its rate is not known, so it is Keras's usual one.
        "seed": (
            ClassifierConfig(
                network="resnet50", rate=1e-3, epsilon=1e-7, batch=16, label_smoothing=0.0, balance=False,
                **SEED_HEAD, **_KERAS, **_PLATEAU,
            ),
            {"patience": 20},
        ),
        "corrected": (CLASSIFIERS["resnet50-seed"][1], {}),
    },
}  # fmt: skip
"""Model -> recipe -> its settings, and those of the training beside them."""

EPOCHS = {"resunet-seed": 60, "mask-dcgan-seed": 100}
"""How often the seeds showed each slice, at most; the classifier's is not known."""
