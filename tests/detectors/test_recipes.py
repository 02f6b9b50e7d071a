"""Recipes of the seed projects, optimisers and schedules, z-scores, and the classifiers of the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import synthoma
from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.provenance import file_digest
from synthoma.detectors import train as detectors
from synthoma.detectors.classifiers.networks import VGG16, build_classifier
from synthoma.detectors.learning import STILL, AugmentConfig
from synthoma.detectors.material import seed_budget
from synthoma.detectors.models import CLASSIFIERS, SEGMENTERS
from synthoma.detectors.plan import DetectorPlan
from synthoma.detectors.scale import as_input
from synthoma.detectors.settings import ClassifierNetwork
from synthoma.detectors.train import train_detector
from synthoma.generators.recipes import generators
from synthoma.settings import TrainConfig
from synthoma.training.bundle import open_model
from synthoma.training.loop import Progress
from tests.toys import ONE, blobs, halves, unheard, write_cohort

pytestmark = pytest.mark.slow


def squares(folder: Path, *, size: int = 32, count: int = 60) -> Cohort:
    """Bright squares on grey, a third of them healthy, ten patients, two of them held out."""
    images, masks = blobs(count, size=size)
    masks[::3] = 0
    images[::3] = images[::3].min(axis=(1, 2), keepdims=True)
    images[::3, :3] = 0.0  # or a healthy slice would have one value only
    groups = [f"p{number % 10}" for number in range(count)]
    splits = ["validation" if group == "p8" else "test" if group == "p9" else "train" for group in groups]
    return write_cohort(
        folder, images, masks=masks, splits=splits, groups=groups, mask_names={"1": "tumour"}, origin="real"
    )


def trained(cohort: Cohort, run: Path, *, report: Any = unheard, resume: bool = False, **settings: Any) -> Progress:
    """Train without measuring which settings are fastest."""
    run.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectors, "calibrate", lambda device, name, trial, bf16: ONE)
        plan = DetectorPlan(cohort, TrainConfig.resolve(flags=settings))
        return train_detector(plan, run, report, resume=resume)


# --- recipes -----------------------------------------------------------------------------------------------------


def test_the_seeds_settings_are_those_of_their_code() -> None:
    """As the reference configurations of the seeds say them."""
    told = TrainConfig.resolve(flags={"model": "resunet-seed", "recipe": "seed"})
    segmenter = told.segmenter
    assert (told.snapshots, told.patience) == (60, 20)
    assert (segmenter.optimiser, segmenter.rate, segmenter.epsilon) == ("adam", 0.05, 0.1)
    assert (segmenter.loss, segmenter.tversky_alpha, segmenter.tversky_gamma) == ("focal-tversky", 0.7, 0.75)
    assert (segmenter.tversky_smooth, segmenter.scale, segmenter.tumour_share) == (1e-6, "zscore", 1.0)
    assert (segmenter.schedule, segmenter.plateau_patience, segmenter.plateau_factor) == ("plateau", 10, 0.2)
    gan = TrainConfig.resolve(flags={"model": "mask-dcgan-seed", "recipe": "seed"}).segmenter
    assert (gan.critic_sees_image, gan.supervised, gan.adversarial, gan.batch) == (False, 0.0, 1.0, 5)
    assert (gan.rate, gan.critic_rate, gan.beta1) == (2e-4, 2e-4, 0.5)
    assert (gan.label_smoothing, gan.target_smoothing) == (0.1, 0.1)
    types = TrainConfig.resolve(flags={"model": "resnet50-seed", "recipe": "seed"}).classifier
    assert (types.head, types.dropout, types.network) == ((256, 256, 128), 0.3, "resnet50")
    dcgan = TrainConfig.resolve(flags={"model": "dcgan-seed", "recipe": "seed"})
    assert (dcgan.gan.batch, dcgan.gan.ema_images, dcgan.gan.augment, dcgan.gan.loss) == (4, 0.0, (), "bce")
    assert dcgan.images == 150_000
    for config in (segmenter, gan, types):
        assert config.augment == AugmentConfig(**STILL)


def test_corrected_recipes_are_without_the_flaws() -> None:
    gan = TrainConfig.resolve(flags={"model": "mask-dcgan-seed", "recipe": "corrected"}).segmenter
    assert gan.critic_sees_image
    assert (gan.supervised, gan.critic_masks) == (1.0, "scaled")
    dcgan = TrainConfig.resolve(flags={"model": "dcgan-seed", "recipe": "corrected"})
    assert dcgan.gan.network == "seed"
    assert dcgan.gan.ema_images > 0
    assert dcgan.images is None


def test_a_recipe_leaves_what_is_given_and_is_refused_elsewhere() -> None:
    told = TrainConfig.resolve(
        assignments=["segmenter.rate=1e-3"], flags={"model": "resunet-seed", "recipe": "seed", "snapshots": 5}
    )
    assert (told.segmenter.rate, told.segmenter.epsilon, told.snapshots) == (1e-3, 0.1, 5)
    assert TrainConfig.resolve(flags={"model": "dcgan-seed", "recipe": "seed", "minutes": 3}).images is None
    with pytest.raises(ConfigError, match="unet-25d has no recipes: they are for dcgan-seed, resunet-seed"):
        TrainConfig.resolve(flags={"model": "unet-25d", "recipe": "seed"})
    with pytest.raises(ConfigError, match="seed, corrected"):
        TrainConfig.resolve(flags={"model": "dcgan-seed", "recipe": "sed"})


def test_without_a_recipe_every_model_is_what_it_was() -> None:
    for name in (*SEGMENTERS, *CLASSIFIERS, *generators()):
        if name != "phantom-gan":
            config = TrainConfig.resolve(flags={"model": name})
            assert config.recipe is None
            assert (config.snapshots, config.patience, config.images) == (10, 0, None)


def test_the_seeds_budget_is_in_epochs_of_its_slices(tmp_path: Path) -> None:
    cohort = squares(tmp_path / "cohort")
    told = TrainConfig.resolve(flags={"model": "resunet-seed", "recipe": "seed"})
    ill = (cohort.slices["tumour_pixels"] > 0) & (cohort.slices["split"] == "train")
    assert seed_budget(cohort, told).images == 60 * ill.sum() < 60 * (cohort.slices["split"] == "train").sum()
    assert seed_budget(cohort, told.model_copy(update={"minutes": 1.0})).images is None
    assert seed_budget(cohort, TrainConfig.resolve(flags={"model": "resunet-seed"})).images is None


def test_the_seeds_segmenter_trains_on_tumour_slices_alone(tmp_path: Path) -> None:
    cohort = squares(tmp_path / "cohort")
    plan = DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "resunet-seed", "recipe": "seed"}))
    drawn = plan.sources[0].draw(0, "x", 0, 200, plan.learner.tumour_share)
    assert (cohort.slices["tumour_pixels"].to_numpy()[drawn] > 0).all()


@pytest.mark.parametrize("recipe", ["seed", "corrected"])
def test_the_seeds_mask_gan_runs_by_both_recipes(tmp_path: Path, recipe: str) -> None:
    cohort = squares(tmp_path / "cohort", size=28)
    progress = trained(cohort, tmp_path / "run", model="mask-dcgan-seed", recipe=recipe, images=60, snapshots=2)
    assert progress.best_images > 0
    network = open_model(tmp_path / "run").weights("segmenter")
    assert all(bool(torch.isfinite(value).all()) for value in network.values())


# --- optimiser and schedule --------------------------------------------------------------------------------------


def test_adam_and_adamw_differ_in_their_decay(tmp_path: Path) -> None:
    cohort = squares(tmp_path / "cohort")
    digests = {}
    for optimiser in ("adam", "adamw"):
        for decay in (0.0, 0.1):
            learner = {"optimiser": optimiser, "weight_decay": decay, "levels": 2, "width": 4, "batch": 8}
            run = tmp_path / f"{optimiser}-{decay}"
            trained(cohort, run, model="unet-25d", images=32, snapshots=1, segmenter=learner)
            weights = open_model(run).weights("segmenter")
            digests[optimiser, decay] = [float(weights[name].abs().sum()) for name in sorted(weights)]
    assert digests["adam", 0.0] == digests["adamw", 0.0], "without decay they are one and the same"
    assert digests["adam", 0.1] != digests["adamw", 0.1]


def test_a_plateau_lowers_the_rate_and_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    cohort = squares(tmp_path / "cohort")
    learner = {
        "schedule": "plateau", "plateau_patience": 1, "plateau_factor": 0.5, "plateau_delta": 10.0, "levels": 2,
        "width": 4, "batch": 8,
    }  # fmt: skip
    settings: dict[str, Any] = {"model": "unet-25d", "images": 160, "snapshots": 4, "segmenter": learner}
    trained(cohort, tmp_path / "whole", **settings)
    from synthoma.training.log import read_log

    rates = [entry.figure("rate") for entry in read_log(tmp_path / "whole" / "log.jsonl") if entry.is_snapshot]
    assert rates == pytest.approx([2e-3, 1e-3, 5e-4, 2.5e-4], abs=1e-6), "no score is better by 10: flat"

    def kill(progress: Progress, share: float, recent: dict[str, float]) -> None:
        if progress.images >= 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(cohort, tmp_path / "killed", report=kill, **settings)
    trained(cohort, tmp_path / "killed", resume=True, **settings)
    assert len({file_digest(tmp_path / run / "model.safetensors") for run in ("whole", "killed")}) == 1


def test_a_plateau_needs_somebody_to_be_judged_on(tmp_path: Path) -> None:
    images, masks = blobs(12, size=32)
    cohort = write_cohort(tmp_path / "cohort", images, masks=masks, mask_names={"1": "tumour"})
    with pytest.raises(ConfigError, match=r"validation slices.*plateau"):
        DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "unet-25d", "segmenter": {"schedule": "plateau"}}))


# --- z-scores ----------------------------------------------------------------------------------------------------


def test_a_segmenter_learns_from_z_scores_where_it_is_told_so(tmp_path: Path) -> None:
    cohort = squares(tmp_path / "cohort")
    still = {"rotation": 0.0, "scale": 0.0, "bias": 0.0, "blur": 0.0, "ghosting": 0.0}
    learner = {"scale": "zscore", "levels": 2, "width": 16, "batch": 8, "ema_images": 100.0, "augment": still}
    progress = trained(cohort, tmp_path / "run", model="unet-25d", images=1600, snapshots=4, segmenter=learner)
    assert progress.best < 0.2, "1 - Dice on the validation patient"
    assert open_model(tmp_path / "run").meta.network["scale"] == "zscore"
    scores = synthoma.evaluate_model(cohort, tmp_path / "run").segmenter
    assert scores is not None
    assert scores.tumour_slices is not None
    assert scores.tumour_slices.dice.value > 0.8
    with pytest.raises(ConfigError, match="see 0 to 1"):
        TrainConfig.resolve(flags={"model": "critic-unet", "segmenter": {"scale": "zscore"}})


def test_detect_shows_a_scan_as_z_scores_too(tmp_path: Path) -> None:
    from synthoma.detection.detector import Detector

    cohort = squares(tmp_path / "cohort")
    trained(cohort, tmp_path / "run", model="unet-25d", images=32, snapshots=1,
            segmenter={"scale": "zscore", "levels": 2, "width": 4, "batch": 8})  # fmt: skip
    detector = Detector.open(tmp_path / "run")
    assert detector.scale == "zscore"
    pixels = np.random.default_rng(0).random((3, 1, 32, 32)).astype(np.float32)
    seen = detector.inputs(pixels, [0], 1)
    assert float(seen.mean()) == pytest.approx(0, abs=1e-5)
    assert float(seen.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_the_usual_scale_is_cut_and_z_scores_are_those_of_each_image() -> None:
    values = torch.tensor([[-20.0, -1.0, 0.5, 9.0, 20.0]])
    assert as_input(values).tolist() == [[0, 0, 0.5, 2, 2]]
    images = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    images[1, 1] = 0.0  # a sequence that is missing
    by_hand = (images[0, 0].numpy() - images[0, 0].numpy().mean()) / images[0, 0].numpy().std()
    found = as_input(3 * images + 7, "zscore")
    np.testing.assert_allclose(found[0, 0].numpy(), by_hand, atol=1e-5)
    assert not found[1, 1].any()


def weights(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_parameters_are_those_that_were_published() -> None:
    """VGG16: Simonyan and Zisserman 2015, table 2 (138 million); ResNet-50: torchvision's 25,557,032."""
    with torch.device("meta"):
        assert weights(VGG16(3, 1000, norm=False)) == 138_357_544
        config = ClassifierNetwork(network="vgg16", batch_norm=False)
        assert weights(build_classifier(config, 224, 3, 1000)) == 138_357_544
        assert weights(build_classifier(ClassifierNetwork(network="resnet50"), 224, 3, 1000)) == 25_557_032
        seed = build_classifier(ClassifierNetwork(network="resnet50", pool=2, head=(256, 256, 128)), 256, 3, 2)
        dense = sum(a * b + b for a, b in ((8192, 256), (256, 256), (256, 128), (128, 2)))
        assert weights(seed) == 25_557_032 - (2048 * 1000 + 1000) + dense


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "resnet50-seed"])
def test_classifiers_of_the_zoo_give_a_logit_a_class(name: str) -> None:
    config = CLASSIFIERS[name][1].model_copy(update={"context": 3})
    network = build_classifier(config, 32, 2, 4).eval()
    assert network(torch.rand(2, 6, 32, 32)).shape == (2, 4)


def test_dropout_stands_behind_each_dense_layer() -> None:
    network = build_classifier(ClassifierNetwork(network="resnet18", head=(16, 8), dropout=0.3), 32, 1, 2)
    head = [layer for layer in network.fc if isinstance(layer, torch.nn.Linear | torch.nn.Dropout)]  # type: ignore[union-attr]
    assert [type(layer).__name__ for layer in head] == ["Linear", "Dropout", "Linear", "Dropout", "Linear"]
    assert [layer.p for layer in head if isinstance(layer, torch.nn.Dropout)] == [0.3, 0.3]
    with pytest.raises(ConfigError, match="not for cnn"):
        TrainConfig.resolve(flags={"model": "cnn", "classifier": {"head": (16,)}})


def test_vgg16_learns(tmp_path: Path) -> None:
    images, sides = halves(80, size=32)
    cohort = write_cohort(tmp_path / "cohort", images, sides, splits=["train"] * 60 + ["validation"] * 20)
    learner = {"batch": 8, "head": (32,), "augment": STILL, "ema_images": 50.0, "rate": 1e-3}
    progress = trained(cohort, tmp_path / "run", model="vgg16", images=320, snapshots=2, classifier=learner)
    assert progress.best < 0.4, "cross-entropy; guessing gives 0.69"
    scores = synthoma.evaluate_model(cohort, tmp_path / "run", part="validation").classifier
    assert scores is not None
    assert scores.accuracy.value > 0.9
    assert open_model(tmp_path / "run").meta.network["head"] == [32]
