"""Switches of the game: Salimans et al. 2016, Arjovsky et al. 2017, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.generators import plan as planning
from synthoma.generators.family import GeneratorFamily
from synthoma.generators.gan.losses import generator_loss
from synthoma.generators.gan.task import AdversarialTask
from synthoma.generators.plan import plan_training
from synthoma.generators.sampling import Sampler
from synthoma.settings import TrainConfig
from synthoma.training.checkpoint import latest_checkpoint, save_checkpoint
from tests.generators.gan.test_task import copied, new_task, trained
from tests.toys import halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two_halves(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    images, labels = halves(200)
    return write_cohort(tmp_path_factory.mktemp("halves") / "cohort", images, labels)


# --- each switch does what it says ------------------------------------------------------------------------------


def test_clipped_weights_stay_within_the_clip(two_halves: Cohort) -> None:
    task = new_task(two_halves, model="wgan", conditional=True)
    assert max(float(value.abs().max()) for value in copied(task.discriminator).values()) > 0.01
    for step in range(3):
        trained(task, 1, first=step)
        largest = [float(parameter.detach().abs().max()) for parameter in task.discriminator.parameters()]
        assert max(largest) <= 0.01
        assert max(float(parameter.detach().abs().max()) for parameter in task.generator.parameters()) > 0.01
    assert max(largest) == pytest.approx(0.01)


def test_the_wgan_is_that_of_its_paper() -> None:
    gan = TrainConfig(model="wgan").gan
    assert (gan.clip, gan.generator_rate, gan.critic_rate, gan.critic_steps) == (0.01, 5e-5, 5e-5, 5)
    assert (gan.optimiser, gan.critic_norm, gan.loss, gan.gradient_penalty) == ("rmsprop", "none", "wasserstein", 0)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
def test_the_optimiser_is_what_is_said(two_halves: Cohort, name: str) -> None:
    """The first step by hand: Adam's is the rate, RMSprop's the rate over the root of 1 - beta2; AdamW shrinks too."""
    task = new_task(two_halves, gan={"optimiser": name, "critic_rate": 1e-3, "beta2": 0.99, "critic_norm": "none"})
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    assert type(task.generator_optimiser) is type(task.discriminator_optimiser) is kinds[name]
    weight = task.discriminator.head.weight
    with torch.no_grad():
        weight.fill_(0.3)
    task._train_discriminator(task._turn(0))
    assert weight.grad is not None
    sign, sure = weight.grad.sign(), weight.grad.abs() > 1e-4
    size = 1e-3 / 0.1 if name == "rmsprop" else 1e-3
    shrunk = 0.01 * 1e-3 * 0.3 if name == "adamw" else 0.0
    assert bool(sure.any())
    assert torch.allclose((0.3 - weight.detach())[sure], (size * sign + shrunk)[sure], atol=5e-6, rtol=5e-3)


def test_the_generator_is_pulled_to_the_smoothed_target(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"target_smoothing": 0.1, "critic_norm": "none"})
    with torch.no_grad():
        fake = task.generator(task.latents(8, task.draws("latents", 0)))
        expected = generator_loss("bce", task.discriminator(fake), smoothing=0.1)
    assert torch.allclose(task._train_generator(task._turn(0))["g_loss"].detach(), expected, atol=1e-5)


def test_both_players_are_pulled_back_to_their_past(two_halves: Cohort) -> None:
    """With an enormous weight they hardly leave it."""
    away = []
    for weight in (0.0, 1e4):
        task = new_task(two_halves, gan={"historical_averaging": weight, "critic_rate": 1e-3, "generator_rate": 1e-3})
        start = [copied(player) for player in (task.generator, task.discriminator)]
        trained(task, 25)
        players = (task.generator, task.discriminator)
        away.append(
            [
                sum(float((value.detach() - one[name]).square().sum()) for name, value in player.named_parameters())
                for player, one in zip(players, start, strict=True)
            ]
        )
    free, held = away
    assert held[0] < 0.5 * free[0]
    assert held[1] < 0.5 * free[1]


def test_the_past_counts_a_players_own_steps(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"historical_averaging": 1e-3, "critic_steps": 3})
    trained(task, 2)
    assert (task.past["generator"].count, task.past["discriminator"].count) == (2, 6)


MATCHING: dict[str, dict[str, Any]] = {
    "dcgan": {},
    "seed": {"network": "seed"},
    "residual": {"network": "residual"},
    "pieces": {"critic_patches": True},
    "others seen": {"minibatch_kernels": 4},
}


@pytest.mark.parametrize("name", MATCHING)
def test_every_discriminator_has_features_to_match(two_halves: Cohort, name: str) -> None:
    task = new_task(two_halves, gan={"feature_matching": 10.0, **MATCHING[name]})
    bare = new_task(two_halves, gan=MATCHING[name])
    losses = []
    for one in (task, bare):
        torch.manual_seed(0)  # dropout
        turn = one._turn(0)
        losses.append(float(one._train_generator(turn)["g_loss"].detach()))
    with torch.no_grad():
        fresh = new_task(two_halves, gan=MATCHING[name])
        torch.manual_seed(0)
        turn = fresh._turn(0)
        maps = [fresh.discriminator.features(planes).mean(dim=(2, 3)).mean(dim=0) for planes in (turn.real, turn.drawn)]
    gap = float((maps[0] - maps[1]).square().mean())
    assert gap > 0
    assert losses[0] - losses[1] == pytest.approx(10 * gap, rel=1e-2, abs=1e-6)


# --- state ------------------------------------------------------------------------------------------------------

CONFIGS: dict[str, dict[str, Any]] = {
    "wgan": {"model": "wgan", "gan": {"critic_steps": 2}},
    "past, others, virtual": {
        "conditional": True,
        "gan": {"historical_averaging": 1e-2, "minibatch_kernels": 4, "norm": "virtual", "target_smoothing": 0.1},
    },
    "adamw, seed": {"model": "dcgan-seed", "gan": {"optimiser": "adamw", "network": "seed", "minibatch_kernels": 3}},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_restored_task_goes_on_exactly(two_halves: Cohort, tmp_path: Path, name: str) -> None:
    whole, part, again = (new_task(two_halves, **CONFIGS[name]) for _ in range(3))
    trained(whole, 5)
    trained(part, 3)
    save_checkpoint(tmp_path, part.state(), {"step": 3}, keep=1)
    bundle = latest_checkpoint(tmp_path)
    assert bundle is not None
    again.restore(bundle)
    trained(again, 2, first=3)
    expected, found = whole.state(), again.state()
    assert expected.keys() == found.keys()
    assert [key for key in expected if not key.startswith("best.") and not torch.equal(expected[key], found[key])] == []


def test_what_is_off_leaves_no_state(two_halves: Cohort) -> None:
    names = new_task(two_halves).state()
    assert not [name for name in names if "past" in name or "reference" in name or "minibatch" in name]
    assert new_task(two_halves, gan={"historical_averaging": 0.1}).state().keys() > names.keys()


def test_images_of_a_virtual_norm_are_those_of_the_training(two_halves: Cohort, tmp_path: Path) -> None:
    """The reference batch lies in the model file, and an image is the same in another block."""
    train_toy(two_halves, tmp_path / "run", images=48, snapshots=1, gan={"norm": "virtual"})
    sampler, zeros = Sampler.open(tmp_path / "run"), torch.zeros(64, dtype=torch.long)
    latents = sampler.latents.numbered(0, range(64))
    whole = sampler.draw(latents, zeros)
    assert np.array_equal(whole, Sampler.open(tmp_path / "run").draw(latents, zeros))
    other = latents.clone()
    other[1:] = sampler.latents.numbered(9, range(63))
    assert np.allclose(whole[0], sampler.draw(other, zeros)[0], atol=1e-6)


# --- what makes no sense is refused -----------------------------------------------------------------------------

REFUSED = [
    ("relativistic", {"norm": "virtual"}, "norm=virtual is for networks of dcgan"),
    ("flow", {"feature_matching": 1.0}, "feature_matching asks for a discriminator of images; flow has none"),
    ("flow", {"historical_averaging": 1.0}, "historical_averaging asks for"),
    ("phantom-gan", {"minibatch_kernels": 8}, "minibatch_kernels are of whole pictures"),
    ("relativistic", {"target_smoothing": 0.1}, "target_smoothing is for loss=bce"),
    ("dcgan", {"clip": 0.01, "spectral": True}, "give one of them"),
    ("dcgan", {"loss": "equilibrium"}, "network=began go together"),
    ("began", {"loss": "bce"}, "network=began go together"),
    ("began", {"r1": 1.0}, "r1 asks for a discriminator"),
    ("aae", {"minibatch_kernels": 4}, "minibatch_kernels asks for"),
    ("dae", {"clip": 0.1}, "clip asks for"),
]


@pytest.mark.parametrize(("model", "gan", "words"), REFUSED)
def test_settings_that_nothing_answers_to_are_refused(model: str, gan: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrainConfig.resolve(flags={"model": model, "gan": gan})


def test_a_discriminator_without_features_is_refused_before_the_training(
    two_halves: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = plan_training(two_halves, TrainConfig(model="dcgan", images=10)).family

    def flat(config: object, shape: object) -> nn.Module:
        return nn.Flatten()

    def family(config: object) -> GeneratorFamily:
        return GeneratorFamily("dcgan", plain.models, plain.generator, AdversarialTask, flat)

    monkeypatch.setattr(planning, "family_of", family)
    plan_training(two_halves, TrainConfig(model="dcgan", images=10))
    with pytest.raises(ConfigError, match="a discriminator with features to match"):
        plan_training(two_halves, TrainConfig(model="dcgan", images=10, gan={"feature_matching": 1.0}))


# --- what is learned --------------------------------------------------------------------------------------------

LEARNING: dict[str, tuple[dict[str, Any], int]] = {
    "virtual norm": ({"gan": {"norm": "virtual"}}, 250),
    "others seen": ({"gan": {"minibatch_kernels": 8}}, 300),
    "past": ({"gan": {"historical_averaging": 1e-4}}, 300),
    "wgan": ({"model": "wgan"}, 150),
}


@pytest.mark.parametrize("name", LEARNING)
def test_both_modes_of_a_toy_distribution_are_learned(two_halves: Cohort, name: str) -> None:
    settings, steps = LEARNING[name]
    gan = {"ema_images": 300, "generator_rate": 1e-3, "critic_rate": 1e-3, **settings.get("gan", {})}
    task = new_task(two_halves, **{**settings, "gan": gan})
    trained(task, steps)
    images = (task.draw(128)[:, 0] + 1) / 2
    left, right = images[:, :, :8].mean(dim=(1, 2)), images[:, :, 8:].mean(dim=(1, 2))
    bright, dark = torch.maximum(left, right), torch.minimum(left, right)
    assert 0.2 < float((left > right).float().mean()) < 0.8
    assert 0.5 < float(bright.mean()) < 0.9  # training images: 0.7
    assert float(dark.mean()) < 0.25  # 0.05
