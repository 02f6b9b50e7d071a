"""Simulated slices with a plane of noise, as what a generator makes images of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream
from synthoma.core.types import Bytes, Floats, Ints
from synthoma.generators.phantomgan.matching import Matching
from synthoma.generators.phantomgan.simulated import (
    SimulatedSlices,
    class_of,
    in_air,
    repaintable_slices,
    simulated_class,
    simulated_names,
)
from synthoma.generators.shape import ImageShape
from synthoma.training.bundle import Bundle


@dataclass(frozen=True)
class SimulatedLatents:
    """Simulated planes and one of standard normal noise, (C + L + 1, S, S).

    Attributes:
        source: the simulated slices, each with its chance of being drawn.
        airs: level and grain of the air in real slices (K, C, 2), in which simulated ones are put; None leaves theirs.
        classes: names of the classes that were learned.
        kinds: kinds of slices that bear them, see ``simulated.KINDS``.
        remarks: what should be known of all that is drawn.
        first: number of the image that the first simulated slice is for, the next one being for the next: see
            ``in_order``. None draws a slice for each image by chance.
    """

    source: SimulatedSlices
    airs: Floats | None = None
    classes: Sequence[str] = ()
    kinds: Collection[str] = ()
    remarks: tuple[str, ...] = ()
    first: int | None = None

    free = False

    @classmethod
    def open(
        cls, bundle: Bundle, shape: ImageShape, latent: tuple[int, ...], phantom: Cohort | None, label: str | None
    ) -> SimulatedLatents:
        """Simulated slices for a trained model.

        Args:
            bundle: the model file.
            shape: of its images.
            latent: of one image.
            phantom: the simulated slices.
            label: class of those that are used; those of all classes that were learned where None.

        Raises:
            InputError: simulated slices that do not fit the model.
            ConfigError: none are given.
        """
        if phantom is None:
            todo = "give --phantom COHORT (made by `synthoma prepare --phantom N` with the size of the model's images)"
            raise ConfigError("simulated slices to repaint", "none", todo)
        meta = bundle.meta
        source = repaintable_slices(
            phantom,
            size=shape.size,
            modalities=meta.modalities,
            plane=meta.plane or "axial",
            labels=tuple(meta.labels.values()),
            kinds=meta.kinds if label is None else (simulated_class(label),),
        )
        matching = Matching.from_meta(meta.matching) if meta.matching else None
        source.match(matching)
        remarks: tuple[str, ...] = ()
        # Slices of one class differ from those of all classes by nature.
        if matching is not None and label is None and (strange := matching.strange(source.structure())):
            remarks = (
                f"The simulated slices differ from those of the training in {', '.join(strange)}: drawn slices may "
                "come in other shares than real ones. Give the simulated cohort of the training (--phantom).",
            )
        airs = np.array(meta.air, np.float64) if meta.air else None
        return cls(source, airs, list(meta.classes), tuple(meta.kinds), remarks)

    @property
    def labels(self) -> Mapping[str, str]:
        """What the simulated masks tell apart, by value."""
        return {str(value): name for value, name in self.source.cohort.tumour_labels.items()}

    @property
    def spacing(self) -> Mapping[str, int]:
        """How many slices lie from one that was kept to the next, as in the simulated scans."""
        return {"every": self.source.cohort.meta.provenance.config.get("every", 1)}

    def batch(self, count: int, draws: Generator) -> Tensor:
        """As many latents, float32 (count, C + L + 1, S, S), slices in the shares of the real ones."""
        places = torch.rand(count, generator=draws, dtype=torch.float64).numpy()
        planes = self.source.fetch(self.source.drawn(places)).planes()
        if self.airs is not None:
            chosen = torch.randint(len(self.airs), (count,), generator=draws).numpy()
            # Seeded from the batch's own draws, so that grain is a function of the step as everything else is.
            grain = np.random.default_rng(int(torch.randint(2**62, (), generator=draws)))
            planes = in_air(planes, self.airs[chosen], [grain] * count)
        return torch.cat([planes, torch.randn(count, 1, *planes.shape[2:], generator=draws)], dim=1)

    def numbered(self, seed: int, indices: range, truncation: float = 1.0) -> Tensor:
        """Latents (N, C + L + 1, S, S), slice, air and noise each from a stream of its own."""
        planes = self.source.fetch(self.positions(seed, indices)).planes()
        noise = np.stack(
            [stream(seed, "synthesis.latent", index).standard_normal((1, *planes.shape[2:])) for index in indices]
        )
        if self.airs is not None:
            draws = [stream(seed, "synthesis.air", index) for index in indices]
            planes = in_air(planes, np.stack([self.air(own) for own in draws]), draws)
        return torch.cat([planes, torch.from_numpy(noise.astype(np.float32)) * truncation], dim=1)

    def patient(self, positions: Ints, noise: Floats, draws: np.random.Generator) -> Tensor:
        """Latents (N, C + L + 1, S, S) of a patient's slices with this noise (N, 1, S, S), all in one scanner's air."""
        planes = self.source.fetch(positions).planes()
        if self.airs is not None:
            planes = in_air(planes, np.stack([self.air(draws)] * len(positions)), [draws] * len(positions))
        return torch.cat([planes, torch.from_numpy(noise)], dim=1)

    def positions(self, seed: int, indices: range) -> Ints:
        """Which simulated slice each image is, by position in ``source``."""
        if self.first is not None:
            # Images beyond the last are drawn with their block, or for a sheet: the slices come again.
            return (np.arange(indices.start, indices.stop) - self.first) % len(self.source.rows)
        return self.source.drawn(np.array([stream(seed, "synthesis.source", index).random() for index in indices]))

    def in_order(self, first: int) -> SimulatedLatents:
        """The same slices, the first of them for image number ``first`` and each other one for the next.

        They have been chosen in the shares of real ones.
        """
        return replace(self, first=first, remarks=())

    def air(self, draws: np.random.Generator) -> Floats:
        """Air of one of the real slices, (C, 2)."""
        assert self.airs is not None
        return np.asarray(self.airs[int(draws.integers(len(self.airs)))])

    def masks(self, seed: int, indices: range) -> Bytes:
        """Masks (N, S, S) of the simulated slices."""
        return self.masks_at(self.positions(seed, indices))

    def masks_at(self, positions: Ints) -> Bytes:
        """Masks (N, S, S) of simulated slices by position in ``source``."""
        return np.asarray(self.source.cohort.masks[self.source.rows[positions]])

    def origin(self, seed: int, index: int) -> tuple[str, str]:
        """Group of the simulated slice that an image repaints, and its case and slice."""
        table = self.source.cohort.slices
        row = table.iloc[self.source.rows[self.positions(seed, range(index, index + 1))[0]]]
        place = f"{row['case']}/{row['slice']}" if "slice" in table else ""  # a cohort made by hand may not say
        return f"simulated {row['group']}", place

    def label(self, asked: str, area: int) -> str:
        """Class of a slice with so large a tumour, among those that were learned."""
        return class_of(area, self.classes)

    def names(self, labels: Collection[str]) -> list[str]:
        """Classes that slices of these kinds can have."""
        return list(simulated_names(self.classes, self.kinds))
