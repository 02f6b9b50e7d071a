from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from synthoma import pipeline
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.flow.loss import velocity_loss
from synthoma.generators.flow.task import FlowTask
from synthoma.generators.judge import judge_images, judge_slices
from synthoma.generators.plan import plan_training
from synthoma.generators.sampling import Sampler, generate_cohort, interpolate
from synthoma.settings import TrainConfig
from synthoma.training.checkpoint import latest_checkpoint, save_checkpoint
from synthoma.training.device import Execution
from synthoma.training.loop import Progress, Snapshot
from tests.toys import ONE, blobs, halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flow")


@pytest.fixture(scope="module")
def two_halves(place: Path) -> Cohort:
    images, labels = halves(200)
    return write_cohort(place / "halves", images, labels)


@pytest.fixture(scope="module")
def squares(place: Path) -> Cohort:
    images, masks = blobs(200)
    return write_cohort(place / "blobs", images, None, masks, mask_names={"1": "tumour"})


@pytest.fixture(scope="module")
def run(place: Path, squares: Cohort) -> Path:
    """Trained a little, with masks."""
    train_toy(squares, place / "run", model="flow", images=160, snapshots=1, with_masks=True, gan={"flow_steps": 2})
    return place / "run"


def new_task(cohort: Cohort, execution: Execution = ONE, **settings: Any) -> FlowTask:
    gan = {"width": 8, "batch": 16, "ema_images": 300, **settings.pop("gan", {})}
    config = TrainConfig(model="flow", images=1000, gan=gan, **settings)
    plan = plan_training(cohort, config)
    material = plan.family.learn_from(plan, Path("none"))
    return FlowTask(GenerativeSetup(plan, material, execution, judge=lambda samples, recent: Snapshot(0.0, {}, [])))


def trained(task: FlowTask, steps: int, first: int = 0, last: int | None = None) -> dict[str, Tensor]:
    losses: dict[str, Tensor] = {}
    for step in range(first, first + steps):
        losses = task.step(step, step / (last or first + steps))
    return losses


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- one step ---------------------------------------------------------------------------------------------------


def test_the_loss_is_that_of_the_network_before_the_step(two_halves: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    task = new_task(two_halves)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    velocity = task.generator.velocity

    def watched(images: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        seen.append((images, time, velocity(images, time, label)))
        return seen[-1][2]

    monkeypatch.setattr(task.generator, "velocity", watched)
    loss = task.step(0, 0.0)["loss"]
    points, time, found = seen[0]
    data = task.slices.fetch(task.slices.positions(0, "training.order", 0, 16)).planes()
    share = time.view(-1, 1, 1, 1)
    noise = (points - (1 - share) * data) / share
    assert abs(float(noise.mean())) < 0.1
    assert float(noise.std()) == pytest.approx(1, abs=0.1)
    assert float(loss.detach()) == pytest.approx(float(velocity_loss(found.detach(), data, noise)), rel=1e-3)


def test_the_rate_rises_and_falls_to_nothing_over_the_budget(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"generator_rate": 1e-3})
    rates = []
    for share in (0.0, 0.04, 0.52, 1.0):
        task.step(0, share)
        rates.append(task.optimiser.param_groups[0]["lr"])
    assert rates[0] < 1e-4
    assert rates[1:] == pytest.approx([1e-3, 5e-4, 0], abs=1e-9)
    before = {name: value.clone() for name, value in task.generator.state_dict().items()}
    task.step(1, 1.0)
    assert same(before, task.generator.state_dict())


def test_half_precision_computes_nearly_the_same(two_halves: Cohort) -> None:
    losses = [
        trained(new_task(two_halves, Execution("cpu", 1, channels_last=True, bf16=bf16)), 5)["loss"].detach()
        for bf16 in (False, True)
    ]
    assert losses[0].dtype == losses[1].dtype == torch.float32
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=0.03)
    assert float(losses[0]) != float(losses[1])


# --- state ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("execution", [ONE, Execution("cpu", 1, channels_last=True, bf16=True)], ids=["plain", "bf16"])
@pytest.mark.parametrize("settings", [{}, {"conditional": True, "gan": {"augment": ["mirror"]}}], ids=["", "classes"])
def test_a_restored_task_goes_on_exactly(
    two_halves: Cohort, tmp_path: Path, settings: dict[str, Any], execution: Execution
) -> None:
    whole, part, again = (new_task(two_halves, execution, **settings) for _ in range(3))
    trained(whole, 5, last=6)
    trained(part, 3, last=6)
    part.keep_best()
    save_checkpoint(tmp_path, part.state(), {"step": 3}, keep=1)
    bundle = latest_checkpoint(tmp_path)
    assert bundle is not None
    again.restore(bundle)
    assert same(again.best, part.best)
    trained(again, 2, first=3, last=6)
    expected, found = whole.state(), again.state()
    differing = [key for key in expected if not key.startswith("best.") and not torch.equal(expected[key], found[key])]
    assert differing == []


def test_a_snapshot_draws_the_same_noise_every_time(two_halves: Cohort) -> None:
    task = new_task(two_halves, conditional=True, gan={"flow_steps": 2})
    first = task.draw(70)
    assert torch.equal(first, task.draw(70))
    trained(task, 3)
    assert not torch.equal(first, task.draw(70))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_losses_that_are_no_numbers_are_fatal(two_halves: Cohort, broken: float) -> None:
    snapshot = new_task(two_halves).snapshot(Progress(step=1), {"loss": broken})
    assert snapshot.fatal
    assert "learning rate" in snapshot.warnings[0]


def test_weights_that_are_no_numbers_are_fatal_and_never_kept(two_halves: Cohort) -> None:
    task = new_task(two_halves, gan={"flow_steps": 1})
    trained(task, 2)
    assert not task.snapshot(Progress(step=2), {"loss": 1.0}).fatal
    task.keep_best()
    with torch.no_grad():
        for parameter in task.generator.parameters():
            parameter.fill_(math.nan)
    assert task.snapshot(Progress(step=3), {"loss": 1.0}).fatal
    assert all(torch.isfinite(value).all() for value in task.finished().values())


# --- what is learned --------------------------------------------------------------------------------------------


def test_both_modes_of_a_toy_distribution_are_learned(two_halves: Cohort) -> None:
    task = new_task(two_halves)
    trained(task, 250)
    images = (task.draw(128)[:, 0] + 1) / 2
    left, right = images[:, :, :8].mean(dim=(1, 2)), images[:, :, 8:].mean(dim=(1, 2))
    bright, dark = torch.maximum(left, right), torch.minimum(left, right)
    assert 0.3 < float((left > right).float().mean()) < 0.7  # training images: 0.5
    assert 0.6 < float(bright.mean()) < 0.8  # 0.7
    assert float(dark.mean()) < 0.15  # 0.05
    assert 0.06 < float(bright.std()) < 0.2  # 0.115


def test_a_conditional_flow_obeys_the_class(two_halves: Cohort) -> None:
    task = new_task(two_halves, conditional=True)
    trained(task, 120)
    noise = torch.randn(64, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        drawn = [task.average(noise, torch.full((64,), number))[:, 0] for number in (0, 1)]
    for number, images in enumerate(drawn):
        left, right = images[:, :, :8].mean(dim=(1, 2)), images[:, :, 8:].mean(dim=(1, 2))
        obeyed = (left > right) if number == 0 else (right > left)
        assert float(obeyed.float().mean()) > 0.95


def test_a_drawn_mask_lies_on_the_bright_square(squares: Cohort) -> None:
    task = new_task(squares, with_masks=True)
    trained(task, 250)
    planes = task.draw(64).numpy()
    images, masks = (planes[:, 0] + 1) / 2, planes[:, 1] > 0
    shown = masks.sum(axis=(1, 2)) > 4
    assert shown.mean() > 0.8
    gaps = [image[mask].mean() - image[~mask].mean() for image, mask in zip(images[shown], masks[shown], strict=True)]
    assert np.median(gaps) > 0.3


# --- a finished run ---------------------------------------------------------------------------------------------


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_shards_together_are_the_single_run(place: Path, run: Path) -> None:
    sampler = Sampler.open(run)
    whole = generate_cohort(sampler, _new(place / "whole"), 100, seed=4)
    shards = [generate_cohort(sampler, _new(place / f"{i}"), 100, seed=4, shard=(i, 3)) for i in (1, 2, 3)]
    for name in ("images", "masks"):
        together = b"".join(np.asarray(getattr(shard, name)).tobytes() for shard in shards)
        assert together == np.asarray(getattr(whole, name)).tobytes()
    assert len({image.tobytes() for image in np.asarray(whole.images)}) == 100


def test_truncation_scales_the_noise(run: Path) -> None:
    sampler = Sampler.open(run)
    assert sampler.latents.numbered(0, range(1)).shape == (1, 2, 16, 16)
    full, half = (sampler.latents.numbered(3, range(4), truncation) for truncation in (1.0, 0.5))
    assert torch.equal(full * 0.5, half)
    assert torch.equal(full[2:], sampler.latents.numbered(3, range(2, 4)))


def test_images_between_two_pictures_of_noise(run: Path) -> None:
    strips = interpolate(Sampler.open(run), 0, 5, 2)
    assert [len(strip) for strip in strips] == [5, 5]
    assert strips[0][0].shape == (2, 16, 16)
    ends = Sampler.open(run).draw(Sampler.open(run).latents.numbered(0, range(2)), torch.zeros(2, dtype=torch.long))
    assert np.allclose(strips[0][0], ends[0], atol=1e-4)
    assert np.allclose(strips[0][-1], ends[1], atol=1e-4)


def test_it_says_that_it_cannot_judge(place: Path, squares: Cohort, run: Path) -> None:
    train_toy(squares, place / "bare", model="flow", images=16, snapshots=1, gan={"flow_steps": 1})
    for attempt in (
        lambda: judge_images(place / "bare", np.zeros((2, 1, 16, 16), np.float32)),
        lambda: judge_slices(run, squares, np.arange(3)),
    ):
        with pytest.raises(ConfigError, match="a model with a discriminator; came a flow, which has none; give the"):
            attempt()


def test_its_page_tells_of_a_flow(run: Path) -> None:
    page = pipeline.report(run).read_text(encoding="utf-8")
    assert "A rectified flow" in page
    assert "What was learned" in page
    assert "discriminator D" not in page
    assert "velocity" in page


def test_a_network_without_weights_of_a_discriminator_begins_no_detector(squares: Cohort, run: Path) -> None:
    from synthoma.detectors.initial import start_from

    classifier = TrainConfig(model="critic-tuned", images=10).classifier
    with pytest.raises(ConfigError, match="a GAN whose networks fit"):
        start_from(str(run), "classifier", classifier, squares)


def test_all_parts_learn(two_halves: Cohort) -> None:
    task = new_task(two_halves, conditional=True)
    before = {name: value.clone() for name, value in task.generator.state_dict().items()}
    trained(task, 4, last=10)
    assert [name for name, value in task.generator.state_dict().items() if torch.equal(before[name], value)] == []
