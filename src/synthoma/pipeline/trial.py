"""Images tried before a cohort is drawn: the first that `generate` would give, and what lies between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.progress import Progress, silent
from synthoma.core.types import Bytes, Floats
from synthoma.pipeline.asked import Asked, simulated_for
from synthoma.pipeline.cohort import Cohort

if TYPE_CHECKING:
    from synthoma.generators.sampling import Sampler
    from synthoma.training.meta import Simulation

MOST = 16
"""Images of a trial: as many as simulated patients are chosen for together."""


def asked_tumour(ml: float | None, lobe: str, side: str) -> Simulation:
    """What is asked of simulated tumours, for ``Trial.open``.

    Args:
        ml: volume of each; None for any.
        lobe: where each starts; "" for anywhere.
        side: of the patient on which each starts; "" for either.

    Raises:
        ConfigError: no such lobe or side, or a volume out of range.
    """
    from synthoma.generators.request import GenerateConfig

    asked = {"tumour_ml": ml, "tumour_lobe": lobe or None, "tumour_side": side or None}
    return GenerateConfig.resolve(flags={name: value for name, value in asked.items() if value is not None}).tumour()


@dataclass(frozen=True)
class Trial:
    """A generator whose first images are looked at while dials turn.

    Image number i is that which `generate` gives with the same seed, class and tumour, bit for bit.

    Attributes:
        sampler: the generator; with patients of its own where it repaints.
        seed: of the images.
        label: class of all images; None where classes come in turn.
    """

    sampler: Sampler
    seed: int = 0
    label: str | None = None

    @classmethod
    def open(
        cls, run: Path, folder: Path, *, seed: int = 0, label: str | None = None, tumour: Simulation | None = None,
        progress: Progress = silent,
    ) -> Trial:  # fmt: skip
        """Open a run; where it repaints, its patients are simulated, which takes seconds.

        Args:
            run: the run, or its model file.
            folder: an existing, empty folder for simulated patients; it must stay as long as the trial is used.
            seed: of the images.
            label: class of all images; None where classes come in turn.
            tumour: what the tumours of simulated patients are to be, as for ``generate``.
            progress: told how far it is.

        Raises:
            InputError: no finished generator there.
            ConfigError: a class that the model does not know or cannot choose, or tumours that it does not simulate.
        """
        from synthoma.generators.phantomgan.patients import in_order
        from synthoma.generators.sampling import Sampler

        asked = Asked(run, MOST, None, None, seed, label, 1.0, None, (1, 1), None, tumour or {}, whole=True)
        bundle = asked.checked(folder, None)
        simulated, first = simulated_for(asked, bundle, folder, progress)
        sampler = Sampler.open(run, None if simulated is None else Cohort(simulated), label)
        return cls(sampler if first is None else in_order(sampler, first), seed, label)

    def images(self, count: int, truncation: float = 1.0) -> tuple[Floats, Bytes]:
        """The first images.

        Args:
            count: how many, 1 to 16.
            truncation: factor on the latents, above 0 and at most 1.

        Returns:
            Images (N, C, S, S), half precision as cohorts hold them, and masks (N, S, S).
        """
        from synthoma.generators.sampling import draw_piece

        images, masks, _ = draw_piece(self.sampler, (0, 0, count), self.seed, self.label, truncation, None)
        return images, masks

    def between(self, one: int, other: int, share: float) -> Bytes:
        """What lies at a share of the way from one image to another, on the great circle (White 2016).

        Of a generator that repaints, the style changes and the anatomy stays that of the first image.

        Args:
            one: number of an image, from 0.
            other: that of the other.
            share: 0 the first, 1 the second.

        Returns:
            The first sequence as a grey picture (S, S).
        """
        import numpy as np

        from synthoma.generators.arithmetic import Place, Studio
        from synthoma.generators.sampling import great_circle

        studio = Studio(self.sampler, self.seed, self.label, anatomy=one)
        begin, end = studio.place(one), studio.place(other)
        # A thousand steps stand for any share: finer ones change less than a grey value.
        code = great_circle(np.stack([begin.code, end.code]), 1001)[round(1000 * share)]
        return studio.pictures([Place(code, (1 - share) * begin.classes + share * end.classes)])[0]
