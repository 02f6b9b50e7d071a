from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from synthoma.data.cohort import Cohort
from synthoma.errors import InputError, LeakError
from synthoma.evaluation.comparison import compare
from synthoma.evaluation.evaluate import EvaluateConfig, _diversity, _realism, evaluate, verdict
from synthoma.evaluation.fidelity import fidelity, group_halves, intensities
from synthoma.evaluation.privacy import copies, upper_bound
from tests.metrics.test_copies import head
from tests.training.toys import halves, write_cohort

SIZE = 32
QUICK = EvaluateConfig(halves=8, limit=200)


def heads(first: int, count: int) -> np.ndarray:
    return np.stack([head(seed, SIZE) for seed in range(first, first + count)])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def real(place: Path) -> Cohort:
    """120 images of 40 patients: 80 to train on, 20 to validate, 20 to test."""
    splits = ["train"] * 80 + ["validation"] * 20 + ["test"] * 20
    groups = [f"patient-{i // 2}" for i in range(120)]
    return write_cohort(place / "real", heads(5000, 120), splits=splits, groups=groups, origin="real")


@pytest.fixture(scope="module")
def synthetic(place: Path) -> Callable[..., Cohort]:
    """Images as a synthetic cohort."""
    made: list[Cohort] = []

    def make(images: np.ndarray, labels: Any = None, **meta: Any) -> Cohort:
        made.append(write_cohort(place / f"synthetic-{len(made)}", images, labels, origin="synthetic", **meta))
        return made[-1]

    return make


@pytest.fixture(scope="module")
def fresh(synthetic: Callable[..., Cohort]) -> Cohort:
    """From the distribution of the real images."""
    return synthetic(heads(1000, 60), provenance={"trained_on": {"groups": [f"patient-{i}" for i in range(40)]}})


# --- what can be compared ----------------------------------------------------------------------------------------


def test_sides_of_a_comparison(real: Cohort, fresh: Cohort) -> None:
    comparison = compare(real, fresh)
    assert (len(comparison.training), len(comparison.held_out), len(comparison.synthetic)) == (80, 40, 60)
    assert not set(comparison.training_groups) & set(comparison.held_out_groups)
    assert comparison.modality == "flair"
    assert len(comparison.groups) == len(comparison.real) == 120
    few = compare(real, fresh, limit=30, seed=1)
    assert (len(few.training), len(few.held_out), len(few.synthetic)) == (30, 30, 30)
    assert np.array_equal(few.training, np.clip(real.images[few.training_rows][:, 0].astype(np.float32), 0, 1))
    assert np.array_equal(few.training_rows, compare(real, fresh, limit=30, seed=1).training_rows)


def test_training_slices_are_those_that_the_generator_saw(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    seen = {"trained_on": {"groups": [f"patient-{i}" for i in range(15)]}}
    comparison = compare(real, synthetic(heads(2000, 24), provenance=seen))
    assert comparison.training_rows.tolist() == list(range(30))


def test_unlike_cohorts_are_refused(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    images = heads(2000, 24)
    for cohort, complaint in (
        (synthetic(images[:, ::2, ::2]), "size 32 of the real and 16"),
        (synthetic(np.stack([images, images], axis=1)), "modalities"),
        (synthetic(images, plane="coronal"), "plane axial of the real and coronal"),
        (synthetic(images, ["glioma"] * 24), "glioma, of which there is no real slice"),
        (synthetic(images[:19]), "at least 20 images on each side; came 19 synthetic"),
    ):
        with pytest.raises(InputError, match=complaint):
            compare(real, cohort)


@pytest.fixture(scope="module")
def foreign(synthetic: Callable[..., Cohort]) -> Cohort:
    """Somebody else's, who does not say what it was made from."""
    return synthetic(heads(1000, 60))


def test_too_few_real_images_are_refused(place: Path, foreign: Cohort) -> None:
    lone = write_cohort(place / "lone", heads(0, 40), splits=["train"] * 30 + ["test"] * 10)
    with pytest.raises(InputError, match="came 10 held-out"):
        compare(lone, foreign)


def test_a_leak_is_refused(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    provenance = {"trained_on": {"groups": ["patient-0", "patient-45", "patient-55"]}}
    leaking = synthetic(heads(2000, 24), provenance=provenance)
    with pytest.raises(LeakError, match="saw 2 of 20 held-out groups, for example patient-45"):
        evaluate(real, leaking, QUICK)


def test_only_the_drawn_classes_are_compared(place: Path, synthetic: Callable[..., Cohort]) -> None:
    labels = ["a", "b"] * 60
    both = write_cohort(place / "both", heads(0, 120), labels, splits=["train"] * 60 + ["test"] * 60)
    images = heads(3000, 24)
    assert len(compare(both, synthetic(images, ["a"] * 24)).training) == 30
    assert len(compare(both, synthetic(images, ["unlabelled"] * 24)).training) == 60
    learned = {"trained_on": {"groups": [], "classes": ["b"]}}
    only = compare(both, synthetic(images, ["unlabelled"] * 24, provenance=learned))
    assert set(both.slices["label"].iloc[only.training_rows]) == {"b"}


def test_slices_without_the_modality_are_left_out(place: Path, synthetic: Callable[..., Cohort]) -> None:
    both = np.stack([heads(0, 60)] * 2, axis=1)
    cohort = write_cohort(place / "two", both, splits=["train"] * 30 + ["test"] * 30, modalities=["t1", "t1c"])
    lines = (cohort.path / "slices.csv").read_text().splitlines()
    for row, missing in ((1, "t1"), (2, "t1c"), (3, "t1+t1c"), (4, "t1c")):
        lines[row] = lines[row].replace(",False,,", f",False,{missing},")
    (cohort.path / "slices.csv").write_text("\n".join(lines) + "\n")
    drawn = synthetic(np.stack([heads(2000, 24)] * 2, axis=1), modalities=["t1", "t1c"])
    comparison = compare(Cohort(cohort.path), drawn)
    assert comparison.modality == "t1"
    assert comparison.training_rows.tolist() == [1, 3, *range(4, 30)]


# --- realism and diversity ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scores(real: Cohort, fresh: Cohort) -> dict[str, Any]:
    return fidelity(compare(real, fresh), halves=30)


def test_the_same_distribution_scores_inside_its_null(scores: dict[str, Any]) -> None:
    for family in ("wavelet", "random"):
        for name, found in scores[family].items():
            assert len(found["null"]) >= 15
            assert found["n"] == 40
            assert found["p"] > 0.05, (family, name)
        assert 0.5 < scores[family]["sliced_wasserstein"]["ratio"] < 1.6
        assert scores[family]["recall"]["ratio"] > 0.5
        assert scores[family]["kid"]["ratio"] is None


def test_blurred_images_score_outside(real: Cohort, fresh: Cohort, synthetic: Callable[..., Cohort]) -> None:
    blurred = synthetic(ndimage.gaussian_filter(np.asarray(fresh.images[:, 0], np.float32), (0, 1, 1)))
    found = fidelity(compare(real, blurred), halves=10)["wavelet"]
    for name in ("kid", "sliced_wasserstein", "frechet"):
        assert found[name]["value"] > max(found[name]["null"])
        assert found[name]["p"] == 1 / (1 + len(found[name]["null"]))
    assert found["sliced_wasserstein"]["ratio"] > 2


def test_a_collapse_has_low_recall(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    draws = np.random.default_rng(0)
    one = np.clip(heads(1000, 1) + draws.normal(0, 0.01, (60, SIZE, SIZE)), 0, 1)
    found = fidelity(compare(real, synthetic(one)), halves=6)
    assert found["wavelet"]["recall"]["value"] < 0.2
    assert found["random"]["recall"]["value"] < 0.2
    assert found["random"]["coverage"]["value"] < 0.3


def test_scores_are_a_function_of_the_seed(real: Cohort, fresh: Cohort, scores: dict[str, Any]) -> None:
    assert fidelity(compare(real, fresh), halves=30) == scores


def test_one_patient_has_no_null(place: Path, foreign: Cohort) -> None:
    splits = ["train"] * 30 + ["test"] * 30
    lone = write_cohort(place / "patient", heads(0, 60), splits=splits, groups=["one"] * 30 + ["two"] * 30)
    comparison = compare(lone, foreign)
    assert fidelity(comparison, halves=3)["wavelet"]["frechet"]["null"] != []
    same = compare(write_cohort(place / "same", heads(0, 60), splits=splits, groups=["one"] * 60), foreign)
    assert fidelity(same, halves=3)["wavelet"]["frechet"] | {"value": 0} == {
        "value": 0,
        "null": [],
        "null_median": None,
        "ratio": None,
        "p": None,
        "n": 30,
    }


def test_uneven_patients_leave_all_sides_with_one_number(place: Path, foreign: Cohort) -> None:
    groups = ["big"] * 70 + [f"patient-{i}" for i in range(10)] + [f"held-{i // 5}" for i in range(40)]
    uneven = write_cohort(place / "uneven", heads(0, 120), splits=["train"] * 80 + ["test"] * 40, groups=groups)
    found = fidelity(compare(uneven, foreign), halves=6)["wavelet"]["recall"]
    assert 5 < found["n"] <= 40
    assert len(found["null"]) >= 3


@pytest.mark.parametrize("seed", range(5))
def test_halves_share_no_group_and_are_about_equal(seed: int) -> None:
    draws = np.random.default_rng(seed)
    sizes = draws.integers(1, 12, 25)
    groups = [f"group-{i}" for i, size in enumerate(sizes) for _ in range(size)]
    one, other = group_halves(groups, draws)
    assert sorted([*one, *other]) == list(range(len(groups)))
    assert not {groups[i] for i in one} & {groups[i] for i in other}
    assert abs(len(one) - len(other)) <= sizes.max() + 1
    assert len({tuple(group_halves(groups, draws)[0]) for _ in range(5)}) > 1


def test_grey_values_by_side(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    bright = synthetic(np.clip(heads(1000, 24) * 1.3, 0, 1))
    found = intensities(compare(real, bright))
    assert found["synthetic"]["wasserstein_1"] > 3 * found["null"]["wasserstein_1"]
    assert all(sum(shares) == pytest.approx(1, abs=1e-3) for shares in found["shares"].values())


# --- privacy -----------------------------------------------------------------------------------------------------


def test_a_fresh_set_holds_no_copies(real: Cohort, fresh: Cohort) -> None:
    found = copies(compare(real, fresh))
    assert found["p"] > 0.01
    assert (found["certain"], found["of"]) == (0, 60)
    assert found["upper_share"] < 0.2


def test_planted_copies_are_found_and_named(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    scans = np.asarray(real.images[:, 0], np.float32)
    planted = [scans[3], scans[40][:, ::-1], np.roll(scans[71], 1, axis=0), 0.8 * scans[10], scans[5], scans[6]]
    found = copies(compare(real, synthetic(np.concatenate([heads(1000, 54), np.stack(planted)]))))
    assert found["flagged"] >= found["certain"] >= 6
    named = {(pair["synthetic_row"], pair["training_row"], pair["mirrored"]) for pair in found["pairs"][:6]}
    assert named == {(54, 3, False), (55, 40, True), (56, 71, False), (57, 10, False), (58, 5, False), (59, 6, False)}
    assert [pair["score"] for pair in found["pairs"]] == sorted(
        (pair["score"] for pair in found["pairs"]), reverse=True
    )


def test_many_copies_are_significant(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    scans = np.asarray(real.images[:20, 0], np.float32)
    blended = 0.6 * scans + 0.4 * heads(7000, 20)
    found = copies(compare(real, synthetic(np.concatenate([heads(1000, 30), blended]))))
    assert found["p"] < 0.01


def test_honest_sets_are_seldom_accused(monkeypatch: pytest.MonkeyPatch, real: Cohort, fresh: Cohort) -> None:
    """With 40 held-out slices their 99 % quantile is uncertain; p must allow for it."""
    from synthoma.evaluation import privacy
    from synthoma.metrics.copies import Nearest

    draws = np.random.default_rng(0)
    comparison = compare(real, fresh)
    monkeypatch.setattr(
        privacy,
        "nearest_images",
        lambda queries, training: Nearest(
            np.zeros(len(queries), np.int64), draws.normal(size=len(queries)), np.zeros(len(queries), bool)
        ),
    )
    p = np.array([copies(comparison)["p"] for _ in range(400)])
    assert (p < 0.01).mean() < 0.03
    assert (p < 0.1).mean() < 0.15
    assert (p < 0.5).mean() > 0.2


def test_upper_bounds_in_closed_form() -> None:
    for total in (1, 20, 500):
        assert upper_bound(0, total) == pytest.approx(1 - 0.05 ** (1 / total))
        assert upper_bound(total, total) == 1.0
    # One hit: (1 - q)^n + n q (1 - q)^(n - 1) = 0.05.
    q = upper_bound(1, 30)
    assert (1 - q) ** 30 + 30 * q * (1 - q) ** 29 == pytest.approx(0.05)
    assert upper_bound(0, 20, confidence=0.9) == pytest.approx(1 - 0.1 ** (1 / 20))


# --- the whole ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result(real: Cohort, fresh: Cohort) -> dict[str, Any]:
    return evaluate(real, fresh, QUICK)


def light(result: dict[str, Any], question: str) -> str:
    return next(str(light["state"]) for light in result["lights"] if light["question"] == question)


def test_the_result_is_valid_json(result: dict[str, Any]) -> None:
    again = json.loads(json.dumps(result, allow_nan=False))
    assert again["compared"]["rows"] == result["compared"]["rows"]
    assert again["schema"] == "synthoma.evaluation/1"


def test_an_honest_cohort_is_private_and_its_use_untested(result: dict[str, Any]) -> None:
    assert light(result, "private") == "GOOD"
    assert light(result, "realistic") in ("GOOD", "FAIR")
    assert light(result, "diverse") in ("GOOD", "FAIR")
    assert result["verdict"]["word"] == "CANNOT TELL"


def beside(ratio: float, p: float) -> dict[str, Any]:
    return {"ratio": ratio, "p": p, "null": [0.0] * 19}


@pytest.mark.parametrize(("p", "state"), [(1 / 20, "POOR"), (2 / 20, "FAIR")])
def test_poor_is_what_real_scans_never_reached(p: float, state: str) -> None:
    scores = {"random": {name: beside(1.0, 1.0) for name in ("sliced_wasserstein", "recall", "coverage")}}
    far = {"random": scores["random"] | {"sliced_wasserstein": beside(5.0, p)}}
    assert _realism(far, EvaluateConfig())["state"] == state
    few = {"random": scores["random"] | {"recall": beside(0.1, p)}}
    assert _diversity(few, EvaluateConfig())["state"] == state
    assert _realism(scores, EvaluateConfig())["state"] == _diversity(scores, EvaluateConfig())["state"] == "GOOD"


def test_a_copied_cohort_harms(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    scans = np.asarray(real.images[:40, 0], np.float32)
    result = evaluate(real, synthetic(scans), QUICK)
    assert light(result, "private") == "POOR"
    assert result["verdict"]["word"] == "HARMS"


def test_noise_is_no_evidence(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    noise = np.random.default_rng(0).random((40, SIZE, SIZE))
    result = evaluate(real, synthetic(noise), QUICK)
    assert light(result, "realistic") == "POOR"
    assert light(result, "diverse") == "POOR"
    assert result["verdict"]["word"] == "NO EVIDENCE"
    json.dumps(result, allow_nan=False)


def test_without_a_null_nobody_can_tell(place: Path, synthetic: Callable[..., Cohort]) -> None:
    splits = ["train"] * 30 + ["test"] * 30
    lone = write_cohort(place / "single", heads(0, 60), splits=splits, groups=["one"] * 60)
    noise = np.random.default_rng(0).random((30, SIZE, SIZE))
    result = evaluate(lone, synthetic(noise), QUICK)
    assert light(result, "realistic") == light(result, "diverse") == "CANNOT TELL"
    json.dumps(result, allow_nan=False)


ORDER = ("HARMS", "NO EVIDENCE", "CANNOT TELL", "HELPS")
"""From the worst word to the best."""


@pytest.mark.parametrize("private", ["GOOD", "POOR"])
@pytest.mark.parametrize("realistic", ["GOOD", "FAIR", "POOR", "CANNOT TELL"])
@pytest.mark.parametrize("diverse", ["GOOD", "FAIR", "POOR", "CANNOT TELL"])
def test_a_verdict_is_never_better_than_its_weakest_leg(private: str, realistic: str, diverse: str) -> None:
    states = {"private": private, "realistic": realistic, "diverse": diverse, "useful": "CANNOT TELL"}
    word = verdict([{"question": name, "state": state, "text": ""} for name, state in states.items()])["word"]
    best = "HELPS"
    if "CANNOT TELL" in states.values():
        best = "CANNOT TELL"
    if "POOR" in (realistic, diverse):
        best = "NO EVIDENCE"
    if private == "POOR":
        best = "HARMS"
    assert ORDER.index(word) <= ORDER.index(best)


def test_a_constant_cohort_is_evaluated_without_a_crash(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    grey = synthetic(np.full((30, SIZE, SIZE), 0.3))
    result = evaluate(real, grey, QUICK)
    assert light(result, "realistic") == "POOR"
    json.dumps(result, allow_nan=False)


def test_real_against_itself_is_copied(place: Path, synthetic: Callable[..., Cohort], real: Cohort) -> None:
    result = evaluate(real, synthetic(np.asarray(real.images[:80, 0], np.float32)), QUICK)
    assert light(result, "private") == "POOR"


def test_two_modes_one_lost_is_seen(place: Path, synthetic: Callable[..., Cohort]) -> None:
    images, labels = halves(120, size=SIZE)
    draws = np.random.default_rng(0)
    images = np.clip(images + draws.normal(0, 0.03, images.shape), 0, 1)
    two = write_cohort(place / "modes", images, splits=["train"] * 60 + ["test"] * 60)
    more, sides = halves(160, seed=9, size=SIZE)
    more = np.clip(more + draws.normal(0, 0.03, more.shape), 0, 1)
    left = more[np.array(sides) == "left"][:50]
    whole = fidelity(compare(two, synthetic(more[:50])), halves=4)["random"]["recall"]["value"]
    lost = fidelity(compare(two, synthetic(left)), halves=4)["random"]["recall"]["value"]
    assert lost < 0.75 * whole
    assert labels
