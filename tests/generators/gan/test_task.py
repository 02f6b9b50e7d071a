from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.gan.losses import discriminator_loss, generator_loss, zero_centred_penalty
from synthoma.generators.gan.task import AdversarialTask
from synthoma.generators.plan import plan_training
from synthoma.settings import TrainConfig
from synthoma.training.checkpoint import latest_checkpoint, save_checkpoint
from synthoma.training.device import Execution
from synthoma.training.loop import Progress, Snapshot
from tests.toys import ONE, SMALL, blobs, halves, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two_halves(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    images, labels = halves(200)
    return write_cohort(tmp_path_factory.mktemp("halves") / "cohort", images, labels)


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    images, masks = blobs(200)
    return write_cohort(tmp_path_factory.mktemp("blobs") / "cohort", images, None, masks, mask_names={"1": "tumour"})


def new_task(cohort: Cohort, execution: Execution = ONE, **settings: Any) -> AdversarialTask:
    gan = settings.pop("gan", {})
    config = TrainConfig(**{"model": "dcgan", "images": 1000, "gan": {**SMALL, **gan}, **settings})
    plan = plan_training(cohort, config)
    material = plan.family.learn_from(plan, Path("none"))
    return AdversarialTask(
        GenerativeSetup(plan, material, execution, judge=lambda samples, recent: Snapshot(0.0, {}, []))
    )


def trained(task: AdversarialTask, steps: int, first: int = 0) -> dict[str, Tensor]:
    losses: dict[str, Tensor] = {}
    for step in range(first, first + steps):
        torch.manual_seed(step)
        losses = task.step(step, 0.0)
    return losses


def copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_each_player_moves_alone(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"feature_matching": 1.0})
    weights, discriminator = dict(task.generator.named_parameters()), copied(task.discriminator)
    before = {name: value.detach().clone() for name, value in weights.items()}
    turn = task._turn(0)
    task._train_discriminator(turn)
    assert all(torch.equal(before[name], value) for name, value in weights.items())
    assert not same(discriminator, copied(task.discriminator))
    discriminator = copied(task.discriminator)
    task._train_generator(turn)
    assert same(discriminator, copied(task.discriminator))  # its running statistics too
    assert not all(torch.equal(before[name], value) for name, value in weights.items())


def test_gradients_reach_the_discriminator_again_after_a_generator_step(two_halves: Cohort) -> None:
    task = new_task(two_halves)
    trained(task, 1)
    before = copied(task.discriminator)
    trained(task, 1, first=1)
    changed = [name for name, value in task.discriminator.named_parameters() if not torch.equal(before[name], value)]
    assert len(changed) == len(list(task.discriminator.parameters()))


def test_the_loss_is_that_of_the_networks_before_the_step(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"critic_norm": "none", "label_smoothing": 0.2})
    real = task.real(0).planes()
    with torch.no_grad():
        fake = task.generator(task.latents(len(real), task.draws("latents", 0)))
        scores = task.discriminator(real), task.discriminator(fake)
    losses = trained(task, 1)
    expected = discriminator_loss("bce", *scores, smoothing=0.2)
    assert torch.allclose(losses["d_loss"].detach(), expected, atol=1e-5)
    assert torch.allclose(losses["d_real"].detach(), scores[0].sigmoid().mean(), atol=1e-5)


def test_real_and_generated_images_are_both_augmented(two_halves: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    task = new_task(two_halves, gan={"augment": ["cutout"]})
    seen: list[Tensor] = []
    forward = task.discriminator.forward
    monkeypatch.setattr(
        task.discriminator, "forward", lambda images, label=None: (seen.append(images.detach()), forward(images))[1]
    )
    trained(task, 1)
    assert len(seen) == 3  # real, fake, and the generator's
    for images in seen:
        assert (images == 0).flatten(1).any(dim=1).all()


def test_the_lazy_penalty_is_scaled_by_its_interval(two_halves: Cohort) -> None:
    gradients = []
    for r1, every in ((0.0, 1), (2.0, 1), (2.0, 4)):
        task = new_task(two_halves, gan={"r1": r1, "r1_every": every, "critic_norm": "none"})
        task.discriminator_optimiser.step = lambda: None  # type: ignore[method-assign,assignment]
        task._train_discriminator(task._turn(0))
        gradients.append(task.discriminator.head.weight.grad.clone())
    none, once, lazy = gradients
    assert torch.allclose(lazy - none, 4 * (once - none), rtol=1e-3, atol=1e-6)
    task = new_task(two_halves, gan={"critic_norm": "none"})
    (2.0 * zero_centred_penalty(task.discriminator, task.real(0).planes())).backward()
    assert torch.allclose(once - none, task.discriminator.head.weight.grad, rtol=1e-3, atol=1e-6)


def test_the_lazy_penalty_comes_every_kth_step_only(two_halves: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        "synthoma.generators.gan.task.zero_centred_penalty",
        lambda discriminator, real: (calls.append(1), zero_centred_penalty(discriminator, real))[1],
    )
    task = new_task(two_halves, gan={"r1": 1.0, "r1_every": 3, "critic_norm": "none"})
    counts = []
    for step in range(7):
        task.step(step, 0.0)
        counts.append(len(calls))
    assert counts == [1, 1, 1, 2, 2, 2, 3]


def test_both_penalties_are_taken_each_on_its_own_images(two_halves: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(
        "synthoma.generators.gan.task.zero_centred_penalty",
        lambda discriminator, images: (seen.append(images), zero_centred_penalty(discriminator, images))[1],
    )
    settings = {"r1": 1.0, "r2": 3.0, "r1_every": 2, "critic_norm": "none"}
    gradients = []
    for r2 in (0.0, 3.0):
        task = new_task(two_halves, gan={**settings, "r2": r2})
        task.discriminator_optimiser.step = lambda: None  # type: ignore[method-assign,assignment]
        task._train_discriminator(task._turn(0))
        gradients.append(task.discriminator.head.weight.grad.clone())
    assert len(seen) == 3
    assert torch.equal(seen[1], task.real(0).planes())
    with torch.no_grad():
        fake = task.generator(task.latents(8, task.draws("latents", 0)))
    assert torch.equal(seen[2], fake)
    task.discriminator.zero_grad()
    (3.0 * 2 * zero_centred_penalty(task.discriminator, fake)).backward()
    assert torch.allclose(gradients[1] - gradients[0], task.discriminator.head.weight.grad, rtol=1e-3, atol=1e-6)


def test_penalties_are_taken_every_step_before_they_become_rare(
    two_halves: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(
        "synthoma.generators.gan.task.zero_centred_penalty",
        lambda discriminator, images: (calls.append(1), zero_centred_penalty(discriminator, images))[1],
    )
    gan = {"r1": 1.0, "r1_every": 4, "penalty_start_images": 3 * 8, "critic_norm": "none"}
    task = new_task(two_halves, gan=gan)
    counts = []
    for step in range(9):
        task.step(step, 0.0)
        counts.append(len(calls))
    assert counts == [1, 2, 3, 3, 4, 4, 4, 4, 5]


def test_penalties_fall_by_a_constant_factor_over_the_budget(two_halves: Cohort) -> None:
    gradients = {}
    for r1, share in ((0.0, 0.0), (2.0, 0.0), (2.0, 0.5), (2.0, 1.0)):
        task = new_task(two_halves, gan={"r1": r1, "r1_every": 1, "penalty_end": 0.04, "critic_norm": "none"})
        task.discriminator_optimiser.step = lambda: None  # type: ignore[method-assign,assignment]
        task.step(0, share)
        gradients[r1, share] = task.discriminator.head.weight.grad.clone()
    parts = [gradients[2.0, share] - gradients[0.0, 0.0] for share in (0.0, 0.5, 1.0)]
    assert torch.allclose(parts[1], 0.2 * parts[0], rtol=1e-3, atol=1e-6)
    assert torch.allclose(parts[2], 0.04 * parts[0], rtol=1e-3, atol=1e-6)


def test_the_generator_is_judged_beside_the_real_batch_without_teaching_the_discriminator(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"loss": "relativistic", "critic_norm": "none"})
    real = task.real(0).planes()
    with torch.no_grad():
        fake = task.generator(task.latents(8, task.draws("latents", 0)))
        expected = generator_loss("relativistic", task.discriminator(fake), task.discriminator(real))
    before = copied(task.discriminator)
    losses = task._train_generator(task._turn(0))
    assert torch.allclose(losses["g_loss"].detach(), expected, atol=1e-5)
    assert same(before, copied(task.discriminator))
    assert all(parameter.grad is None for parameter in task.discriminator.parameters())


def test_learning_rates_follow_half_a_cosine_over_the_budget(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"schedule": "cosine", "generator_rate": 4e-3, "critic_rate": 2e-3})
    constant = new_task(two_halves, gan={"generator_rate": 4e-3})
    for share, factor in ((0.0, 1.0), (0.5, 0.5), (2 / 3, 0.25), (1.0, 0.0)):
        task.step(0, share)
        assert task.generator_optimiser.param_groups[0]["lr"] == pytest.approx(4e-3 * factor)
        assert task.discriminator_optimiser.param_groups[0]["lr"] == pytest.approx(2e-3 * factor)
        constant.step(0, share)
        assert constant.generator_optimiser.param_groups[0]["lr"] == 4e-3
    before = [parameter.detach().clone() for parameter in task.generator.parameters()]
    task.step(1, 1.0)
    assert all(map(torch.equal, before, task.generator.parameters()))  # nothing is left to learn with


def test_augmentation_grows_over_the_first_images(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"augment": ["mirror"], "augment_probability": 0.8, "augment_ramp": 32})
    seen = [float(task.step(step, 0.0)["augment_probability"]) for step in range(6)]
    assert seen == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 0.8])


@pytest.mark.parametrize("loss", ["bce", "relativistic"])
def test_augmentation_grows_where_the_discriminator_overfits_and_shrinks_where_it_guesses(
    two_halves: Cohort, loss: str
) -> None:
    gan = {"loss": loss, "augment": ["mirror"], "augment_target": 0.6, "augment_ramp": 400, "critic_norm": "none"}
    frozen = {"generator_rate": 1e-12}
    sure = new_task(two_halves, gan={**gan, **frozen, "critic_rate": 3e-3})  # against a generator that never learns
    probabilities = [float(sure.step(step, 0.0)["augment_probability"]) for step in range(40)]
    assert probabilities[-1] > 0.15
    assert probabilities[-1] > probabilities[20]
    guessing = new_task(two_halves, gan={**gan, **frozen, "critic_rate": 1e-12})
    with torch.no_grad():
        for parameter in guessing.discriminator.parameters():
            parameter.zero_()
    guessing.probability = 0.5
    trained(guessing, 10)
    assert guessing.probability < 0.5 - 9 * 8 * 0.6 / 400


def test_a_target_needs_changes_and_a_speed() -> None:
    for gan in ({"augment_target": 0.6, "augment_ramp": 100}, {"augment_target": 0.6, "augment": ["mirror"]}):
        with pytest.raises(ConfigError, match="augment_target needs changes"):
            TrainConfig.resolve(flags={"model": "dcgan", "gan": gan})


class Quarters(nn.Module):
    """Judges each quarter of a picture by itself: the mean of its squares, times a weight that differs."""

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        said = nn.functional.avg_pool2d(images**2, images.shape[-1] // 2).flatten(1)
        return said * torch.tensor([1.0, 2.0, 3.0, 4.0])


def test_the_penalty_on_a_discriminator_of_pieces_is_that_of_a_piece(two_halves: Cohort) -> None:
    """Where pieces share no pixels it is the mean of what each would have as a picture of its own."""
    task = new_task(two_halves, gan={"critic_patches": True})
    task.discriminator = Quarters()
    images = torch.randn(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    together = zero_centred_penalty(lambda seen: task._score(seen, None), images)
    quarters = images.unfold(2, 8, 8).unfold(3, 8, 8).reshape(5, 4, 8, 8)
    weights = (1.0, 2.0, 3.0, 4.0)
    alone = [
        zero_centred_penalty(lambda seen, w=weight: w * (seen**2).mean(dim=(1, 2, 3)), quarters[:, [number]])
        for number, weight in enumerate(weights)
    ]
    assert torch.allclose(together, torch.stack(alone).mean(), rtol=1e-5)


def test_penalties_are_taken_in_full_precision(two_halves: Cohort) -> None:
    """A generator without a last step in float32 draws in half precision; its images are penalised all the same."""
    half = Execution("cpu", 1, channels_last=False, bf16=True)
    task = new_task(two_halves, half, model="relativistic", gan={"network": "residual"})
    assert task._turn(0).drawn.dtype == torch.float32
    losses = trained(task, 2)
    assert all(torch.isfinite(value) for value in losses.values())


def test_a_discriminator_of_pieces_does_not_see_how_alike_a_batch_is() -> None:
    with pytest.raises(ConfigError, match="minibatch_deviation is of whole pictures"):
        TrainConfig.resolve(flags={"model": "phantom-gan", "gan": {"minibatch_deviation": True}})


def test_a_wasserstein_critic_takes_its_steps_on_batches_of_its_own(
    two_halves: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = new_task(two_halves, model="wgan-gp", gan={"critic_steps": 3})
    numbers = []
    fetch = task.real
    monkeypatch.setattr(task, "real", lambda number: (numbers.append(number), fetch(number))[1])
    losses = trained(task, 2)
    assert numbers == [0, 1, 2, 3, 4, 5]
    assert losses["d_loss"].detach() == pytest.approx(float(losses["d_fake"].detach() - losses["d_real"].detach()))


CONFIGS: dict[str, dict[str, Any]] = {
    "seed with dropout": {"model": "dcgan-seed", "gan": {"network": "seed"}},
    "augmented, averaged": {"gan": {"augment": ["translation", "cutout"], "augment_probability": 0.5}},
    "penalties": {"model": "wgan-gp", "gan": {"critic_steps": 2}},
    "spectral, lazy, alike": {
        "gan": {"spectral": True, "minibatch_deviation": True, "r1": 1.0, "r1_every": 3, "loss": "hinge"}
    },
    "conditional": {"conditional": True, "gan": {"feature_matching": 0.5}},
    "relativistic, adaptive": {
        "gan": {
            "network": "residual",
            "loss": "relativistic",
            "r1": 1.0,
            "r2": 1.0,
            "r1_every": 3,
            "penalty_start_images": 16,
            "augment": ["brightness", "cutout"],
            "augment_target": 0.3,
            "augment_ramp": 60,
        }
    },
}


@pytest.mark.parametrize("execution", [ONE, Execution("cpu", 1, channels_last=True, bf16=False)], ids=["first", "last"])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_restored_task_goes_on_exactly(two_halves: Cohort, tmp_path: Path, name: str, execution: Execution) -> None:
    whole = new_task(two_halves, execution, **CONFIGS[name])
    trained(whole, 5)
    part = new_task(two_halves, execution, **CONFIGS[name])
    trained(part, 3)
    part.keep_best()
    save_checkpoint(tmp_path, part.state(), {"step": 3}, keep=1)
    again = new_task(two_halves, execution, **CONFIGS[name])
    bundle = latest_checkpoint(tmp_path)
    assert bundle is not None
    again.restore(bundle)
    assert same(again.best, part.best)
    trained(again, 2, first=3)
    expected, found = whole.state(), again.state()
    differing = [key for key in expected if not key.startswith("best.") and not torch.equal(expected[key], found[key])]
    assert differing == []


def test_a_snapshot_draws_the_same_latents_every_time(two_halves: Cohort) -> None:
    task = new_task(two_halves, conditional=True)
    first = task.draw(70)
    assert torch.equal(first, task.draw(70))
    assert torch.allclose(first[:40], task.draw(70)[:40])
    trained(task, 1)
    assert not torch.equal(first, task.draw(70))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_losses_that_are_no_numbers_are_fatal(two_halves: Cohort, broken: float) -> None:
    task = new_task(two_halves)
    snapshot = task.snapshot(Progress(step=1), {"d_loss": broken})
    assert snapshot.fatal
    assert "learning rate" in snapshot.warnings[0]


def test_weights_that_are_no_numbers_are_fatal_and_never_kept(two_halves: Cohort) -> None:
    task = new_task(two_halves)
    trained(task, 2)
    assert not task.snapshot(Progress(step=2), {"d_loss": 1.0}).fatal
    with torch.no_grad():
        for network in (task.generator, task.discriminator):
            for parameter in network.parameters():
                parameter.fill_(math.nan)
    assert task.snapshot(Progress(step=3), {"d_loss": 1.0}).fatal
    assert all(torch.isfinite(value).all() for value in task.finished().values())


# --- what is learned --------------------------------------------------------------------------------------------


def test_both_modes_of_a_toy_distribution_are_learned(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"ema_images": 300, "generator_rate": 1e-3, "critic_rate": 1e-3})
    trained(task, 500)
    images = (task.draw(200)[:, 0] + 1) / 2
    left, right = images[:, :, :8].mean(dim=(1, 2)), images[:, :, 8:].mean(dim=(1, 2))
    bright, dark = torch.maximum(left, right), torch.minimum(left, right)
    assert 0.2 < float((left > right).float().mean()) < 0.8
    assert 0.55 < float(bright.mean()) < 0.85
    assert float(dark.mean()) < 0.2
    assert 0.03 < float(bright.std()) < 0.22  # training images: 0.115


def test_a_conditional_generator_obeys_the_class(two_halves: Cohort) -> None:
    settings = {"ema_images": 300, "generator_rate": 1e-3, "critic_rate": 1e-3}
    task = new_task(two_halves, conditional=True, gan=settings)
    trained(task, 300)
    latents = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        drawn = [task.average(latents, torch.full((100,), number))[:, 0] for number in (0, 1)]
    for number, images in enumerate(drawn):
        left, right = images[:, :, :8].mean(dim=(1, 2)), images[:, :, 8:].mean(dim=(1, 2))
        obeyed = (left > right) if number == 0 else (right > left)
        assert float(obeyed.float().mean()) > 0.9


def test_a_drawn_mask_lies_on_the_bright_square(squares: Cohort) -> None:
    settings = {"ema_images": 300, "generator_rate": 1e-3, "critic_rate": 1e-3, "width": 16}
    task = new_task(squares, with_masks=True, gan=settings)
    trained(task, 400)
    planes = task.draw(200).numpy()
    images, masks = (planes[:, 0] + 1) / 2, planes[:, 1] > 0
    shown = masks.sum(axis=(1, 2)) > 4
    assert shown.mean() > 0.7
    gaps = [image[mask].mean() - image[~mask].mean() for image, mask in zip(images[shown], masks[shown], strict=True)]
    assert np.median(gaps) > 0.25


RELATIVISTIC: dict[str, Any] = {
    "network": "residual",
    "loss": "relativistic",
    "r1": 1.0,
    "r2": 1.0,
    "r1_every": 1,
    "beta1": 0.0,
    "beta2": 0.99,
    "ema_images": 300,
    "generator_rate": 1e-3,
    "critic_rate": 1e-3,
}


def test_residual_networks_learn_both_modes_and_obey_the_class(two_halves: Cohort) -> None:
    task = new_task(two_halves, conditional=True, gan=RELATIVISTIC)
    trained(task, 200)
    latents = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    for number in (0, 1):
        with torch.no_grad():
            images = (task.average(latents, torch.full((100,), number))[:, 0] + 1) / 2
        left, right = images[:, :, :8].mean(dim=(1, 2)), images[:, :, 8:].mean(dim=(1, 2))
        bright, dark = (left, right) if number == 0 else (right, left)
        assert float((bright > dark + 0.2).float().mean()) > 0.9
        assert 0.5 < float(bright.mean()) < 0.9
        assert float(dark.mean()) < 0.2
        assert 0.025 < float(bright.std()) < 0.22  # training images: 0.115
