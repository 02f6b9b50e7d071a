"""What a discriminator makes of held-out slices, and when a training may end by it."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.dataset import TrainingSlices
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import Floats
from synthoma.generators.gan.watching import Watch, accuracy, best_cut, outputs, ranked
from synthoma.generators.plan import plan_training
from synthoma.generators.settings import AdversarialLoss
from synthoma.settings import TrainConfig
from tests.toys import halves, train_toy, write_cohort

MARKS = {"train": 0.9, "validation": 0.6}


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Constant pictures whose grey value says which split they are of."""
    splits = ["train"] * 30 + ["validation"] * 10
    images = np.array([MARKS[name] for name in splits])[:, None, None] * np.ones((40, 16, 16))
    images[:, 0, 0] = 0
    return write_cohort(tmp_path_factory.mktemp("split") / "cohort", images, None, splits=splits)


def watch(cohort: Cohort, loss: AdversarialLoss = "bce", until: int = 0, *, held_out: bool = True) -> Watch:
    training, other = (TrainingSlices(cohort, cohort.rows(split=name)) for name in ("train", "validation"))
    return Watch(loss, training, other if held_out else None, until)


def by_grey(levels: dict[float, float]) -> Any:
    """A discriminator that scores a picture by its grey value in 0..1."""

    def scores(planes: Tensor, classes: Tensor) -> Floats:
        grey = ((planes[:, 0, 5, 5] + 1) / 2).double().numpy()
        return np.array([levels[round(float(value), 2)] for value in grey])

    return scores


def of_grey(value: float, count: int = 20) -> Tensor:
    return torch.full((count, 1, 16, 16), 2 * value - 1)


@pytest.mark.parametrize("seed", range(8))
def test_no_other_cut_is_better(seed: int) -> None:
    draws = np.random.default_rng(seed)
    real, generated = draws.normal(1, 1, 23).round(1), draws.normal(0, 1, 31).round(1)
    found = accuracy(real, generated, best_cut(real, generated))
    assert found == pytest.approx(max(accuracy(real, generated, cut) for cut in np.arange(-6, 6, 0.05)))


def test_a_cut_between_groups_lies_half_way() -> None:
    assert best_cut(np.array([4.0, 5.0]), np.array([1.0, 2.0])) == 3.0


def test_accuracy_and_order_are_counted() -> None:
    real, generated = np.array([1.0, -1.0, 2.0, 3.0]), np.array([-2.0, 0.5])
    assert accuracy(real, generated, 0.0) == (0.75 + 0.5) / 2
    pairs = [(one > other) + 0.5 * (one == other) for one, other in itertools.product(real, generated)]
    assert ranked(real, generated) == np.mean(pairs)


def test_figures_are_of_the_slices_that_they_name(split: Cohort) -> None:
    scores = by_grey({0.9: 2.0, 0.6: -1.0, 0.2: -3.0})  # training real; held-out and generated are called generated
    found = watch(split).figures(scores, of_grey(0.2), torch.zeros(20, dtype=torch.long))
    assert found["d_accuracy_held_out"] == 0.5
    assert found["d_accuracy_training"] == 1.0
    assert found["d_auc_held_out"] == 1.0
    for name, logit in (("d_training", 2.0), ("d_held_out", -1.0), ("d_generated", -3.0)):
        assert found[name] == pytest.approx(1 / (1 + math.exp(-logit)))
    assert watch(split, "hinge").figures(scores, of_grey(0.2), torch.zeros(20))["d_training"] == 2.0


def test_a_critic_without_a_zero_is_cut_where_training_slices_part(split: Cohort) -> None:
    scores = by_grey({0.9: 107.0, 0.6: 105.0, 0.2: 101.0})  # all above 0
    found = watch(split, "wasserstein").figures(scores, of_grey(0.2), torch.zeros(20))
    assert found["d_accuracy_held_out"] == found["d_accuracy_training"] == 1.0
    by_heart = by_grey({0.9: 107.0, 0.6: 101.0, 0.2: 101.0})
    assert watch(split, "wasserstein").figures(by_heart, of_grey(0.2), torch.zeros(20))["d_accuracy_held_out"] == 0.5


def test_errors_of_rebuilding_have_no_zero_either(split: Cohort) -> None:
    scores = by_grey({0.9: -0.1, 0.6: -0.2, 0.2: -0.4})  # of BEGAN: all below 0
    found = watch(split, "equilibrium").figures(scores, of_grey(0.2), torch.zeros(20))
    assert found["d_accuracy_held_out"] == found["d_accuracy_training"] == 1.0


def test_nothing_is_said_of_held_out_slices_where_there_are_none(split: Cohort) -> None:
    scores = by_grey({0.9: 2.0, 0.2: -3.0})
    found = watch(split, held_out=False).figures(scores, of_grey(0.2), torch.zeros(20))
    assert math.isnan(found["d_accuracy_held_out"])
    assert math.isnan(found["d_held_out"])
    assert math.isnan(found["d_auc_held_out"])
    assert found["d_accuracy_training"] == 1.0


def told(held_out: float, training: float, auc: float | None = None) -> dict[str, float]:
    order = held_out if auc is None else auc
    return {"d_accuracy_held_out": held_out, "d_accuracy_training": training, "d_auc_held_out": order}


UNTRAINED, AHEAD, FOOLED = told(0.5, 0.5), told(0.95, 0.97), told(0.55, 0.58)


def test_a_pair_that_has_not_learned_anything_does_not_end(split: Cohort) -> None:
    one = watch(split, until=1)
    assert not any(one.ended(UNTRAINED) for _ in range(20))


def test_a_discriminator_that_was_ahead_and_is_fooled_for_long_enough_ends_it(split: Cohort) -> None:
    one = watch(split, until=2)
    said = [bool(one.ended(figures)) for figures in (UNTRAINED, AHEAD, FOOLED, AHEAD, FOOLED, FOOLED)]
    assert said == [False, False, False, False, False, True]
    assert "--until-fooled" in one.ended(FOOLED)
    off = watch(split)
    assert not any(off.ended(figures) for figures in (AHEAD, *[FOOLED] * 9))
    assert off.state() == {}


@pytest.mark.parametrize(
    "figures", [told(0.5, 0.99), told(0.52, 0.55, auc=0.95), told(0.5, 0.5, auc=0.05), told(0.7, 0.7), told(0.3, 0.3)]
)
def test_memorising_or_a_shifted_limit_is_not_being_fooled(split: Cohort, figures: dict[str, float]) -> None:
    one = watch(split, until=1)
    assert not any(one.ended(each) for each in (AHEAD, figures, figures))


def test_what_was_counted_goes_on_after_a_resume(split: Cohort) -> None:
    one, other = watch(split, until=2), watch(split, until=2)
    for figures in (AHEAD, FOOLED):
        assert not one.ended(figures)
    other.restore(one.state()["watched"])
    assert other.ended(FOOLED) == one.ended(FOOLED) != ""


def test_asking_changes_nothing_in_the_network() -> None:
    torch.manual_seed(0)

    class Pieces(nn.Sequential):
        def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
            found: Tensor = super().forward(images)
            return found

    network = Pieces(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3))
    network(torch.randn(2, 1, 8, 8))
    planes = torch.randn(70, 1, 8, 8)
    before, drawn = {name: one.clone() for name, one in network.state_dict().items()}, torch.get_rng_state()
    found = outputs(network, planes, None, lambda one: one)
    assert all(torch.equal(before[name], one) for name, one in network.state_dict().items())
    assert torch.equal(drawn, torch.get_rng_state())
    assert network.training
    with torch.no_grad():
        assert np.allclose(found, network.eval()(planes).mean(dim=1).numpy(), atol=1e-6)  # of pieces the mean


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["bce", "wasserstein"])
def test_snapshots_of_a_training_say_it_and_epochs(tmp_path: Path, loss: str) -> None:
    images, labels = halves(40)
    cohort = write_cohort(tmp_path / "cohort", images, labels, splits=["train"] * 24 + ["validation"] * 16)
    train_toy(cohort, tmp_path / "run", epochs=3, gan={"loss": loss, "critic_norm": "none"}, conditional=True)
    found = [line for line in lines(tmp_path / "run") if "score" in line]
    assert [line["epochs"] for line in found] == [1.0, 2.0, 3.0]
    for line in found:
        assert 0 <= line["d_accuracy_held_out"] <= 1
        assert all(isinstance(line[name], float) for name in ("d_held_out", "d_training", "d_generated"))


@pytest.mark.slow
def test_a_training_that_may_end_by_it_resumes_to_the_same_weights(tmp_path: Path) -> None:
    images, labels = halves(40)
    cohort = write_cohort(tmp_path / "cohort", images, labels, splits=["train"] * 24 + ["validation"] * 16)
    settings: dict[str, Any] = {"epochs": 4, "until_fooled": 50}

    def killed(progress: Any, share: float, recent: Any) -> None:
        if progress.images >= 60:
            raise KeyboardInterrupt

    train_toy(cohort, tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train_toy(cohort, tmp_path / "killed", report=killed, **settings)
    train_toy(cohort, tmp_path / "killed", resume=True, **settings)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]


def test_it_is_refused_where_nobody_can_be_asked(tmp_path: Path) -> None:
    images, labels = halves(20)
    cohort = write_cohort(tmp_path / "cohort", images, labels)
    with pytest.raises(InputError, match="8 validation slices or more"):
        plan_training(cohort, TrainConfig(model="dcgan", until_fooled=2))
    with pytest.raises(ConfigError, match="a model with a discriminator"):
        plan_training(cohort, TrainConfig(model="flow", until_fooled=2))
    with pytest.raises(ConfigError, match="--until-fooled is for GANs"):
        TrainConfig.resolve(flags={"model": "unet-25d", "until_fooled": 2})
