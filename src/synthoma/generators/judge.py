"""What the discriminator of a finished run thinks of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.dataset import TrainingSlices
from synthoma.core.errors import InputError
from synthoma.core.types import Floats, Ints
from synthoma.generators.families import build_discriminator, network_of
from synthoma.generators.sampling import BLOCK
from synthoma.generators.shape import ImageShape
from synthoma.training.bundle import Bundle, fitting, open_model


def judge_images(run: Path, images: Floats, classes: Tensor | None = None) -> tuple[Floats, str]:
    """What the discriminator of a run thinks of images (N, C, S, S) on the cohort's scale (0 background, 1 bright).

    A conditional model that is not told the classes (N,) gives each image the score of the class that suits it best.

    Returns:
        Scores (N,), and what they are: "probability" (0 fake, 1 real) or "critic score" (more is more real).

    Raises:
        InputError: images of another size, or a model that judges masks too.
    """
    bundle = open_model(run, "generator")
    shape = ImageShape(**bundle.meta.shape)
    if shape.labels:
        raise InputError("a model that judges images alone", "one trained with masks", "train one without --with-masks")
    expected = (shape.channels, shape.size, shape.size)
    if images.shape[1:] != expected:
        raise InputError(f"images of shape {expected}", f"{images.shape[1:]}", "prepare them as the model's cohort was")
    return _judged(bundle, shape, torch.from_numpy(np.clip(images, 0, 1).astype(np.float32) * 2 - 1), classes)


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
    return _judged(bundle, shape, planes, None)[0]


def _judged(bundle: Bundle, shape: ImageShape, planes: Tensor, classes: Tensor | None) -> tuple[Floats, str]:
    with fitting("a discriminator"):
        config = network_of(bundle.meta.network)
        network = build_discriminator(config, shape).eval()
        network.load_state_dict(bundle.weights("discriminator"))
    guesses: list[Tensor | None] = [None]
    if shape.classes:
        each = range(shape.classes)
        guesses = [classes] if classes is not None else [torch.full((len(planes),), number) for number in each]
    with torch.no_grad():
        columns = [
            torch.cat(
                [
                    network(planes[at : at + BLOCK], None if guess is None else guess[at : at + BLOCK])
                    for at in range(0, len(planes), BLOCK)
                ]
            )
            for guess in guesses
        ]
    scores = torch.stack(columns).amax(dim=0).reshape(len(planes), -1).mean(dim=1)  # of pieces, their mean
    if str(bundle.meta.loss).startswith("bce"):
        return scores.sigmoid().double().numpy(), "probability"
    return scores.double().numpy(), "critic score"
