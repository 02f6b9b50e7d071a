"""Class imbalance: 35 slices with tumour in 10,000. Which remedy finds most of them at 95 % specificity?

python benchmarks/imbalance.py                   simulated patients, and LGG where there: hours on one core
python benchmarks/imbalance.py phantom --small   a setting of some minutes, without the GAN

Training slices with tumour are thinned until they are 35 in 10,000; held-out patients keep all of theirs. All arms
train one network for the same number of steps. From "oversampling" on, half of each batch shows tumour: the few real
slices again, changed as in classic augmentation, or half of them painted, generated or simulated ones. Whatever is made
is made from the thinned training slices alone. Intervals are over seeds of network and batches (one thinning): they do
not say how another choice of slices would do.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import synthoma
from record import data_folder, save
from synthoma.cohorts.cohort import Cohort, write_rows
from synthoma.core.seeding import stream, stream_key
from synthoma.core.types import Ints
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.learning import AugmentConfig
from synthoma.detectors.settings import ClassifierConfig
from synthoma.detectors.slices import Labelled, LabelledSlices
from synthoma.detectors.task import SupervisedTask
from synthoma.detectors.training import DetectorTraining
from synthoma.detectors.validation import outputs
from synthoma.metrics.classification import ranking_scores
from synthoma.metrics.intervals import SHARE, score_interval
from synthoma.training.device import Execution

RATE = 35 / 10_000
CLASSES = ("healthy", "tumour")
EXECUTION = Execution("cpu", 1, channels_last=True, bf16=False)


@dataclass(frozen=True)
class Setting:
    """How much is done.

    Attributes:
        patients: simulated ones, half of them healthy.
        steps: batches of each training.
        seeds: trainings of each arm.
        drawn: images that the GAN learns from; 0 leaves it out.
        size: of slices.
    """

    patients: int = 400
    steps: int = 2000
    seeds: int = 5
    drawn: int = 200_000
    size: int = 64


SMALL = Setting(patients=60, steps=100, seeds=3, drawn=0)


@dataclass(frozen=True)
class Arm:
    """What is learned from.

    Attributes:
        sources: slices; each batch takes half of its slices from those after the first.
        weighted: whether the loss weighs classes by their rarity.
        augment: whether slices are changed.
    """

    sources: tuple[tuple[Cohort, Ints], ...]
    weighted: bool = False
    augment: bool = True


def thinned(cohort: Cohort, folder: Path) -> Cohort:
    """The cohort with so few training slices with tumour."""
    table = cohort.slices
    ill = (table["tumour_pixels"] > 0).to_numpy()
    training = (table["split"] == "train").to_numpy()
    healthy = np.flatnonzero(training & ~ill)
    few = max(2, round(RATE / (1 - RATE) * len(healthy)))
    chosen = stream(0, "benchmark.thinned").permutation(np.flatnonzero(training & ill))[:few]
    folder.mkdir()
    write_rows(cohort, folder, np.sort(np.concatenate([healthy, chosen, np.flatnonzero(~training)])))
    return Cohort(folder)


def tumours(cohort: Cohort, *, training: bool = False) -> Ints:
    """Rows with tumour."""
    keep = (cohort.slices["tumour_pixels"] > 0).to_numpy()
    return np.flatnonzero(keep & (cohort.slices["split"] == "train").to_numpy() if training else keep)


def arms_of(few: Cohort, place: Path, setting: Setting) -> dict[str, Arm]:
    """All remedies, and none."""
    own = (few, np.flatnonzero((few.slices["split"] == "train").to_numpy()))
    again = (few, tumours(few, training=True))
    painted = synthoma.paint(few, place / "painted", shown="changed", copies=2)
    simulated = synthoma.prepare_phantom(
        max(12, setting.patients // 4), place / "simulated", size=setting.size, modalities=few.modalities,
        merge="whole-tumour", seed=99, phantom={"slice_mm": 6.0},
    )  # fmt: skip
    made = {"painted tumours": painted, "simulated patients": simulated}
    if setting.drawn:
        run = synthoma.train(few, place / "gan", model="dcgan", conditional=True, with_masks=True, images=setting.drawn)
        made["generated slices"] = synthoma.generate(run, place / "drawn", 300, label="tumour")
    return {
        "nothing": Arm((own,), augment=False),
        "class weights": Arm((own,), weighted=True, augment=False),
        "oversampling": Arm((own, again), augment=False),
        "classic augmentation": Arm((own, again)),
        **{
            name: Arm((own, again, (other, tumours(other) if name != "generated slices" else np.arange(len(other)))))
            for name, other in made.items()
        },
    }


def asked(arm: Arm, few: Cohort, seed: int, steps: int) -> dict[str, float]:
    """Scores of one training on the held-out slices."""
    config = DetectorTraining.of_model("cnn")[1]
    assert isinstance(config, ClassifierConfig)
    changes: dict[str, Any] = {"context": 1, "width": 16, "draw": "slices", "tumour_share": None}
    if not arm.augment:
        changes["augment"] = AugmentConfig(**dict.fromkeys(AugmentConfig.model_fields, 0.0))
    config = config.model_copy(update=changes)
    torch.manual_seed(stream_key(seed, "benchmark.weights") % 2**63)
    network = build_classifier(config, few.size, len(few.modalities), 2)
    sources = [LabelledSlices(cohort, rows, few.modalities, (), (1, 4.0), CLASSES) for cohort, rows in arm.sources]
    table = few.slices
    rare = RATE if arm.weighted else 0.5

    def criterion(logits: Tensor, batch: Labelled) -> Tensor:
        weight = torch.tensor([0.5 / (1 - rare), 0.5 / rare]).to(logits)
        return F.cross_entropy(logits, batch.classes, weight)

    task = SupervisedTask(
        config, stream_key(seed, "benchmark.batches") % 2**31, network, sources, len(few.modalities), EXECUTION,
        criterion, lambda *_: (float("nan"), {}, torch.zeros(0)),
    )  # fmt: skip
    for step in range(steps):
        task.step(step, step / steps)
    rows = np.flatnonzero((table["split"] != "train").to_numpy())
    with torch.no_grad():
        said = outputs(task.average.eval(), sources[0], rows, EXECUTION)
    truth = (table["tumour_pixels"].to_numpy()[rows] > 0).astype(np.int64)
    return ranking_scores(truth, torch.softmax(said, dim=1)[:, 1].double().numpy())


def measured(name: str, setting: Setting) -> dict[str, Any]:
    """The table of one set."""
    place = Path(tempfile.mkdtemp())
    if name == "phantom":
        whole = synthoma.prepare_phantom(
            setting.patients, place / "whole", size=setting.size, modalities=("t1", "flair"), merge="whole-tumour",
            seed=7, phantom={"slice_mm": 6.0, "healthy": 0.5},
        )  # fmt: skip
    else:
        whole = synthoma.prepare(data_folder() / "lgg/kaggle_3m", place / "whole", size=setting.size, jobs=1)
    few = thinned(whole, place / "few")
    arms = arms_of(few, place, setting)
    held = few.slices[few.slices["split"] != "train"]
    result: dict[str, Any] = {
        "training_slices": len(few) - len(held), "with_tumour": len(tumours(few, training=True)),
        "held_out_patients": int(held["group"].nunique()), "held_out_slices": len(held),
        "held_out_with_tumour": int((held["tumour_pixels"] > 0).sum()), "steps": setting.steps, "seeds": setting.seeds,
        "arms": {},
    }  # fmt: skip
    for title, arm in arms.items():
        found = [asked(arm, few, seed, setting.steps) for seed in range(setting.seeds)]
        result["arms"][title] = {
            "made": len(arm.sources[2][1]) if len(arm.sources) > 2 else 0,
            **{score: interval([one[score] for one in found]) for score in found[0]},
        }
        print(name, title, result["arms"][title], flush=True)
    return result


def interval(values: list[float]) -> dict[str, Any]:
    """Mean over seeds with its 95 % interval, and the seeds themselves."""
    found = score_interval(np.array(values), limits=SHARE)
    return {
        "mean": round(found.value, 3), "low": round(found.low, 3), "high": round(found.high, 3),
        "by_seed": [round(value, 3) for value in values],
    }  # fmt: skip


def main() -> None:
    """Measure the sets that are asked for."""
    words = sys.argv[1:]
    setting = SMALL if "--small" in words else Setting()
    names = [word for word in words if not word.startswith("-")] or ["phantom", "lgg"]
    results = {name: measured(name, setting) for name in names}
    save("imbalance_small" if setting == SMALL else "imbalance", results)


if __name__ == "__main__":
    main()
