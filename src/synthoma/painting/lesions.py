"""Copy-paste: lesions of training patients, cut out with their surroundings and blended into other scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Bytes, Float32, Floats
from synthoma.painting.growth import Box, NoRoomError, Shape, room_of
from synthoma.painting.masks import around, signed
from synthoma.painting.request import Request
from synthoma.painting.scan import Scan, Spacing, anisotropic
from synthoma.painting.tissues import WHITE, TissueMap
from synthoma.phantom.invasion import ramp


@dataclass(frozen=True)
class Lesion:
    """A tumour cut out of a training patient's scan.

    Attributes:
        patient: whose.
        images: modality -> grey values relative to that scan's white matter, float32 (z, y, x).
        whole: distance in mm to its margin, negative inside.
        mask: its regions.
        spacing: between voxels in mm.
        ml: its volume.
    """

    patient: str
    images: Mapping[str, Float32]
    whole: Float32
    mask: Bytes
    spacing: Spacing
    ml: float


def lesion_of(patient: str, scan: Scan, tissue: TissueMap) -> Lesion | None:
    """The largest tumour of a scan, cut out; None where there is none."""
    labels, count = ndimage.label(scan.tumour)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    inside = labels == sizes.argmax()
    box = around(inside, anisotropic(10.0, scan.spacing, scan.flat))
    images = {name: image[box] / max(tissue.levels[name][WHITE], 1e-6) for name, image in scan.images.items()}
    mask = np.where(inside, scan.mask, 0)[box].astype(np.uint8) if scan.mask is not None else np.zeros(0, np.uint8)
    area = float(inside.sum()) * scan.spacing[1] * scan.spacing[2]
    ml = float(4 / 3 * np.pi * (area / np.pi) ** 1.5 / 1000) if scan.flat else float(inside.sum()) * scan.voxel_ml
    return Lesion(patient, images, signed(inside[box], scan), mask, scan.spacing, ml)


def pasted(
    rng: np.random.Generator, scan: Scan, tissue: TissueMap, request: Request, start: Floats, allowed: Bools,
    lesions: Sequence[Lesion],
) -> tuple[Shape, dict[str, Float32], Bytes, str]:  # fmt: skip
    """A lesion put where a tumour is to be: its margins, the box's new images, its mask, and whose it was.

    Raises:
        InputError: no lesion of these sequences.
        NoRoomError: none that fits.
    """
    usable = [lesion for lesion in lesions if set(scan.images) <= set(lesion.images)]
    usable = [lesion for lesion in usable if scan.flat or lesion.whole.shape[0] > 1]
    if not usable:
        todo = "give a cohort with outlined training tumours (--like COHORT), or use --painter growth"
        raise InputError(f"lesions of training patients in {', '.join(scan.images)}", "none", todo)
    # Near in size, so that little is stretched.
    gaps = np.abs(np.log([lesion.ml / request.biology.volume_ml for lesion in usable]))
    # And not the nearest alone, or one size would always be the same tumour.
    near = np.argsort(gaps, kind="stable")[: max(3, len(usable) // 4)]
    lesion = usable[int(near[rng.integers(len(near))])]
    factor = float((request.biology.volume_ml / lesion.ml) ** (1 / 3))
    turn, mirrored = np.deg2rad(rng.uniform(-25, 25)), bool(rng.random() < 0.5)
    box, places = _places(lesion, scan, start, factor, turn, mirrored)
    whole = ndimage.map_coordinates(lesion.whole, places, order=1, mode="nearest", output=np.float32) * factor
    # Beyond what was cut out nothing is known of it. Its last slices are as thick as they are: of a cohort of tumour
    # slices alone they are the tumour's ends, and repeated they would be a column.
    slack = (0.5, 0.0, 0.0)
    beyond = np.any(
        [(at < -more) | (at > side - 1 + more) for at, side, more in
         zip(places, lesion.whole.shape, slack, strict=True)], axis=0
    )  # fmt: skip
    whole = np.where(beyond, np.maximum(whole, 4.0), whole)
    room = room_of(tissue)[box] & allowed[box]
    distances = np.sort(whole[room])
    wanted = request.biology.volume_ml / scan.voxel_ml
    if scan.flat:
        area = np.pi * (request.biology.volume_ml * 750 / np.pi) ** (2 / 3)
        wanted = area / (scan.spacing[1] * scan.spacing[2])
    if wanted > 0.8 * len(distances):
        came = f"{request.biology.volume_ml:.3g} ml"
        raise NoRoomError("a lesion that the brain has room for", came, "ask for a smaller one, or another place")
    # Part of it may have fallen beyond the brain: the margin moves, but by some mm at most.
    off = float(np.clip(distances[max(0, round(wanted) - 1) : round(wanted) + 1].mean(), -4, 4))
    whole = np.where(allowed[box], whole - np.float32(off), np.float32(1e3)).astype(np.float32)
    inside = ramp(torch.from_numpy(whole), 3.0).numpy() * tissue.brain[box]
    images = {}
    for name, image in scan.images.items():
        own = image[box]
        value = ndimage.map_coordinates(lesion.images[name], places, order=1, mode="nearest", output=np.float32)
        value = 1 + request.contrast * (value - 1)
        new = (1 - inside) * own + inside * value * tissue.levels[name][WHITE]
        images[name] = np.where(inside > 0, new, own).astype(np.float32)
    region = ndimage.map_coordinates(lesion.mask, places, order=0, mode="nearest")
    known = region[region > 0]
    # Where the margin moved outwards the lesion has no region: its commonest one stands there.
    fill = int(np.bincount(known).argmax()) if len(known) else 1
    mask = np.where((whole < 0) & room, np.where(region > 0, region, fill), 0).astype(np.uint8)
    shape = Shape(box, whole, whole, np.zeros((3, *whole.shape), np.float32))
    return shape, images, mask, lesion.patient


def _places(
    lesion: Lesion, scan: Scan, start: Floats, factor: float, turn: float, mirrored: bool
) -> tuple[Box, list[Floats]]:
    """A box of the scan around the start, and where in the lesion each of its voxels lies."""
    inside = np.argwhere(lesion.whole < 0)
    middle = inside.mean(0)
    # Of several slices the lesion's own, not one between, where a single slice is painted.
    if scan.flat and lesion.whole.shape[0] > 1:
        middle[0] = float(np.bincount(inside[:, 0]).argmax())
    reach = np.array(lesion.whole.shape) * lesion.spacing * factor * 0.75 / np.array(scan.spacing)
    box = tuple(
        slice(max(0, int(start[axis] - reach[axis])), min(size, int(start[axis] + reach[axis]) + 1))
        for axis, size in enumerate(scan.shape)
    )
    grid = np.meshgrid(*(np.arange(part.start, part.stop, dtype=np.float64) for part in box), indexing="ij")
    z, y, x = ((grid[axis] - start[axis]) * scan.spacing[axis] / factor for axis in range(3))
    x, y = (-x if mirrored else x), y
    turned = (z, np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x)
    places = [turned[axis] / lesion.spacing[axis] + middle[axis] for axis in range(3)]
    if scan.flat:
        places[0] = np.full_like(places[0], middle[0])
    return (box[0], box[1], box[2]), places
