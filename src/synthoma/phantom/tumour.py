"""Gliomas in the template: their character, and growth by reaction and diffusion.

Growth is the Fisher-KPP equation du/dt = div(D grad u) + rho u (1 - u) with D several times larger in white than in
grey matter and none in fluid (Swanson et al. 2000, Cell Prolif 33:317), solved on 3 mm. The time at which the front
passes a place, times the front's speed, is a distance that bends along white matter: its level sets are the regions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from synthoma.core.lobes import lobe
from synthoma.core.types import Array, Bools, Float32, Floats
from synthoma.phantom.atlas import GROWTH_MM, Growth
from synthoma.phantom.config import PhantomConfig, Side
from synthoma.phantom.fields import by_matrices, spline_along
from synthoma.phantom.tissue import Tissue

REACH = 22
"""Half the side of the box in which a tumour grows, in samples of 3 mm."""


@dataclass(frozen=True)
class Biology:
    """One tumour's character. Lengths in mm, volumes in ml, the rest shares or factors.

    Attributes:
        grade: ``low`` or ``high``.
        volume_ml: of the whole tumour with its oedema, as it comes out (`fitted`).
        white_speed: diffusion in white matter relative to grey.
        steepness: growth in one time step; small values give a wide, soft front.
        ragged: how much the tissue's hospitality varies from place to place.
        core: share of the volume inside the core.
        rim_mm: thickness of the enhancing rim; 0 where nothing enhances.
        edge_mm: width over which the tumour's signal fades into the brain's.
        spare_mm: how much later grey matter is taken than white.
        filling: 0 to 1, how much the swollen gyri close the sulci between them.
        middle: what the centre of the core holds.
        patchy: roughness of the regions in mm.
        density: 0 to 1, how strongly tissue is changed at the centre and at the margin.
        gyral: how much less the tumour changes grey matter.
        bleeding: whether blood lies in the core.
        push_mm: how far the tumour's surface was pushed outwards.
        foci: places where it started.
    """

    grade: str
    volume_ml: float
    white_speed: float
    steepness: float
    ragged: float
    core: float
    rim_mm: float
    edge_mm: float
    spare_mm: float
    filling: float
    middle: Tissue
    patchy: float
    density: tuple[float, float]
    gyral: float
    bleeding: bool
    push_mm: float
    foci: int


def draw_biology(rng: np.random.Generator, config: PhantomConfig, high: bool) -> Biology:
    """Draw one tumour of low or high grade."""
    volume = float(np.clip(config.volume_ml * np.exp(rng.normal(0, config.volume_spread)), 1.5, 220.0))
    radius = radius_of(volume)
    cystic, operated = rng.random() < 0.2, rng.random() < 0.04
    enhancing = rng.random() < (0.92 if high else 0.1)
    middle = Tissue.NECROSIS if high else Tissue.CORE
    if operated:
        middle = Tissue.CAVITY
    elif cystic:
        middle = Tissue.CYST
    core = rng.uniform(0.12, 0.6) if high else rng.choice([rng.uniform(0.15, 0.6), rng.uniform(0.6, 0.97)])
    push = radius * (rng.uniform(0.06, 0.26) if high else rng.uniform(0.0, 0.2))
    usual = Biology(
        grade="high" if high else "low",
        volume_ml=volume,
        white_speed=float(rng.uniform(4, 10) if high else rng.uniform(2, 8)),
        steepness=float(rng.uniform(0.08, 0.3)),
        ragged=float(rng.uniform(0.15, 0.6)),
        core=float(core),
        rim_mm=float(rng.uniform(2.0, 7.0) if high else rng.uniform(1.5, 4.0)) if enhancing else 0.0,
        edge_mm=float(np.exp(rng.uniform(np.log(0.8), np.log(5.0)))),
        spare_mm=float(rng.uniform(0.5, 4.0) if high else rng.uniform(-1.0, 2.0)),
        filling=float(rng.uniform(0.3, 0.95)),
        middle=middle,
        patchy=float(rng.uniform(0.6, 2.2)),
        density=(float(rng.uniform(0.75, 1.0)), float(rng.uniform(0.5, 1.0))),
        gyral=float(rng.uniform(0.0, 0.5)),
        bleeding=bool(rng.random() < (0.15 if high else 0.04)),
        push_mm=float(min(push, 9.0)),
        foci=1 + int(rng.random() < 0.12) + int(rng.random() < 0.04),
    )
    # Drawn last, so that what is not asked for changes no other draw.
    return widely(usual, rng) if config.margins and rng.random() < config.margins else usual


def widely(usual: Biology, rng: np.random.Generator) -> Biology:
    """The same tumour with a margin from a wider range than most have.

    Low-grade tumours of the cortex swell it, fill its sulci and make it one with the white matter; oedema keeps to the
    white matter and leaves the gyri between its fingers as they are.
    """
    cortical = bool(rng.random() < 0.5)
    return replace(
        usual,
        ragged=float(rng.uniform(0.15, 0.9)),
        core=float(rng.uniform(0.05, 0.95)) if usual.grade == "low" else usual.core,
        edge_mm=float(np.exp(rng.uniform(np.log(0.8), np.log(6.0)))),
        spare_mm=float(rng.uniform(-4.0, 0.0) if cortical else rng.uniform(1.0, 6.0)),
        filling=float(rng.uniform(0.7, 1.0) if cortical else rng.uniform(0.2, 0.8)),
        patchy=float(rng.uniform(0.6, 3.5)),
        density=(float(rng.uniform(0.7, 1.0)), float(rng.uniform(0.4, 1.0))),
        gyral=float(rng.uniform(0.0, 0.15) if cortical else rng.uniform(0.0, 0.6)),
    )


def radius_of(volume_ml: float) -> float:
    """Radius in mm of a ball of so many ml."""
    return float((volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3))


@dataclass(frozen=True)
class Tumour:
    """A grown tumour in template space.

    Attributes:
        biology: its character.
        fronts: distance in mm to the margin and to the core's margin, negative inside; float32 (2, z, y, x), 1.5 mm.
        low, high: template position in mm of the first and last sample, ordered (x, y, z).
        centre: of the tumour, template mm (x, y, z).
        lobe: where it started.
    """

    biology: Biology
    fronts: Tensor
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    centre: tuple[float, float, float]
    lobe: str


def starts_of(growth: Growth, where: str | None, side: Side | None) -> Floats:
    """Chances (n,) of the candidate places: those of a lobe and a side alone, where these are given.

    The patient's left is where x of the template is negative (MNI space, which rises to the right).
    """
    if where is None and side is None:
        return growth.weights
    x, y, z = (growth.seeds * GROWTH_MM + np.array(growth.origin[::-1])).T[::-1]
    chosen = np.ones(len(growth.seeds), dtype=bool) if where is None else lobe(x, y, z) == where
    if side is not None:
        # Half a voxel off the midline and more, or it would lie on both sides.
        chosen &= (x < -GROWTH_MM) if side == "left" else (x > GROWTH_MM)
    weights = np.where(chosen, growth.weights, 0.0)
    return np.asarray(weights / weights.sum())


def grow(
    rng: np.random.Generator, biology: Biology, growth: Growth, shrink: float, weights: Floats | None = None,
    *, swift: bool = False,
) -> Tumour:  # fmt: skip
    """Grow a tumour from a random seed until it has its volume.

    Args:
        rng: drives place and irregularity.
        biology: what to grow.
        growth: the template's grid.
        shrink: volume in template space over volume in the patient (head size and mass effect).
        weights: chance (n,) of each place to start at; the template's where None.
        swift: take matrix products where they are faster: the same to rounding.
    """
    seed = growth.seeds[rng.choice(len(growth.seeds), p=growth.weights if weights is None else weights)]
    low = np.maximum(seed - REACH, 0)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, seed + REACH + 1, strict=True))
    white, grey = growth.white[box], growth.grey[box]
    starts = [seed - low]
    for _ in range(biology.foci - 1):
        near = np.argwhere(white > 0.5)
        gap = np.sqrt(((near - starts[0]) ** 2).sum(1)) * GROWTH_MM
        near = near[(gap > 12) & (gap < 40)]
        if len(near):
            starts.append(near[rng.integers(len(near))])
    wanted = biology.volume_ml * 1000 / GROWTH_MM**3 * shrink
    arrival = spread(rng, biology, white, grey, starts, wanted, swift)
    if swift:
        part, begin = _reached(arrival)
        arrival, white, grey, low = arrival[part], white[part], grey[part], low + begin
    fronts = fronts_of(arrival, white + grey, biology, wanted)
    inside = np.argwhere(fronts[0] <= fronts[0].min() / 4)
    origin = np.array(growth.origin[::-1])
    middle = (inside.mean(0) + low) * GROWTH_MM + origin
    first, last = low * GROWTH_MM + origin, (low + np.array(white.shape) - 1) * GROWTH_MM + origin
    fine = torch.from_numpy(np.pad(fronts, ((0, 0), (1, 1), (1, 1), (1, 1)), mode="edge"))
    steps = [np.linspace(0, size - 1, 2 * size - 1) for size in white.shape]
    for axis, step in enumerate(() if swift else steps, start=1):
        fine = spline_along(fine, axis, step)
    if swift:
        fine = by_matrices(fine, steps)
    place = seed * GROWTH_MM + origin
    return Tumour(
        biology=biology,
        fronts=fine,
        low=_xyz(first),
        high=_xyz(last),
        centre=_xyz(middle),
        lobe=str(lobe(*(np.array([v]) for v in place[::-1]))[0]),
    )


def _reached(arrival: Float32) -> tuple[tuple[slice, ...], Array]:
    """The part of the box to which growth came, four samples around it left, and where it begins (3,)."""
    found = np.isfinite(arrival)
    part = []
    for others in ((1, 2), (0, 2), (0, 1)):
        rows = np.flatnonzero(found.any(others))
        part.append(slice(max(int(rows[0]) - 4, 0), int(rows[-1]) + 5))
    return tuple(part), np.array([span.start for span in part])


def _xyz(zyx: Array) -> tuple[float, float, float]:
    return float(zyx[2]), float(zyx[1]), float(zyx[0])


def spread(
    rng: np.random.Generator, biology: Biology, white: Float32, grey: Float32, starts: list[Array], wanted: float,
    swift: bool,
) -> Float32:  # fmt: skip
    """Time step at which the density passes one half, infinite where it never does."""
    solid: Bools = white + grey > 0.45
    host = _hospitality(rng, white.shape, biology.ragged, swift)
    speed = np.where(solid, (grey + biology.white_speed * white) * host, 0)
    # Explicit steps of a heat equation in three dimensions are stable up to D dt / h^2 = 1/6.
    speed *= np.float32(0.155) / speed.max()
    rate = np.where(solid, np.float32(biology.steepness) * host, 0)
    links = [_between(speed, axis) for axis in range(3)]
    u, arrival = np.zeros(white.shape, np.float32), np.full(white.shape, np.inf, np.float32)
    for start in starts:
        # Less than a small ball would thin out by diffusion before it grows.
        z, y, x = (np.arange(n) - middle for n, middle in zip(white.shape, start, strict=True))
        u[(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 2) & solid] = 1.0
    arrival[u > 0.5] = 0
    # Some way beyond the margin, so that the outside has distances too.
    full, reached = min(1.6 * wanted + 60, 0.6 * solid.sum()), 0
    places = np.stack(starts)
    for step in range(400):
        # Where nothing has come yet nothing changes: a step carries it one sample on, from the ball of one around each.
        window = tuple(
            slice(max(int(a) - step - 2, 0), int(b) + step + 3)
            for a, b in zip(places.min(0), places.max(0), strict=True)
        )
        before, now = u[window].copy(), u[window]
        now += rate[window] * before * (1 - before)
        for axis, link in enumerate(links):
            flow = _part(link[window], axis, slice(None, before.shape[axis] - 1)) * np.diff(before, axis=axis)
            _part(now, axis, slice(None, -1))[...] += flow
            _part(now, axis, slice(1, None))[...] -= flow
        # What diffusion takes below nothing, growth would take to minus infinity.
        np.clip(now, 0, 1, out=now)
        passed = (now > 0.5) & (before <= 0.5)
        # Between two steps the density is taken to rise in a straight line, or arrival would come in whole steps.
        new = np.unravel_index(np.flatnonzero(passed), passed.shape)
        earlier, later = before[new], now[new]
        arrival[window][new] = step + (0.5 - earlier) / (later - earlier)
        if step % 10 == 9:
            before_this, reached = reached, int(np.count_nonzero(np.isfinite(arrival)))
            if reached > full or (step > 150 and reached == before_this):
                break
    return arrival


def _hospitality(rng: np.random.Generator, shape: tuple[int, ...], ragged: float, swift: bool) -> Float32:
    coarse = rng.standard_normal([n // 5 + 3 for n in shape])
    noise = _widened(coarse) if swift else ndimage.zoom(coarse, 5.0, order=3)
    part = noise[tuple(slice(0, n) for n in shape)]
    field: Float32 = np.exp(ragged * np.clip(part, -2.5, 2.5)).astype(np.float32)
    return field


def _widened(coarse: Floats) -> Floats:
    """``ndimage.zoom`` by 5 with cubic splines, as a matrix product along each axis: a tenth of the time."""
    for axis, size in enumerate(coarse.shape):
        coarse = np.moveaxis(np.tensordot(coarse, _zoom_matrix(size), ([axis], [1])), -1, axis)
    return coarse


@cache
def _zoom_matrix(size: int) -> Floats:
    """What zooming by 5 does to ``size`` samples: (5 size, size)."""
    return np.stack([ndimage.zoom(unit, 5.0, order=3) for unit in np.eye(size)], axis=1)


def _part(values: Array, axis: int, span: slice) -> Array:
    index = [slice(None)] * 3
    index[axis] = span
    return values[tuple(index)]


def _between(speed: Float32, axis: int) -> Float32:
    """Conductance of the faces along an axis: harmonic mean, so that fluid is a wall."""
    a, b = _part(speed, axis, slice(None, -1)), _part(speed, axis, slice(1, None))
    face: Float32 = (2 * a * b / np.maximum(a + b, 1e-9)).astype(np.float32)
    return face


def fronts_of(arrival: Float32, matter: Float32, biology: Biology, wanted: float) -> Float32:
    """Distances in mm to the margins of tumour and core (2, z, y, x), negative inside."""
    reached = np.isfinite(arrival)
    order = np.sort(arrival[reached])
    margin = float(order[min(int(wanted), len(order) - 1)])
    core = float(order[min(int(wanted * biology.core), len(order) - 1)])
    latest = float(order[-1]) + 3
    time = np.where(reached, arrival, latest)
    # Fluid takes the time of the tissue beside it, or the margin would shrink back from every sulcus.
    beside = ndimage.minimum_filter(time, footprint=ndimage.generate_binary_structure(3, 1))
    time = np.where(~reached & (matter < 0.45), np.minimum(beside + 1, latest), time)
    time = ndimage.gaussian_filter(time, 0.5)
    slope = np.sqrt(sum(g**2 for g in np.gradient(time)))
    shell = reached & (np.abs(arrival - margin) < 4)
    # Time turns into mm by the slope near the margin, which has a floor: a slope near 0 would give endless mm.
    pace = GROWTH_MM / max(float(np.median(slope[shell])) if shell.any() else 1.0, 0.2)
    return np.stack(((time - margin) * pace, (time - core) * pace)).astype(np.float32)
