"""A search: what it varies, that it finds what is better, and that it goes on where it was stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError
from synthoma.detectors import train as detectors
from synthoma.detectors.learning import AugmentConfig
from synthoma.detectors.search import changed_detector, detector_space, stronger
from synthoma.generators.search import generator_space
from synthoma.pipeline import searching
from synthoma.settings import TrainConfig
from synthoma.training.search import JOURNAL, Search, Value, Vary
from tests.toys import ONE, blobs, write_cohort

pytest.importorskip("optuna")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_are_judged")]

SPACE = [Vary("rate", low=1e-4, high=1.0), Vary("kind", ("good", "bad")), Vary("noise", (1, 2, 3))]


def cost(values: Mapping[str, Value], number: int = 0) -> float:
    """Smallest at a rate of 0.01 and of the good kind; the noise has no say."""
    return abs(math.log10(float(values["rate"])) + 2) + (values["kind"] == "bad") * 3


def test_a_search_finds_the_better_settings_and_which_of_them_matter() -> None:
    search = Search(SPACE, 1)
    ranked = search.run(30, cost)
    assert ranked[0]["kind"] == "good"
    assert ranked[0]["score"] < 0.4
    assert [row["score"] for row in ranked] == sorted(row["score"] for row in ranked)
    shares = search.importances()
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["noise"] < min(shares["rate"], shares["kind"])
    few = Search(SPACE, 1)
    few.run(3, cost)
    assert few.importances() == {}


def test_a_search_that_was_killed_proposes_what_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole = Search(SPACE, 5).run(14, cost)

    def killed(values: Mapping[str, Value], number: int) -> float:
        if number == 11:
            raise KeyboardInterrupt
        return cost(values)

    with pytest.raises(KeyboardInterrupt):
        Search(SPACE, 5, tmp_path / JOURNAL).run(14, killed)
    again = Search(SPACE, 5, tmp_path / JOURNAL)
    assert len(again.ranked()) == 11
    ranked = again.run(14, cost)
    assert [(row["score"], row["rate"], row["kind"]) for row in ranked] == [
        (row["score"], row["rate"], row["kind"]) for row in whole
    ]
    assert 11 not in [row["trial"] for row in ranked], "the killed trial is counted as none"


def test_a_search_ends_where_no_trial_has_a_score() -> None:
    seen = []

    def none(values: Mapping[str, Value], number: int) -> float:
        seen.append(values["rate"])
        assert len(seen) < 10, "it goes on for ever"
        return math.nan

    with pytest.raises(ConfigError, match="score"):
        Search(SPACE, 3).run(4, none)
    assert len(set(seen)) == 4, "other settings are tried, not the same again"


def test_a_search_goes_on_behind_settings_that_could_not_be_trained(tmp_path: Path) -> None:
    def broken(values: Mapping[str, Value], number: int) -> float:
        if number in (1, 4):
            raise ConfigError("a good number", f"{number}", "take another")
        return cost(values)

    def killed(values: Mapping[str, Value], number: int) -> float:
        if number == 5:
            raise KeyboardInterrupt
        return broken(values, number)

    whole = Search(SPACE, 5).run(6, broken)
    with pytest.raises(KeyboardInterrupt):
        Search(SPACE, 5, tmp_path / JOURNAL).run(6, killed)
    ranked = Search(SPACE, 5, tmp_path / JOURNAL).run(6, broken)
    assert [row["rate"] for row in ranked] == [row["rate"] for row in whole]


def test_settings_that_cannot_be_trained_are_passed_over() -> None:
    def broken(values: Mapping[str, Value], number: int) -> float:
        if values["kind"] == "bad":
            raise ConfigError("a good kind", "a bad one", "take another")
        return cost(values)

    ranked = Search(SPACE, 0).run(6, broken)
    assert {row["kind"] for row in ranked} == {"good"}

    def hopeless(values: Mapping[str, Value], number: int) -> float:
        raise ConfigError("a good kind", "a bad one", "take another")

    with pytest.raises(ConfigError, match="take another"):
        Search(SPACE, 0).run(3, hopeless)


def names(config: TrainConfig) -> list[str]:
    space = generator_space(config) if config.kind == "generator" else detector_space(config)
    return [one.name for one in space]


def test_what_is_varied_depends_on_the_model_and_on_what_was_given() -> None:
    unet = names(TrainConfig.resolve(flags={"model": "unet-25d"}))
    assert {"rate", "batch", "loss", "width", "levels", "augment_strength"} <= set(unet)
    given = TrainConfig.resolve(assignments=["segmenter.width=8", "segmenter.rate=1e-3"], flags={"model": "unet-25d"})
    assert not {"width", "rate"} & set(names(given))
    by_hand = TrainConfig(model="unet-25d", segmenter=given.segmenter)  # all is set: what differs was given
    assert not {"width", "rate"} & set(names(by_hand))
    assert {"batch", "levels"} <= set(names(by_hand))
    begun = names(TrainConfig.resolve(flags={"model": "unet-25d", "init": "phantom"}))
    assert not {"width", "levels"} & set(begun)
    assert "levels" not in names(TrainConfig.resolve(flags={"model": "resunet"}))
    assert "width" in names(TrainConfig.resolve(flags={"model": "cnn"}))
    assert "dropout" in names(TrainConfig.resolve(flags={"model": "resnet50-seed"}))
    assert {"width", "latent"} <= set(names(TrainConfig.resolve(flags={"model": "dcgan"})))
    assert "width" not in names(TrainConfig.resolve(flags={"model": "dcgan-seed"}))


def test_augmentation_gets_stronger_within_its_limits() -> None:
    usual = AugmentConfig()
    assert stronger(usual, 1.0) == usual
    assert stronger(usual, 0.0) == AugmentConfig(**dict.fromkeys(AugmentConfig.model_fields, 0.0))
    assert stronger(usual, 1.5).rotation == 30.0
    assert stronger(AugmentConfig(rotation=170.0, blur=0.9), 1.5).rotation == 180.0
    config = TrainConfig.resolve(flags={"model": "unet-25d"})
    changed = changed_detector(config, {"rate": 1e-3, "augment_strength": 0.5, "levels": 3}).segmenter
    assert (changed.rate, changed.augment.rotation, changed.levels) == (1e-3, 10.0, 3)


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    images, masks = blobs(40, size=32)
    groups = [f"p{number % 10}" for number in range(40)]
    splits = ["validation" if group > "p6" else "train" for group in groups]
    return write_cohort(
        tmp_path / "cohort", images, masks=masks, groups=groups, splits=splits, mask_names={"1": "tumour"}
    )


def test_a_search_for_a_segmenter_goes_on_and_says_how_to_train(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detectors, "calibrate", lambda device, name, trial, bf16: ONE)
    own = {"width": 4, "levels": 2}
    config = TrainConfig.resolve(flags={"model": "unet-25d", "images": 32, "snapshots": 1, "segmenter": own})
    out = tmp_path / "search"
    train, calls = searching._trained, []

    def killed(*arguments: Any) -> float:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return train(*arguments) + 1e-3 * arguments[-1]  # or all trials of so few slices would score alike

    monkeypatch.setattr(searching, "_trained", killed)
    with pytest.raises(KeyboardInterrupt):
        synthoma.pipeline.search(cohort.path, out, 5, config=config)
    facts = synthoma.describe(out)
    assert (facts["kind"], facts["trials"], facts["wanted"]) == ("search", 3, 5)
    assert "--search 5 --resume" in facts["todo"]
    with pytest.raises(InputError, match="exists"):
        synthoma.pipeline.search(cohort.path, out, 5, config=config)
    best = synthoma.pipeline.search(cohort.path, out, 5, config=config, resume=True)
    table = pd.read_csv(out / "search.csv")
    assert len(table) == 5
    assert len(calls) == 6, "three trials were not trained again"
    assert table["score"].is_monotonic_increasing
    assert best["trial"] == table["trial"].iloc[0]
    assert "width" not in table, "it was given"
    assert len(list(out.glob("trial-*/model.safetensors"))) == 5
    page = (out / "report.html").read_text()
    assert "--config search/best.toml" in page
    assert page.count("<svg") == 2, "history and importances"
    chosen = TrainConfig.resolve(out / "best.toml")
    assert chosen.segmenter.rate == pytest.approx(best["rate"])
    assert (chosen.segmenter.width, chosen.images) == (4, 32)
    assert synthoma.pipeline.verify(out) == []
    assert json.loads((out / "search.json").read_text())["wanted"] == 5
    assert synthoma.report(out) == out / "report.html"
    more = synthoma.pipeline.search(cohort.path, out, 6, config=config, resume=True)
    assert len(pd.read_csv(out / "search.csv")) == 6
    assert more["score"] <= best["score"]


def test_a_search_needs_a_search_a_cohort_and_a_score(cohort: Cohort, tmp_path: Path) -> None:
    config = TrainConfig.resolve(flags={"model": "unet-25d", "images": 32})
    with pytest.raises(InputError, match="leave out resume=True"):
        synthoma.pipeline.search(cohort.path, tmp_path / "s", 2, config=config, resume=True)
    images, masks = blobs(8, size=32)
    blind = write_cohort(tmp_path / "blind", images, masks=masks, mask_names={"1": "tumour"})
    with pytest.raises(InputError, match="validation slices"):
        synthoma.pipeline.search(blind.path, tmp_path / "s", 2, config=config)
    assert not (tmp_path / "s").exists()
