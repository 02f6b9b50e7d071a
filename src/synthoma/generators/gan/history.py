"""Historical averaging: a player is not to go far from the mean of its past weights (Salimans et al. 2016, 3.3).

Players that circle around an equilibrium come nearer to it when each is pulled to where it has been on average.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from synthoma.generators.gan.losses import distance_from_the_past


class PastWeights:
    """The mean of a network's weights over the steps that it has taken.

    Args:
        network: whose; its present weights count once it takes its first step.
    """

    def __init__(self, network: nn.Module) -> None:
        self.parameters = list(network.parameters())
        self.means = [parameter.detach().clone() for parameter in self.parameters]
        self.count = 0

    def penalty(self) -> Tensor:
        """Take the present weights into the mean, and give their squared distance from it; once before each step."""
        self.count += 1
        with torch.no_grad():
            for mean, parameter in zip(self.means, self.parameters, strict=True):
                # A running mean moves by less and less. A sum over all steps would lose the digits of the newest
                # weights.
                mean += (parameter - mean) / self.count
        return distance_from_the_past(self.parameters, self.means)

    def state(self, name: str) -> dict[str, Tensor]:
        """What the next step depends on, as "<name>.<number of the parameter>" and "<name>.count"."""
        means = {f"{name}.{number}": mean for number, mean in enumerate(self.means)}
        return {**means, f"{name}.count": torch.tensor(self.count)}

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Put back what ``state`` took, given without the name."""
        self.count = int(stored["count"])
        with torch.no_grad():
            for number, mean in enumerate(self.means):
                mean.copy_(stored[str(number)])
