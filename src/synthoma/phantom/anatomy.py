"""One person's head: what the person is like, the deformation of the template, and the tissue at every place.

The deformation is the exponential of a stationary velocity field drawn at four scales (Arsigny et al. 2006,
"A log-Euclidean framework for statistics on diffeomorphisms", MICCAI), so it never folds; ventricles and tumour then
push the tissue aside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from synthoma.core.types import Floats
from synthoma.phantom.atlas import X_MM, Y_MM, Z_MM, Atlas, to_unit
from synthoma.phantom.config import PhantomConfig
from synthoma.phantom.fields import Lattice, SplineField, places_of, sample, where_code
from synthoma.phantom.head import FLESH, UNSET
from synthoma.phantom.near import Near, sampled
from synthoma.phantom.tissue import Tissue

NODE_MM = 5.0
WARPS: tuple[tuple[float, float, float], ...] = (
    (70.0, 4.6, 0.9),
    (36.0, 3.2, 0.12),
    (20.0, 3.0, 0.0),
    (11.0, 2.1, 0.0),
    (7.0, 1.0, 0.0),
)
"""Distance of spline knots (mm), standard deviation of the displacement (mm), and the share of it that reaches the
skull and beyond: gyri differ between people much more than the outlines of heads do."""


@dataclass(frozen=True)
class Traits:
    """What a person is like. Lengths in mm, angles in radians, age in years; the rest are shares or factors.

    Attributes:
        age: years; the next four follow it.
        ventricle_mm: growth of the ventricles at their wall.
        atrophy: 0 (full brain) to 1 (wide sulci).
        lesions: load of white-matter lesions, 0 to 1.
        gap_mm: fluid between brain and skull.
        scale: size relative to the template along (x, y, z).
        tilt: rotations about (x, y, z): nodding, leaning, turning.
        skull_mm, scalp_mm, fat_mm: thickness of the vault, of the scalp, and of the fat under the face's skin.
        diploe: share of the vault's thickness that is marrow.
        ears: whether ears were not folded away by the coil.
        frontal_sinus: size, from 0 (none) to 1.
        sinus_fluid: chance that a sinus place is swollen mucosa instead of air.
    """

    age: float
    ventricle_mm: float
    atrophy: float
    lesions: float
    gap_mm: float
    scale: tuple[float, float, float]
    tilt: tuple[float, float, float]
    skull_mm: float
    scalp_mm: float
    fat_mm: float
    diploe: float
    ears: bool
    frontal_sinus: float
    sinus_fluid: float


def draw_traits(rng: np.random.Generator, config: PhantomConfig) -> Traits:
    """Draw one person."""
    age = float(rng.uniform(*config.age))
    # 0 at the age of 18, 1 at 80.
    old = (age - 18) / 62
    size = rng.normal(0, 0.03)
    scale = np.array([0.96, 0.965, 0.945]) + size + rng.normal(0, [0.02, 0.022, 0.022])
    tilt = np.deg2rad(rng.normal([-8.0, 0.0, 0.0], [6.0, 2.0, 3.0]))
    atrophy = float(np.clip(0.05 + 0.5 * old + rng.normal(0, 0.15), 0, 1))
    return Traits(
        age=age,
        ventricle_mm=float(np.clip(-0.6 + 2.2 * old + rng.normal(0, 0.8), -1.2, 4.0)),
        atrophy=atrophy,
        # None before some 30 years (0.2 of the way).
        lesions=float(np.clip(rng.gamma(1.2, 0.25) * max(0.0, old - 0.2), 0, 1)),
        gap_mm=float(0.6 + 1.6 * atrophy + rng.uniform(0, 0.6)),
        scale=(float(scale[0]), float(scale[1]), float(scale[2])),
        tilt=(float(tilt[0]), float(tilt[1]), float(tilt[2])),
        skull_mm=float(np.clip(rng.normal(6.2, 1.0), 4.2, 9.0)),
        scalp_mm=float(np.clip(rng.normal(5.6, 1.3), 3.0, 9.5)),
        fat_mm=float(rng.uniform(4.0, 12.0)),
        diploe=float(rng.uniform(0.15, 0.5)),
        ears=bool(rng.random() < 0.7),
        frontal_sinus=float(rng.uniform(-0.3, 1.0)),
        sinus_fluid=float(rng.choice([0.0, 0.0, 0.0, 0.3, 1.0])),
    )


@dataclass(frozen=True)
class Push:
    """How a tumour pushes: everything within ``radius_mm`` of ``centre`` moved out, by ``shift_mm`` at that radius."""

    centre: tuple[float, float, float]
    radius_mm: float
    shift_mm: float
    reach_mm: float


@dataclass(frozen=True)
class Body:
    """A person on the coarse lattice, in the scanner's frame.

    Attributes:
        lattice: nodes, 5 mm apart, that hold the whole head.
        places: template position in mm of each node, float32 (3, z, y, x).
        layers: float32 (5, z, y, x), in mm: distance to the brain's surface, to the outer fluid's, to the outside of
            the skull and to the skin (negative inside), and to the ventricles.
        noise: three independent smooth fields of unit variance and about 15 mm wavelength, float32 (3, z, y, x).
    """

    lattice: Lattice
    places: Tensor
    layers: Tensor
    noise: Tensor


def scan_lattice() -> Lattice:
    """Nodes over every place where a head can be."""
    return Lattice(
        np.arange(-115.0, 116.0, NODE_MM), np.arange(125.0, -141.0, -NODE_MM), np.arange(105.0, -106.0, -NODE_MM)
    )


def deform(
    rng: np.random.Generator, traits: Traits, template: Atlas, lattice: Lattice, near: Near | None = None
) -> Tensor:
    """Template position in mm of each node for a person without tumour: float32 (3, z, y, x).

    Where ``near`` is given, other nodes lie about where they would, and matrix products are taken.
    """
    rough = posed(traits, lattice.points())
    hull = sampled(template.distances[:1], to_unit(rough), near, near.distances[:1] if near else None)
    # The falx keeps the midline nearly flat.
    soft = (-(hull - 2.0) / 16.0).clamp(0, 1) * (0.3 + rough[:1].abs() / 25).clamp(0, 1)
    velocity = torch.zeros((3, *lattice.shape))
    for knot_mm, size_mm, outside in WARPS:
        field = SplineField.draw(rng, knot_mm, 3).on(lattice.z, lattice.y, lattice.x, swift=near is not None)
        velocity += size_mm * (outside + (1 - outside) * soft) * field
    # Scaling and squaring: a sixteenth of the velocity is nearly its own exponential, and is doubled four times.
    shift = velocity / 16
    for _ in range(4):
        shift = shift + _displaced(lattice, shift, shift, near)
    return posed(traits, lattice.points() + shift)


def _displaced(lattice: Lattice, values: Tensor, shift: Tensor, near: Near | None) -> Tensor:
    """Node values read at the nodes shifted by ``shift`` mm; as they are where no head can be."""
    return sampled(values, lattice.unit(shift), near, values)


def posed(traits: Traits, points: Tensor) -> Tensor:
    """Places in the scanner (3, z, y, x) to template millimetres, by pose and size alone."""
    rotation = torch.from_numpy(_rotation(traits.tilt).astype(np.float32))
    x, y, z = points
    turned = torch.stack([row[0] * x + row[1] * y + row[2] * z for row in rotation])
    scale = torch.tensor(traits.scale).reshape(3, 1, 1, 1)
    # Turn about the middle of the head, which lies a little behind the template's origin.
    return turned / scale + torch.tensor([0.0, -18.0, 0.0]).reshape(3, 1, 1, 1)


def _rotation(angles: tuple[float, float, float]) -> Floats:
    # About x, y and z; as a product on columns, the turn about z comes first.
    (a, b, c), eye = angles, np.eye(3)
    x, y, z = eye.copy(), eye.copy(), eye.copy()
    x[1:, 1:] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    y[::2, ::2] = [[np.cos(b), np.sin(b)], [-np.sin(b), np.cos(b)]]
    z[:2, :2] = [[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]]
    rotation: Floats = x @ y @ z
    return rotation


def push_aside(template: Atlas, lattice: Lattice, places: Tensor, push: Push, near: Near | None = None) -> Tensor:
    """Places after a growing mass moved the tissue outwards; what lies at the skull stays."""
    hull = sampled(template.distances[:1], to_unit(places), near, near.distances[:1] if near else None)
    hold = (-(hull + 1.0) / 14.0).clamp(0, 1)
    away = lattice.points() - torch.tensor(push.centre).reshape(3, 1, 1, 1)
    r = away.square().sum(0, keepdim=True).sqrt()
    inside = r / push.radius_mm
    size = push.shift_mm * torch.where(inside < 1, inside, torch.exp((push.radius_mm - r) / push.reach_mm))
    # The middle of the tumour has no direction away from itself.
    return _displaced(lattice, places, -away / r.clamp_min(1e-3) * size * hold, near)


def build(
    rng: np.random.Generator, traits: Traits, template: Atlas, lattice: Lattice, places: Tensor,
    near: Near | None = None,
) -> Body:  # fmt: skip
    """Ventricles, skull, scalp and face of a person whose template places are known.

    ``near`` is that of ``deform``.
    """
    around = sampled(template.ventricles, to_unit(places), near, near.around() if near else None)
    # Reading nearer to the ventricle makes it larger; the effect fades within some centimetres.
    fading = torch.exp(-around[:1].clamp_min(0) / 18)
    places = places - traits.ventricle_mm * fading * around[1:]
    found = sampled(template.distances, to_unit(places), near)
    axes, swift = (lattice.z, lattice.y, lattice.x), near is not None
    wide = SplineField.draw(rng, 32.0, 4).on(*axes, swift=swift)
    hull, face = found[0], found[2 if traits.ears else 1] + 1.5 * wide[3]
    outer_fluid = hull - traits.gap_mm * (1 + 0.35 * wide[0]).clamp_min(0.2)
    bone = outer_fluid - traits.skull_mm * (1 + 0.2 * wide[1]).clamp_min(0.4)
    vault = bone - traits.scalp_mm * (1 + 0.18 * wide[2]).clamp_min(0.35)
    # Muscle and skin bridge the hollows of the skull.
    vault = torch.minimum(vault, torch.from_numpy(ndimage.gaussian_filter(vault.numpy(), 2.0)) + 1.0)
    # Where the vault and the face meet, a smooth union: a minimum alone leaves a crease.
    blend = (8.0 - (vault - face).abs()).clamp_min(0) / 8.0
    skin = torch.minimum(vault, face) - blend.square() * 2.0
    return Body(
        lattice=lattice,
        places=places,
        layers=torch.stack((hull, outer_fluid, bone, skin, found[3])),
        noise=SplineField.draw(rng, 5.0, 3).on(*axes, swift=swift),
    )


@dataclass
class Brain:
    """The places of a grid that lie inside the skull, as lists of length n, and what each holds.

    Attributes:
        index: flat index into the grid, int64.
        fluid, grey, white: fractions that sum to 1, float32.
        lesion: share of the white matter that is a white-matter lesion, float32.
        fluid_code, grey_code: which fluid and which grey matter is meant, uint8 ``Tissue``.
        wall: distance to the ventricles in mm.
        noise: float32 (3, n), smooth unit fields.
        unit: template coordinates -1..1, float32 (3, n).
    """

    index: Tensor
    fluid: Tensor
    grey: Tensor
    white: Tensor
    lesion: Tensor
    fluid_code: Tensor
    grey_code: Tensor
    wall: Tensor
    noise: Tensor
    unit: Tensor


def resolve(body: Body, traits: Traits, template: Atlas, z: Floats, y: Floats, x: Floats) -> tuple[Tensor, Brain]:
    """Tissue on a fine grid: a code for every sample (uint8 (z, y, x)), and the brain's soft fractions."""
    unit = body.lattice.expand(to_unit(body.places), z, y, x)
    layers = body.lattice.expand(body.layers, z, y, x)
    noise = body.lattice.expand(body.noise, z, y, x)
    painted = sample(template.labels, unit, "nearest")[0].to(torch.uint8)
    return resolved(traits, template, unit, layers, noise, painted)


def resolved(
    traits: Traits, template: Atlas, unit: Tensor, layers: Tensor, noise: Tensor, painted: Tensor
) -> tuple[Tensor, Brain]:
    """What ``resolve`` gives, on planes of which a body's places, layers and noise are known.

    Args:
        traits: of the person.
        template: the template head.
        unit: template coordinates -1..1, float32 (3, z, y, x).
        layers: as a ``Body`` has them, float32 (5, z, y, x).
        noise: the same, float32 (3, z, y, x).
        painted: what the template has there, uint8 (z, y, x); overwritten.
    """
    hull, fluid, bone, skin, wall = layers
    forehead = (unit[2] > -0.13) & (noise[1] > 2.2 * traits.frontal_sinus - 1.2)
    # What the painted sinus has more than this person's is taken back.
    painted = where_code(forehead & (painted <= Tissue.MUCOSA), UNSET, painted)
    codes = _head_codes(traits, painted, fluid, bone, skin, noise)
    inside = (fluid < 0) & ((painted == UNSET) | (painted >= Tissue.DURA) & (painted < FLESH))
    index = places_of(inside)
    brain = _brain(
        traits, template, index, unit.flatten(1).index_select(1, index), noise.flatten(1).index_select(1, index),
        *(values.flatten().index_select(0, index) for values in (painted, hull, wall)),
    )  # fmt: skip
    return codes, brain


def _head_codes(traits: Traits, painted: Tensor, fluid: Tensor, bone: Tensor, skin: Tensor, noise: Tensor) -> Tensor:
    """Codes outside the brain, uint8 (z, y, x); inside it CSF or what is painted there."""
    codes = torch.full_like(painted, int(Tissue.SCALP))
    codes = where_code(skin > -1.6, int(Tissue.SKIN), codes)
    thick = bone - fluid
    rest = 0.5 - 0.5 * traits.diploe
    marrow = (fluid > -rest * thick) & (bone < rest * thick) & (noise[0] > -1.2)
    skull = (bone < 0) & (skin < 0)
    codes = where_code(skull, int(Tissue.SKULL), codes)
    codes = where_code(skull & marrow, int(Tissue.MARROW), codes)
    codes = where_code((fluid < 0) & (skin < 0), int(Tissue.CSF), codes)
    deep = (painted == FLESH) & (skin < -traits.fat_mm * (1 + 0.3 * noise[1]))
    seams = noise[0].abs() < 0.16 + 0.1 * noise[1]
    codes = where_code(deep, int(Tissue.MUSCLE), codes)
    codes = where_code(deep & seams, int(Tissue.FAT), codes)
    solid = (painted < UNSET) & (painted != FLESH) & (skin < -1.6)
    solid &= (painted != Tissue.MUSCLE) | (skin < -0.6 * traits.fat_mm) | (bone < 16)
    if traits.sinus_fluid:
        swollen = solid & (painted == Tissue.AIR) & (noise[2] > 1.6 - 1.2 * traits.sinus_fluid)
        painted = where_code(swollen, int(Tissue.MUCOSA), painted)
    codes = where_code(solid, painted, codes)
    codes = where_code(skin > 0, int(Tissue.AIR), codes)
    return codes


def _brain(
    traits: Traits, template: Atlas, index: Tensor, unit: Tensor, noise: Tensor, painted: Tensor, hull: Tensor,
    wall: Tensor,
) -> Brain:  # fmt: skip
    grey, white = sample(template.matter, unit)
    matter = grey + white
    # The template is an average, so its sulci are grey veils: a steep threshold opens them, and age widens them.
    limit = 0.54 + 0.24 * traits.atrophy + 0.08 * noise[0]
    solid = ((matter - limit) / 0.38 + 0.5).clamp(0, 1)
    solid *= (0.5 - hull).clamp(0, 1)
    share = white / matter.clamp_min(1e-3)
    share = ((share - 0.52 - 0.07 * noise[1]) / 0.62 + 0.5).clamp(0, 1)
    solid *= 1 - _folia(unit, noise)
    ventricle = painted == Tissue.VENTRICLE
    special = (painted >= Tissue.DURA) & (painted <= Tissue.CHOROID) & ~ventricle
    solid = torch.where(special, 0.35 * solid, solid)
    fluid_code = where_code(special | ventricle, painted, torch.full_like(painted, int(Tissue.CSF)))
    vein = (hull > -7) & (painted == UNSET) & (noise[1].abs() < 0.16) & (noise[2] > 0.2)
    fluid_code = where_code(vein, int(Tissue.SINUS), fluid_code)
    deep = painted == Tissue.DEEP_GREY
    grey_code = where_code(deep, painted, torch.full_like(painted, int(Tissue.GREY)))
    # Caps and bands along the ventricles, spots within some centimetres of them.
    band = traits.lesions * 1.2 * torch.exp(-wall.clamp_min(0) / 2.5) + 0.12 * torch.exp(-wall.clamp_min(0) / 1.2)
    spots = ((noise[2] + 3.2 * traits.lesions - 2.9 - wall / 40) * 2.5).clamp(0, 1)
    lesion = (band + spots * (traits.lesions > 0.03)).clamp(0, 1)
    grey, white = solid * (1 - share), solid * share
    return Brain(index, 1 - solid, grey, white, lesion, fluid_code, grey_code, wall, noise, unit)


def _folia(unit: Tensor, noise: Tensor) -> Tensor:
    """Fluid between the leaves of the cerebellum, 0 to 0.4: arcs that the template averages away."""
    x, y, z = ((unit[axis] + 1) * (high - low) / 2 + low for axis, (low, high) in enumerate((X_MM, Y_MM, Z_MM)))
    behind = ((-46 - y) / 8).clamp(0, 1) * ((-16 - z - 0.12 * (y + 30)) / 5).clamp(0, 1)
    radius = (x.square() * 0.7 + (y + 34).square() + 0.5 * (z + 32).square()).sqrt()
    lines = torch.sin(radius * (2 * math.pi / 5.5) + 1.6 * noise[0])
    return 0.4 * behind * ((lines - 0.55) / 0.45).clamp(0, 1)
