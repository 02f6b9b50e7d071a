"""What a critic's score means: at the end of a training, held-out scans against images of the finished generator.

A discriminator's output is no probability of a new scan being real: it knows its training slices, and a Wasserstein or
relativistic critic has not even a zero. Both groups here are new to it. Pictures that are judged later bear no masks,
so a discriminator of images with masks is asked about both groups with an empty one, which is what it will see then:
what it can tell without the mask is what is calibrated. That may be nothing, where it looks for masks that fit; every
probability is 0.5 then, and ``auc`` says so. A mask found by a detector would add that detector's errors, and masks
drawn by the generator (the best or the mean of sixteen) told no more in trials.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from synthoma.cohorts.dataset import TrainingSlices, spread
from synthoma.core.seeding import stream_key
from synthoma.generators.family import GeneratorPlan, Material
from synthoma.generators.gan.watching import ranked
from synthoma.generators.judge import Critic
from synthoma.generators.plan import held_out_rows
from synthoma.metrics.platt import platt
from synthoma.training.meta import Realness

MOST = 512
"""Images on each side."""

BLOCK = 64


def realness_of(plan: GeneratorPlan, material: Material, tensors: Mapping[str, Tensor]) -> Realness | None:
    """How a finished model's scores become probabilities; None without a discriminator, or held-out slices.

    Args:
        plan: what was learned; its validation split is the real side.
        material: what images are made of.
        tensors: of the finished model, "generator.<name>" and "discriminator.<name>".
    """
    # Validation slices, which a snapshot was chosen by but no weight learned from. Test slices stay unseen by all.
    rows = spread(held_out_rows(plan), MOST)
    weights = _weights(tensors, "discriminator")
    if plan.family.discriminator is None or not weights or not len(rows):
        return None
    slices = TrainingSlices(plan.cohort, rows, classes=plan.classes)
    images = slices.fetch(np.arange(len(rows))).images
    critic = Critic.of(plan.config.gan, plan.shape, weights)
    real = critic.scores(critic.unmasked(images))
    drawn = critic.scores(critic.unmasked(_drawn(plan, material, tensors)[:, : plan.shape.channels]))
    curve = platt(real, drawn)
    return Realness(
        slope=curve.slope,
        offset=curve.offset,
        real=len(real),
        generated=len(drawn),
        auc=round(ranked(real, drawn), 4),
        empty_mask=bool(plan.shape.labels),
    )


@torch.no_grad()
def _drawn(plan: GeneratorPlan, material: Material, tensors: Mapping[str, Tensor]) -> Tensor:
    """As many planes (N, C + L, S, S) of the finished generator, classes as often as among the training slices."""
    generator = plan.family.generator(plan.config.gan, plan.shape).eval()
    generator.load_state_dict(_weights(tensors, "generator"))
    draws = torch.Generator().manual_seed(stream_key(plan.config.seed, "training.realness") % 2**63)
    latents = material.latents.batch(MOST // 2, draws)
    # In the shares of the training slices, as the generator drew them while its discriminator learned.
    known = plan.slices.classes[plan.rows]
    classes = torch.from_numpy(known)[torch.randint(len(known), (len(latents),), generator=draws)]
    label = classes if plan.shape.classes else None
    parts = [slice(at, at + BLOCK) for at in range(0, len(latents), BLOCK)]
    return torch.cat([generator(latents[part], None if label is None else label[part]).float() for part in parts])


def _weights(tensors: Mapping[str, Tensor], network: str) -> dict[str, Tensor]:
    prefix = f"{network}."
    return {name.removeprefix(prefix): one.cpu() for name, one in tensors.items() if name.startswith(prefix)}
