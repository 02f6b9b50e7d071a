from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.evaluation.comparison import Comparison
from synthoma.evaluation.private import privacy as evidence
from synthoma.evaluation.private import volumes as copy_volumes
from synthoma.evaluation.private.kinds import Planted, Search
from synthoma.evaluation.private.privacy import copies, privacy
from synthoma.evaluation.private.result import Privacy, Twin, Volumes
from synthoma.metrics.copies.alterations import Motion, altered, altered_alike, blended, cropped
from synthoma.metrics.copies.whole import Gallery, Nearest
from tests.metrics.test_copies import head

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fewer_planted")]

SIZE = 64


@cache
def heads(first: int, count: int) -> np.ndarray:
    return np.stack([head(seed, SIZE) for seed in range(first, first + count)]).astype(np.float32)


def drawing(honest: Comparison, *parts: np.ndarray) -> Comparison:
    """The same real slices beside other synthetic ones."""
    synthetic = np.concatenate(parts).astype(np.float32)
    rows = np.arange(3000, 3000 + len(synthetic))
    return replace(honest, synthetic=synthetic, synthetic_rows=rows, synthetic_groups=tuple(map(str, rows)))


def comparison(
    training: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray, groups: Sequence[str] | None = None
) -> Comparison:
    """Two slices of each patient; rows of the cohorts count from 1000, 2000 and 3000."""
    return Comparison(
        training,
        held_out,
        synthetic,
        np.arange(1000, 1000 + len(training)),
        np.arange(2000, 2000 + len(held_out)),
        np.arange(3000, 3000 + len(synthetic)),
        tuple(f"patient-{at // 2}" for at in range(len(training))),
        tuple(groups or [f"other-{at // 2}" for at in range(len(held_out))]),
        tuple(f"synthetic-{at}" for at in range(len(synthetic))),
        "flair",
        training.astype(np.float16),
        np.arange(1000, 1000 + len(training)),
    )


@pytest.fixture
def whole_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blends and crops are not searched: most tests ask about what all kinds have in common."""
    empty = Nearest(*(np.zeros(shape) for shape in ((1,), (1,), (1,), (1, 2), (1, 2))))
    for name in ("blends", "crops"):
        none = Search(
            name, "", np.zeros(1, np.int64), empty, np.zeros(0), (), {name: Planted(np.ones(9), np.ones(9), 1)}
        )
        monkeypatch.setattr(evidence, name, lambda *_, none=none: none)


@pytest.fixture(scope="module")
def honest() -> Comparison:
    return comparison(heads(0, 80), heads(100, 60), heads(200, 100))


@pytest.fixture(scope="module")
def clean(honest: Comparison) -> Privacy:
    return privacy(honest, canaries=60)


def test_an_honest_cohort_has_none(clean: Privacy) -> None:
    assert clean.word == "NONE FOUND"
    assert (clean.flagged, clean.quarantine, clean.certain, clean.p) == (0, (), 0, 1.0)
    assert (clean.of, clean.searched, clean.null.of) == (100, 80, 60)
    assert clean.recall.low < clean.recall.value <= clean.recall.high
    assert clean.recall.value > 0.9
    assert clean.recall.right_source > 0.95
    assert 0 < clean.upper_share < 0.06
    assert len(clean.pairs) == 24
    assert not any(pair.flagged for pair in clean.pairs)
    assert Privacy.parse(json.loads(json.dumps(clean.content(), allow_nan=False)), Path("evaluation.json")) == clean


@pytest.mark.usefixtures("whole_alone")
def test_planted_copies_are_found_named_and_quarantined(honest: Comparison) -> None:
    sources = np.arange(5, 25)
    planted = altered(honest.training[sources], np.random.default_rng(0))
    found = copies(drawing(honest, honest.synthetic[:80], planted), canaries=60)
    assert found.word == "COPIES FOUND"
    assert found.p < 0.01
    assert set(found.quarantine) <= set(range(3080, 3100))
    assert len(found.quarantine) == found.flagged >= 17
    assert list(found.quarantine) == sorted(found.quarantine)
    named = {(pair.synthetic_row, pair.training_row) for pair in found.pairs if pair.flagged}
    assert named <= {(3080 + at, 1000 + source) for at, source in enumerate(sources)}
    scores = [pair.score for pair in found.pairs]
    assert scores == sorted(scores, reverse=True)
    assert found.upper_share >= 0.2


@pytest.mark.usefixtures("whole_alone")
def test_one_perfect_copy_is_enough_where_patients_are_many(honest: Comparison) -> None:
    found = copies(drawing(honest, honest.synthetic[:99], honest.training[[7]]), canaries=5)
    assert (found.word, found.certain, found.quarantine) == ("COPIES FOUND", 1, (3099,))
    assert found.tests["nearest"] < found.tests["ranks"]


@pytest.mark.usefixtures("whole_alone")
def test_all_training_slices_are_searched(honest: Comparison) -> None:
    """Also those that are too many to be compared otherwise."""
    few = replace(
        honest,
        training=honest.training[:30],
        training_rows=honest.training_rows[:30],
        training_groups=honest.training_groups[:30],
    )
    found = copies(drawing(few, honest.synthetic[:70], honest.training[40:70]), canaries=5)
    assert found.searched == 80
    assert found.quarantine == tuple(range(3070, 3100))
    assert {pair.training_row for pair in found.pairs} <= set(range(1040, 1070))


@pytest.mark.usefixtures("whole_alone")
def test_twins_leave_the_null(honest: Comparison, clean: Privacy) -> None:
    """Hidden twins among held-out slices would raise the threshold to 1 and blind the search."""
    twins = np.stack([honest.training[3], honest.training[4][:, ::-1], 0.8 * honest.training[5]])
    found = copies(replace(honest, held_out=np.concatenate([honest.held_out[:-3], twins])), canaries=60)
    assert found.null.twins == tuple(Twin(held_out_row=2057 + at, training_row=1003 + at) for at in range(3))
    assert found.null.of == 57
    assert found.recall.value > 0.9
    assert found.threshold == pytest.approx(clean.threshold, abs=0.03)


@pytest.mark.usefixtures("whole_alone")
def test_typical_heads_are_no_copies(honest: Comparison) -> None:
    """A generator that draws averages is nearer to training slices than held-out slices are, but copies nothing."""
    average = honest.training.mean(axis=0)
    found = copies(drawing(honest, 0.7 * honest.synthetic + 0.3 * average), canaries=60)
    usual = found.quantiles
    assert usual.synthetic[1] > usual.held_out[1]
    assert usual.synthetic[3] > usual.held_out[3]
    assert found.word == "NONE FOUND"


@pytest.mark.usefixtures("whole_alone")
def test_tiny_cohorts_prove_nothing(honest: Comparison) -> None:
    tiny = comparison(honest.training[:20], honest.held_out[:20], honest.synthetic[:20])
    found = privacy(tiny, canaries=40)
    assert found.word == "CANNOT TELL"
    assert "generate more" in found.because
    assert found.upper_share > 0.1
    json.dumps(found.content(), allow_nan=False)


@pytest.mark.usefixtures("whole_alone")
def test_one_patient_is_no_null(honest: Comparison) -> None:
    lone = comparison(honest.training, honest.held_out[:30], honest.training, groups=["one"] * 30)
    found = privacy(lone, canaries=20)
    assert (found.word, found.flagged, found.upper_share, found.p) == ("CANNOT TELL", 0, 1.0, 1.0)
    assert "30 held-out slices of 1 groups" in found.because
    assert found.membership.distance.p is None


@pytest.mark.usefixtures("whole_alone")
def test_only_twins_are_no_null(honest: Comparison) -> None:
    found = privacy(replace(honest, held_out=honest.training[:60]), canaries=20)
    assert found.word == "CANNOT TELL"
    assert len(found.null.twins) > 50
    json.dumps(found.content(), allow_nan=False)


@pytest.mark.usefixtures("whole_alone")
def test_images_without_detail_prove_nothing() -> None:
    empty = np.zeros((40, SIZE, SIZE), np.float32)
    found = privacy(comparison(empty, empty, empty), canaries=10)
    assert found.word == "CANNOT TELL"
    assert "0 % of planted copies" in found.because


def test_the_same_seed_says_the_same(honest: Comparison, clean: Privacy) -> None:
    assert copies(honest, canaries=60) == clean.model_copy(update={"membership": None})


MADE: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "zoomed": lambda images, draws: altered(images, draws, Motion("", zoom=(1.08, 1.08))),
    "shifted": lambda images, draws: np.roll(images, 5, axis=(1, 2)),
    "upside down": lambda images, draws: images[:, ::-1],
    "blended": lambda images, draws: blended(images, images[::-1], draws),
    "cropped": lambda images, draws: cropped(images, draws),
}


def test_cohorts_that_are_all_copies_are_found(honest: Comparison) -> None:
    """Zooms of 1.08, shifts of 5 px (of 64) and slices upside down once read NONE FOUND, at most a few per cent."""
    draws = np.random.default_rng(0)
    parts = [change(honest.training[:16], draws) for change in MADE.values()]
    found = copies(drawing(honest, *parts), canaries=20)
    assert found.word == "COPIES FOUND"
    flagged = np.isin(np.arange(3000, 3000 + 16 * len(MADE)), found.quarantine).reshape(len(MADE), 16)
    assert flagged.mean(axis=1).min() >= 0.75, dict(zip(MADE, flagged.mean(axis=1), strict=True))
    assert "upside down" in found.because
    assert "blends of two" in found.because


def test_what_nobody_looked_for_is_named(clean: Privacy) -> None:
    assert [kind.name for kind in clean.kinds] == ["whole slices", "blends", "crops"]
    assert "not searched: elastic warps" in clean.because
    assert "lesions put into another brain (no masks" in clean.because
    assert clean.volumes is None
    assert "copies of whole patients (too few" in clean.because
    assert clean.upper_share == max(kind.upper_share for kind in clean.kinds)
    whole = clean.kinds[0]
    assert len(whole.alterations) == 5
    assert whole.recall.worst.low <= min(one.low for one in whole.alterations)


@pytest.fixture(scope="module")
def patients() -> tuple[np.ndarray, list[str]]:
    """Slices of 60 patients, 4 each, from below to above: heads that change little by little."""
    slices, names = [], []
    for patient in range(60):
        first, last = head(1000 + patient, SIZE), head(2000 + patient, SIZE)
        slices += [(1 - share) * first + share * last for share in (0.0, 0.35, 0.65, 1.0)]
        names += [f"patient-{patient}"] * 4
    return np.stack(slices).astype(np.float32), names


def volume_cohort(patients: tuple[np.ndarray, list[str]], *copied: int) -> Volumes:
    """What is said of 20 synthetic patients, of which the last ones are copies of these training patients."""
    images, names = patients
    draws = np.random.default_rng(1)
    planted = [altered_alike(images[4 * at : 4 * at + 4], draws) for at in copied]
    made = np.concatenate([images[160 : 240 - 4 * len(copied)], *planted])
    comparison_of = replace(
        comparison(images[:100], images[100:160], made, names[100:160]),
        synthetic_groups=tuple(f"synthetic-{at // 4}" for at in range(len(made))),
        gallery_groups=tuple(names[:100]),
    )
    gallery = Gallery(comparison_of.gallery)
    found, held_out = gallery.nearest(comparison_of.synthetic), gallery.nearest(comparison_of.held_out)
    said = copy_volumes.volumes(comparison_of, gallery, found, held_out, np.arange(60), seed=0)
    assert said is not None
    return said


def test_two_copied_volumes_among_twenty_patients_are_found(patients: tuple[np.ndarray, list[str]]) -> None:
    found = volume_cohort(patients, 3, 11)
    assert (found.of, found.slices_each, found.flagged) == (20, 4, 2)
    assert found.p < 0.01
    assert [one.training_rows for one in found.patients] == [
        tuple(range(1012, 1016)),
        tuple(range(1044, 1048)),
    ]
    assert found.quarantine == tuple(range(3072, 3080))
    assert found.recall.value > 0.9
    assert 0.1 <= found.upper_share < 0.5


def test_honest_volumes_are_not_accused(patients: tuple[np.ndarray, list[str]]) -> None:
    found = volume_cohort(patients)
    assert (found.flagged, found.quarantine, found.p) == (0, (), 1.0)
    assert found.upper_share < 0.25


def test_slices_out_of_order_are_weaker_evidence() -> None:
    """Chains by hand: places may rise or stay; what goes back is left out."""
    assert copy_volumes._chain([1.0, 1.0, 1.0], np.array([4, 4, 9])) == 3
    assert copy_volumes._chain([1.0, 2.0, 1.0], np.array([4, 2, 9])) == 3
    assert copy_volumes._chain([0.0, 0.0], np.array([4, 2])) == 0


# --- membership --------------------------------------------------------------------------------------------------


def test_an_honest_generator_gives_no_member_away(clean: Privacy) -> None:
    found = clean.membership.distance
    assert 0.35 < found.auc < 0.65
    assert found.p > 0.01
    assert (found.members, found.others) == (80, 60)
    assert clean.membership.discriminator is None


@pytest.mark.usefixtures("whole_alone")
def test_a_leaky_generator_gives_members_away(honest: Comparison) -> None:
    leaky = altered(honest.training, np.random.default_rng(0))
    found = privacy(drawing(honest, leaky), canaries=5).membership.distance
    assert found.auc > 0.95
    assert found.sensitivity > 0.8
    assert found.p < 0.01
    assert found.control < 0.7


@pytest.mark.usefixtures("whole_alone")
def test_a_discriminator_that_remembers(honest: Comparison) -> None:
    draws = np.random.default_rng(0)
    remembers = (draws.normal(3, 1, 80), draws.normal(0, 1, 60))
    found = privacy(honest, canaries=5, discriminator=remembers).membership.discriminator
    assert found.auc > 0.9
    assert found.p < 0.01
    with pytest.raises(InputError, match=r"\(79,\) and \(60,\) for 80 and 60"):
        privacy(honest, canaries=5, discriminator=(remembers[0][1:], remembers[1]))


def test_canaries_are_needed(honest: Comparison) -> None:
    with pytest.raises(InputError, match="one canary or more; came 0"):
        copies(honest, canaries=0)
