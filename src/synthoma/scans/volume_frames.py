"""Where a volume lies in the patient: from what its header says to straight axes in millimetres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.scans.case import Direction, Geometry, NiftiFrames, Vector3

Shape3 = tuple[int, int, int]

TO_LPS = np.diag([-1.0, -1.0, 1.0])
"""NIfTI, Analyze and MGH count x to the patient's right and y to the front; Synthoma to the left and to the back."""

LEFT_RIGHT = "left and right are not certain"

_MOST_MOVED = 0.02
"""Share of the longest side that straightening may move a corner by; a tilted gantry moves it farther."""
# mm: what lies a thousand kilometres away is damage.
_FARTHEST = 1e9
_AGAIN = "export it again from its source, or remove it from the folder"
_STRAIGHTEN = "resample it onto straight axes first, for example with nilearn's resample_img or FSL's flirt -applyxfm"


@dataclass(frozen=True)
class Placement:
    """What a header says about space.

    Attributes:
        matrix: step from voxel to voxel along x, y, z as columns, LPS, mm; not necessarily at right angles.
        origin: place of the first voxel, LPS, mm.
        thick: whether it says how thick a slice is.
        placed: whether it says how the grid lies in the patient.
        stated: the NIfTI header's own numbers.
        second: the qform where ``matrix`` is the sform, for use where the sform cannot be.
        remarks: what the user should know.
    """

    matrix: Array
    origin: Array
    thick: bool = True
    placed: bool = True
    stated: NiftiFrames | None = None
    second: Placement | None = None
    remarks: tuple[str, ...] = ()


def geometry_of(placement: Placement, shape: Shape3) -> tuple[Geometry, tuple[str, ...]]:
    """The grid with axes at right angles, and remarks.

    Axes that were rounded or slightly sheared are replaced by the nearest ones at right angles, as nibabel does where
    it writes a qform: the first voxel and the voxels' sides stay. That may move a corner by 2 % of the longest side.

    Args:
        placement: what the header says.
        shape: axis lengths, x first.

    Raises:
        InputError: numbers that are no geometry, or a shear that no rounding makes.
    """
    numbers = np.concatenate([placement.matrix.ravel(), placement.origin])
    with np.errstate(all="ignore"):
        matrix, thick = _with_third_axis(placement.matrix, shape)
        spacing = np.linalg.norm(matrix, axis=0)
        sound = np.abs(numbers).max() < _FARTHEST and spacing.min() > 1e-9  # False also for NaN
    if not sound:
        came = f"voxel sides {spacing.tolist()} at {placement.origin.tolist()}"
        return _second(placement, shape, None, InputError("a geometry with positive voxel sides in mm", came, _AGAIN))
    stated = matrix / spacing
    left, stretch, right = np.linalg.svd(stated)
    straight = left @ right
    sides = np.array(shape) * spacing
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * sides
    moved = float(np.linalg.norm(corners @ (straight - stated).T, axis=1).max())
    # stretch: axes that nearly coincide have no nearest right angles worth the name.
    if moved > _MOST_MOVED * sides.max() or stretch.min() < 0.5:
        came = f"sheared ones: straight axes would move a corner by {moved:.1f} mm of {sides.max():.0f} mm"
        return _second(placement, shape, straight, InputError("axes at right angles", came, _STRAIGHTEN))
    remarks = placement.remarks
    if np.abs(straight - stated).max() > 1e-4 or moved > 0.01 * spacing.min():
        moves = f"moves no corner by more than {moved:.2g} mm"
        remarks += (f"its axes are not quite at right angles: straightened, which {moves}",)
    # Axes that are straight stay as stated: those of the decomposition differ from what was read in their last digits.
    direction = stated if np.allclose(straight, stated, rtol=0, atol=1e-12) else straight
    return Geometry(
        _vector(spacing),
        _vector(placement.origin),
        _direction(direction),
        thick=placement.thick and thick,
        placed=placement.placed,
        stated=placement.stated,
    ), remarks


def _with_third_axis(matrix: Array, shape: Shape3) -> tuple[Array, bool]:
    """A single slice whose header has no step to the next one gets 1 mm at right angles to it; whether it had one."""
    if shape[2] > 1 or np.any(matrix[:, 2]):
        return matrix, True
    normal = np.cross(matrix[:, 0], matrix[:, 1])
    length = np.linalg.norm(normal)
    return np.column_stack([matrix[:, :2], normal / length if length > 0 else (0.0, 0.0, 1.0)]), False


def _second(
    placement: Placement, shape: Shape3, axes: Array | None, error: InputError
) -> tuple[Geometry, tuple[str, ...]]:
    """The qform, where the sform cannot be used and both turn the patient alike."""
    if placement.second is None:
        raise error
    geometry, remarks = geometry_of(placement.second, shape)
    # An axis more than 45 degrees apart: then the two speak of different positions, and neither is taken.
    if axes is not None and np.sum(axes * np.array(geometry.direction).reshape(3, 3), axis=0).min() < 0.7:
        raise error
    return geometry, (*remarks, "its sform is damaged or sheared too far: its qform is used")


def _vector(values: Array) -> Vector3:
    x, y, z = (float(value) + 0.0 for value in values)  # + 0.0 turns -0.0 into 0.0
    return (x, y, z)


def _direction(values: Array) -> Direction:
    a, b, c, d, e, f, g, h, i = (float(value) + 0.0 for value in values.ravel())
    return (a, b, c, d, e, f, g, h, i)


# NIfTI ---------------------------------------------------------------------------------------------------------------


def nifti_placement(stated: NiftiFrames, shape: Shape3, *, flat: bool = False, double: bool = False) -> Placement:
    """Placement by the rules that nibabel follows: the sform, else the qform, else voxels around the centre.

    Args:
        stated: the header's numbers.
        shape: axis lengths, x first.
        flat: whether the header declares two axes only.
        double: whether its numbers have double precision (NIfTI-2).
    """
    sides = np.abs(stated.pixdim[1:4])
    unknown = sides == 0
    sides[unknown] = 1.0
    scale = {1: 1000.0, 3: 0.001}.get(stated.units & 7, 1.0)  # metres and micrometres
    thick = not flat
    remarks: tuple[str, ...] = ()
    qform: Placement | None = None
    if stated.qform_code and np.isfinite([*stated.quaternion, *sides]).all():
        turn = _rotation(stated.quaternion, double)
        # qfac: anything but -1 and 1 means 1 (nifti1.h).
        sign = stated.pixdim[0] if stated.pixdim[0] in (-1.0, 1.0) else 1.0
        matrix, origin = turn * (sides * (1.0, 1.0, sign)), np.array(stated.offset)
        qform = _from_ras(matrix * scale, origin * scale, thick, stated)
    if stated.sform_code:
        rows = np.array(stated.sform).reshape(3, 4)
        sform = _from_ras(rows[:, :3] * scale, rows[:, 3] * scale, thick, stated)
        if qform is not None and np.any(np.sum(sform.matrix * qform.matrix, axis=0) < 0):
            remarks = ("its sform and its qform say opposite things of the patient's position: the sform is used",)
        return replace(sform, second=qform, remarks=remarks)
    if unknown.any():
        thick = False
        remarks = ("a voxel side of 0 mm is read as 1 mm: it has no volume in mm3",) if not flat else ()
    if qform is not None:
        return replace(qform, thick=thick, remarks=remarks)
    if flat:
        sides[2] = 1.0
    remarks += (f"its header does not say how the patient lies (qform and sform codes 0): {LEFT_RIGHT}",)
    return replace(_around_centre(sides * scale, shape), thick=thick, stated=stated, remarks=remarks)


def _from_ras(matrix: Array, origin: Array, thick: bool = True, stated: NiftiFrames | None = None) -> Placement:
    return Placement(TO_LPS @ matrix, TO_LPS @ origin, thick=thick, stated=stated)


def _around_centre(sides: Array, shape: Shape3) -> Placement:
    """Voxels stored from the patient's left to the right, back to front, upwards, around the centre."""
    matrix = np.diag(sides * (-1.0, 1.0, 1.0))
    return replace(_from_ras(matrix, -matrix @ (np.array(shape) - 1) / 2), placed=False)


def _rotation(quaternion: tuple[float, ...], double: bool) -> Array:
    """Rotation matrix of a unit quaternion of which b, c and d are given (nifti1.h)."""
    b, c, d = quaternion
    left = 1.0 - (b * b + c * c + d * d)
    # Of a half turn b, c and d have length 1, or a little more by rounding: a is 0 then, as nibabel decides it.
    a = 0.0 if left < 3 * np.finfo(np.float64 if double else np.float32).eps else np.sqrt(left)
    a, b, c, d = np.array([a, b, c, d]) / np.sqrt(a * a + b * b + c * c + d * d)  # rounding may have made it longer
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def frames_of(geometry: Geometry, shape: Shape3) -> NiftiFrames:
    """What a NIfTI file on this grid has to say: what the scan itself said, where that is still this grid.

    Otherwise the quaternion and the matrix say the same, in the scanner's frame (code 1), in mm.
    """
    # The scan's own numbers, byte for byte: viewers that read the other form would else show the mask elsewhere.
    if geometry.stated is not None:
        try:
            with np.errstate(all="ignore"):
                stated, _ = geometry_of(nifti_placement(geometry.stated, shape), shape)
        except InputError:
            stated = None
        if stated is not None and _alike(stated, geometry):
            return geometry.stated
    axes = TO_LPS @ np.array(geometry.direction).reshape(3, 3)
    offset = TO_LPS @ np.array(geometry.origin)
    # A quaternion can only turn: that the third axis is mirrored stands in pixdim[0].
    sign = 1.0 if np.linalg.det(axes) > 0 else -1.0
    rows = np.column_stack([axes * geometry.spacing, offset])
    return NiftiFrames(
        1, 1, (sign, *geometry.spacing), _quaternion(axes * (1.0, 1.0, sign)),
        tuple(offset.tolist()), tuple(rows.ravel().tolist()), 2,
    )  # fmt: skip


def _alike(one: Geometry, other: Geometry) -> bool:
    """Whether two geometries are one, but for single precision."""
    return (
        np.allclose(one.spacing, other.spacing, rtol=1e-5)
        and np.allclose(one.origin, other.origin, rtol=1e-5, atol=1e-5 * max(one.spacing))
        and np.allclose(one.direction, other.direction, atol=1e-5)
    )


def _quaternion(rotation: Array) -> tuple[float, ...]:
    """b, c and d of a rotation matrix, a being positive: the direction in which K stretches most (Bar-Itzhack 2000)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    square = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    a, b, c, d = np.linalg.eigh(square)[1][:, -1]
    sign = -1.0 if a < 0 else 1.0
    return (float(sign * b), float(sign * c), float(sign * d))


# The others ----------------------------------------------------------------------------------------------------------


def analyze_placement(sides: Array, first: Array, shape: Shape3) -> Placement:
    """Placement of an Analyze file: a convention, since the format says nothing (as nibabel reads SPM's variant).

    Args:
        sides: of a voxel, mm.
        first: number of the voxel at the origin, counted from 1, as SPM writes it; zeros where it did not.
        shape: axis lengths, x first.
    """
    remarks = (f"an Analyze file does not say how the patient lies: {LEFT_RIGHT}",)
    thick = not np.any(sides == 0)
    sides = np.where(sides == 0, 1.0, np.abs(sides))
    placement = _around_centre(sides, shape)
    # Other programs leave other things in this field: what lies far outside of the grid is no origin.
    if np.any(first) and np.all(first > -np.array(shape)) and np.all(first < 2 * np.array(shape)):
        placement = replace(placement, origin=-placement.matrix @ (first - 1))
    return replace(placement, thick=thick, remarks=remarks)


def mgh_placement(sides: Array, axes: Array, centre: Array, shape: Shape3) -> Placement:
    """Placement of an MGH file, which states the centre of the volume.

    Args:
        sides: of a voxel, mm.
        axes: direction of each axis as columns, RAS.
        centre: of the volume, RAS, mm.
        shape: axis lengths, x first.
    """
    matrix = axes * sides
    # FreeSurfer counts the centre as voxel n / 2, not as (n - 1) / 2: half a voxel beside the middle.
    return _from_ras(matrix, centre - matrix @ np.array(shape) / 2)
