from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from synthoma.training import loop
from synthoma.training.checkpoint import latest_checkpoint, save_checkpoint
from synthoma.training.loop import Budget, Progress, Snapshot, run_loop
from tests.toys import unheard


class Walk:
    """A task whose weight is a random walk, and whose scores are given."""

    batch = 10

    def __init__(
        self,
        scores: Iterator[float] | None = None,
        losses: Callable[[int], float] = lambda step: 1.0,
        resampled: Iterator[tuple[float, ...]] | None = None,
    ) -> None:
        self.weight, self.best = torch.zeros(3), torch.zeros(3)
        self.scores, self.losses, self.resampled = scores, losses, resampled
        self.snapshots: list[int] = []
        self.warnings: list[str] = []

    def step(self, step: int, share: float) -> dict[str, Tensor]:
        self.weight += torch.rand(3)  # from the global generator, as dropout draws
        return {"d_loss": torch.tensor(self.losses(step))}

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        self.snapshots.append(progress.images)
        if not math.isfinite(recent["d_loss"]):
            return Snapshot(math.nan, {}, ["broken"], fatal=True)
        score = next(self.scores) if self.scores else 1.0
        resampled = next(self.resampled) if self.resampled else ()
        return Snapshot(score, {"variety": 1.0}, list(self.warnings), resampled=resampled)

    def keep_best(self) -> None:
        self.best = self.weight.clone()

    def state(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "best": self.best}

    def restore(self, bundle: Any) -> None:
        self.weight, self.best = bundle.tensors["weight"].clone(), bundle.tensors["best"].clone()


def run(task: Walk, folder: Path, images: int = 400, **settings: Any) -> Progress:
    options = {"seed": 3, "keep": 2, "report": unheard, "resume": False}
    chosen = {name: settings.pop(name) for name in list(settings) if name in options}
    budget = Budget(images, None, settings.pop("snapshots", 4), **settings)
    return run_loop(task, budget, folder, **{**options, **chosen})


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


class KilledError(BaseException):
    """Stands for a signal."""


def test_the_budget_is_counted_in_images_and_the_end_is_scored(tmp_path: Path) -> None:
    task = Walk()
    progress = run(task, tmp_path, images=395)
    assert (progress.step, progress.images) == (40, 400)
    assert task.snapshots == [100, 200, 300, 400]
    assert [entry["step"] for entry in entries(tmp_path) if "score" in entry] == [10, 20, 30, 40]


def test_more_snapshots_than_steps_score_every_step(tmp_path: Path) -> None:
    task = Walk()
    run(task, tmp_path, images=30, snapshots=100)
    assert task.snapshots == [10, 20, 30]


def test_the_best_snapshot_is_the_one_with_the_least_score(tmp_path: Path) -> None:
    task = Walk(iter([5.0, 2.0, 3.0, 2.5]))
    kept: list[Tensor] = []
    keep = task.keep_best
    task.keep_best = lambda: (keep(), kept.append(task.weight.clone()))[0]  # type: ignore[method-assign]
    progress = run(task, tmp_path)
    assert (progress.best, progress.best_images, progress.stale) == (2.0, 200, 2)
    assert len(kept) == 2
    assert torch.equal(task.best, kept[-1])


def test_a_later_snapshot_is_kept_unless_it_is_worse_than_the_best_by_more_than_chance(tmp_path: Path) -> None:
    """Chance is 1.645 times the standard error of the difference, here between the same two draws of patients."""
    best, near, far = (1.9, 2.1), (1.88, 2.28), (1.96, 2.36)  # differences -.02, .18 and .06, .26: both errors .141
    task = Walk(iter([2.0, 2.23, 2.24, 2.23]), resampled=iter([best, near, far, near]))
    progress = run(task, tmp_path)
    assert (progress.best, progress.best_images, progress.stale) == (2.0, 400, 3)
    # Within chance of the one before, but not of the best; also after a checkpoint.
    (tmp_path / "other").mkdir()
    run(Walk(iter([2.0, 2.23]), resampled=iter([best, near])), tmp_path / "other", images=200, snapshots=2)
    task = Walk(iter([2.24, 2.24]), resampled=iter([far, (1.88, 2.4)]))
    progress = run(task, tmp_path / "other", resume=True)
    assert (progress.best, progress.best_images) == (2.0, 400)
    assert progress.best_resampled == list(best)


def test_patience_ends_a_run_and_a_resumed_one(tmp_path: Path) -> None:
    task = Walk(iter([1.0, 2.0, 2.0, 0.1]))
    heard: list[tuple[str, ...]] = []
    progress = run(task, tmp_path, patience=2, report=lambda progress, *_: heard.append(tuple(progress.events)))
    assert (progress.images, progress.best_images) == (300, 100)
    said = "Stopped early (--patience): no better score in 2 snapshots."
    assert entries(tmp_path)[-1]["warning"] == said
    assert heard[-1] == (said,), "it is told, not only written down"
    again = Walk(iter([0.1]))
    assert run(again, tmp_path, patience=2, resume=True).images == 300
    assert again.snapshots == []
    assert torch.equal(again.weight, task.weight)


@pytest.mark.parametrize(
    ("scores", "stops", "kept"),
    [
        ([0.5] * 8, 300, 300),  # flat: equal is not better, but the later of equals is kept
        ([1.0] * 8, 300, 300),  # never improving from the worst score there is
        ([0.5, 0.4, 0.4, 0.4, 0.1], 400, 400),  # flat after it improved
        ([-1.0, -1.0, -1.0, -2.0], 300, 300),  # a score below 0 is a score
        ([math.nan] * 8, 200, 200),  # nothing to score on: the newest is kept
        ([math.inf] * 8, 200, 200),
        ([0.5, math.nan, math.nan, 0.1], 300, 100),  # what has no score is not better
        ([math.nan, 0.5, 0.6, 0.6], 400, 200),  # the first score is
        ([0.9, 0.8, 0.8, 0.7, 0.7, 0.6, 0.6, 0.5], 800, 800),  # each second one better: never lost
    ],
)
def test_patience_counts_snapshots_that_are_not_better(
    scores: list[float], stops: int, kept: int, tmp_path: Path
) -> None:
    progress = run(Walk(iter(scores)), tmp_path, images=800, snapshots=8, patience=2)
    assert (progress.images, progress.best_images) == (stops, kept)
    assert len(progress.events) == (stops < 800)


@pytest.mark.slow
def test_without_a_score_the_newest_is_kept(tmp_path: Path) -> None:
    task = Walk(iter([math.nan] * 4))
    progress = run(task, tmp_path)
    assert (progress.images, progress.best_images) == (400, 400)
    assert torch.equal(task.best, task.weight)
    task = Walk(iter([1.0, math.nan, math.nan, math.nan]))
    (tmp_path / "other").mkdir()
    assert run(task, tmp_path / "other").best_images == 100


def test_losses_that_are_no_numbers_stop_the_run_and_keep_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    task = Walk(losses=lambda step: math.nan if step >= 14 else 1.0)
    progress = run(task, tmp_path)
    assert (progress.step, progress.best_images) == (15, 100)
    assert progress.events == ["broken"]
    assert entries(tmp_path)[-1] == {"step": 15, "warning": "broken"}
    bundle = latest_checkpoint(tmp_path)
    assert bundle is not None
    assert bundle.content["step"] == 10  # what is broken is not saved


def test_a_warning_is_told_once(tmp_path: Path) -> None:
    task = Walk()
    task.warnings = ["look here"]
    assert run(task, tmp_path, images=200).events == ["look here"]
    again = Walk()
    again.warnings = ["look here", "and here"]
    assert run(again, tmp_path, resume=True).events == ["look here", "and here"]
    assert [entry["warning"] for entry in entries(tmp_path) if "warning" in entry] == ["look here", "and here"]


@pytest.mark.parametrize("at", [3, 10, 17, 39])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = Walk(iter([4.0, 3.0, 5.0, 6.0]))
    expected = run(whole, tmp_path / "whole")

    def kill(step: int) -> float:
        if step == at:
            raise KilledError
        return 1.0

    with pytest.raises(KilledError):
        run(Walk(iter([4.0, 3.0, 5.0, 6.0]), kill), tmp_path / "killed")
    done = at // 10
    resumed = Walk(iter([4.0, 3.0, 5.0, 6.0][done:]))
    found = run(resumed, tmp_path / "killed", resume=True)
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.best, whole.best)
    assert (found.step, found.images, found.best_images, found.stale) == (
        expected.step,
        expected.images,
        expected.best_images,
        expected.stale,
    )
    for key in ("score", "d_loss"):
        steps = [[entry["step"] for entry in entries(tmp_path / name) if key in entry] for name in ("whole", "killed")]
        assert steps[0] == steps[1]
        assert len(set(steps[1])) == len(steps[1])


def test_a_half_written_log_line_is_dropped(tmp_path: Path) -> None:
    run(Walk(), tmp_path, images=200)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 22, "d_l')
    run(Walk(), tmp_path, resume=True)
    steps = [entry["step"] for entry in entries(tmp_path) if "score" in entry]
    assert steps == [5, 10, 15, 20, 30, 40]


def test_a_new_run_forgets_an_old_log(tmp_path: Path) -> None:
    run(Walk(), tmp_path)
    run(Walk(), tmp_path, images=100)
    assert max(entry["images"] for entry in entries(tmp_path)) == 100


def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path: Path) -> None:
    whole = Walk()
    run(whole, tmp_path)
    newest = max((tmp_path / "checkpoint").iterdir())
    newest.write_bytes(newest.read_bytes()[:-7])
    resumed = Walk()
    run(resumed, tmp_path, resume=True)
    assert resumed.snapshots == [400]
    assert torch.equal(resumed.weight, whole.weight)


def test_the_last_k_checkpoints_are_kept(tmp_path: Path) -> None:
    run(Walk(), tmp_path, images=400, snapshots=8, keep=3)
    names = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert names == [f"step-{step:09d}.safetensors" for step in (30, 35, 40)]


def test_a_checkpoint_from_a_lost_future_pushes_no_good_one_out(tmp_path: Path) -> None:
    for step in (10, 20):
        save_checkpoint(tmp_path, {"weight": torch.ones(1)}, {"step": step}, keep=1)
    (tmp_path / "checkpoint" / "step-000000090.safetensors").write_bytes(b"damaged")
    save_checkpoint(tmp_path, {"weight": torch.ones(1)}, {"step": 30}, keep=1)
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["step-000000030.safetensors"]


def test_a_budget_of_minutes_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class Slow(Walk):
        def step(self, step: int, share: float) -> dict[str, Tensor]:
            now[0] += 0.5
            return super().step(step, share)

        def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
            now[0] += 1.0
            return super().snapshot(progress, recent)

    task = Slow()
    progress = run_loop(task, Budget(None, 1.0, 6), tmp_path, seed=0, keep=1, report=unheard, resume=False)
    assert 60 <= progress.seconds < 63
    assert 4 <= len(task.snapshots) <= 6
    assert progress.step == pytest.approx((60 - len(task.snapshots)) / 0.5, abs=4)
    speeds = [entry["images_per_second"] for entry in entries(tmp_path) if "images_per_second" in entry]
    assert speeds == pytest.approx([20.0] * len(speeds))  # scoring is not counted


def test_time_before_the_first_step_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class Slow(Walk):
        def step(self, step: int, share: float) -> dict[str, Tensor]:
            now[0] += 1.0
            return super().step(step, share)

    budget = Budget(None, 1.0, 6)
    progress = run_loop(Slow(), budget, tmp_path, seed=0, keep=1, report=unheard, resume=False, spent=45.0)
    assert progress.step == pytest.approx(15, abs=1)
    again = run_loop(Slow(), budget, tmp_path, seed=0, keep=1, report=unheard, resume=True, spent=45.0)
    assert again.step == progress.step  # the checkpoint knows of it


def test_slow_scoring_does_not_follow_on_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class Slow(Walk):
        def step(self, step: int, share: float) -> dict[str, Tensor]:
            now[0] += 0.5
            return super().step(step, share)

        def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
            now[0] += 15.0
            return super().snapshot(progress, recent)

    task = Slow()
    run_loop(task, Budget(None, 1.0, 6), tmp_path, seed=0, keep=1, report=unheard, resume=False)
    gaps = [after - before for before, after in zip(task.snapshots, task.snapshots[1:], strict=False)]
    assert min(gaps) >= 40  # each time some steps come first


def test_time_before_a_resume_counts(tmp_path: Path) -> None:
    save_checkpoint(
        tmp_path,
        {"weight": torch.zeros(3), "best": torch.zeros(3)},
        {"step": 7, "images": 70, "seconds": 61.0, "best": None, "best_images": 0, "stale": 0, "events": []},
        keep=1,
    )
    progress = run_loop(Walk(), Budget(None, 1.0, 6), tmp_path, seed=0, keep=1, report=unheard, resume=True)
    assert (progress.step, progress.best) == (7, math.inf)


def test_the_report_hears_share_losses_and_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOG_SECONDS", 0.0)
    heard: list[tuple[int, float, dict[str, float]]] = []
    task = Walk(losses=float)
    run(
        task,
        tmp_path,
        images=40,
        report=lambda progress, share, recent: heard.append((progress.step, share, dict(recent))),
    )
    assert [(step, share) for step, share, _ in heard] == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
    assert [recent["d_loss"] for _, _, recent in heard] == [0, 1, 2, 3]
    assert all(recent["images_per_second"] > 0 for _, _, recent in heard)


class Content(Walk):
    """A walk that says at its second snapshot that it is to end there."""

    def snapshot(self, progress: Progress, recent: dict[str, float]) -> Snapshot:
        taken = super().snapshot(progress, recent)
        return dataclasses.replace(taken, ended="that is enough" if progress.images == 200 else "")


def test_a_model_may_end_its_training_and_a_resumed_one_stays_ended(tmp_path: Path) -> None:
    progress = run(Content(), tmp_path)
    assert (progress.images, progress.ended, progress.events) == (200, True, ["that is enough"])
    assert [entry["warning"] for entry in entries(tmp_path) if "warning" in entry] == ["that is enough"]
    again = Content()
    assert run(again, tmp_path, resume=True).images == 200
    assert again.snapshots == []


def test_nothing_of_it_is_in_the_checkpoint_of_others(tmp_path: Path) -> None:
    run(Walk(), tmp_path)
    saved = latest_checkpoint(tmp_path)
    assert saved is not None
    assert "ended" not in saved.content


def test_epochs_are_counted_where_there_are_any(tmp_path: Path) -> None:
    run(Walk(), tmp_path, epoch=80)
    assert [entry["epochs"] for entry in entries(tmp_path) if "score" in entry] == [1.25, 2.5, 3.75, 5.0]
