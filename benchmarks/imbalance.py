"""Class imbalance: 35 slices with tumour in 10,000. Which remedy finds most of them at 95 % specificity?

    python benchmarks/imbalance.py phantom lgg --keep DIR      simulated patients and LGG (real scans), by fold
    python benchmarks/imbalance.py phantom --small --keep DIR  a setting of some minutes, without the GAN
    python benchmarks/imbalance.py lgg --inner --keep DIR      what chooses a recipe: nobody of the fold that is asked

Training slices with tumour are thinned until they are 35 in 10,000; held-out patients keep all of theirs. Each patient
is held out once. All arms train one network for the same number of steps. From "oversampling" on, half of each batch
shows tumour: the few real slices again, or half of them painted, generated or simulated ones, shown as they are but for
the arms that say otherwise. Whatever is made is made from the thinned training slices alone. "all real tumour slices"
learns from those that thinning took away too: more than a remedy can be asked for. "the segmenter inside the package"
learns nothing: it knows simulated patients alone, with their masks.

Which few slices are left is drawn several times. A unit is one fold with one such draw, its score the mean over seeds
of network and batches, which are others in each draw; intervals and differences are over units. Units of one fold ask
the same patients, and those of two folds share training patients, so that intervals are somewhat too narrow. Finished
trainings in DIR are kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import synthoma
from record import data_folder, earlier, save
from segmentation import FOLDS, linked
from synthoma.cohorts.cohort import Cohort, write_rows
from synthoma.core.outputs import new_folder
from synthoma.core.seeding import stream, stream_key
from synthoma.core.types import Ints
from synthoma.core.whole_files import write_json
from synthoma.detection.detector import Detector
from synthoma.detectors.classifiers.networks import build_classifier
from synthoma.detectors.learning import AugmentConfig
from synthoma.detectors.settings import ClassifierConfig
from synthoma.detectors.slices import Labelled, LabelledSlices
from synthoma.detectors.task import SupervisedTask
from synthoma.detectors.training import DetectorTraining
from synthoma.detectors.validation import outputs
from synthoma.metrics.classification import ranking_scores
from synthoma.metrics.intervals import SHARE, paired_difference, score_interval
from synthoma.painting.stacks import stacks_of
from synthoma.training.bundle import shipped_model
from synthoma.training.device import Execution

RATE = 35 / 10_000
CLASSES = ("healthy", "tumour")
EXECUTION = Execution("cpu", 1, channels_last=True, bf16=False)
SCORES, USUAL = ("sensitivity_at_95_specificity", "roc_auc", "pr_auc"), "class weights"
PACKAGE = "the segmenter inside the package"
COPIES = 1
"""Painted versions of each scan."""
WIDTH, LEARNING_RATE = 8, 5e-3
"""Of all arms. The rate, the number of steps and whether made slices are augmented were chosen by inner patients."""


Units = dict[str, dict[str, float]]
"""Scores by name of the unit."""


@dataclass(frozen=True)
class Setting:
    """How much is done.

    Attributes:
        patients: simulated ones where they are asked, half of them healthy.
        beside: simulated ones that are learned from beside real ones.
        steps: batches of each training.
        thinnings: draws of the slices with tumour that are left.
        seeds: trainings of each arm and draw.
        drawn: images that the GAN learns from; 0 leaves it out.
        size: of slices.
    """

    patients: int = 400
    beside: int = 40
    steps: int = 200
    thinnings: int = 3
    seeds: int = 1
    drawn: int = 12_800
    size: int = 64


SMALL = Setting(patients=60, beside=15, steps=100, thinnings=1, seeds=3, drawn=0)


@dataclass(frozen=True)
class Arm:
    """What is learned from.

    Attributes:
        sources: slices; each batch takes half of its slices from those after the first. None: nothing is learned.
        weighted: whether the loss weighs classes by their rarity.
        augment: whether slices are changed.
    """

    sources: tuple[tuple[Cohort, Ints], ...]
    weighted: bool = False
    augment: bool = True


@dataclass(frozen=True)
class Unit:
    """One fold with one draw of the few slices with tumour.

    Attributes:
        few: the fold's training slices, thinned, and the slices that are asked.
        whole: the same before it was thinned.
        healthy: the fold's training slices without tumour, the same for all draws.
        simulated: patients who are learned from in one arm.
        place: what is made for it.
        seed: of the first training.
    """

    few: Cohort
    whole: Cohort
    healthy: Cohort
    simulated: Path
    place: Path
    seed: int


def tumours(cohort: Cohort, *, training: bool = False) -> Ints:
    """Rows with tumour."""
    keep = (cohort.slices["tumour_pixels"] > 0).to_numpy()
    return np.flatnonzero(keep & (cohort.slices["split"] == "train").to_numpy() if training else keep)


def folded(cohort: Cohort, fold: int, folder: Path, *, inner: bool) -> Cohort:
    """The cohort with one fold to be asked; of ``inner`` nobody looks at that fold, and the next one is asked."""
    # Never one folder for both: what chose with inner patients would be found again where others are to be asked.
    folder = folder.with_name(f"{folder.name}-inner") if inner else folder
    if folder.is_dir():
        return Cohort(folder)
    of, test = cohort.slices["fold"], (fold + 1) % FOLDS if inner else fold
    others = np.where(of == fold, "validation", "train")
    return linked(cohort, folder, cohort.slices.assign(split=np.where(of == test, "test", others)))


def thinned(cohort: Cohort, number: int | None, folder: Path) -> Cohort:
    """The cohort with so few training slices with tumour, of draw ``number``; None: training slices without alone."""
    if folder.is_dir():
        return Cohort(folder)
    table = cohort.slices
    ill = (table["tumour_pixels"] > 0).to_numpy()
    training = (table["split"] == "train").to_numpy()
    healthy = np.flatnonzero(training & ~ill)
    rows = healthy
    if number is not None:
        few = max(2, round(RATE / (1 - RATE) * len(healthy)))
        chosen = stream(0, "benchmark.thinned", number).permutation(np.flatnonzero(training & ill))[:few]
        rows = np.sort(np.concatenate([healthy, chosen, held_out(cohort)]))
    with new_folder(folder) as place:
        write_rows(cohort, place, rows.tolist())
    return Cohort(folder)


def made(unit: Unit, name: str, setting: Setting) -> tuple[Cohort, Ints]:
    """Slices with tumour of one kind, made from the thinned training slices where they are made from any."""
    place = unit.place / name
    if name == "painted":
        # Of two slices painters learn nothing, so that one painting serves all draws of the few.
        place = unit.healthy.path.with_name(f"{unit.healthy.path.name}-painted")
        if not place.is_dir():
            synthoma.paint(unit.healthy, place, shown="changed", copies=COPIES)
    if name == "generated" and not place.is_dir():
        settings: dict[str, Any] = {"model": "dcgan", "conditional": True, "with_masks": True}
        run = synthoma.train(unit.few, unit.place / "gan", images=setting.drawn, force=True, **settings)
        synthoma.generate(run, place, 300, label="tumour")
    cohort = Cohort(unit.simulated if name == "simulated" else place)
    return cohort, np.arange(len(cohort)) if name == "generated" else tumours(cohort)


def arms_of(unit: Unit, setting: Setting) -> dict[str, Callable[[], Arm]]:
    """All remedies, and none; each is made when it is asked for."""
    own = (unit.few, np.flatnonzero((unit.few.slices["split"] == "train").to_numpy()))
    again = (unit.few, tumours(unit.few, training=True))

    def beside(name: str, *, augment: bool = False) -> Arm:
        return Arm((own, again, made(unit, name, setting)), augment=augment)

    real = (unit.whole, tumours(unit.whole, training=True))

    return {
        "nothing": lambda: Arm((own,), augment=False),
        USUAL: lambda: Arm((own,), weighted=True, augment=False),
        "oversampling": lambda: Arm((own, again), augment=False),
        "classic augmentation": lambda: Arm((own, again)),
        "painted tumours": partial(beside, "painted"),
        "painted tumours, augmented": partial(beside, "painted", augment=True),
        "generated slices": partial(beside, "generated"),
        "simulated patients": partial(beside, "simulated"),
        PACKAGE: lambda: Arm(()),
        "all real tumour slices": lambda: Arm((own, again, real), augment=False),
    }


def asked(arm: Arm, few: Cohort, seed: int, steps: int) -> list[float]:
    """Chance of tumour that one training gives to each held-out slice."""
    config = DetectorTraining.of_model("cnn")[1]
    assert isinstance(config, ClassifierConfig)
    changes: dict[str, Any] = {"context": 1, "width": WIDTH, "rate": LEARNING_RATE, "tumour_share": None}
    if not arm.augment:
        changes["augment"] = AugmentConfig(**dict.fromkeys(AugmentConfig.model_fields, 0.0))
    config = config.model_copy(update=changes)
    torch.manual_seed(stream_key(seed, "benchmark.weights") % 2**63)
    network = build_classifier(config, few.size, len(few.modalities), 2)
    # Slices evenly: of patients evenly, one with few slices left would show its tumour more often than 35 in 10,000.
    sources = [
        LabelledSlices(cohort, rows, few.modalities, (), (1, 4.0), CLASSES, by_patient=False)
        for cohort, rows in arm.sources
    ]
    rare = RATE if arm.weighted else 0.5

    def criterion(logits: Tensor, batch: Labelled) -> Tensor:
        weight = torch.tensor([0.5 / (1 - rare), 0.5 / rare]).to(logits)
        # Over the batch and not over its weights: a batch without tumour would count as much as one with.
        return F.cross_entropy(logits, batch.classes, weight, reduction="none").mean()

    task = SupervisedTask(
        config, stream_key(seed, "benchmark.batches") % 2**31, network, sources, len(few.modalities), EXECUTION,
        criterion, lambda *_: (float("nan"), {}, torch.zeros(0)),
    )  # fmt: skip
    for step in range(steps):
        task.step(step, step / steps)
    with torch.no_grad():
        said = outputs(task.average.eval(), sources[0], held_out(few), EXECUTION)
    return [round(float(chance), 6) for chance in torch.softmax(said.double(), dim=1)[:, 1]]


def by_package(cohort: Cohort) -> list[float]:
    """Largest chance of a pixel in each held-out slice, by the segmenter inside the package, which learned nothing."""
    detector = Detector.open(shipped_model())
    found = np.zeros(len(cohort))
    for stack in stacks_of(cohort, ("test",)):
        images = torch.from_numpy(np.asarray(cohort.images[stack.rows], np.float32))
        seen = torch.zeros(len(images), len(detector.modalities), *images.shape[2:])
        for at, name in enumerate(detector.modalities):
            if name in cohort.modalities:
                seen[:, at] = images[:, cohort.modalities.index(name)]
        pixels = F.interpolate(seen, size=detector.shape.size, mode="bilinear")
        found[stack.rows] = detector.probabilities(pixels.numpy())[:, 0].max(axis=(1, 2))
    return [round(float(chance), 6) for chance in found[held_out(cohort)]]


def held_out(cohort: Cohort) -> Ints:
    """Rows that are asked."""
    return np.flatnonzero((cohort.slices["split"] == "test").to_numpy())


def units_of(name: str, setting: Setting, keep: Path, folds: list[int], *, inner: bool) -> Iterator[Unit]:
    """All folds with all draws of one set."""
    usual: dict[str, Any] = {"size": setting.size, "merge": "whole-tumour"}
    place = keep / name
    if name == "phantom":
        usual |= {"modalities": ("t1", "flair"), "phantom": {"slice_mm": 6.0}}
        if not place.is_dir():
            own = {**usual, "phantom": {"slice_mm": 6.0, "healthy": 0.5}}
            synthoma.prepare_phantom(setting.patients, place, seed=7, folds=FOLDS, **own)
    elif not place.is_dir():
        synthoma.prepare(data_folder() / "lgg/kaggle_3m", place, folds=FOLDS, jobs=1, **usual)
    whole, simulated = Cohort(place), keep / f"{name}-simulated"
    if not simulated.is_dir():
        told = {**usual, "modalities": whole.modalities, "phantom": {"slice_mm": 6.0}}
        synthoma.prepare_phantom(setting.beside, simulated, seed=99, **told)
    # Draws before folds: after each of them every patient was asked once.
    for number in range(setting.thinnings):
        for fold in folds:
            part = folded(whole, fold, keep / f"{name}-fold{fold}", inner=inner)
            few = thinned(part, number, part.path.with_name(f"{part.path.name}-few{number}"))
            healthy = thinned(part, None, part.path.with_name(f"{part.path.name}-healthy"))
            made_for_it = few.path.with_name(f"{few.path.name}-made")
            yield Unit(few, part, healthy, simulated, made_for_it, seed=100 * number)


def scores_of(
    unit: Unit, title: str, arm_of: Callable[[], Arm], setting: Setting, truth: Ints, *, train: bool
) -> tuple[dict[str, float], int] | None:
    """Scores of an arm, the mean over seeds, and how many slices were made; None where it is not there, nor to be."""
    scores, shown = [], 0
    for seed in range(unit.seed, unit.seed + setting.seeds):
        kept = unit.place / f"{title.replace(' ', '-')}-{setting.steps}-{seed}.json"
        if not kept.is_file():
            if not train:
                return None
            arm = arm_of()
            chances = asked(arm, unit.few, seed, setting.steps) if arm.sources else by_package(unit.few)
            shown = len(arm.sources[2][1]) if len(arm.sources) > 2 else 0
            write_json(kept, {"made": shown, "chances": chances})
        told = json.loads(kept.read_text(encoding="utf-8"))
        shown = told["made"]
        scores.append(ranking_scores(truth, np.array(told["chances"])))
    return {score: float(np.mean([each[score] for each in scores])) for score in SCORES}, shown


def measured(name: str, setting: Setting, told: argparse.Namespace) -> dict[str, Any]:
    """The table of one set."""
    found: dict[str, Units] = {}
    sizes: dict[str, list[int]] = {}
    counts: dict[str, Any] = {"training_slices": [], "with_tumour": [], "held_out_slices": [], "with_tumour_asked": []}
    folds = told.folds
    for unit in units_of(name, setting, told.keep, folds, inner=told.inner):
        unit.place.mkdir(exist_ok=True)
        table = unit.few.slices.iloc[held_out(unit.few)]
        truth = (table["tumour_pixels"].to_numpy() > 0).astype(np.int64)
        of_unit = (len(unit.few) - len(table), len(tumours(unit.few, training=True)), len(table), int(truth.sum()))
        for title, count in zip(counts, of_unit, strict=True):
            counts[title].append(count)
        for title, arm_of in arms_of(unit, setting).items():
            # What learns nothing says the same of every draw.
            if (told.arms and title not in told.arms) or (title == PACKAGE and unit.seed):
                continue
            if title == "generated slices" and not setting.drawn:
                continue
            one = scores_of(unit, title, arm_of, setting, truth, train=not told.summary)
            if one is not None:
                found.setdefault(title, {})[unit.few.path.name] = one[0]
                sizes.setdefault(title, []).append(one[1])
                print(unit.place.name, title, {k: round(v, 3) for k, v in one[0].items()}, flush=True)
    return {
        "folds": len(folds), "thinnings": setting.thinnings, "seeds": setting.seeds, "steps": setting.steps, **counts,
        "arms": {
            title: {
                "units": len(units), "made": round(float(np.mean(sizes[title]))),
                **{score: interval([unit[score] for unit in units.values()]) for score in SCORES},
                **({} if title == USUAL or USUAL not in found else {f"minus {USUAL}": gain(units, found[USUAL])}),
            }
            for title, units in found.items()
        },
    }  # fmt: skip


def interval(values: list[float]) -> dict[str, Any]:
    """Mean over units with its 95 % interval, and the units themselves."""
    found = score_interval(np.array(values), limits=SHARE)
    return {
        "mean": round(found.value, 3), "low": round(found.low, 3), "high": round(found.high, 3),
        "by_unit": [round(value, 3) for value in values],
    }  # fmt: skip


def gain(ours: Units, theirs: Units) -> dict[str, dict[str, float]]:
    """How much more, paired by the units that both learned from."""
    both = [name for name in ours if name in theirs]
    gains = {}
    for score in SCORES[:2]:
        found = paired_difference(*([units[name][score] for name in both] for units in (ours, theirs)), limits=SHARE)
        gains[score] = {name: round(getattr(found, name), 3) for name in ("value", "low", "high", "p")}
    return gains


def main() -> None:
    """Measure the sets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=["phantom", "lgg"])
    parser.add_argument("--small", action="store_true", help="some minutes, without the GAN")
    parser.add_argument("--inner", action="store_true", help="ask inner patients; nothing is stored with the results")
    parser.add_argument("--summary", action="store_true", help="combine what is there, train nothing")
    parser.add_argument("--arms", nargs="+", metavar="ARM")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    for name in ("steps", "thinnings", "seeds", "drawn"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--keep", type=Path, required=True, help="folder for cohorts and trainings")
    told = parser.parse_args()
    numbers = {name: getattr(told, name) for name in ("steps", "thinnings", "seeds", "drawn")}
    setting = SMALL if told.small else Setting()
    setting = Setting(**{**setting.__dict__, **{name: value for name, value in numbers.items() if value is not None}})
    told.keep.mkdir(parents=True, exist_ok=True)
    file = "imbalance_small" if told.small else "imbalance"
    results = {name: measured(name, setting, told) for name in told.sets}
    if told.inner:
        print(json.dumps(results, indent=1))
    else:
        save(file, {**earlier(file), **results})


if __name__ == "__main__":
    main()
