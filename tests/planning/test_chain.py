"""From a cohort to a plan, to a generator that draws it; the learning curve; what is not known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.joined import write_joined
from synthoma.core.errors import ConfigError, InputError
from synthoma.evaluation.useful.growth import growth
from tests.toys import blobs, halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Forty patients, two of whom have a tumour; single slices without spacing."""
    images, _ = halves(40)
    labels = ["healthy"] * 40
    labels[3] = labels[8] = "tumour"
    return write_cohort(tmp_path_factory.mktemp("rare") / "cohort", images, labels, classes=["healthy", "tumour"])


def test_a_generator_draws_the_rare_class(rare: Cohort, tmp_path: Path) -> None:
    found = synthoma.plan(rare, tmp_path / "plan")
    assert [(order.label, order.count) for order in found.orders] == [("tumour", 8)]  # half of 20, less 2
    assert {one.axis for one in found.unknown} == {"size", "side", "lobe", "site"}
    assert found.verdict.word == "CANNOT TELL"
    train_toy(rare, tmp_path / "run", images=16, judged=8, conditional=True)
    made = synthoma.generate(tmp_path / "run", tmp_path / "drawn", plan=tmp_path / "plan", seed=1)
    assert made.slices["label"].tolist() == ["tumour"] * 8 * found.slices_each
    assert any("as 8 cases show" in text for text in made.meta.remarks)
    assert set(made.slices["group"].str.split("-").str[0]) == {"order1"}
    assert made.meta.provenance.seed == 1
    with pytest.raises(ConfigError, match=r"a plan alone.*label"):
        synthoma.generate(tmp_path / "run", tmp_path / "more", label="tumour", plan=tmp_path / "plan")
    splits = ["train"] * 39 + ["test"]
    other = write_cohort(tmp_path / "other", rare.images[:, 0], list(rare.slices["label"]), splits=splits)
    synthoma.plan(other, tmp_path / "plan2")
    with pytest.raises(InputError, match="other splits"):
        synthoma.generate(tmp_path / "run", tmp_path / "more", plan=tmp_path / "plan2")


def test_a_generator_says_what_it_cannot(tmp_path: Path) -> None:
    images, masks = blobs(12)
    cohort = write_cohort(tmp_path / "cohort", images, masks=masks, mask_names={"1": "tumour"})
    train_toy(cohort, tmp_path / "run", images=16, judged=8)
    from synthoma.planning.result import Order, read_plan, write_plan

    synthoma.plan(cohort, tmp_path / "plan")
    plan = read_plan(tmp_path / "plan").model_copy(update={"orders": (Order(name="left", count=2, side="left"),)})
    (tmp_path / "left").mkdir()
    write_plan(tmp_path / "left", plan)
    with pytest.raises(InputError, match="told sizes and places"):
        synthoma.generate(tmp_path / "run", tmp_path / "drawn", plan=tmp_path / "left")


def test_the_learning_curve_asks_validation_patients_alone(tmp_path: Path) -> None:
    images, masks = blobs(40, size=32)
    groups = [f"p{row // 2}" for row in range(40)]
    splits = ["train"] * 24 + ["validation"] * 8 + ["test"] * 8
    spoilt = images.copy()
    spoilt[32:] = 1 - spoilt[32:]
    curves = []
    for name, shown in (("whole", images), ("spoilt", spoilt)):
        cohort = write_cohort(
            tmp_path / name, shown, masks=masks, splits=splits, groups=groups, mask_names={"1": "tumour"}
        )
        curves.append(growth(cohort, tmp_path / "cells" / name, minutes=1e-6, steps=2, seed=0, device="cpu"))
    whole, other = curves
    assert {count: part.shape for count, part in whole.scores.items()} == {3: (2, 4), 6: (2, 4), 12: (2, 4)}
    assert all(np.array_equal(part, other.scores[count]) for count, part in whole.scores.items())


def test_a_curve_needs_patients_on_both_sides(rare: Cohort) -> None:
    with pytest.raises(InputError, match="and 0"):
        synthoma.plan(rare, minutes=0.1)


def test_synthetic_cohorts_and_empty_ones_are_refused(tmp_path: Path) -> None:
    images, masks = blobs(6)
    made = write_cohort(tmp_path / "made", images, masks=masks, origin="synthetic")
    with pytest.raises(InputError, match="which is synthetic"):
        synthoma.plan(made)
    held = write_cohort(tmp_path / "held", images, masks=masks, splits=["test"] * 6)
    with pytest.raises(InputError, match="training patients to plan for"):
        synthoma.plan(held)


def test_cohorts_are_joined_whole(tmp_path: Path) -> None:
    first, second = (write_cohort(tmp_path / name, halves(4, seed)[0]) for seed, name in enumerate("ab"))
    (tmp_path / "both").mkdir()
    write_joined([("a", first), ("b", second)], tmp_path / "both", ["told"])
    both = Cohort(tmp_path / "both")
    assert np.array_equal(both.images, np.concatenate([first.images, second.images]))
    assert both.slices["group"].nunique() == 8
    assert both.meta.remarks == ("told",)
    small = write_cohort(tmp_path / "small", halves(2, size=8)[0])
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="one size"):
        write_joined([("a", first), ("b", small)], tmp_path / "none")
