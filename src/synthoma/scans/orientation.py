"""Voxels in the directions of the patient, and the planes of a volume: both ways."""

from __future__ import annotations

from types import EllipsisType

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bytes, Plane
from synthoma.scans.case import Direction, Geometry, Study


def to_lps(study: Study) -> Study:
    """The study with its array axes nearest to (up, back, left), as radiologists' axial slices are shown.

    Axes are only permuted and reversed, never interpolated, so an oblique scan keeps its own slices. A study without
    geometry is taken to lie so already.
    """
    geometry = study.geometry
    if geometry is None:
        return study
    axes, flips = _nearest_axes(geometry.direction)
    # The same object: most scans lie so already, and a volume is not copied for nothing.
    if axes == (0, 1, 2) and not any(flips):
        return study
    order, back = turning(geometry)

    def turn(array: Array) -> Array:
        return array.transpose(order)[reversal(back)]

    shape = next(iter(study.images.values())).shape[::-1]
    matrix = np.array(geometry.direction).reshape(3, 3)
    origin, columns, spacing = np.array(geometry.origin), [], []
    for target in range(3):
        axis = axes[target]
        column = matrix[:, axis]
        if flips[target]:
            # The first voxel is now the one at the other end of the axis.
            origin = origin + column * geometry.spacing[axis] * (shape[axis] - 1)
            column = -column
        columns.append(column)
        spacing.append(geometry.spacing[axis])
    turned = Geometry(
        spacing=(spacing[0], spacing[1], spacing[2]),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        # + 0.0 turns -0.0 into 0.0, which would be written with its sign.
        direction=tuple(float(value) + 0.0 for value in np.stack(columns, axis=1).ravel()),  # type: ignore[arg-type]
    )
    images = {name: turn(image) for name, image in study.images.items()}
    mask = None if study.mask is None else turn(study.mask)
    return Study(images=images, geometry=turned, mask=mask, labels=study.labels)


def turning(geometry: Geometry | None) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """How ``to_lps`` turns arrays (z, y, x) of this grid: the axis that each new axis was, then which are reversed."""
    if geometry is None:
        return (0, 1, 2), (False, False, False)
    axes, flips = _nearest_axes(geometry.direction)
    # Grid axis i (x, y, z) is array axis 2 - i.
    return (2 - axes[2], 2 - axes[1], 2 - axes[0]), (flips[2], flips[1], flips[0])


def from_lps(array: Array, geometry: Geometry | None) -> Array:
    """An array in LPS order back on the grid that its study came on: the inverse of what ``to_lps`` does to arrays.

    Args:
        array: (z, y, x), or with further axes in front.
        geometry: of the study before ``to_lps``; None where it has none.
    """
    order, back = turning(geometry)
    ahead = array.ndim - 3
    places = [*range(ahead), *(ahead + axis for axis in np.argsort(order).tolist())]
    index: tuple[EllipsisType | slice, ...] = (Ellipsis, *reversal(back))
    # In the opposite order of `turn`: reversed first, permuted then.
    upright: Array = array[index]
    return upright.transpose(places)


def reversal(back: tuple[bool, ...]) -> tuple[slice, ...]:
    """Index that reverses these axes."""
    return tuple(slice(None, None, -1 if reversed_ else 1) for reversed_ in back)


def _nearest_axes(direction: Direction) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For each patient axis (left, back, up): the grid axis that runs most along it, and whether it runs against it.

    The pairing with the largest sum of cosines is taken, so that no grid axis is used twice at 45 degrees.
    """
    from itertools import permutations

    matrix = np.array(direction).reshape(3, 3)
    axes = max(permutations(range(3)), key=lambda order: sum(abs(matrix[i, order[i]]) for i in range(3)))
    flips = tuple(bool(matrix[i, axes[i]] < 0) for i in range(3))
    return (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2])


PLANE_AXES: dict[Plane, tuple[int, int, int]] = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
"""Axes of an array in LPS order (z, y, x) as slices, rows and columns of each plane."""


def to_plane(study: Study, plane: Plane) -> tuple[dict[str, Array], Bytes | None, tuple[float, float], float | None]:
    """Slices of one plane from a study in LPS order.

    Returns:
        Images by modality (slices, rows, columns), the mask likewise, the pixel's (height, width) in mm (1, 1 where
        unknown), and the distance between slices in mm (None where unknown). Rows run from front to back in axial
        slices, and from the top down in sagittal and coronal ones.

    Raises:
        InputError: another plane than the axial one of a single picture, or of a stack without spacing.
    """
    depth = next(iter(study.images.values())).shape[0]
    if plane != "axial" and (study.geometry is None or depth == 1):
        came = "a single picture" if depth == 1 else "a stack whose spacing is not known"
        raise InputError(f"a volume with spacing for {plane} slices", came, "use --plane axial")
    x, y, z = study.geometry.spacing if study.geometry else (1.0, 1.0, None)
    order = PLANE_AXES[plane]
    pixel, step = {
        "axial": ((y, x), z),
        "coronal": ((z or 1.0, x), y),
        "sagittal": ((z or 1.0, y), x),
    }[plane]

    def cut(array: Array) -> Array:
        # The z axis runs upwards, and rows of a picture downwards: the head would stand on its neck.
        return array.transpose(order) if plane == "axial" else array.transpose(order)[:, ::-1]

    images = {name: cut(image) for name, image in study.images.items()}
    return images, None if study.mask is None else cut(study.mask), pixel, step


def from_plane(array: Array, plane: Plane) -> Array:
    """Slices (..., slices, rows, columns) of one plane back in LPS order (..., z, y, x); inverse of ``to_plane``."""
    ahead = array.ndim - 3
    upright = array if plane == "axial" else array[..., ::-1, :]
    return upright.transpose([*range(ahead), *(ahead + axis for axis in np.argsort(PLANE_AXES[plane]).tolist())])
