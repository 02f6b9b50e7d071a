"""The painters behind one face, and a scan painted by one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import ndimage

from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Bytes, Float32, Floats
from synthoma.painting.appearance import Parts, painted, parts_of, ratios_of
from synthoma.painting.dials import Dials
from synthoma.painting.gan.filling import filled
from synthoma.painting.gan.model import PainterModel, shipped_painter
from synthoma.painting.growth import NoRoomError, Shape, grown, room_of
from synthoma.painting.lesions import Lesion, pasted
from synthoma.painting.masks import shape_of_mask
from synthoma.painting.places import GAP_MM, middle_of, start_of
from synthoma.painting.pushing import pushed
from synthoma.painting.request import Request, requested
from synthoma.painting.scan import Painted, Scan
from synthoma.painting.tissues import TissueMap, tissues_of


@dataclass(frozen=True)
class Material:
    """What painters draw from besides the scan: training patients alone.

    Attributes:
        sizes: volumes of their tumours in ml.
        places: chance of each cell of ``places.cell_of``; None for anywhere alike.
        seen: median grey value of these tumours relative to white matter, by modality; None where nobody knows.
        lesions: what copy-paste pastes.
        model: what the GAN paints with; None for the one inside the package.
    """

    sizes: tuple[float, ...] = ()
    places: Floats | None = None
    seen: Mapping[str, float] | None = None
    lesions: Sequence[Lesion] = ()
    model: PainterModel | None = None


@dataclass(frozen=True)
class Canvas:
    """A scan that is being painted.

    Attributes:
        scan: as it is by now.
        tissue: its tissues.
        allowed: where a tumour may be.
    """

    scan: Scan
    tissue: TissueMap
    allowed: Bools


@dataclass(frozen=True)
class Stroke:
    """One tumour painted into a box of a scan.

    Attributes:
        shape: where.
        images: the box's new images.
        mask: values of ``core.types.REGIONS``, of the box.
        told: columns about it.
    """

    shape: Shape
    images: Mapping[str, Float32]
    mask: Bytes
    told: Mapping[str, float | str] = field(default_factory=dict)


TRIES = 4
"""How often size and place are drawn, as far as nobody asked for them, until the tumour fits."""


class Painter(Protocol):
    """What every painter does: one tumour at a place, into a box of the scan."""

    def __call__(
        self, rng: np.random.Generator, canvas: Canvas, request: Request, start: Floats, material: Material, *,
        exact: bool,
    ) -> Stroke:  # fmt: skip
        """Make it.

        Args:
            rng: drives it.
            canvas: the scan.
            request: the tumour.
            start: voxel (z, y, x) where it is to lie.
            material: what training patients give.
            exact: whether its middle must lie just there.

        Raises:
            InputError: no room.
        """
        ...


def grow_and_paint(
    rng: np.random.Generator, canvas: Canvas, request: Request, start: Floats, material: Material, *, exact: bool
) -> Stroke:
    """The painter "growth": shape by reaction and diffusion in the scan's tissue, look by its own protocol."""
    shape = grown(rng, request.biology, canvas.scan, canvas.tissue, start, canvas.allowed, exact=exact)
    return _stroke(
        rng, canvas, shape, parts_of(shape, request, canvas.tissue, min(canvas.scan.spacing[1:])), request, material
    )


def _stroke(
    rng: np.random.Generator, canvas: Canvas, shape: Shape, parts: Parts, request: Request, material: Material
) -> Stroke:
    ratios = ratios_of(rng, canvas.tissue, material.seen, canvas.scan, shape, parts)
    images = painted(canvas.scan, canvas.tissue, shape, parts, request, ratios)
    return Stroke(shape, images, parts.mask)


def copy_and_paste(
    rng: np.random.Generator, canvas: Canvas, request: Request, start: Floats, material: Material, *, exact: bool
) -> Stroke:
    """The painter "copy-paste": a lesion of a training patient, fitted to size, matched in brightness, blended in."""
    shape, images, mask, donor = pasted(
        rng, canvas.scan, canvas.tissue, request, start, canvas.allowed, material.lesions
    )
    return Stroke(shape, images, mask, {"lesion_of": donor})


def grow_and_fill(
    rng: np.random.Generator, canvas: Canvas, request: Request, start: Floats, material: Material, *, exact: bool
) -> Stroke:
    """The painter "gan": shape as that of "growth", look by a network that learned from lesions."""
    shape = grown(rng, request.biology, canvas.scan, canvas.tissue, start, canvas.allowed, exact=exact)
    return _network_stroke(
        rng, canvas, shape, parts_of(shape, request, canvas.tissue, min(canvas.scan.spacing[1:])), request, material
    )


def _network_stroke(
    rng: np.random.Generator, canvas: Canvas, shape: Shape, parts: Parts, request: Request, material: Material
) -> Stroke:
    model = material.model or shipped_painter()
    return Stroke(shape, filled(rng, canvas.scan, canvas.tissue, shape, parts.mask, request, model), parts.mask)


PAINTERS: dict[str, Painter] = {"growth": grow_and_paint, "copy-paste": copy_and_paste, "gan": grow_and_fill}
"""By name of ``--painter``."""


def paint_scan(
    rng: np.random.Generator, scan: Scan, dials: Dials, *, painter: str = "growth", material: Material | None = None,
    beside: bool = False, drawn: Bytes | None = None, tissue: TissueMap | None = None,
) -> Painted:  # fmt: skip
    """Put one or more tumours into a scan.

    Args:
        rng: drives everything.
        scan: which.
        dials: what is asked.
        painter: a name of ``PAINTERS``.
        material: what training patients give; nothing where None.
        beside: paint a scan that shows a tumour already, away from it.
        drawn: the mask to fill, uint8 (z, y, x), in place of one that is made.
        tissue: the scan's tissues, where they are known already; None tells them.

    Raises:
        InputError: a tumour there already, no brain, or no room.
    """
    material = material or Material()
    there = scan.tumour
    if there.any() and not beside:
        came = f"a scan with a tumour of {there.sum() * scan.voxel_ml:.3g} ml"
        raise InputError("a scan without tumour", came, "paint away from it with --beside, or remove it first")
    tissue = tissue or tissues_of(scan.images, scan.spacing, there if there.any() else None)
    room = room_of(tissue)
    far_from: Float32 | None = None
    if there.any():
        sampling = (1e6 if scan.flat else scan.spacing[0], *scan.spacing[1:])
        far_from = np.asarray(ndimage.distance_transform_edt(~there, sampling=sampling), np.float32)
        room = room & (far_from > GAP_MM)
    canvas = Canvas(scan, tissue, room)
    count = 1 if drawn is not None else int(rng.integers(int(dials.count[0]), int(dials.count[1]) + 1))
    mask, changed = np.zeros(scan.shape, np.uint8), np.zeros(scan.shape, np.bool_)
    facts: dict[str, float | str] = {"painter": "mask" if drawn is not None else painter}
    asked = 0.0
    for _ in range(count):
        if drawn is not None:
            request = requested(rng, dials, material.sizes)
            shape, regions = shape_of_mask(drawn, scan, tissue, request)
            look = _network_stroke if painter == "gan" else _stroke
            stroke = look(
                rng, canvas, shape, parts_of(shape, request, tissue, min(scan.spacing[1:]), regions), request, material
            )
        else:
            request, stroke = _placed(rng, canvas, dials, PAINTERS[painter], material, far_from)
            asked += request.biology.volume_ml
        others = mask > 0 if scan.mask is None else (mask > 0) | (scan.mask > 0)
        canvas, where = _laid(canvas, stroke, request, others)
        box = stroke.shape.box
        mask[box] = np.where(stroke.mask > 0, stroke.mask, mask[box])
        changed |= where
        facts |= {"grade": request.biology.grade, "contrast": request.contrast, **stroke.told}
    if not mask.any():
        raise InputError("a tumour that shows", "one of less than a pixel", "ask for a larger one")
    return Painted(canvas.scan.images, mask, changed, {**facts, **_measured(mask, asked, scan, tissue)})


def _placed(
    rng: np.random.Generator, canvas: Canvas, dials: Dials, painter: Painter, material: Material,
    far_from: Float32 | None,
) -> tuple[Request, Stroke]:  # fmt: skip
    """A tumour as it is asked for, and its stroke.

    Raises:
        InputError: no place for it.
        NoRoomError: it fits nowhere that was tried.
    """

    def tried() -> tuple[Request, Stroke]:
        request = requested(rng, dials, material.sizes)
        start, exact = start_of(rng, canvas.scan, canvas.tissue, request.place, far_from, material.places)
        return request, painter(rng, canvas, request, start, material, exact=exact)

    # What chance drew too large, or too near to the skull, is no reason to leave the scan out; millimetres are asked.
    free = not dials.place or isinstance(dials.place[0], str)
    for _ in range(TRIES - 1 if free else 0):
        with suppress(NoRoomError):
            return tried()
    return tried()


def _laid(canvas: Canvas, stroke: Stroke, request: Request, others: Bools) -> tuple[Canvas, Bools]:
    """The canvas with a stroke upon it, and where it changed; no other tumour comes near, and ``others`` stay."""
    scan, box = canvas.scan, stroke.shape.box
    changed = np.zeros(scan.shape, np.bool_)
    images = {}
    for name, image in scan.images.items():
        new = np.array(image)
        new[box] = stroke.images[name]
        changed |= new != image
        images[name] = new
    if request.mass_effect_mm > 0:
        images, moved = pushed(images, stroke.mask, box, canvas.tissue, scan, request.mass_effect_mm, others)
        changed |= moved
    allowed = canvas.allowed.copy()
    sampling = (1e6 if scan.flat else scan.spacing[0], *scan.spacing[1:])
    allowed[box] &= ndimage.distance_transform_edt(stroke.mask == 0, sampling=sampling) > 4
    return Canvas(Scan(images, scan.spacing, scan.mask, scan.remarks), canvas.tissue, allowed), changed


def _measured(mask: Bytes, asked: float, scan: Scan, tissue: TissueMap) -> dict[str, float | str]:
    """What came out: size and place, in columns."""
    inside = np.argwhere(mask)
    x, y, z = ((inside.mean(0) - middle_of(tissue)) * np.array(scan.spacing))[::-1]
    area = len(inside) * scan.spacing[1] * scan.spacing[2]
    size = float(4 / 3 * np.pi * (area / np.pi) ** 1.5 / 1000) if scan.flat else len(inside) * scan.voxel_ml
    return {
        # Of a mask that was drawn no size was asked.
        "asked_ml": asked or size,
        "painted_ml": size,
        "place_mm": f"{x:.1f} {y:.1f} {z:.1f}",
        "core_share": float(np.isin(mask, (1, 3)).sum() / len(inside)),
        "enhancing_share": float((mask == 3).sum() / len(inside)),
    }
