"""A grown tumour in one patient's brain: fitted to its volume, pushing it aside, and painted into its tissue."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from synthoma.phantom.anatomy import Brain, Push
from synthoma.phantom.atlas import X_MM, Y_MM, Z_MM
from synthoma.phantom.fields import places_of, sample, where_code
from synthoma.phantom.tissue import Tissue
from synthoma.phantom.tumour import Biology, Tumour, radius_of


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


def fitted(tumour: Tumour, brain: Brain, place_ml: float, *, swift: bool = False) -> Tumour:
    """The tumour with its margins moved to where it has its volume in the patient.

    It is grown in the template, on 3 mm: fluid, grey matter that is spared and the push change what is left of it.

    Args:
        tumour: as it was grown.
        brain: places all around it, evenly spread.
        place_ml: volume of each place.
        swift: read the distances once, not for each margin that is tried: the same to rounding.
    """
    wanted = round(tumour.biology.volume_ml / place_ml)
    found, moved = _fronts_at(tumour, brain) if swift else None, 0.0
    for _ in range(3):  # sulci close by the margin's distance, so that their places change with it
        margins = _margins(tumour, brain, found, moved)
        solid = margins[1][margins[3] > 0.5]
        if not len(solid):
            break
        # The distance at which as many places of tissue as wanted lie inside: the new margin.
        off = float(solid.kthvalue(max(1, min(wanted, len(solid))))[0])
        # Where growth never came, distances say nothing.
        off = min(off, 0.5 * float(tumour.fronts[0].max()))
        moved += off if swift else 0.0
        tumour = replace(tumour, fronts=tumour.fronts - off)
    return tumour


def trimmed(tumour: Tumour) -> Tumour:
    """The tumour in the smallest box that holds all places which its margin bears on: fewer are looked at."""
    near = tumour.fronts[0] < _reach(tumour.biology)
    low, high, spans = list(tumour.low), list(tumour.high), []
    for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
        rows = near.any(others[1]).any(others[0]).nonzero()[:, 0]
        if not len(rows):
            return tumour
        # A sample more on either side: between it and the next one distances may still be near.
        first, last = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 1, near.shape[axis] - 1)
        spans.append(slice(first, last + 1))
        start, step = low[2 - axis], (high[2 - axis] - low[2 - axis]) / (near.shape[axis] - 1)
        low[2 - axis], high[2 - axis] = start + first * step, start + last * step
    fronts = tumour.fronts[:, spans[0], spans[1], spans[2]].contiguous()
    return replace(tumour, fronts=fronts, low=(low[0], low[1], low[2]), high=(high[0], high[1], high[2]))


def _largest(parts: Tensor) -> Tensor:
    """Which of the parts (k, m) is the largest at each place, the first of equal ones; as `argmax`, but by rows."""
    top, which = parts[0], torch.zeros(parts.shape[1], dtype=torch.uint8)
    for number, part in enumerate(parts[1:], start=1):
        which = where_code(part > top, number, which)
        top = torch.maximum(top, part)
    return which


def invade(tumour: Tumour, brain: Brain) -> Growths:
    """Place the tumour into the brain: soft fractions to paint with, and the exact code of each place.

    The mask follows the same distances that the painting uses: a place is tumour where the margin's distance is
    negative and tissue prevails over fluid.
    """
    index, whole, core, present = _margins(tumour, brain)
    biology, noise = tumour.biology, brain.noise.index_select(1, index)
    core = core + biology.patchy * noise[1]
    inside = ramp(whole, biology.edge_mm)
    deep = ramp(core, 2.0 if biology.grade == "high" else 2.0 + biology.edge_mm) * (whole < 0)
    parts = core_parts(biology, core, noise)
    strength = biology.density[1] + (biology.density[0] - biology.density[1]) * (-whole / 12).clamp(0, 1)
    # Gyri stay visible inside, grey matter changed less than white, and no part is even.
    strength = (
        strength * (1 - biology.gyral * brain.grey.index_select(0, index)) * (1 + 0.16 * noise[2] + 0.08 * noise[0])
    )
    soft = torch.cat(((inside * (1 - deep) * strength.clamp(0, 1))[None], parts * deep * inside))
    kinds = (Tissue.OEDEMA, Tissue.CORE, Tissue.NECROSIS, fluid_kind(biology), Tissue.BLOOD, Tissue.ENHANCING)
    table = torch.tensor([int(kind) for kind in kinds], dtype=torch.uint8)
    hard = (1 + _largest(parts)) * (deep > 0.5)
    hard_code = table.index_select(0, hard.to(torch.int32))
    codes = where_code((whole < 0) & (present > 0.5), hard_code, torch.zeros_like(hard_code))
    return Growths(index, soft * present, kinds, codes)


def _reach(biology: Biology) -> float:
    """Distance in mm from the margin up to which a tumour bears on the brain."""
    return 2 * biology.edge_mm + 2


def _fronts_at(tumour: Tumour, brain: Brain) -> tuple[Tensor, Tensor]:
    """Places in the tumour's box, and there the distances in mm (2, m) to its margin and its core's."""
    index: Tensor | None = None
    rows: list[Tensor] = []
    # An axis after the other: what one leaves out, the next does not look at.
    for axis in (2, 1, 0):
        unit = _box_unit(tumour, brain.unit[axis] if index is None else brain.unit[axis].index_select(0, index), axis)
        kept = places_of(unit.abs() < 1)
        index = kept if index is None else index.index_select(0, kept)
        rows = [row.index_select(0, kept) for row in (unit, *rows)]
    assert index is not None
    return index, sample(tumour.fronts, torch.stack(rows))


def _margins(
    tumour: Tumour, brain: Brain, found: tuple[Tensor, Tensor] | None = None, moved: float = 0.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places in and near the tumour: index, distances in mm to its margin and its core's, share of tissue.

    Where places and distances were ``found`` before the margin ``moved`` by so many mm, they are not read again.
    """
    biology = tumour.biology
    index, fronts = found or _fronts_at(tumour, brain)
    near = places_of(fronts[0] < _reach(biology) + moved)
    index, fronts = index.index_select(0, near), fronts.index_select(1, near)
    whole, core = fronts - moved if moved else fronts
    whole = (
        whole
        + biology.spare_mm * (brain.grey.index_select(0, index) - 0.3)
        + 0.5 * biology.patchy * brain.noise[0].index_select(0, index)
    )
    return index, whole, core, _close_sulci(brain, index, whole, biology)


def _box_unit(tumour: Tumour, unit: Tensor, axis: int) -> Tensor:
    """Unit coordinates of the atlas box to those of the tumour's box, along an axis (0 for x, 1 for y, 2 for z)."""
    start, stop = (X_MM, Y_MM, Z_MM)[axis]
    mm = (unit + 1) * ((stop - start) / 2) + start
    return (mm - tumour.low[axis]) * (2 / (tumour.high[axis] - tumour.low[axis])) - 1


def ramp(distance: Tensor, width: float) -> Tensor:
    """From 1 inside (negative distance) to 0 outside, over ``width`` mm about the margin."""
    t = (0.5 - distance / width).clamp(0, 1)
    # Smooth at both ends: a straight ramp shows as a ring where it begins.
    return t * t * (3 - 2 * t)


def _close_sulci(brain: Brain, index: Tensor, whole: Tensor, biology: Biology) -> Tensor:
    """Share of tissue after swelling: fluid of sulci (never of ventricles or vessels) gives way inside the tumour."""
    fluid = brain.fluid.index_select(0, index)
    outer = brain.fluid_code.index_select(0, index) == Tissue.CSF
    closed = 1 - biology.filling * outer * ramp(whole - 2, 4.0)
    return 1 - fluid * closed


def fluid_kind(biology: Biology) -> Tissue:
    """What fluid in the core is: what an operation left, or a cyst."""
    return Tissue.CAVITY if biology.middle == Tissue.CAVITY else Tissue.CYST


def core_parts(biology: Biology, core: Tensor, noise: Tensor) -> Tensor:
    """What the core holds, float32 (5, m) summing to 1: core, necrosis, cyst or cavity, blood, enhancing."""
    rim = torch.zeros_like(core)
    if biology.rim_mm:
        thick = biology.rim_mm * (1 + 0.45 * noise[2]).clamp(0.1, 2.0)
        rim = ramp(-core - thick, 1.5)
        if biology.grade == "low":  # a few spots rather than a ring
            rim = rim * ((noise[0] - 0.9) * 3).clamp(0, 1)
    wet = torch.zeros_like(core)
    if biology.middle in (Tissue.CYST, Tissue.CAVITY):
        wet = ramp(core + max(biology.rim_mm, 2.0), 1.5) * (1 - rim)
    blood = ((noise[0] - 1.1) * 4).clamp(0, 1) * (1 - rim) * (1 - wet) if biology.bleeding else torch.zeros_like(core)
    rest = (1 - rim) * (1 - wet) * (1 - blood)
    dead = rest if biology.middle == Tissue.NECROSIS and biology.rim_mm else torch.zeros_like(core)
    return torch.stack((rest - dead, dead, wet, blood, rim))
