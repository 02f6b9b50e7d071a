"""The quality ladder: every generator for the same minutes on the same cohort, several seeds, judged alike.

    python benchmarks/generators.py --minutes 5 15 --seeds 0 1 2 [--models dcgan auto]
        [--cohort COHORT] [--classes tumour] [--patients 10] [--preset standard] [--keep DIR]
    python benchmarks/generators.py --images 10000 --seeds 0 1 2 --models auto auto-without-patches --name ablations

Minutes are what a user has; images say the same on every machine. With --images all phantom-gans repaint the same
simulated patients, so that parts of it can be compared by themselves.

Without --cohort, FLAIR slices of the LGG patients are prepared at 64 px. Generators learn from slices of one class,
those that show a tumour unless said otherwise (--classes yes, for pictures that lie in folders called so).
Beside the models stand what real scans score against each other ("real vs real"), simulated slices that nothing has
repainted, and two kinds of copies that must fail privacy: the training slices themselves, which say how near to the
held-out patients a generator that has learned all of them would come, and the same slightly changed.

What is finished lies in --keep and is not done again. There are also curves (score against minutes and images) and a
sheet of every model's first images; sheets show what was learned from patients, and are yours to keep private.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

import synthoma
from charts import learning_curves
from record import data_folder, earlier, hardware, save
from synthoma.cohorts.cohort import Cohort, CohortWriter, write_rows
from synthoma.core.outputs import new_folder
from synthoma.core.pictures import grey, tiled
from synthoma.core.seeding import stream
from synthoma.core.whole_files import write_json
from synthoma.evaluation.comparison import compare
from synthoma.evaluation.realistic.agreement import agreement, ask_judge
from synthoma.evaluation.settings import EvaluateConfig
from synthoma.evaluation.useful.material import prepared
from synthoma.generators.phantomgan.material import simulation_settings
from synthoma.generators.phantomgan.simulated import simulated_class
from synthoma.generators.plan import training_rows
from synthoma.generators.recipes import generators
from synthoma.phantom import Look, phantom_beside
from synthoma.settings import TrainConfig
from synthoma.training.bundle import SHIPPED
from synthoma.training.settings import AUTO

SAMPLES = 1000
SHOWN = 16
FAMILIES = ("wavelet", "random", "radiomics")
SIMULATED = 60
"""Simulated patients, where all phantom-gans share them."""

CHANGES: dict[str, dict[str, Any]] = {
    "without-shares": {"match": False},
    "without-structure": {"structure": 0.0},
    "without-contrast": {"contrast": 0.0},
    "without-patches": {"critic_patches": False, "critic_norm": "none"},
    "without-penalty": {"r1": 0.0},
    "without-average": {"ema_images": 0.0},
    "without-styles": {"latent": 1},
    "without-start": {},
    "with-start": {},
}
"""Changes to what auto plans for phantom-gan: --models auto-without-shares."""

UNBEGUN = ("without-start", "without-styles", "without-patches")
"""Changes with which phantom-gan cannot begin as shipped, or is not meant to."""


def copies(real: Cohort, folder: Path, count: int, classes: tuple[str, ...], *, altered: bool) -> None:
    """A "synthetic" cohort of training slices; altered, mirrored at random, shifted by up to 2 pixels, with 1 % noise.

    Unaltered ones come as often as one another, altered ones as they are drawn.
    """
    rows = real.rows(split="train")
    rows = rows[real.slices["label"].iloc[rows].isin(classes).to_numpy()]
    rng = stream(0, "benchmark.copies")
    with new_folder(folder) as place, CohortWriter(place, channels=len(real.modalities), size=real.size) as writer:
        for number in range(count):
            row = int(rng.choice(rows)) if altered else int(rows[number % len(rows)])
            image, mask, shift = real.images[row].astype(np.float32), np.asarray(real.masks[row]), (0, 0)
            if altered:
                if rng.random() < 0.5:
                    image, mask = image[..., ::-1], mask[..., ::-1]
                shift = tuple(int(step) for step in rng.integers(-2, 3, 2))
                image = np.roll(image, shift, (1, 2)) + rng.normal(0, 0.01, image.shape)
            label = str(real.slices["label"].iat[row])
            record = {"case": f"copy-{number}", "group": f"copy-{number}", "split": "train", "label": label}
            record |= {"has_mask": bool(real.labels), "missing": "", "slice": 0}
            writer.add(image[None], np.roll(mask, shift, (0, 1))[None], [record])
        meta = real.meta.model_copy(update={"origin": "synthetic"})
        writer.finish(pd.DataFrame(writer.records), meta)


def few_patients(real: Cohort, folder: Path, count: int) -> None:
    """The cohort with ``count`` of its training patients only; held-out ones stay."""
    table = real.slices
    names = sorted(set(table["group"][table["split"] == "train"]))
    kept = set(stream(0, "benchmark.patients").permutation(names)[:count])
    rows = np.flatnonzero(((table["split"] != "train") | table["group"].isin(kept)).to_numpy())
    with new_folder(folder) as place:
        write_rows(real, place, rows.tolist(), left_out=len(table) - len(rows))


def simulated(cohort: Path, folder: Path, classes: tuple[str, ...]) -> Path:
    """Patients simulated beside the cohort, as a phantom-gan does it for itself."""
    if not folder.exists():
        real = Cohort(cohort)
        rows = training_rows(real, TrainConfig(classes=classes))
        look = Look(real.modalities, real.meta.labels, real.size, real.meta.plane)
        config = phantom_beside(look, real.meta.provenance.config, **simulation_settings(real, rows))
        synthoma.prepare_phantom(SIMULATED, folder, config=config.model_copy(update={"seed": 100}))
    return folder


def plain_slices(real: Cohort, phantom: Cohort, folder: Path, count: int, classes: tuple[str, ...]) -> None:
    """Simulated slices as they are, evenly chosen, as a "synthetic" cohort of the first of these classes."""
    kinds = {simulated_class(name) for name in classes}
    rows = np.flatnonzero(phantom.slices["label"].isin(kinds).to_numpy())
    rows = np.sort(stream(0, "benchmark.simulated").permutation(rows)[:count])
    table = phantom.slices.iloc[rows].assign(label=classes[0], split="train", has_mask=bool(real.labels))
    with new_folder(folder) as place, CohortWriter(place, channels=len(real.modalities), size=real.size) as writer:
        writer.add(phantom.images[rows], phantom.masks[rows], [{}] * len(rows))
        meta = real.meta.model_copy(update={"origin": "synthetic"})
        writer.finish(table, meta)


def judged(cohort: Path, synthetic: Path, place: Path, preset: str) -> dict[str, Any]:
    """Evaluation of a synthetic cohort, with the agreement of its masks."""
    if (place / "evaluation.json").is_file():
        result: dict[str, Any] = json.loads((place / "evaluation.json").read_text(encoding="utf-8"))
    else:
        cells = place.parent / "cells"
        result = synthoma.evaluate(cohort, synthetic, place, preset=preset, force=True, cells=cells).content()
    real, made = Cohort(cohort), Cohort(synthetic)
    if not result["agreement"] and real.labels and made.labels:
        config = EvaluateConfig(preset="standard")
        comparison = compare(real, made, limit=config.limit, seed=config.seed)
        material, test = prepared(real, made, config, seen=None, phantom=None)
        judge = ask_judge(
            comparison,
            material.real,
            test,
            material.synthetic,
            config,
            place.parent / "cells",
            lambda done, total: None,
        )
        found = agreement(judge, comparison)
        result["agreement"] = {} if found is None else found.content()
        write_json(place / "evaluation.json", result)
    return result


def figures(result: dict[str, Any], *, null: bool = False) -> dict[str, Any]:
    """What a line of the table says of one evaluation; of its real-vs-real null where asked."""
    families = result["fidelity"]["families"]

    def of(family: str, score: str) -> float | None:
        entry = families[family][score]
        value = entry["null_median"] if null else entry["value"]
        return None if value is None else float(value)

    found: dict[str, Any] = {}
    for family in FAMILIES:
        sw2 = families[family]["sliced_wasserstein"]
        found[f"sw2_{family}"] = 1.0 if null else sw2["ratio"]
        found[f"kid_{family}"] = of(family, "kid")
        for score in ("precision", "recall", "coverage"):
            found[f"{score}_{family}"] = of(family, score)
    told = result["fidelity"]["told_apart"]["linear"]
    found["auc"] = told["null_median"] if null else told["value"]
    if result["agreement"]:
        found["dice"] = result["agreement"]["real" if null else "synthetic"]["value"]
    if not null:
        tumours = result.get("tumours") or {}
        found |= {f"tumour_{name}": entry["ratio"] for name, entry in tumours.items()}
        private = next(light for light in result["lights"] if light["question"] == "private")
        found["private"] = {"state": private["state"], "figure": private["figure"]}
    return found


def name_of(model: str, budget: dict[str, float], seed: int, preset: str, settings: dict[str, Any]) -> str:
    """What the files of a run are called."""
    others = ("-masks" if "with_masks" in settings else "") + (f"-{preset}" if preset != "quick" else "")
    spent = f"{budget['minutes']:g}min" if "minutes" in budget else f"{budget['images']}images"
    return f"{model}-{spent}-seed{seed}{others}"


def train_and_judge(
    place: Path, cohort: Path, model: str, budget: dict[str, float], seed: int, preset: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """Train one model, draw 1,000 images, evaluate them; what is done already is read."""
    name = name_of(model, budget, seed, preset, settings)
    file = place / f"{name}.json"
    if file.is_file():
        done: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return done
    seen = 0

    def count(progress: Any, share: float, recent: dict[str, float]) -> None:
        nonlocal seen
        seen = progress.images

    start = time.perf_counter()
    run = place / name
    base, _, change = model.partition("-") if model.startswith(f"{AUTO}-") else (model, "", "")
    shared: dict[str, Path] = {}
    if "images" in budget and base == AUTO:
        shared["phantom"] = simulated(cohort, place / "simulated", settings["classes"])
        settings = {**settings, **shared}
    asked = TrainConfig.model_validate({"model": base, "seed": seed, **budget, **settings})
    config = synthoma.planned(cohort, asked)
    if change:
        begins = None if change in UNBEGUN else SHIPPED if change == "with-start" else config.init
        config = config.model_copy(update={"gan": config.gan.model_copy(update=CHANGES[change]), "init": begins})
    synthoma.train(cohort, run, config=config, report=count, force=True)
    taken = time.perf_counter() - start
    synthoma.generate(run, place / f"{name}-images", SAMPLES, seed=seed, force=True, **shared)
    result = judged(cohort, place / f"{name}-images", place / f"{name}-evaluation", preset)
    row = {
        "model": model,
        "budget": f"{budget['minutes']:g} min" if "minutes" in budget else f"{budget['images']:,} images",
        "seed": seed,
        "images": seen,
        "seconds": round(taken, 1),
        "processor": hardware()["processor"],
        **figures(result),
        "curve": curve(run),
    }
    if result.get("utility"):
        row["verdict"] = result["verdict"]["word"]
    write_json(file, row)
    return row


def curve(run: Path) -> list[dict[str, float]]:
    """Score at every snapshot: {"images", "seconds", "score"}."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    wanted = ("images", "seconds", "score")
    return [{name: line[name] for name in wanted} for line in lines if line.get("score") is not None]


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line a model and budget: the median over seeds, and the range where there are several."""
    lines = []
    for key in dict.fromkeys((row["budget"], row["model"]) for row in rows):
        same = [row for row in rows if (row["budget"], row["model"]) == key]
        line: dict[str, Any] = {"model": key[1], "budget": key[0], "seeds": len(same)}
        line["images_per_second"] = median(row["images"] / row["seconds"] for row in same)
        scores = ("sw2", "kid", "precision", "recall", "coverage", "tumour")
        names = [name for name in same[0] if name.startswith(scores)]
        for name in [*names, "auc", "dice"]:
            values = [row[name] for row in same if row.get(name) is not None]
            if values:
                line[name] = {"median": median(values), "low": min(values), "high": max(values)}
        line["private"] = [row["private"] for row in same]
        line["processors"] = sorted({row["processor"] for row in same})
        lines.append(line)
    return lines


def contact_sheet(cohorts: dict[str, Path], path: Path, classes: list[str]) -> None:
    """Images of each cohort, a row each, in the order given."""
    lines = []
    for folder in cohorts.values():
        cohort = Cohort(folder)
        rows = np.flatnonzero(cohort.slices["label"].isin(classes).to_numpy())
        chosen = rows[np.linspace(0, len(rows) - 1, SHOWN).astype(int)]
        pictures = [grey(np.asarray(cohort.images[row, 0], np.float32)) for row in chosen]
        lines.append(tiled([np.repeat(picture[..., None], 3, axis=2) for picture in pictures], SHOWN))
    Image.fromarray(tiled(lines, 1)).save(path)
    print("sheet, from above:", ", ".join(cohorts))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    spent = options.add_mutually_exclusive_group()
    spent.add_argument("--minutes", nargs="+", type=float, default=[5.0])
    spent.add_argument("--images", nargs="+", type=int, help="in place of minutes")
    options.add_argument("--cohort", type=Path)
    options.add_argument("--classes", nargs="+", default=["tumour"], metavar="CLASS")
    options.add_argument(
        "--models",
        nargs="+",
        default=list(generators()),
        choices=[*generators(), *(f"{AUTO}-{change}" for change in CHANGES)],
        metavar="MODEL",
    )
    options.add_argument("--seeds", nargs="+", type=int, default=[0])
    options.add_argument("--patients", type=int, help="learn from so many patients only")
    options.add_argument("--with-masks", action="store_true", help="draw masks with the images, where a model can")
    options.add_argument("--preset", default="quick", choices=["quick", "standard", "full"])
    options.add_argument("--keep", type=Path, help="folder for runs and pages; else they are thrown away")
    options.add_argument("--name", default="generators", help="of the file in benchmarks/results")
    options.add_argument("--note", default="", help="what else should be known of the machine")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        cohort = given.cohort or place / "lgg"
        if not cohort.exists():
            prepare: dict[str, Any] = {"modalities": ("flair",), "size": 64}
            synthoma.prepare(data_folder() / "lgg", cohort, **prepare)
        if given.patients is not None:
            full, place = cohort, place / f"{given.patients}-patients"
            cohort = place / "cohort"
            if not cohort.exists():
                few_patients(Cohort(full), cohort, given.patients)
        controls: dict[str, dict[str, Any]] = {}
        for name in ("copies", "training"):
            if not (place / name).exists():
                copies(Cohort(cohort), place / name, SAMPLES, tuple(given.classes), altered=name == "copies")
            controls[name] = judged(cohort, place / name, place / f"{name}-evaluation", "quick")
        if not (place / "plain").exists():
            source = Cohort(simulated(cohort, place / "simulated", tuple(given.classes)))
            plain_slices(Cohort(cohort), source, place / "plain", SAMPLES, tuple(given.classes))
        controls["simulated"] = judged(cohort, place / "plain", place / "plain-evaluation", "quick")
        settings = {"classes": tuple(given.classes)} | ({"with_masks": True} if given.with_masks else {})
        budgets = [{"images": images} for images in given.images or ()]
        budgets = budgets or [{"minutes": minutes} for minutes in given.minutes]
        rows = [
            train_and_judge(place, cohort, model, budget, seed, given.preset, settings)
            for budget in budgets
            for seed in given.seeds
            for model in given.models
        ]
        learning_curves(rows, place / "curves.png")
        sheets = {
            name: place / f"{name_of(name, budgets[-1], given.seeds[0], given.preset, settings)}-images"
            for name in given.models
        }
        contact_sheet({"real": cohort, **sheets}, place / "sheet.png", given.classes)
    compared = controls["copies"]["compared"]
    fresh = {(row["model"], row["budget"], row["seed"]) for row in rows}
    known = earlier(given.name)
    rows = [row for row in known.get("rows", []) if (row["model"], row["budget"], row["seed"]) not in fresh] + rows
    save(
        given.name,
        {
            "compared": {key: compared[key] for key in ("training", "training_groups", "held_out", "held_out_groups")},
            "samples": SAMPLES,
            "note": given.note or known.get("note", ""),
            "null": figures(controls["copies"], null=True),
            **{name: figures(result) for name, result in controls.items()},
            "summary": summary(rows),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
