"""The template head every patient is a deformation of: MNI152 grey and white matter, regions, and the painted head.

Fonov et al. 2011, "Unbiased average age-appropriate atlases for pediatric studies", NeuroImage 54 (the template);
nilearn ships it under the ICBM licence, which lets it be used and modified for any purpose. Built once per process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from synthoma.core.lobes import lobe
from synthoma.core.types import Array, Bools, Float32, Floats
from synthoma.phantom.head import UNSET, Canvas, face_distance, paint_head
from synthoma.phantom.tissue import Tissue

X_MM, Y_MM, Z_MM = (-100, 100), (-140, 120), (-124, 104)
COARSE_MM = 2
GROWTH_MM = 3
SHARES = {"frontal": 0.38, "temporal": 0.29, "parietal": 0.15, "occipital": 0.05, "deep": 0.10, "posterior fossa": 0.03}
"""How often gliomas start where (after Larjavaara et al. 2007, Neuro-Oncology 9:319)."""


@dataclass(frozen=True)
class Growth:
    """What tumour growth needs, on a grid of 3 mm in template space.

    Attributes:
        white, grey: fractions, float32 (z, y, x).
        origin: position in mm of the first sample, ordered (x, y, z).
        seeds: candidate places (n, 3) as (z, y, x) indices, and ``weights`` (n,) summing to 1.
    """

    white: Float32
    grey: Float32
    origin: tuple[float, float, float]
    seeds: Array
    weights: Floats


@dataclass(frozen=True)
class Atlas:
    """Template fields on one box (x -100..100, y -140..120, z -124..104 mm; rising axes).

    Attributes:
        matter: grey and white matter fractions, float32 (2, z, y, x), 1 mm.
        labels: painted codes (``Tissue`` or ``UNSET`` or ``FLESH``), float32 (1, z, y, x), 1 mm.
        codes: the same, uint8 (z, y, x).
        distances: mm to skull cavity, face, face with ears, ventricles; float32 (4, z, y, x), 2 mm, negative inside.
        ventricles: distance to the ventricles and its unit gradient (x, y, z), float32 (4, z, y, x), 2 mm.
        growth: the grid of tumour growth.
    """

    matter: Tensor
    labels: Tensor
    codes: Tensor
    distances: Tensor
    ventricles: Tensor
    growth: Growth


def to_unit(points: Tensor) -> Tensor:
    """Millimetres (3, ...) ordered (x, y, z) to the -1..1 coordinates in which the atlas is sampled."""
    spans = torch.tensor([X_MM, Y_MM, Z_MM], dtype=torch.float32)
    shape = (3,) + (1,) * (points.ndim - 1)
    low, high = spans[:, 0].reshape(shape), spans[:, 1].reshape(shape)
    return (points - low) * (2 / (high - low)) - 1


def _axes(step: int) -> tuple[Floats, Floats, Floats]:
    z, y, x = (np.arange(low, high + 1, step, dtype=np.float64) for low, high in (Z_MM, Y_MM, X_MM))
    return z, y, x


def _templates() -> tuple[Float32, Float32, Float32]:
    """T1, grey and white matter of the template on the atlas box, float32 (z, y, x)."""
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    found = []
    for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template):
        image = load(resolution=1)
        data = np.asarray(image.dataobj, dtype=np.float32).transpose(2, 1, 0)
        start = [int(v) for v in image.affine[:3, 3]]
        box = np.zeros(tuple(high - low + 1 for low, high in (Z_MM, Y_MM, X_MM)), np.float32)
        z, y, x = (start[2] - Z_MM[0], start[1] - Y_MM[0], start[0] - X_MM[0])
        depth, height, width = data.shape
        # The template's box reaches beyond ours only where it is empty.
        part = data[: box.shape[0] - z, : box.shape[1] - y, : box.shape[2] - x]
        box[z : z + depth, y : y + height, x : x + width] = part
        found.append(box)
    return found[0], found[1], found[2]


@cache
def atlas() -> Atlas:
    """The template head. Takes some seconds on the first call of a process."""
    t1, grey, white = _templates()
    grey = _with_pineal_region(grey, white)
    hull = _hull(t1 > 0)
    fine = _zoomed(hull)
    ventricles = _ventricles(grey, white, fine)
    canvas = Canvas(np.full(t1.shape, UNSET, np.uint8), *_axes(1))
    paint_head(canvas, fine)
    _paint_brain(canvas, grey, white, fine, ventricles)
    faces = [face_distance(*_axes(COARSE_MM), ears=ears) for ears in (False, True)]
    far = _signed(ndimage.zoom(ventricles.astype(np.float32), 0.5, order=1)[: hull.shape[0]] > 0.5, hull.shape)
    far = ndimage.gaussian_filter(far, 1.0)
    # `gradient` gives (z, y, x), places are (x, y, z).
    slope = np.stack(np.gradient(ndimage.gaussian_filter(far, 1.5), COARSE_MM)[::-1])
    # Half way between two ventricles nothing points away from either: the floor keeps it from being noise of length 1.
    slope /= np.maximum(np.sqrt((slope**2).sum(0)), 0.3)
    return Atlas(
        matter=_interleaved(np.stack((grey, white))),
        labels=torch.from_numpy(canvas.labels.astype(np.float32))[None],
        codes=torch.from_numpy(canvas.labels),
        distances=_interleaved(np.stack((hull, *faces, far)).astype(np.float32)),
        ventricles=_interleaved(np.concatenate((far[None], slope)).astype(np.float32)),
        growth=_growth(grey, white),
    )


def _interleaved(values: Float32) -> Tensor:
    """Values (channels, z, y, x) whose channels lie side by side in memory: a place is read by one access, not many."""
    return torch.from_numpy(values)[None].contiguous(memory_format=torch.channels_last_3d)[0]


def _with_pineal_region(grey: Float32, white: Float32) -> Float32:
    """Grey matter with the cistern behind the third ventricle narrowed; averaging made it larger than anyone's."""
    z, y, x = np.meshgrid(*_axes(1), indexing="ij", sparse=True)
    near = np.exp(-((x / 13) ** 2) - ((y + 46) / 13) ** 2 - ((z - 3) / 11) ** 2)
    filled: Float32 = (grey + 0.6 * near * np.clip(1 - grey - white, 0, 1)).astype(np.float32)
    return filled


def _signed(inside: Bools, shape: tuple[int, ...]) -> Float32:
    """Signed distance in mm of a mask of 2 mm voxels, negative inside."""
    full = np.zeros(shape, bool)
    full[tuple(slice(0, n) for n in inside.shape)] = inside
    # Distance outside less distance inside: each is 0 on the other side.
    away = ndimage.distance_transform_edt(~full) - ndimage.distance_transform_edt(full)
    distance: Float32 = (COARSE_MM * away).astype(np.float32)
    return distance


def _hull(brain: Bools) -> Float32:
    """Distance to the cavity of the skull, 2 mm: the brain with its clefts closed, widely under the vault."""
    coarse = brain[::COARSE_MM, ::COARSE_MM, ::COARSE_MM]
    away = ndimage.distance_transform_edt(~coarse) * COARSE_MM
    # A closing with a ball of 9 mm, by two distance transforms: as a filter it would take minutes.
    closed = ndimage.distance_transform_edt(away < 9) * COARSE_MM > 8.5
    # Room beyond the box, or the closing would grow towards its lid.
    wide = np.pad(coarse, 16)
    reach = ndimage.distance_transform_edt(~wide) * COARSE_MM < 27
    vault = (ndimage.distance_transform_edt(reach) * COARSE_MM > 26)[16:-16, 16:-16, 16:-16]
    z, y, _ = np.meshgrid(*_axes(COARSE_MM), indexing="ij", sparse=True)
    closed |= vault & (z > -18 + 0.8 * np.minimum(y + 60, 0))
    smooth: Float32 = ndimage.gaussian_filter(_signed(closed | coarse, coarse.shape), 1.5)
    return smooth


def _zoomed(coarse: Float32) -> Float32:
    """A 2 mm field on the 1 mm box."""
    tensor = torch.from_numpy(coarse)[None, None]
    # Both grids share their ends, so that every other fine sample is a coarse one.
    size = [2 * n - 1 for n in coarse.shape]
    fine = torch.nn.functional.interpolate(tensor, size, mode="trilinear", align_corners=True)
    return fine[0, 0].numpy()


def _ventricles(grey: Float32, white: Float32, hull: Float32) -> Bools:
    """Lateral, third and fourth ventricle: fluid deep inside the brain that hangs together."""
    z, y, x = np.meshgrid(*_axes(1), indexing="ij", sparse=True)
    lateral = (hull < -22) & (z > -22) & (z < 36) & (np.abs(x) < 42) & (y > -85) & (y < 40)
    # The cisterns behind the third ventricle and above the corpus callosum are not ventricle.
    cistern = (np.abs(x) < 14) & (y < -36) & (z < 12) | (np.abs(x) < 3.5) & (y < -28)
    fourth = (np.abs(x) < 9) & (y > -54) & (y < -34) & (z > -46) & (z < -22)
    fluid = (grey + white < 0.55) & (lateral & ~cistern | fourth)
    parts, count = ndimage.label(fluid)
    sizes = ndimage.sum_labels(fluid, parts, np.arange(1, count + 1))
    # Voxels of 1 mm3: smaller pockets of fluid are no ventricle.
    kept: Bools = np.isin(parts, 1 + np.flatnonzero(sizes > 150))
    return kept


def _paint_brain(canvas: Canvas, grey: Float32, white: Float32, hull: Float32, ventricles: Bools) -> None:
    """Paint what lies inside the skull and is neither cortex, white matter nor outer fluid."""
    z, y, x = np.meshgrid(canvas.z, canvas.y, canvas.x, indexing="ij", sparse=True)
    labels, fluid = canvas.labels, grey + white < 0.5
    deep = (hull < -24) & (np.abs(x) < 34) & (y > -36) & (y < 26) & (z > -14) & (z < 24) & (grey > 0.35)
    insula = (np.abs(x) > 30 + 0.12 * np.abs(y)) & (grey > 0.35)
    # In this order: what is painted later covers what was painted before.
    labels[deep & ~insula & ~fluid & (labels == UNSET)] = Tissue.DEEP_GREY
    inside = hull < 1.0
    # Falx from the vault down to the corpus callosum, tentorium left out: it is thinner than a voxel.
    falx = inside & (np.abs(x) < 0.6) & (z > 22 - 0.004 * (y + 20) ** 2) & (z > 0) & (white < 0.3)
    labels[falx] = Tissue.DURA
    course = (y < 60) & ((z > -15) & (y < -60) | (z > 30))
    labels[course & (hull > -5 + 0.8 * np.abs(x)) & (hull < 1.5) & (np.abs(x) < 6)] = Tissue.SINUS
    groove = np.abs(z + 24 + 0.14 * (np.abs(x) - 20)) < 4.5
    labels[groove & (hull > -5) & (hull < 1.5) & (y < -52) & (np.abs(x) > 3)] = Tissue.SINUS
    labels[ventricles] = Tissue.VENTRICLE
    glomus = ventricles & (np.abs(np.abs(x) - 23) < 2.5) & (np.abs(y + 40) < 5) & (np.abs(z - 6) < 6)
    labels[glomus] = Tissue.CHOROID
    canvas.ellipsoid(Tissue.GLAND, (0, 3, -33), (6, 5, 4))
    everywhere = np.ones(labels.shape, bool) & fluid
    for start, end, r in (
        ((0.0, -18.0, -52.0), (0.0, -16.0, -28.0), 1.9),  # basilar
        ((11.0, 4.0, -38.0), (9.0, 3.0, -20.0), 2.3),  # carotid siphon
        ((9.0, 4.0, -20.0), (34.0, 6.0, -18.0), 1.7),  # middle cerebral
        ((34.0, 6.0, -18.0), (41.0, -6.0, 4.0), 1.4),
        ((3.0, 10.0, -20.0), (2.0, 38.0, 0.0), 1.2),  # anterior cerebral
        ((3.0, -18.0, -26.0), (22.0, -30.0, -14.0), 1.2),  # posterior cerebral
    ):
        canvas.rod(Tissue.ARTERY, start, end, (r, r), everywhere)


def _growth(grey: Float32, white: Float32) -> Growth:
    """Grid of tumour growth, with the places where gliomas start and how often."""
    n = GROWTH_MM
    shape = tuple(size // n * n for size in grey.shape)

    def pooled(field: Float32) -> Float32:
        part = field[tuple(slice(0, size) for size in shape)]
        blocks = part.reshape(shape[0] // n, n, shape[1] // n, n, shape[2] // n, n)
        means: Float32 = blocks.mean((1, 3, 5), dtype=np.float32)
        return means

    g, w = pooled(grey), pooled(white)
    # The middle of the first block.
    origin = (X_MM[0] + (n - 1) / 2, Y_MM[0] + (n - 1) / 2, Z_MM[0] + (n - 1) / 2)
    seeds = np.argwhere((w > 0.3) & (g + w > 0.75))
    z, y, x = (seeds * n + np.array(origin[::-1])).T
    # Near the junction of grey and white matter more often than deep inside.
    weights = 0.25 + g[tuple(seeds.T)] * w[tuple(seeds.T)] * 4
    names = lobe(x, y, z)
    for name, part in SHARES.items():
        here = names == name
        # Shares are of all gliomas, however many places a lobe has.
        weights[here] *= part / weights[here].sum()
    return Growth(w, g, origin, seeds, weights / weights.sum())
