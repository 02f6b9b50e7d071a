"""What a generator draws, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageShape:
    """What a generator draws: ``channels`` modalities and ``labels`` mask channels, ``size`` pixels a side.

    ``classes`` is the number of classes that can be asked for; 0 for a generator that knows none.
    """

    size: int
    channels: int
    labels: int = 0
    classes: int = 0

    @property
    def planes(self) -> int:
        """Channels of the network's images."""
        return self.channels + self.labels
