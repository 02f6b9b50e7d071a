"""Where brain is in a scan, and which tissue.

A brain without skull is known by its outline. In a whole head the network of tissues finds it
(``detectors.segmenters.tissues``). Where that is not sure, the brain is the large, even region inside the dark ring of
the skull: at the level of eyes and nose, where no such ring closes, some of the face may be taken for brain, so that
painters keep away from the outer 6 mm and from the lowest slices. White matter, grey matter and fluid are a mixture of
three normal distributions over all sequences; a tumour that nobody outlined is taken for one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthoma.cohorts.framing import foreground
from synthoma.cohorts.slicing import shown_modality
from synthoma.cohorts.squares import frame, to_squares
from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Float32, Floats
from synthoma.detectors.segmenters.tissues import on_grid, shipped_tissues
from synthoma.painting.scan import Spacing, anisotropic
from synthoma.scans.case import Geometry, Study

FLUID, GREY, WHITE = 0, 1, 2
_LEAST_CM2, _LEAST_WIDTH_MM = 15.0, 40.0
_SAMPLES = 40_000
_LOOKED_AT = 16  # slices in which the network looks for a brain
_SCALP = 1.25  # rim over inside: no cortex is so bright, fat is


@dataclass(frozen=True)
class TissueMap:
    """What a scan's brain is made of, all arrays (z, y, x).

    Attributes:
        brain: the brain with its fluid.
        white, grey: share of white and of grey matter, float32, together at most 1; the rest of the brain is fluid.
        depth_mm: distance to the brain's edge within the slice, float32.
        levels: modality -> mean grey value of fluid, grey and white matter.
        noise: modality -> standard deviation of the scanner's grain in white matter.
    """

    brain: Bools
    white: Float32
    grey: Float32
    depth_mm: Float32
    levels: Mapping[str, tuple[float, float, float]]
    noise: Mapping[str, float]

    @property
    def solid(self) -> Float32:
        """Share of tissue that is not fluid."""
        return self.white + self.grey


def tissues_of(images: Mapping[str, Float32], spacing: Spacing, known: Bools | None = None) -> TissueMap:
    """The tissues of a scan.

    Args:
        images: modality -> (z, y, x).
        spacing: between voxels (z, y, x) in mm.
        known: where a tumour is outlined, which no tissue is learned from.

    Raises:
        InputError: no brain to be found.
    """
    brain = brain_of(images, spacing)
    if known is not None:
        brain = brain | known
    learn = brain if known is None else brain & ~known
    even = {name: image / _shading(image, learn, spacing) for name, image in images.items()}
    shares, levels = _mixture(even, brain, learn)
    depth = np.zeros(brain.shape, np.float32)
    for z in np.flatnonzero(brain.any((1, 2))):
        depth[z] = ndimage.distance_transform_edt(np.pad(brain[z], 1), sampling=spacing[1:])[1:-1, 1:-1]
    noise = {name: _grain(image, shares[WHITE] > 0.8) for name, image in images.items()}
    return TissueMap(brain, shares[WHITE], shares[GREY], depth, levels, noise)


# --- where brain is ----------------------------------------------------------------------------------------------


def brain_of(images: Mapping[str, Float32], spacing: Spacing) -> Bools:
    """The brain with its fluid (z, y, x).

    Raises:
        InputError: no region that can be one.
    """
    # Of every eighth voxel, as near to the percentile and several times as fast.
    tops = {name: float(np.percentile(image[::2, ::2, ::2], 99.5)) or 1.0 for name, image in images.items()}
    mean = sum((image / tops[name] for name, image in images.items()), np.float32(0)) / np.float32(len(images))
    mean = np.asarray(mean, np.float32)
    head = np.stack([_filled(layer) for layer in mean])
    depth = np.zeros(mean.shape, np.float32)
    for z in np.flatnonzero(head.any((1, 2))):
        depth[z] = ndimage.distance_transform_edt(np.pad(head[z], 1), sampling=spacing[1:])[1:-1, 1:-1]
    deep = depth > 0.5 * depth.max() if depth.any() else np.zeros(mean.shape, np.bool_)
    if not deep.any():
        raise _no_brain("nothing but background")
    middle = float(np.median(mean[deep]))
    if _stripped(mean, depth, middle):
        brain = head
    elif (seen := _by_network(images, spacing)) is not None:
        brain = seen
    else:
        brain = _inside_skull(mean, depth, middle, spacing)
    brain = _largest(brain)
    area = brain.sum((1, 2)).max() * spacing[1] * spacing[2] / 100
    where = np.argwhere(brain.any(0))
    width = float((np.ptp(where, axis=0) * spacing[1:]).min()) if len(where) else 0.0
    if area < _LEAST_CM2 or width < _LEAST_WIDTH_MM:
        raise _no_brain(f"at most {area:.0f} cm2 of even tissue, {width:.0f} mm wide")
    return brain


def _no_brain(came: str) -> InputError:
    todo = "give scans of heads or brains with their background, or leave this one out"
    return InputError("a scan in which a brain can be told from the rest", came, todo)


def _filled(layer: Float32) -> Bools:
    """The head or the brain without skull in one slice, its holes filled."""
    if layer.max() < 0.05:
        return np.zeros(layer.shape, np.bool_)
    return foreground(layer)


def _profile(mean: Float32, depth: Float32, middle: float) -> Floats:
    """Mean grey value by distance to the outline, a value a mm, relative to that deep inside."""
    rows = np.flatnonzero((depth > 0).any((1, 2)))
    # Slices about the middle: at the vertex every ring is wide.
    size = (depth > 0).sum((1, 2))
    rows = rows[size[rows] > 0.6 * size.max()]
    inside = depth[rows]
    bins = np.clip(inside.astype(np.int64), 0, 20)
    weights = (inside > 0).ravel()
    total = np.bincount(bins.ravel()[weights], minlength=21)
    values = np.bincount(bins.ravel()[weights], mean[rows].ravel()[weights], minlength=21)
    return np.asarray(values / np.maximum(total, 1) / max(middle, 1e-6))


def _stripped(mean: Float32, depth: Float32, middle: float) -> bool:
    """Whether the outline is the brain's: from a scalp inwards grey values fall to the skull before they rise."""
    profile = _profile(mean, depth, middle)
    if profile[:10].max() > _SCALP * profile[14:].mean():
        return False
    profile = profile[profile > 0][:16]
    for at in range(2, len(profile)):
        outer = profile[:at].max()
        if profile[at] < 0.85 * outer and profile[at] < 0.8:
            return False
    return True


def _by_network(images: Mapping[str, Float32], spacing: Spacing) -> Bools | None:
    """The brain as the network of tissues sees it in one sequence; None where it is not sure.

    A brain's border changes little from slice to slice: some twenty are looked at, and the rest made from neighbours.
    """
    network = shipped_tissues()
    name = shown_modality(tuple(images))
    framing = frame(
        Study({name: images[name]}, Geometry((spacing[2], spacing[1], spacing[0]))), (name,), size=network.size
    )
    found = on_grid(network.probabilities(to_squares(framing), framing.step_mm, most=_LOOKED_AT), framing)
    return found.mask if found.sure else None


def _inside_skull(mean: Float32, depth: Float32, middle: float, spacing: Spacing) -> Bools:
    """The even region inside the skull, slice by slice."""
    found = np.zeros(mean.shape, np.bool_)
    step = min(spacing[1:])
    smooth = ndimage.gaussian_filter(mean, anisotropic(1.0, spacing, True))
    for z in range(len(mean)):
        inside = depth[z] > 7
        if inside.sum() * spacing[1] * spacing[2] < 100 * _LEAST_CM2 / 2:
            continue
        level = float(np.median(mean[z][inside]))
        if not 0.4 * middle < level < 2.5 * middle:
            continue
        even = inside & (smooth[z] > 0.6 * level) & (smooth[z] < 1.75 * level)
        # Opening cuts thin bridges through the skull; what is left of the brain grows back to its own edge.
        core = ndimage.distance_transform_edt(even) * step > 3.5
        core = _largest(core)
        grown = ndimage.binary_dilation(core, iterations=max(1, round(4 / step))) & even
        closed = ndimage.binary_closing(np.pad(grown, 8), iterations=max(1, round(6 / step)))[8:-8, 8:-8]
        found[z] = ndimage.binary_fill_holes(closed) & (depth[z] > 5)
    return _without_face(found, spacing)


def _without_face(brain: Bools, spacing: Spacing) -> Bools:
    """Going down from the widest slice, a brain does not grow: what lies beyond the slice above is face or neck."""
    area = brain.sum((1, 2))
    widest = int(np.flatnonzero(area >= 0.93 * area.max())[-1])
    for z in range(widest - 1, -1, -1):
        brain[z] = _largest(ndimage.binary_opening(brain[z] & brain[z + 1], iterations=max(1, round(3 / spacing[1]))))
    return brain


def _largest(region: Bools) -> Bools:
    labels, count = ndimage.label(region)
    if count < 2:
        return region
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


# --- which tissue ------------------------------------------------------------------------------------------------


def _shading(image: Float32, brain: Bools, spacing: Spacing) -> Float32:
    """How bright the coil saw each place of a slice: the brain's own mean within some cm, about 1.

    Fluid is left out, or ventricles would be taken for shade.
    """
    level = float(np.median(image[brain]))
    solid = (brain & (image > 0.6 * level) & (image < 1.6 * level)).astype(np.float32)
    # Every other pixel in the plane is as good for what varies over centimetres.
    sigma = tuple(value / 2 for value in anisotropic(25.0, spacing, True))
    few = np.s_[:, ::2, ::2]
    total = ndimage.gaussian_filter((image * solid)[few], sigma) + 0.02 * level
    near = ndimage.gaussian_filter(solid[few], sigma) + 0.02
    ratio = np.clip(total / near / level, 0.5, 2.0)
    whole = ratio.repeat(2, axis=1).repeat(2, axis=2)[:, : image.shape[1], : image.shape[2]]
    return np.asarray(whole, np.float32)


def _mixture(
    images: Mapping[str, Float32], brain: Bools, learn: Bools
) -> tuple[Float32, dict[str, tuple[float, float, float]]]:
    """Shares (3, z, y, x) of fluid, grey and white matter, and each one's mean grey value by modality."""
    names = list(images)
    area = brain.sum((1, 2))
    # Wide slices alone: in low ones lie face and sinuses, at the vertex scalp.
    learn = learn & (area >= 0.6 * area.max())[:, None, None]
    values = np.stack([images[name][learn] for name in names], axis=1).astype(np.float64)
    values = values[:: max(1, len(values) // _SAMPLES)]
    # The brightest are vessels, fat, and tumours that nobody outlined: no tissue is to learn from them.
    usual = (values <= np.quantile(values, 0.985, axis=0)).all(1)
    values = values[usual]
    scale = values.std(0) + 1e-9
    order = np.argsort(_score(names, values / scale), kind="stable")
    cuts = np.array([0.15, 0.55]) * len(order)
    parts = np.split(order, cuts.astype(np.int64))
    mean = np.stack([np.median(values[part], axis=0) for part in parts])
    spread = np.stack([values[part].std(0) for part in parts]) + 0.05 * scale
    share = np.array([len(part) for part in parts]) / len(order)
    for _ in range(12):
        weight = _posterior(values, mean, spread, share)
        total = weight.sum(0) + 1e-9
        mean = weight.T @ values / total[:, None]
        spread = np.sqrt(
            np.stack([(weight[:, k : k + 1] * (values - mean[k]) ** 2).sum(0) for k in range(3)]) / total[:, None]
        )
        # A normal distribution that narrows onto a few equal pixels has endless likelihood, and takes nothing else.
        spread = np.maximum(spread, 0.08 * scale)
        # No tissue dies out: every brain that is shown has all three.
        share = np.maximum(total / total.sum(), 0.05)
    # By what the sequences show, not by where the mixture began.
    order3 = np.argsort(_score(names, mean / scale))
    mean, spread, share = mean[order3], spread[order3], share[order3]
    shares = np.zeros((3, *brain.shape), np.float32)
    smooth = np.stack([images[name][brain] for name in names], axis=1)
    shares[:, brain] = _posterior(smooth, mean, spread, share).T
    levels = {name: (float(mean[0, i]), float(mean[1, i]), float(mean[2, i])) for i, name in enumerate(names)}
    return shares, levels


def _score(names: list[str], scaled: Floats) -> Floats:
    """A number that rises from fluid over grey to white matter, of values (n, modalities) or (3, modalities)."""
    if "t1" in names or "t1c" in names:
        score = sum(scaled[:, names.index(name)] for name in ("t1", "t1c") if name in names)
        return np.asarray(score - (scaled[:, names.index("t2")] if "t2" in names else 0))
    if "t2" in names:
        return -scaled[:, names.index("t2")]
    # FLAIR alone: fluid is darkest, and grey matter a little brighter than white.
    flair = scaled[:, 0]
    dark = np.quantile(flair, 0.15) if len(flair) > 3 else np.sort(flair)[0]
    return np.where(flair <= dark, flair - 1e6, -flair)


def _posterior(values: Floats, mean: Floats, spread: Floats, share: Floats) -> Floats:
    density = np.stack(
        [
            np.log(share[k]) - np.log(spread[k]).sum() - 0.5 * (((values - mean[k]) / spread[k]) ** 2).sum(1)
            for k in range(3)
        ],
        axis=1,
    )
    density -= density.max(1, keepdims=True)
    weight = np.exp(density)
    return np.asarray(weight / weight.sum(1, keepdims=True))


def _grain(image: Float32, white: Bools) -> float:
    """Standard deviation of what changes from pixel to pixel in white matter, from its median absolute value."""
    rows = np.flatnonzero(white.any((1, 2)))
    if not len(rows):
        return 0.0
    row = rows[len(rows) // 2]
    fine = image[row] - ndimage.gaussian_filter(image[row], 1.0)
    # 1.4826: of normal noise, the standard deviation over the median absolute value.
    return float(1.4826 * np.median(np.abs(fine[white[row]])))
