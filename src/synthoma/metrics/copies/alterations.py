"""Copies as they hide themselves: what is planted to measure a search, kind by kind.

All of them also get another gamma (0.85 to 1.15) and Gaussian noise of 0.02, and are cut to 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthoma.core.types import Array, Bools, Float32, Floats


@dataclass(frozen=True)
class Motion:
    """How whole copies are moved, at random within these limits.

    Attributes:
        name: in words, to stand behind "copies that were".
        flips: mirrored left-right half the time.
        quarters: turned by 0, 90, 180 or 270 degrees.
        turn: degrees to either side.
        zoom: smallest and largest size.
        shift: share of the side, either way along both axes.
    """

    name: str
    flips: bool = False
    quarters: bool = False
    turn: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0


ANYHOW = Motion("all of these at once", True, True, 10.0, (0.85, 1.18), 0.12)

MOTIONS = (
    Motion("mirrored, upside down or turned by 90 degrees", flips=True, quarters=True),
    Motion("turned by up to 10 degrees", turn=10.0),
    Motion("zoomed by 0.85 to 1.18", zoom=(0.85, 1.18)),
    Motion("shifted by up to 12 % of the side", shift=0.12),
    ANYHOW,
)
"""What the search for copies of whole slices is measured with."""

BLEND = (0.5, 0.75)
"""Weight of the stronger of two blended images."""

CROP = (1.25, 1.55)
"""How many times a crop is enlarged."""

_PASTED_TURN, _PASTED_ZOOM, _PASTED_SHIFT = 5.0, (0.9, 1.1), 0.14  # degrees, size, share of the side
_RIM, _SOFT = 2, 0.8  # px of 64: what is pasted around a lesion, and over what it fades into its host


def altered(images: Array, draws: np.random.Generator, motion: Motion = ANYHOW) -> Float32:
    """Copies (N, H, W) of images (N, H, W) in 0..1, moved at random (linear interpolation, 0 outside)."""
    copies = np.empty(images.shape, dtype=np.float32)
    for at, image in enumerate(images):
        copies[at] = retouched(moved(image, draws, motion), draws)
    return copies


def altered_alike(images: Array, draws: np.random.Generator) -> Float32:
    """Copies (N, H, W) of the slices of a volume, all moved alike (`ANYHOW`), each retouched by itself."""
    seed = int(draws.integers(2**32))
    # A generator from one seed for each slice: all are moved by the same numbers, as a volume is.
    same = [moved(image, np.random.default_rng(seed), ANYHOW) for image in images]
    return np.stack([retouched(image, draws) for image in same])


def blended(images: Array, others: Array, draws: np.random.Generator) -> Float32:
    """Blends (N, H, W) of images with others (N, H, W each), each mirrored half the time."""
    weights = draws.uniform(*BLEND, len(images))
    flip = Motion("", flips=True)
    pairs = zip(weights, images, others, strict=True)
    return np.stack(
        [
            retouched(weight * moved(one, draws, flip) + (1 - weight) * moved(two, draws, flip), draws)
            for weight, one, two in pairs
        ]
    )


def cropped(images: Array, draws: np.random.Generator) -> Float32:
    """Parts of images (N, H, W), from random places within them, enlarged to their size; mirrored half the time."""
    crops = np.empty(images.shape, dtype=np.float32)
    for at, image in enumerate(images):
        size = draws.uniform(*CROP)
        middle = (np.array(image.shape) - 1) / 2
        # 1 - 1 / size of the side is what a crop may wander without leaving the picture.
        start = draws.uniform(0, 1, 2) * (1 - 1 / size) * 2 * middle
        picture = image[:, ::-1] if draws.random() < 0.5 else image
        # `affine_transform` takes the map from places of the result back to places of the picture, so zooming in
        # divides.
        part = ndimage.affine_transform(picture.astype(np.float32), np.eye(2) / size, start, order=1)
        crops[at] = retouched(part, draws)
    return crops


def implanted(hosts: Array, images: Array, tumours: Bools, draws: np.random.Generator) -> tuple[Float32, Bools]:
    """Hosts (N, H, W) with the lesions of images (N, H, W) in them, and where these are now (N, H, W).

    A lesion, as ``tumours`` (N, H, W) outlines it, and its rim are mirrored half the time, turned by up to 5 degrees,
    zoomed by 0.9 to 1.1 and put up to 14 % of the side from where they were.
    """
    pictures, places = np.empty(hosts.shape, np.float32), np.zeros(hosts.shape, np.bool_)
    for at, (host, image, tumour) in enumerate(zip(hosts, images, tumours, strict=True)):
        side = host.shape[0]
        near = ndimage.binary_dilation(tumour, iterations=max(1, round(_RIM * side / 64)))
        # A hard rim would be an edge that no scan has, and a search could find the edge in place of the lesion.
        weight = ndimage.gaussian_filter(near.astype(np.float32), _SOFT * side / 64)
        layers = np.stack([image.astype(np.float32), weight, tumour.astype(np.float32)])
        layers = layers[:, :, ::-1] if draws.random() < 0.5 else layers
        lesion = np.array(ndimage.center_of_mass(layers[2])) if tumour.any() else np.full(2, (side - 1) / 2)
        # Within the middle half: of a lesion that is pushed over the frame nothing would be left to find.
        place = np.clip(lesion + draws.uniform(-1, 1, 2) * _PASTED_SHIFT * side, 0.25 * side, 0.75 * side)
        matrix = _inverse(draws.uniform(-_PASTED_TURN, _PASTED_TURN), draws.uniform(*_PASTED_ZOOM))
        image, weight, shown = (
            ndimage.affine_transform(layer, matrix, lesion - matrix @ place, order=1) for layer in layers
        )
        pictures[at] = retouched(host * (1 - weight) + image * weight, draws)
        # Interpolated masks have values in between: half is the outline.
        places[at] = shown > 0.5
    return pictures, places


def moved(image: Array, draws: np.random.Generator, motion: Motion) -> Float32:
    """The image (H, W) moved at random."""
    picture = image[:, ::-1] if motion.flips and draws.random() < 0.5 else image
    if motion.quarters:
        picture = np.rot90(picture, int(draws.integers(4)))
    turn, zoom = draws.uniform(-motion.turn, motion.turn), draws.uniform(*motion.zoom)
    shift = draws.uniform(-1, 1, 2) * motion.shift * image.shape[0]
    matrix, centre = _inverse(turn, zoom), (np.array(image.shape) - 1) / 2
    # Turned and zoomed about the middle, then shifted: `affine_transform` turns about the corner.
    start = centre - matrix @ (centre + shift)
    result: Float32 = ndimage.affine_transform(picture.astype(np.float32), matrix, start, order=1)
    return result


def retouched(image: Array, draws: np.random.Generator) -> Float32:
    """The image (H, W) with another gamma and noise, cut to 0..1."""
    # Cut first: a value below 0 has no real power.
    curved = np.clip(image, 0, 1) ** draws.uniform(0.85, 1.15)
    return np.clip(curved + draws.normal(0, 0.02, image.shape), 0, 1).astype(np.float32)


def _inverse(turn: float, zoom: float) -> Floats:
    """Matrix (2, 2) from places of the moved image back, for a turn in degrees and a zoom."""
    angle = np.deg2rad(turn)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
