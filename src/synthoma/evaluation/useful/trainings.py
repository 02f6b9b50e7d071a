"""One training of a detector: learn from a mixture of sources for so many steps, then answer on held-out slices.

Trainings are what the question "is it useful?" is made of: hundreds of them differ in their sources only. They take the
detector, the augmentation and the step of `synthoma train`, and leave out what a single training needs around it
(snapshots, checkpoints, a threshold chosen on validation patients): nothing here is chosen on anybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.seeding import stream_key
from synthoma.core.types import Floats, Ints
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.learning import AugmentConfig
from synthoma.detectors.segmenters.chances import slice_probabilities
from synthoma.detectors.segmenters.losses import segmentation_loss
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import ClassifierConfig, SegmenterConfig
from synthoma.detectors.slices import Labelled, LabelledSlices
from synthoma.detectors.task import SupervisedTask
from synthoma.detectors.training import DetectorTraining
from synthoma.detectors.validation import outputs
from synthoma.training.device import Execution

WHOLE = "tumour"
"""The target of every segmenter here: the whole tumour."""

DETECTORS: dict[str, dict[str, dict[str, int]]] = {
    # Blocks of 2 pixels even at 64: without them an arm takes more than half as long again, with half the maps.
    "outline": {"small": {"width": 16, "levels": 4, "stem": 2}, "large": {"width": 32, "levels": 4, "stem": 2}},
    "classify": {"small": {"width": 16}, "large": {"width": 32}},
}
"""Task -> size of detector -> what differs from the recipe."""


@dataclass(frozen=True)
class Source:
    """Some slices of a cohort.

    Attributes:
        cohort: where they are.
        rows: which ones.
    """

    cohort: Cohort
    rows: Ints

    @classmethod
    def opened(cls, folder: Path, rows: Ints) -> Source:
        """Slices of the cohort in a folder."""
        return cls(Cohort(folder), rows)

    def __reduce__(self) -> tuple[Callable[[Path, Ints], Source], tuple[Path, Ints]]:
        """For a worker: the folder in place of the opened cohort, whose memory map would be sent as a whole."""
        return Source.opened, (self.cohort.path.resolve(), self.rows)


@dataclass(frozen=True)
class Stage:
    """A part of a training.

    Attributes:
        sources: what is learned from; each batch takes ``share`` of its slices from those after the first.
        share: 0..1, of no account with one source.
        steps: batches.
        augment: whether slices are flipped, turned, scaled and changed in brightness and contrast.
    """

    sources: tuple[Source, ...]
    steps: int
    share: float = 0.5
    augment: bool = True


@dataclass(frozen=True)
class DetectorTest:
    """What a trained detector is asked, and how.

    Attributes:
        slices: held-out slices.
        task: "outline" (a segmenter) or "classify" (a classifier).
        modalities: channels, by name.
        classes: of a classifier, in order; empty for a segmenter.
        detector: "small" or "large", see ``DETECTORS``.
        features: whether the network's inner features are wanted too.
        also: further slices that are asked about, after the others.
    """

    slices: Source
    task: str
    modalities: tuple[str, ...]
    classes: tuple[str, ...] = ()
    detector: str = "small"
    features: bool = False
    also: Source | None = None


@dataclass(frozen=True)
class Answers:
    """What a detector says of the slices asked, in their order.

    Attributes:
        chances: (N,) probability of tumour of a segmenter, that is of its surest pixels; (N, K) of a classifier.
        found_pixels, called_pixels, tumour_pixels: (N,) pixels of tumour that were found, that were called tumour at
            0.5, and that are tumour; empty of a classifier.
        features: (N, D) means of the coarsest maps, where they are asked for; else (0, 0).
        seconds: time it took to learn.
    """

    chances: Floats
    found_pixels: Ints
    called_pixels: Ints
    tumour_pixels: Ints
    features: Floats
    seconds: float


def train_and_test(stages: Sequence[Stage], test: DetectorTest, *, seed: int, execution: Execution) -> Answers:
    """Learn stage by stage with one network, then answer.

    Each stage runs the whole cycle of the learning rate, a later one at a third of the rate: it corrects what was
    learned before.

    Raises:
        ConfigError: slices of a size that the network cannot take.
    """
    execution.apply()
    start = time.perf_counter()
    training = _Training(test, seed, execution)
    for number, stage in enumerate(stages):
        training.learn(stage, number)
    seconds = time.perf_counter() - start
    return training.answer(seconds)


def detector_settings(test: DetectorTest) -> SegmenterConfig | ClassifierConfig:
    """The detector's settings: those of its recipe, at the size that the test names.

    Raises:
        ConfigError: an unknown task.
    """
    if test.task not in DETECTORS:
        raise ConfigError("the task outline or classify", repr(test.task), "choose one of them")
    own = DetectorTraining.of_model("unet-25d" if test.task == "outline" else "cnn")[1]
    assert isinstance(own, SegmenterConfig | ClassifierConfig)
    changed = DETECTORS[test.task][test.detector]
    # Synthetic slices have no neighbours, so nobody is shown any.
    return own.model_copy(update={"context": 1, **changed})


class _Training:
    """A network on its way through the stages."""

    def __init__(self, test: DetectorTest, seed: int, execution: Execution) -> None:
        self.test, self.seed, self.execution = test, seed, execution
        size, channels = test.slices.cohort.size, len(test.modalities)
        # By the seed and not by the arm: arms begin with the same weights, so that a difference is one of what was
        # learned.
        torch.manual_seed(stream_key(seed, "evaluation.lesson.weights") % 2**63)
        self.config = detector_settings(test)
        if isinstance(self.config, SegmenterConfig):
            self.network = build_segmenter(self.config, SegmenterShape(size, channels, 1))
        else:
            self.network = build_classifier(self.config, size, channels, len(test.classes))

    def learn(self, stage: Stage, number: int) -> None:
        """Go through one stage."""
        rate = self.config.rate * (1 if number == 0 else 1 / 3)
        update: dict[str, object] = {"with_ratio": stage.share, "rate": rate}
        if not stage.augment:
            update["augment"] = AugmentConfig(**dict.fromkeys(AugmentConfig.model_fields, 0.0))
        config = self.config.model_copy(update=update)
        sources = [self._slices(source) for source in stage.sources]
        task = SupervisedTask(
            config,
            stream_key(self.seed, "evaluation.lesson", number) % 2**31,
            self.network,
            sources,
            len(self.test.modalities),
            self.execution,
            self._outline if self.test.task == "outline" else self._classify,
            _unscored,
        )
        for step in range(stage.steps):
            task.step(step, step / stage.steps)
        # The averaged weights are what goes on and what answers; in the next stage they learn again.
        self.network = task.average.requires_grad_(True)

    def answer(self, seconds: float) -> Answers:
        """Ask the network."""
        parts = [self.test.slices, *([self.test.also] if self.test.also is not None else [])]
        answers = [self._answer(part, seconds) for part in parts]
        return answers[0] if len(answers) == 1 else joined(answers)

    def _answer(self, source: Source, seconds: float) -> Answers:
        asked, none = self._slices(source), np.zeros(0, np.int64)
        rows = source.rows
        inner: list[Tensor] = []
        # All outliners of `DETECTORS` have four levels, of which this is the last.
        coarsest = self.network.get_submodule("down.3" if self.test.task == "outline" else "layers")
        hook = coarsest.register_forward_hook(lambda _, __, maps: inner.append(maps.mean(dim=(2, 3)).float().cpu()))
        with torch.no_grad():
            said = outputs(self.network.eval(), asked, rows, self.execution)
        hook.remove()
        features = torch.cat(inner).double().numpy() if self.test.features else np.zeros((0, 0))
        if self.test.task == "classify":
            return Answers(torch.softmax(said, dim=1).double().numpy(), none, none, none, features, seconds)
        truth = asked.fetch(rows).masks[:, 0] > 0.5
        maps = torch.sigmoid(said[:, 0])
        # One limit for all: a better one could only be chosen on the patients who are asked.
        called = maps > 0.5
        counts = [part.sum(dim=(1, 2)).numpy() for part in (called & truth, called, truth)]
        chances = slice_probabilities(maps.numpy())
        return Answers(chances, counts[0], counts[1], counts[2], features, seconds)

    def _slices(self, source: Source) -> LabelledSlices:
        targets = (WHOLE,) if self.test.task == "outline" else ()
        # One slice at a time: the distance in mm would count for neighbours only.
        return LabelledSlices(
            source.cohort, source.rows, self.test.modalities, targets, (1, 4.0), tuple(self.test.classes)
        )

    def _outline(self, logits: Tensor, batch: Labelled) -> Tensor:
        assert isinstance(self.config, SegmenterConfig)
        return segmentation_loss(self.config.loss, logits, batch.masks)

    def _classify(self, logits: Tensor, batch: Labelled) -> Tensor:
        assert isinstance(self.config, ClassifierConfig)
        return F.cross_entropy(logits, batch.classes, label_smoothing=self.config.label_smoothing)


def joined(answers: Sequence[Answers]) -> Answers:
    """Answers on several sets of slices, one after the other."""
    parts = {
        field.name: np.concatenate([getattr(one, field.name) for one in answers])
        for field in fields(Answers)
        if field.name != "seconds"
    }
    return Answers(**parts, seconds=answers[0].seconds)


def _unscored(network: object, images: int) -> tuple[float, dict[str, float], Tensor]:
    return float("nan"), {}, torch.zeros(0)
