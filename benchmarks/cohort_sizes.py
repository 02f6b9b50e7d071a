"""What cohorts of 1,000 to 1,000,000 slices of 64 pixels cost: made, in shares, opened, walked through.

    python benchmarks/cohort_sizes.py --most 100000                    the table, as `scale.py` keeps it
    python benchmarks/cohort_sizes.py --most 1000000 --minutes 25      up to where time and disk (--gb) reach

Every stage runs in a process of its own, which says its processor seconds (children too), seconds and peak memory.
Two ways lead to a cohort: ``simulated`` patients, whose simulation is nearly all of the cost, and ``repeated``, slices
of one simulated patient under many names: the writing, the table, the split and the checksums of a cohort of any size
without the time that simulation takes. A size is left out, and named, where its stages would take longer than is left,
or more disk than is allowed.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from synthoma.cohorts.preparation import pack
from synthoma.cohorts.settings import PrepareConfig
from synthoma.cohorts.slicing import PreparedCase, prepare_case
from synthoma.core.fanned import FanoutConfig, fanned
from synthoma.core.outputs import new_folder
from synthoma.core.progress import silent
from synthoma.phantom.config import PhantomCohortConfig
from synthoma.phantom.patient import phantom_cases
from synthoma.scans.case import Case, Inventory

SIZES = (1_000, 10_000, 100_000, 1_000_000)
PHANTOM: dict[str, object] = {"slice_mm": 1.0, "pixel_mm": 4.0, "modalities": ("flair",)}
PATIENT = 160
"""Slices of one simulated patient at 1 mm, about."""
BYTES = 3 * 64 * 64 + 500
"""Of one slice: half-precision grey values, a mask, its row."""


def simulated(folder: Path, size: int) -> None:
    """Simulate patients into a cohort, in two processes."""
    synthoma.prepare_phantom(-(-size // PATIENT), folder, size=64, jobs=2, phantom=PHANTOM, progress=silent)


def shared(folder: Path, size: int) -> None:
    """The same in two shares, which the last command puts together."""
    parts = folder.with_suffix(".parts")
    for shard in ("1/2", "2/2"):
        with fanned(FanoutConfig(parts=parts, shard=shard)):
            simulated(folder, size)


def joined(folder: Path, size: int) -> None:
    """Put two shares together."""
    with fanned(FanoutConfig(parts=folder.with_suffix(".parts"))):
        simulated(folder, size)


@cache
def _one() -> PreparedCase:
    config = PhantomCohortConfig.resolve(flags={"size": 64, "phantom": PHANTOM})
    found = prepare_case(phantom_cases(1, 0, config.phantom)[0], config, ("flair",), 0)
    assert isinstance(found, PreparedCase)
    return found


def again(case: Case, _: PrepareConfig, __: tuple[str, ...], ___: int) -> PreparedCase:
    """The slices of one patient under the name of another."""
    one, names = _one(), {"case": case.name, "patient": case.patient, "source": case.name}
    return replace(one, records=[{**record, **names} for record in one.records])


def repeated(folder: Path, size: int) -> None:
    """Write a cohort of one patient's slices under many names, as ``prepare`` writes it."""
    config = PrepareConfig.resolve(flags={"size": 64, "jobs": 1, "duplicates": False})
    each = len(_one().images)
    first = phantom_cases(1, 0, PhantomCohortConfig.resolve(flags={"phantom": PHANTOM}).phantom)[0]
    cases = tuple(replace(first, name=f"case-{n:06d}", patient=f"patient-{n:06d}") for n in range(-(-size // each)))
    with new_folder(folder, force=False) as partial:
        pack(Inventory("phantom", cases), partial, config, source="repeated", prepare=again)


def opened(folder: Path, _: int) -> dict[str, float]:
    """Open it, then read its table: seconds of each, without those of loading Python's packages."""
    import pandas  # noqa: F401

    synthoma.Cohort.__init__  # noqa: B018  # the module behind it is loaded when it is first named
    start = time.perf_counter()
    cohort = synthoma.Cohort(folder)
    middle = time.perf_counter()
    len(cohort.slices)
    return {"open_s": round(middle - start, 3), "table_s": round(time.perf_counter() - middle, 2)}


def walked(folder: Path, _: int) -> dict[str, float]:
    """Walk through all slices: how many a processor second."""
    cohort, start, count = synthoma.Cohort(folder), time.process_time(), 0
    for _part, images, masks in cohort.batches():
        assert len(images) == len(masks)
        count += len(images)
    return {"slices": count, "slices_per_cpu_second": round(count / (time.process_time() - start))}


STAGES: dict[str, Callable[[Path, int], dict[str, float] | None]] = {
    stage.__name__: stage for stage in (simulated, shared, joined, repeated, opened, walked)
}


def stage(name: str, folder: Path, size: int) -> dict[str, float]:
    """Run a stage in a process of its own."""
    words = [sys.executable, __file__, "stage", name, str(folder), str(size)]
    told: dict[str, float] = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
    print(size, name, told, flush=True)
    return told


def run_stage(name: str, folder: str, size: str) -> None:
    """Run a stage here, and say what it cost."""
    start = time.perf_counter()
    said = STAGES[name](Path(folder), int(size)) or {}
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cost = {
        "cpu_s": round(sum(one.ru_utime + one.ru_stime for one in used), 1),
        "s": round(time.perf_counter() - start, 1),
        "peak_mb": round(used[0].ru_maxrss / 1000),
    }
    print(json.dumps({**said, **cost}))


def room(way: str, size: int) -> float:
    """GB of disk that a cohort takes, with its shares where it is made in shares."""
    return size * BYTES * (2 if way == "shared" else 1) / 1e9


def measure(place: Path, most: int, minutes: float, gigabytes: float) -> dict[str, Any]:
    """Costs by size of each way, what was left out and why, and the slope of log seconds on log slices."""
    begun, found = time.monotonic(), dict[str, Any]()
    for way in ("repeated", "simulated", "shared"):
        rows: list[dict[str, Any]] = []
        left_out: list[str] = []
        for size in (size for size in SIZES if size <= most):
            rate = rows[-1]["made"]["s"] / rows[-1]["slices"] if rows else 0.0
            left = 60 * minutes - (time.monotonic() - begun)
            if rate * size > left or room(way, size) > gigabytes:
                left_out.append(
                    f"{size:,} slices: some {rate * size / 60:.0f} minutes with {left / 60:.0f} left, "
                    f"{room(way, size):.1f} GB of {gigabytes:g}"
                )
                continue
            rows.append(_row(place, way, size))
        slices = np.log([float(row["slices"]) for row in rows])
        spent = np.log([float(row["made"]["cpu_s"]) for row in rows])
        slope = round(float(np.polyfit(slices, spent, 1)[0]), 2) if len(rows) > 1 else None
        found[way] = {"sizes": rows, "slope_of_made": slope, "left_out": left_out}
    return found


def _row(place: Path, way: str, size: int) -> dict[str, Any]:
    folder = place / f"{way}-{size}"
    row: dict[str, Any] = {"made": stage(way, folder, size)}
    if way == "shared":
        row["joined"] = stage("joined", folder, size)
        row["parts_gb"] = _gigabytes(folder.with_suffix(".parts"))
    row.update(opened=stage("opened", folder, size), walked=stage("walked", folder, size), gb=_gigabytes(folder))
    for used in (folder, folder.with_suffix(".parts")):
        shutil.rmtree(used, ignore_errors=True)
    return {"slices": int(row["walked"]["slices"]), **row}


def _gigabytes(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9, 3)


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=100_000, help="largest cohort, in slices")
    parser.add_argument("--minutes", type=float, default=25.0, help="for all of it")
    parser.add_argument("--gb", type=float, default=20.0, help="of disk at once")
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="synthoma-sizes-"))
    try:
        print(json.dumps(measure(place, asked.most, asked.minutes, asked.gb), indent=2))
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    run_stage(*sys.argv[2:]) if sys.argv[1:2] == ["stage"] else main()
