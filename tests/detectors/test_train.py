"""Detectors in training: each learns what is plain to see, resumes exactly, and never learns from held-out patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError, LeakError
from synthoma.core.provenance import file_digest
from synthoma.core.types import REGIONS, TARGETS
from synthoma.detectors import train as detectors
from synthoma.detectors.plan import DetectorPlan
from synthoma.detectors.scale import as_input
from synthoma.detectors.segmenters.networks import SegmenterShape, build_segmenter
from synthoma.detectors.settings import SegmenterNetwork
from synthoma.detectors.slices import LabelledSlices
from synthoma.detectors.train import train_detector
from synthoma.detectors.validation import THRESHOLDS, overlap_counts, patient_dice, steady_threshold
from synthoma.settings import TrainConfig
from synthoma.training.bundle import load_tensors, open_model
from synthoma.training.loop import Progress
from synthoma.training.schedule import one_cycle
from tests.toys import ONE, blobs, halves, train_toy, unheard, write_cohort

pytestmark = pytest.mark.slow

GENTLE = {"rotation": 0.0, "scale": 0.0, "bias": 0.0, "blur": 0.0, "ghosting": 0.0}


def _discs(folder: Path, count: int = 60, size: int = 32, **meta: Any) -> Cohort:
    """Bright squares on grey with their masks, ten patients, two of them held out."""
    images, masks = blobs(count, size=size)
    groups = [f"p{number % 10}" for number in range(count)]
    splits = ["validation" if group == "p8" else "test" if group == "p9" else "train" for group in groups]
    return write_cohort(folder, images, masks=masks, splits=splits, groups=groups, mask_names={"1": "tumour"}, **meta)


def _train(cohort: Cohort, run: Path, *, resume: bool = False, report: Any = unheard, **settings: Any) -> Progress:
    """Train without measuring which settings are fastest."""
    run.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectors, "calibrate", lambda device, name, trial, bf16: ONE)
        plan = DetectorPlan(cohort, TrainConfig.resolve(flags=settings))
        return train_detector(plan, run, report, resume=resume)


def _dice(cohort: Cohort, run: Path, targets: tuple[str, ...] = ("tumour",)) -> list[float]:
    """Dice of the test patients' pixels, pooled, of each target."""
    bundle = open_model(run, "segmenter")
    network = build_segmenter(
        SegmenterNetwork.model_validate(bundle.meta.network), SegmenterShape(**bundle.meta.shape)
    ).eval()
    network.load_state_dict(bundle.weights("segmenter"))
    rows = cohort.rows(split="test")
    context = (bundle.meta.network["context"], 4.0)
    batch = LabelledSlices(cohort, rows, cohort.modalities, targets, context).fetch(rows)
    with torch.no_grad():
        said = torch.sigmoid(network(as_input(batch.images))) >= torch.tensor(bundle.meta.threshold)[:, None, None]
    truth = batch.masks > 0
    both, either = (said & truth).sum(dim=(0, 2, 3)), said.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    return (2 * both / either).tolist()


@pytest.mark.parametrize(
    ("model", "images", "settings"),
    [
        ("unet-25d", 960, {"levels": 2, "width": 16}),
        ("resunet-seed", 960, {}),
        ("resunet", 960, {"width": 8}),
        ("segresnet", 960, {"width": 8}),
        ("dynunet", 960, {"width": 8}),
        ("mask-gan", 960, {"levels": 2, "width": 16}),
        ("critic-unet", 960, {"width": 8}),
        ("gan-unet", 960, {"width": 8}),
    ],
)
def test_each_segmenter_learns(tmp_path: Path, model: str, images: int, settings: dict[str, Any]) -> None:
    cohort = _discs(tmp_path / "cohort")
    learner = {"augment": GENTLE, "batch": 8, "ema_images": 100.0, **settings}
    progress = _train(cohort, tmp_path / "run", model=model, images=images, snapshots=2, segmenter=learner)
    assert _dice(cohort, tmp_path / "run")[0] > 0.8
    assert progress.best < 0.2, "the validation score is 1 - Dice"


def test_regions_within_one_another_are_told_apart(tmp_path: Path) -> None:
    """Oedema is grey, the core in it black, and its lower half enhancing: white."""
    images, squares = blobs(60, size=32)
    masks = np.where(squares > 0, 2, 0).astype(np.uint8)
    for image, mask in zip(images, masks, strict=True):
        image[mask > 0] = 0.5
        down, right = np.argwhere(mask > 0).min(axis=0)
        for start, label, grey in ((2, 1, 0.0), (5, 3, 0.95)):
            part = (slice(down + start, down + start + 3), slice(right + 2, right + 8))
            mask[part], image[part] = label, grey
    groups = [f"p{number % 10}" for number in range(60)]
    splits = ["validation" if group == "p8" else "test" if group == "p9" else "train" for group in groups]
    names = {str(value): name for value, name in REGIONS.items()}
    cohort = write_cohort(tmp_path / "cohort", images, masks=masks, splits=splits, groups=groups, mask_names=names)
    learner = {"augment": GENTLE, "batch": 8, "ema_images": 100.0, "levels": 2, "width": 16}
    _train(cohort, tmp_path / "run", model="unet-25d", images=2400, snapshots=4, segmenter=learner)
    assert open_model(tmp_path / "run").meta.shape["targets"] == len(TARGETS)
    assert min(_dice(cohort, tmp_path / "run", tuple(TARGETS))) > 0.8


def test_the_seeds_mask_gan_learns(tmp_path: Path) -> None:
    cohort = _discs(tmp_path / "cohort", count=200, size=28)
    learner = {"augment": {**GENTLE, "flip": 0.0, "shift": 0.0}, "rate": 1e-3, "ema_images": 100.0}
    _train(cohort, tmp_path / "run", model="mask-dcgan-seed", images=720, snapshots=2, segmenter=learner)
    assert _dice(cohort, tmp_path / "run")[0] > 0.6, "it has no skips and copies no edges; a blind guess reaches 0.25"


@pytest.mark.parametrize("model", ["cnn", "resnet18", "critic-tuned"])
def test_each_classifier_learns(tmp_path: Path, model: str) -> None:
    images, sides = halves(80, size=32)
    splits = ["train"] * 60 + ["validation"] * 20
    cohort = write_cohort(tmp_path / "cohort", images, sides, splits=splits)
    learner = {"width": 8, "batch": 8, "augment": {**GENTLE, "flip": 0.0}, "ema_images": 50.0}
    images_shown = 320 if model == "resnet18" else 800
    _train(cohort, tmp_path / "run", model=model, images=images_shown, snapshots=2, classifier=learner)
    scores = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert max(entry.get("balanced_accuracy", 0) for entry in scores) > 0.95
    meta = open_model(tmp_path / "run", "classifier").meta.content()
    assert meta["classes"] == ["left", "right"]


class _KilledError(Exception):
    """Stands for kill -9."""


@pytest.mark.parametrize("model", ["unet-25d", "mask-gan"])
def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path, model: str) -> None:
    cohort = _discs(tmp_path / "cohort")
    settings: dict[str, Any] = {
        "model": model, "images": 320, "snapshots": 4, "segmenter": {"levels": 2, "width": 4, "batch": 8}
    }  # fmt: skip
    _train(cohort, tmp_path / "whole", **settings)

    def kill(progress: Progress, share: float, recent: dict[str, float]) -> None:
        if progress.images >= 160 and not (tmp_path / "resumed").is_dir():
            raise _KilledError

    with pytest.raises(_KilledError):
        _train(cohort, tmp_path / "killed", report=kill, **settings)
    assert not (tmp_path / "killed" / "model.safetensors").is_file()
    _train(cohort, tmp_path / "killed", resume=True, **settings)
    digests = [file_digest(tmp_path / run / "model.safetensors") for run in ("whole", "killed")]
    assert digests[0] == digests[1]


def test_half_precision_learns_too(tmp_path: Path) -> None:
    cohort = _discs(tmp_path / "cohort")
    from dataclasses import replace

    config = TrainConfig.resolve(flags={"model": "unet-25d", "segmenter": {"levels": 3, "width": 8}})
    plan = DetectorPlan(cohort, config)
    task = plan.task(replace(ONE, bf16=True, channels_last=True), plan.judge(ONE, lambda images, rows, maps: None))
    losses = [float(task.step(step, 0.3)["loss"].detach()) for step in range(60)]
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    assert all(value.dtype == torch.float32 for value in task.best.values() if value.is_floating_point())


def test_threshold_is_where_validation_dice_is_largest() -> None:
    """Tumour at probability 0.3 and background at 0.2: only thresholds between tell them apart."""
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, :, :4] = 1
    chances = torch.where(masks > 0, 0.32, 0.22)
    found, said, being = overlap_counts(chances, masks)
    dice = patient_dice(found, said, being, np.array([0, 1])).mean(axis=1)[:, 0]
    assert THRESHOLDS[dice.argmax()] in (0.25, 0.3)
    assert dice.max() == 1, "the second patient has no tumour and none is said"
    assert dice[0] == pytest.approx((2 * 32 / (64 + 32) + 0) / 2)


def test_one_odd_patient_does_not_move_the_threshold() -> None:
    """One of four gains a little from a low threshold: no reason. All four gain: a reason."""
    even = np.full((len(THRESHOLDS), 4), 0.8)
    odd = even.copy()
    odd[:3, 0] += 0.2
    assert THRESHOLDS[steady_threshold(odd)] == 0.5, "the middle of all"
    clear = even.copy()
    clear[:3] += np.array([0.1, 0.12, 0.09, 0.11])
    assert THRESHOLDS[steady_threshold(clear)] == 0.15, "the middle of the three that are better"
    assert THRESHOLDS[steady_threshold(clear[:, :1])] == 0.15, "a single patient decides alone"


def test_learning_rate_rises_and_falls() -> None:
    rates = [one_cycle(share) for share in np.linspace(0, 1, 101)]
    assert rates[0] < 0.1
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert np.argmax(rates) < 10
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_model_file_says_all_that_is_needed(tmp_path: Path) -> None:
    cohort = _discs(tmp_path / "cohort")
    learner = {"levels": 2, "width": 4, "batch": 8}
    _train(cohort, tmp_path / "run", model="unet-25d", images=64, snapshots=2, segmenter=learner)
    meta = open_model(tmp_path / "run").meta.content()
    assert meta["kind"] == "segmenter"
    assert meta["targets"] == ["tumour"]
    assert len(meta["threshold"]) == 1
    assert 0.1 <= meta["threshold"][0] <= 0.9
    assert meta["provenance"]["trained_on"]["groups"] == [f"p{number}" for number in range(8)]
    assert (tmp_path / "run" / "progress.png").is_file()


def test_synthetic_children_of_held_out_patients_are_refused(tmp_path: Path) -> None:
    cohort = _discs(tmp_path / "cohort")
    for name, groups in (("fair", ["p0", "p1"]), ("leak", ["p0", "p9"])):
        images, masks = blobs(20, seed=1, size=32)
        provenance = {"trained_on": {"groups": groups}}
        write_cohort(
            tmp_path / name, images, masks=masks, mask_names={"1": "tumour"}, origin="synthetic", provenance=provenance
        )
    plan = DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "unet-25d", "extra": [tmp_path / "fair"]}))
    assert [len(source) for source in plan.sources] == [48, 20]
    with pytest.raises(LeakError, match="p9"):
        DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "unet-25d", "extra": [tmp_path / "leak"]}))


def test_what_a_model_learned_from_follows_it(tmp_path: Path) -> None:
    """Patients behind --with and --init are named in the model file, and may not be held out where it goes on."""
    cohort = _discs(tmp_path / "cohort")
    images, masks = blobs(20, seed=1, size=32)
    groups = [f"z{number % 4}" for number in range(20)]
    names = {"1": "tumour"}
    write_cohort(tmp_path / "other", images, masks=masks, groups=groups, mask_names=names, origin="real")
    learner = {"levels": 2, "width": 4, "batch": 8}
    settings: dict[str, Any] = {"model": "unet-25d", "images": 32, "snapshots": 1, "segmenter": learner}
    _train(cohort, tmp_path / "run", extra=[tmp_path / "other"], **settings)
    learned = open_model(tmp_path / "run").meta.provenance.trained_on.groups
    assert {"p0", "z0", "z3"} <= set(learned)
    assert "p9" not in learned

    real = _discs(tmp_path / "real", origin="real")
    _train(real, tmp_path / "real-run", **settings)
    images, masks = blobs(20, seed=2, size=32)
    splits = ["test"] * 5 + ["train"] * 15
    groups = ["p0"] * 5 + ["new"] * 15
    later = write_cohort(
        tmp_path / "later", images, masks=masks, groups=groups, splits=splits, mask_names=names, origin="real"
    )
    with pytest.raises(LeakError, match="p0"):
        DetectorPlan(later, TrainConfig.resolve(flags={"model": "unet-25d", "init": str(tmp_path / "real-run")}))
    with pytest.raises(LeakError, match="p0"):
        DetectorPlan(later, TrainConfig.resolve(flags={"model": "unet-25d", "extra": [real.path]}))
    # Behind a model of simulated patients stand the real ones that it was trained with.
    groups = ["z0"] * 5 + ["new"] * 15
    last = write_cohort(
        tmp_path / "last", images, masks=masks, groups=groups, splits=splits, mask_names=names, origin="real"
    )
    with pytest.raises(LeakError, match="z0"):
        DetectorPlan(last, TrainConfig.resolve(flags={"model": "unet-25d", "init": str(tmp_path / "run")}))


def test_a_patient_whose_group_has_another_name_is_known_too(tmp_path: Path) -> None:
    """A group over duplicates bears one patient's name; the model file names all of them."""
    cohort = _discs(tmp_path / "joined", origin="real")
    table = cohort.slices.assign(patient=cohort.slices["group"])
    table.loc[table["group"] == "p0", "patient"] = "p0-twin"
    table.to_csv(cohort.path / "slices.csv", index=False)
    settings: dict[str, Any] = {"segmenter": {"levels": 2, "width": 4, "batch": 8}, "images": 16, "snapshots": 1}
    _train(Cohort(cohort.path), tmp_path / "run", model="unet-25d", **settings)
    assert {"p0", "p0-twin"} <= set(open_model(tmp_path / "run").meta.provenance.trained_on.groups)


def test_the_same_pixels_are_the_same_patient(tmp_path: Path) -> None:
    cohort, other = _discs(tmp_path / "a"), _discs(tmp_path / "b")
    for one in (cohort, other):
        table = one.slices.assign(pixels_sha256=[f"digest-{number}" for number in range(len(one))])
        table.to_csv(one.path / "slices.csv", index=False)
    with pytest.raises(LeakError, match="same pixels"):
        DetectorPlan(Cohort(cohort.path), TrainConfig.resolve(flags={"model": "unet-25d", "extra": [other.path]}))


def test_validation_without_tumour_chooses_nothing(tmp_path: Path) -> None:
    images, masks = blobs(24, size=32)
    masks[20:] = 0
    splits = ["train"] * 20 + ["validation"] * 4
    cohort = write_cohort(tmp_path / "cohort", images, masks=masks, splits=splits, mask_names={"1": "tumour"})
    learner = {"levels": 2, "width": 4, "batch": 8}
    progress = _train(cohort, tmp_path / "run", model="unet-25d", images=160, snapshots=4, segmenter=learner)
    meta = open_model(tmp_path / "run").meta.content()
    assert progress.best_images == 160, "the last snapshot is as good as any"
    assert meta["threshold"] == [0.5]


def test_a_broken_training_is_no_model(tmp_path: Path) -> None:
    cohort = _discs(tmp_path / "cohort")
    learner = {"levels": 2, "width": 4, "batch": 8, "rate": 1e30}
    told: list[str] = []

    def hear(progress: Progress, share: float, recent: dict[str, float]) -> None:
        told.extend(progress.events)

    with pytest.raises(ConfigError, match="learning rate"):
        _train(cohort, tmp_path / "run", model="unet-25d", images=800, snapshots=1, segmenter=learner, report=hear)
    assert any("NaN" in text for text in told)
    assert not (tmp_path / "run" / "model.safetensors").is_file()


def test_a_batch_mixes_by_ratio(tmp_path: Path) -> None:
    cohort, other = _discs(tmp_path / "a"), _discs(tmp_path / "b", size=32)
    for ratio, counts in ((0.5, [8, 8]), (0.25, [12, 4]), (0.99, [1, 15])):
        flags = {"model": "unet-25d", "extra": [other.path], "segmenter": {"with_ratio": ratio, "levels": 3}}
        plan = DetectorPlan(cohort, TrainConfig.resolve(flags=flags))
        assert plan.task(ONE, lambda network, images: (0.0, {}, torch.zeros(0))).counts == counts


def test_rare_classes_are_weighed_as_batches_show_them(tmp_path: Path) -> None:
    """What --with brings counts: healthy slices that come from elsewhere are rare no more."""
    images, _ = blobs(20, size=32)
    cohort = write_cohort(tmp_path / "own", images, ["ill"] * 18 + ["well"] * 2, groups=["p"] * 20)
    other = write_cohort(tmp_path / "other", images, ["well"] * 20, groups=["q"] * 20)
    flags: dict[str, Any] = {"model": "cnn"}
    alone = DetectorPlan(cohort, TrainConfig.resolve(flags=flags)).class_weights()
    np.testing.assert_allclose(alone, [0.5 / 0.9, 0.5 / 0.1], rtol=1e-6)
    flags |= {"extra": [other.path], "classifier": {"with_ratio": 0.5}}
    both = DetectorPlan(cohort, TrainConfig.resolve(flags=flags)).class_weights()
    np.testing.assert_allclose(both, [0.5 / 0.45, 0.5 / 0.55], rtol=1e-6)


def test_small_slices_are_not_cut_into_large_blocks(tmp_path: Path) -> None:
    """At 32 px, blocks of 4 would leave 8 pixels a side; what is used is written down."""
    plan = DetectorPlan(_discs(tmp_path / "cohort"), TrainConfig.resolve(flags={"model": "unet-25d"}))
    assert plan.config.segmenter.stem == 1
    assert [SegmenterNetwork(stem=0).fitted(size).stem for size in (32, 64, 128, 256)] == [1, 1, 2, 4]
    assert SegmenterNetwork(stem=2).fitted(256).stem == 2


def test_fewer_patients(tmp_path: Path) -> None:
    cohort = _discs(tmp_path / "cohort")
    plan = DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "unet-25d", "patients": 3}))
    assert len(plan.sources[0].members) == 3
    other = DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "unet-25d", "patients": 3, "seed": 1}))
    assert set(plan.sources[0].rows) != set(other.sources[0].rows)


def test_begin_with_another_model(tmp_path: Path) -> None:
    """Weights of two modalities on a cohort of one of them: the first layer keeps what belongs to that one."""
    images = np.repeat(blobs(20, size=32)[0][:, None], 2, axis=1)
    both = write_cohort(
        tmp_path / "both", images, masks=blobs(20, size=32)[1], mask_names={"1": "tumour"}, modalities=["t1", "flair"]
    )
    learner = {"levels": 2, "width": 4, "batch": 8}
    _train(both, tmp_path / "run", model="unet-25d", images=64, snapshots=1, segmenter=learner)
    one = _discs(tmp_path / "one")
    plan = DetectorPlan(one, TrainConfig.resolve(flags={"model": "unet-25d", "init": str(tmp_path / "run")}))
    begun, origin = plan.network("cpu").state_dict(), load_tensors(tmp_path / "run" / "model.safetensors")
    first = origin.weights("segmenter")["entry.weight"].view(4, 3, 2, 1, 3, 3)
    assert torch.equal(begun["entry.weight"].view(4, 3, 1, 1, 3, 3)[:, :, 0], first[:, :, 1])
    assert torch.equal(begun["head.weight"], origin.weights("segmenter")["head.weight"])
    with pytest.raises(ConfigError, match="unet-25d"):
        DetectorPlan(one, TrainConfig.resolve(flags={"model": "resunet", "init": str(tmp_path / "run")}))


def test_begin_with_a_gans_networks(tmp_path: Path) -> None:
    cohort = _discs(tmp_path / "cohort")
    train_toy(cohort, tmp_path / "gan", model="dcgan", images=64, snapshots=1)
    gan = load_tensors(tmp_path / "gan" / "model.safetensors")
    read, drawn = gan.weights("discriminator"), gan.weights("generator")
    for model in ("critic-unet", "gan-unet"):
        plan = DetectorPlan(cohort, TrainConfig.resolve(flags={"model": model, "init": str(tmp_path / "gan")}))
        begun = plan.network("cpu").state_dict()
        assert torch.equal(begun["critic.layers.0.weight"], read["layers.0.weight"])
    layers = [name for name in begun if name.startswith("up.")]
    assert sum(name.endswith("weight") for name in layers) == 5  # at 32 px: 3 normalisations, 2 transposed convolutions
    assert all(torch.equal(begun[name], drawn[name.replace("up", "layers")]) for name in layers)
    with pytest.raises(ConfigError, match="critic-"):
        DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "unet-25d", "init": str(tmp_path / "gan")}))
    train_toy(cohort, tmp_path / "pieces", model="dcgan", images=64, snapshots=1, gan={"critic_patches": True})
    with pytest.raises(ConfigError, match="networks fit"):
        DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "critic-unet", "init": str(tmp_path / "pieces")}))


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    images, masks = blobs(6, size=32)
    unmasked = write_cohort(tmp_path / "unmasked", images)
    with pytest.raises(InputError, match="classifier"):
        DetectorPlan(unmasked, TrainConfig.resolve(flags={"model": "unet-25d"}))
    with pytest.raises(InputError, match="two classes"):
        DetectorPlan(unmasked, TrainConfig.resolve(flags={"model": "cnn"}))
    cohort = write_cohort(tmp_path / "test-only", images, masks=masks, splits=["test"] * 6, mask_names={"1": "tumour"})
    with pytest.raises(InputError, match="training slices with a mask"):
        DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "unet-25d"}))
    zscored = write_cohort(
        tmp_path / "z", images, masks=masks, mask_names={"1": "tumour"}, provenance={"config": {"normalise": "zscore"}}
    )
    with pytest.raises(ConfigError, match="robust"):
        DetectorPlan(zscored, TrainConfig.resolve(flags={"model": "unet-25d"}))
    with pytest.raises(ConfigError, match="--init"):
        DetectorPlan(cohort, TrainConfig.resolve(flags={"model": "critic-probe"}))
    with pytest.raises(ConfigError, match="generators"):
        TrainConfig.resolve(flags={"model": "unet-25d", "with_masks": True})
    with pytest.raises(ConfigError, match="its settings are in segmenter"):
        TrainConfig.resolve(flags={"model": "unet-25d"}, assignments=["gan.width=8"])
