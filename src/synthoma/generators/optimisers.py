"""What moves the weights of a generator and of what teaches it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from synthoma.generators.settings import GanConfig


def optimiser_of(gan: GanConfig, parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
    """The optimiser that ``gan.optimiser`` names, at this learning rate.

    - ``adam`` (Kingma & Ba 2015), with ``gan.beta1`` and ``gan.beta2``.
    - ``adamw``: its weights also shrink by 0.01 of the rate at each step (Loshchilov & Hutter 2019).
    - ``rmsprop`` (Tieleman & Hinton 2012): gradients over the root of their mean square, remembered as ``gan.beta2``
      says, and no memory of the gradient itself. Momentum makes the training of a clipped critic unsteady (Arjovsky
      et al. 2017, section 4).
    """
    # torch 2.13 refuses betas of integers.
    moments = (float(gan.beta1), float(gan.beta2))
    if gan.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, alpha=moments[1])
    return (torch.optim.AdamW if gan.optimiser == "adamw" else torch.optim.Adam)(parameters, rate, moments)
