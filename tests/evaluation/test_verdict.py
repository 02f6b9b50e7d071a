from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthoma.evaluation.result import SCHEMA, STATES, Evidence, Light, Question, State
from synthoma.evaluation.settings import EvaluateConfig, Thresholds
from synthoma.evaluation.useful.result import Line, Point, Utility, Worth
from synthoma.evaluation.useful.worth import worth_text
from synthoma.evaluation.verdict import ORDER, lights, verdict

COMPARED = {
    "modality": "flair", "training": 80, "held_out": 40, "synthetic": 60, "of_synthetic": 60, "training_groups": 40,
    "held_out_groups": 20, "synthetic_groups": 60, "count": 40, "divisions": 99, "blind": "",
    "rows": {"training": [], "held_out": [], "synthetic": []},
}  # fmt: skip


def light(question: Question, state: State) -> Light:
    return Light(question=question, state=state, figure="", text=f"{question} {state}")


def evidence(made: dict[str, Any]) -> Evidence:
    """What was measured, out of its JSON."""
    return Evidence.parse(made, Path("evaluation.json"))


@pytest.mark.parametrize("word", ["HELPS", "NO EVIDENCE", "HARMS", "CANNOT TELL", None])
def test_a_verdict_is_never_better_than_its_weakest_leg(word: str | None) -> None:
    utility = None if word is None else Utility(word=word, because="tested", arms={})
    for realistic, diverse, private in itertools.product(STATES, STATES, STATES):
        four = [light("realistic", realistic), light("diverse", diverse), light("private", private)]
        found = verdict([*four, light("useful", "FAIR")], utility).word
        worst = word or "CANNOT TELL"
        if "CANNOT TELL" in (realistic, diverse, private):
            worst = min(worst, "CANNOT TELL", key=ORDER.index)
        if "POOR" in (realistic, diverse, private):
            worst = min(worst, "NO EVIDENCE", key=ORDER.index)
        assert found == worst


def test_copies_are_named_in_the_verdict_and_what_helps_is_still_told() -> None:
    four = [light("realistic", "GOOD"), light("diverse", "GOOD"), light("private", "POOR")]
    found = verdict(four, Utility(word="HELPS", because="+0.1", arms={}))
    assert found.word == "NO EVIDENCE"
    assert "do not share" in found.because
    assert "useful: HELPS (+0.1)" in found.because


def entry(ratio: float, null: np.ndarray, worse: str) -> dict[str, Any]:
    middle = float(np.median(null))
    value = ratio * middle
    bad = null >= value if worse == "high" else null <= value
    return {
        "value": value, "null": null.tolist(), "null_median": middle, "ratio": ratio, "others": [], "n": 40,
        "p": (1 + int(bad.sum())) / (1 + len(null)),
    }  # fmt: skip


def judge(auc: float, p: float) -> dict[str, Any]:
    """A model's AUC at a given p among 39 divisions, and beside other real patients."""
    least = round(p * 40) - 1
    null = np.concatenate([np.linspace(auc + 0.001, auc + 0.01, least), np.linspace(0.4, 0.52, 39 - least)])
    return {
        "value": auc, "p": p, "null": null.tolist(), "null_median": 0.5, "ratio": None, "others": [0.5, 0.52], "n": 40,
    }  # fmt: skip


def result(distance: float = 1.0, overlap: float = 1.0, auc_p: float = 0.5, **more: Any) -> dict[str, Any]:
    draws = np.random.default_rng(0)
    high, low = draws.normal(1, 0.1, (2, 99))
    families = {
        name: {
            "sliced_wasserstein": entry(distance, high, "high"),
            "kid": {**entry(1.0, low, "high"), "ratio": None},
            "recall": entry(overlap, low, "low"),
            "coverage": entry(overlap, low, "low"),
        }
        for name in ("wavelet", "random")
    }
    private = {"word": "NONE FOUND", "because": "0 of 500", "upper_share": 0.01}
    return {
        "schema": SCHEMA,
        "preset": "quick",
        "compared": COMPARED,
        "fidelity": {"families": families, "told_apart": {"linear": judge(0.6, auc_p), "network": judge(0.55, 0.5)}},
        "privacy": private,
        **more,
    }


def states(made: dict[str, Any], **thresholds: float) -> dict[str, str]:
    return {one.question: one.state for one in lights(evidence(made), Thresholds(**thresholds))}


@pytest.mark.parametrize(("distance", "state"), [(1.0, "GOOD"), (1.2, "GOOD"), (1.5, "FAIR"), (2.02, "POOR")])
def test_realism_by_distance(distance: float, state: str) -> None:
    assert states(result(distance))["realistic"] == state


def test_realism_by_the_two_sample_test() -> None:
    """Told apart, but no farther than other patients are: a linear model finds the smallest flaw."""
    assert states(result(1.0, auc_p=1 / 40))["realistic"] == "GOOD"
    assert states(result(1.3, auc_p=1 / 40))["realistic"] == "FAIR"
    flawed = result(1.0)
    flawed["fidelity"]["told_apart"]["linear"] = judge(0.96, 1 / 40)
    assert states(flawed)["realistic"] == "FAIR"  # by what all images have in common, as a checkerboard
    flawed["fidelity"]["told_apart"]["linear"] = judge(0.96, 8 / 40)
    assert states(flawed)["realistic"] == "GOOD"  # real patients are told apart as well


def test_realism_by_the_network_where_a_linear_model_sees_nothing() -> None:
    flawed = result(1.0)
    flawed["fidelity"]["told_apart"]["network"] = judge(0.93, 1 / 40)
    found = lights(evidence(flawed), Thresholds())[0]
    assert found.state == "FAIR"
    assert "a small network tells it from real scans with AUC 0.93" in found.text


def test_held_out_patients_that_lie_apart_from_all_others_are_no_fault_of_the_synthetic_ones() -> None:
    """Told apart at .96, but other real patients are told from the very same ones as well."""
    flawed = result(1.0)
    flawed["fidelity"]["told_apart"]["linear"] = judge(0.96, 1 / 40) | {"others": [0.9, 0.95, 0.97]}
    assert states(flawed)["realistic"] == "GOOD"


def test_a_test_that_could_not_have_spoken_is_not_passed() -> None:
    """39 divisions cannot reach the level that two tests have of 1 %."""
    made = result(1.0)
    made["fidelity"]["told_apart"]["linear"] = judge(1.0, 1 / 40)
    assert states(made)["realistic"] == "FAIR"
    assert states(made, alpha=0.01)["realistic"] == "CANNOT TELL"


def without_null() -> dict[str, Any]:
    made = result()
    for scores in made["fidelity"]["families"].values():
        for one in scores.values():
            one.update(null=[], p=None, ratio=None)
    for one in made["fidelity"]["told_apart"].values():
        one.update(null=[], p=None)
    return made


def test_without_a_null_nobody_can_tell_and_the_reason_is_said() -> None:
    assert states(without_null())["realistic"] == states(without_null())["diverse"] == "CANNOT TELL"
    reason = "3 synthetic patients are too few"
    for light in lights(evidence(without_null() | {"compared": COMPARED | {"blind": reason}}), Thresholds())[:2]:
        assert (light.state, light.text) == ("CANNOT TELL", reason)


@pytest.mark.parametrize(
    ("excess", "state"), [(0.0, "GOOD"), (0.049, "GOOD"), (0.05, "FAIR"), (0.49, "FAIR"), (0.5, "POOR")]
)
def test_twins_are_no_variety(excess: float, state: str) -> None:
    made = result()
    made["fidelity"]["twins"] = {"share": excess + 0.01, "real_share": 0.01, "excess": excess}
    assert states(made)["diverse"] == state
    assert ("near-identical" in lights(evidence(made), Thresholds())[1].text) == (state != "GOOD")


def test_twins_are_found_without_a_null() -> None:
    made = without_null()
    made["fidelity"]["twins"] = {"share": 0.6, "real_share": 0.0, "excess": 0.6}
    assert states(made)["diverse"] == "POOR"


@pytest.mark.parametrize(("overlap", "state"), [(1.0, "GOOD"), (0.75, "GOOD"), (0.5, "FAIR"), (0.2, "POOR")])
def test_diversity_by_overlap(overlap: float, state: str) -> None:
    assert states(result(1.0, overlap))["diverse"] == state


def test_thresholds_are_the_users() -> None:
    assert states(result(1.5), unrealistic_ratio=1.4)["realistic"] == "POOR"
    assert states(result(1.5), realistic_ratio=1.6)["realistic"] == "GOOD"


def test_masks_that_do_not_fit_are_unrealistic() -> None:
    side = {"value": 0.4, "low": 0.3, "high": 0.5, "n": 50}
    rejected = {"rejected": [], "rejected_share": 0.0}
    agreement = {**rejected, "gap": 0.3, "synthetic": side, "real": {**side, "value": 0.7, "low": 0.6, "high": 0.8}}
    unsure = {**agreement, "real": {**side, "value": 0.7, "low": 0.45, "high": 0.8}}
    assert states(result(1.0, agreement=unsure))["realistic"] == "GOOD"  # the intervals overlap
    found = lights(evidence(result(1.0, agreement=agreement)), Thresholds())[0]
    assert found.state == "POOR"
    assert "0.40" in found.text


@pytest.mark.parametrize(
    ("privacy", "state"),
    [
        ({"word": "COPIES FOUND", "upper_share": 0.2}, "POOR"),
        ({"word": "NONE FOUND", "upper_share": 0.01}, "GOOD"),
        ({"word": "NONE FOUND", "upper_share": 0.08}, "FAIR"),
        ({"word": "CANNOT TELL", "upper_share": 1.0}, "CANNOT TELL"),
    ],
)
def test_privacy(privacy: dict[str, Any], state: str) -> None:
    made = {**result(), "privacy": {"because": "", **privacy}}
    assert states(made)["private"] == state


def test_too_few_divisions_cannot_clear_anybody() -> None:
    made = result()
    for scores in made["fidelity"]["families"].values():
        for one in scores.values():
            one["null"] = one["null"][:9]
    assert states(made)["realistic"] == states(made)["diverse"] == "CANNOT TELL"


def test_tests_that_share_the_level_need_more_divisions() -> None:
    """With 25 divisions no p lies below 0.038: enough for one test at 5 %, not for two."""
    made = result()
    for scores in made["fidelity"]["families"].values():
        for one in scores.values():
            one["null"] = one["null"][:25]
    assert (states(made)["realistic"], states(made)["diverse"]) == ("CANNOT TELL", "GOOD")


def test_a_family_that_knows_the_training_slices_has_no_say() -> None:
    made = result()
    far = result(3.0, 0.1)["fidelity"]["families"]["wavelet"]
    made["fidelity"]["families"]["learned"] = far
    assert states(made)["realistic"] == states(made)["diverse"] == "GOOD"


def test_what_it_is_worth_in_words() -> None:
    line, curve = Line(slope=0.1, start=0.3, begin=5), (Point(patients=10, score=0.5, by_seed=(0.5,)),)
    worth = Worth(
        value=6.2, low=1.0, high=13.4, because="", arm="mixed 1", reached=0.6, had=10, most=20.0, line=line, curve=curve
    )
    assert worth_text(worth) == "worth +6 real patients (95 % CI +1 to +13) beside the 10 there are"
    assert "CI +1 to more than 20" in worth_text(worth.model_copy(update={"high": 20.0}))
    beyond = worth.model_copy(update={"value": 20.0, "high": 20.0})
    assert worth_text(beyond).startswith("worth more than 20 real patients (95 % CI +1")
    less = worth_text(worth.model_copy(update={"value": -3.4, "low": -10.0}))
    assert less == "as if there were 3 of the 10 real patients less (95 % CI -10 to +13)"
    none = {"value": None, "low": None, "high": None, "because": "the curve is flat"}
    assert worth_text(worth.model_copy(update=none)) == "worth in real patients not known (the curve is flat)"


def test_presets_differ_where_the_user_says_nothing() -> None:
    standard = EvaluateConfig.resolve(flags={"preset": "standard", "utility": {"seeds": 4}})
    full = EvaluateConfig.resolve(flags={"preset": "full", "utility": {"seeds": 4}})
    assert (standard.utility.seeds, standard.utility.steps) == (4, 800)
    assert (full.utility.seeds, full.utility.steps, full.utility.detectors) == (4, 2000, ("small", "large"))
    assert not EvaluateConfig().faults
    assert standard.faults
