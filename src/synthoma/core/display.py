"""How far work is, for whoever looks: bars on a terminal or in a notebook, lines in a log, JSON for a program.

All of them say the same: the phase by its name, how much of it is done, how long it will take, and the clock time of
its end. Times left are extrapolated from the phase's own pace, those of a training with a budget of minutes are exact.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TextIO

from synthoma.core.progress import Progress
from synthoma.core.untrusted import visible

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID
    from tqdm.std import tqdm

How = Literal["auto", "quiet", "json"]
"""auto: bars where somebody looks, else a line every half minute; quiet: nothing; json: an object a line."""

EVERY = 30.0
"""Seconds between two lines of a log."""

TRAINING = "training"
_FIGURES = {
    "images_per_second": "images/s",
    "loss": "loss",
    "d_loss": "D",
    "g_loss": "G",
    "d_real": "D(real)",
    "d_fake": "D(fake)",
}
"""Figures of a training that are shown, and by which name."""


class Trained(Protocol):
    """What is read of a training's progress."""

    images: int
    events: list[str]


@dataclass
class Phase:
    """One kind of work.

    Attributes:
        name: in plain words.
        done, total: in pieces; of a training, in shares of its budget.
        said: further figures, as text.
        first: what was done when it was first told: of a training, the share of its budget that planning took.
        began, ended: on the clock of ``time.monotonic``; ``ended`` is None while it goes on.
    """

    name: str
    done: float = 0.0
    total: float = 1.0
    said: str = ""
    first: float | None = None
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return (self.ended or time.monotonic()) - self.began

    @property
    def left(self) -> float | None:
        """Seconds that it will take at its own pace; None before anything is done."""
        if self.ended is not None or self.done >= self.total:
            return 0.0
        done = self.done - (self.first if self.name == TRAINING and self.first is not None else 0.0)
        return self.seconds * (self.total - self.done) / done if done > 0 else None

    def amount(self) -> str:
        """How much is done: "12 of 80", of a training "40 %"."""
        if self.name == TRAINING:
            return f"{100 * min(self.done, 1.0):.0f} %"
        return f"{self.done:,.0f} of {self.total:,.0f}"

    def times(self) -> str:
        """How long it took, or will take and when it ends."""
        if self.ended is not None:
            return span(self.seconds)
        if self.left is None:
            return ""
        return f"{span(self.left)} left, ends {clock(self.left)}"


def span(seconds: float) -> str:
    """A time as people read it: "12 s", "3:05 min", "1:02 h"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def clock(seconds: float) -> str:
    """The time of day in so many seconds; with the day where it is another one."""
    now, then = time.localtime(), time.localtime(time.time() + seconds)
    return time.strftime("%H:%M" if now.tm_yday == then.tm_yday else "%d %b %H:%M", then)


class Display:
    """Told how far work is, and tells nobody; what others do is in their ``_show`` and ``_warn``."""

    def __init__(self) -> None:
        self.phase: Phase | None = None
        self.warned: set[str] = set()

    def work(self, text: str, done: int, total: int) -> None:
        """So many of so many pieces are done; see ``core.progress.Progress``."""
        phase = self._entered(text)
        phase.done, phase.total = float(done), float(max(total, 1))
        self._show(phase)

    def training(self, progress: Trained, share: float, recent: Mapping[str, float]) -> None:
        """This share of a training's budget is spent; see ``training.loop.Report``."""
        phase = self._entered(TRAINING)
        figures = (f"{title} {recent[name]:.3g}" for name, title in _FIGURES.items() if name in recent)
        phase.first = min(share, 1.0) if phase.first is None else phase.first
        phase.done, phase.said = min(share, 1.0), "  ".join((f"{progress.images:,} images", *figures))
        self._show(phase)
        for text in progress.events:
            if text not in self.warned:
                self.warned.add(text)
                self._warn(visible(text))

    def close(self) -> None:
        """Nothing more will be told."""
        self._ended()

    def _entered(self, name: str) -> Phase:
        """The phase of this name: one has ended when the next begins."""
        if self.phase is None or self.phase.name != name:
            self._ended()
            self.phase = Phase(name)
        return self.phase

    def _ended(self) -> None:
        if self.phase is not None and self.phase.ended is None:
            self.phase.ended = time.monotonic()
            self._show(self.phase)
        self.phase = None

    def _show(self, phase: Phase) -> None:
        """Show a phase that has gone on, or ended."""

    def _warn(self, text: str) -> None:
        """Show a warning."""


class Bars(Display):
    """Bars on a terminal, one for each phase; figures of a training below them."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.rows = _rows(self, stream)
        self.task: TaskID | None = None
        self.rows.start()

    def _show(self, phase: Phase) -> None:
        from rich.markup import escape

        if self.task is None:
            self.task = self.rows.add_task(escape(phase.name), total=phase.total, phase=phase)
        whole = phase.total if phase.ended is not None else phase.done
        self.rows.update(self.task, completed=whole, total=phase.total)
        if phase.ended is not None:
            self.task = None

    def _warn(self, text: str) -> None:
        from rich.text import Text

        self.rows.console.print(Text("warning: ", style="yellow") + Text(text), highlight=False)

    def close(self) -> None:
        """Leave the bars as they are."""
        super().close()
        self.rows.stop()


def _rows(display: Display, stream: TextIO) -> RichProgress:
    """The table of bars. Times are read off a phase whenever it is drawn, so they go on between two pieces of work."""
    from rich.console import Console, RenderableType
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Task) -> RenderableType:
            phase: Phase = task.fields["phase"]
            return Text("  ".join(text for text in (phase.amount(), phase.times()) if text), style="cyan")

    class Rows(RichProgress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            if display.phase is not None and display.phase.said:
                yield Text(display.phase.said, style="dim", overflow="fold")

    return Rows(TextColumn("{task.description}"), BarColumn(16), Figures(), console=Console(file=stream))


class NotebookBars(Display):
    """Bars in a notebook."""

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm[None] | None = None

    def _show(self, phase: Phase) -> None:
        from tqdm.auto import tqdm

        if self.bar is None or self.bar.desc.removesuffix(": ") != phase.name:
            share = "{desc}: {percentage:3.0f}% |{bar}| [{elapsed}<{remaining}]{postfix}"
            form = {"bar_format": share} if phase.name == TRAINING else {}
            self.bar = tqdm(total=phase.total, desc=phase.name, **form)
        self.bar.n, self.bar.total = phase.done if phase.ended is None else phase.total, phase.total
        self.bar.set_postfix_str(phase.said, refresh=False)
        self.bar.refresh()
        if phase.ended is not None:
            self.bar.close()
            self.bar = None

    def _warn(self, text: str) -> None:
        from tqdm.auto import tqdm

        tqdm.write(f"warning: {text}")


class Lines(Display):
    """A line every half minute, for the log of a batch job; a command that is quick says nothing.

    A thread of its own writes them: it says that work goes on also where one piece of it takes long.
    """

    def __init__(self, stream: TextIO, every: float = EVERY) -> None:
        super().__init__()
        self.stream, self.every, self.told = stream, every, False
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._tell, daemon=True)
        self.thread.start()

    def _tell(self) -> None:
        while not self.over.wait(self.every):
            if (phase := self.phase) is not None and phase.ended is None:
                self.told = True
                self._print(f"{phase.name}: {phase.amount()}", phase.times(), phase.said)

    def _show(self, phase: Phase) -> None:
        if phase.ended is not None and self.told:
            self._print(f"{phase.name}: done", f"in {span(phase.seconds)}", phase.said)

    def _warn(self, text: str) -> None:
        self._print(f"warning: {text}")

    def _print(self, *parts: str) -> None:
        print(", ".join(part for part in map(visible, parts) if part), file=self.stream, flush=True)

    def close(self) -> None:
        """Write no more lines."""
        super().close()
        self.over.set()
        self.thread.join()


class JsonLines(Display):
    """An object a line for a program: at most one a second of each phase, and its end."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream, self.last = stream, -1.0

    def _show(self, phase: Phase) -> None:
        now = time.monotonic()
        # A phase that has just begun is told at once, whatever was told within the second.
        if phase.ended is None and phase.began <= self.last and now - self.last < 1:
            return
        self.last = now
        left = None if phase.left is None else round(phase.left, 1)
        facts: dict[str, object] = {"done": phase.done, "total": phase.total, "seconds": round(phase.seconds, 1)}
        self._print({"phase": phase.name, **facts, "seconds_left": left, "ended": phase.ended is not None})

    def _warn(self, text: str) -> None:
        self._print({"warning": text})

    def _print(self, facts: Mapping[str, object]) -> None:
        print(json.dumps(facts), file=self.stream, flush=True)


def display_for(how: How = "auto", stream: TextIO | None = None) -> Display:
    """What shows progress here.

    Args:
        how: see ``How``.
        stream: where to; standard error where None.
    """
    out = stream or sys.stderr
    if how == "json":
        return JsonLines(out)
    if how == "quiet":
        return Display()
    if stream is None and _in_notebook():
        return NotebookBars()
    return Bars(out) if out.isatty() else Lines(out)


@contextmanager
def shown(how: How = "auto", stream: TextIO | None = None) -> Iterator[Display]:
    """A display for the time of some work."""
    display = display_for(how, stream)
    try:
        yield display
    finally:
        display.close()


@contextmanager
def telling(progress: Progress | None) -> Iterator[Progress]:
    """Whom work is told to: the caller's own function, or where there is none, whoever looks."""
    if progress is not None:
        yield progress
        return
    with shown() as display:
        yield display.work


def _in_notebook() -> bool:
    """Whether the program runs in a notebook's kernel; IPython in a terminal is a terminal."""
    module = sys.modules.get("IPython")
    shell: Callable[[], object] | None = getattr(module, "get_ipython", None)
    return shell is not None and type(shell()).__name__ == "ZMQInteractiveShell"
