"""A tumour's pixels as the painter's network makes them, put into a box of a scan."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from synthoma.core.types import MODALITIES, Array, Bytes, Float32
from synthoma.painting.gan.model import PainterModel
from synthoma.painting.gan.network import STRIDE
from synthoma.painting.gan.plates import relative
from synthoma.painting.gan.region import blanked, margin_of, told_planes
from synthoma.painting.growth import Box, Shape
from synthoma.painting.request import Request
from synthoma.painting.scan import Scan, anisotropic
from synthoma.painting.tissues import WHITE, TissueMap

WORKING_MM = 1.5
"""The network learned pixels of 1.5 to 4 mm: finer scans are filled at about this."""
_CONTEXT = 16  # of the network's pixels around the box
_USUAL = 0.45  # heterogeneity with which it learned: the middle of the dial's usual range
_AT_ONCE = 16


def filled(
    rng: np.random.Generator, scan: Scan, tissue: TissueMap, shape: Shape, mask: Bytes, request: Request,
    model: PainterModel,
) -> dict[str, Float32]:  # fmt: skip
    """The images of the shape's box with the tumour in it; beyond its margin, bit for bit the scan's.

    Args:
        rng: drives the noise.
        scan: the scan.
        tissue: its tissues.
        shape: where; of a growth, whose fields of noise make the slices of a volume go together.
        mask: regions, values of ``core.types.REGIONS``, of the box.
        request: the tumour's contrast and heterogeneity.
        model: who paints.

    Raises:
        InputError: a sequence that the model did not learn.
    """
    model.check(tuple(scan.images))
    box = shape.box
    margin = np.stack([margin_of(layer, min(scan.spacing[1:])) for layer in mask]) * tissue.brain[box]
    rows = np.flatnonzero(margin.any((1, 2)))
    values = np.zeros((len(mask), len(MODALITIES), *mask.shape[1:]), np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        values[part] = _painted(rng, scan, tissue, shape, mask, margin, part, request, model)
    return {name: _blended(name, values[:, MODALITIES.index(name)], margin, scan, tissue, box, request)
            for name in scan.images}  # fmt: skip


def _painted(
    rng: np.random.Generator, scan: Scan, tissue: TissueMap, shape: Shape, mask: Bytes, margin: Float32, rows: Array,
    request: Request, model: PainterModel,
) -> Float32:  # fmt: skip
    """What the network makes of these slices of the box, (n, 4, y, x), relative to white matter."""
    times = max(1, round(WORKING_MM / min(scan.spacing[1:])))
    zs, window, inner = _window(shape.box, rows, scan, times)
    cut = Scan({name: image[(zs, *window)] for name, image in scan.images.items()}, scan.spacing)
    fine, present = relative(cut, tissue)
    images = _coarse(fine, times)
    spread = np.float32(request.heterogeneity / _USUAL)

    def whole(values: Array) -> Array:
        """Planes of the box in the window, 0 beyond the box."""
        found = np.zeros((*values.shape[:-2], *fine.shape[-2:]), values.dtype)
        found[(..., *inner)] = values
        return found

    told, noise = [], []
    for at, row in enumerate(rows):
        own = _every(whole(mask[row]), times)
        soft = _coarse(whole(margin[row])[None], times)[0]
        told.append(told_planes(own, soft, present, regions=model.regions))
        images[at] = blanked(images[at], soft)
        smooth = _coarse(whole(shape.noise[:, row]), times) * spread
        noise.append(np.concatenate([smooth, rng.standard_normal((1, *soft.shape)).astype(np.float32)]))
    with torch.inference_mode():
        planes = (images, np.stack(told), np.stack(noise))
        made = model.filler(*(torch.from_numpy(part) for part in planes))
        if times > 1:
            made = F.interpolate(made, scale_factor=float(times), mode="bilinear", align_corners=False)
    return np.asarray(made.clamp(min=0).numpy()[(..., *inner)], np.float32)


def _window(box: Box, rows: Array, scan: Scan, times: int) -> tuple[Array, tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the scan, a window about the box in them, and where in that window the box lies."""
    reach = _CONTEXT * times
    sides = [slice(max(0, part.start - reach), min(size, part.stop + reach))
             for part, size in zip(box[1:], scan.shape[1:], strict=True)]  # fmt: skip
    inner = [slice(part.start - side.start, part.stop - side.start) for part, side in zip(box[1:], sides, strict=True)]
    return box[0].start + rows, (sides[0], sides[1]), (inner[0], inner[1])


def _coarse(planes: Array, times: int) -> Float32:
    """Means over ``times`` x ``times`` pixels of planes (..., y, x), padded with 0 to what the network takes."""
    padded = _padded(planes, times)
    *before, rows, columns = padded.shape
    blocks = padded.reshape(*before, rows // times, times, columns // times, times)
    return np.asarray(blocks.mean((-3, -1)), np.float32)


def _every(mask: Bytes, times: int) -> Bytes:
    """The middle pixel of each block."""
    padded = _padded(mask, times)
    return np.asarray(padded[times // 2 :: times, times // 2 :: times], np.uint8)


def _padded(planes: Array, times: int) -> Array:
    unit = STRIDE * times
    short = [-size % unit for size in planes.shape[-2:]]
    return np.pad(planes, ((0, 0),) * (planes.ndim - 2) + ((0, short[0]), (0, short[1])))


def _blended(
    name: str, value: Float32, margin: Float32, scan: Scan, tissue: TissueMap, box: Box, request: Request
) -> Float32:
    """One sequence of the box with the painted region in it."""
    image = scan.images[name]
    own = image[box]
    new = np.maximum(1 + request.contrast * (value - 1), 0) * tissue.levels[name][WHITE]
    # The network paints what is smooth; the grain is the scanner's, and stays.
    grain = own - ndimage.gaussian_filter(own, anisotropic(1.2, scan.spacing, True))
    limit = np.float32(3.5 * tissue.noise[name])
    new = new + np.clip(grain, -limit, limit)
    # No scanner's window shows more than the brightest of what it has.
    new = np.clip(new, min(0.0, float(own.min())), max(float(np.percentile(image, 99.8)), float(own.max())))
    return np.where(margin > 0, own + margin * (new - own), own).astype(np.float32)
