"""A training followed by TensorBoard or MLflow: what log.jsonl and the sample sheets say, sent on as it is written.

The loop knows nothing of it. What follows reads the log of the run, so it shows exactly what the run's page shows, and
a tracker that is down or slow loses nothing of the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from synthoma.core.errors import ConfigError
from synthoma.training.log import FILE, LogEntry
from synthoma.training.runs import SAMPLES

TrackerName = Literal["tensorboard", "mlflow"]
PLACE = "tensorboard"
"""Folder in a run for TensorBoard's events."""

_PACKAGES: dict[TrackerName, tuple[str, str]] = {
    "tensorboard": ("tensorboard", "tensorboard"),
    "mlflow": ("mlflow", "mlflow-skinny"),
}
"""Module and package that each needs."""


class Tracker(Protocol):
    """Somebody who keeps figures and pictures of trainings."""

    def figure(self, name: str, value: float, images: int) -> None:
        """Keep a figure, as it was after so many images."""

    def picture(self, path: Path, images: int) -> None:
        """Keep a sheet of samples."""

    def close(self) -> None:
        """Write out what is left."""


def check_tracker(name: TrackerName) -> None:
    """Raise ConfigError where what a tracker needs is not installed."""
    module, package = _PACKAGES[name]
    if find_spec(module) is None:
        raise ConfigError(f"{name} for --track {name}", "it is not installed", f"pip install {package}")


class Follower:
    """Sends on what is new in a run's folder.

    Args:
        run: the folder.
        tracker: who gets it.
    """

    def __init__(self, run: Path, tracker: Tracker) -> None:
        self.run, self.tracker = run, tracker
        self.read = 0
        self.shown = set(self._sheets())

    def look(self) -> None:
        """Send on whole lines that were written since, and new sheets."""
        try:
            with (self.run / FILE).open("rb") as file:
                file.seek(self.read)
                lines = file.read()
        except OSError:  # not begun yet
            return
        # A line that is only half written waits for the next look.
        whole = lines[: lines.rfind(b"\n") + 1]
        self.read += len(whole)
        for line in whole.splitlines():
            self._send(LogEntry.model_validate(json.loads(line)))
        for path in sorted(set(self._sheets()) - self.shown):
            self.shown.add(path)
            self.tracker.picture(path, int(path.stem.split("-")[1]))

    def _send(self, entry: LogEntry) -> None:
        if entry.images is None:
            return
        named = {"score": entry.score, "epochs": entry.epochs, "d_accuracy_held_out": entry.d_accuracy_held_out}
        for name, value in {**named, **entry.figures}.items():
            if value is not None:
                self.tracker.figure(name, float(value), entry.images)

    def _sheets(self) -> list[Path]:
        """Sheets of drawn images; the rows of a detector, which draws none."""
        folder = self.run / SAMPLES
        # A generator writes its sheet before the row that is cut from it, so rows alone are a detector's.
        return list(folder.glob("images-*.png")) or list(folder.glob("row-*.png"))


@contextmanager
def following(name: TrackerName | None, run: Path) -> Iterator[Follower | None]:
    """Follow a training from here on; None follows none.

    Of a run that goes on, what it wrote before is sent first, so that a curve is whole.
    """
    if name is None:
        yield None
        return
    tracker: Tracker = _TensorBoard(run) if name == "tensorboard" else _MLflow(run)
    follower = Follower(run, tracker)
    try:
        yield follower
        follower.look()
    finally:
        tracker.close()


def _pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


class _TensorBoard:
    """Events in the run's own folder: ``tensorboard --logdir RUN``."""

    def __init__(self, run: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run / PLACE))

    def figure(self, name: str, value: float, images: int) -> None:
        self.writer.add_scalar(name, value, images)

    def picture(self, path: Path, images: int) -> None:
        self.writer.add_image("samples", _pixels(path), images, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()


class _MLflow:
    """A run of MLflow, where MLFLOW_TRACKING_URI says, else below ``mlruns`` here."""

    def __init__(self, run: Path) -> None:
        import mlflow

        self.mlflow = mlflow
        mlflow.start_run(run_name=run.resolve().name)

    def figure(self, name: str, value: float, images: int) -> None:
        self.mlflow.log_metric(name, value, step=images)

    def picture(self, path: Path, images: int) -> None:
        self.mlflow.log_artifact(str(path), SAMPLES)

    def close(self) -> None:
        self.mlflow.end_run()
