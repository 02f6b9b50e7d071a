"""When a segmenter says "tumour": calibrated on scans with and without one, which it did not learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from synthoma.core.types import PLAIN_MODALITY, Floats, Ints
from synthoma.detectors.segmenters.chances import (
    UNKNOWN,
    Calibration,
    Calibrations,
    Kind,
    logits,
    scan_probability,
    shown_name,
    slice_probabilities,
)
from synthoma.detectors.slices import LabelledSlices
from synthoma.training.device import Execution

FALSE_ALARMS = 0.05
"""Share of scans without tumour in which tumour may be said; it is never said where it is less likely than none."""

ENOUGH = 20
"""Scans without tumour of which that share can be told."""

LEAST = 3
"""Scans with tumour, and without, below which nothing is calibrated."""

MOST_SLICES: Mapping[Kind, int] = {"scan": 400, "picture": 200}
"""Slices of the validation patients that are looked at, in each combination of sequences."""

FULL = 0.5
"""Pictures that people keep show the middle of a head: at least this share of the tissue of its fullest slice."""

LEAST_SLOPE = 0.01
"""Below it a network's figures say next to nothing of whether there is a tumour."""

BLOCK = 32
# A step moves by 1 at most, so that no coefficient can become larger than this.
STEPS = 60

Variants = dict[str, list[list[int]]]
"""Name of what is shown -> ways of showing it; in each, which channel stands in each of the model's, -1 for none."""


def fitted(ill: Floats, healthy: Floats) -> Calibration | None:
    """Calibration from a network's figures of scans with tumour (M,) and without (N,).

    Both kinds weigh the same, however many there are. The slope has a weak prior, normal with width 1, since a few
    scans may be told apart perfectly.

    Returns:
        None where there are too few, or where the figures of scans with tumour are not the higher ones.
    """
    if min(len(ill), len(healthy)) < LEAST:
        return None
    # Figures near 0 and 1 differ by decades; their logits lie on the scale on which the curve is a straight line.
    slope, offset = _line(logits(ill), logits(healthy))
    if slope < LEAST_SLOPE:
        return None
    whole = Calibration(slope, offset, 0.5, len(ill), 0, len(healthy), 0)
    limit = max(0.5, _limit(whole.chance(healthy)) if len(healthy) >= ENOUGH else 0.0)
    found, alarms = (int((whole.chance(figures) >= limit).sum()) for figures in (ill, healthy))
    # Rounded as the model file has them: what is counted here is what will be said later.
    return Calibration(round(slope, 6), round(offset, 6), limit, len(ill), found, len(healthy), alarms)


def _line(ill: Floats, healthy: Floats) -> tuple[float, float]:
    """Slope and offset of the logistic regression of logits, by Newton's method."""
    figures = np.concatenate([ill, healthy])
    truth = np.repeat([1.0, 0.0], [len(ill), len(healthy)])
    # Each kind weighs half of all, so that the chance is one as if half of the scans were ill.
    weights = np.repeat([len(figures) / (2 * len(ill)), len(figures) / (2 * len(healthy))], [len(ill), len(healthy)])
    terms = np.stack([figures, np.ones_like(figures)], axis=1)
    # The slope alone is held back. An offset has no usual size: it depends on how a network was trained.
    prior = np.diag([1.0, 0.0])
    line = np.zeros(2)
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-terms @ line))
        slope = terms.T @ (weights * (truth - chances)) - prior @ line
        # The last term keeps the matrix regular where all chances are 0 or 1 in floating point.
        curvature = (terms * (weights * chances * (1 - chances))[:, None]).T @ terms + prior + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        # No step is longer than 1: far away it would overshoot.
        line = line + step / max(1.0, float(np.abs(step).max()))
    return float(line[0]), float(line[1])


def _limit(healthy: Floats) -> float:
    """The lowest chance, of four digits, that at most ``FALSE_ALARMS`` of the scans without tumour reach."""
    # A product that should be whole may lie a rounding error below it.
    allowed = int(FALSE_ALARMS * len(healthy) + 1e-9)
    # The next number of four digits above that scan's chance, so that it stays below the limit itself.
    return min(math.floor(float(np.sort(healthy)[::-1][allowed]) * 1e4 + 1) / 1e4, 1.0)


def calibrations(
    network: nn.Module,
    shown: Mapping[Kind, LabelledSlices],
    execution: Execution,
    *,
    modalities: tuple[str, ...],
    any_subset: bool,
    mirrored: bool = True,
    most: Mapping[Kind, int] | None = None,
) -> Calibrations:
    """Calibrate a network on all rows of these slices, as ``detect`` will look at scans and at single pictures.

    Args:
        network: in evaluation mode.
        shown: of "scan" slices of whole scans, of "picture" slices that are looked at one by one.
        execution: device and memory layout.
        modalities: the network's channels.
        any_subset: whether it does without some of them: each is then tried alone too, and for pictures that do not
            say what they show, each in the place of the one that such a picture is taken for.
        mirrored: average with the mirrored slice.
        most: slices that are looked at of each kind; of more, some patients are left out.
    """
    limits = most or MOST_SLICES
    found: dict[tuple[Kind, str], Calibration] = {}
    for kind, slices in shown.items():
        parted = _of_scans if kind == "scan" else _of_pictures
        cases = _whole_cases(slices, limits[kind])
        for name, ways in _variants(modalities, any_subset=any_subset).items():
            if kind == "scan" and name == UNKNOWN:
                continue  # a stack of such pictures is rare, and is judged as the sequence that it is taken for
            ill, healthy = [], []
            for way in ways:
                asked = _Asked(network, slices, way, execution, alone=kind == "picture", mirrored=mirrored)
                sick, well = parted(slices, [(rows, asked.figures(rows)) for rows in cases])
                ill.append(sick)
                healthy.append(well)
            if one := fitted(np.concatenate(ill), np.concatenate(healthy)):
                found[kind, name] = one
    return found


def _variants(modalities: tuple[str, ...], *, any_subset: bool) -> Variants:
    everything = list(range(len(modalities)))
    variants = {shown_name(modalities): [everything]}
    if any_subset and len(modalities) > 1:
        for place, name in enumerate(modalities):
            variants[name] = [[place if at == place else -1 for at in everything]]
        if PLAIN_MODALITY not in modalities:
            stands_for = modalities.index("flair") if "flair" in modalities else 0
            variants[UNKNOWN] = [[place if at == stands_for else -1 for at in everything] for place in everything]
    return variants


def _whole_cases(slices: LabelledSlices, most: int) -> list[Ints]:
    """Rows of each scan in their order; of more than ``most`` slices, evenly spaced scans."""
    table = slices.cohort.slices.iloc[slices.rows]
    order = table["slice"].to_numpy() if "slice" in table else np.arange(len(table))
    cases = []
    for places in table.groupby(table["case"].astype(str), sort=True).indices.values():
        own = np.asarray(places)
        cases.append(slices.rows[own[np.argsort(order[own], kind="stable")]])
    count = max(1, min(len(cases), round(most * len(cases) / len(table))))
    return [cases[at] for at in np.linspace(0, len(cases) - 1, count).astype(int)]


def _of_scans(slices: LabelledSlices, cases: list[tuple[Ints, Floats]]) -> tuple[Floats, Floats]:
    """Figures of whole scans with tumour and without, from the rows of each scan and the figures of its slices.

    Where few scans are without, what is left of the others without their slices of tumour counts as such.
    """
    ill, healthy, left = [], [], []
    for rows, figures in cases:
        shown = ~np.isnan(figures)
        sick = slices.tumour[rows]
        if not shown.any() or len(rows) == 1:  # a single slice is a picture
            continue
        if not sick.any():
            healthy.append(scan_probability(figures[shown]))
            continue
        ill.append(scan_probability(figures[shown]))
        if (shown & ~sick).any():
            left.append(scan_probability(figures[shown & ~sick]))
    return np.array(ill), np.array(healthy if len(healthy) >= ENOUGH else healthy + left)


def _of_pictures(slices: LabelledSlices, cases: list[tuple[Ints, Floats]]) -> tuple[Floats, Floats]:
    """The same of single slices, those of the middle of the head."""
    table = slices.cohort.slices
    tissue = table["tissue"].to_numpy(float) if "tissue" in table else np.ones(len(table))
    if "pixel_mm" in table:
        # In mm2 where pixels have a size: pictures that were framed one by one have pixels of their own.
        tissue = tissue * np.nan_to_num(table["pixel_mm"].to_numpy(float), nan=1.0) ** 2
    ill, healthy = [], []
    for rows, figures in cases:
        kept = ~np.isnan(figures) & (tissue[rows] >= FULL * tissue[rows].max())
        sick = slices.tumour[rows]
        ill.append(figures[kept & sick])
        healthy.append(figures[kept & ~sick])
    return np.concatenate(ill), np.concatenate(healthy)


@dataclass(frozen=True)
class _Asked:
    """A network that is shown the slices of a cohort in one way.

    Attributes:
        network: the segmenter.
        slices: where from.
        way: which channel stands in each of the network's, -1 for none.
        execution: device and memory layout.
        alone: each slice stands for its neighbours too.
        mirrored: average with the mirrored slice.
    """

    network: nn.Module
    slices: LabelledSlices
    way: list[int]
    execution: Execution
    alone: bool
    mirrored: bool

    @torch.no_grad()
    def figures(self, rows: Ints) -> Floats:
        """One for each slice, (N,); nan where nothing is shown."""
        found = []
        for start in range(0, len(rows), BLOCK):
            images = self._presented(rows[start : start + BLOCK])
            placed = images.flatten(1, 2).to(self.execution.device)
            placed = placed.contiguous(memory_format=self.execution.memory_format)
            maps = self.network(placed).float().sigmoid()
            if self.mirrored:
                maps = (maps + self.network(placed.flip(-1)).float().sigmoid().flip(-1)) / 2
            values = slice_probabilities(maps[:, 0].cpu().numpy())
            # A blank slice would count as a healthy one of chance 0, and make the others look better told apart.
            values[(images.abs().amax(dim=(1, 2, 3, 4)) <= 0).numpy()] = np.nan
            found.append(values)
        return np.concatenate(found)

    def _presented(self, rows: Ints) -> Tensor:
        """Images (B, context, C, S, S) as the network gets them: other modalities are 0, neighbours copies."""
        flat = self.slices.inputs(rows)
        stack = flat.view(len(rows), -1, len(self.way), *flat.shape[2:])
        shown = torch.zeros_like(stack)
        for channel, source in enumerate(self.way):
            if source >= 0:
                shown[:, :, channel] = stack[:, :, source]
        if self.alone:
            shown = shown[:, shown.shape[1] // 2 :][:, :1].expand_as(shown).contiguous()
        return shown
