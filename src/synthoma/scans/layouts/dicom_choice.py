"""Of several series of one sequence in a study, the one that stands for it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import MODALITIES

if TYPE_CHECKING:
    from synthoma.scans.dicom.stack import Series


def chosen_series(members: list[Series]) -> tuple[list[Series], list[tuple[Series, str]]]:
    """The best series of each modality, in the usual order, and the others with the reason; all where none is known."""
    named: dict[str, list[Series]] = defaultdict(list)
    for one in members:
        named[one.modality].append(one)
    known = [name for name in MODALITIES if name in named]
    if not known:
        return sorted(members, key=lambda one: (-len(one.planes), one.series)), []
    # The reference comes first, since what suits the others depends on its position and planes.
    first = "flair" if "flair" in known else known[0]
    reference = min(named[first], key=lambda one: rank_of(one, None))
    # The reference was chosen without one: ranked beside itself, another series could have won.
    best = {name: min(named[name], key=lambda one: rank_of(one, reference)) for name in known} | {first: reference}
    in_use = {path for one in best.values() for path in one.files}
    left = [
        (one, _why_unused(one, best.get(one.modality), in_use))
        for one in members
        if not any(one is other for other in best.values())
    ]
    return [best[name] for name in known], left


@dataclass(frozen=True, order=True)
class _Rank:
    """What makes one of several series of a sequence the better one, the most telling first; the lowest is the best.

    Attributes:
        broken: its slices form no stack.
        derived: it was computed from another one.
        elsewhere: it was taken in another position than the reference.
        thick: its slices are not thin, and it does not lie as the reference does.
        slices: how many it lacks, as a negative count.
        step: between its slices, mm.
        earlier: its number, negative; a scan is repeated where the first one was not good.
        series: so that equal ones are told apart.
    """

    broken: bool
    derived: bool
    elsewhere: bool
    thick: bool
    slices: int
    step: float
    earlier: int
    series: str


def rank_of(series: Series, reference: Series | None) -> _Rank:
    """How good a series is beside others of its sequence.

    Args:
        series: the one that is ranked.
        reference: the series on whose grid the study is put; None where that one is still being chosen.
    """
    from synthoma.scans.dicom.stack import grid_of

    try:
        step, broken = grid_of(series).spacing[2], False
    except InputError:
        step, broken = 0.0, True
    elsewhere = turned = False
    if reference is not None:
        elsewhere = series.frame_of_reference != reference.frame_of_reference
        turned = bool(np.abs(np.subtract(series.axes, reference.axes)).max() > _TURNED)
    thick = turned and step > _THIN
    slices, earlier = -len(series.planes), -series.number
    return _Rank(broken, series.derived, elsewhere, thick, slices, step, earlier, series.series)


_THIN = 2.0
"""Slices up to so many mm apart can be shown in any direction."""

_TURNED = 0.5
"""Axes that differ by more than this lie in another plane (axial, sagittal, coronal)."""


def _why_unused(series: Series, best: Series | None, in_use: set[Path]) -> str:
    """The reason why a study goes on without one of its series."""
    wanted = f"one series each of {', '.join(MODALITIES)}"
    todo = "put it into a folder of its own and prepare that, if it is wanted"
    if not in_use.isdisjoint(series.files):
        todo = "other frames of its file are used; convert it (dcm2niix) if these are wanted"
    if best is None:
        return str(InputError(wanted, "a series of another or unknown kind", todo))
    mine, other = rank_of(series, best), rank_of(best, best)
    why = (
        "its slices do not form an even stack" if mine.broken and not other.broken
        else "it was computed from another one" if mine.derived and not other.derived
        else "it was taken in another position" if mine.elsewhere
        else "thick slices in another plane" if mine.thick
        else f"{-mine.slices} slices where another has {-other.slices}" if mine.slices != other.slices
        else f"slices {mine.step:.2f} mm apart where another has {other.step:.2f}" if mine.step > other.step
        else "a later one is taken" if mine.earlier > other.earlier
        else "another is as good"
    )  # fmt: skip
    return str(InputError(wanted, f"a further {series.modality} series ({why})", todo))
