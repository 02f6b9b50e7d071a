"""The held-out scores of a trained model, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from synthoma.evaluation.heldout.result import ClassifierScores, ModelScores, SegmenterScores
from synthoma.masks.regions import WHOLE
from synthoma.masks.result import Estimate
from synthoma.reports.model_page import estimate, lead


def model_lines(scores: ModelScores) -> Iterator[str]:
    """What matters most, for a terminal."""
    yield lead(scores)
    yield from (f"note: {text}" for text in scores.remarks)
    if scores.classifier is not None:
        yield from _of_classes(scores.classifier)
    if scores.segmenter is not None:
        yield from _of_masks(scores.segmenter)
    for one in scores.groups:
        yield f"dice by {one.by}, {one.group} ({one.patients}): {_span(one.dice)}"
    if scores.shift is not None:
        there = scores.shift
        yield f"dice on {there.cohort} ({there.patients} patients): {_span(there.dice)}"
        yield f"gap, dice here minus there: {_span(there.gap)}"


def _of_classes(found: ClassifierScores) -> Iterator[str]:
    for name in ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "auc"):
        yield f"{name.replace('_', ' '):<18} {_span(getattr(found, name))}"
    yield f"{'commonest class':<18} {found.commonest:.3f}"
    if found.inception is not None:
        yield f"{'inception score':<18} {_span(found.inception)} of 1 to {len(found.classes)}"
    width = max(map(len, found.classes))
    yield f"{'':<{width}}  " + "  ".join(f"{name:>{max(len(name), 5)}}" for name in found.classes) + "   called"
    for name, row in zip(found.classes, found.confusion, strict=True):
        cells = "  ".join(f"{count:>{max(len(title), 5)}}" for title, count in zip(found.classes, row, strict=True))
        yield f"{name:<{width}}  {cells}"


def _of_masks(found: SegmenterScores) -> Iterator[str]:
    masks = found.masks
    for region, scores in masks.regions.items():
        for name in ("dice", "iou", "precision", "recall") if region == WHOLE else ("dice",):
            if (mean := scores[name].mean) is not None:
                yield f"{name} of {region}, mean over {masks.patients} patients: {_span(mean)}"
    if found.tumour_slices is not None:
        tumour = found.tumour_slices
        yield f"dice of {tumour.slices:,} single slices with tumour: {_span(tumour.dice)}"
    yield f"slices with tumour that were marked: {_span(masks.slices.recall)}"
    yield f"slices without tumour that were left empty: {_span(masks.slices.specificity)}"
    for name, text in (("slices", "slice"), ("scans", "patient")):
        if masks.probabilities is not None and (auc := getattr(masks.probabilities, name).roc_auc).value == auc.value:
            yield f"AUC of the probability of tumour in a {text}: {_span(auc)}"


def _span(one: Estimate) -> str:
    value, interval = estimate(one)
    return f"{value} [{interval}]"
