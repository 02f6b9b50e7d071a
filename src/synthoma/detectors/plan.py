"""What a detector learns from, with what, and how it is judged: decided, and checked, before a training begins."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.cohorts.dataset import spread
from synthoma.cohorts.leaks import held_out_names, leak_error, names_of, patients_behind, source_of, trained_on
from synthoma.core.errors import ConfigError
from synthoma.core.provenance import software
from synthoma.core.seeding import stream_key
from synthoma.core.types import Float32, Ints
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.initial import start_from
from synthoma.detectors.material import check_alike, check_apart, classes_of, extra_rows, training_rows
from synthoma.detectors.segmenters.alarm import calibrations
from synthoma.detectors.segmenters.chances import Calibrations, stored_calibrations
from synthoma.detectors.segmenters.losses import Tversky, segmentation_loss
from synthoma.detectors.segmenters.networks import SeedMaskDiscriminator, SegmenterShape, build_segmenter
from synthoma.detectors.segmenters.rival import Rival
from synthoma.detectors.settings import (
    ClassifierConfig,
    ClassifierNetwork,
    SegmenterConfig,
    SegmenterNetwork,
)
from synthoma.detectors.shares import batch_counts, painted_in
from synthoma.detectors.slices import Labelled, LabelledSlices, Source, target_names
from synthoma.detectors.streamed import Stream, StreamedSlices, Wanted
from synthoma.detectors.task import SupervisedTask, Validate
from synthoma.detectors.training import DetectorTraining
from synthoma.detectors.validation import classification_judge, segmentation_judge
from synthoma.generators.gan.patches import PatchDiscriminator
from synthoma.training.device import Execution
from synthoma.training.loop import Progress
from synthoma.training.meta import ModelMeta, ModelProvenance
from synthoma.training.settings import SECTION, TrainingConfig

SHOWN = 10
"""Slices that are drawn at each snapshot."""


class DetectorPlan:
    """Everything about a training that is decided before it begins.

    Args:
        cohort: its training split is learned from, its validation split chooses snapshot and threshold, and says what a
            segmenter's figures of a scan mean.
        config: the settings.
        stream: patients who come in the course of the training, in place of the cohort's training split, which then
            holds the first of them; None where the split is learned from.

    Raises:
        InputError: the cohort has nothing to learn from, or a --with cohort does not fit it.
        ConfigError: the network cannot work on images of this size.
        LeakError: a --with cohort shows patients that this one holds out.
    """

    def __init__(self, cohort: Cohort, config: DetectorTraining, stream: Stream | None = None) -> None:
        self.cohort, self.kind, self.stream = cohort, config.kind, stream
        self.learner = config.segmenter if config.kind == "segmenter" else config.classifier
        self.modalities = cohort.modalities
        if config.model == "critic-probe" and not config.init:
            todo = "train a dcgan and give --init RUN"
            raise ConfigError("a GAN whose features are probed", "none", todo)
        self.targets = target_names(cohort) if self.kind == "segmenter" else ()
        self.start = start_from(config.init, self.kind, self.learner, cohort) if config.init else None
        if self.start is not None:
            self.learner = self.start.learner
            held = held_out_names(cohort)
            if shared := sorted(held & self.start.groups):
                raise leak_error(shared, f"what {config.init} was trained on")
        check_scale(cohort)
        if isinstance(self.learner, SegmenterConfig):
            self.learner = self.learner.fitted(cohort.size)
        if cohort.meta.plane == "sagittal":  # columns run from front to back: no head looks like its mirror image
            still = self.learner.augment.model_copy(update={"flip": 0.0})
            self.learner = self.learner.model_copy(update={"augment": still})
        # What is written down is what is used.
        self.config = config.model_copy(update={SECTION[config.kind]: self.learner})
        rows = training_rows(cohort, config, "train")
        self.classes = classes_of(cohort, rows) if self.kind == "classifier" else ()
        self.validation = training_rows(cohort, config, "validation")
        if self.classes:
            known = cohort.slices["label"].isin(self.classes).to_numpy()
            self.validation = self.validation[known[self.validation]]
        if self.learner.schedule == "plateau" and not len(self.validation):
            todo = f"prepare the cohort with a validation share, or set {SECTION[self.kind]}.schedule=constant"
            raise ConfigError("validation slices, whose score lowers the rate (schedule plateau)", "none", todo)
        self.extra = tuple(Cohort(path) for path in config.extra)
        borrowed = [extra_rows(other, self.kind, self.classes) for other in self.extra]
        for other, taken in zip(self.extra, borrowed, strict=True):
            check_alike(cohort, other)
            check_apart(cohort, other, taken)
        self.sources: list[LabelledSlices] = [self._slices(cohort, rows)]
        for other, taken in zip(self.extra, borrowed, strict=True):
            painted = painted_in(cohort, other, taken)
            # A cohort may hold both; one that was left without a slice says so, as ever.
            kinds = sorted(set(painted.tolist()), reverse=True) or [False]
            self.sources += [self._slices(other, taken[painted == kind], painted=kind) for kind in kinds]
        if self.learner.batch < len(self.sources):  # one of them would never be seen, and the model file names it
            came = f"{self.learner.batch} slices for {len(self.sources)} kinds of slices"
            todo = f"set {SECTION[self.kind]}.batch={len(self.sources)} or more, or leave a --with cohort out"
            raise ConfigError("batches with a slice of each cohort, and of painted ones beside others", came, todo)
        self.streamed = self._streamed(stream, config.classes) if stream is not None else None
        self.shape = SegmenterShape(cohort.size, len(cohort.modalities), len(self.targets))
        self.network("cpu")  # says now if the size does not fit

    def _streamed(self, patients: Stream, labels: tuple[str, ...] | None) -> StreamedSlices:
        """The stream's slices, given as the cohort's own are."""
        if self.learner.batch > (most := patients.mixed * patients.per_patient):
            came = f"{self.learner.batch} of {patients.mixed} patients, {patients.per_patient} of each"
            todo = f"ask for more patients at once in the address (mixed={patients.mixed + 32}), or smaller batches"
            raise ConfigError(f"batches of at most {most} slices", came, todo)
        own = self.sources[0]
        seen = (self.learner.context, self.learner.context_mm)
        wanted = Wanted(self.modalities, own.targets, seen, self.classes, own.scale, labels)
        return StreamedSlices(patients, wanted, by_patient=self.learner.draw == "patients")

    def _slices(self, cohort: Cohort, rows: Ints, *, painted: bool = False) -> LabelledSlices:
        """Slices to learn from."""
        return LabelledSlices(
            cohort,
            rows,
            self.modalities,
            self.targets,
            (self.learner.context, self.learner.context_mm),
            self.classes,
            by_patient=self.learner.draw == "patients",
            scale=self.learner.scale,
            painted=painted,
        )

    def within(self, budget: TrainingConfig) -> DetectorPlan:
        """The same plan with the budget of these settings."""
        plan = copy.copy(self)
        plan.config = self.config.model_copy(update={"minutes": budget.minutes, "images": budget.images})
        return plan

    def network(self, device: str) -> nn.Module:
        """The network as it begins."""
        torch.manual_seed(stream_key(self.config.seed, "training.weights") % 2**63)
        if isinstance(self.learner, SegmenterConfig):
            network = build_segmenter(self.learner, self.shape)
        else:
            network = build_classifier(self.learner, self.shape.size, self.shape.channels, len(self.classes))
        if self.start is not None:
            self.start.load(network)
        return network.to(device)

    def task(self, execution: Execution, validate: Validate) -> SupervisedTask:
        """The training, ready for the loop."""
        network = self.network(execution.device)
        rival = _rival(self.learner, self.shape, execution) if isinstance(self.learner, SegmenterConfig) else None
        criterion = self._outline if self.kind == "segmenter" else self._classify
        channels = len(self.modalities)
        sources: list[Source] = [self.streamed or self.sources[0], *self.sources[1:]]
        return SupervisedTask(
            self.learner, self.config.seed, network, sources, channels, execution, criterion, validate, rival
        )

    def _outline(self, logits: Tensor, batch: Labelled) -> Tensor:
        assert isinstance(self.learner, SegmenterConfig)
        told = self.learner
        weights = Tversky(told.tversky_alpha, told.tversky_gamma, told.tversky_smooth)
        return told.supervised * segmentation_loss(told.loss, logits, batch.masks, weights)

    def _classify(self, logits: Tensor, batch: Labelled) -> Tensor:
        assert isinstance(self.learner, ClassifierConfig)
        # Weights follow what batches show, extra cohorts included, not what the cohort holds.
        weight = torch.from_numpy(self.class_weights()).to(logits) if self.learner.balance else None
        return F.cross_entropy(logits, batch.classes, weight, label_smoothing=self.learner.label_smoothing)

    def class_weights(self) -> Float32:
        """Weight of each class in the loss (K,), so that rare classes of a batch weigh as much as common ones."""
        counts = batch_counts([source.painted for source in self.sources], self.learner)
        drawn = [source.class_shares(len(self.classes), self.learner.tumour_share) for source in self.sources]
        shares = np.average(drawn, axis=0, weights=counts)
        # A class that is hardly ever drawn must not take over the loss by one slice.
        # Over the number of classes too: the mean weight of what is drawn is 1, and the loss keeps its scale.
        return np.asarray(1 / (len(shares) * np.maximum(shares, 1e-3)), np.float32)

    def judge(self, execution: Execution, sheet: Callable[[int, Ints, Tensor], None]) -> Validate:
        """What judges the network at a snapshot."""
        own = self.sources[0]
        if self.kind == "classifier":
            return classification_judge(own, self.validation, execution)
        # Only to look at: without validation patients the sheet shows slices that are learned from.
        pool = self.validation if len(self.validation) else own.rows
        ill = pool[own.tumour[pool]]
        return segmentation_judge(own, self.validation, spread(ill if len(ill) else pool, SHOWN), execution, sheet)

    def calibrated(self, weights: dict[str, Tensor], execution: Execution) -> Calibrations:
        """When the finished segmenter says "tumour", by the validation patients; nothing where there are none."""
        if self.kind != "segmenter" or not len(self.validation):
            return {}
        network = self.network("cpu")
        network.load_state_dict(weights)
        placed: nn.Module = network.to(execution.device).to(memory_format=execution.memory_format)  # type: ignore[call-overload]
        seen = (self.learner.context, self.learner.context_mm)
        scale = self.learner.scale
        slices = LabelledSlices(self.cohort, self.validation, self.modalities, self.targets, seen, scale=scale)
        return calibrations(
            placed.eval(),
            {"scan": slices, "picture": slices},
            execution,
            modalities=self.modalities,
            any_subset=self.any_subset,
            mirrored=self.cohort.meta.plane != "sagittal",
        )

    @property
    def any_subset(self) -> bool:
        """Whether the network learns to do without some modalities."""
        return len(self.modalities) > 1 and self.learner.modality_dropout > 0

    def meta(self, progress: Progress, found: Tensor, known: Calibrations) -> ModelMeta:
        """What the model file says of itself: all that is needed to use it, and where it came from."""
        network = SegmenterNetwork if self.kind == "segmenter" else ClassifierNetwork
        own = self.sources[0]
        inherited = set(self.start.groups) if self.start is not None else set()
        for source in self.sources:
            inherited |= patients_behind(source.cohort)
        for source in self.sources[1:]:
            inherited |= names_of(source.cohort, source.rows) if source.cohort.origin == "real" else set()
        classes = sorted(set(self.cohort.slices["label"].iloc[own.rows]))
        return ModelMeta(
            kind=self.kind,
            model=self.config.model,
            network=self.learner.model_dump(mode="json", include=set(network.model_fields)),
            shape=asdict(self.shape),
            modalities=self.modalities,
            targets=self.targets,
            threshold=tuple(round(float(value), 4) for value in found),
            **({"calibration": stored_calibrations(known)} if known else {}),
            classes=self.classes,
            step_mm=self.learner.context_mm,
            any_subset=self.any_subset,
            plane=self.cohort.meta.plane,
            prepare=self.cohort.meta.provenance.config,
            images=progress.best_images or progress.images,
            validation=None if np.isinf(progress.best) else round(progress.best, 5),
            provenance=ModelProvenance(
                # Paths are the user's own business.
                config={key: value for key, value in self.config.own().items() if key not in ("extra", "init")},
                **({"init_sha256": self.start.digest} if self.start is not None else {}),
                cohort=source_of(self.cohort),
                with_=tuple(source_of(other) for other in self.extra),
                **self._came(progress),
                trained_on=trained_on(len(own), classes, names_of(self.cohort, own.rows), inherited)
                if self.stream is None
                else trained_on(0, classes, (), inherited),  # simulated patients are nobody
                software=dict(software()),
            ),
        )

    def _came(self, progress: Progress) -> dict[str, Any]:
        """Who came in the course of a training, as the model file says it; nothing where nobody did."""
        if self.stream is None:
            return {}
        drawn = max(progress.step - 1, 0) * batch_counts([source.painted for source in self.sources], self.learner)[0]
        return {"stream": self.stream.address, "streamed": drawn // self.stream.per_patient + self.stream.mixed}


def _rival(config: SegmenterConfig, shape: SegmenterShape, execution: Execution) -> Rival | None:
    """The discriminator of an adversarial segmenter; None where there is none."""
    if not config.adversarial:
        return None
    channels = shape.targets + config.context * shape.channels * config.critic_sees_image
    critic = SeedMaskDiscriminator(channels) if config.critic == "mask-seed" else PatchDiscriminator(channels)
    return Rival(
        critic,
        config.adversarial,
        config.critic_rate,
        config.label_smoothing,
        sees_image=config.critic_sees_image,
        device=execution.device,
        aim=config.target_smoothing,
        shown=config.critic_masks,
        scale=config.scale,
    )
