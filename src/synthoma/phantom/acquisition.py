"""From signal to image: a site's scanner with its coil, noise, blur, ghosts, slices and grey scale.

Noise is Rician (Gudbjartsson and Patz 1995, Magn Reson Med 34:910). A site is a function of the seed and its number,
so that all its patients share it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from synthoma.core.seeding import stream
from synthoma.core.types import MODALITIES, Array, Floats
from synthoma.phantom.config import PhantomConfig
from synthoma.phantom.contrast import Protocol, draw_mixture, draw_protocol
from synthoma.phantom.fields import Lattice, SplineField


@dataclass(frozen=True)
class Site:
    """One scanner and how it is run.

    Attributes:
        protocol: its sequences.
        slice_mm: distance between slices; ``gap`` is the share of it that no slice sees.
        stripped: whether the site delivers brains without heads.
        noise: standard deviation of the raw signal relative to white matter, per modality. The point spread leaves two
            thirds of it in the image, half with the widest ``blur``.
        blur: weight of the neighbours on either side of a pixel; ``ring`` that of the next ones, negative.
        bias: standard deviation of the logarithm of the smooth sensitivity field.
        coil: brightening towards the surface, logarithm over 100 mm.
        gamma: bend of the grey scale: near the signal of white matter as x ** ((1 + gamma) / 2).
        scale: stored grey value of white matter, per modality.
        phase_axis: in-plane axis of phase encoding, 1 (back) or 2 (left).
        floor: share of the noise that the scanner shows outside the head (some cut it off).
        framed: whether the outermost pixels are 0, as after padding or resampling. Normalisation then takes that for
            black, and air stays as much above it as its noise is.
    """

    protocol: Protocol
    slice_mm: float
    gap: float
    stripped: bool
    noise: tuple[float, ...]
    blur: float
    ring: float
    bias: float
    coil: float
    gamma: float
    scale: tuple[float, ...]
    phase_axis: int
    floor: float
    framed: bool


def draw_site(seed: int, number: int, config: PhantomConfig) -> Site:
    """The scanner of a site: a function of seed, number and configuration."""
    rng = stream(seed, "phantom.site", number)
    # From a stream of its own: what is not asked for changes no other draw.
    free = stream(seed, "phantom.mixture", number)
    mixture = draw_mixture(free) if free.random() < config.mixture else None
    # Evenly in the logarithm: scanners differ by factors.
    level = float(np.exp(rng.uniform(np.log(0.035), np.log(0.13))))
    stripped = bool(rng.random() < 0.5)
    return Site(
        protocol=replace(draw_protocol(rng), mixture=mixture),
        # To half millimetres, as protocols have them.
        slice_mm=float(np.clip(np.round(2 * rng.uniform(*config.slice_range)) / 2, *config.slice_range))
        if config.slice_range[0] < config.slice_range[1]
        else config.slice_range[0],
        gap=float(rng.choice([0.0, 0.0, 0.1, 0.2])),
        stripped=stripped if config.skull == "mixed" else config.skull == "stripped",
        noise=tuple(float(level * v) for v in np.exp(rng.normal(0, 0.2, len(MODALITIES)))),
        blur=float(rng.uniform(0.05, 0.2)),
        ring=float(rng.uniform(-0.05, 0.0)),
        bias=float(rng.uniform(0.04, 0.14)),
        coil=float(rng.uniform(0.0, 0.5)),
        gamma=float(rng.uniform(0.85, 1.15)),
        scale=tuple(float(v) for v in np.exp(rng.uniform(np.log(120), np.log(1500), len(MODALITIES)))),
        phase_axis=int(rng.integers(1, 3)),
        floor=float(rng.choice([1.0, 1.0, 0.4])),
        framed=bool(rng.random() < 0.6),
    )


def sub_slices(centres: Floats, slice_mm: float, gap: float) -> tuple[Floats, int]:
    """Planes that a slice averages over: their positions in mm, ordered by slice, and how many per slice (1 or 3)."""
    if slice_mm < 1.5:
        return centres, 1
    thick = slice_mm * (1 - gap)
    # The middles of three equal parts of what the slice sees, gap left out.
    return (centres[:, None] + thick * np.array([-1 / 3, 0, 1 / 3])).ravel(), 3


def slice_mean(values: Tensor, per_slice: int) -> Tensor:
    """Average of each slice's planes: (z * k, y, x) to (z, y, x)."""
    if per_slice == 1:
        return values
    return values.reshape(-1, per_slice, *values.shape[1:]).mean(1)


def slice_median(codes: Tensor, per_slice: int) -> Tensor:
    """Middle code of each slice's three planes: (z * 3, y, x) to (z, y, x)."""
    if per_slice == 1:
        return codes
    # Codes are names: their mean would be another tissue, their middle one is at least there.
    a, b, c = codes.reshape(-1, 3, *codes.shape[1:]).unbind(1)
    return torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))


def sensitivity(rng: np.random.Generator, site: Site, lattice: Lattice, skin: Tensor) -> Tensor:
    """Coil sensitivity at the nodes, float32 (1, z, y, x): smooth, brighter near the surface, never negative."""
    field = SplineField.draw(rng, 55.0).on(lattice.z, lattice.y, lattice.x)
    # 40 mm below the skin brightness stays as it is; beyond 70 mm a coil makes no difference.
    depth = skin.clamp(-70, 0) / 100
    return torch.exp(site.bias * field + site.coil * (depth + 0.4))


@dataclass(frozen=True)
class Exposure:
    """What one sequence of one patient draws.

    Attributes:
        ghosts: (shift as share of the field of view, strength) of each ghost.
        slices: gain of each slice.
    """

    ghosts: tuple[tuple[float, float], ...]
    slices: Floats


def draw_exposure(rng: np.random.Generator, slices: int, moved: bool, thick: bool) -> Exposure:
    """Draw the faults of one acquisition."""
    # Pulse and breath always leave a trace beside the head; a patient who moved leaves far more.
    spacing = rng.uniform(0.04, 0.3)
    # A periodic motion puts ghosts on either side, at multiples of one distance, the farther the fainter.
    strength = np.exp(rng.uniform(np.log(0.02), np.log(0.08))) if moved else rng.uniform(0.004, 0.03)
    ghosts = [(float(sign * k * spacing), float(strength / k)) for k in (1, 2) for sign in (-1, 1)]
    wobble = 0.012 if thick else 0.0
    return Exposure(tuple(ghosts), 1 + wobble * rng.standard_normal(slices))


def expose(
    rng: np.random.Generator, signal: Tensor, gain: Tensor, site: Site, modality: str, white: float, exposure: Exposure
) -> Array:
    """Image of one sequence as the scanner stores it: uint16 (z, y, x).

    Args:
        rng: drives the noise.
        signal: noise-free signal, float32 (z, y, x); overwritten.
        gain: coil sensitivity times texture, float32 (z, y, x).
        site: the scanner.
        modality: which sequence.
        white: signal of white matter, which sets noise and grey scale.
        exposure: this acquisition's faults.
    """
    which = MODALITIES.index(modality)
    # White matter is 1 from here on, so that noise, floor and grey scale mean the same in every sequence.
    image = signal.mul_(gain).mul_(1 / white)
    image *= torch.from_numpy(exposure.slices.astype(np.float32)).reshape(-1, 1, 1)
    image = ghosted(image, exposure, site.phase_axis)
    sigma = site.noise[which]
    image += sigma * _normal(rng, image.shape)
    # After the noise of the raw signal: a point spread smooths both, and noise in images is not white.
    image = _blurred(_blurred(image, 1, site), 2, site)
    # The magnitude of a complex signal with noise in both parts: Rician, never below 0 (Gudbjartsson and Patz 1995).
    image = (image.square_() + (_normal(rng, image.shape) * (0.85 * sigma)).square_()).sqrt_()
    # Some scanners cut the noise of the air: what is near it is taken down, tissue is left alone.
    if site.floor < 1:
        image -= (1 - site.floor) * 2 * sigma * (image < 2.5 * sigma)
    # A grey scale that bends without a costly power: x ** ((1 + gamma) / 2) to first order about white matter.
    image *= 1 + (site.gamma - 1) * (image - 1) / (image + 1)
    if site.framed:
        for axis in (1, 2):
            for end in (0, image.shape[axis] - 1):
                image.select(axis, end).zero_()
    return (image * site.scale[which]).clamp_(0, 65535).round_().to(torch.uint16).numpy()


def _normal(rng: np.random.Generator, shape: torch.Size) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


def ghosted(image: Tensor, exposure: Exposure, axis: int) -> Tensor:
    """The image (z, y, x) with its ghosts, shifted along an in-plane axis."""
    result = image
    for shift, strength in exposure.ghosts:
        step = round(shift * image.shape[axis])
        # What lies beyond the field of view comes in at the other side, as in a scanner.
        result = result + strength * torch.roll(image, step, axis)
    return result


def _blurred(image: Tensor, axis: int, site: Site) -> Tensor:
    """Point spread along an in-plane axis: neighbours by ``blur``, and a negative side lobe by ``ring``."""
    n = image.shape[axis]
    result = image * (1 - 2 * site.blur - 2 * site.ring)
    for step, weight in ((1, site.blur), (2, site.ring)):
        result.narrow(axis, step, n - step).add_(image.narrow(axis, 0, n - step), alpha=weight)
        result.narrow(axis, 0, n - step).add_(image.narrow(axis, step, n - step), alpha=weight)
        # The outermost pixels stand for those beyond them: zeros would darken the frame.
        result.narrow(axis, 0, step).add_(image.narrow(axis, 0, step), alpha=weight)
        result.narrow(axis, n - step, step).add_(image.narrow(axis, n - step, step), alpha=weight)
    return result
