"""Two visits of a patient laid over one another: what changed by more than repeatability allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from synthoma.cohorts.slicing import shown_modality
from synthoma.core.errors import InputError
from synthoma.core.types import Bools, Bytes
from synthoma.detection.change_records import Change, Measure, Overlap, Word
from synthoma.detection.detector import Detector
from synthoma.detection.findings import tidy, volume
from synthoma.detection.overlay import MOST_ROWS, chosen_slices, overlay
from synthoma.detection.rano import measured
from synthoma.detection.rano_findings import SUMMED
from synthoma.detection.repeatability import Deviations, limit_of_change, repeated
from synthoma.detection.scan import look
from synthoma.detection.seen import Seen
from synthoma.detection.settings import DetectConfig
from synthoma.metrics.lesions import match_lesions
from synthoma.scans.case import Case, Volume
from synthoma.scans.grids import to_itk
from synthoma.scans.rigid import RigidTransform, frame_of

OTHER_GRID = 1.25
"""Times that a side of a voxel may differ between visits: beyond it their grids count as different."""


@dataclass(frozen=True)
class Compared:
    """A change, and the picture of it where there is one, RGB (height, width, 3)."""

    change: Change
    picture: Bytes | None


def compare(
    before: tuple[str, Case], now: tuple[str, Case], detector: Detector, options: DetectConfig, *,
    reasons: Sequence[str] = (),
) -> Compared:  # fmt: skip
    """Compare two visits.

    Args:
        before: name as in index.csv, and case.
        now: likewise.
        detector: the model.
        options: how.
        reasons: what forbids to call anything a change, known before the scans are looked at.

    Raises:
        InputError: a scan that cannot be read any more.
    """
    quiet = options.model_copy(update={"tissues": False, "type_model": None, "saliency": False})
    earlier, later = look(before[1], detector, quiet), look(now[1], detector, quiet)
    reasons = [*reasons, *differences(earlier, later)]
    transform, registration = None, "not tried"
    if not reasons:
        transform, registration = _laid_over(earlier, later)
        if transform is None:
            reasons.append(f"the visits could not be laid over one another ({registration})")
    measures = _measures(earlier, later, detector, quiet, comparable=not reasons)
    moved = None if transform is None else _onto(earlier, later, transform)
    change = Change(
        now=now[0],
        before=before[0],
        comparable=not reasons,
        reasons=tuple(reasons),
        registration=registration,
        repeats=0 if reasons else options.repeats,
        measures=tuple(measures),
        overlap=None if moved is None else _overlap(moved, later),
        picture=None,
    )
    return Compared(change, None if moved is None else _picture(moved, later, change))


def differences(earlier: Seen, later: Seen) -> list[str]:
    """Why two visits cannot be compared, before anything is measured; empty where they may be."""
    reasons = []
    shown = [", ".join(seen.framing.images) for seen in (earlier, later)]
    if set(earlier.framing.images) != set(later.framing.images):
        reasons.append(f"they show different sequences: {shown[0]} before, {shown[1]} now")
    grids = [seen.study.geometry for seen in (earlier, later)]
    if any(grid is None or not grid.thick for grid in grids):
        return [*reasons, "nobody knows how large the voxels of both are"]
    # Sorted: the same voxels may be stored with their axes in another order.
    sides = [sorted(grid.spacing) for grid in grids if grid is not None]
    if any(max(a, b) > OTHER_GRID * min(a, b) for a, b in zip(*sides, strict=True)):
        told = ["x".join(f"{side:.2g}" for side in some) for some in sides]
        reasons.append(f"their voxels are of different sizes: {told[0]} mm before, {told[1]} mm now")
    return reasons


def _laid_over(earlier: Seen, later: Seen) -> tuple[RigidTransform | None, str]:
    """The transform from the later scan's space to the earlier one's; None where it is not to be trusted."""
    from synthoma.scans.registration import register

    name = shown_modality(tuple(later.framing.images))
    volumes = [Volume(seen.study.images[name], seen.study.geometry) for seen in (later, earlier)]
    try:
        found = register(*volumes)
    except InputError as error:
        return None, str(error)
    if not found.agreed:
        return None, found.remark
    shift = float(np.linalg.norm(found.transform.translation))
    turn = np.array(found.transform.rotation).reshape(3, 3)
    degrees = float(np.rad2deg(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    return found.transform, f"{found.remark}; moved by {shift:.1f} mm and {degrees:.1f} degrees"


def sizes(seen: Seen) -> dict[str, float]:
    """Volume (ml) of each target, and sum of the RANO products (mm2) of the five largest lesions of the outer ones."""
    geometry = seen.study.geometry
    assert geometry is not None, "only scans with a geometry are compared"
    found = {f"volume ({target})": volume(region, geometry) / 1000 for target, region in seen.regions.items()}
    for target, region in seen.regions.items():
        if target in (seen.targets[0], "enhancing"):
            lesions = measured(region, geometry)[:SUMMED]
            found[f"RANO product ({target})"] = sum(one.diameters.product for one in lesions)
    return found


def _measures(
    earlier: Seen, later: Seen, detector: Detector, options: DetectConfig, *, comparable: bool
) -> list[Measure]:
    """Every size at both visits; with what repeatability allows where they are comparable."""
    if any(seen.study.geometry is None for seen in (earlier, later)):
        return []
    before, now = sizes(earlier), sizes(later)
    limits: dict[str, float] = {}
    if comparable:
        limits = _limits(earlier, later, (before, now), detector, options)
    return [judged(what, before[what], now[what], limits.get(what)) for what in now]


def judged(what: str, before: float, now: float, limit: float | None) -> Measure:
    """One size at both visits, and the word for what became of it."""
    gap = now - before
    word: Word = "cannot tell"
    if limit is not None:
        word = "no change" if abs(gap) <= limit else "larger" if gap > 0 else "smaller"
    return Measure(
        what=what,
        unit="ml" if what.startswith("volume") else "mm2",
        before=tidy(before),
        now=tidy(now),
        difference=tidy(gap),
        percent=tidy(100 * gap / before) if before else None,
        limit=tidy(limit),
        word=word,
    )


def _limits(
    earlier: Seen,
    later: Seen,
    reported: tuple[dict[str, float], dict[str, float]],
    detector: Detector,
    options: DetectConfig,
) -> dict[str, float]:
    """What repeatability allows of each size."""

    def measure(case: Case) -> dict[str, float]:
        return sizes(look(case, detector, options))

    spread: list[dict[str, Deviations]] = []
    for seen, own in zip((earlier, later), reported, strict=True):
        again = repeated(seen.case, seen.case.load(), options.repeats, measure)
        spread.append({what: Deviations.of(own[what], [one[what] for one in again]) for what in own})
    return {what: limit_of_change(spread[0][what], spread[1][what]) for what in reported[1]}


def _onto(earlier: Seen, later: Seen, transform: RigidTransform) -> Bools:
    """The earlier mask on the later scan's grid, (z, y, x), nearest voxels."""
    mask = sitk.Cast(to_itk(Volume(earlier.labels, earlier.study.geometry)), sitk.sitkUInt8)
    frame = frame_of(Volume(later.labels, later.study.geometry))
    moved = sitk.Resample(mask, frame, transform.to_itk(), sitk.sitkNearestNeighbor, 0)
    return np.asarray(sitk.GetArrayFromImage(moved) > 0)


def _overlap(moved: Bools, later: Seen) -> Overlap:
    geometry = later.study.geometry
    assert geometry is not None
    voxel = float(np.prod(geometry.spacing)) / 1000
    now = later.mask
    z, y, x = geometry.spacing[::-1]
    ahead, back = match_lesions(moved, now, (z, y, x)), match_lesions(now, moved, (z, y, x))

    def lesions(volumes: tuple[float, ...]) -> int:
        # mm3, as in `metrics.lesions`: what is smaller comes and goes with the threshold.
        return sum(size > 50 for size in volumes)

    return Overlap(
        kept_ml=tidy(float((now & moved).sum()) * voxel),
        new_ml=tidy(float((now & ~moved).sum()) * voxel),
        gone_ml=tidy(float((moved & ~now).sum()) * voxel),
        new_lesions=lesions(ahead.false),
        gone_lesions=lesions(back.false),
    )


def _picture(moved: Bools, later: Seen, change: Change) -> Bytes:
    """Slices of the later scan, tumour green, the outline of the earlier one amber."""
    found, before = later.in_plane(later.mask), later.in_plane(moved)
    either = found | before
    blank = np.array([not any(image[z].any() for image in later.framing.images.values()) for z in range(len(found))])
    rows = chosen_slices(either.sum(axis=(1, 2)), blank, MOST_ROWS)
    captions = [f"slice {later.framing.source_slice(z)[1]}" for z in rows]
    note = "Green: outlined now. Amber: outlined before, laid over this scan."
    return overlay(later.framing, found, rows, captions, None, f"{change.before}  to  {change.now}", (note,), (before,))
