from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.core.provenance import file_digest
from synthoma.evaluation import evaluate as evaluation
from synthoma.evaluation.comparison import Comparison, compare, unseen_groups
from synthoma.evaluation.diverse.variety import twins_within
from synthoma.evaluation.evaluate import evaluate
from synthoma.evaluation.families import EXTRACTORS
from synthoma.evaluation.other_patients import with_other_held_out
from synthoma.evaluation.private.privacy import copies, privacy
from synthoma.evaluation.private.result import Privacy
from synthoma.evaluation.realistic.agreement import Judge, agreement, worst
from synthoma.evaluation.realistic.repainted import another, repainted
from synthoma.evaluation.result import Evaluation, Question, read_evaluation, write_evaluation
from synthoma.evaluation.settings import EvaluateConfig, Thresholds
from synthoma.evaluation.useful import grid
from synthoma.evaluation.useful.trainings import DETECTORS, Answers
from synthoma.generators.sheets import nearest_sheet
from synthoma.reports.evaluation_text import splits_lines
from tests.evaluation.test_result import SCHEMA, fits
from tests.evaluation.useful.test_utility import NAMES, discs
from tests.metrics.test_copies import head
from tests.toys import write_cohort

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fewer_planted")]

SIZE = 32
QUICK = EvaluateConfig(halves=39, limit=200, canaries=60)


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


def with_columns(cohort: Cohort, folder: Path, **columns: Sequence[Any]) -> Cohort:
    """A copy of a cohort with other columns."""
    shutil.copytree(cohort.path, folder)
    cohort.slices.assign(**columns).to_csv(folder / "slices.csv", index=False)
    return Cohort(folder)


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


def test_other_preprocessing_is_refused(place: Path, synthetic: Callable[..., Cohort]) -> None:
    splits = ["train"] * 30 + ["test"] * 30
    settings = {"config": {"normalise": "robust", "crop": True}}
    own = write_cohort(place / "robust", heads(0, 60), splits=splits, provenance=settings)
    other = synthetic(heads(2000, 24), provenance={"config": {"normalise": "percentile", "crop": True}})
    with pytest.raises(InputError, match="normalise robust of the real and percentile"):
        compare(own, other)
    assert compare(own, synthetic(heads(2000, 24), provenance=settings)).modality == "flair"


def test_grey_values_on_another_scale_are_refused(place: Path, real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    """Cut to 0 to 1, most of an image with mean 0 would be gone, and the rest be compared as if nothing were."""
    settings = {"config": {"normalise": "zscore"}}
    splits = ["train"] * 30 + ["test"] * 30
    own = write_cohort(place / "zscored", heads(0, 60), splits=splits, origin="real", provenance=settings)
    drawn = synthetic(heads(2000, 24), provenance=settings)
    for one, other in ((own, drawn), (own, synthetic(heads(2000, 24))), (real, drawn)):
        with pytest.raises(ConfigError, match="came one normalised by zscore; prepare it with --normalise robust"):
            compare(one, other)
    with pytest.raises(ConfigError, match="normalised by zscore"):
        nearest_sheet(synthetic(heads(2000, 24)), own)


def test_a_copy_that_was_given_another_class_is_found(place: Path, synthetic: Callable[..., Cohort]) -> None:
    """Healthy training slices that are sold as tumours: compared with tumours, and searched among all."""
    images, splits = heads(0, 160), ["train"] * 80 + ["test"] * 80
    groups = [f"patient-{i // 2}" for i in range(160)]
    kinds = ["healthy"] * 40 + ["tumour"] * 40
    own = write_cohort(place / "kinds", images, kinds * 2, splits=splits, groups=groups)
    comparison = compare(own, synthetic(images[:40], ["tumour"] * 40))
    assert set(own.slices["label"].iloc[comparison.training_rows]) == {"tumour"}
    found = privacy(comparison, canaries=60)
    assert found.word == "COPIES FOUND"
    assert {pair.training_row for pair in found.pairs} <= set(range(40))


def test_the_level_of_the_tests_is_the_users(
    real: Cohort, fresh: Cohort, result: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def watched(comparison: Comparison, *, alpha: float, **options: Any) -> Privacy:
        asked.append(alpha)
        return result.privacy

    monkeypatch.setattr(evaluation, "privacy", watched)
    strict = QUICK.model_copy(update={"thresholds": Thresholds(alpha=0.01), "faults": False})
    evaluate(real, fresh, strict, real.path.parent / "cells")
    assert asked == [0.01]


def test_slices_of_one_simulated_patient_are_no_independent_evidence() -> None:
    """Five simulated patients whose masks fit well or not at all: fifty slices say as little as five."""
    fits = np.repeat([0.9, 0.1, 0.9, 0.1, 0.9], 10)
    being = np.full(50, 100)
    none = np.zeros((0, 0))

    def answers(dice: np.ndarray) -> Answers:
        return Answers(np.ones(50), np.round(100 * dice).astype(int), being, being, none, 1.0)

    images = np.zeros((50, 8, 8), np.float32)
    held = tuple(f"patient-{i // 5}" for i in range(50))
    rows = np.arange(50)
    reach = []
    for groups in ([f"simulated-{i // 10}" for i in range(50)], [f"alone-{i}" for i in range(50)]):
        made = Comparison(
            images[:0], images, images, rows[:0], rows, rows, (), held, tuple(groups), "flair", images[:0], rows[:0]
        )
        found = agreement(Judge(answers(np.full(50, 0.8)), answers(fits)), made).synthetic
        reach.append(found.high - found.low)
    assert reach[0] > 2 * reach[1]


@pytest.mark.parametrize(
    ("wanted", "expected"), [(0.5, []), (0.52, []), (0.53, [3]), (0.7, [0, 3]), (0.95, [0, 1, 3, 4]), (1.1, range(5))]
)
def test_the_worst_pairs_go_until_the_others_agree(wanted: float, expected: Sequence[int]) -> None:
    """Without the lowest 0, 1, ... of these the means are .52, .65, .8, .9 and 1."""
    assert sorted(worst(np.array([0.2, 0.8, 1.0, 0.0, 0.6]), wanted)) == list(expected)


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
    with pytest.raises(LeakError, match="saw 2 of 20 held-out patients or groups, for example patient-45"):
        evaluate(real, leaking, QUICK, real.path.parent / "cells")


def test_a_leak_is_seen_through_groups_of_several_patients(
    place: Path, real: Cohort, synthetic: Callable[..., Cohort]
) -> None:
    """Duplicates join patients into a group that bears one of their names."""
    joined = with_columns(real, place / "joined", patient=[f"p{i // 2}" for i in range(120)])
    for name in ("p45", "patient-45"):
        leaking = synthetic(heads(2000, 24), provenance={"trained_on": {"groups": [name]}})
        with pytest.raises(LeakError, match=name):
            compare(joined, leaking)


def test_simulated_patients_are_nobody_beside_real_ones(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    names = {"trained_on": {"groups": ["patient-45", "patient-1"]}, "training_cohort": {"origin": "phantom"}}
    comparison = compare(real, synthetic(heads(2000, 24), provenance=names))
    assert (len(comparison.gallery), comparison.absent) == (80, 0)


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


def test_synthetic_slices_without_the_modality_are_left_out_too(
    place: Path, real: Cohort, synthetic: Callable[..., Cohort]
) -> None:
    drawn = synthetic(heads(2000, 60))
    lacking = with_columns(drawn, place / "lacking", missing=["flair" if i % 2 else "" for i in range(60)])
    assert compare(real, lacking).synthetic_rows.tolist() == list(range(0, 60, 2))


@pytest.mark.usefixtures("copies_are_known")
def test_a_generator_that_repeats_itself_is_judged_as_if_its_duplicates_were_no_group(
    place: Path, real: Cohort, synthetic: Callable[..., Cohort]
) -> None:
    """`prepare --origin synthetic` joins duplicates: ten pictures, six times each, are ten groups there."""
    drawn = synthetic(np.tile(heads(1000, 10), (6, 1, 1)))
    names = [f"case-{i % 10:04d}" for i in range(60)]
    joined = with_columns(drawn, place / "repeated", group=names, twin=[f"twins-{i % 10}" for i in range(60)])
    assert len(set(compare(real, joined).synthetic_groups)) == 60
    assert judged(real, joined).fidelity == judged(real, drawn).fidelity


# --- privacy -----------------------------------------------------------------------------------------------------


def test_a_fresh_set_holds_no_copies(real: Cohort, fresh: Cohort) -> None:
    found = copies(compare(real, fresh), canaries=60)
    assert found.word == "NONE FOUND"
    assert (found.certain, found.of, found.searched) == (0, 60, 80)


def test_all_that_the_generator_saw_is_searched(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    """However few training slices are compared otherwise; rows are rows of the cohorts."""
    scans = np.asarray(real.images[:, 0], np.float32)
    planted = [scans[3], scans[40][:, ::-1], np.roll(scans[71], 1, axis=0), 0.8 * scans[10], scans[5], scans[6]]
    comparison = compare(real, synthetic(np.concatenate([heads(1000, 24), np.stack(planted)])), limit=30)
    assert (len(comparison.training), len(comparison.gallery)) == (30, 80)
    assert np.array_equal(comparison.gallery, real.images[comparison.gallery_rows][:, 0])
    found = copies(comparison, canaries=60)
    named = {(pair.synthetic_row, pair.training_row, pair.mirrored) for pair in found.pairs[:6]}
    assert named == {(24, 3, False), (25, 40, True), (26, 71, False), (27, 10, False), (28, 5, False), (29, 6, False)}


def test_copies_of_patients_who_are_not_there_cannot_be_excluded(
    real: Cohort, synthetic: Callable[..., Cohort]
) -> None:
    """Of three hospitals one is here, then none; the training split stands for those who are not."""
    here = [f"patient-{i}" for i in range(15)]
    for names, searched in (([*here, "b-1", "b-2"], 30), (["b-1", "b-2"], 80)):
        comparison = compare(real, synthetic(heads(1000, 60), provenance={"trained_on": {"groups": names}}), limit=1000)
        assert (len(comparison.gallery), comparison.absent) == (searched, 2)
        found = copies(comparison, canaries=60)
        assert found.word == "CANNOT TELL"
        assert "2 patients or groups that the generator learned from are not" in found.because


# --- the whole ---------------------------------------------------------------------------------------------------


def judged(real: Cohort, synthetic: Cohort, **options: Any) -> Evaluation:
    return evaluate(real, synthetic, QUICK, real.path.parent / "cells", **options)


@pytest.fixture(scope="module")
def result(real: Cohort, fresh: Cohort) -> Evaluation:
    return judged(real, fresh)


@pytest.fixture
def copies_are_known(monkeypatch: pytest.MonkeyPatch, result: Evaluation) -> None:
    """The search for copies is most of an evaluation: who asks about something else is told what it found before."""
    monkeypatch.setattr(evaluation, "privacy", lambda comparison, **options: result.privacy)


def light(result: Evaluation, question: Question) -> str:
    return result.light(question).state


def test_the_file_holds_the_evaluation(result: Evaluation, tmp_path: Path) -> None:
    write_evaluation(tmp_path, result)
    again = read_evaluation(tmp_path)
    assert again == result
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert again.content() == content
    schema = json.loads(SCHEMA.read_text())
    assert fits(content, schema, schema["$defs"])
    assert again.compared.rows == result.compared.rows
    assert again.version == "synthoma.evaluation/3"
    assert set(again.fidelity.families) == {"wavelet", "random", "radiomics"}
    assert again.provenance.config.thresholds.alpha == 0.05


@pytest.mark.usefixtures("copies_are_known")
def test_an_evaluation_is_a_function_of_its_seed(real: Cohort, fresh: Cohort, result: Evaluation) -> None:
    assert judged(real, fresh).fidelity == result.fidelity


def test_an_honest_cohort_is_private_and_its_use_untested(result: Evaluation) -> None:
    assert light(result, "private") in ("GOOD", "FAIR")  # 60 images bound the share of copies at some percent
    assert light(result, "realistic") in ("GOOD", "FAIR")
    assert light(result, "diverse") in ("GOOD", "FAIR")
    assert result.verdict.word == "CANNOT TELL"
    assert "--preset standard" in result.verdict.because


def test_a_copied_cohort_is_not_to_be_shared(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    scans = np.asarray(real.images[:40, 0], np.float32)
    result = judged(real, synthetic(scans))
    assert light(result, "private") == "POOR"
    assert result.verdict.word == "NO EVIDENCE"
    assert "COPIES FOUND" in result.verdict.because
    assert "do not share" in result.verdict.because


@pytest.mark.usefixtures("copies_are_known")
def test_noise_is_no_evidence(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    noise = np.random.default_rng(0).random((40, SIZE, SIZE))
    result = judged(real, synthetic(noise))
    assert light(result, "realistic") == "POOR"
    assert light(result, "diverse") == "POOR"
    assert result.verdict.word == "NO EVIDENCE"
    json.dumps(result.content(), allow_nan=False)


def test_without_a_null_nobody_can_tell(place: Path, synthetic: Callable[..., Cohort]) -> None:
    splits = ["train"] * 30 + ["test"] * 30
    lone = write_cohort(place / "single", heads(0, 60), splits=splits, groups=["one"] * 60)
    noise = np.random.default_rng(0).random((30, SIZE, SIZE))
    result = judged(lone, synthetic(noise))
    assert light(result, "realistic") == light(result, "diverse") == "CANNOT TELL"
    json.dumps(result.content(), allow_nan=False)


def test_a_constant_cohort_is_evaluated_without_a_crash(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    grey = synthetic(np.full((30, SIZE, SIZE), 0.3))
    result = judged(real, grey)
    assert light(result, "realistic") == "POOR"
    json.dumps(result.content(), allow_nan=False)


@pytest.mark.usefixtures("copies_are_known")
def test_classes_are_scored_alone_too(place: Path, synthetic: Callable[..., Cohort]) -> None:
    labels = ["a", "b"] * 60
    splits = ["train"] * 60 + ["test"] * 60
    groups = [f"patient-{i // 2}" for i in range(120)]
    both = write_cohort(place / "classes", heads(5000, 120), labels, splits=splits, groups=groups)
    images = heads(1000, 60)
    images[1::2] = ndimage.gaussian_filter(images[1::2], (0, 1.5, 1.5))  # class b alone is blurred
    found = judged(both, synthetic(images, ["a", "b"] * 30)).classes
    assert {name: entry.synthetic for name, entry in found.items()} == {"a": 30, "b": 30}
    ratio = {name: entry.families["wavelet"]["sliced_wasserstein"].ratio for name, entry in found.items()}
    assert ratio["b"] > 2 * ratio["a"]


@pytest.mark.usefixtures("copies_are_known")
def test_an_extractor_of_ones_own(place: Path, real: Cohort, fresh: Cohort) -> None:
    file = place / "mine.py"
    file.write_text("import numpy as np\ndef features(images):\n    return np.stack([images.mean((1, 2))] * 2, 1)\n")
    own = EvaluateConfig(halves=9, limit=200)
    result = evaluate(real, fresh, own, place / "cells", extractor=file)
    assert result.fidelity.families["own"]["kid"].p is not None
    assert result.provenance.extractors["own"] == file_digest(file)
    assert str(place) not in json.dumps(result.content())
    file.write_text("def features(images):\n    return images\n")
    with pytest.raises(InputError, match="one finite vector an image"):
        evaluate(real, fresh, own, place / "cells", extractor=file)
    file.write_text("def other(): pass\n")
    with pytest.raises(InputError, match="features"):
        evaluate(real, fresh, own, place / "cells", extractor=file)


def test_a_settings_file_runs_nothing(tmp_path: Path) -> None:
    """Settings are passed on by strangers; a program is named by the user, or not at all."""
    ran = tmp_path / "ran"
    (tmp_path / "mine.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (tmp_path / "own.toml").write_text(f'extractor = "{tmp_path / "mine.py"}"\n')
    with pytest.raises(ConfigError, match="--extractor"):
        EvaluateConfig.resolve(tmp_path / "own.toml")
    with pytest.raises(ConfigError, match="--extractor"):
        EvaluateConfig.resolve(assignments=[f'extractor="{tmp_path / "mine.py"}"'])
    assert not ran.exists()


@pytest.mark.usefixtures("copies_are_known")
def test_the_preset_standard_trains_and_judges_masks(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks that lie elsewhere than the discs: the judge disagrees, and nothing is said to help."""
    for task in DETECTORS:
        monkeypatch.setitem(DETECTORS[task], "small", {"width": 4})
    # Two threads for a network of four maps, beside other tests, wait for one another most of the time.
    monkeypatch.setattr(grid, "usable_cores", lambda: 1)
    images, masks = discs(1, 96)
    groups = [f"patient-{i // 4:02d}" for i in range(96)]
    splits = ["train"] * 48 + ["test"] * 48
    real = write_cohort(place / "discs", images, None, masks, splits=splits, groups=groups, mask_names=NAMES)
    more, theirs = discs(2, 40)
    made = {
        name: write_cohort(place / name, more, None, drawn, origin="synthetic", mask_names=NAMES)
        for name, drawn in (("right", theirs), ("wrong", theirs[:, ::-1, ::-1]))
    }
    options = {"seeds": 2, "steps": 60, "shares": (), "ratios": (1.0,), "cross": False}
    flags = {"preset": "standard", "halves": 19, "faults": False, "canaries": 40, "jobs": 1, "utility": options}
    config = EvaluateConfig.resolve(flags=flags)
    found = {name: evaluate(real, cohort, config, place / "standard") for name, cohort in made.items()}
    assert found["wrong"].agreement.gap > found["right"].agreement.gap + 0.3
    assert found["wrong"].agreement.rejected_share > 0.5 > found["right"].agreement.rejected_share
    assert light(found["wrong"], "realistic") == "POOR"
    assert found["right"].fidelity.families["learned"]["kid"].p is not None
    scores = {name: result.utility.arms["mixed 1"].score.value for name, result in found.items()}
    assert scores["wrong"] < scores["right"]
    assert found["wrong"].verdict.word in ("HARMS", "NO EVIDENCE")
    for result in found.values():
        json.dumps(result.content(), allow_nan=False)


# --- other divisions of the patients, twins, pairs -------------------------------------------------------------------


def test_nobody_whom_the_generator_knows_is_ever_held_out(
    real: Cohort, fresh: Cohort, foreign: Cohort, synthetic: Callable[..., Cohort]
) -> None:
    """40 of 60 patients were learned from; of a generator that says nothing, the training split is taken for known."""
    others = {f"patient-{i}" for i in range(40, 60)}
    assert set(unseen_groups(real, fresh)) == set(unseen_groups(real, foreign)) == others
    elsewhere = synthetic(heads(1000, 60), provenance={"trained_on": {"groups": ["somebody-else"]}})
    assert len(unseen_groups(real, elsewhere)) == 60
    for cohort in (fresh, foreign):
        with pytest.raises(LeakError, match="patient-3") if cohort is fresh else nullcontext():
            compare(real, cohort, held_out=[f"patient-{i}" for i in (3, *range(45, 55))])
    found = compare(real, fresh, held_out=[f"patient-{i}" for i in range(45, 55)])
    assert set(found.held_out_groups) == {f"patient-{i}" for i in range(45, 55)}
    assert len(set(found.training_groups)) == 50


def test_other_divisions_are_judged_and_their_spread_is_told(real: Cohort, fresh: Cohort, result: Evaluation) -> None:
    config = QUICK.model_copy(update={"splits": 2})
    found = with_other_held_out(
        real, fresh, config, {"wavelet": EXTRACTORS["wavelet"], "radiomics": EXTRACTORS["radiomics"]}
    )
    assert (found.drawn_among, found.held_out, len(found.each)) == (20, 10, 2)
    for question in ("realistic", "diverse"):
        ratios, spread = [getattr(one, question).ratio for one in found.each], getattr(found, question)
        assert (spread.low, spread.high) == pytest.approx((min(ratios), max(ratios)))
        assert sum(spread.states.values()) == 2
    lines = splits_lines(result.model_copy(update={"splits": found}))
    assert lines[0].startswith("realistic  over 2 other divisions of the patients: ")


def test_a_cohort_of_twins_is_not_diverse(real: Cohort, synthetic: Callable[..., Cohort]) -> None:
    """Thirty pictures, each with a copy under noise and mirrored: recall and coverage do not see it."""
    images = heads(1000, 30)
    noise = 0.01 * np.random.default_rng(0).normal(size=images.shape)
    doubled = compare(real, synthetic(np.concatenate([images, np.clip(images + noise, 0, 1)[:, :, ::-1]])))
    found = twins_within(doubled)
    assert found.share == 1.0
    assert {abs(pair.rows[0] - pair.rows[1]) for pair in found.pairs} == {30}
    assert all(pair.mirrored for pair in found.pairs)
    assert found.spare == tuple(range(30, 60))
    assert found.within == 0  # each is a patient of its own
    honest = twins_within(compare(real, synthetic(heads(1000, 60))))
    assert honest.excess < 0.05


def test_repainted_slices_are_compared_with_what_they_repaint(
    place: Path, real: Cohort, synthetic: Callable[..., Cohort]
) -> None:
    drawn = write_cohort(place / "drawn", heads(3000, 24), origin="phantom")
    sources = with_columns(drawn, place / "sources", slice=range(24))
    made = synthetic(np.clip(heads(3000, 24) + 0.02, 0, 1))
    names = [f"{case}/{number}" for case, number in zip(sources.slices["case"], sources.slices["slice"], strict=True)]
    told = with_columns(made, place / "told", repaints=names)
    found = repainted(compare(real, told), told, sources, seed=0)
    assert found.n == 24
    assert found.ssim > found.ssim_others + 0.2
    assert 33.5 < found.psnr < 35  # 0.02 everywhere is 34 dB
    assert repainted(compare(real, made), made, sources, seed=0) is None
    for count in (2, 3, 30):
        for seed in range(20):
            others = another(count, seed)
            assert sorted(others) == list(range(count))
            assert not (others == np.arange(count)).any()  # no slice is its own other
