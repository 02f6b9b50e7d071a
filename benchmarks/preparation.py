"""Speed of `prepare` on real scans, and memory of walking through a cohort of 200,000 slices."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from record import data_folder, earlier, save, seconds
from synthoma.cohorts.cohort import CohortWriter

SYNTHOMA = [sys.executable, "-c", "from synthoma.commands.app import main; main()"]
WALK = """
import re, sys, time
from synthoma.cohorts.cohort import Cohort
start = time.perf_counter()
cohort = Cohort(sys.argv[1])
splits = cohort.slices.groupby("split").size()
total = sum(float(images.mean()) * len(images) for _, images, _ in cohort.batches(1024))
# Not ru_maxrss: across fork and exec it remembers the parent's peak.
resident = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
print(len(cohort), resident, time.perf_counter() - start)
"""


def prepare(source: Path, folder: Path, *options: str) -> None:
    """One `synthoma prepare`, as a whole process."""
    words = ["prepare", str(source), "-o", str(folder / "cohort"), "--force", *options]
    subprocess.run([*SYNTHOMA, *words], check=True, capture_output=True)


def large_cohort(folder: Path, count: int = 200_000, size: int = 64) -> None:
    """A cohort of random slices, written block by block."""
    block = np.random.default_rng(0).random((10_000, 1, size, size)).astype(np.float16)
    masks = (block[:, 0] > 0.9).astype(np.uint8)
    with CohortWriter(folder, channels=1, size=size) as writer:
        for start in range(0, count, len(block)):
            names = range(start, start + len(block))
            records = [
                {"case": f"case-{i // 40}", "patient": f"case-{i // 40}", "group": f"case-{i // 40}", "slice": i % 40,
                 "split": "train", "label": "tumour", "source": f"case-{i // 40}", "tumour_pixels": 400}
                for i in names
            ]  # fmt: skip
            writer.add(block, masks, records)
        meta = {"origin": "phantom", "modalities": ["flair"], "labels": {"1": "tumour"}, "classes": ["tumour"]}
        writer.finish(pd.DataFrame(writer.records), {**meta, "size": size})


def walk(folder: Path) -> dict[str, float]:
    """Open and walk through 200,000 slices in a process of its own."""
    (folder / "large").mkdir()
    large_cohort(folder / "large")
    done = subprocess.run([sys.executable, "-c", WALK, str(folder / "large")], check=True, capture_output=True)
    count, resident, taken = done.stdout.split()
    return {"slices": int(count), "size": 64, "resident_mb": int(resident), "s": round(float(taken), 1)}


def main() -> None:
    """Measure everything, or what is named on the command line; other figures of an earlier run are kept."""
    scans = data_folder()
    work: dict[str, Callable[[Path], object]] = {
        "help_s": lambda _: seconds(lambda: subprocess.run([*SYNTHOMA, "--help"], check=True, capture_output=True), 5),
        "lgg_1372_slices_128px_s": lambda folder: seconds(lambda: prepare(scans / "lgg", folder)),
        "lgg_without_duplicate_search_s": lambda folder: seconds(
            lambda: prepare(scans / "lgg", folder, "--no-duplicates")
        ),
        "walk": walk,
    }
    for name in ("kaggle253", "types", "brats18", "brats2"):
        work[f"{name}_128px_s"] = lambda folder, name=name: seconds(lambda: prepare(scans / name, folder), 1)
    with tempfile.TemporaryDirectory() as place:
        wanted = sys.argv[1:] or list(work)
        results = {name: work[name](Path(place)) for name in wanted}
    save("preparation", {**(earlier("preparation") if sys.argv[1:] else {}), **results})


if __name__ == "__main__":
    main()
