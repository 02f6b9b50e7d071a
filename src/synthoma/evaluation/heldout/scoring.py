"""A trained segmenter or classifier on patients whom it did not learn from: what may be scored, and the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.leaks import source_of
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.progress import Progress, silent
from synthoma.core.provenance import software
from synthoma.core.types import Floats, Ints
from synthoma.evaluation.heldout.asking import Asked, check_kind, check_unseen, opened, rows_of
from synthoma.evaluation.heldout.classifier import classifier_scores
from synthoma.evaluation.heldout.group_result import Shift
from synthoma.evaluation.heldout.groups import group_scores
from synthoma.evaluation.heldout.result import (
    ClassifierScores,
    HeldOutSettings,
    ModelScores,
    ScoredModel,
    ScoredSlices,
    SegmenterScores,
)
from synthoma.evaluation.heldout.segmenter import segmenter_scores
from synthoma.evaluation.heldout.settings import HeldOutConfig
from synthoma.evaluation.heldout.shift import shift_to
from synthoma.masks.result import Estimate, Provenance
from synthoma.masks.scores import NOT_CLINICAL
from synthoma.metrics.inception import inception_interval
from synthoma.metrics.intervals import DRAWS
from synthoma.training.bundle import Bundle
from synthoma.training.device import choose_device
from synthoma.training.meta import ModelMeta

BLOCK = 256
"""Slices between two reports of progress."""

FEW = 6
"""Patients below which an interval says little."""


def score_model(
    cohort: Cohort,
    bundle: Bundle,
    config: HeldOutConfig,
    *,
    device: str = "auto",
    seed: int = 0,
    draws: int = DRAWS,
    progress: Progress = silent,
) -> ModelScores:
    """Score a trained segmenter or classifier.

    Args:
        cohort: prepared as the model's own was; its test split is scored, or what ``config.part`` names.
        bundle: the model.
        config: what is scored.
        device: "cpu", "cuda", "mps" or "auto".
        seed: of the bootstrap.
        draws: of the bootstrap, over patients.
        progress: told how far it is.

    Raises:
        InputError: no such slices, or slices that the model was not made for.
        ConfigError: a generator, or no such device.
        LeakError: slices of patients whom the model learned from.
    """
    meta = bundle.meta
    check_kind(meta)
    if meta.kind != "segmenter" and (config.by or config.against is not None):
        came = f"the {meta.kind} {meta.model}"
        raise ConfigError("a segmenter where groups or another cohort are given", came, "leave them out")
    found = _Scored.of(cohort, bundle, config, device, (draws, seed), progress)
    more: dict[str, object] = {}
    if config.by:
        of_masks = found.of_segmenter
        assert of_masks is not None, "a segmenter"
        more["groups"] = group_scores(of_masks.masks, config.by, found.asked, meta, cohort, found.rows, progress)
    if config.against is not None:
        more["shift"] = _shift(found, bundle, config, device, (draws, seed), progress)
    scores = ModelScores(
        version="synthoma.model-scores/1",
        not_for_clinical_use=NOT_CLINICAL,
        model=ScoredModel(
            name=meta.model,
            kind="segmenter" if meta.kind == "segmenter" else "classifier",
            sha256=bundle.digest,
            origin=meta.provenance.cohort.origin,
            learned_from=len(meta.provenance.trained_on.groups),
        ),
        scored=found.slices,
        classifier=found.of_classifier,
        segmenter=found.of_segmenter,
        remarks=(*found.remarks, *_reservations(bundle, cohort, found.slices)),
        settings=HeldOutSettings(level=0.95, draws=draws, seed=seed, mirrored=found.asked.mirrored),
        provenance=Provenance(software=software()),
    )
    # What nobody asked for is left out of the file.
    return scores.model_copy(update=more) if more else scores


@dataclass(frozen=True)
class _Scored:
    """The scores of one cohort, and what was scored."""

    rows: Ints
    remarks: list[str]
    asked: Asked
    slices: ScoredSlices
    of_classifier: ClassifierScores | None
    of_segmenter: SegmenterScores | None

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        bundle: Bundle,
        config: HeldOutConfig,
        device: str,
        bootstrap: tuple[int, int],
        progress: Progress,
    ) -> _Scored:
        """Ask the model about the slices of a part; ``bootstrap`` are draws and seed."""
        meta, (draws, seed) = bundle.meta, bootstrap
        if cohort.origin == "synthetic" and config.part == "test":  # nobody's slices: none is held out
            config = config.model_copy(update={"part": "all"})
        rows = rows_of(cohort, config.part)
        # Of all slices of the part, and before any is looked at: whether there is a leak does not depend on masks.
        check_unseen(bundle, cohort, rows)
        kept, remarks = _scorable(meta, cohort, rows, config.part)
        asked = opened(bundle, cohort, kept, choose_device(device))
        scored = _slices(cohort, config, kept, len(rows) - len(kept))
        if meta.kind == "segmenter":
            masks = segmenter_scores(asked, meta, cohort, kept, draws=draws, seed=seed, progress=progress)
            return cls(kept, remarks, asked, scored, None, masks)
        groups = cohort.slices["group"].iloc[kept].astype(str).to_numpy()
        truth: Ints = asked.slices.classes[kept].astype(np.int64)
        said = _told(asked, kept, progress)
        of_classifier = classifier_scores(truth, said, groups, meta.classes, draws=draws, seed=seed)
        if cohort.origin == "synthetic":
            clear = inception_interval(said, groups=groups.tolist(), draws=draws, seed=seed)
            of_classifier = of_classifier.model_copy(update={"inception": Estimate.of(clear)})
        return cls(kept, remarks, asked, scored, of_classifier, None)


def _shift(
    here: _Scored, bundle: Bundle, config: HeldOutConfig, device: str, bootstrap: tuple[int, int], progress: Progress
) -> Shift:
    """The gap to another cohort, every slice of which is scored."""
    assert config.against is not None, "another cohort"
    other = Cohort(config.against)
    # All of it: another source has no split that this model knows of, and leaks are searched there too.
    whole = config.model_copy(update={"part": "all"})
    there = _Scored.of(other, bundle, whole, device, bootstrap, progress)
    assert here.of_segmenter is not None, "a segmenter"
    assert there.of_segmenter is not None, "a segmenter"
    return shift_to(here.of_segmenter, there.of_segmenter, cohort=there.slices.cohort, origin=there.slices.origin)


def _slices(cohort: Cohort, config: HeldOutConfig, kept: Ints, left_out: int) -> ScoredSlices:
    """What is scored, in words and numbers."""
    source = source_of(cohort)
    return ScoredSlices(
        cohort=cohort.path.resolve().name,
        origin=cohort.origin,
        slices_sha256=source.slices_sha256,
        images_sha256=source.images_sha256,
        part=config.part,
        slices=len(kept),
        groups=cohort.slices["group"].iloc[kept].nunique(),
        left_out=left_out,
    )


def _told(asked: Asked, rows: Ints, progress: Progress) -> Floats:
    """Probabilities of the classes, some slices at a time."""
    parts = []
    for start in range(0, len(rows), BLOCK):
        progress("classifying slices", start, len(rows))
        parts.append(asked.classes(rows[start : start + BLOCK]))
    progress("classifying slices", len(rows), len(rows))
    return np.concatenate(parts)


def _scorable(meta: ModelMeta, cohort: Cohort, rows: Ints, part: str) -> tuple[Ints, list[str]]:
    """Those of the slices that have an answer, and what is to be said of the others.

    Raises:
        InputError: none has.
    """
    table = cohort.slices.iloc[rows]
    if meta.kind == "segmenter":
        if not cohort.tumour_labels:
            raise InputError("a cohort with masks", "one without", "prepare scans with masks")
        has = table["has_mask"].fillna(0).astype(bool) if "has_mask" in table else table["case"].notna()
        why = "without a mask"
    else:
        has, why = table["label"].isin(meta.classes), f"of another class than {', '.join(meta.classes)}"
    keep = has.to_numpy(bool)
    if not keep.any():
        came = f"{len(rows):,} {why} ({', '.join(sorted(set(table['label'])))})"
        raise InputError(f"{part} slices that {meta.model} can be scored on", came, "check both with `synthoma info`")
    left = int((~keep).sum())
    return rows[keep], [f"{left:,} slices {why} are left out"] if left else []


def _reservations(bundle: Bundle, cohort: Cohort, scored: ScoredSlices) -> list[str]:
    """What a reader must know before trusting the figures."""
    found, meta = [], bundle.meta
    if not meta.provenance.trained_on.groups:
        found.append("the model does not say whom it learned from: that it saw these patients cannot be ruled out")
    if scored.part == "validation":
        found.append("the validation split chose snapshot and threshold: these figures flatter the model")
    if cohort.origin == "synthetic" and meta.kind == "classifier":
        found.append(
            "these are synthetic slices: accuracy is obedience, the share that this classifier takes for the class "
            "that was asked for. Its accuracy on held-out real slices says how much of that it can see"
        )
    if scored.groups < FEW:
        found.append(f"{scored.groups} patients or groups: intervals over so few say little")
    if meta.provenance.cohort.origin not in ("", cohort.origin):
        found.append(f"the model learned from {meta.provenance.cohort.origin} slices, these are {cohort.origin}")
    if not cohort.meta.provenance.config:
        found.append("the cohort does not say how it was prepared: that must be as the model's own cohort was")
    return found
