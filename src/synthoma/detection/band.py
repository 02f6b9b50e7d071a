"""How sure the outline is: an outer and an inner one, from a low and from a high probability on."""

from __future__ import annotations

from dataclasses import dataclass

from synthoma.core.types import Bools
from synthoma.detection.board_records import BandFindings
from synthoma.detection.findings import tidy, volume
from synthoma.detection.seen import Seen


@dataclass(frozen=True)
class Band:
    """Masks (z, y, x) on the scan's own grid, the inner one within the outer one."""

    outer: Bools
    inner: Bools
    limits: tuple[float, float]

    @classmethod
    def of(cls, seen: Seen, limits: tuple[float, float]) -> Band:
        """The band of the whole tumour between two probabilities, the lower one first."""
        chances = seen.probabilities[0]
        return cls(chances >= limits[0], chances >= limits[1], limits)

    def remarks(self, seen: Seen) -> list[str]:
        """What its reader should know: the mask lies between both outlines only if its threshold does."""
        low, high = self.limits
        threshold = seen.thresholds[0]
        if low <= threshold <= high:
            return []
        where = "within the inner" if threshold > high else "beyond the outer"
        return [
            f"the mask, from a probability of {threshold:.2g} on, lies {where} outline of the band {low:g} to {high:g}"
        ]

    def segments(self) -> dict[str, Bools]:
        """Both masks by the name of a segment."""
        low, high = self.limits
        named = {f"Outer outline (probability from {low:g})": self.outer}
        return named | {f"Inner outline (probability from {high:g})": self.inner}

    def findings(self, seen: Seen) -> BandFindings:
        """What findings.json says of it."""
        geometry = seen.framing.source
        solid = geometry if geometry is not None and geometry.thick else None
        return BandFindings(
            outer_from=self.limits[0],
            inner_from=self.limits[1],
            outer_volume=tidy(volume(self.outer, solid)),
            inner_volume=tidy(volume(self.inner, solid)),
        )
