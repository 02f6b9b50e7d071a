"""A trained classifier, ready to be asked: which class is a slice, and which type is a scan's tumour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.squares import FramingRule, frame, to_squares
from synthoma.core.types import Bools, Float32, Floats, Ints, Plane
from synthoma.detection.detector import content
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.learning import Scale
from synthoma.detectors.scale import as_input
from synthoma.detectors.settings import ClassifierNetwork
from synthoma.detectors.slices import LabelledSlices, neighbours
from synthoma.scans.case import Study
from synthoma.training.bundle import Bundle, fitting, model_file, open_model

BATCH = 32


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        network: in evaluation mode.
        name: of the model.
        digest: SHA-256 of its file.
        classes: what it tells apart.
        modalities: its channels, in order.
        any_subset: whether it was trained to do without some modalities.
        context: slices seen at once, and the distance between them in mm.
        size: side of its slices.
        plane: of the slices.
        rule: how slices become squares.
        scale: on which the network takes them.
    """

    network: torch.nn.Module
    name: str
    digest: str
    classes: tuple[str, ...]
    modalities: tuple[str, ...]
    any_subset: bool
    context: tuple[int, float]
    size: int
    plane: Plane
    rule: FramingRule
    scale: Scale = "zero-to-one"

    @classmethod
    def open(cls, run: Path) -> Classifier:
        """Open a run folder or a model file.

        Raises:
            InputError: nothing there, or not a classifier.
        """
        bundle = open_model(run, "classifier")
        with fitting("a classifier"):
            return cls._assembled(bundle)

    @classmethod
    def _assembled(cls, bundle: Bundle) -> Classifier:
        meta, shape = bundle.meta, bundle.meta.shape
        settings = ClassifierNetwork.model_validate(meta.network)
        network = build_classifier(settings, shape["size"], shape["channels"], len(meta.classes))
        network.load_state_dict(bundle.weights("classifier"))
        prepared = meta.prepare or {}
        return cls(
            network=network.eval().requires_grad_(False),
            name=str(meta.model),
            digest=bundle.digest,
            classes=tuple(meta.classes),
            modalities=tuple(meta.modalities),
            any_subset=bool(meta.any_subset),
            context=(settings.context, float(meta.step_mm or 0.0)),
            size=int(shape["size"]),
            plane=prepared.get("plane") or meta.plane or "axial",
            rule=FramingRule.of(prepared),
            scale=settings.scale,
        )

    def of_cohort(self, cohort: Cohort) -> Floats:
        """Probability of each class for each slice of a cohort that was prepared as the model's, (N, classes).

        Raises:
            InputError: a cohort without any of the model's modalities.
        """
        rows = np.arange(len(cohort))
        slices = LabelledSlices(cohort, rows, self.modalities, (), self.context)
        parts = [slices.fetch(rows[start : start + BATCH]).images for start in range(0, len(rows), BATCH)]
        return np.concatenate([self._asked(part) for part in parts])

    def of_study(self, study: Study, ill: Bools, plane: Plane) -> Floats:
        """Probability of each class for a whole scan, (classes,): the mean over its slices with tumour.

        Args:
            study: with modalities named as the model knows them.
            ill: which of its slices show tumour; where none does, or the model looks at another plane, all count.
            plane: of those slices.

        Raises:
            InputError: none of the model's modalities.
        """
        framing = frame(study, self.modalities, size=self.size, plane=self.plane, rule=self.rule)
        squares = to_squares(framing)
        there = np.flatnonzero(content(squares))
        wanted = np.isin(there, np.flatnonzero(ill)) if plane == self.plane else np.zeros(len(there), dtype=bool)
        if not wanted.any():
            wanted[:] = True
        return np.asarray(self._of_squares(squares, there, framing.step_mm, wanted).mean(axis=0))

    def of_slices(self, study: Study) -> Floats:
        """Probability of each class for each slice of a scan in the model's plane, (n, classes); NaN where it is empty.

        Args:
            study: with modalities named as the model knows them.

        Raises:
            InputError: none of the model's modalities.
        """
        framing = frame(study, self.modalities, size=self.size, plane=self.plane, rule=self.rule)
        squares = to_squares(framing)
        there = np.flatnonzero(content(squares))
        chances = np.full((len(squares), len(self.classes)), np.nan)
        if len(there):
            chances[there] = self._of_squares(squares, there, framing.step_mm, np.ones(len(there), dtype=bool))
        return chances

    def _of_squares(self, squares: Float32, there: Ints, step_mm: float | None, wanted: Bools) -> Floats:
        """Probabilities of the wanted among the slices with content, each seen with its neighbours."""
        count, distance = self.context
        stride = max(1, round(distance / step_mm)) if step_mm else 1
        seen = there[neighbours(there, count, stride)[wanted]]
        parts = torch.from_numpy(squares[seen]).flatten(1, 2).split(BATCH)
        return np.concatenate([self._asked(part) for part in parts])

    def _asked(self, images: torch.Tensor) -> Floats:
        with torch.inference_mode():
            return np.asarray(self.network(as_input(images, self.scale)).softmax(dim=1).double().numpy())


def opened(run: Path) -> Classifier:
    """The classifier, opened once in each process as long as its file stays the same."""
    status = model_file(run).stat()
    return _open_once(run, status.st_mtime_ns, status.st_size)


# Two: a command may ask one for the type, and one that looks first.
@lru_cache(maxsize=2)
def _open_once(run: Path, _written: int, _size: int) -> Classifier:
    return Classifier.open(run)
