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
from synthoma.generators.autoencoders.loss import convergence, next_share
from synthoma.generators.family import GenerativeSetup
from synthoma.generators.gan.rejection import Rejection
from synthoma.generators.judge import judge_slices
from synthoma.generators.plan import plan_training
from synthoma.generators.sampling import Sampler, generate_cohort
from synthoma.settings import TrainConfig
from synthoma.training.bundle import load_tensors
from synthoma.training.checkpoint import latest_checkpoint, save_checkpoint
from synthoma.training.device import Execution
from synthoma.training.log import read_log
from synthoma.training.loop import Progress, Snapshot
from tests.toys import ONE, SMALL, blobs, halves, train_toy, write_cohort

pytestmark = pytest.mark.slow

MODELS = ("began", "aae", "dae")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("autoencoders")


@pytest.fixture(scope="module")
def two_halves(place: Path) -> Cohort:
    images, labels = halves(200)
    return write_cohort(place / "halves", images, labels)


@pytest.fixture(scope="module")
def squares(place: Path) -> Cohort:
    """Squares with masks, of two classes."""
    images, masks = blobs(200)
    return write_cohort(place / "blobs", images, ["a", "b"] * 100, masks, mask_names={"1": "tumour"})


@pytest.fixture(scope="module")
def runs(place: Path, squares: Cohort) -> dict[str, Path]:
    """Trained a little, with masks and classes."""
    for model in MODELS:
        train_toy(squares, place / model, model=model, images=64, snapshots=2, with_masks=True, conditional=True)
    return {model: place / model for model in MODELS}


def new_task(cohort: Cohort, model: str, execution: Execution = ONE, **settings: Any) -> Any:
    gan = {**SMALL, "ema_images": 300, **settings.pop("gan", {})}
    plan = plan_training(cohort, TrainConfig(model=model, images=1000, gan=gan, **settings))
    material = plan.family.learn_from(plan, Path("none"))
    return plan.family.task(
        GenerativeSetup(plan, material, execution, judge=lambda samples, recent: Snapshot(0.0, {}, []))
    )


def trained(task: Any, steps: int, first: int = 0, last: int | None = None) -> dict[str, Tensor]:
    losses: dict[str, Tensor] = {}
    for step in range(first, first + steps):
        torch.manual_seed(step)
        losses = task.step(step, step / (last or first + steps))
    return losses


# --- one step ---------------------------------------------------------------------------------------------------


def test_the_balance_moves_by_the_errors_of_the_step(two_halves: Cohort) -> None:
    task = new_task(two_halves, "began", gan={"balance": 0.7, "balance_rate": 0.05})
    share = 0.0
    for step in range(4):
        losses = {name: float(value.detach()) for name, value in trained(task, 1, first=step, last=8).items()}
        real, fake = -losses["d_real"], losses["g_loss"]
        assert losses["d_loss"] == pytest.approx(real + share * losses["d_fake"], rel=1e-4)
        share = next_share(share, real, fake, 0.7, 0.05)
        assert losses["k"] == pytest.approx(share, abs=1e-6)
        assert losses["convergence"] == pytest.approx(convergence(real, fake, 0.7), rel=1e-4)
    assert share > 0


def test_the_phases_of_an_adversarial_autoencoder_move_what_they_should(two_halves: Cohort) -> None:
    task = new_task(two_halves, "aae")
    before = {name: value.clone() for name, value in task.state().items()}
    trained(task, 2, last=10)
    after = task.state()
    for part in ("generator.encoder.", "generator.decoder.", "codes."):
        names = [name for name in before if name.startswith(part)]
        assert names
        assert all(not torch.equal(before[name], after[name]) for name in names if name.endswith("weight"))
    # The decoder learns from rebuilding alone: without the game of the codes its first step is the same.
    alone, both = new_task(two_halves, "aae"), new_task(two_halves, "aae")
    alone.judging.step = alone.encoding.step = lambda: None
    for one in (alone, both):
        trained(one, 1, last=10)
    assert torch.equal(alone.generator.decoder.stem.weight, both.generator.decoder.stem.weight)
    assert not torch.equal(alone.generator.encoder.head.weight, both.generator.encoder.head.weight)


def test_a_denoiser_sees_noise_and_is_held_against_the_clean_slice(
    two_halves: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, fresh = (new_task(two_halves, "dae", gan={"corruption": 0.3}) for _ in range(2))
    seen: list[Tensor] = []
    encode = task.generator.encode
    monkeypatch.setattr(task.generator, "encode", lambda images: (seen.append(images), encode(images))[1])
    loss = float(task.step(0, 0.5)["loss"].detach())
    planes = task.real(0).planes()
    noise = (seen[0] - planes) / 0.3
    assert float(noise.mean()) == pytest.approx(0, abs=0.1)
    assert float(noise.std()) == pytest.approx(1, abs=0.1)
    with torch.no_grad():
        rebuilt = fresh.generator.decode(fresh.generator.encode(seen[0]))
    assert loss == pytest.approx(float((rebuilt - planes).square().mean()), rel=1e-5)


def test_the_density_is_that_of_the_averaged_encoders_codes(two_halves: Cohort) -> None:
    task = new_task(two_halves, "dae", gan={"components": 1})
    trained(task, 5, last=10)
    task.fit_density()
    with torch.no_grad():
        codes = task.average.encode(task.slices.fetch(np.arange(200)).planes())
    density = task.average.density
    assert torch.allclose(density.means[0, 0], codes.mean(dim=0), atol=1e-4)
    trained(task, 1, first=5, last=10)  # the average takes over buffers
    assert torch.equal(task.average.density.means, density.means)
    assert float(density.means.abs().max()) > 0


# --- state ------------------------------------------------------------------------------------------------------

LAYOUTS = [ONE, Execution("cpu", 1, channels_last=True, bf16=False)]
CONFIGS: dict[str, dict[str, Any]] = {
    "": {},
    "classes": {"conditional": True, "gan": {"augment": ["translation"], "optimiser": "rmsprop"}},
}


@pytest.mark.parametrize("execution", LAYOUTS, ids=["first", "last"])
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("model", MODELS)
def test_a_restored_task_goes_on_exactly(
    two_halves: Cohort, tmp_path: Path, model: str, config: str, execution: Execution
) -> None:
    whole, part, again = (new_task(two_halves, model, execution, **CONFIGS[config]) for _ in range(3))
    for task, steps in ((whole, 4), (part, 2)):
        for step in range(steps):
            trained(task, 1, first=step, last=6)
            if step == 1:
                task.snapshot(Progress(step=2), {"loss": 1.0})  # a density is fitted here
    save_checkpoint(tmp_path, part.state(), {"step": 2}, keep=1)
    bundle = latest_checkpoint(tmp_path)
    assert bundle is not None
    again.restore(bundle)
    trained(again, 2, first=2, last=6)
    expected, found = whole.state(), again.state()
    assert expected.keys() == found.keys()
    assert [key for key in expected if not key.startswith("best.") and not torch.equal(expected[key], found[key])] == []


@pytest.mark.parametrize("model", MODELS)
def test_weights_that_are_no_numbers_are_fatal_and_never_kept(two_halves: Cohort, model: str) -> None:
    task = new_task(two_halves, model)
    trained(task, 2, last=10)
    assert not task.snapshot(Progress(step=2), {"loss": 1.0}).fatal
    task.keep_best()
    with torch.no_grad():
        for network in (task.generator, task.average):
            for parameter in network.parameters():
                parameter.fill_(math.nan)
    assert task.snapshot(Progress(step=3), {"loss": 1.0}).fatal
    assert all(torch.isfinite(value).all() for value in task.finished().values())


# --- what is learned --------------------------------------------------------------------------------------------


def sides(planes: Tensor) -> tuple[Tensor, Tensor]:
    images = (planes[:, 0] + 1) / 2
    return images[:, :, :8].mean(dim=(1, 2)), images[:, :, 8:].mean(dim=(1, 2))


@pytest.mark.parametrize(("model", "steps"), [("aae", 400), ("dae", 250)])
def test_both_modes_of_a_toy_distribution_are_learned(two_halves: Cohort, model: str, steps: int) -> None:
    task = new_task(two_halves, model)
    trained(task, steps)
    if model == "dae":
        task.fit_density()
    left, right = sides(task.draw(200))
    bright, dark = torch.maximum(left, right), torch.minimum(left, right)
    assert 0.3 < float((left > right).float().mean()) < 0.7  # training images: 0.5
    assert 0.6 < float(bright.mean()) < 0.8  # 0.7
    assert float(dark.mean()) < 0.2  # 0.05
    assert 0.05 < float(bright.std()) < 0.2  # 0.115


def test_codes_that_are_kept_apart_give_both_modes_to_an_equilibrium(two_halves: Cohort) -> None:
    task = new_task(two_halves, "began", gan={"batch": 16, "latent": 16, "width": 16})
    trained(task, 300)
    left, right = sides(task.draw(200))
    bright, dark = torch.maximum(left, right), torch.minimum(left, right)
    assert 0.3 < float((left > right).float().mean()) < 0.7  # training images: 0.5; without the term 0.75 to 0.8
    assert float((bright - dark).mean()) > 0.2  # 0.65: its pictures stay fainter
    assert float((bright > dark + 0.1).float().mean()) > 0.8


@pytest.mark.parametrize(("model", "steps"), [("aae", 350), ("dae", 150), ("began", 400)])
def test_a_conditional_generator_obeys_the_class(two_halves: Cohort, model: str, steps: int) -> None:
    larger = {"batch": 16, "latent": 16, "width": 16} if model == "began" else {}
    task = new_task(two_halves, model, conditional=True, gan=larger)
    trained(task, steps)
    if model == "dae":
        task.fit_density()
    latents = task.latents(100, torch.Generator().manual_seed(0))
    for number in (0, 1):
        with torch.no_grad():
            left, right = sides(task.average(latents, torch.full((100,), number)))
        bright, dark = (left, right) if number == 0 else (right, left)
        assert float((bright > dark).float().mean()) > 0.85
        assert 0.5 < float(bright.mean()) < 0.85  # training images: 0.7
        assert float(dark.mean()) < 0.25  # 0.05


def test_a_drawn_mask_lies_on_the_bright_square(squares: Cohort) -> None:
    task = new_task(squares, "dae", with_masks=True, gan={"width": 16, "critic_width": 16})
    trained(task, 250)
    task.fit_density()
    planes = task.draw(100).numpy()
    images, masks = (planes[:, 0] + 1) / 2, planes[:, 1] > 0
    shown = masks.sum(axis=(1, 2)) > 4
    assert shown.mean() > 0.6
    gaps = [image[mask].mean() - image[~mask].mean() for image, mask in zip(images[shown], masks[shown], strict=True)]
    assert np.median(gaps) > 0.25


# --- a finished run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_shards_together_are_the_single_run(place: Path, runs: dict[str, Path], model: str) -> None:
    sampler = Sampler.open(runs[model])

    def drawn(name: str, shard: tuple[int, int]) -> Cohort:
        (place / f"{model}-{name}").mkdir()
        return generate_cohort(sampler, place / f"{model}-{name}", 80, seed=4, shard=shard)

    whole, shards = drawn("whole", (1, 1)), [drawn(str(part), (part, 3)) for part in (1, 2, 3)]
    for name in ("images", "masks"):
        together = b"".join(np.asarray(getattr(shard, name)).tobytes() for shard in shards)
        assert together == np.asarray(getattr(whole, name)).tobytes()
    assert set(whole.slices["asked_for"]) == {"a", "b"}
    assert len({image.tobytes() for image in np.asarray(whole.images)}) == 80


@pytest.mark.parametrize("model", MODELS)
def test_its_page_and_description_tell_what_it_is(runs: dict[str, Path], model: str) -> None:
    words = {"began": "boundary equilibrium", "aae": "adversarial autoencoder", "dae": "denoising autoencoder"}
    page = pipeline.report(runs[model]).read_text(encoding="utf-8")
    assert words[model] in page
    assert "velocity" not in page
    assert pipeline.describe(runs[model])["model"] == model
    assert ("discriminator D" in page) == (model == "began")


def test_the_log_tells_of_the_balance(runs: dict[str, Path]) -> None:
    figures = [entry.figures for entry in read_log(runs["began"] / "log.jsonl")]
    assert any({"k", "convergence"} <= set(one) for one in figures)


def test_the_discriminator_of_an_equilibrium_judges_and_rejects(squares: Cohort, runs: dict[str, Path]) -> None:
    scores = judge_slices(runs["began"], squares, np.arange(6))
    assert bool((scores < 0).all())
    rejection = Rejection.open(Sampler.open(runs["began"]), 0.5)
    assert len(rejection.limits) == 2


@pytest.mark.parametrize("model", ["aae", "dae"])
def test_others_say_that_they_cannot_judge(squares: Cohort, runs: dict[str, Path], model: str) -> None:
    with pytest.raises(ConfigError, match="a model with a discriminator"):
        judge_slices(runs[model], squares, np.arange(3))
    with pytest.raises(ConfigError, match="a model with a discriminator"):
        Rejection.open(Sampler.open(runs[model]), 0.5)


def test_one_begins_with_what_another_learned(place: Path, squares: Cohort, runs: dict[str, Path]) -> None:
    settings: dict[str, Any] = {"with_masks": True, "conditional": True, "gan": {"generator_rate": 1e-12}}
    train_toy(squares, place / "again", model="dae", images=8, snapshots=1, init=str(runs["dae"]), **settings)
    ours, theirs = (
        load_tensors(run / "model.safetensors").weights("generator") for run in (place / "again", runs["dae"])
    )
    assert torch.allclose(ours["encoder.head.weight"], theirs["encoder.head.weight"], atol=1e-6)
