"""Where and how to compute: the device, and on a CPU the threads and memory layout that are fastest there."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from synthoma.errors import ConfigError
from synthoma.provenance import write_json

TRIAL_STEPS = 4


@dataclass(frozen=True)
class Execution:
    """How steps are run.

    Attributes:
        device: "cpu" or "cuda".
        threads: CPU threads of one operation.
        channels_last: memory layout of images.
        bf16: compute in bfloat16 where that is safe.
    """

    device: str
    threads: int
    channels_last: bool
    bf16: bool

    def apply(self) -> None:
        """Set the number of threads of this process."""
        torch.set_num_threads(self.threads)

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout for ``Tensor.to``."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def choose_device(wanted: str) -> str:
    """'cuda' where it is wanted or there, else 'cpu'.

    Raises:
        ConfigError: CUDA is asked for and not there.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("a CUDA device", "none that PyTorch can use", "use --device auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def calibrate(device: str, name: str, trial: Callable[[Execution], None]) -> Execution:
    """The fastest way to run a step on this machine.

    The choice is kept in the user's cache: timing is noisy, and another number of threads may round differently, so
    a second run of the same command must not choose again.

    Args:
        device: "cpu" or "cuda".
        name: what is run (model, size, batch); part of the key under which the choice is kept.
        trial: runs one step as an Execution says.
    """
    if device == "cuda":
        return Execution("cuda", torch.get_num_threads(), channels_last=True, bf16=torch.cuda.is_bf16_supported())
    file = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synthoma" / "calibration.json"
    key = f"{name} | {platform.machine()} {os.cpu_count()} cores | torch {torch.__version__}"
    known = _read(file)
    if key in known:
        return Execution(**known[key])
    best = min(_candidates(), key=lambda execution: _seconds(execution, trial))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {**known, key: asdict(best)})
    except OSError:  # no place to remember: the next run measures again
        pass
    return best


def _candidates() -> list[Execution]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted({max(1, cores // 2), cores})
    return [Execution("cpu", threads, last, bf16=False) for threads in reversed(counts) for last in (False, True)]


def _seconds(execution: Execution, trial: Callable[[Execution], None]) -> float:
    execution.apply()
    trial(execution)  # the first step allocates
    times = []
    for _ in range(TRIAL_STEPS):
        start = time.perf_counter()
        trial(execution)
        times.append(time.perf_counter() - start)
    return min(times)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
