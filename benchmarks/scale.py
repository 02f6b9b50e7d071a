"""What spreading work costs and gains, and what cohorts of 1,000 to 1,000,000 slices cost.

    python benchmarks/scale.py                 everything, about an hour on two quiet cores
    python benchmarks/scale.py --quick         a few minutes: 1,000 jobs, cohorts of 1,000 slices

Each part is measured by itself: the fan-out with jobs that do nothing and jobs of a second, commands with one and two
processes, and the cost of a cohort (made, opened, walked through; ``cohort_sizes``) by its size, with the slope of the
fit of log seconds on log slices: 1 is proportional.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import synthoma
from cohort_sizes import measure
from record import save
from synthoma.core.fanned import FanoutConfig, fanned
from synthoma.core.fanout import spread
from synthoma.core.progress import silent
from synthoma.evaluation.useful.grid import Cell, run_cells
from synthoma.evaluation.useful.trainings import DetectorTest, Source, Stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small enough for a few minutes")
    parser.add_argument("--most", type=int, default=100_000, help="largest cohort, in slices")
    parser.add_argument("--minutes", type=float, default=25.0, help="for all cohorts")
    parser.add_argument("--gb", type=float, default=20.0, help="of disk at once")
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="synthoma-scale-"))
    try:
        results: dict[str, Any] = {
            "quick": asked.quick,
            "load_average_before": [round(load, 2) for load in os.getloadavg()],
            "overhead": overhead(1_000 if asked.quick else 10_000),
            "scaling": scaling(place, quick=asked.quick),
            "cohorts": measure(place, 1_000 if asked.quick else asked.most, asked.minutes, asked.gb),
            "load_average_after": [round(load, 2) for load in os.getloadavg()],
        }
    finally:
        shutil.rmtree(place, ignore_errors=True)
    save("scale_quick" if asked.quick else "scale", results)


def nothing(number: int) -> int:
    return number


def second(number: int) -> int:
    time.sleep(1.0)
    return number


def clocked(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(function: Callable[[int], int], count: int, jobs: int) -> None:
    with spread(function, ((number,) for number in range(count)), jobs) as found:
        assert list(found) == list(range(count))


def overhead(count: int) -> dict[str, float]:
    """Seconds of jobs that do nothing, and what a job of a second takes more than that."""
    run(nothing, 4, 2)  # workers start
    empty = clocked(lambda: run(nothing, count, 2))
    with fanned(FanoutConfig(job_seconds=60.0)):
        watched = clocked(lambda: run(nothing, count, 2))
    ten = clocked(lambda: run(second, 10, 2))
    return {
        "jobs": count,
        "nothing_s": round(empty, 2),
        "nothing_with_time_limit_s": round(watched, 2),
        "ten_jobs_of_a_second_on_two_workers_s": round(ten, 3),
        "overhead_of_a_second": round(ten / 5 - 1, 4),
    }


def scaling(place: Path, *, quick: bool) -> dict[str, dict[str, float]]:
    """Seconds of commands with one and two processes of one thread each; workers are there already."""
    patients = 6 if quick else 24
    simulated = synthoma.prepare_phantom(patients, place / "some", size=64, jobs=2, progress=silent)
    synthoma.export(simulated, place / "files", to="nifti")
    scans = place / "files"
    works: dict[str, Callable[[str, int], object]] = {
        "phantom": lambda name, jobs: synthoma.prepare_phantom(
            patients, place / name, size=64, jobs=jobs, progress=silent
        ),
        "prepare": lambda name, jobs: synthoma.prepare(scans, place / name, size=64, jobs=jobs, progress=silent),
        "detect": lambda name, jobs: synthoma.detect(scans, place / name, jobs=jobs, overlay=False, progress=silent),
        "cells": lambda name, jobs: run_cells(
            _cells(simulated, 4 if quick else 8), place / name, device="cpu", jobs=jobs, progress=lambda *_: None
        ),
    }
    found = {}
    for name, work in works.items():
        run(nothing, 4, 2)
        work(f"{name}-warm", 2)
        one, two = (clocked(partial(work, f"{name}-{jobs}", jobs)) for jobs in (1, 2))
        found[name] = {"one_s": round(one, 2), "two_s": round(two, 2), "gain": round(one / two, 2)}
    return found


def _cells(cohort: synthoma.Cohort, count: int) -> list[Cell]:
    rows = np.arange(len(cohort))
    source = Source(cohort, rows)
    test = DetectorTest(source, "outline", cohort.modalities, tuple(cohort.classes))
    return [Cell((Stage((source,), 20),), test, seed) for seed in range(count)]


if __name__ == "__main__":
    main()
