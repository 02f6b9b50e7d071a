"""Errors, seconds and noticed failures of rigid registration, on moved studies of simulated patients."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from record import save
from synthoma.core.seeding import stream
from synthoma.core.types import MODALITIES, Array, Floats, Ints
from synthoma.phantom import Patient, PhantomConfig, simulate
from synthoma.phantom.config import Skull
from synthoma.phantom.tissue import Tissue
from synthoma.scans.case import Direction, Geometry, Vector3, Volume
from synthoma.scans.grids import to_itk
from synthoma.scans.registration import LEAST_QUALITY, MOST_APART, Registered, fitting_blocks, register
from synthoma.scans.rigid import RigidTransform

SEED, PATIENTS = 71, 20
GRIDS: dict[str, tuple[tuple[float, float, float], int]] = {
    "1 mm": ((1.0, 1.0, 1.0), 2),
    "axial 5 mm": ((0.9, 0.9, 5.0), 2),
    "axial 7 mm": ((1.0, 1.0, 7.0), 2),
    "sagittal 5 mm": ((5.0, 1.0, 1.0), 0),
    "coronal 4 mm": ((0.8, 4.0, 0.8), 1),
    "2 mm": ((2.0, 2.0, 2.0), 2),
}
"""Name of a grid: spacing (x, y, z) in mm, and the axis across its slices."""


@dataclass(frozen=True)
class Pair:
    """Two series of one patient and how they lie: ``truth`` maps fixed to moving, ``points`` (N, 3) lie in the brain.

    ``facts`` says how the pair was made.
    """

    fixed: Volume
    moving: Volume
    truth: RigidTransform
    points: Floats
    facts: dict[str, Any]


def rotation(degrees: Floats) -> Floats:
    """Rotation matrix (3, 3) that turns about the direction of a vector by its length."""
    versor = sitk.VersorTransform()
    length = float(np.linalg.norm(degrees))
    if length > 0:
        versor.SetRotation((degrees / length).tolist(), float(np.deg2rad(length)))
    return np.array(versor.GetMatrix()).reshape(3, 3)


def unit(rng: np.random.Generator) -> Floats:
    """A direction drawn at random."""
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


def pose(rng: np.random.Generator, centre: Floats, most_mm: float = 15, most_degrees: float = 15) -> RigidTransform:
    """A pose of up to so many millimetres and degrees about a centre."""
    matrix = rotation(unit(rng) * rng.uniform(0, most_degrees))
    return RigidTransform(nine(matrix), three(unit(rng) * rng.uniform(0, most_mm)), three(centre))


def three(values: Floats) -> Vector3:
    """A vector as plain numbers."""
    x, y, z = (float(value) for value in values)
    return x, y, z


def nine(matrix: Floats) -> Direction:
    """A matrix (3, 3) as plain numbers, row by row."""
    a, b, c, d, e, f, g, h, i = (float(value) for value in matrix.ravel())
    return a, b, c, d, e, f, g, h, i


def patient_points(patient: Patient, most: int = 4000) -> Floats:
    """Places of brain voxels, (N, 3) in mm."""
    geometry = patient.study.geometry
    assert geometry is not None
    places = np.argwhere(patient.tissue >= Tissue.CSF)
    places = places[:: max(1, len(places) // most)]
    return np.asarray(places[:, ::-1] * np.array(geometry.spacing) + np.array(geometry.origin))


def imaged(
    rng: np.random.Generator, image: Array, source: Geometry, truth: RigidTransform, grid: str, centre: Floats,
    *, stripped: bool, cover: float, tilt: float,
) -> Volume:  # fmt: skip
    """The moved patient on another grid: slices averaged over their thickness, noise, another bias field.

    Args:
        rng: drives everything that is drawn.
        image: of the patient, 1 mm, (z, y, x).
        source: its geometry.
        truth: from the patient's space to that of the new series.
        grid: one of ``GRIDS``.
        centre: of the head in the patient's space, mm.
        stripped: whether the air is exactly 0.
        cover: share of the head that the slices cover.
        tilt: most degrees by which the grid is oblique.
    """
    spacing, across = GRIDS[grid]
    turn = rotation(unit(rng) * rng.uniform(0, tilt))
    extent = np.array([200.0, 235.0, 200.0]) + rng.uniform(-10, 25, 3)
    if cover < 1:
        extent[across] = cover * (150.0, 190.0, 150.0)[across]
    size = np.ceil(extent / spacing).astype(int)
    middle = truth.apply(centre[None])[0] + rng.uniform(-6, 6, 3)
    origin = middle - turn @ ((size - 1) / 2 * spacing)
    # The cut through the neck must not travel with the patient: only planes that lie above it are kept.
    lowest = source.origin[2] + 2.0
    wide = (25.0, 50.0) if stripped else (70.0, 85.0)
    rim = np.array([(x, y) for x in (-wide[0], 0, wide[0]) for y in (-wide[1], 0, wide[1])])
    heights = np.arange(size[2])
    local = np.array([[(*((size[:2] - 1) / 2 * spacing[:2] + at), h * spacing[2]) for at in rim] for h in heights])
    mapped = truth.inverse().apply((local.reshape(-1, 3) @ turn.T) + origin).reshape(len(heights), -1, 3)
    kept = np.flatnonzero(mapped[..., 2].min(1) > lowest)
    origin = origin + turn @ np.array([0, 0, kept[0] * spacing[2]])
    size[2] = len(kept)
    geometry = Geometry(spacing, three(origin), nine(turn))
    # Some scanners frame their slices in black.
    trimmed = image.astype(np.float32)[:, 2:-2, 2:-2]
    corner = np.array(source.origin) + 2 * np.array(source.spacing) * (1, 1, 0)
    placed = replace(source, origin=three(corner))
    signal = averaged(Volume(trimmed, placed), truth, geometry, size, across)
    white = float(np.median(trimmed[trimmed > 0.3 * np.percentile(trimmed, 99)]))
    if not stripped:
        # Nor must the simulated field of view travel with the patient: what lies outside it is air like the rest.
        inside = averaged(Volume(np.ones_like(trimmed), placed), truth, geometry, size, across)
        air = np.concatenate([trimmed[:, :2].ravel(), trimmed[:, -2:].ravel()])
        signal = signal + (1 - inside) * rng.choice(air[air < np.percentile(air, 90)], signal.shape)
    z, y, x = (np.linspace(-1, 1, n) for n in signal.shape)
    a = rng.normal(0, 0.08, 6)
    bias = np.exp(
        a[0] * z[:, None, None] + a[1] * y[None, :, None] + a[2] * x[None, None] + a[3] * (z**2)[:, None, None]
        + a[4] * (y**2)[None, :, None] + a[5] * (x**2)[None, None]
    )  # fmt: skip
    level = white * rng.uniform(0.01, 0.05)
    grain = level * rng.standard_normal((2, *signal.shape))
    noisy = np.hypot(signal * bias + grain[0], grain[1])
    if stripped:
        noisy = noisy * (signal > 0.05 * white)
    return Volume(noisy.astype(np.float32), geometry)


def averaged(volume: Volume, truth: RigidTransform, geometry: Geometry, size: Ints, across: int) -> Floats:
    """Linear resampling onto a grid under a pose, each slice the mean of planes a millimetre apart at most."""
    planes = int(np.ceil(geometry.spacing[across]))
    step = np.array(geometry.direction).reshape(3, 3)[:, across] * geometry.spacing[across]
    inverse = truth.inverse().to_itk()
    total: Floats = np.zeros(size[::-1], np.float32)
    image = to_itk(volume)
    for plane in range(planes):
        origin = np.array(geometry.origin) + step * ((plane + 0.5) / planes - 0.5)
        seen = sitk.Resample(
            image, size.tolist(), inverse, sitk.sitkLinear, origin.tolist(), geometry.spacing, geometry.direction, 0.0
        )
        total += sitk.GetArrayFromImage(seen) / planes
    return total


def pairs(seed: int, index: int) -> Iterator[Pair]:
    """Three moving series of one patient onto one fixed one.

    Every other patient is stripped. Every fifth has one moving series of the other kind, whole to stripped.
    """
    rng = stream(seed, "benchmark.registration", index)
    stripped = bool(index % 2)
    patients = {kind: simulate(seed, index, PhantomConfig(slice_mm=1.0, skull=kind)) for kind in kinds(index)}
    patient = patients["stripped" if stripped else "whole"]
    source = patient.study.geometry
    assert source is not None
    points = patient_points(patient)
    centre = (points.min(0) + points.max(0)) / 2
    names = [str(name) for name in rng.permutation(list(GRIDS))]
    # Half of the studies have a fixed series of 1 mm, as today's protocols do; the others whatever comes.
    names.remove(fixed_grid := "1 mm" if index % 4 < 2 else names[0])
    contrasts = [str(name) for name in rng.permutation(MODALITIES)]
    image = patient.study.images[contrasts[0]]
    fixed = imaged(rng, image, source, still(centre), fixed_grid, centre, stripped=stripped, cover=1.0, tilt=8.0)
    for number, (contrast, grid) in enumerate(zip(contrasts[1:], names, strict=False)):
        truth = pose(rng, centre)
        if far := number == 2:  # the header of another frame of reference says nothing about the place
            truth = replace(truth, translation=three(np.array(truth.translation) + rng.uniform(-150, 150, 3)))
        other = stripped != (number == 0 and len(patients) > 1)
        kind = "stripped" if other else "whole"
        image, cover = patients[kind].study.images[contrast], 0.7 if number == 1 else 1.0
        moving = imaged(rng, image, source, truth, grid, centre, stripped=other, cover=cover, tilt=8.0)
        facts = {
            "patient": index, "fixed": f"{contrasts[0]}, {fixed_grid}, {'stripped' if stripped else 'whole'}",
            "moving": f"{contrast}, {grid}, {kind}", "cover": cover, "frame": "another" if far else "the same",
        }  # fmt: skip
        yield Pair(fixed, moving, truth, points, facts)


def kinds(index: int) -> tuple[Skull, ...]:
    """Of which kinds a patient's series are, the fixed one's first."""
    first: Skull = "stripped" if index % 2 else "whole"
    return (first, "whole" if index % 2 else "stripped") if index % 5 == 4 else (first,)


def still(centre: Floats) -> RigidTransform:
    """The transform that moves nothing."""
    return RigidTransform((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0), three(centre))


# What must fail ------------------------------------------------------------------------------------------------------


def noise(rng: np.random.Generator, volume: Volume) -> Volume:
    """No head, only the noise of magnitude images."""
    shape = volume.voxels.shape
    return replace(volume, voxels=np.hypot(rng.normal(0, 300, shape), rng.normal(0, 300, shape)).astype(np.float32))


def clouds(rng: np.random.Generator, volume: Volume) -> Volume:
    """Smooth random blobs of a gyrus' size."""
    assert volume.geometry is not None
    field = ndimage.gaussian_filter(
        rng.standard_normal(volume.voxels.shape), 8 / np.array(volume.geometry.spacing[::-1])
    )
    return replace(volume, voxels=np.maximum(field / field.max(), 0).astype(np.float32))


def blank(rng: np.random.Generator, volume: Volume) -> Volume:
    """Nothing."""
    return replace(volume, voxels=np.zeros_like(volume.voxels))


def upside_down(rng: np.random.Generator, volume: Volume) -> Volume:
    """Slices in the wrong order, as where a header's sign is wrong."""
    return replace(volume, voxels=np.ascontiguousarray(volume.voxels[::-1]))


def mirrored(rng: np.random.Generator, volume: Volume) -> Volume:
    """Left for right."""
    return replace(volume, voxels=np.ascontiguousarray(volume.voxels[:, :, ::-1]))


def shuffled(rng: np.random.Generator, volume: Volume) -> Volume:
    """Another body part: tissue of the same kind in another order, in blocks of 30 mm."""
    assert volume.geometry is not None
    side = np.maximum(1, np.rint(30 / np.array(volume.geometry.spacing[::-1]))).astype(int)
    count = np.array(volume.voxels.shape) // side
    z, y, x = side * count
    blocks = volume.voxels[:z, :y, :x].reshape(count[0], side[0], count[1], side[1], count[2], side[2])
    blocks = blocks.transpose(0, 2, 4, 1, 3, 5).reshape(-1, *side)
    mixed = blocks[rng.permutation(len(blocks))].reshape(*count, *side).transpose(0, 3, 1, 4, 2, 5)
    return replace(volume, voxels=np.ascontiguousarray(mixed.reshape(z, y, x)))


def slab(volume: Volume, low: float, high: float) -> Volume:
    """The slices between two shares of the stack."""
    assert volume.geometry is not None
    first, last = round(low * len(volume.voxels)), round(high * len(volume.voxels))
    step = np.array(volume.geometry.direction).reshape(3, 3)[:, 2] * volume.geometry.spacing[2]
    origin = three(np.array(volume.geometry.origin) + first * step)
    return Volume(np.ascontiguousarray(volume.voxels[first:last]), replace(volume.geometry, origin=origin))


SPOILERS: dict[str, Callable[[np.random.Generator, Volume], Volume]] = {
    "noise": noise,
    "clouds": clouds,
    "blank": blank,
    "upside down": upside_down,
    "mirrored": mirrored,
    "shuffled blocks": shuffled,
}


def failing(rng: np.random.Generator, pair: Pair, stranger: Volume) -> Iterator[tuple[str, Volume, Volume]]:
    """Pairs made from a good one that must not be trusted: their kind, fixed and moving."""
    for name, spoil in SPOILERS.items():
        yield name, pair.fixed, spoil(rng, pair.moving)
    yield "shuffled blocks", shuffled(rng, pair.fixed), pair.moving
    yield "slabs apart", slab(pair.fixed, 0.0, 0.4), slab(pair.moving, 0.65, 1.0)
    yield "slabs apart", slab(pair.fixed, 0.65, 1.0), slab(pair.moving, 0.0, 0.4)
    yield "another patient", pair.fixed, stranger


# Measuring -----------------------------------------------------------------------------------------------------------


def error(pair: Pair, found: RigidTransform) -> float:
    """Target registration error: mean distance in mm over the brain's voxels."""
    return float(np.linalg.norm(found.apply(pair.points) - pair.truth.apply(pair.points), axis=1).mean())


def timed(fixed: Volume, moving: Volume) -> tuple[Registered, float, float]:
    """A registration, its seconds, and its seconds of processor time."""
    start, busy = time.perf_counter(), time.process_time()
    result = register(fixed, moving)
    return result, time.perf_counter() - start, time.process_time() - busy


def spread(values: list[float]) -> dict[str, float]:
    """Least, 5th percentile, median, 95th percentile and most."""
    shares = {"least": 0, "p5": 5, "median": 50, "p95": 95, "most": 100}
    return {name: round(float(np.percentile(values, share)), 3) for name, share in shares.items()}


def measure(seed: int, patients: int) -> dict[str, Any]:
    """Everything, on so many patients of one seed."""
    good: list[dict[str, Any]] = []
    displaced: dict[int, list[float]] = {3: [], 4: [], 6: []}
    bad: dict[str, list[tuple[float, bool]]] = {}
    stranger: Volume | None = None
    for index in range(patients):
        rng = stream(seed, "benchmark.registration.failures", index)
        of_patient = list(pairs(seed, index))
        for pair in of_patient:
            result, wall, busy = timed(pair.fixed, pair.moving)
            figures = {"error_mm": error(pair, result.transform), "quality": result.quality, "s": wall, "busy_s": busy}
            start = error(pair, still(np.array(pair.truth.centre)))
            rounded = {name: round(value, 3) for name, value in figures.items()}
            said = {"agreed": result.agreed, "remark": result.remark}
            good.append({**pair.facts, "start_mm": round(start, 1), **rounded, **said})
            print(good[-1], file=sys.stderr, flush=True)
            for mm, qualities in displaced.items():
                moved = replace(pair.truth, translation=three(np.array(pair.truth.translation) + mm * unit(rng)))
                qualities.append(fitting_blocks(pair.fixed, pair.moving, moved)[0])
        pair = of_patient[index % 3]
        for name, fixed, moving in failing(rng, pair, stranger or next(pairs(seed, patients)).moving):
            result = register(fixed, moving)
            print(name, result.quality, result.remark, file=sys.stderr, flush=True)
            bad.setdefault(name, []).append((result.quality, result.agreed))
        stranger = pair.moving
    studies = [sum(row["busy_s"] for row in good[i : i + 3]) for i in range(0, len(good), 3)]
    worst = [row for row in good if row["error_mm"] > 2]
    return {
        "seed": seed,
        "patients": patients,
        "pairs": len(good),
        "limits": {"least_quality": LEAST_QUALITY, "most_apart_mm": MOST_APART},
        "start_mm": spread([row["start_mm"] for row in good]),
        "error_mm": spread([row["error_mm"] for row in good]),
        "study_processor_s": spread(studies),
        "study_wall_s": spread([sum(row["s"] for row in good[i : i + 3]) for i in range(0, len(good), 3)]),
        "quality_registered": spread([row["quality"] for row in good]),
        "quality_displaced": {f"{mm} mm": spread(values) for mm, values in displaced.items()},
        "displaced_noticed": {
            f"{mm} mm": round(float(np.mean([quality < LEAST_QUALITY for quality in values])), 3)
            for mm, values in displaced.items()
        },
        "good_flagged": sum(not row["agreed"] for row in good if row["error_mm"] <= 2),
        "beyond_2_mm": {"pairs": len(worst), "flagged": sum(not row["agreed"] for row in worst)},
        "must_fail": {
            name: {
                "pairs": len(rows), "flagged": sum(not agreed for _, agreed in rows),
                "most_quality": round(max(quality for quality, _ in rows), 3),
            }
            for name, rows in bad.items()
        },
        "each": good,
    }  # fmt: skip


def main() -> None:
    """Measure and save; with a seed and a number of patients, only show, as the limits were set."""
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    if len(sys.argv) > 2:
        shown = measure(int(sys.argv[1]), int(sys.argv[2]))
        del shown["each"]
        print(json.dumps(shown, indent=2))
    else:
        save("registration", measure(SEED, PATIENTS))


if __name__ == "__main__":
    main()
