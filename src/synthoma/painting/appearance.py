"""How a tumour looks in each sequence of a scan, told from the scan's own tissue.

The scan's white and grey matter and fluid say by which protocol it was taken: of a hundred simulated protocols
(``phantom.contrast``) the one that gives their ratios. The same protocol says how bright oedema, core, necrosis and
enhancing tissue are beside white matter. The fine grain of the scanner is the scan's own, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from scipy import ndimage

from synthoma.core.seeding import stream
from synthoma.core.types import PLAIN_MODALITY, Bools, Bytes, Float32, Floats
from synthoma.painting.growth import Shape, room_of
from synthoma.painting.request import Request
from synthoma.painting.scan import Scan, anisotropic
from synthoma.painting.tissues import FLUID, GREY, WHITE, TissueMap
from synthoma.phantom.contrast import PROPERTIES, Protocol, draw_properties, draw_protocol, signals
from synthoma.phantom.invasion import core_parts, fluid_kind, ramp
from synthoma.phantom.tissue import Tissue, mask_of
from synthoma.phantom.tumour import Biology, radius_of

_PROTOCOLS = 96
SHOWN: dict[str, float] = {"t1": 1.25, "t1c": 1.2, "t2": 0.65, "flair": 0.55}
"""How much of the simulated contrast between tumour and white matter scans show after the windows of their scanners:
rounded from what gliomas of 28 LGG and five BraTS patients show, over what the protocol that fits them gives. The sets
may share people, and nobody else was looked at."""
_UPTAKE = 0.6  # the same for what takes up contrast agent
_BEYOND_MM = 1.0
"""How far a tumour shows beyond its mask: in the first pixel (3 mm) outside of the masks of 28 LGG patients FLAIR has a
third of its contrast left, in the first one inside all of it."""
_EDGE_PIXELS = 1.5
"""No edge is sharper than this in a scan; sharper ones are rougher than any real margin."""
_TEXTURE = (0.20, 0.16)
"""Standard deviations of two fields of unevenness, by the spread of grey values within the same masks."""
_MOST_ADDED = 0.4
"""Most that is added to the contrast of a tumour's parts, in shares of white matter."""
_OWN_SHARE = 0.2  # standard deviation of the logarithm of that from one tumour to the next


@dataclass(frozen=True)
class Parts:
    """What each voxel of a shape's box holds.

    Attributes:
        fractions: float32 (6, of the box), together at most 1.
        kinds: tissue of each of the six.
        mask: values of ``core.types.REGIONS``, uint8 of the box.
    """

    fractions: Float32
    kinds: tuple[Tissue, ...]
    mask: Bytes


def parts_of(shape: Shape, request: Request, tissue: TissueMap, pixel_mm: float, regions: Bytes | None = None) -> Parts:
    """Soft fractions to paint with and the exact mask, by the rules of ``phantom.invasion.invade``.

    Args:
        shape: the margins.
        request: the tumour's character.
        tissue: of the scan.
        pixel_mm: side of the scan's pixels.
        regions: the mask where somebody drew it, of the box; None makes it.
    """
    biology, noise = request.biology, torch.from_numpy(shape.noise.reshape(3, -1))
    whole = torch.from_numpy(shape.whole.ravel())
    # The larger, the more ragged: a core of 3 mm samples is rounder than any tumour's.
    ragged = 0.5 * biology.patchy + 0.12 * radius_of(biology.volume_ml)
    core = torch.from_numpy(shape.core.ravel()) + ragged * noise[1]
    inside = ramp(whole - _BEYOND_MM, float(np.hypot(biology.edge_mm, _EDGE_PIXELS * pixel_mm)))
    deep = ramp(core, 2.0 if biology.grade == "high" else 2.0 + biology.edge_mm) * (whole < 0)
    character = _enhancing(request, core, whole)
    parts = core_parts(character, core, noise)
    strength = biology.density[1] + (biology.density[0] - biology.density[1]) * (-whole / 12).clamp(0, 1)
    grey = torch.from_numpy(np.ascontiguousarray(tissue.grey[shape.box]).ravel())
    uneven = 1 + request.heterogeneity * (0.35 * noise[2] + 0.2 * noise[0])
    strength = (strength * (1 - biology.gyral * grey) * uneven).clamp(0.2, 1)
    soft = torch.cat(((inside * (1 - deep) * strength)[None], parts * deep * inside)).numpy()
    solid = tissue.solid[shape.box].ravel()
    # Sulci inside the tumour close, but for what is left of them.
    closing = np.clip((1 - biology.filling * inside.numpy() * tissue.brain[shape.box].ravel()), 0, 1)
    present = 1 - (1 - solid) * closing
    kinds = (Tissue.OEDEMA, Tissue.CORE, Tissue.NECROSIS, fluid_kind(biology), Tissue.BLOOD, Tissue.ENHANCING)
    fractions = (soft * present * (tissue.brain[shape.box].ravel())).reshape(6, *shape.whole.shape)
    # What is hardly there is not painted at all: the margin ends.
    fractions = np.asarray(np.where(fractions.sum(0) > 0.02, fractions, 0), np.float32)
    if regions is None:
        codes = np.array([int(kind) for kind in kinds], np.uint8)
        hard = np.where(deep.numpy() > 0.5, 1 + parts.argmax(0).numpy(), 0)
        mask = np.where(shape.mask(tissue).ravel(), mask_of(codes[hard]), 0).reshape(shape.whole.shape)
        regions = mask.astype(np.uint8)
    return Parts(np.asarray(fractions, np.float32), kinds, regions)


def _enhancing(request: Request, core: torch.Tensor, whole: torch.Tensor) -> Biology:
    """The biology with a rim so thick that the asked share of the core enhances."""
    biology = request.biology
    if request.enhancing is None:
        return biology
    depths = -core[(core < 0) & (whole < 0)]
    if request.enhancing <= 0 or not len(depths):
        return replace(biology, rim_mm=0.0)
    # `torch.quantile` refuses more than some 16 million values.
    thick = float(torch.quantile(depths[: 2**22], min(request.enhancing, 1.0)))
    # A ring as high-grade tumours have it: of low-grade ones only spots would be left of it.
    return replace(biology, rim_mm=max(thick, 0.1), grade="high")


@cache
def _dictionary(modality: str) -> tuple[Floats, tuple[Protocol, ...]]:
    """Log ratios (n, 2) of grey matter and of fluid to white matter by protocol."""
    table = np.zeros((256, 4))
    table[:, :2] = 1000.0, 50.0
    for tissue, values in PROPERTIES.items():
        table[tissue] = values
    protocols = tuple(draw_protocol(stream(0, "painting.protocol", index)) for index in range(_PROTOCOLS))
    ratios = []
    for protocol in protocols:
        found = signals(modality, protocol, table)
        white = found[Tissue.WHITE]
        # Fluid that FLAIR nulls has no logarithm.
        ratios.append((np.log(found[Tissue.GREY] / white), np.log(max(found[Tissue.VENTRICLE] / white, 0.05))))
    return np.array(ratios), protocols


def _protocol(modality: str, levels: tuple[float, float, float]) -> tuple[Protocol, float]:
    """The protocol whose ratios are most like the scan's, and how far off they are."""
    ratios, protocols = _dictionary(modality)
    white = max(levels[WHITE], 1e-6)
    own = np.log(np.maximum([levels[GREY] / white, levels[FLUID] / white], 0.05))
    # What is taken for fluid is mixed with tissue: it tells less.
    gaps = ((ratios - own) ** 2 * (1.0, 0.15)).sum(1)
    return protocols[int(gaps.argmin())], float(gaps.min())


def sequence_of(name: str, levels: tuple[float, float, float]) -> str:
    """The sequence that a modality shows; of plain pictures the one whose ratios fit best."""
    if name != PLAIN_MODALITY:
        return name
    # No T1c: of healthy tissue it shows what T1 does, and ratios cannot tell the two apart.
    return min(("flair", "t1", "t2"), key=lambda one: _protocol(one, levels)[1])


def ratios_of(
    rng: np.random.Generator,
    tissue: TissueMap,
    seen: Mapping[str, float] | None,
    scan: Scan,
    shape: Shape,
    parts: Parts,
) -> dict[str, Floats]:
    """Grey value of each tissue code (256,) relative to white matter, by modality, of one tumour.

    What is seen of tumours is what they show with all the brain that is left in them: the parts of one must stand out
    by as much more as they fill less of its mask, or it is paler and more even than those of patients.

    Args:
        rng: drives how this tumour differs from others.
        tissue: of the scan.
        seen: median grey value of training patients' tumours relative to white matter, by modality; what is simulated
            is brought to it. None takes ``SHOWN``.
        scan: that is painted.
        shape: where.
        parts: what its voxels hold.
    """
    properties = draw_properties(rng, 1.5)
    # By these the protocol was found: drawn anew, they would no longer have the ratios of the scan.
    for kind in (Tissue.WHITE, Tissue.GREY, Tissue.VENTRICLE):
        properties[kind] = PROPERTIES[kind]
    found: dict[str, Floats] = {}
    own = float(np.exp(rng.normal(0, _OWN_SHARE)))
    for name, levels in tissue.levels.items():
        sequence = sequence_of(name, levels)
        signal = signals(sequence, _protocol(sequence, levels)[0], properties)
        ratio = np.asarray(signal / signal[Tissue.WHITE], np.float64)
        usual = float(ratio[[Tissue.OEDEMA, Tissue.CORE]].mean()) - 1
        share = SHOWN[sequence]
        aim = usual * share
        if seen is not None and name in seen:
            # Patients are right where the protocol is not: that T1c of theirs shows dark tumours, for example.
            aim = seen[name] - 1
            share = float(np.clip(aim / usual, 0.3, 2.0)) if usual * aim > 0 else share
        # What lies on the other side of white matter (enhancing tissue in T1c) keeps a contrast of its own.
        same = (ratio > 1) == (usual > 0)
        contrast = (ratio - 1) * np.where(same, share * own, _UPTAKE)
        image, white = scan.images[name][shape.box], max(levels[WHITE], 1e-6)
        base = _white_level(image, tissue, shape, levels[WHITE], scan) / white
        found[name] = 1 + contrast + _missing(aim * own, contrast, same, image / white, base, parts)
    return found


def _missing(aim: float, contrast: Floats, same: Bools, own: Float32, base: Float32, parts: Parts) -> Floats:
    """What is to be added to the contrast of a tumour's parts for its mask to stand out as aimed at, (256,).

    Args:
        aim: mean of the mask minus white matter, over white matter.
        contrast: of each tissue code to white matter, (256,).
        same: which of these may be changed, (256,).
        own: the box's images relative to white matter.
        base: how bright white matter is about there, relative to all of it.
        parts: what its voxels hold.
    """
    inside = parts.mask > 0
    if not inside.any():
        return np.zeros(len(contrast))
    kinds = np.array([int(kind) for kind in parts.kinds])
    held = parts.fractions[:, inside].astype(np.float64)
    parts_shown = held * (base[inside] * (1 + contrast[kinds, None]) - 1)
    shown = float(((1 - held.sum(0)) * (own[inside] - 1)).mean() + parts_shown.sum(0).mean())
    free = float((held * base[inside] * same[kinds, None]).sum(0).mean())
    # Where hardly any of it may change, or gyri hide most of it, it may look otherwise than patients' do.
    return np.where(same, np.clip((aim - shown) / max(free, 0.2), -_MOST_ADDED, _MOST_ADDED), 0.0)


def painted(
    scan: Scan, tissue: TissueMap, shape: Shape, parts: Parts, request: Request, ratios: Mapping[str, Floats]
) -> dict[str, Float32]:
    """The images of the box with the tumour in it; where nothing of it is, bit for bit the scan's.

    The scan is taken apart into what is smooth and its grain; the smooth part gives way to the tumour, the grain stays.
    """
    whole = parts.fractions.sum(0)
    touched = whole > 0
    result = {}
    texture = 1 + request.heterogeneity * (_TEXTURE[0] * shape.noise[0] + _TEXTURE[1] * shape.noise[1])
    for name, image in scan.images.items():
        own = image[shape.box]
        base = _white_level(own, tissue, shape, tissue.levels[name][WHITE], scan)
        ratio = np.array([1 + request.contrast * (ratios[name][kind] - 1) for kind in parts.kinds], np.float32)
        # Nothing in a tumour is darker than the scan's own fluid.
        floor = np.float32(tissue.levels[name][FLUID] / max(tissue.levels[name][WHITE], 1e-6))
        colour = np.tensordot(np.maximum(ratio, min(floor, np.float32(1))), _blurred(parts.fractions, scan), 1)
        target = base * colour * texture
        smooth = ndimage.gaussian_filter(own, anisotropic(1.2, scan.spacing, True))
        grain = own - smooth
        # Edges of anatomy are no grain: they fade with the tissue that they belong to.
        limit = np.float32(3.5 * tissue.noise[name])
        faded = np.clip(grain, -limit, limit)
        new = (1 - whole) * own + target + whole * faded
        # No scanner's window shows more than the brightest of what it has.
        new = np.minimum(new, max(float(np.percentile(image, 99.8)), float(own.max())))
        result[name] = np.where(touched, new, own).astype(np.float32)
    return result


def _blurred(fractions: Float32, scan: Scan) -> Float32:
    """Fractions as a scanner sees them: each pixel has some of its neighbours', in sum as much as it had."""
    total = fractions.sum(0)
    # Of pixels finer than a millimetre, which are interpolated, as wide as the scanner saw: 0.7 mm.
    sigma = max(0.7, 0.7 / min(scan.spacing[1:]))
    soft = ndimage.gaussian_filter(fractions, (0, 0, sigma, sigma))
    return np.asarray(soft * (total / np.maximum(soft.sum(0), 1e-6)), np.float32)


def _white_level(own: Float32, tissue: TissueMap, shape: Shape, level: float, scan: Scan) -> Float32:
    """How bright white matter is about each voxel of the box: coils make one side brighter than the other."""
    white = tissue.white[shape.box] * (room_of(tissue)[shape.box])
    sigma = anisotropic(18.0, scan.spacing, True)
    few = np.s_[:, ::2, ::2]
    half = (0.0, sigma[1] / 2, sigma[2] / 2)
    # Every other pixel: brightness that changes over 18 mm needs no more, at a quarter of the time.
    near = ndimage.gaussian_filter(white[few], half)
    total = ndimage.gaussian_filter((own * white)[few], half)
    local = (total + 0.05 * level) / (near + 0.05)
    local = local.repeat(2, axis=1).repeat(2, axis=2)[:, : own.shape[1], : own.shape[2]]
    return np.asarray(np.clip(local, 0.6 * level, 1.6 * level), np.float32)
