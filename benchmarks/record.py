"""What every benchmark shares: the hardware's name, a fair clock, and the file that results are written to."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def data_folder() -> Path:
    """Folder of real scans: $SYNTHOMA_TEST_DATA, or shared/data beside the checkout."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SYNTHOMA_TEST_DATA", default))
    if not folder.is_dir():
        raise SystemExit("expected a folder of real scans; came none; set SYNTHOMA_TEST_DATA")
    return folder


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and Python of this machine."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory[0] / 2**20, 1) if memory else None,
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def seconds(work: Callable[[], object], runs: int = 3) -> dict[str, float]:
    """Wall-clock seconds of ``work``: least, median and most of ``runs``."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return {"min": round(min(times), 2), "median": round(statistics.median(times), 2), "max": round(max(times), 2)}


def earlier(name: str) -> dict[str, Any]:
    """Figures that an earlier run of this benchmark wrote; empty where there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def save(name: str, results: dict[str, Any]) -> None:
    """Write ``results/NAME.json`` with the hardware's name beside the figures, and show it."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({**results, "hardware": hardware()}, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    print(text)
