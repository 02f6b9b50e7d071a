"""Several processes that train one network together, as `torchrun` starts them: same batches, same weights, less time.

Every process draws the whole batch and computes its own rows of it. Outputs are put together before the loss, which is
so that of the whole batch whatever it is (a Dice over the batch is no mean over slices), and gradients are added up. So
a step does what one process does, to rounding. That is not how DistributedDataParallel does it, whose mean of the
processes' losses is another loss here. Sums are taken in one order, so all processes have the same bits.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MethodType
from typing import Any

import torch
import torch.distributed as processes
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.modules.batchnorm import _BatchNorm

from synthoma.core.engines import follow
from synthoma.core.errors import ConfigError
from synthoma.core.whole_files import write_text
from synthoma.training.device import Execution, single_or_more, usable_cores

LOOK_EVERY = 0.05
"""Seconds between two looks for the others."""

MARK = ".torchrun"
"""In the folder of a run that is not finished: by which torchrun it was begun."""

PATIENCE = timedelta(minutes=30)
"""How long the others are waited for: reading a large cohort may take one of them longer."""


@dataclass(frozen=True)
class Team:
    """The processes of one training.

    Attributes:
        number: of this process, from 0; the first one writes the run.
        size: how many they are.
        near: how many of them share this computer.
    """

    number: int = 0
    size: int = 1
    near: int = 1

    def rows(self, batch: int) -> slice:
        """The rows of a batch that this process computes."""
        # Both ends are rounded alike: parts differ by one row at most, and no row is left out or computed twice.
        return slice(batch * self.number // self.size, batch * (self.number + 1) // self.size)

    def joined(self, outputs: Tensor, batch: int) -> Tensor:
        """Outputs (B, ...) of the whole batch, of which those of this process (b, ...) can be differentiated."""
        if self.size == 1:
            return outputs
        rows = self.rows(batch)
        whole = outputs.new_zeros(batch, *outputs.shape[1:])
        whole[rows] = outputs.detach()
        processes.all_reduce(whole)  # of every row all summands but one are 0: nothing is rounded
        joined = torch.cat([whole[: rows.start], outputs, whole[rows.stop :]])
        alike = outputs.ndim == 4 and outputs.is_contiguous(memory_format=torch.channels_last)
        return joined.contiguous(memory_format=torch.channels_last) if alike else joined

    def run(self, network: Callable[..., Tensor], images: Tensor, label: Tensor | None = None) -> Tensor:
        """Outputs (B, ...) of a network for a whole batch (B, ...), of which this process computes its rows.

        Args:
            network: (images, classes) -> outputs; one image's do not depend on others', but by batch norm.
            images: of the whole batch.
            label: classes (B,), or None where the network knows none.
        """
        rows = self.rows(len(images))
        return self.joined(network(images[rows], None if label is None else label[rows]), len(images))

    def mean(self, own: Tensor, batch: int) -> Tensor:
        """The mean over a batch of what this process knows the mean of over its own rows, which can be differentiated.

        Args:
            own: a scalar, mean over this process's rows.
            batch: rows of the whole batch.
        """
        if self.size == 1:
            return own
        rows = self.rows(batch)
        part = own * ((rows.stop - rows.start) / batch)
        whole = part.detach().clone()
        processes.all_reduce(whole)
        total: Tensor = part + (whole - part.detach())
        return total

    def execution(self, device: str, *, half: bool) -> Execution:
        """How each of the processes computes: measured together, they would wait for each other.

        Args:
            device: "cpu" or "cuda".
            half: the model bears half precision.
        """
        threads = max(1, usable_cores() // self.near)
        return Execution(device, threads, channels_last=True, bf16=half and device == "cuda")

    def add_gradients(self, network: nn.Module) -> None:
        """Give every process the sum of all processes' gradients."""
        if self.size == 1:
            return
        found = [weight.grad for weight in network.parameters() if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in found])
        processes.all_reduce(flat)
        at = 0
        for gradient in found:
            gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()

    def share_norms(self, network: nn.Module, batch: int) -> None:
        """Let batch norm take its mean and variance over the whole batch.

        Raises:
            ConfigError: more processes than slices in a batch.
        """
        if self.size == 1:
            return
        if batch < self.size:
            came = f"{self.size} processes for batches of {batch}"
            raise ConfigError("a slice of each batch for every process", came, "start fewer, or use larger batches")
        for part in network.modules():
            if isinstance(part, _BatchNorm):
                part.forward = MethodType(_norm_of_all, part)  # type: ignore[method-assign]


class _Sum(torch.autograd.Function):
    """The sum over all processes; backward, the sum of what they all want of it."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        processes.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *wanted: Tensor) -> Tensor:
        return _sum_of_all(wanted[0])  # which can be differentiated again: penalties on slopes do


def _sum_of_all(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total


def _norm_of_all(own: _BatchNorm, images: Tensor) -> Tensor:
    """Batch norm over the rows of all processes (Ioffe and Szegedy 2015); PyTorch's own for that knows GPUs alone.

    Args:
        own: the layer.
        images: this process's rows (b, C, ...).
    """
    if not own.training:
        return type(own).forward(own, images)
    values, over = single_or_more(images), [0, *range(2, images.ndim)]
    count = values.new_tensor(values.numel() / values.shape[1])
    processes.all_reduce(count)
    # In two passes, as one process does: the square of a mean taken off a mean of squares would lose digits. Backward,
    # this sum adds up what every process's rows want of mean and variance.
    mean = _sum_of_all(values.sum(over)) / count
    shape = [1, -1, *[1] * (images.ndim - 2)]
    centred = values - mean.view(shape)
    variance = _sum_of_all(centred.square().sum(over)) / count
    if own.track_running_stats and own.running_mean is not None and own.running_var is not None:
        with torch.no_grad():
            assert own.num_batches_tracked is not None
            own.num_batches_tracked.add_(1)
            share = 1 / float(own.num_batches_tracked) if own.momentum is None else own.momentum
            own.running_mean.lerp_(mean.detach(), share)
            own.running_var.lerp_(variance.detach() * count / (count - 1), share)
    normal = centred * torch.rsqrt(variance + own.eps).view(shape)
    if own.affine:
        normal = normal * own.weight.view(shape) + own.bias.view(shape)
    return normal.to(images.dtype)


def begun_here(run: Path, *, again: bool) -> bool:
    """Whether the run that lies there is the one that this call of torchrun began, before a process ended.

    Another run is none of ours: it is refused, or replaced, as at any first start. It loses its mark then, since who
    names the rendezvous names it the same again: the refused command would go on with it when torchrun starts it once
    more, whatever its settings are.

    Args:
        run: its folder.
        again: torchrun has started its processes before.
    """
    if not again:
        if "TORCHELASTIC_RUN_ID" in os.environ:
            with suppress(OSError):
                (run / MARK).unlink(missing_ok=True)
        return False
    try:
        return (run / MARK).read_text(encoding="utf-8") == _launch()
    except OSError:
        return False


def mark_begun(run: Path) -> None:
    """Leave in the run's folder by which torchrun it was begun; nothing where it was begun by none."""
    if team().size > 1:
        write_text(run / MARK, _launch())


def _launch() -> str:
    """What names one call of torchrun: its rendezvous, or where that has no name of its own, computer and process."""
    name = os.environ.get("TORCHELASTIC_RUN_ID") or "none"
    return f"{socket.gethostname()} {os.getppid()}" if name == "none" else name


_TEAM: ContextVar[Team | None] = ContextVar("team", default=None)


def team() -> Team:
    """The processes that train together here; one alone where nothing else was said."""
    return _TEAM.get() or Team()


def met(store: Store, number: int, size: int, patience: timedelta = PATIENCE) -> int:
    """Wait until all processes of this start are there; which start of theirs it is in this store, from 1.

    A store of torchrun outlives the processes that it starts again, and so do the addresses that they leave in it: who
    is there first would call those of the last start, who are dead. So nothing that lies in the store is believed but
    an answer to what a process itself has just said.

    Args:
        store: where they leave messages.
        number: of this process, from 0; the first one calls the others.
        size: how many they are.
        patience: how long the others are waited for.

    Raises:
        RuntimeError: they did not come.
    """
    if number == 0:
        start: int = store.add("synthoma/starts", 1)
        store.set("synthoma/start", str(start))
        for other in range(1, size):
            said = f"synthoma/{start}/{other}"
            store.wait([said], patience)
            store.set(f"{said}/heard", store.get(said).decode())
        return start
    word, until = uuid.uuid4().hex, time.monotonic() + patience.total_seconds()
    while time.monotonic() < until:
        store.wait(["synthoma/start"], patience)
        start = int(store.get("synthoma/start"))
        said = f"synthoma/{start}/{number}"
        store.set(said, word)
        if store.check([f"{said}/heard"]) and store.get(f"{said}/heard").decode() == word:
            return start
        time.sleep(LOOK_EVERY)
    raise RuntimeError("the first process did not answer")


@contextmanager
def teamed(run: Path, *, resume: bool, cuda: bool) -> Iterator[tuple[Path, bool]]:
    """Join the others that torchrun started.

    Args:
        run: folder of the run, which all processes can read.
        resume: whether it is there, and goes on.
        cuda: whether each computes on a GPU of its own.

    Yields:
        The run's folder, for all but the first process one that is thrown away at the end; and whether the run goes on:
        as asked for, or since torchrun has started its processes again, after one of them ended.

    Raises:
        ConfigError: the others cannot be joined.
    """
    if int(os.environ.get("WORLD_SIZE") or 1) == 1:
        yield run, resume or begun_here(run, again=_counted())
        return
    if "TORCHELASTIC_RUN_ID" in os.environ:
        follow(os.getppid())  # where torchrun itself is killed, nobody would end what it started
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    try:
        resume = _join(run, resume=resume, cuda=cuda)
    except (ValueError, RuntimeError) as error:
        todo = "start it with `torchrun --nproc-per-node K -m synthoma train ...`, or unset WORLD_SIZE"
        raise ConfigError("processes that find each other", str(error)[:120], todo) from None
    here = Team(processes.get_rank(), processes.get_world_size(), int(os.environ.get("LOCAL_WORLD_SIZE") or 1))
    before = _TEAM.set(here)
    aside = Path(tempfile.mkdtemp(prefix="synthoma-follower-")) if here.number else None
    place = run if aside is None else aside / "run"
    try:
        if aside is not None and resume:
            shutil.copytree(run, place)
        processes.barrier()  # the first one changes the folder only when all have read it
        yield place, resume
        processes.barrier()  # nobody says that it is done before the first one has written everything
    finally:
        _TEAM.reset(before)
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        processes.destroy_process_group()


def _join(run: Path, *, resume: bool, cuda: bool) -> bool:
    """Make the group of processes; whether their run goes on."""
    store, number, size = next(rendezvous("env://", timeout=PATIENCE))
    start = met(store, number, size)
    own = PrefixStore(f"synthoma/{start}", store)
    # The first one decides for all: torchrun counts starts for each computer apart, and others may not see the mark.
    if number == 0:
        own.set("goes on", str(int(resume or begun_here(run, again=start > 1 or _counted()))))
    goes_on: bool = own.get("goes on") == b"1"
    processes.init_process_group("nccl" if cuda else "gloo", store=own, rank=number, world_size=size, timeout=PATIENCE)
    return goes_on


def _counted() -> bool:
    """Whether torchrun counts this start as a further one."""
    return bool(int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0))
