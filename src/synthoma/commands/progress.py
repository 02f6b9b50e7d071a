"""Bars on the terminal: how far a command is. Silent where the output is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from synthoma.core.untrusted import visible

if TYPE_CHECKING:
    from rich.progress import TaskID

    from synthoma.cohorts.preparation import Progress
    from synthoma.training.loop import Progress as Trained
    from synthoma.training.loop import Report


@contextmanager
def of_work() -> Iterator[Progress]:
    """A progress bar on the terminal, one line for each kind of work; silent where the output is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(text: str, done: int, total: int) -> None:
            if text not in tasks:
                for task in tasks.values():  # one kind of work has ended when the next begins
                    bars.update(task, completed=bars.tasks[task].total)
                tasks[text] = bars.add_task(text, total=total)
            bars.update(tasks[text], completed=done, total=total)

        yield show


@contextmanager
def of_training() -> Iterator[tuple[Report, Progress]]:
    """A bar for a training: share of the budget, time left, images a second, losses; warnings above it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("training  "), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn()]
    with Progress(*columns, TextColumn("{task.fields[said]}"), console=Console(stderr=True)) as bars:
        tasks: list[TaskID] = []
        warned: set[str] = set()

        def show_training(progress: Trained, share: float, recent: dict[str, float]) -> None:
            if not tasks:
                tasks.append(bars.add_task("training", total=1.0, said=""))
            names = {
                "images_per_second": "images/s",
                "loss": "loss",
                "d_loss": "D",
                "g_loss": "G",
                "d_real": "D(real)",
                "d_fake": "D(fake)",
            }
            said = "  ".join(f"{title} {recent[name]:.3g}" for name, title in names.items() if name in recent)
            bars.update(tasks[0], completed=min(share, 1.0), said=f"{progress.images:,} images  {said}")
            for text in progress.events:
                if text not in warned:
                    warned.add(text)
                    bars.console.print(f"[yellow]warning:[/yellow] {escape(visible(text))}", highlight=False)

        def show(text: str, done: int, total: int) -> None:
            if not tasks:
                tasks.append(bars.add_task("training", total=1.0, said=""))
            bars.update(tasks[0], said=f"first, patients are simulated: {done} of {total}")

        yield show_training, show
