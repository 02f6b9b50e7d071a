"""Where and how to compute: the device, and on a CPU the threads and memory layout that are fastest there."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import torch
from torch import nn

from synthoma.core.artefacts import read_json, sealed, unsealed
from synthoma.core.errors import ConfigError, InputError, OutputError
from synthoma.core.provenance import bytes_digest
from synthoma.core.whole_files import write_json

TRIAL_STEPS = 4
# A file that asks for more was not written here: torch would try to start them.
MOST_THREADS = 4096


@dataclass(frozen=True)
class Execution:
    """How steps are run.

    Attributes:
        device: "cpu", "cuda" or "mps".
        threads: CPU threads of one operation.
        channels_last: memory layout of images.
        bf16: compute in bfloat16 where that is safe.
    """

    device: str
    threads: int
    channels_last: bool
    bf16: bool

    def apply(self) -> None:
        """Set the number of threads of this process, and let CUDA add up in one order only."""
        torch.set_num_threads(self.threads)
        # `benchmark` times algorithms and may choose another one at the next run, which rounds differently.
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout for ``Tensor.to``."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def in_double(network: nn.Module) -> None:
    """Let a network compute in double precision, whatever it is given."""

    def widened(_: nn.Module, given: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(
            one.double() if isinstance(one, torch.Tensor) and one.is_floating_point() else one for one in given
        )

    network.double().register_forward_pre_hook(widened)


def single_or_more(values: torch.Tensor) -> torch.Tensor:
    """Values in single precision, and in double where they are in double already."""
    return values if values.dtype == torch.float64 else values.float()


def calibrate(device: str, name: str, trial: Callable[[Execution], None], *, bf16: bool = False) -> Execution:
    """The fastest way to run a step on this machine.

    The choice is kept in the user's cache: timing is noisy, and another number of threads may round differently, so
    a second run of the same command must not choose again.

    Args:
        device: "cpu", "cuda" or "mps".
        name: what is run (model, size, batch); part of the key under which the choice is kept.
        trial: runs one step as an Execution says.
        bf16: the model bears half precision: taken on a GPU that computes with it, tried on such a CPU.
    """
    if device == "cuda":
        half = bf16 and torch.cuda.is_bf16_supported()
        return Execution("cuda", torch.get_num_threads(), channels_last=True, bf16=half)
    if device == "mps":
        return Execution("mps", torch.get_num_threads(), channels_last=False, bf16=False)
    # On another machine, or with another torch, something else may be quicker.
    key = f"{name} | {platform.machine()} {usable_cores()} cores | torch {torch.__version__} | bf16 {bf16}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synthoma" / "calibration"
    file = cache / f"{bytes_digest(key.encode())[:16]}.json"
    with suppress(InputError):  # a cache may be lost
        if known := read_execution(file):
            return known
    candidates = _candidates(bf16=bf16 and fast_bf16())
    best = min(candidates, key=lambda execution: _seconds(execution, trial))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, sealed({"for": key, **asdict(best)}))
    except (OSError, OutputError):  # no place to remember: the next run measures again
        pass
    return best


def _candidates(*, bf16: bool) -> list[Execution]:
    cores = usable_cores()
    counts = sorted({max(1, cores // 2), cores})
    plain = [Execution("cpu", threads, last, bf16=False) for threads in reversed(counts) for last in (False, True)]
    return [*plain, *(Execution("cpu", threads, True, True) for threads in reversed(counts))] if bf16 else plain


def _seconds(execution: Execution, trial: Callable[[Execution], None]) -> float:
    execution.apply()
    trial(execution)  # the first step allocates
    times = []
    for _ in range(TRIAL_STEPS):
        start = time.perf_counter()
        trial(execution)
        times.append(time.perf_counter() - start)
    # Whatever else runs only adds time: the least is nearest to the truth.
    return min(times)


def read_execution(file: Path) -> Execution | None:
    """What was written down before; None where nothing was.

    Raises:
        InputError: it is damaged. Another choice would round differently, so none is made in its place.
    """
    if not file.exists():
        return None
    content = unsealed(read_json(file), file)
    device, threads = content.get("device"), content.get("threads")
    channels_last, bf16 = content.get("channels_last"), content.get("bf16")
    named = isinstance(device, str) and isinstance(channels_last, bool) and isinstance(bf16, bool)
    if named and type(threads) is int and 0 < threads <= MOST_THREADS:  # True is an int, too
        return Execution(str(device), threads, bool(channels_last), bool(bf16))
    raise InputError(f"device, threads and layout in {file.name}", f"something else in {file}", "begin another run")


def choose_device(wanted: str) -> str:
    """The device that is asked for; of "auto", CUDA where it is there, else the processor.

    Apple's GPUs ("mps") are taken where they are asked for, and not of our own accord: nobody has measured whether
    results there are those of the processor.

    Raises:
        ConfigError: the device that is asked for is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return "cuda" if there["cuda"] else "cpu"
    if not there[wanted]:
        raise ConfigError(f"a device {wanted}", "none that PyTorch can use", "use --device auto")
    return wanted


def usable_cores() -> int:
    """Cores that this process may use, which a scheduler or a container may have limited."""
    return int(joblib.cpu_count())


def fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere it is slower than float32.

    With it, unet-25d takes about half the time on one thread (3.3 instead of 6.1 ms a slice of 128 pixels).
    """
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in known)
