from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.types import WHOLE_TUMOUR
from synthoma.evaluation.settings import EvaluateConfig, UtilityConfig
from synthoma.evaluation.useful import grid
from synthoma.evaluation.useful.arms import Arm, Material, arms_of, chosen_rows, stages
from synthoma.evaluation.useful.differences import paired, seed_noise
from synthoma.evaluation.useful.grid import Cell, run_cells
from synthoma.evaluation.useful.material import prepared
from synthoma.evaluation.useful.trainings import DETECTORS, Answers, DetectorTest, Source, Stage, train_and_test
from synthoma.evaluation.useful.utility import judged, utility
from synthoma.training.device import Execution
from tests.toys import write_cohort

pytestmark = pytest.mark.slow

SIZE = 32
ONE = Execution("cpu", 1, channels_last=False, bf16=False)
NAMES = {str(label): name for label, name in WHOLE_TUMOUR.items()}


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of four maps: enough for discs."""
    for task in DETECTORS:
        monkeypatch.setitem(DETECTORS[task], "small", {"width": 4})


def discs(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Dim heads with a bright disc in two of three, and where it is."""
    draws = np.random.default_rng(seed)
    down, right = np.indices((SIZE, SIZE))
    images, masks = np.zeros((2, count, SIZE, SIZE))
    for number in range(count):
        images[number] = 0.3 * (np.hypot(down - 16, right - 16) < 14) + 0.05 * draws.random((SIZE, SIZE))
        if number % 3:
            row, column = draws.integers(9, 23, 2)
            masks[number] = np.hypot(down - row, right - column) < draws.integers(3, 6)
            images[number] += 0.4 * masks[number]
    return images, masks.astype(np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("utility")


@pytest.fixture(scope="module")
def real(place: Path) -> Cohort:
    """12 patients of 6 slices: 6 to learn from, 6 held out."""
    images, masks = discs(1, 72)
    groups = [f"patient-{i // 6:02d}" for i in range(72)]
    splits = ["train"] * 36 + ["validation"] * 18 + ["test"] * 18
    labels = ["tumour" if i % 3 else "healthy" for i in range(72)]
    return write_cohort(
        place / "real", images, labels, masks, splits=splits, groups=groups, origin="real", mask_names=NAMES
    )


@pytest.fixture(scope="module")
def synthetic(place: Path) -> Cohort:
    images, masks = discs(2, 60)
    labels = ["tumour" if i % 3 else "healthy" for i in range(60)]
    return write_cohort(place / "synthetic", images, labels, masks, origin="synthetic", mask_names=NAMES)


def material(real: Cohort, synthetic: Cohort, **options: Any) -> tuple[Material, DetectorTest]:
    config = EvaluateConfig.resolve(flags={"preset": "standard", **options})
    return prepared(real, synthetic, config, seen=None, phantom=None)


# --- arms ---------------------------------------------------------------------------------------------------------


def test_no_held_out_slice_is_ever_learned_from(real: Cohort, synthetic: Cohort) -> None:
    made, test = material(real, synthetic)
    held = set(test.slices.rows.tolist())
    assert held == set(range(36, 72))
    for arm in arms_of(UtilityConfig(), made):
        for stage in stages(arm, made, seed=3, steps=100):
            for source in stage.sources:
                if source.cohort is real:
                    assert not held & set(source.rows.tolist()), arm.name


def test_all_arms_train_for_the_same_steps(real: Cohort, synthetic: Cohort) -> None:
    made, _ = material(real, synthetic)
    arms = arms_of(UtilityConfig(), made)
    assert {sum(stage.steps for stage in stages(arm, made, seed=0, steps=200)) for arm in arms} == {200}
    assert [arm.name for arm in arms] == [
        "real 2", "real 3", "real", "plain", "duplicated", "synthetic", "tuned", "mixed 0.5", "mixed 1",
    ]  # fmt: skip
    (stage,) = stages(arms[-2], made, seed=0, steps=200)
    assert stage.share == pytest.approx(1 / 3)


def test_fewer_patients_are_drawn_anew_for_each_seed_and_nested(real: Cohort, synthetic: Cohort) -> None:
    made, _ = material(real, synthetic)
    patients = lambda count, seed: {  # noqa: E731
        row // 6 for row in chosen_rows(Arm("", "", "real", count), made, seed).tolist()
    }
    assert [len(patients(count, 0)) for count in (1, 3, 5)] == [1, 3, 5]
    assert patients(2, 0) < patients(4, 0)
    assert len({tuple(patients(2, seed)) for seed in range(8)}) > 2
    assert len(chosen_rows(Arm("", "", "real"), made, 0)) == 36


def test_the_curve_reaches_beyond_what_the_generator_saw(real: Cohort, synthetic: Cohort) -> None:
    config = EvaluateConfig.resolve(flags={"preset": "standard"})
    made, _ = prepared(real, synthetic, config, seen={"patient-00", "patient-01"}, phantom=None)
    names = [arm.name for arm in arms_of(UtilityConfig(shares=(0.5,)), made)]
    assert names[:3] == ["real 1", "real", "real 6"]
    assert set(chosen_rows(Arm("", "", "mixed"), made, 0).tolist()) == set(range(12))
    assert len(chosen_rows(Arm("", "", "real", 6), made, 0)) == 36


def test_what_cannot_be_taught_is_not_trained(place: Path, real: Cohort) -> None:
    images, _ = discs(3, 30)
    bare = write_cohort(place / "bare", images, ["tumour"] * 30, origin="synthetic")
    with pytest.raises(InputError, match="with masks, or of two classes"):
        material(real, bare)
    found = utility(real, bare, EvaluateConfig.resolve(flags={"preset": "standard"}), place / "none")
    assert found.word == "CANNOT TELL"
    assert not (place / "none").exists()
    labelled = write_cohort(place / "classes", images, ["tumour", "healthy"] * 15, origin="synthetic")
    test = material(real, labelled)[1]
    assert (test.task, set(test.classes)) == ("classify", {"tumour", "healthy"})


# --- trainings -----------------------------------------------------------------------------------------------------


def test_a_training_teaches_and_is_a_function_of_its_seed(real: Cohort, synthetic: Cohort) -> None:
    made, test = material(real, synthetic)
    stage = Stage((made.real,), 100, augment=False)
    first = train_and_test((stage,), test, seed=1, execution=ONE)
    dice = 2 * first.found_pixels.sum() / (first.called_pixels.sum() + first.tumour_pixels.sum())
    assert dice > 0.7
    assert first.tumour_pixels.sum() == (np.asarray(real.masks[36:72]) > 0).sum()
    again = train_and_test((stage,), test, seed=1, execution=ONE)
    assert np.array_equal(first.chances, again.chances)
    assert not np.array_equal(first.chances, train_and_test((stage,), test, seed=2, execution=ONE).chances)


def test_a_classifier_learns_too(real: Cohort, synthetic: Cohort) -> None:
    made, test = material(real, synthetic)
    asked = DetectorTest(test.slices, "classify", test.modalities, ("healthy", "tumour"), features=True)
    found = train_and_test((Stage((made.real,), 80, augment=False),), asked, seed=0, execution=ONE)
    truth = (real.slices["label"].iloc[36:72] == "tumour").to_numpy()
    assert (found.chances.argmax(axis=1) == truth).mean() > 0.85
    assert found.chances.sum(axis=1) == pytest.approx(1)
    assert found.features.shape == (36, 4 * 8)


def test_tuning_corrects_wrong_masks(real: Cohort, synthetic: Cohort, place: Path) -> None:
    """A second stage goes on with the weights of the first."""
    images, masks = discs(2, 60)
    wrong = write_cohort(place / "wrong", images, None, masks[:, ::-1, ::-1], origin="synthetic", mask_names=NAMES)
    made, test = material(real, synthetic)
    bad = Stage((Source(wrong, np.arange(60)),), 100, augment=False)
    dice = {}
    for name, stages_ in {"alone": (bad,), "tuned": (bad, Stage((made.real,), 60, augment=False))}.items():
        found = train_and_test(stages_, test, seed=0, execution=ONE)
        dice[name] = 2 * found.found_pixels.sum() / (found.called_pixels.sum() + found.tumour_pixels.sum())
    assert dice["tuned"] > dice["alone"] + 0.2


# --- the grid -----------------------------------------------------------------------------------------------------


def test_finished_cells_are_never_run_again(
    real: Cohort, synthetic: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, test = material(real, synthetic)
    cells = [Cell((Stage((made.real,), 4),), test, seed) for seed in (0, 1, 0)]
    told: list[tuple[int, int]] = []
    first = run_cells(cells, tmp_path, device="cpu", jobs=1, progress=lambda *at: told.append(at))
    assert told == [(0, 2), (1, 2), (2, 2)]  # equal cells are one
    assert np.array_equal(first[0].chances, first[2].chances)
    next(iter(tmp_path.glob("*.json"))).unlink()
    ran = []
    original = grid.train_and_test
    monkeypatch.setattr(grid, "train_and_test", lambda *a, **k: ran.append(1) or original(*a, **k))
    again = run_cells(cells, tmp_path, device="cpu", jobs=1, progress=lambda *at: None)
    assert len(ran) == 1
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.chances, other.chances)
        assert np.array_equal(one.found_pixels, other.found_pixels)


def test_a_cell_is_another_one_where_anything_differs(real: Cohort, synthetic: Cohort) -> None:
    made, test = material(real, synthetic)
    stage = Stage((made.real,), 4)
    cells = [
        Cell((stage,), test, 0),
        Cell((stage,), test, 1),
        Cell((Stage((made.real,), 5),), test, 0),
        Cell((Stage((made.real,), 4, augment=False),), test, 0),
        Cell((Stage((made.real, made.real), 4),), test, 0),
        Cell((Stage((made.real, made.synthetic), 4),), test, 0),
        Cell((Stage((made.real, made.synthetic), 4, 0.25),), test, 0),
        Cell((Stage((Source(real, made.real.rows[:-1]),), 4),), test, 0),
        Cell((stage,), DetectorTest(test.slices, test.task, test.modalities, detector="large"), 0),
    ]
    assert len({cell.key() for cell in cells}) == len(cells)
    assert Cell((Stage((made.real,), 4, 0.3),), test, 0).key() == cells[0].key()  # one source: its share is no matter


def test_workers_give_what_one_process_gives(
    real: Cohort, synthetic: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # workers know nothing of narrow networks
    made, test = material(real, synthetic)
    cells = [Cell((Stage((made.real,), 3),), test, seed) for seed in (0, 1)]
    alone = [train_and_test(cell.stages, test, seed=cell.seed, execution=grid._execution("cpu")) for cell in cells]
    spread = run_cells(cells, tmp_path, device="cpu", jobs=2, progress=lambda *at: None)
    for one, other in zip(alone, spread, strict=True):
        np.testing.assert_array_equal(one.chances, other.chances)


# --- comparisons --------------------------------------------------------------------------------------------------


def test_paired_differences_hold_the_noise_of_seeds() -> None:
    draws = np.random.default_rng(0)
    patients = draws.normal(0.6, 0.2, 30)
    first = patients + 0.05 + draws.normal(0, 0.02, (3, 30))
    second = patients + draws.normal(0, 0.02, (3, 30))
    quiet = paired(first, second, 0.0, "test")
    assert quiet.value == pytest.approx(0.05, abs=0.01)
    assert quiet.low > 0.03
    assert quiet.p < 0.01
    loud = paired(first, second, 0.05, "test")
    assert loud.low < 0 < loud.high
    assert loud.high - loud.low == pytest.approx(2 * 1.96 * 0.05 * np.sqrt(2 / 3), rel=0.1)


def test_three_patients_hardly_ever_say_anything() -> None:
    alarms = 0
    for seed in range(300):
        gaps = np.random.default_rng(seed).normal(0, 0.08, 3)
        alarms += paired(np.stack([gaps, gaps]), np.zeros((2, 3)), 0.0, "test").p < 0.05
    assert alarms <= 0.08 * 300  # a bootstrap alone would have 28 %


def test_equal_arms_are_told_apart_in_one_of_twenty() -> None:
    """Two arms of one kind: seeds and patients differ by chance alone."""
    alarms = 0
    for seed in range(300):
        draws = np.random.default_rng(seed)
        patients = draws.normal(0.6, 0.2, 20)
        arms = [patients + draws.normal(0, 0.03, (3, 1)) + draws.normal(0, 0.05, (3, 20)) for _ in range(7)]
        noise = seed_noise(arms)
        alarms += paired(arms[0], arms[1], noise, "test").p < 0.05
    assert alarms <= 0.08 * 300


def test_seed_noise_is_that_of_means() -> None:
    draws = np.random.default_rng(0)
    arms = [draws.normal(0, 0.1, (5, 1)) + np.zeros((5, 10)) for _ in range(200)]
    assert seed_noise(arms) == pytest.approx(0.1, rel=0.05)


def made_up(real: Cohort, synthetic: Cohort, level: dict[str, float], spread: float = 0.02) -> dict[str, Any]:
    """The judgement of arms whose Dice is given, up to noise."""
    made, test = material(real, synthetic)
    config = EvaluateConfig.resolve(flags={"preset": "standard"})
    being = (np.asarray(real.masks[36:72]) > 0).sum(axis=(1, 2))
    draws = np.random.default_rng(0)
    none = np.zeros((0, 0))

    def answers(dice: float) -> Answers:
        # With as many pixels said as there are, Dice is the share that is hit.
        share = np.clip(dice + draws.normal(0, spread), 0, 1)
        hit = np.round(share * being).astype(int)
        return Answers(np.where(being > 0, 0.9, 0.1), hit, being.copy(), being, none, 1.0)

    arms = arms_of(config.utility, made)
    by_arm = {arm.name: [answers(level.get(arm.name, 0.6)) for _ in range(3)] for arm in arms}
    return judged(arms, by_arm, made, test, config)


CURVE = {"real 2": 0.45, "real 3": 0.51, "real": 0.60}
"""Dice by number of patients; it rises by 0.09 from half of them to all, and more before."""


def test_balanced_accuracy_of_one_answer_is_chance(real: Cohort, synthetic: Cohort) -> None:
    """Patients show both classes; who always says tumour is right on two of three slices, but on one of two classes."""
    made, test = material(real, synthetic)
    asked = DetectorTest(test.slices, "classify", test.modalities, ("healthy", "tumour"))
    none = np.zeros(0, int)
    always = Answers(np.tile([0.1, 0.9], (36, 1)), none, none, none, np.zeros((0, 0)), 1.0)
    arms = arms_of(UtilityConfig(), made)
    config = EvaluateConfig.resolve(flags={"preset": "standard"})
    found = judged(arms, {arm.name: [always] * 3 for arm in arms}, made, asked, config)
    assert found.arms["real"].score.value == pytest.approx(0.5)
    assert found.arms["real"].detection["accuracy"] == pytest.approx(2 / 3)
    assert found.word != "HELPS"


def test_a_gain_helps_and_has_a_worth(real: Cohort, synthetic: Cohort) -> None:
    found = made_up(real, synthetic, {**CURVE, "mixed 0.5": 0.63, "mixed 1": 0.67}, 0.002)
    assert (found.word, found.mixture) == ("HELPS", "mixed 1")
    assert found.worth.arm == "mixed 1"
    # The slope through 2, 3 and 6 patients is 0.1355: 6 * exp(0.07 / 0.1355) = 10.1 patients, 4.1 further ones.
    assert found.worth.value == pytest.approx(4.1, abs=1.0)
    assert 2 < found.worth.low <= found.worth.value <= found.worth.high <= found.worth.most
    assert found.comparisons["mixed 1"].p_holm < 0.05
    json.dumps(found.content(), allow_nan=False)


def test_a_worth_beyond_the_curve_is_cut(real: Cohort, synthetic: Cohort) -> None:
    found = made_up(real, synthetic, {**CURVE, "mixed 1": 0.95}, 0.002)
    assert [getattr(found.worth, name) for name in ("value", "high", "most")] == pytest.approx([12, 12, 12])
    flat = made_up(real, synthetic, {"mixed 1": 0.7}, 0.002)  # real patients add nothing: no number of them says it
    assert flat.word == "HELPS"
    assert [getattr(flat.worth, name) for name in ("value", "low", "high")] == [None] * 3
    assert "do not clearly raise" in flat.worth.because


def test_a_loss_harms(real: Cohort, synthetic: Cohort) -> None:
    found = made_up(real, synthetic, {**CURVE, "mixed 0.5": 0.5, "mixed 1": 0.4}, 0.002)
    assert (found.word, found.mixture) == ("HARMS", "mixed 1")  # the worst, though another one is best
    assert found.worth.arm == "mixed 0.5"
    assert found.worth.value < 0


def test_nothing_is_no_evidence_where_it_would_have_been_seen(real: Cohort, synthetic: Cohort) -> None:
    assert made_up(real, synthetic, CURVE, 0.004).word == "NO EVIDENCE"
    for spread, todo in ((0.02, "needs about"), (0.15, "needs more seeds")):  # noise of seeds, which patients share
        noisy = made_up(real, synthetic, CURVE, spread)
        assert noisy.word == "CANNOT TELL"
        assert todo in noisy.because


def test_gain_over_the_control_alone_is_not_enough(real: Cohort, synthetic: Cohort) -> None:
    """Better than duplicated slices but not than the plain real arm: nobody would use it."""
    found = made_up(real, synthetic, {**CURVE, "duplicated": 0.5, "mixed 1": 0.6}, 0.002)
    assert found.word != "HELPS"


def test_simulated_patients_must_be_simulated_and_alike(real: Cohort, synthetic: Cohort, place: Path) -> None:
    config = EvaluateConfig.resolve(flags={"preset": "standard"})
    with pytest.raises(InputError, match="simulated patients"):
        prepared(real, synthetic, config, seen=None, phantom=synthetic)
    images, masks = discs(5, 20)
    twice = np.ones((1, 2, 2))
    double = np.kron(images, twice), np.kron(masks, twice).astype(np.uint8)
    large = write_cohort(place / "large", double[0], None, double[1], mask_names=NAMES)
    with pytest.raises(InputError, match="size 32 of the real and 64"):
        prepared(real, synthetic, config, seen=None, phantom=large)
    bare = write_cohort(place / "unmarked", images, None)
    with pytest.raises(InputError, match="simulated slices with masks"):
        prepared(real, synthetic, config, seen=None, phantom=bare)


def test_too_few_patients_are_not_tested(place: Path, real: Cohort, synthetic: Cohort) -> None:
    images, masks = discs(1, 72)
    groups = [f"patient-{i // 6:02d}" for i in range(72)]
    splits = ["train"] * 36 + ["test"] * 36
    masks[48:] = 0  # two of the six held-out patients have a tumour
    few = write_cohort(place / "few", images, None, masks, splits=splits, groups=groups, mask_names=NAMES)
    with pytest.raises(InputError, match="6 held-out"):
        material(few, synthetic)


def test_one_does_not_have_what_only_the_generator_saw(real: Cohort, synthetic: Cohort) -> None:
    config = EvaluateConfig.resolve(flags={"preset": "standard", "utility": {"patients": 3}})
    seen = {f"patient-{i:02d}" for i in range(6)}
    with pytest.raises(InputError, match="saw no more patients"):
        prepared(real, synthetic, config, seen=seen, phantom=None)


def test_the_whole_question_end_to_end(real: Cohort, synthetic: Cohort, place: Path, tmp_path: Path) -> None:
    simulated = write_cohort(place / "simulated", *discs(3, 60)[:1], None, discs(3, 60)[1], mask_names=NAMES)
    config = EvaluateConfig.resolve(
        flags={
            "preset": "standard",
            "jobs": 1,
            "utility": {"seeds": 2, "steps": 15, "shares": (0.5,), "ratios": (1,), "cross": False},
        }
    )
    found = utility(real, synthetic, config, tmp_path / "cells", phantom=simulated)
    assert set(found.arms) == {"real 3", "real", "plain", "duplicated", "phantom", "synthetic", "tuned", "mixed 1"}
    assert found.held_out_patients == 6
    for arm in found.arms.values():
        assert arm.score.low <= arm.score.value <= arm.score.high
        assert 0 <= arm.detection["roc_auc"] <= 1
    assert set(found.comparisons) == {"plain", "phantom", "synthetic", "tuned", "mixed 1"}
    assert 0 <= found.comparisons["mixed 1"].delong.auc <= 1
    assert found.worth.had == 6
    json.dumps(found.content(), allow_nan=False)
