"""The page of a trained model's held-out scores: of a classifier its classes, of a segmenter its masks."""

from __future__ import annotations

from synthoma.evaluation.heldout.result import ClassifierScores, ModelScores, SegmenterScores
from synthoma.masks.result import Estimate
from synthoma.reports.figures import Span, spans
from synthoma.reports.page import render
from synthoma.reports.scores_page import Heading, scores_page

NONE = "\N{EN DASH}"
MEASURES = {
    "accuracy": "of all slices, so many were called right",
    "balanced_accuracy": "mean recall of the classes that are there",
    "precision": "mean over classes: of the slices called so, so many are",
    "recall": "mean over classes: of the slices that are, so many were called so",
    "f1": "mean over classes of the harmonic mean of both",
    "auc": "mean over classes of one against the rest; 0.5 is guessing",
}


def model_page(scores: ModelScores) -> str:
    """The whole page as HTML text."""
    name = f"{scores.model.name} on {scores.scored.cohort}"
    if scores.segmenter is not None:
        return scores_page(scores.segmenter.masks.content(), _heading(scores, scores.segmenter, name))
    assert scores.classifier is not None
    return _classes_page(scores, scores.classifier, name)


def lead(scores: ModelScores) -> str:
    """What was scored, in a sentence or two."""
    scored = scores.scored
    which = "all slices" if scored.part == "all" else f"the {scored.part} split"
    learned = f", which learned from {scores.model.origin} slices," if scores.model.origin else ""
    return (
        f"The {scores.model.kind} {scores.model.name}{learned} on {which} of {scored.cohort}: "
        f"{scored.slices:,} {scored.origin} slices of {scored.groups:,} patients or groups. It names none of them "
        "among those it learned from."
    )


def _heading(scores: ModelScores, found: SegmenterScores, name: str) -> Heading:
    kinds = {"with tumour": found.tumour_slices, "all": found.all_slices}
    slices = {title: one.model_dump(mode="json") for title, one in kinds.items() if one is not None}
    groups = [one.model_dump(mode="json") for one in scores.groups]
    shift = None if scores.shift is None else scores.shift.model_dump(mode="json")
    return Heading(f"Held-out scores of {name}", lead(scores), scores.remarks, slices, groups, shift)


def _classes_page(scores: ModelScores, found: ClassifierScores, name: str) -> str:
    names = {"f1": "F1", "auc": "AUC"}
    rows = [
        (names.get(measure, measure.replace("_", " ")), hint, estimate(getattr(found, measure)))
        for measure, hint in MEASURES.items()
    ]
    if found.inception is not None:
        hint = f"clear and various classes: 1 for none, {len(found.classes)} for all, each as often"
        rows.append(("inception score", hint, estimate(found.inception)))
    recalls = [
        Span(title, one.recall.value, *_ends(one.recall))
        for title, one in found.per_class.items()
        if one.recall.value == one.recall.value
    ]
    return render(
        "model_scores.html",
        title=f"Held-out scores of {name}",
        scores=scores,
        lead=lead(scores),
        cards=[
            (*estimate(found.balanced_accuracy), "balanced accuracy"),
            (*estimate(found.accuracy), "accuracy"),
            (*estimate(found.f1), "F1, mean over classes"),
            (*estimate(found.auc), "AUC, mean over classes"),
        ],
        commonest=f"{found.commonest:.3f}",
        measures=rows,
        recalls=spans(recalls, "recall of each class, with its interval"),
        confusion=[
            (title, [(count, count / sum(row) if sum(row) else 0.0) for count in row])
            for title, row in zip(found.classes, found.confusion, strict=True)
        ],
        classes=[
            (title, one, [estimate(part) for part in (one.precision, one.recall, one.f1, one.auc)])
            for title, one in found.per_class.items()
        ],
    )


def estimate(one: Estimate) -> tuple[str, str]:
    """A figure and its interval as text; a dash where there is none."""
    if one.value != one.value:
        return NONE, NONE
    low, high = _ends(one)
    return f"{one.value:.3f}", NONE if low is None else f"{low:.3f} to {high:.3f}"


def _ends(one: Estimate) -> tuple[float | None, float | None]:
    return (None, None) if one.low != one.low else (one.low, one.high)
