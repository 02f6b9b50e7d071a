from __future__ import annotations

from pathlib import Path

import pytest

from synthoma.core.errors import ConfigError
from synthoma.detectors.settings import SegmenterConfig
from synthoma.generators.recipes import generators
from synthoma.generators.train import budget_of
from synthoma.settings import TrainConfig


def test_an_unknown_model_names_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'wgan-gp'"):
        TrainConfig.resolve(flags={"model": "wgan_gp"})
    with pytest.raises(ConfigError, match="dcgan-seed, dcgan, wgan, wgan-gp"):
        TrainConfig.of_model("stylegan")


@pytest.mark.parametrize(
    ("assignment", "hint"),
    [
        ("gan.generator_rat=1e-4", "did you mean 'gan.generator_rate'"),
        ("minuts=3", "did you mean 'minutes'"),
        ("gan.qqqqqq=1", "known settings: .*gan.critic_rate"),
    ],
)
def test_an_unknown_setting_names_the_nearest_one(assignment: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        TrainConfig.resolve(assignments=[assignment])


@pytest.mark.parametrize(
    "assignment",
    ["gan.batch=1", "gan.augment=['rotation']", "gan.loss=bcee", "gan.label_smoothing=0.9", "images=0", "minutes=-1"],
)
def test_values_out_of_range_are_refused(assignment: str) -> None:
    with pytest.raises(ConfigError, match=assignment.split("=")[0]):
        TrainConfig.resolve(assignments=[assignment])


def test_a_training_has_one_budget() -> None:
    with pytest.raises(ConfigError, match="minutes or images, not both"):
        TrainConfig.resolve(flags={"minutes": 3, "images": 1000})


@pytest.mark.parametrize("model", generators())
def test_single_settings_leave_the_models_own_ones(model: str) -> None:
    own = TrainConfig.of_model(model)[1]
    flags = {"model": model, **({"phantom": "simulated"} if model == "phantom-gan" else {})}
    changed = TrainConfig.resolve(assignments=["gan.ema_images=77"], flags=flags)
    assert changed.gan == own.model_copy(update={"ema_images": 77.0})
    assert TrainConfig.resolve(flags=flags).gan == own


def test_a_segmenter_that_begins_with_another_learns_at_half_its_rate() -> None:
    usual = TrainConfig.of_model("unet-25d")[1]
    begun = TrainConfig.resolve(flags={"model": "unet-25d", "init": "phantom"})
    assert isinstance(usual, SegmenterConfig)
    assert begun.segmenter == usual.model_copy(update={"rate": usual.rate / 2})
    told = TrainConfig.resolve(assignments=["segmenter.rate=3e-3"], flags={"model": "unet-25d", "init": "phantom"})
    assert told.segmenter.rate == 3e-3
    # With the layers of a GAN most of it is new.
    usual = TrainConfig.of_model("gan-unet")[1]
    assert TrainConfig.resolve(flags={"model": "gan-unet", "init": "gan"}).segmenter == usual


def test_settings_survive_their_file(tmp_path: Path) -> None:
    config = TrainConfig.resolve(
        assignments=["gan.augment=['cutout', 'mirror']", "gan.critic_rate=5e-5", "classes=['a \"b\"', 'c']"],
        flags={"model": "wgan-gp", "images": 500, "with_masks": True},
    )
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert TrainConfig.resolve(tmp_path / "config.toml") == config
    assert config.gan.gradient_penalty == 10


def test_epochs_are_one_form_of_a_budget() -> None:
    for other in ({"minutes": 3}, {"images": 100}):
        with pytest.raises(ConfigError, match="one of them"):
            TrainConfig.resolve(flags={"model": "dcgan", "epochs": 2, **other})
    with pytest.raises(ConfigError, match="--epochs is for generators"):
        TrainConfig.resolve(flags={"model": "unet-25d", "epochs": 2})


def test_a_budget_of_epochs_has_a_snapshot_after_each_unless_told(tmp_path: Path) -> None:
    config = TrainConfig.resolve(flags={"model": "dcgan", "epochs": 12})
    (tmp_path / "config.toml").write_text(config.to_toml())
    for one in (config, TrainConfig.resolve(tmp_path / "config.toml")):
        budget = budget_of(one, 70)
        assert (budget.images, budget.snapshots, budget.epoch) == (840, 12, 70)
    told = TrainConfig.resolve(flags={"model": "dcgan", "epochs": 12, "snapshots": 3})
    (tmp_path / "config.toml").write_text(told.to_toml())
    assert budget_of(TrainConfig.resolve(tmp_path / "config.toml"), 70).snapshots == 3
