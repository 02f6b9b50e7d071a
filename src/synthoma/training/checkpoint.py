"""Saving everything that the next step depends on, so that a killed run goes on to the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from synthoma.core.errors import InputError
from synthoma.core.records import Number, Record
from synthoma.training.bundle import CHECKPOINT, Bundle, load_tensors, save_tensors

FOLDER = "checkpoint"


class CheckpointMeta(Record, extra="allow"):
    """How far a training was when its state was saved: what a checkpoint says beside its tensors."""

    step: int = Field(0, description="steps done")
    images: int = Field(0, description="images shown")
    seconds: float = Field(0.0, description="time spent, with that before the run was resumed")
    best: Number = Field(description="lowest score so far; None where there was none")
    best_resampled: tuple[float, ...] = Field((), description="scores of that snapshot on resampled held-out patients")
    best_images: int = Field(0, description="images after which the snapshot came that is kept")
    stale: int = Field(0, description="snapshots since the score was last lowered")
    events: tuple[str, ...] = Field((), description="what was said to the user so far")
    ended: bool = Field(False, description="the model itself has said that the training is to end here")


def network_state(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers as "<prefix>.<name>"."""
    return {f"{prefix}.{name}": value for name, value in network.state_dict().items()}


def optimiser_state(prefix: str, optimiser: Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments and step counts as "<prefix>.<parameter number>.<name>"."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}.{number}.{name}": torch.as_tensor(value)
        for number, moments in state.items()
        for name, value in moments.items()
    }


def restore_optimiser(prefix: str, optimiser: Optimizer, bundle: Bundle) -> None:
    """Put moments back that ``optimiser_state`` took, in the memory layout of their parameters."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in bundle.weights(prefix).items():
        number, moment = name.split(".", 1)
        parameter = parameters[int(number)]
        # The file holds them contiguous. A fused step walks through memory: moments in another layout than their
        # weights would be taken for those of other weights.
        laid_out = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
        state.setdefault(int(number), {})[moment] = laid_out
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def save_checkpoint(run: Path, tensors: dict[str, Tensor], meta: Mapping[str, object], keep: int) -> Path:
    """Write ``checkpoint/step-N.safetensors`` and keep it and the ``keep`` - 1 before it; N is ``meta["step"]``.

    Checkpoints of later steps are removed too: they were passed over on resuming, and belong to no run now.

    Raises:
        OutputError: the disk is full; older checkpoints are untouched.
    """
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    # Names of one length sort as their numbers do.
    path = folder / f"step-{meta['step']:09d}.safetensors"
    save_tensors(path, tensors, {"schema": CHECKPOINT, **meta})
    # Newer ones than this are left from before the run went on.
    kept = [old for old in _all(run) if old <= path][-keep:]
    for other in set(_all(run)) - set(kept):
        other.unlink()
    return path


def latest_checkpoint(run: Path) -> Bundle | None:
    """The newest checkpoint that is whole; None where there is none. A damaged one is passed over.

    Raises:
        InputError: all of them are damaged. To begin again in silence would not be what was asked for.
    """
    damaged: InputError | None = None
    for path in reversed(_all(run)):
        try:
            return load_tensors(path)
        except InputError as error:
            damaged = damaged or error
    if damaged is not None:
        todo = f"delete {run / FOLDER} to begin again from the first step, or restore it from a copy"
        raise InputError("a checkpoint that is whole", damaged.came, todo)
    return None


def verify_checkpoints(run: Path) -> list[str]:
    """What is wrong with the checkpoints of a run, a line each."""
    found = []
    for path in _all(run):
        try:
            load_tensors(path)
        except InputError as error:
            found.append(str(error))
    return found


def _all(run: Path) -> list[Path]:
    return sorted((run / FOLDER).glob("step-*.safetensors"))
