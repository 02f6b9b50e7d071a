"""The one training loop. It counts images, watches the budget, logs, scores and saves; it does not know its model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from synthoma.core.seeding import stream_key
from synthoma.training.bundle import Bundle, fitting
from synthoma.training.checkpoint import CheckpointMeta, latest_checkpoint, save_checkpoint
from synthoma.training.log import FILE, Log, LogEntry

LOG_SECONDS = 1.0
BY_CHANCE = 1.645
"""Standard errors that a difference without meaning exceeds in 5 % of the cases, in one direction."""


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        step, images: what has been done.
        seconds: time spent in this process and before it was resumed.
        best: lowest snapshot score so far.
        best_resampled: scores of that snapshot on resampled held-out patients.
        best_images: images after which the snapshot came that is kept.
        stale: snapshots since the score was last lowered, or ever if there was none.
        events: what was said to the user so far: warnings, and why it stopped early.
        ended: whether the model itself has said that it is to end here.
    """

    step: int = 0
    images: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_resampled: list[float] = field(default_factory=list)
    best_images: int = 0
    stale: int = 0
    events: list[str] = field(default_factory=list)
    ended: bool = False

    def take(self, snapshot: Snapshot) -> bool:
        """Count a snapshot, and say whether its model is to be kept as the best."""
        self.stale += 1  # unless it turns out to be better: neither an equal score nor none (nan) is that
        if math.isfinite(snapshot.score) and snapshot.score <= self.best:
            self.stale = self.stale if snapshot.score == self.best else 0
            self.best, self.best_resampled = snapshot.score, list(snapshot.resampled)
        # Of equals the later one, which has learned for longer; with nothing to score on, the newest.
        unscored = math.isinf(self.best) and not snapshot.fatal
        if not unscored and not snapshot.as_good_as(self.best, self.best_resampled):
            return False
        self.best_images = self.images
        return True


@dataclass(frozen=True)
class Snapshot:
    """What a task says of itself at a snapshot.

    Attributes:
        score: to be made small; nan where there is nothing to score on.
        values: further figures for the log.
        warnings: what goes wrong, in plain words, with what to try.
        fatal: training cannot go on.
        resampled: scores on resampled held-out patients, the same ones at each snapshot; empty where there are none.
        ended: why the training is to end here, though nothing is wrong; empty where it goes on.
    """

    score: float
    values: dict[str, float]
    warnings: list[str]
    fatal: bool = False
    resampled: Sequence[float] = ()
    ended: str = ""

    def as_good_as(self, score: float, resampled: Sequence[float]) -> bool:
        """Whether this score is lower than that of another snapshot, or above it by chance.

        By chance is by less than ``BY_CHANCE`` standard errors: those of the difference between both snapshots, over
        the held-out patients.
        """
        behind = self.score - score
        if behind <= 0 or len(self.resampled) < 2 or len(self.resampled) != len(resampled):
            return behind <= 0
        # Both were scored on the same draws of patients, so their difference has less error than either score.
        return behind <= BY_CHANCE * float(np.std(np.subtract(self.resampled, resampled), ddof=1))


class Task(Protocol):
    """A model in training, as the loop sees it."""

    batch: int

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        """Train on batch number ``step`` and give its losses as scalars, not yet waited for.

        ``share`` of the budget is spent, 0..1, for what changes in the course of a training.
        """

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        """Score the present model and write its sample sheet."""

    def keep_best(self) -> None:
        """Remember the present model as the best one."""

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""

    def restore(self, bundle: Bundle) -> None:
        """Put a state back."""


@dataclass(frozen=True)
class Budget:
    """When a training ends, and how often it is scored on the way.

    Attributes:
        images, minutes: one of them limits it.
        snapshots: how often it is scored.
        patience: see ``TrainingConfig``.
        epoch: training slices, which make one epoch; None where epochs are not counted.
    """

    images: int | None
    minutes: float | None
    snapshots: int
    patience: int = 0
    epoch: int | None = None

    def epochs(self, progress: Progress) -> dict[str, float]:
        """How often each training slice has been shown, for the log."""
        return {"epochs": progress.images / self.epoch} if self.epoch else {}

    def share(self, progress: Progress) -> float:
        """Part of the budget that is spent, 0..1 and above."""
        if self.images is not None:
            return progress.images / self.images
        return progress.seconds / (60 * self.minutes) if self.minutes else 1.0

    def snapshots_due(self, progress: Progress) -> float:
        """How many snapshots the part that is spent is worth."""
        return self.share(progress) * self.snapshots

    def next_snapshot(self, progress: Progress) -> int:
        """Number of the first snapshot that is not due yet."""
        # A share that should be a whole number of snapshots may be off by a rounding error below it.
        return math.floor(self.snapshots_due(progress) + 1e-9) + 1

    def lost_patience(self, progress: Progress) -> bool:
        """Whether too many snapshots went by without a better score: with an equal or a worse one, or with none."""
        return bool(self.patience) and progress.stale >= self.patience


def spent_since(begun: float | None, minutes: float | None) -> float:
    """Seconds of a budget in minutes that are gone before the first step: planning, simulated patients.

    At most half of it: something must be left to learn in, however slowly patients were simulated.

    Args:
        begun: when the command began, on the clock of ``time.perf_counter``; None where nobody says.
        minutes: the budget; None where it is none of time.
    """
    # 30 seconds are half of each minute.
    return 0.0 if begun is None or minutes is None else min(time.perf_counter() - begun, 30 * minutes)


Report = Callable[[Progress, float, dict[str, float]], None]
"""Called about once a second with the progress, the share of the budget, and mean recent losses and images/s."""


def run_loop(
    task: Task, budget: Budget, run: Path, *, seed: int, keep: int, report: Report, resume: bool, spent: float = 0.0
) -> Progress:
    """Train until the budget is spent, patience ends, or the task says that it cannot go on.

    Each step seeds PyTorch's global generator from (seed, step), so dropout and the like are functions of the step too,
    and a run that was killed and resumed does what the uninterrupted one did.

    Args:
        task: the model and its data.
        budget: images or minutes.
        run: folder for log.jsonl and checkpoint/.
        seed: of all draws.
        keep: number of checkpoints kept.
        report: told how far it is.
        resume: go on from the newest checkpoint.
        spent: seconds that went by before, where there is no checkpoint.

    Returns:
        How far it came.
    """
    progress = (_resumed(task, run) if resume else None) or Progress(seconds=spent)
    log = Log(run / FILE, progress.step)
    next_snapshot = budget.next_snapshot(progress)
    meter = _Meter(progress)
    try:
        # Asked before the first step too: a run that has ended does not go on where it is resumed.
        while budget.share(progress) < 1 and not budget.lost_patience(progress) and not progress.ended:
            # One step.
            # Keys have 128 bits, and torch takes seeds of 64.
            torch.manual_seed(stream_key(seed, "training.step", progress.step) % 2**63)
            meter.add(task.step(progress.step, min(budget.share(progress), 1.0)))
            progress.step += 1
            progress.images += task.batch
            if budget.snapshots_due(progress) < next_snapshot and not meter.due():
                continue
            # About once a second: wait for the losses, write them down, tell the user.
            recent = meter.flush(progress)
            done = {"step": progress.step, "images": progress.images, **budget.epochs(progress)}
            log.write(LogEntry.model_validate({**done, **recent}))
            report(progress, budget.share(progress), recent)
            broken = any(not math.isfinite(value) for value in recent.values())
            # Waiting for the device took time: where minutes are the budget, a snapshot may be due only now.
            if budget.snapshots_due(progress) < next_snapshot and not broken:
                continue
            # A tenth of the budget or so: score, keep the best, save.
            # Losses of a GAN do not tell how good its images are (decision 0004).
            snapshot = task.snapshot(progress, recent)
            if progress.take(snapshot):
                task.keep_best()
            news = _news(progress, snapshot, budget)
            _log_snapshot(log, progress, budget, snapshot, news)
            if news:
                report(progress, budget.share(progress), recent)
            if snapshot.fatal:
                break
            # After the log: lines of later steps are dropped on resuming, one that is missing would be so for good.
            save_checkpoint(run, task.state(), _checkpoint(progress), keep)
            meter.tick(progress)  # scoring and saving cost time, but are not what images/s measures
            # Asked anew and not one more: a slow step may have passed several.
            next_snapshot = budget.next_snapshot(progress)
    finally:
        log.close()
    return progress


def _resumed(task: Task, run: Path) -> Progress | None:
    """Put the task back to the newest checkpoint; how far it was then, or None where nothing was saved."""
    if (bundle := latest_checkpoint(run)) is None:
        return None
    with fitting("a checkpoint"):
        task.restore(bundle)
        saved = CheckpointMeta.model_validate(bundle.content)
        return Progress(
            step=saved.step,
            images=saved.images,
            seconds=saved.seconds,
            # JSON has no infinity: None stands for it.
            best=math.inf if saved.best is None else saved.best,
            best_resampled=list(saved.best_resampled),
            best_images=saved.best_images,
            stale=saved.stale,
            events=list(saved.events),
            ended=saved.ended,
        )


def _checkpoint(progress: Progress) -> dict[str, object]:
    """What a checkpoint says beside the tensors; see ``CheckpointMeta``."""
    content = {**asdict(progress), "best": progress.best if math.isfinite(progress.best) else None}
    return content if progress.ended else {name: value for name, value in content.items() if name != "ended"}


def _news(progress: Progress, snapshot: Snapshot, budget: Budget) -> list[str]:
    """What is to be said after a snapshot and was not said before; from now on it was."""
    news = [text for text in snapshot.warnings if text not in progress.events]
    if budget.lost_patience(progress) and budget.share(progress) < 1 and not snapshot.fatal:
        news.append(_stopped(progress))
    if snapshot.ended and budget.share(progress) < 1:
        news.append(snapshot.ended)
        progress.ended = True
    progress.events += news
    return news


def _log_snapshot(log: Log, progress: Progress, budget: Budget, snapshot: Snapshot, news: list[str]) -> None:
    done = {"step": progress.step, "images": progress.images, **budget.epochs(progress), "seconds": progress.seconds}
    log.write(LogEntry.model_validate({**done, "score": snapshot.score, **snapshot.values}))
    for text in news:
        log.write(LogEntry(step=progress.step, warning=text))


def _stopped(progress: Progress) -> str:
    """Why a run ends before its budget is spent."""
    count = f"{progress.stale} snapshot{'s' if progress.stale > 1 else ''}"
    if math.isinf(progress.best):
        return f"Stopped early (--patience): {count} without any score, since there is nothing to score on."
    return f"Stopped early (--patience): no better score in {count}."


class _Meter:
    """Sums losses without waiting for the device, and keeps the time."""

    def __init__(self, progress: Progress) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps, self.images, self.last = 0, progress.images, time.perf_counter()

    def add(self, losses: dict[str, Tensor]) -> None:
        """Take the losses of one step."""
        for name, value in losses.items():
            # Summed where they are, since asking a GPU for a number at each step would make it wait.
            self.sums[name] = self.sums[name] + value.detach() if name in self.sums else value.detach()
        self.steps += 1

    def due(self) -> bool:
        """Whether about a second has passed."""
        return time.perf_counter() - self.last >= LOG_SECONDS

    def flush(self, progress: Progress) -> dict[str, float]:
        """Mean losses since the last time, and the speed."""
        recent = {name: float(value) / self.steps for name, value in self.sums.items()}
        shown = progress.images - self.images
        recent["images_per_second"] = shown / max(self.tick(progress), 1e-9)
        self.sums, self.steps = {}, 0
        return recent

    def tick(self, progress: Progress) -> float:
        """Add the time since the last tick to the progress, and give it."""
        now = time.perf_counter()
        elapsed, self.last, self.images = now - self.last, now, progress.images
        progress.seconds += elapsed
        return elapsed
