from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthoma.core.errors import InputError
from synthoma.metrics.classification import (
    binary_scores,
    confusion,
    multiclass_scores,
    ranking_scores,
    scores_of_counts,
    sensitivity_at,
    weighted_classes,
    weighted_ranking,
)


def test_binary_scores_by_hand() -> None:
    # 3 right yes, 1 wrong yes, 2 missed, 4 right no
    truth, predicted = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0]), np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    expected = {
        "accuracy": 0.7,
        "balanced_accuracy": (3 / 5 + 4 / 5) / 2,
        "precision": 3 / 4,
        "recall": 3 / 5,
        "specificity": 4 / 5,
        "f1": 6 / 9,
        "f1_macro": (6 / 9 + 8 / 11) / 2,
    }
    assert binary_scores(truth, predicted) == pytest.approx(expected)
    assert scores_of_counts(tp=3, fp=1, fn=2, tn=4) == pytest.approx(expected)
    assert confusion(truth, predicted, (0, 1)).tolist() == [[4, 1], [2, 3]]


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_binary_scores_against_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    from sklearn import metrics as sk

    truth, predicted = np.array(pairs, dtype=int).T
    found = binary_scores(truth, predicted)
    nan = {"zero_division": np.nan}
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, predicted))
    assert found["precision"] == pytest.approx(sk.precision_score(truth, predicted, **nan), nan_ok=True)
    assert found["recall"] == pytest.approx(sk.recall_score(truth, predicted, **nan), nan_ok=True)
    assert found["f1"] == pytest.approx(sk.f1_score(truth, predicted, **nan), nan_ok=True)
    macro = sk.f1_score(truth, predicted, average="macro", labels=[0, 1], **nan)
    assert found["f1_macro"] == pytest.approx(macro)
    if len(set(truth)) == 2:
        assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
    else:
        assert np.isnan(found["balanced_accuracy"])


def test_auc_is_the_share_of_pairs_in_order() -> None:
    draws = np.random.default_rng(0)
    truth, scores = draws.integers(0, 2, 60), draws.integers(0, 8, 60) / 8  # many ties, which count half
    pairs = list(itertools.product(scores[truth == 1], scores[truth == 0]))
    expected = np.mean([(yes > no) + 0.5 * (yes == no) for yes, no in pairs])
    assert ranking_scores(truth, scores)["roc_auc"] == pytest.approx(expected)
    assert ranking_scores(truth, -scores)["roc_auc"] == pytest.approx(1 - expected)


def test_average_precision_by_hand() -> None:
    # Ranked: yes, no, yes, no: precision 1 at the first half of the positives, 2/3 at the second.
    found = ranking_scores(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]))
    assert found["pr_auc"] == pytest.approx((1 + 2 / 3) / 2)
    draws = np.random.default_rng(1)
    chance = ranking_scores(draws.random(20_000) < 0.1, draws.random(20_000))
    assert chance["pr_auc"] == pytest.approx(0.1, abs=0.02)
    assert chance["roc_auc"] == pytest.approx(0.5, abs=0.03)


def test_sensitivity_at_a_specificity_by_trying_every_threshold() -> None:
    draws = np.random.default_rng(2)
    truth = draws.integers(0, 2, 300)
    scores = np.round(draws.normal(size=300) + 1.5 * truth, 1)
    for specificity in (0.8, 0.95, 1.0):
        found = [
            (scores[truth == 1] >= threshold).mean()
            for threshold in [*scores, np.inf]
            if (scores[truth == 0] < threshold).mean() >= specificity
        ]
        assert sensitivity_at(truth, scores, specificity=specificity) == pytest.approx(max(found))
    assert ranking_scores(truth, scores)["sensitivity_at_95_specificity"] == sensitivity_at(truth, scores)


@pytest.mark.parametrize("truth", [[], [0, 0, 0], [1, 1]])
def test_what_is_not_defined_is_nan(truth: list[int]) -> None:
    answers, scores = np.array(truth, dtype=int), np.linspace(0, 1, len(truth))
    assert all(np.isnan(value) for value in ranking_scores(answers, scores).values())
    assert np.isnan(sensitivity_at(answers, scores))
    found = binary_scores(answers, np.zeros_like(answers))
    assert np.isnan(found["balanced_accuracy"])
    assert np.isnan(found["precision"])  # nothing was called positive
    assert np.isnan(found["f1"]) == (1 not in truth)


# --- many classes ---------------------------------------------------------------------------------------------

CLASSES = ("glioma", "meningioma", "none")


def test_multiclass_scores_by_hand() -> None:
    truth = np.array([0, 0, 1, 1, 2, 2])
    chosen = [0, 1, 1, 1, 2, 0]
    probabilities = np.full((6, 3), 0.1)
    probabilities[range(6), chosen] = 0.8
    found = multiclass_scores(truth, probabilities, CLASSES)
    assert found["confusion"] == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == found["recall_macro"] == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert found["precision_macro"] == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert found["f1_macro"] == pytest.approx((2 / 4 + 4 / 5 + 2 / 3) / 3)
    # One versus rest of glioma: yes .8 .1, no .1 .1 .1 .8: of 8 pairs 3 in order, 4 equal.
    assert found["auc"]["glioma"] == pytest.approx((3 + 0.5 * 4) / 8)
    assert found["auc_macro"] == pytest.approx(np.mean(list(found["auc"].values())))


def test_a_class_that_nobody_has_does_not_spoil_the_means() -> None:
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.2, 0.8, 0], [0.1, 0.9, 0]])
    found = multiclass_scores(truth, probabilities, CLASSES)
    assert np.isnan(found["auc"]["none"])
    assert [found[name] for name in ("f1_macro", "auc_macro", "balanced_accuracy")] == [1, 1, 1]


def test_one_class_or_no_image_is_nan_and_no_error() -> None:
    one = multiclass_scores(np.array([1, 1]), np.array([[0.1, 0.9, 0], [0.9, 0.1, 0]]), CLASSES)
    assert one["accuracy"] == 0.5
    assert np.isnan([one["balanced_accuracy"], one["auc_macro"]]).all()
    none = multiclass_scores(np.zeros(0, int), np.zeros((0, 3)), CLASSES)
    assert np.isnan([none["accuracy"], none["f1_macro"], none["auc_macro"]]).all()
    assert none["confusion"] == [[0, 0, 0]] * 3


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="0 and 1"):
        binary_scores(np.array([0, 255]), np.array([0, 1]))
    with pytest.raises(InputError, match="same images"):
        binary_scores(np.array([0, 1]), np.array([0, 1, 1]))
    with pytest.raises(InputError, match="1 of 2"):
        ranking_scores(np.array([0, 1]), np.array([0.5, np.nan]))
    with pytest.raises(InputError, match="order of the classes"):
        multiclass_scores(np.array([0, 3]), np.full((2, 3), 0.3), CLASSES)
    with pytest.raises(InputError, match="3 classes"):
        multiclass_scores(np.array([0, 1]), np.full((2, 2), 0.5), CLASSES)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40),
    st.permutations(range(40)),
)
def test_weighted_ranking_is_the_ranking_of_repeated_images(
    rows: list[tuple[bool, int, int]], order: list[int]
) -> None:
    rows = [rows[place] for place in order if place < len(rows)]
    truth, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    found = weighted_ranking(truth, scores / 7)(weights)
    assert found == pytest.approx(
        ranking_scores(np.repeat(truth, weights), np.repeat(scores / 7, weights)), nan_ok=True
    )


def test_weighted_ranking_by_hand() -> None:
    scored = weighted_ranking(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.3, 0.1]))
    assert scored(np.ones(4))["roc_auc"] == 3 / 4
    assert scored(np.array([1, 1, 0, 1])) == {"roc_auc": 1, "pr_auc": 1, "sensitivity_at_95_specificity": 1}
    # The low positive three times: 1 of 4 positives is above all negatives.
    assert scored(np.array([1, 1, 3, 1]))["sensitivity_at_95_specificity"] == 1 / 4
    assert np.isnan(scored(np.array([1, 0, 1, 0]))["roc_auc"])
    with pytest.raises(InputError, match="one answer for each image"):
        weighted_ranking(np.array([1, 0]), np.array([0.5]))


def test_counted_classes_are_those_of_repeated_images() -> None:
    """What a bootstrap draws: each image as often as it was drawn, or not at all."""
    draws = np.random.default_rng(5)
    truth, chances = draws.integers(0, 3, 40), draws.dirichlet([1, 1, 1], 40)
    scored = weighted_classes(truth, chances, 3)
    for weights in (np.ones(40), draws.integers(0, 4, 40)):
        rows = np.repeat(np.arange(40), weights.astype(int))
        whole = multiclass_scores(truth[rows], chances[rows], ["a", "b", "c"])
        found = scored(weights)
        for name in ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "auc_macro"):
            assert found[name] == pytest.approx(whole[name])
        assert [found[f"auc.{k}"] for k in range(3)] == pytest.approx(list(whole["auc"].values()))
    # By hand: of two of class 0 one is called so, and one of class 1 too.
    hand = weighted_classes(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), 2)(np.ones(3))
    assert (hand["recall.0"], hand["precision.0"], hand["precision.1"], hand["recall.1"]) == (0.5, 0.5, 0, 0)
    assert (hand["auc.0"], hand["accuracy"]) == (0.5, pytest.approx(1 / 3))
