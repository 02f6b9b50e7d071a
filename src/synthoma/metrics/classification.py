"""Scores of yes/no answers, of rankings and of many classes, through scikit-learn.

What is not defined, because only one class is there or nothing was called positive, is nan and never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn import metrics as sk

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Floats, Ints

# A score that is not defined must not count as 0: means over classes and intervals leave nan out.
NAN = float("nan")


def binary_scores(truth: Array, predicted: Array) -> dict[str, float]:
    """Scores of yes/no answers.

    Args:
        truth: (N,) of 0 and 1.
        predicted: (N,) of 0 and 1.

    Returns:
        accuracy, balanced_accuracy, precision, recall, specificity, f1 and f1_macro, 0..1 or nan.

    Raises:
        InputError: two lengths, or other values.
    """
    real, called = _answers(truth), _answers(predicted)
    _alike(real, called)
    tn, fp, fn, tp = confusion(real, called, (0, 1)).ravel().tolist()
    return scores_of_counts(tp=tp, fp=fp, fn=fn, tn=tn)


def scores_of_counts(*, tp: int, fp: int, fn: int, tn: int) -> dict[str, float]:
    """As `binary_scores`, from the numbers of answers: yes and right, yes and wrong, no and wrong, no and right."""
    recall, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    # F1 of "yes", and of "no" as if that were looked for.
    halves = [_ratio(2 * hit, 2 * hit + fp + fn) for hit in (tp, tn)]
    return {
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn),
        # nan where either is: the one that is left would be another score.
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": _ratio(tp, tp + fp),
        "recall": recall,
        "specificity": specificity,
        "f1": halves[0],
        "f1_macro": _mean(halves),
    }


def ranking_scores(truth: Array, scores: Floats) -> dict[str, float]:
    """Scores of a probability or any number that should be higher where the answer is yes.

    Args:
        truth: (N,) of 0 and 1.
        scores: (N,), finite.

    Returns:
        roc_auc; pr_auc as average precision (its chance level is the share of positives);
        sensitivity_at_95_specificity; all 0..1 or nan.

    Raises:
        InputError: two lengths, a truth of other values, or scores that are not finite.
    """
    real, values = _answers(truth), _finite(scores)
    _alike(real, values)
    if len(np.unique(real)) < 2:
        return {"roc_auc": NAN, "pr_auc": NAN, "sensitivity_at_95_specificity": NAN}
    return {
        "roc_auc": float(sk.roc_auc_score(real, values)),
        "pr_auc": float(sk.average_precision_score(real, values)),
        "sensitivity_at_95_specificity": sensitivity_at(real, values, specificity=0.95),
    }


def weighted_ranking(truth: Array, scores: Floats) -> Callable[[Array], dict[str, float]]:
    """As `ranking_scores` when each image counts several times or not at all, as in a bootstrap.

    Scores are sorted once, so that a draw costs a few sums: some fifty times less than sorting it anew.

    Args:
        truth: (N,) of 0 and 1.
        scores: (N,), finite.

    Returns:
        A function of how often each image counts, (N,), 0 or more.

    Raises:
        InputError: as `ranking_scores`.
    """
    real, values = _answers(truth), _finite(scores)
    _alike(real, values)
    # Stable, so that images of one score keep their order and a draw gives the same sums on every machine.
    order = np.argsort(-values, kind="stable")
    # A threshold takes all images of one score or none: only the last of equals ends a step.
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True)) if len(values) else np.zeros(0, dtype=np.int64)
    yes = real[order]

    def scored(weights: Array) -> dict[str, float]:
        counted = np.asarray(weights, dtype=np.float64)[order]
        # From a threshold above all scores on, which calls nothing: the curve has to begin at (0, 0).
        found, alarms = (np.append(0.0, np.cumsum(counted * side)[ends]) for side in (yes, 1 - yes))
        if not (found[-1] and alarms[-1]):
            return {"roc_auc": NAN, "pr_auc": NAN, "sensitivity_at_95_specificity": NAN}
        sensitivity, miss = found / found[-1], alarms / alarms[-1]
        # A draw may leave out all images of the highest scores. Nothing is called yet there: 0 / 0, and a step of no
        # width.
        precision = found / np.maximum(found + alarms, 1e-300)
        return {
            "roc_auc": float((np.diff(miss) * (sensitivity[1:] + sensitivity[:-1]) / 2).sum()),
            # A sum of steps, as scikit-learn has it: straight lines between points of this curve are too kind (Davis
            # and Goadrich 2006).
            "pr_auc": float((np.diff(sensitivity) * precision[1:]).sum()),
            # An alarm rate of exactly 5 % passes, whatever rounding made of it.
            "sensitivity_at_95_specificity": float(sensitivity[miss <= 0.05 + 1e-12].max()),
        }

    return scored


def sensitivity_at(truth: Array, scores: Floats, *, specificity: float = 0.95) -> float:
    """Largest share of positives found by a threshold that clears at least this share of negatives.

    Only thresholds that the scores themselves offer are used: nothing is interpolated.

    Args:
        truth: (N,) of 0 and 1.
        scores: (N,), finite.
        specificity: 0..1.

    Returns:
        0..1, or nan where one of the classes is absent.
    """
    real, values = _answers(truth), _finite(scores)
    _alike(real, values)
    if len(np.unique(real)) < 2:
        return NAN
    # scikit-learn drops thresholds on straight parts of the curve by default. The best that is allowed may be one of
    # them.
    false_alarms, found, _ = sk.roc_curve(real, values, drop_intermediate=False)
    return float(found[false_alarms <= 1 - specificity + 1e-12].max())


def multiclass_scores(truth: Array, probabilities: Floats, classes: Sequence[str]) -> dict[str, object]:
    """Scores of a choice among many classes; the class of the highest probability is chosen.

    Args:
        truth: (N,) places in ``classes``.
        probabilities: (N, K), finite.
        classes: K names.

    Returns:
        accuracy; balanced_accuracy over classes that the truth has; precision_macro, recall_macro and f1_macro over
        classes for which they are defined; auc (class -> one versus rest) and auc_macro; confusion (K x K, truth down).

    Raises:
        InputError: shapes or values that do not fit.
    """
    values = _finite(probabilities)
    real = np.asarray(truth)
    places = np.arange(len(classes))
    if values.ndim != 2 or values.shape != (len(real), len(classes)) or not np.isin(real, places).all():
        came = f"probabilities {values.shape} for {len(real)} answers"
        raise InputError(f"one probability for each of {len(classes)} classes", came, "check the order of the classes")
    chosen = values.argmax(axis=1) if values.size else np.zeros(0, dtype=np.int64)
    table = confusion(real, chosen, places.tolist())
    hits, there, called = np.diag(table).tolist(), table.sum(axis=1).tolist(), table.sum(axis=0).tolist()
    recalls = [_ratio(hit, of) for hit, of in zip(hits, there, strict=True)]
    sums = [first + second for first, second in zip(there, called, strict=True)]
    areas = {name: ranking_scores(real == at, values[:, at])["roc_auc"] for at, name in enumerate(classes)}
    return {
        "accuracy": _ratio(sum(hits), len(real)),
        # With one class alone, always naming it would be perfect.
        "balanced_accuracy": _mean(recalls) if np.count_nonzero(there) > 1 else NAN,
        "precision_macro": _mean([_ratio(hit, of) for hit, of in zip(hits, called, strict=True)]),
        "recall_macro": _mean(recalls),
        "f1_macro": _mean([_ratio(2 * hit, of) for hit, of in zip(hits, sums, strict=True)]),
        "auc": areas,
        "auc_macro": _mean(list(areas.values())),
        "confusion": table.tolist(),
    }


def weighted_classes(truth: Array, probabilities: Floats, classes: int) -> Callable[[Array], dict[str, float]]:
    """As `multiclass_scores` when each image counts several times or not at all, as in a bootstrap; and by class.

    Args:
        truth: (N,) numbers of classes, from 0.
        probabilities: (N, classes), finite; the class of the highest is called.
        classes: how many.

    Returns:
        A function of how often each image counts, (N,), 0 or more. It gives accuracy, balanced_accuracy,
        precision_macro, recall_macro, f1_macro and auc_macro, and of each class k precision.k, recall.k, f1.k and auc.k
        (one versus rest); 0..1 or nan.

    Raises:
        InputError: shapes or values that do not fit.
    """
    values, real = _finite(probabilities), np.asarray(truth)
    if values.ndim != 2 or values.shape != (len(real), classes) or not np.isin(real, np.arange(classes)).all():
        came = f"probabilities {values.shape} for {len(real)} answers"
        raise InputError(f"one probability for each of {classes} classes", came, "check the order of the classes")
    # One number for each pair of true and called class: a single `bincount` then fills the table.
    cell = real.astype(np.int64) * classes + (values.argmax(axis=1) if values.size else np.zeros(0, np.int64))
    rankings = [weighted_ranking((real == k).astype(np.int64), values[:, k]) for k in range(classes)]

    def scored(weights: Array) -> dict[str, float]:
        counted = np.asarray(weights, dtype=np.float64)
        # Weighted counts of the whole table in one pass: a bootstrap comes here some thousand times.
        table = np.bincount(cell, counted, classes * classes).reshape(classes, classes)
        hits, there, called = np.diag(table).tolist(), table.sum(axis=1).tolist(), table.sum(axis=0).tolist()
        each = {
            "precision": [_ratio(hit, of) for hit, of in zip(hits, called, strict=True)],
            "recall": [_ratio(hit, of) for hit, of in zip(hits, there, strict=True)],
            "f1": [_ratio(2 * hit, a + b) for hit, a, b in zip(hits, there, called, strict=True)],
            "auc": [ranking(counted)["roc_auc"] for ranking in rankings],
        }
        several = np.count_nonzero(there) > 1
        return {
            "accuracy": _ratio(sum(hits), sum(there)),
            "balanced_accuracy": _mean(each["recall"]) if several else NAN,
            **{f"{name}_macro": _mean(found) for name, found in each.items()},
            **{f"{name}.{k}": value for name, found in each.items() for k, value in enumerate(found)},
        }

    return scored


def confusion(truth: Array, predicted: Array, classes: Sequence[int]) -> Ints:
    """Numbers (K, K): row is the true class, column the one that was called; (0, 1) gives tn, fp / fn, tp."""
    if not len(truth):
        return np.zeros((len(classes), len(classes)), dtype=np.int64)
    return np.asarray(sk.confusion_matrix(truth, predicted, labels=list(classes)), dtype=np.int64)


def _answers(values: Array) -> Ints:
    answers = np.asarray(values)
    if answers.ndim != 1 or not np.isin(answers, (0, 1)).all():
        raise InputError("answers of 0 and 1, one an image", f"{_in_words(answers)}", "turn them into 0 and 1 first")
    return answers.astype(np.int64)


def _finite(values: Array) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if bad := int(np.count_nonzero(~np.isfinite(numbers))):
        raise InputError("finite scores", f"{bad} of {numbers.size} that are not", "leave these images out")
    return numbers


def _alike(truth: Array, other: Array) -> None:
    if truth.shape != other.shape:
        came = f"{truth.shape} and {other.shape}"
        raise InputError("one answer for each image", came, "score the same images in the same order")


def _in_words(values: Array) -> str:
    return ", ".join(f"{value}" for value in np.unique(values)[:5].tolist()) + f" in an array {values.shape}"


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def _mean(values: Sequence[float]) -> float:
    """Mean of what is defined."""
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else NAN
