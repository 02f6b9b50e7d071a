"""Gliomas: growth by reaction and diffusion, the regions inside, and the push on the brain around.

Growth is the Fisher-KPP equation du/dt = div(D grad u) + rho u (1 - u) with D several times larger in white than in
grey matter and none in fluid (Swanson et al. 2000, Cell Prolif 33:317), solved on 3 mm. The time at which the front
passes a place, times the front's speed, is a distance that bends along white matter: its level sets are the regions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from synthoma.core.types import Array, Bools, Float32
from synthoma.phantom.anatomy import Brain, Push
from synthoma.phantom.atlas import GROWTH_MM, X_MM, Y_MM, Z_MM, Growth, lobe
from synthoma.phantom.config import PhantomConfig
from synthoma.phantom.fields import sample, spline_along
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
    volume = float(np.clip(config.volume_ml * np.exp(rng.normal(0, 0.85)), 1.5, 220.0))
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
    return Biology(
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


def grow(rng: np.random.Generator, biology: Biology, growth: Growth, shrink: float) -> Tumour:
    """Grow a tumour from a random seed until it has its volume.

    Args:
        rng: drives place and irregularity.
        biology: what to grow.
        growth: the template's grid.
        shrink: volume in template space over volume in the patient (head size and mass effect).
    """
    seed = growth.seeds[rng.choice(len(growth.seeds), p=growth.weights)]
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
    arrival = _spread(rng, biology, white, grey, starts, wanted)
    fronts = _fronts(arrival, white + grey, biology, wanted)
    inside = np.argwhere(fronts[0] <= fronts[0].min() / 4)
    origin = np.array(growth.origin[::-1])
    middle = (inside.mean(0) + low) * GROWTH_MM + origin
    first, last = low * GROWTH_MM + origin, (low + np.array(white.shape) - 1) * GROWTH_MM + origin
    fine = torch.from_numpy(np.pad(fronts, ((0, 0), (1, 1), (1, 1), (1, 1)), mode="edge"))
    for axis, size in enumerate(white.shape, start=1):
        fine = spline_along(fine, axis, np.linspace(0, size - 1, 2 * size - 1))
    place = seed * GROWTH_MM + origin
    return Tumour(
        biology=biology,
        fronts=fine,
        low=_xyz(first),
        high=_xyz(last),
        centre=_xyz(middle),
        lobe=str(lobe(*(np.array([v]) for v in place[::-1]))[0]),
    )


def _xyz(zyx: Array) -> tuple[float, float, float]:
    return float(zyx[2]), float(zyx[1]), float(zyx[0])


def _spread(
    rng: np.random.Generator, biology: Biology, white: Float32, grey: Float32, starts: list[Array], wanted: float
) -> Float32:
    """Time step at which the density passes one half, infinite where it never does."""
    solid: Bools = white + grey > 0.45
    host = _hospitality(rng, white.shape, biology.ragged)
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
    for step in range(400):
        before = u
        u = u + rate * u * (1 - u)
        for axis, link in enumerate(links):
            flow = link * np.diff(before, axis=axis)
            _part(u, axis, slice(None, -1))[...] += flow
            _part(u, axis, slice(1, None))[...] -= flow
        # What diffusion takes below nothing, growth would take to minus infinity.
        np.clip(u, 0, 1, out=u)
        passed = (u > 0.5) & (before <= 0.5)
        arrival[passed] = step + (0.5 - before[passed]) / (u[passed] - before[passed])
        if step % 10 == 9:
            before_this, reached = reached, int(np.count_nonzero(np.isfinite(arrival)))
            if reached > full or (step > 150 and reached == before_this):
                break
    return arrival


def _hospitality(rng: np.random.Generator, shape: tuple[int, ...], ragged: float) -> Float32:
    noise = ndimage.zoom(rng.standard_normal([n // 5 + 3 for n in shape]), 5.0, order=3)
    part = noise[tuple(slice(0, n) for n in shape)]
    field: Float32 = np.exp(ragged * np.clip(part, -2.5, 2.5)).astype(np.float32)
    return field


def _part(values: Array, axis: int, span: slice) -> Array:
    index = [slice(None)] * 3
    index[axis] = span
    return values[tuple(index)]


def _between(speed: Float32, axis: int) -> Float32:
    """Conductance of the faces along an axis: harmonic mean, so that fluid is a wall."""
    a, b = _part(speed, axis, slice(None, -1)), _part(speed, axis, slice(1, None))
    face: Float32 = (2 * a * b / np.maximum(a + b, 1e-9)).astype(np.float32)
    return face


def _fronts(arrival: Float32, matter: Float32, biology: Biology, wanted: float) -> Float32:
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
    pace = GROWTH_MM / max(float(np.median(slope[shell])) if shell.any() else 1.0, 0.2)
    return np.stack(((time - margin) * pace, (time - core) * pace)).astype(np.float32)


def push_of(tumour: Tumour, centre: tuple[float, float, float]) -> Push:
    """The mass effect of a tumour whose middle lies at ``centre`` in the scanner's frame (mm)."""
    biology = tumour.biology
    return Push(centre, radius_of(biology.volume_ml), biology.push_mm, 26.0)


@dataclass(frozen=True)
class Growths:
    """The tumour on a list of brain places.

    Attributes:
        index: which entries of the brain's lists, int64 (m,).
        fractions: float32 (6, m) of oedema, core, necrosis, cyst or cavity, blood, enhancing; together at most 1.
        kinds: tissue code of each of the six.
        codes: hard code where tumour or cavity prevails, 0 elsewhere, uint8 (m,).
    """

    index: Tensor
    fractions: Tensor
    kinds: tuple[Tissue, ...]
    codes: Tensor


def fitted(tumour: Tumour, brain: Brain, place_ml: float) -> Tumour:
    """The tumour with its margins moved to where it has its volume in the patient.

    It is grown in the template, on 3 mm: fluid, grey matter that is spared and the push change what is left of it.

    Args:
        tumour: as it was grown.
        brain: places all around it, evenly spread.
        place_ml: volume of each place.
    """
    wanted = round(tumour.biology.volume_ml / place_ml)
    for _ in range(3):  # sulci close by the margin's distance, so that their places change with it
        margins = _margins(tumour, brain)
        solid = margins[1][margins[3] > 0.5]
        if not len(solid):
            break
        off = float(solid.kthvalue(max(1, min(wanted, len(solid))))[0])
        # Where growth never came, distances say nothing.
        off = min(off, 0.5 * float(tumour.fronts[0].max()))
        tumour = replace(tumour, fronts=tumour.fronts - off)
    return tumour


def invade(tumour: Tumour, brain: Brain) -> Growths:
    """Place the tumour into the brain: soft fractions to paint with, and the exact code of each place.

    The mask follows the same distances that the painting uses: a place is tumour where the margin's distance is
    negative and tissue prevails over fluid.
    """
    index, whole, core, present = _margins(tumour, brain)
    biology, noise = tumour.biology, brain.noise[:, index]
    core = core + biology.patchy * noise[1]
    inside = _ramp(whole, biology.edge_mm)
    deep = _ramp(core, 2.0 if biology.grade == "high" else 2.0 + biology.edge_mm) * (whole < 0)
    parts = _core_parts(biology, core, noise)
    strength = biology.density[1] + (biology.density[0] - biology.density[1]) * (-whole / 12).clamp(0, 1)
    # Gyri stay visible inside, grey matter changed less than white, and no part is even.
    strength = strength * (1 - biology.gyral * brain.grey[index]) * (1 + 0.16 * noise[2] + 0.08 * noise[0])
    soft = torch.cat(((inside * (1 - deep) * strength.clamp(0, 1))[None], parts * deep * inside))
    kinds = (Tissue.OEDEMA, Tissue.CORE, Tissue.NECROSIS, _fluid_kind(biology), Tissue.BLOOD, Tissue.ENHANCING)
    table = torch.tensor([int(kind) for kind in kinds], dtype=torch.uint8)
    hard = torch.where(deep > 0.5, 1 + parts.argmax(0), 0)
    codes = torch.where((whole < 0) & (present > 0.5), table[hard], torch.zeros_like(table[hard]))
    return Growths(index, soft * present, kinds, codes)


def _margins(tumour: Tumour, brain: Brain) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places in and near the tumour: index, distances in mm to its margin and its core's, share of tissue."""
    unit = _box_unit(tumour, brain.unit)
    index = (unit.abs().amax(0) < 1).nonzero()[:, 0]
    biology = tumour.biology
    fronts = sample(tumour.fronts, unit[:, index])
    near = fronts[0] < 2 * biology.edge_mm + 2
    index, (whole, core) = index[near], fronts[:, near]
    whole = whole + biology.spare_mm * (brain.grey[index] - 0.3) + 0.5 * biology.patchy * brain.noise[0, index]
    return index, whole, core, _close_sulci(brain, index, whole, biology)


def _box_unit(tumour: Tumour, unit: Tensor) -> Tensor:
    """Unit coordinates of the atlas box to those of the tumour's box."""
    spans = [X_MM, Y_MM, Z_MM]
    rows = []
    for axis, (start, stop) in enumerate(spans):
        mm = (unit[axis] + 1) * ((stop - start) / 2) + start
        rows.append((mm - tumour.low[axis]) * (2 / (tumour.high[axis] - tumour.low[axis])) - 1)
    return torch.stack(rows)


def _ramp(distance: Tensor, width: float) -> Tensor:
    t = (0.5 - distance / width).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _close_sulci(brain: Brain, index: Tensor, whole: Tensor, biology: Biology) -> Tensor:
    """Share of tissue after swelling: fluid of sulci (never of ventricles or vessels) gives way inside the tumour."""
    fluid = brain.fluid[index]
    outer = brain.fluid_code[index] == Tissue.CSF
    closed = 1 - biology.filling * outer * _ramp(whole - 2, 4.0)
    return 1 - fluid * closed


def _fluid_kind(biology: Biology) -> Tissue:
    return Tissue.CAVITY if biology.middle == Tissue.CAVITY else Tissue.CYST


def _core_parts(biology: Biology, core: Tensor, noise: Tensor) -> Tensor:
    """What the core holds, float32 (5, m) summing to 1: core, necrosis, cyst or cavity, blood, enhancing."""
    rim = torch.zeros_like(core)
    if biology.rim_mm:
        thick = biology.rim_mm * (1 + 0.45 * noise[2]).clamp(0.1, 2.0)
        rim = _ramp(-core - thick, 1.5)
        if biology.grade == "low":  # a few spots rather than a ring
            rim = rim * ((noise[0] - 0.9) * 3).clamp(0, 1)
    wet = torch.zeros_like(core)
    if biology.middle in (Tissue.CYST, Tissue.CAVITY):
        wet = _ramp(core + max(biology.rim_mm, 2.0), 1.5) * (1 - rim)
    blood = ((noise[0] - 1.1) * 4).clamp(0, 1) * (1 - rim) * (1 - wet) if biology.bleeding else torch.zeros_like(core)
    rest = (1 - rim) * (1 - wet) * (1 - blood)
    dead = rest if biology.middle == Tissue.NECROSIS and biology.rim_mm else torch.zeros_like(core)
    return torch.stack((rest - dead, dead, wet, blood, rim))
