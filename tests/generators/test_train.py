from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.provenance import file_digest
from synthoma.generators import train as generators
from synthoma.generators.search import search_settings
from synthoma.generators.watchdog import JudgedImages
from synthoma.settings import TrainConfig
from synthoma.training.bundle import load_tensors
from synthoma.training.checkpoint import FOLDER
from synthoma.training.loop import Progress
from synthoma.training.runs import begin_run, continue_run
from tests.forking import FORKING
from tests.toys import blobs, halves, train_toy, write_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """40 squares with masks, two of them classes, a third of the patients held out."""
    images, masks = blobs(40)
    images[20:] *= 0.8
    return write_cohort(
        tmp_path_factory.mktemp("labelled") / "cohort",
        images,
        ["high"] * 20 + ["low"] * 20,
        masks,
        mask_names={"1": "tumour"},
        groups=[f"patient-{i // 2}" for i in range(40)],
        splits=["validation" if i % 20 in (0, 1, 2, 3, 4, 5) else "train" for i in range(40)],
    )


# --- exactness --------------------------------------------------------------------------------------------------

EXACT: dict[str, dict[str, Any]] = {
    "dropout, masks, classes": {"model": "dcgan-seed", "with_masks": True, "conditional": True, "gan": {"batch": 4}},
    "clipped critic, past": {"model": "wgan", "gan": {"critic_steps": 2, "historical_averaging": 0.01}},
    "autoencoder against generator": {"model": "began", "with_masks": True, "conditional": True},
    "adversarial codes": {"model": "aae", "with_masks": True, "conditional": True},
    "density of codes": {"model": "dae", "with_masks": True, "conditional": True},
    "flow": {"model": "flow", "with_masks": True, "conditional": True, "gan": {"flow_steps": 2}},
    "augmentation": {"model": "dcgan", "with_masks": True, "gan": {"augment": ["translation", "brightness"]}},
    "adaptive augmentation, cosine, rare penalties": {
        "model": "dcgan",
        "gan": {
            "network": "residual",
            "loss": "relativistic",
            "r1": 1.0,
            "r2": 1.0,
            "r1_every": 2,
            "penalty_start_images": 64,
            "schedule": "cosine",
            "augment": ["translation", "brightness"],
            "augment_target": 0.2,
            "augment_ramp": 100,
        },
    },
}


def begin_and_kill(cohort: Cohort, run: Path, settings: dict[str, Any]) -> None:
    """Start a training in another process and kill it some time after its first checkpoint."""
    child = FORKING.Process(target=_train, args=(cohort.path, run, settings))
    child.start()
    while child.is_alive() and not list((run / FOLDER).glob("step-*.safetensors")):
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.6))
    child.kill()
    child.join()
    assert list((run / FOLDER).glob("step-*.safetensors")), f"the training ended with {child.exitcode}"


def _train(cohort: Path, run: Path, settings: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    train_toy(Cohort(cohort), run, **settings)


@pytest.mark.parametrize("name", EXACT)
def test_a_run_killed_at_any_moment_resumes_to_the_same_bytes(labelled: Cohort, tmp_path: Path, name: str) -> None:
    settings = {"images": 96, "snapshots": 4, "seed": 5, "judged": 16, **EXACT[name]}
    train_toy(labelled, tmp_path / "whole", **settings)
    begin_and_kill(labelled, tmp_path / "killed", settings)
    train_toy(labelled, tmp_path / "killed", resume=True, **settings)
    digests = [file_digest(tmp_path / run / "model.safetensors") for run in ("whole", "killed")]
    assert digests[0] == digests[1]
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("whole", "killed")]
    scored = [[entry for entry in map(json.loads, log) if "score" in entry] for log in logs]
    for entry in scored[0] + scored[1]:
        entry.pop("seconds", None)  # how long it took is no function of the seed
    assert scored[0] == scored[1]
    assert len(scored[0]) == len({entry["step"] for entry in scored[0]}) == 4
    if "augment_target" in settings.get("gan", {}):
        assert any(entry.get("augment_probability", 0) > 0 for entry in map(json.loads, logs[0]))
    for picture in ("progress.png", "samples/images-000000096.png"):
        assert file_digest(tmp_path / "whole" / picture) == file_digest(tmp_path / "killed" / picture)


def test_another_seed_gives_other_weights(labelled: Cohort, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_toy(labelled, tmp_path / name, images=24, snapshots=1, seed=seed)
        digests.append(load_tensors(tmp_path / name / "model.safetensors").weights("generator")["stem.weight"])
    assert (digests[0] == digests[1]).all()
    assert not (digests[0] == digests[2]).all()


def test_a_resumed_run_computes_as_it_was_begun(labelled: Cohort, tmp_path: Path) -> None:
    from tests.toys import ONE

    train_toy(labelled, tmp_path / "run", images=16, snapshots=1)
    begun = (tmp_path / "run" / "execution.json").read_text()
    other = type(ONE)("cpu", 2, channels_last=True, bf16=False)
    train_toy(labelled, tmp_path / "run", images=32, snapshots=1, resume=True, execution=other)
    assert (tmp_path / "run" / "execution.json").read_text() == begun


# --- what a model says of itself --------------------------------------------------------------------------------


def test_the_model_names_what_it_learned_from(labelled: Cohort, tmp_path: Path) -> None:
    train_toy(labelled, tmp_path / "run", images=16, snapshots=1, with_masks=True, classes=("low",))
    meta = load_tensors(tmp_path / "run" / "model.safetensors").meta.content()
    table = labelled.slices
    chosen = table[(table["split"] == "train") & (table["label"] == "low")]
    assert meta["provenance"]["trained_on"] == {
        "slices": len(chosen),
        "classes": ["low"],
        "groups": sorted(set(chosen["group"])),
    }
    assert meta["classes"] == ["low"]
    assert meta["labels"] == {"1": "tumour"}
    assert meta["shape"] == {"size": 16, "channels": 1, "labels": 1, "classes": 0}
    assert meta["images"] == 16
    assert str(tmp_path) not in json.dumps(meta)


def test_a_conditional_model_knows_the_classes_that_it_saw(tmp_path: Path) -> None:
    images, _ = halves(30)
    splits = ["train"] * 20 + ["validation"] * 10
    cohort = write_cohort(
        tmp_path / "cohort", images, ["a", "c"] * 10 + ["b"] * 10, splits=splits, classes=["a", "b", "c"]
    )
    train_toy(cohort, tmp_path / "run", images=16, snapshots=1, conditional=True)
    meta = load_tensors(tmp_path / "run" / "model.safetensors").meta.content()
    assert meta["classes"] == ["a", "c"]
    assert meta["shape"]["classes"] == 2


# --- cohorts that cannot be learned from ------------------------------------------------------------------------


def config(**settings: Any) -> dict[str, Any]:
    return {"images": 16, "snapshots": 1, **settings}


def test_no_training_slices(tmp_path: Path) -> None:
    images, labels = halves(4)
    cohort = write_cohort(tmp_path / "cohort", images, labels, splits=["test"] * 4)
    with pytest.raises(InputError, match=r"training slices with all modalities; came none of 4 \(splits: test\)"):
        train_toy(cohort, tmp_path / "run", **config())


def test_constant_images(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", np.full((5, 16, 16), 0.4))
    with pytest.raises(InputError, match="constant"):
        train_toy(cohort, tmp_path / "run", **config())


def test_one_number_that_is_none_is_found_wherever_it_stands(tmp_path: Path) -> None:
    images, labels = halves(200)
    images[117, 3, 4] = np.nan
    with pytest.raises(InputError, match="nan or infinity in row 117"):
        train_toy(write_cohort(tmp_path / "cohort", images, labels), tmp_path / "run", images=8)


def test_masks_missing(tmp_path: Path) -> None:
    images, labels = halves(4)
    cohort = write_cohort(tmp_path / "cohort", images, labels)
    with pytest.raises(InputError, match="a cohort with masks; came one without"):
        train_toy(cohort, tmp_path / "run", **config(with_masks=True))
    cohort = write_cohort(tmp_path / "half", images, labels, mask_names={"1": "tumour"})
    with pytest.raises(InputError, match="all modalities and a mask; came none of 4"):
        train_toy(cohort, tmp_path / "run", **config(with_masks=True))


def test_one_class_to_be_conditional_on(labelled: Cohort, tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", halves(4)[0])
    with pytest.raises(InputError, match="two classes or more; came training slices of tumour only"):
        train_toy(cohort, tmp_path / "run", **config(conditional=True))
    with pytest.raises(InputError, match="came training slices of low only"):
        train_toy(labelled, tmp_path / "run", **config(conditional=True, classes=("low",)))


def test_a_class_that_is_not_there(labelled: Cohort, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"classes of the cohort \(high, low\); came middle"):
        train_toy(labelled, tmp_path / "run", **config(classes=("low", "middle")))


def test_grey_values_on_another_scale(tmp_path: Path) -> None:
    images, labels = halves(4)
    zscored = write_cohort(tmp_path / "z", images, labels, provenance={"config": {"normalise": "zscore"}})
    with pytest.raises(ConfigError, match="came one normalised by zscore; prepare it with --normalise robust"):
        train_toy(zscored, tmp_path / "run", **config())
    images[2, 3, 3] = np.nan
    with pytest.raises(InputError, match="grey values that are numbers; came nan"):
        train_toy(write_cohort(tmp_path / "nan", images, labels), tmp_path / "run", **config())


def test_snapshots_are_judged_against_slices_like_those_that_are_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dim slices have no masks, and those of another class are not learned from: neither is looked at."""
    images = np.where(np.arange(40) % 2, 0.9, 0.1)[:, None, None] * np.linspace(0.5, 1, 16) * np.ones((16, 1))
    splits = ["train"] * 10 + ["validation"] * 30
    labels = ["tumour"] * 30 + ["other"] * 10
    cohort = write_cohort(
        tmp_path / "cohort", images, labels, np.ones(images.shape, np.uint8), splits=splits, mask_names={"1": "tumour"}
    )
    table = cohort.slices.assign(has_mask=np.arange(40) % 2 == 1)
    table.to_csv(cohort.path / "slices.csv", index=False)
    seen: list[np.ndarray] = []
    judge = generators.validation_judge

    def watched(known: JudgedImages, held: JudgedImages, **options: bool) -> object:
        seen.append(held.images)
        return judge(known, held, **options)

    monkeypatch.setattr(generators, "validation_judge", watched)
    train_toy(Cohort(cohort.path), tmp_path / "run", **config(with_masks=True))
    assert len(seen[0]) == 10
    assert seen[0].max(axis=(1, 2)).min() > 0.8


@pytest.mark.parametrize(("model", "size"), [("dcgan", 24), ("dcgan-seed", 18), ("phantom-gan", 18)])
def test_a_size_that_the_model_cannot_draw(tmp_path: Path, model: str, size: int) -> None:
    images, labels = halves(4, size=size)
    cohort = write_cohort(tmp_path / "cohort", images, labels)
    with pytest.raises(ConfigError, match=f"came {size}"):
        train_toy(cohort, tmp_path / "run", **config(model=model))


# --- cohorts that are nearly too small ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_images_of_one_patient_are_learned_from(tmp_path: Path, count: int) -> None:
    images, _ = halves(count)
    cohort = write_cohort(tmp_path / "cohort", images, groups=["one"] * count)
    progress = train_toy(cohort, tmp_path / "run", images=48, snapshots=3)
    assert progress.images == 48
    meta = load_tensors(tmp_path / "run" / "model.safetensors").meta.content()
    assert meta["provenance"]["trained_on"]["groups"] == ["one"]


def test_several_modalities_and_slices_that_lack_one(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    cohort = write_cohort(tmp_path / "cohort", draws.random((12, 3, 16, 16)))
    text = (tmp_path / "cohort" / "slices.csv").read_text().splitlines()
    text[1] = text[1].replace("False,,", "False,t1,")
    (tmp_path / "cohort" / "slices.csv").write_text("\n".join(text) + "\n")
    cohort = Cohort(tmp_path / "cohort")
    assert cohort.slices["missing"].iloc[0] == "t1"
    train_toy(cohort, tmp_path / "run", **config())
    assert load_tensors(tmp_path / "run" / "model.safetensors").meta.provenance.trained_on.slices == 11


# --- the folder of a run -----------------------------------------------------------------------------------------


def test_a_run_is_never_overwritten_by_accident(labelled: Cohort, tmp_path: Path) -> None:
    run = tmp_path / "run"
    begun = begin_run(run, labelled, TrainConfig(), force=False)
    assert (begun.minutes, begun.images) == (10, None)
    with pytest.raises(InputError, match="--resume"):
        begin_run(run, labelled, TrainConfig(), force=False)
    begin_run(run, labelled, TrainConfig(images=5), force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="other files"):
        begin_run(tmp_path / "mine", labelled, TrainConfig(), force=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_run_goes_on_with_its_own_settings_and_cohort(labelled: Cohort, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a run to resume"):
        continue_run(tmp_path / "run", labelled, TrainConfig())
    begin_run(tmp_path / "run", labelled, TrainConfig(images=50, seed=9), force=False)
    assert continue_run(tmp_path / "run", labelled, TrainConfig()) == TrainConfig(images=50, seed=9)
    assert continue_run(tmp_path / "run", labelled, TrainConfig(minutes=2, seed=1)) == TrainConfig(minutes=2, seed=9)
    images, labels = halves(4)
    other = write_cohort(tmp_path / "other", images, labels)
    with pytest.raises(InputError, match="begun on; came another one"):
        continue_run(tmp_path / "run", other, TrainConfig())


def test_a_run_goes_on_with_the_simulated_slices_that_it_was_begun_with(labelled: Cohort, tmp_path: Path) -> None:
    images, labels = halves(4)
    phantom = write_cohort(tmp_path / "phantom", images, labels)
    config = TrainConfig(model="phantom-gan", phantom=phantom.path, images=5)
    begin_run(tmp_path / "run", labelled, config, force=False)
    assert continue_run(tmp_path / "run", labelled, TrainConfig()).phantom == phantom.path
    shutil.rmtree(phantom.path)
    write_cohort(phantom.path, *halves(6))
    with pytest.raises(InputError, match="phantom, which has changed"):
        continue_run(tmp_path / "run", labelled, TrainConfig())


def test_a_run_is_not_replaced_by_one_that_begins_with_it(labelled: Cohort, tmp_path: Path) -> None:
    train_toy(labelled, tmp_path / "run", images=8, snapshots=1)
    (tmp_path / "run" / "run.json").write_text("{}")
    model = file_digest(tmp_path / "run" / "model.safetensors")
    shutil.copytree(labelled.path, tmp_path / "run" / "phantom")
    for settings, why in (
        ({"init": str(tmp_path / "run")}, "which is what is read"),
        ({"init": str(tmp_path / "run" / "model.safetensors")}, "in which .*model.safetensors lies"),
        ({"model": "phantom-gan", "phantom": tmp_path / "run" / "phantom"}, "in which .*phantom lies"),
    ):
        with pytest.raises(InputError, match=why):
            begin_run(tmp_path / "run", labelled, TrainConfig(images=5, **settings), force=True)
    assert file_digest(tmp_path / "run" / "model.safetensors") == model


def test_a_run_goes_on_with_the_model_that_it_was_begun_with(labelled: Cohort, tmp_path: Path) -> None:
    train_toy(labelled, tmp_path / "first", images=8, snapshots=1)
    begin_run(tmp_path / "run", labelled, TrainConfig(images=5, init=str(tmp_path / "first")), force=False)
    continue_run(tmp_path / "run", labelled, TrainConfig())
    train_toy(labelled, tmp_path / "first", images=16, snapshots=1)
    for _ in range(2):
        with pytest.raises(InputError, match="first, which has changed or is gone"):
            continue_run(tmp_path / "run", labelled, TrainConfig())
        shutil.rmtree(tmp_path / "first", ignore_errors=True)


# --- search ------------------------------------------------------------------------------------------------------


def test_search_ranks_its_trials() -> None:
    pytest.importorskip("optuna")
    tried: list[TrainConfig] = []

    def train(changed: TrainConfig, number: int) -> float:
        assert number == len(tried)
        tried.append(changed)
        return abs(changed.gan.generator_rate - 2e-4) * 1e4 + len(changed.gan.augment)

    start = TrainConfig(model="wgan-gp", images=100, seed=3)
    ranked = search_settings(start, 12, train)
    assert [row["score"] for row in ranked] == sorted(row["score"] for row in ranked)
    assert sorted(row["trial"] for row in ranked) == list(range(12))
    for row in ranked:
        gan = tried[row["trial"]].gan
        assert (gan.generator_rate, gan.critic_rate, gan.batch) == (
            row["generator_rate"],
            row["critic_rate"],
            row["batch"],
        )
        assert "+".join(gan.augment) == row["augment"]
        assert gan.gradient_penalty == 10
    again = search_settings(start, 12, lambda changed, number: ranked[0]["score"])
    assert next(row for row in again if row["trial"] == 0)["batch"] == tried[0].gan.batch


def test_search_trains_real_runs(labelled: Cohort, tmp_path: Path) -> None:
    pytest.importorskip("optuna")

    def train(changed: TrainConfig, number: int) -> float:
        progress: Progress = train_toy(
            labelled, tmp_path / str(number), images=32, snapshots=1, gan=changed.gan.model_dump() | {"width": 8}
        )
        return progress.best

    ranked = search_settings(TrainConfig(images=32), 2, train)
    assert len(ranked) == 2
    assert all(np.isfinite(row["score"]) for row in ranked)
