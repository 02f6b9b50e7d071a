"""Lesion by lesion: Dice, surface Dice and HD95 as BraTS has scored since 2023, and which lesions were found.

Saluja et al. 2023 (arXiv 2305.17033, section 2.4) and their published code (`rachitsaluja/BraTS-2023-Metrics`):

1. Regions of the truth are those whose voxels touch, corners included (26-connectivity). Regions whose dilations touch
   are one lesion.
2. To a lesion belong all predicted regions that meet its dilation. Its Dice, surface Dice and HD95 are those of all of
   them together against the lesion; one that no prediction meets is missed: 0, 0 and 374 mm.
3. Predicted regions that no lesion has are false: 0, 0 and 374 mm each.
4. Means are over the lesions larger than a least volume, and the false ones whatever their size. Without either, they
   are 1, 1 and 0 mm.

Two things differ from that code. It dilates by voxels of a 1 mm grid, this by millimetres, so that thick slices do not
swallow their neighbours; on a grid of 1 mm both are the same. And its HD95 weighs surfaces by area, where that of
`boundary` counts surface voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bools, Floats, Ints
from synthoma.metrics.boundary import TOLERANCE, Spacing, boundary
from synthoma.metrics.overlap import as_masks

REACH = 3.0
"""mm by which lesions are dilated: BraTS of gliomas, of children and of Africa; of metastases and meningiomas 1."""

SMALL = 50.0
"""mm3 up to which a lesion is left out: all challenges but that of metastases, whose limit is 2."""

SIZES = (1.0, 10.0)
"""ml between small, middle and large lesions: balls of 12 and 27 mm."""

MISSED_MM = 374.0
"""HD95 of a lesion that was missed or made up: about the diagonal of the 240 x 240 x 155 mm that BraTS scores on."""


@dataclass(frozen=True)
class Lesion:
    """A lesion of the truth.

    Attributes:
        volume: mm3.
        found: whether a predicted region meets its dilation.
        dice: 0..1.
        surface_dice: 0..1.
        hd95: mm.
    """

    volume: float
    found: bool
    dice: float
    surface_dice: float
    hd95: float


@dataclass(frozen=True)
class LesionMatches:
    """Lesions of the truth, and what was made up.

    Attributes:
        counted: lesions above the least volume.
        small: those up to it.
        false: volume in mm3 of each predicted region that no lesion has.
    """

    counted: tuple[Lesion, ...]
    small: tuple[Lesion, ...]
    false: tuple[float, ...]

    @property
    def dice(self) -> float:
        """Lesion-wise Dice, 0..1."""
        return self._mean([one.dice for one in self.counted], of_false=0.0, of_none=1.0)

    @property
    def surface_dice(self) -> float:
        """Lesion-wise surface Dice, 0..1."""
        return self._mean([one.surface_dice for one in self.counted], of_false=0.0, of_none=1.0)

    @property
    def hd95(self) -> float:
        """Lesion-wise HD95, mm."""
        return self._mean([one.hd95 for one in self.counted], of_false=MISSED_MM, of_none=0.0)

    def _mean(self, values: list[float], *, of_false: float, of_none: float) -> float:
        every = [*values, *[of_false] * len(self.false)]
        return sum(every) / len(every) if every else of_none


def match_lesions(
    truth: Array,
    prediction: Array,
    spacing: Spacing,
    *,
    tolerance: float = TOLERANCE,
    reach: float = REACH,
    small: float = SMALL,
) -> LesionMatches:
    """Match the lesions of two masks.

    Args:
        truth: (z, y, x), tumour above 0.
        prediction: (z, y, x).
        spacing: of the voxels (z, y, x), mm.
        tolerance: of the surface Dice, mm.
        reach: of the dilation, mm.
        small: volume up to which a lesion of the truth is left out of the means, mm3.

    Raises:
        InputError: another number of axes, two shapes, or sizes that are none.
    """
    ours, theirs = as_masks(truth, prediction)
    if not (reach >= 0 and small >= 0 and len(spacing) == 3 and all(step > 0 for step in spacing)):
        came = f"{spacing}, {reach} mm and {small} mm3"
        raise InputError("three spacings above 0, a reach and a least volume of at least 0", came, "give them in mm")
    ours, theirs = _cropped(ours, theirs, np.asarray(spacing, dtype=np.float64), reach)
    drawn = _touching(theirs)
    voxel = float(np.prod(spacing))
    lesions, used = [], np.zeros(int(drawn.max(initial=0)) + 1, dtype=bool)
    for alone, around in _lesions(ours, np.asarray(spacing, dtype=np.float64), reach):
        met = np.unique(drawn[around])
        met = met[met > 0]
        used[met] = True
        volume = float(alone.sum()) * voxel
        if len(met):
            lesions.append(_scored(alone, np.isin(drawn, met), spacing, tolerance, volume))
        else:
            lesions.append(Lesion(volume, found=False, dice=0.0, surface_dice=0.0, hd95=MISSED_MM))
    sizes = np.bincount(drawn.ravel(), minlength=len(used))
    return LesionMatches(
        counted=tuple(one for one in lesions if one.volume > small),
        small=tuple(one for one in lesions if one.volume <= small),
        false=tuple(float(sizes[number]) * voxel for number in range(1, len(used)) if not used[number]),
    )


def _cropped(ours: Bools, theirs: Bools, spacing: Floats, reach: float) -> tuple[Bools, Bools]:
    """The box of both masks with room for dilations: a volume is mostly background."""
    boxes = ndimage.find_objects((ours | theirs).astype(np.uint8))
    if not boxes:
        return ours[:1], theirs[:1]
    room = np.ceil(reach / spacing).astype(np.int64).tolist()
    box = tuple(slice(max(0, part.start - more), part.stop + more) for part, more in zip(boxes[0], room, strict=True))
    # A rim, since the box of a flat lesion would pass for a single slice where the volume is none.
    rim = [(1, 1) if size > 1 else (0, 0) for size in ours.shape]
    return np.pad(ours[box], rim), np.pad(theirs[box], rim)


def _scored(lesion: Bools, prediction: Bools, spacing: Spacing, tolerance: float, volume: float) -> Lesion:
    # Only the box of both is looked at: surfaces at its ends are surfaces within the volume too.
    [box] = ndimage.find_objects((lesion | prediction).astype(np.uint8))
    # A rim for the same reason as around the box of all.
    rim = [(1, 1) if size > 1 else (0, 0) for size in lesion.shape]
    ours, theirs = np.pad(lesion[box], rim), np.pad(prediction[box], rim)
    surface = boundary(ours, theirs, spacing, tolerance)
    both = int(ours.sum()) + int(theirs.sum())
    return Lesion(volume, True, 2 * int((ours & theirs).sum()) / both, surface.surface_dice, surface.hd95)


def _lesions(mask: Bools, spacing: Floats, reach: float) -> list[tuple[Bools, Bools]]:
    """Each lesion of a mask, and the lesion dilated."""
    # What is dilated together is what each lesion's own dilation makes, all of them together.
    joined = _touching(_dilated(mask, spacing, reach))
    found = []
    for number in range(1, int(joined.max(initial=0)) + 1):
        around = joined == number
        found.append((mask & around, around))
    return found


def _touching(mask: Bools) -> Ints:
    """Number of the region of each voxel, corners connect; 0 for none."""
    numbers: Ints = ndimage.label(mask, np.ones((3, 3, 3)))[0].astype(np.int64)
    return numbers


def _dilated(mask: Bools, spacing: Floats, reach: float) -> Bools:
    """The mask with all voxels that lie within ``reach`` along each axis, and within twice that along all together.

    On a grid of 1 mm that is what ``reach`` dilations by the 18 neighbours of faces and edges make.
    """
    inner = ndimage.binary_erosion(mask)
    # What a dilation adds lies within reach of the rim: moving that is enough, and the inside is most of a lesion.
    rim = np.argwhere(mask & ~inner)
    most = np.floor(reach / spacing + 1e-9).astype(np.int64)
    steps = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in most], indexing="ij"), axis=-1).reshape(-1, 3)
    steps = steps[(np.abs(steps) * spacing).sum(axis=1) <= 2 * reach + 1e-9]
    result = mask.copy()
    last = np.array(mask.shape) - 1
    for step in steps:
        places = rim + step
        places = places[((places >= 0) & (places <= last)).all(axis=1)]
        result[tuple(places.T)] = True
    return result
