"""What the discriminator of a finished run thinks of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.dataset import TrainingSlices
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import Floats, Ints
from synthoma.generators.families import build_discriminator, family_of, network_of
from synthoma.generators.sampling import BLOCK
from synthoma.generators.settings import NetworkConfig
from synthoma.generators.shape import ImageShape
from synthoma.metrics.platt import Curve
from synthoma.training.bundle import Bundle, fitting, open_model


@dataclass(frozen=True)
class Critic:
    """A trained discriminator, ready to judge.

    Attributes:
        network: in evaluation mode.
        shape: of the images that it judges.
    """

    network: nn.Module
    shape: ImageShape

    @classmethod
    def of(cls, config: NetworkConfig, shape: ImageShape, weights: Mapping[str, Tensor]) -> Critic:
        """One with these weights."""
        network = build_discriminator(config, shape).eval()
        network.load_state_dict(weights)
        return cls(network, shape)

    @classmethod
    def open(cls, bundle: Bundle) -> Critic:
        """That of a model file.

        Raises:
            InputError: a description or weights that do not fit.
            ConfigError: a model that learned without one.
        """
        with fitting("a discriminator"):
            config, shape = network_of(bundle.meta.network), ImageShape(**bundle.meta.shape)
            return cls.of(config, shape, bundle.weights("discriminator"))

    def unmasked(self, images: Tensor) -> Tensor:
        """Planes (N, C + L, S, S) of images (N, C, S, S), with empty masks where it judges masks too."""
        # -1 is "no tumour" in the planes of labels.
        empty = images.new_full((len(images), self.shape.labels, *images.shape[2:]), -1.0)
        return torch.cat([images, empty], dim=1) if self.shape.labels else images

    @torch.no_grad()
    def said(self, planes: Tensor, classes: Tensor | None = None) -> Tensor:
        """Outputs (N,) for planes (N, C + L, S, S) in -1..1: of pieces their mean, of classes the highest.

        Args:
            planes: what is judged.
            classes: of each (N,); None for the class that suits it best.
        """
        guesses: list[Tensor | None] = [None]
        if self.shape.classes:
            each = range(self.shape.classes)
            guesses = [classes] if classes is not None else [torch.full((len(planes),), number) for number in each]
        columns = [
            torch.cat(
                [
                    self.network(planes[at : at + BLOCK], None if guess is None else guess[at : at + BLOCK])
                    for at in range(0, len(planes), BLOCK)
                ]
            )
            for guess in guesses
        ]
        # The class that suits it best: of an image of unknown class all others would count against it.
        return torch.stack(columns).amax(dim=0).reshape(len(planes), -1).mean(dim=1)

    def scores(self, planes: Tensor, classes: Tensor | None = None) -> Floats:
        """What ``said`` gives, as an array."""
        found: Floats = self.said(planes, classes).double().numpy()
        return found


def check_judge(bundle: Bundle) -> None:
    """Whether a generator's file can judge pictures, before any are read.

    Raises:
        ConfigError: it learned without a discriminator.
        InputError: its discriminator judges masks with the images, and nobody calibrated it on images alone.
    """
    with fitting("a discriminator"):
        family = family_of(network_of(bundle.meta.network))
    if family.discriminator is None:
        came = f"a {family.network}, which has none"
        raise ConfigError("a model with a discriminator", came, "give the run of a GAN")
    if bundle.meta.shape.get("labels") and bundle.meta.realness is None:
        todo = "train one without --with-masks, or on a cohort with 8 validation slices or more"
        raise InputError("a model that judges images alone", "one trained with masks", todo)


def judge_images(run: Path, images: Floats, classes: Tensor | None = None) -> tuple[Floats, str]:
    """What the discriminator of a run thinks of images (N, C, S, S) on the cohort's scale (0 background, 1 bright).

    A conditional model that is not told the classes (N,) gives each image the score of the class that suits it best.
    One that judges masks too is asked about the image with an empty one, see ``generators.realness``.

    Returns:
        Scores (N,), and what they are: "calibrated probability" (0 fake, 1 real, made on held-out scans and generated
        images, of which each is half); where nobody calibrated it, the discriminator's own "probability", or "critic
        score" (more is more real).

    Raises:
        InputError: images of another size, or a model that judges masks too and was not calibrated on images alone.
        ConfigError: a model that learned without a discriminator.
    """
    bundle = open_model(run, "generator")
    check_judge(bundle)
    shape = ImageShape(**bundle.meta.shape)
    expected = (shape.channels, shape.size, shape.size)
    if images.shape[1:] != expected:
        raise InputError(f"images of shape {expected}", f"{images.shape[1:]}", "prepare them as the model's cohort was")
    critic, realness = Critic.open(bundle), bundle.meta.realness
    planes = critic.unmasked(torch.from_numpy(np.clip(images, 0, 1).astype(np.float32) * 2 - 1))
    if realness is None:
        return _judged(bundle, critic, planes, classes)
    curve = Curve(realness.slope, realness.offset)
    return curve.chance(critic.scores(planes, classes)), "calibrated probability"


def judge_slices(run: Path, cohort: Cohort, rows: Ints) -> Floats:
    """What the discriminator of a run thinks of slices of a cohort, with their masks where it judges masks too; (N,).

    Raises:
        InputError: not a generator, or one of other images than the cohort's.
    """
    bundle = open_model(run, "generator")
    shape = ImageShape(**bundle.meta.shape)
    slices = TrainingSlices(cohort, rows, with_masks=bool(shape.labels), classes=tuple(bundle.meta.classes))
    planes = slices.fetch(np.arange(len(rows))).planes()
    expected = (shape.channels + shape.labels, shape.size, shape.size)
    if tuple(planes.shape[1:]) != expected:
        came = f"{tuple(planes.shape[1:])}"
        raise InputError(f"slices of shape {expected} (modalities and labels)", came, "give the run's own cohort")
    return _judged(bundle, Critic.open(bundle), planes, None)[0]


def _judged(bundle: Bundle, critic: Critic, planes: Tensor, classes: Tensor | None) -> tuple[Floats, str]:
    """Scores (N,) as the discriminator itself gives them, and what they are."""
    scores = critic.said(planes, classes)
    if str(bundle.meta.loss).startswith("bce"):
        return scores.sigmoid().double().numpy(), "probability"
    return scores.double().numpy(), "critic score"
