"""What the painter learns from: slices with real lesions, and healthy ones of the same patients.

Grey values are relative to the scan's own white matter, as everywhere in painting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthoma.core.errors import InputError
from synthoma.core.seeding import stream
from synthoma.core.types import CAVITY, MODALITIES, Bools, Bytes, Float32, Ints, tumour_of
from synthoma.painting.gan.region import blanked, margin_of, noise_fields, told_planes
from synthoma.painting.scan import Scan
from synthoma.painting.tissues import WHITE, TissueMap, tissues_of

SIDE = 48
"""Side of the squares that are learned from; smaller slices are padded with background."""
COARSEST_MM = 4.0
"""Squares are averaged over 2 x 2 pixels, half of them, where that leaves pixels no larger than this."""
_LEAST_MM2 = 100.0  # less of a lesion in a slice tells nothing
_INSIDE = 0.85  # share of a moved mask that must lie in the brain
_TRIES = 12


@dataclass(frozen=True)
class Plate:
    """The slices of one scan.

    Attributes:
        images: float32 (z, 4, y, x), grey values relative to white matter, 0 in missing sequences.
        present: which of ``MODALITIES`` there are, (4,).
        mask: values of ``core.types.REGIONS`` and ``CAVITY``, uint8 (z, y, x).
        brain: where brain is, less its outermost 2 mm, (z, y, x).
        pixel_mm: side of a pixel.
    """

    images: Float32
    present: Bools
    mask: Bytes
    brain: Bools
    pixel_mm: float


@dataclass(frozen=True)
class Batch:
    """Squares to learn from; the first half show real lesions, the others healthy slices with a lesion's mask.

    Attributes:
        own: (B, 4, S, S), the slices.
        blanked: the same with the region blanked.
        told: (B, ``network.TOLD``, S, S).
        noise: (B, 4, S, S).
    """

    own: Tensor
    blanked: Tensor
    told: Tensor
    noise: Tensor

    @property
    def margin(self) -> Tensor:
        """(B, 1, S, S)."""
        return self.told[:, :1]

    @property
    def present(self) -> Tensor:
        """(B, 4, 1, 1)."""
        return self.told[:, -len(MODALITIES) :, :1, :1]

    @property
    def half(self) -> int:
        """How many show real lesions."""
        return len(self.own) // 2


def relative(scan: Scan, tissue: TissueMap) -> tuple[Float32, Bools]:
    """A scan's images as (z, 4, y, x), relative to white matter, and which of the four sequences there are.

    Raises:
        InputError: a sequence that is none of the four.
    """
    unknown = [name for name in scan.images if name not in MODALITIES]
    if unknown:
        todo = "prepare the scans with --modalities, or use --painter growth"
        raise InputError(f"sequences among {', '.join(MODALITIES)}", ", ".join(unknown), todo)
    found = np.zeros((scan.shape[0], len(MODALITIES), *scan.shape[1:]), np.float32)
    for at, name in enumerate(MODALITIES):
        if name in scan.images:
            found[:, at] = scan.images[name] / max(tissue.levels[name][WHITE], 1e-6)
    return found, np.array([name in scan.images for name in MODALITIES])


def plate_of(scan: Scan) -> Plate:
    """The slices of one scan.

    Raises:
        InputError: no brain, or sequences that are none of the four.
    """
    tissue = tissues_of(scan.images, scan.spacing, scan.tumour if scan.tumour.any() else None)
    images, present = relative(scan, tissue)
    area = tissue.brain.sum((1, 2))
    brain = tissue.brain & (tissue.depth_mm > 2) & (area > 0.25 * area.max())[:, None, None]
    mask = np.zeros(scan.shape, np.uint8) if scan.mask is None else scan.mask
    return Plate(images, present, np.asarray(mask, np.uint8), brain, min(scan.spacing[1:]))


class Plates:
    """All that is learned from.

    Attributes:
        regions: whether the masks tell regions apart.
        modalities: the sequences that any of the scans has.
    """

    def __init__(self, plates: Iterable[Plate], *, regions: bool) -> None:
        """Find the slices that show lesions, and those that are healthy.

        Raises:
            InputError: no lesion that could be learned from.
        """
        self._plates, self.regions = list(plates), regions
        ill, healthy = list[tuple[int, int]](), list[tuple[int, int]]()
        for number, plate in enumerate(self._plates):
            size = tumour_of(plate.mask).sum((1, 2)) * plate.pixel_mm**2
            # What was cut out is no tumour: such slices are neither.
            cut = (plate.mask == next(iter(CAVITY))).any((1, 2))
            ill += [(number, int(z)) for z in np.flatnonzero((size >= _LEAST_MM2) & ~cut)]
            healthy += [(number, int(z)) for z in np.flatnonzero((size == 0) & ~cut & plate.brain.any((1, 2)))]
        if not ill:
            todo = "give a cohort with outlined training tumours, or paint with the shipped weights (leave --learn out)"
            raise InputError("slices of training patients that show an outlined tumour", "none", todo)
        self._ill, self._healthy = np.array(ill, np.int64), np.array(healthy, np.int64).reshape(-1, 2)
        there = np.any([plate.present for plate in self._plates], axis=0)
        self.modalities = tuple(name for name, has in zip(MODALITIES, there, strict=True) if has)

    def __len__(self) -> int:
        """Slices with a lesion."""
        return len(self._ill)

    def batch(self, seed: int, step: int, count: int) -> Batch:
        """The squares of a step: a function of the seed and the step alone."""
        squares = [self._square(stream(seed, "painting.gan.batch", step, at), at < count // 2) for at in range(count)]
        return Batch(*(torch.from_numpy(np.stack(part)) for part in zip(*squares, strict=True)))

    def _square(self, rng: np.random.Generator, real: bool) -> tuple[Float32, ...]:
        number, z = self._ill[rng.integers(len(self._ill))]
        lesion = self._plates[number]
        coarse = 2 * lesion.pixel_mm <= COARSEST_MM and rng.random() < 0.5
        images, mask, _ = _cut(lesion, int(z), _middle(rng, lesion.mask[z]), coarse)
        present, pixel = lesion.present, lesion.pixel_mm * (1 + coarse)
        mirrored = rng.random() < 0.5
        if not real:
            moved = self._moved(rng, mask[:, ::-1] if rng.random() < 0.5 else mask, coarse)
            if moved is not None:
                images, mask, present, pixel = moved
        if mirrored:
            images, mask = images[:, :, ::-1], mask[:, ::-1]
        present = _fewer(rng, present)
        gain = np.exp(rng.normal(0, 0.05, (len(MODALITIES), 1, 1)))
        own = (images * gain * present[:, None, None]).astype(np.float32)
        margin = margin_of(mask, pixel)
        # One in three is told of no regions, so that it paints those too of which nobody knows any.
        told = told_planes(mask, margin, present, regions=self.regions and rng.random() < 0.67)
        return own, blanked(own, margin), told, noise_fields(rng, (SIDE, SIDE), pixel)

    def _moved(self, rng: np.random.Generator, mask: Bytes, coarse: bool) -> tuple[Float32, Bytes, Bools, float] | None:
        """A healthy square with the mask of a lesion where brain is; None where none was found that it fits into."""
        for _ in range(_TRIES if len(self._healthy) else 0):
            number, z = self._healthy[rng.integers(len(self._healthy))]
            plate = self._plates[number]
            if coarse and 2 * plate.pixel_mm > COARSEST_MM:
                continue
            images, _, brain = _cut(plate, int(z), _middle(rng, plate.brain[z]), coarse)
            if (mask[brain] > 0).sum() >= _INSIDE * (mask > 0).sum():
                return images, np.where(brain, mask, 0).astype(np.uint8), plate.present, plate.pixel_mm * (1 + coarse)
        return None


def _middle(rng: np.random.Generator, region: Bytes | Bools) -> Ints:
    """A pixel of a region."""
    places = np.argwhere(region)
    return np.asarray(places[rng.integers(len(places))], np.int64)


def _cut(plate: Plate, z: int, middle: Ints, coarse: bool) -> tuple[Float32, Bytes, Bools]:
    """Images, mask and brain of a square about a pixel, of ``SIDE`` pixels, each of 2 x 2 where coarse."""
    side = SIDE * (1 + coarse)
    starts = [int(np.clip(at - side // 2, 0, max(0, size - side))) for at, size in
              zip(middle, plate.mask.shape[1:], strict=True)]  # fmt: skip
    where = tuple(slice(start, start + side) for start in starts)
    parts = [part[(..., *where)] for part in (plate.images[z], plate.mask[z], plate.brain[z])]
    short = [side - size for size in parts[1].shape]
    if any(short):
        parts = [np.pad(part, ((0, 0),) * (part.ndim - 2) + ((0, short[0]), (0, short[1]))) for part in parts]
    if coarse:
        images = parts[0].reshape(-1, SIDE, 2, SIDE, 2).mean((2, 4))
        return images, parts[1][::2, ::2], parts[2][::2, ::2]
    return parts[0], parts[1], parts[2]


def _fewer(rng: np.random.Generator, present: Bools) -> Bools:
    """Half of the time, some of the sequences are missing."""
    if rng.random() < 0.5 or present.sum() < 2:
        return present
    kept = present & (rng.random(len(present)) < 0.6)
    return kept if kept.any() else present
