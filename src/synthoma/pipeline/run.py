"""A run as Python has it: its settings, its log, its samples, and what it can draw."""

from __future__ import annotations

import base64
import io
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.config import Config
from synthoma.core.errors import InputError
from synthoma.core.types import Place
from synthoma.training.log import FILE as LOG
from synthoma.training.log import read_log
from synthoma.training.runs import SAMPLES, SETTINGS, read_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from PIL import Image

    from synthoma.pipeline.cohort import Cohort
    from synthoma.settings import TrainConfig
    from synthoma.training.meta import ModelMeta

MODEL = "model.safetensors"


class Run:
    """An opened run of `train`, finished or not. Every command takes it in place of its folder.

    Attributes:
        path: the folder.

    Raises:
        InputError: there is no run, or its description is damaged.
    """

    def __init__(self, path: Place) -> None:
        self.path = Path(path)
        if not (self.path / "run.json").is_file():
            todo = "give the folder that `synthoma train` wrote"
            raise InputError("the folder of a run", f"{self.path}, which is none", todo)
        self._begun = read_run(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {self.model}, {'finished' if self.finished else 'not finished'})"

    @property
    def model(self) -> str:
        """Its name, as `synthoma train --list` has it."""
        return self._begun.model

    @property
    def finished(self) -> bool:
        """Whether there is a model that can be used."""
        return (self.path / MODEL).is_file()

    @property
    def meta(self) -> ModelMeta:
        """What the model's file says of it.

        Raises:
            InputError: the run is not finished.
        """
        from synthoma.training.bundle import open_model

        return open_model(self.path).meta

    @cached_property
    def settings(self) -> TrainConfig:
        """What it was trained with, defaults and decisions included."""
        from synthoma.settings import TrainConfig

        settings: Config = TrainConfig.resolve(self.path / SETTINGS)
        assert isinstance(settings, TrainConfig)
        return settings

    @property
    def log(self) -> pd.DataFrame:
        """One row for each line of log.jsonl: step, images, losses; where ``score`` is set, a snapshot.

        Raises:
            InputError: the log is damaged.
        """
        import pandas as pd

        place = self.path / LOG
        return pd.DataFrame([entry.content() for entry in read_log(place)] if place.is_file() else [])

    def samples(self) -> Image.Image:
        """The sheet of samples of the snapshot that is kept; of an unfinished run, the newest one.

        Raises:
            InputError: there is none, as of detectors.
        """
        from PIL import Image

        sheets = sorted((self.path / SAMPLES).glob("images-*.png"))
        if not sheets:
            raise InputError("a sheet of samples", f"none in {self.path}", "look at the run's page, report.html")
        kept = self.meta.images if self.finished else None
        best = [path for path in sheets if int(path.stem.split("-")[1]) == kept] or sheets[-1:]
        with Image.open(best[0]) as picture:
            return picture.convert("RGB")

    def plot(self) -> Figure:
        """Losses, and the score of snapshots, over the images shown.

        Raises:
            InputError: nothing has been logged yet.
        """
        import matplotlib.pyplot as plt

        log = self.log
        if log.empty:
            raise InputError("a log with entries", "an empty one", "let the training go on for some seconds")
        panels = [[name for name in map(str, log) if name.endswith("loss")]]
        if "score" in log and bool(log["score"].notna().any()):
            panels.append(["score"])
        figure = plt.figure(figsize=(5 * len(panels), 3), layout="constrained")
        for number, names in enumerate(panels, start=1):
            axis = figure.add_subplot(1, len(panels), number)
            for name in names:
                shown = log[["images", name]].dropna()
                label = "score (lower is better)" if name == "score" else name
                axis.plot(shown["images"], shown[name], label=label, marker="o" if len(shown) < 30 else "")
            axis.set_xlabel("images shown")
            axis.legend(frameon=False)
        plt.close(figure)  # a notebook shows what is returned, and not a second time what is open
        return figure

    def generate(
        self, output: Place, count: int | None = None, *, patients: int | None = None, seed: int = 0,
        label: str | None = None, force: bool = False,
    ) -> Cohort:  # fmt: skip
        """Draw a synthetic cohort; ``synthoma.generate`` has more choices.

        Args:
            output: the cohort folder to write.
            count: number of images.
            patients: in their place, number of whole patients.
            seed: of the draws.
            label: class of all images.
            force: replace an existing cohort.

        Raises:
            InputError: no finished generator, or the output place is taken.
        """
        from synthoma.pipeline.generation import generate

        return generate(self.path, output, count, patients=patients, seed=seed, label=label, force=force)

    def _repr_html_(self) -> str:
        """What a notebook shows: what it is, and its samples."""
        head = f"<p><b>{escape(self.path.name)}</b>: {escape(self.model)}, "
        if self.finished:
            meta = self.meta
            head += f"{meta.images:,} images shown</p>" if meta.images else "finished</p>"
        else:
            head += "not finished: it goes on with <code>resume=True</code></p>"
        try:
            content = io.BytesIO()
            self.samples().save(content, "PNG")
        except InputError:
            return head
        data = base64.b64encode(content.getvalue()).decode("ascii")
        return f'{head}<img alt="samples" src="data:image/png;base64,{data}">'
