"""The head around the template's brain: solids of skull base, face and neck, painted once in template space.

The template has no head, so it is built from what anatomy books say in MNI millimetres (x right, y front, z up):
globes of 24 mm, sinuses, nasal cavity, skull base, jaws, vertebrae and the muscles that fill the low slices.
A patient's own face comes from the deformation and from thicknesses drawn for each patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthoma.core.types import Array, Bools, Bytes, Float32, Floats
from synthoma.phantom.tissue import Tissue

Point = tuple[float, float, float]
UNSET = 255
"""Label of places that follow the layers: brain, skull, scalp, air by distance."""
FLESH = 254
"""Label of the unnamed deep tissue of face and neck, resolved to muscle and fat by a patient's own field."""


@dataclass(frozen=True)
class Canvas:
    """A label volume (z, y, x) of 1 mm in template space, and the millimetre axes (rising) that index it."""

    labels: Bytes
    z: Floats
    y: Floats
    x: Floats

    def _box(self, centre: Point, reach: Sequence[float]) -> tuple[tuple[slice, slice, slice], list[Float32]]:
        slices, offsets = [], []
        for axis, middle, half in zip((self.z, self.y, self.x), centre[::-1], reach[::-1], strict=True):
            low, high = np.searchsorted(axis, (middle - half, middle + half))
            slices.append(slice(int(low), int(high)))
            offsets.append((axis[low:high] - middle).astype(np.float32))
        z, y, x = np.meshgrid(*offsets, indexing="ij", sparse=True)
        return (slices[0], slices[1], slices[2]), [x, y, z]

    def ellipsoid(self, code: int, centre: Point, radii: Point, power: float = 2.0, where: Bools | None = None) -> None:
        """Paint a (super)ellipsoid, mirrored to the other side where the centre is off the midline."""
        for middle in _both_sides(centre):
            box, offsets = self._box(middle, radii)
            terms = [np.abs(offset / radius) ** power for offset, radius in zip(offsets, radii, strict=True)]
            self._fill(code, box, terms[0] + terms[1] + terms[2] < 1, where)

    def rod(self, code: int, start: Point, end: Point, radii: tuple[float, float], where: Bools | None = None) -> None:
        """Paint a rod (a cone with round ends) from ``start`` to ``end``, mirrored where it is off the midline."""
        for a, b in zip(_both_sides(start), _both_sides(end), strict=True):
            centre = (0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1]), 0.5 * (a[2] + b[2]))
            reach = [0.5 * abs(p - q) + max(radii) for p, q in zip(a, b, strict=True)]
            box, offsets = self._box(centre, reach)
            along = [q - p for p, q in zip(a, b, strict=True)]
            length = sum(step**2 for step in along)
            t = sum((o + m - p) * s for o, m, p, s in zip(offsets, centre, a, along, strict=True)) / max(length, 1e-6)
            t = np.clip(t, 0, 1)
            gap = sum((o + m - p - t * s) ** 2 for o, m, p, s in zip(offsets, centre, a, along, strict=True))
            self._fill(code, box, gap < (radii[0] + t * (radii[1] - radii[0])) ** 2, where)

    def _fill(self, code: int, box: tuple[slice, slice, slice], inside: Bools, where: Bools | None) -> None:
        self.labels[box][inside if where is None else inside & where[box]] = code


def _both_sides(point: Point) -> tuple[Point, ...]:
    x, y, z = point
    return (point, (-x, y, z)) if x else (point, point)[:1]


def paint_head(canvas: Canvas, hull: Array) -> None:
    """Paint all solids outside the cavity of the skull.

    Args:
        canvas: label volume, ``UNSET`` everywhere; changed in place.
        hull: distance to the cavity of the skull in mm (z, y, x), negative inside, on the canvas.
    """
    out = hull > 0.5
    _flesh(canvas, hull, out)
    _bones(canvas, out)
    _neck(canvas, out)
    _airways(canvas, out, np.random.default_rng(20260101))
    _orbits(canvas, hull > 2.0)


def _flesh(canvas: Canvas, hull: Array, out: Bools) -> None:
    flesh = FLESH
    canvas.ellipsoid(flesh, (0, 5, -72), (66, 62, 52), 3.0, out & (hull > 7))
    canvas.ellipsoid(flesh, (0, -38, -100), (60, 62, 62), 2.5, out & (hull > 9))
    # Temporal fossa: fat in front of the muscle, then the muscle itself, thin upwards.
    canvas.ellipsoid(Tissue.MUSCLE, (60, 14, -22), (12, 34, 44), 2.0, out & (hull > 7.5) & (hull < 16))
    canvas.ellipsoid(Tissue.MUSCLE, (54, 20, -62), (11, 20, 22), 2.0, out & (hull > 6))
    canvas.rod(Tissue.MUSCLE, (57, 30, -62), (50, 8, -112), (8, 9), out)  # masseter
    canvas.rod(Tissue.MUSCLE, (24, 16, -62), (44, -4, -98), (9, 8), out)  # medial pterygoid
    canvas.rod(Tissue.MUSCLE, (26, 22, -58), (46, 0, -56), (7, 6), out)  # lateral pterygoid
    canvas.ellipsoid(Tissue.FAT, (38, 40, -72), (13, 12, 20), 2.0, out)  # buccal fat
    canvas.ellipsoid(Tissue.GLAND, (60, -8, -78), (9, 15, 22), 2.0, out)  # parotid
    canvas.ellipsoid(Tissue.MUSCLE, (0, 38, -112), (20, 26, 18), 2.0, out)  # tongue


def _bones(canvas: Canvas, out: Bools) -> None:
    bone, marrow = Tissue.SKULL, Tissue.MARROW
    # Skull base: petrous pyramids, clivus, sphenoid, with marrow where it is thick.
    canvas.rod(bone, (14, -14, -40), (56, -30, -42), (8, 15), out)
    canvas.ellipsoid(bone, (52, -36, -52), (14, 15, 22), 2.0, out)  # mastoid
    canvas.rod(bone, (0, 6, -42), (0, -26, -66), (11, 8), out)
    canvas.rod(marrow, (0, 2, -45), (0, -26, -65), (7, 5.5), out)
    canvas.rod(bone, (16, 14, -44), (44, 30, -40), (7, 6), out)  # greater wing
    canvas.rod(marrow, (24, 19, -46), (40, 28, -44), (3, 3), out)
    canvas.rod(bone, (44, 44, -30), (48, 36, -52), (6, 6), out)  # lateral orbital rim
    canvas.rod(bone, (48, 46, -52), (66, 22, -54), (7, 3.5), out)  # zygoma and its arch
    canvas.rod(marrow, (47, 46, -52), (56, 36, -53), (4.5, 1.5), out)
    canvas.rod(bone, (66, 22, -54), (60, -8, -50), (3.5, 3.5), out)
    canvas.rod(bone, (50, -4, -56), (46, 0, -120), (6, 6), out)  # mandible: ramus
    canvas.rod(marrow, (50, -4, -58), (46, 0, -120), (3.5, 3.5), out)
    for front in (78.0, 70.0):  # alveolar arch and hard palate
        canvas.rod(bone, (0.1, front, -94), (22, front - 14, -94), (6, 6), out)
        canvas.rod(bone, (22, front - 14, -94), (27, 30, -94), (6, 5), out)
        canvas.rod(marrow, (0.1, front, -92), (22, front - 14, -92), (4, 4), out)
    canvas.ellipsoid(bone, (0, 48, -86), (24, 28, 4), 2.0, out)


def _neck(canvas: Canvas, out: Bools) -> None:
    canvas.rod(Tissue.SKULL, (0, -22, -80), (0, -26, -122), (12, 11), out)
    canvas.rod(Tissue.MARROW, (0, -22, -80), (0, -26, -122), (9, 8.5), out)
    canvas.ellipsoid(Tissue.SKULL, (22, -32, -80), (13, 10, 8), 2.0, out)  # masses of the atlas
    canvas.ellipsoid(Tissue.MARROW, (22, -32, -80), (10, 7, 5), 2.0, out)
    for x, y, r in ((12.0, -78.0, 11.0), (30.0, -72.0, 12.0), (22.0, -92.0, 10.0), (46.0, -56.0, 10.0)):
        canvas.rod(Tissue.MUSCLE, (x, y, -58), (x * 0.9, y + 4, -122), (r * 0.8, r), out)
    canvas.rod(Tissue.CSF, (0, -42, -60), (0, -48, -122), (9, 9), out)
    canvas.rod(Tissue.NERVE, (0, -41, -62), (0, -48, -122), (6.5, 5.5), out)
    canvas.rod(Tissue.ARTERY, (26, -14, -52), (28, -16, -122), (3, 3.5), out)  # internal carotid
    canvas.rod(Tissue.SINUS, (33, -24, -56), (35, -22, -122), (5, 6), out)  # jugular vein
    canvas.rod(Tissue.ARTERY, (10, -34, -66), (22, -38, -92), (2, 2.2), out)  # vertebral artery


def _airways(canvas: Canvas, out: Bools, rng: np.random.Generator) -> None:
    air, lining = Tissue.AIR, Tissue.MUCOSA
    for code, shrink in ((lining, 0.0), (air, 1.2)):
        canvas.ellipsoid(code, (29, 44, -68), (14 - shrink, 17 - shrink, 17 - shrink), 2.6, out)  # maxillary
        canvas.ellipsoid(code, (7.5, 19, -40), (8 - shrink, 12 - shrink, 10 - shrink), 2.6, out)  # sphenoid
        canvas.ellipsoid(code, (7, 42, -40), (6.5 - shrink, 22 - shrink, 12 - shrink), 3.0, out)  # ethmoid
        canvas.ellipsoid(code, (11, 80, -6), (11 - shrink, 5 - 0.6 * shrink, 14 - shrink), 2.0, out)  # frontal
    for x, y, z in rng.uniform((2, 24, -50), (13, 62, -30), (70, 3)):  # walls of the ethmoid cells
        r = rng.uniform(1.2, 2.6)
        canvas.ellipsoid(lining, (x, y, z), (r, 1.1 * r, r), 2.0, out)
    canvas.ellipsoid(air, (8, 48, -66), (8.5, 37, 20), 3.0, out)  # nasal cavity
    canvas.ellipsoid(air, (0, 8, -76), (13, 12, 18), 2.4, out)  # nasopharynx
    canvas.ellipsoid(lining, (0, 42, -64), (1.4, 43, 24), 4.0, out)  # septum
    for z, r in ((-58.0, 3.0), (-66.0, 4.2), (-76.0, 5.0)):  # turbinates
        canvas.rod(lining, (9.0, 22, z), (8.0, 72, z - 3), (r, r * 0.8), out)
    canvas.rod(air, (46, -22, -44), (78, -20, -46), (3.5, 3.5), out)  # ear canal
    canvas.rod(air, (4, 88, -69), (6, 82, -61), (3.5, 3.5), out)  # nostril
    for x, y, z in rng.uniform((42, -48, -66), (62, -22, -34), (130, 3)):  # mastoid cells
        r = rng.uniform(1.5, 3.6)
        canvas.ellipsoid(air, (x, y, z), (r, r, r), 2.0, out)
    for x, y, z in rng.uniform((44, -48, -66), (62, -24, -36), (25, 3)):
        canvas.ellipsoid(lining, (x, y, z), (1.3, 1.3, 1.3), 2.0, out)


def _orbits(canvas: Canvas, out: Bools) -> None:
    eye: Point = (32, 56, -39)
    canvas.rod(Tissue.SKULL, (13, 20, -35), (31, 52, -39), (6, 19), out)
    canvas.rod(Tissue.FAT, (13.5, 21, -35), (32, 54, -39), (4.5, 17.5), out)
    apex: Point = (14, 21, -35)
    for dx, dz in ((11.0, 0.0), (-11.0, 0.0), (0.0, 10.5), (0.0, -10.5)):  # rectus muscles
        belly = (27 + dx, 42.0, -38 + dz)
        canvas.rod(Tissue.MUSCLE, apex, belly, (1.5, 2.6), out)
        canvas.rod(Tissue.MUSCLE, belly, (eye[0] + 1.02 * dx, eye[1] + 2, eye[2] + dz), (2.6, 1.0), out)
    canvas.rod(Tissue.CSF, (12, 18, -33), (28, 42, -38), (2.8, 2.9), out)  # sheath of the optic nerve
    canvas.rod(Tissue.NERVE, (11, 16, -32), (29, 46, -38.5), (2.0, 2.0), out)
    canvas.ellipsoid(Tissue.GLAND, (44, 57, -30), (4, 8, 6), 2.0, out)  # lacrimal
    canvas.ellipsoid(Tissue.DURA, eye, (12.6, 12.4, 12.4), 2.0, out)
    canvas.ellipsoid(Tissue.VITREOUS, eye, (11.4, 11.2, 11.2), 2.0, out)
    canvas.ellipsoid(Tissue.LENS, (eye[0], eye[1] + 8.2, eye[2]), (4.6, 2.3, 4.6), 2.0, out)


FACE: tuple[tuple[Point, Point], ...] = (
    ((0, 20, -47), (70, 56, 42)),  # midface behind the orbits
    ((27, 46, -40), (30, 28, 24)),  # orbits and eyelids
    ((33, 34, -66), (36, 34, 31)),  # cheeks
    ((0, 72, -46), (12, 18, 18)),  # bridge of the nose
    ((0, 77, -63), (16, 24, 14)),  # nose
    ((0, 52, -96), (38, 38, 34)),  # mouth and jaw
    ((0, 6, -92), (70, 57, 52)),  # parotid region and mandible
    ((0, -40, -96), (63, 64, 64)),  # neck and nape
    ((0, -60, -58), (56, 44, 30)),  # nuchal muscles under the occiput
    ((56, 16, -32), (13, 34, 42)),  # temporal muscle
)
"""Ellipsoids (centre, radii) in mm whose smooth union is the surface of face and neck."""
EAR: tuple[Point, Point] = ((79, -27, -44), (4, 13, 28))


def face_distance(z: Floats, y: Floats, x: Floats, ears: bool) -> Float32:
    """Distance to the surface of face and neck in mm (negative inside), on the grid of three rising axes."""
    grid = [axis.astype(np.float32) for axis in np.meshgrid(z, y, x, indexing="ij", sparse=True)]
    total: Float32 | None = None
    for centre, radii in (*FACE, EAR) if ears else FACE:
        for middle in _both_sides(centre):
            part = _ellipsoid_distance(grid, middle, radii)
            total = part if total is None else smooth_min(total, part, 2.0 if (centre, radii) == EAR else 9.0)
    return total if total is not None else np.empty(0, np.float32)


def _ellipsoid_distance(grid: list[Float32], centre: Point, radii: Point) -> Float32:
    """First-order distance: exact on the surface and along it, sound within some centimetres."""
    scaled = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre[::-1], radii[::-1], strict=True))
    slope = sum(((g - c) / r**2) ** 2 for g, c, r in zip(grid, centre[::-1], radii[::-1], strict=True))
    root = np.sqrt(np.maximum(scaled, 1e-6))
    distance: Float32 = (root * (root - 1) / np.sqrt(np.maximum(slope, 1e-9))).astype(np.float32)
    return distance


def smooth_min(a: Float32, b: Float32, radius: float) -> Float32:
    """Smaller of two distances, with the edge between them rounded by ``radius`` mm (Quilez' polynomial blend)."""
    h = np.maximum(radius - np.abs(a - b), 0) / radius
    least: Float32 = (np.minimum(a, b) - h * h * radius / 4).astype(np.float32)
    return least
