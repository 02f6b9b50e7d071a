from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.provenance import file_digest
from synthoma.generators.judge import judge_images, judge_slices
from synthoma.generators.planes import split_planes, without_specks
from synthoma.generators.sampling import (
    BLOCK,
    Sampler,
    generate_cohort,
    interpolate,
)
from synthoma.generators.shape import ImageShape
from synthoma.training.bundle import open_model, save_tensors
from tests.toys import blobs, halves, train_toy, write_cohort

pytestmark = pytest.mark.slow

LABELS = {"1": "core", "5": "other"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained a little: ``joint`` draws masks (1 and 5), ``conditional`` knows two classes, ``plain`` none."""
    place = tmp_path_factory.mktemp("runs")
    images, masks = blobs(60)
    masks[:, :, 8:] *= 5
    names = ["healthy", "tumour"] * 30
    joint = write_cohort(
        place / "squares", images, names, masks, mask_names=LABELS, groups=[f"patient-{i // 3}" for i in range(60)]
    )
    fast = {"ema_images": 50, "generator_rate": 2e-3}
    train_toy(joint, place / "joint", images=240, snapshots=1, with_masks=True, gan=fast)
    images, names = halves(60)
    two = write_cohort(place / "halves", images, names)
    train_toy(two, place / "conditional", images=80, snapshots=1, conditional=True, gan=fast)
    train_toy(two, place / "plain", images=800, snapshots=1, gan={**fast, "critic_rate": 1e-3})
    return place


def draw(sampler: Sampler, folder: Path, count: int, **settings: object) -> Cohort:
    folder.mkdir(parents=True)
    return generate_cohort(sampler, folder, count, **settings)


def rows_of(folder: Path) -> list[str]:
    return (folder / "slices.csv").read_text().splitlines()[1:]


@pytest.mark.parametrize("parts", [3, 7])
def test_shards_together_are_the_single_run(runs: Path, tmp_path: Path, parts: int) -> None:
    sampler = Sampler.open(runs / "joint")
    whole = draw(sampler, tmp_path / "whole", 150, seed=4)
    shards = [draw(sampler, tmp_path / str(part), 150, seed=4, shard=(part, parts)) for part in range(1, parts + 1)]
    assert sum(len(shard) for shard in shards) == 150
    for name in ("images", "masks"):
        together = b"".join(np.asarray(getattr(shard, name)).tobytes() for shard in shards)
        assert together == np.asarray(getattr(whole, name)).tobytes()
    assert [row for shard in shards for row in rows_of(shard.path)] == rows_of(whole.path)


def test_an_image_does_not_depend_on_how_many_are_drawn(runs: Path, tmp_path: Path) -> None:
    sampler = Sampler.open(runs / "joint")
    many, few = draw(sampler, tmp_path / "many", BLOCK + 9, seed=1), draw(sampler, tmp_path / "few", BLOCK + 2, seed=1)
    assert np.array_equal(many.images[: BLOCK + 2], few.images)


def test_the_same_seed_gives_the_same_bytes_and_another_others(runs: Path, tmp_path: Path) -> None:
    cohorts = [draw(Sampler.open(runs / "joint"), tmp_path / str(i), 20, seed=seed) for i, seed in enumerate((5, 5, 6))]
    for name in ("images.npy", "masks.npy", "slices.csv", "cohort.json"):
        digests = [file_digest(cohort.path / name) for cohort in cohorts]
        assert digests[0] == digests[1]
        assert digests[0] != digests[2] or name == "slices.csv"
    assert not (cohorts[0].images[:] == cohorts[2].images[:]).all(axis=(1, 2, 3)).any()


def test_the_number_of_threads_changes_nothing(runs: Path, tmp_path: Path) -> None:
    sampler = Sampler.open(runs / "joint")
    one = draw(sampler, tmp_path / "one", 40)
    torch.set_num_threads(2)
    two = draw(sampler, tmp_path / "two", 40)
    assert file_digest(one.path / "images.npy") == file_digest(two.path / "images.npy")


def test_classes_on_request_and_in_turn(runs: Path, tmp_path: Path) -> None:
    sampler = Sampler.open(runs / "conditional")
    turns, only = draw(sampler, tmp_path / "turns", 10), draw(sampler, tmp_path / "only", 10, label="right")
    assert turns.slices["label"].tolist() == ["left", "right"] * 5
    assert only.slices["label"].tolist() == ["right"] * 10
    assert np.array_equal(turns.images[1::2], only.images[1::2])
    assert not np.array_equal(turns.images[::2], only.images[::2])
    assert turns.classes == only.classes == ("left", "right")
    with pytest.raises(ConfigError, match=r"class of the model \(left, right\); came 'up'"):
        draw(sampler, tmp_path / "up", 10, label="up")


def test_a_generator_that_was_not_told_the_classes_gives_none(runs: Path, tmp_path: Path) -> None:
    sampler = Sampler.open(runs / "plain")
    cohort = draw(sampler, tmp_path / "drawn", 6)
    assert cohort.slices["label"].tolist() == ["unlabelled"] * 6
    assert cohort.classes == ("unlabelled",)
    with pytest.raises(ConfigError, match="train with --conditional"):
        draw(sampler, tmp_path / "right", 6, label="right")


def test_a_class_that_means_the_mask_agrees_with_it(runs: Path, tmp_path: Path) -> None:
    cohort = draw(Sampler.open(runs / "joint"), tmp_path / "drawn", 100)
    area = (cohort.masks[:] > 0).sum(axis=(1, 2))
    assert cohort.slices["label"].tolist() == ["tumour" if pixels else "healthy" for pixels in area]
    assert cohort.slices["tumour_pixels"].tolist() == area.tolist()


def test_mask_values_are_the_labels_values(runs: Path, tmp_path: Path) -> None:
    cohort = draw(Sampler.open(runs / "joint"), tmp_path / "drawn", 100)
    assert cohort.labels == {1: "core", 5: "other"}
    assert set(np.unique(cohort.masks)) == {0, 1, 5}
    assert cohort.images[:].min() >= 0
    assert cohort.images[:].max() <= 1


def test_truncation_takes_variety(runs: Path, tmp_path: Path) -> None:
    sampler = Sampler.open(runs / "plain")
    spread = [
        float(np.asarray(draw(sampler, tmp_path / str(factor), 64, truncation=factor).images, np.float32).std(0).mean())
        for factor in (0.01, 0.4, 1.0)
    ]
    assert spread == sorted(spread)
    assert spread[0] < 0.1 * spread[2]


@pytest.mark.parametrize(
    "settings", [{"count": 0}, {"truncation": 0.0}, {"truncation": 1.1}, {"shard": (0, 2)}, {"shard": (3, 2)}]
)
def test_numbers_out_of_range_are_refused(runs: Path, tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="truncation"):
        draw(Sampler.open(runs / "plain"), tmp_path / "none", **{"count": 4, **settings})


def test_the_cohort_says_where_it_came_from(runs: Path, tmp_path: Path) -> None:
    cohort = draw(Sampler.open(runs / "joint"), tmp_path / "drawn", 10, seed=3, shard=(1, 2))
    provenance = cohort.meta.provenance.content()
    assert cohort.origin == "synthetic"
    assert provenance["model_sha256"] == file_digest(runs / "joint" / "model.safetensors")
    assert provenance["trained_on"]["groups"] == sorted({f"patient-{i}" for i in range(20)})
    assert provenance["training_cohort"]["images_sha256"] == file_digest(runs / "squares" / "images.npy")
    assert (provenance["seed"], provenance["count"], provenance["shard"]) == (3, 10, [1, 2])
    assert cohort.slices["group"].is_unique
    assert set(cohort.slices["split"]) == {"train"}
    assert isinstance(cohort.slices, pd.DataFrame)


# --- masks by hand -----------------------------------------------------------------------------------------------


def test_specks_are_removed_by_hand() -> None:
    mask = np.zeros((100, 100), np.uint8)  # a speck is below 5 pixels here
    mask[10:12, 10:12] = 1  # 4 pixels
    mask[20, 20:25] = 2  # 5 pixels
    mask[30:32, 30] = 1  # with the next line one region of 5 pixels of two labels
    mask[32:35, 30] = 3
    mask[50, 50] = mask[51, 51] = 1  # touching at a corner only
    cleaned = without_specks(mask)
    expected = mask.copy()
    expected[10:12, 10:12] = 0
    expected[50, 50] = expected[51, 51] = 0
    assert np.array_equal(cleaned, expected)
    assert cleaned.dtype == np.uint8
    assert not without_specks(np.zeros((8, 8), np.uint8)).any()


def test_planes_become_images_and_masks_by_hand() -> None:
    planes = np.full((1, 3, 4, 4), -1.0, np.float32)
    planes[0, 0, 0] = [-1.0, 0.0, 0.5, 1.0]
    planes[0, 1, 1:3] = 0.2
    planes[0, 2, 2] = 0.9
    images, masks = split_planes(planes, ImageShape(4, 1, labels=2), (2, 7))
    assert images[0, 0, 0].tolist() == [0, 0.5, 0.75, 1]
    assert masks[0].tolist() == [[0] * 4, [2] * 4, [7] * 4, [0] * 4]
    images, masks = split_planes(planes[:, :1], ImageShape(4, 1), ())
    assert not masks.any()


# --- between two images --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["plain", "conditional"])
def test_a_way_begins_and_ends_at_its_images(runs: Path, run: str) -> None:
    sampler = Sampler.open(runs / run)
    strips = interpolate(sampler, seed=2, steps=5, rows=2)
    assert [len(strip) for strip in strips] == [5, 5]
    for row, strip in enumerate(strips):
        ends = sampler.draw(sampler.latents.numbered(2, range(2 * row, 2 * row + 2)), torch.full((2,), row))
        assert np.allclose(strip[0], ends[0], atol=1e-5)
        assert np.allclose(strip[-1], ends[1], atol=1e-5)
        assert not np.allclose(strip[2], ends[0], atol=1e-3)


# --- the discriminator's opinion -----------------------------------------------------------------------------------


def test_training_images_seem_more_real_than_noise(runs: Path) -> None:
    real = np.asarray(Cohort(runs / "halves").images, np.float32)
    noise = np.random.default_rng(0).random(real.shape).astype(np.float32)
    scores, kind = judge_images(runs / "plain", real)
    noisy, _ = judge_images(runs / "plain", noise)
    assert kind == "probability"
    assert scores.shape == (60,)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores.mean() > noisy.mean() + 0.05


def test_an_image_is_judged_alone(runs: Path) -> None:
    real = np.asarray(Cohort(runs / "halves").images, np.float32)
    together, _ = judge_images(runs / "plain", real)
    assert judge_images(runs / "plain", real[7:8])[0] == pytest.approx(together[7:8], abs=1e-5)


def test_images_of_no_class_get_the_score_of_the_class_that_suits_them(runs: Path) -> None:
    real = np.asarray(Cohort(runs / "halves").images, np.float32)
    each = [judge_images(runs / "conditional", real, torch.full((60,), number))[0] for number in (0, 1)]
    assert np.allclose(judge_images(runs / "conditional", real)[0], np.maximum(*each))
    assert not np.allclose(*each)


def test_pieces_that_seem_real_make_an_image_seem_so(runs: Path, tmp_path: Path) -> None:
    two = Cohort(runs / "halves")
    train_toy(two, tmp_path / "pieces", images=800, snapshots=1, gan={"critic_patches": True, "critic_rate": 1e-3})
    real = np.asarray(two.images, np.float32)
    scores, kind = judge_images(tmp_path / "pieces", real)
    noisy, _ = judge_images(tmp_path / "pieces", np.random.default_rng(0).random(real.shape).astype(np.float32))
    assert kind == "probability"
    assert scores.shape == (60,)
    assert scores.mean() > noisy.mean() + 0.05
    assert np.allclose(judge_slices(tmp_path / "pieces", two, np.arange(60)), scores, atol=1e-5)


def test_images_that_cannot_be_judged_are_refused(runs: Path) -> None:
    with pytest.raises(InputError, match=r"images of shape \(1, 16, 16\)"):
        judge_images(runs / "plain", np.zeros((2, 1, 32, 32), np.float32))
    with pytest.raises(InputError, match="without --with-masks"):
        judge_images(runs / "joint", np.zeros((2, 1, 16, 16), np.float32))


# --- what is no generator ------------------------------------------------------------------------------------------


def test_what_is_no_generator_is_refused(runs: Path, tmp_path: Path) -> None:
    assert open_model(runs / "plain" / "model.safetensors", "generator").meta.model == "dcgan"
    with pytest.raises(InputError, match="give a run of a generator"):
        open_model(tmp_path, "generator")
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(InputError, match="--resume"):
        open_model(tmp_path, "generator")
    with pytest.raises(InputError, match="came a checkpoint"):
        open_model(next((runs / "plain" / "checkpoint").iterdir()), "generator")
    save_tensors(
        tmp_path / "other.safetensors", {"x": torch.zeros(1)}, {"schema": "synthoma.model/1", "kind": "segmenter"}
    )
    with pytest.raises(InputError, match="came a segmenter"):
        open_model(tmp_path / "other.safetensors", "generator")
