"""Are the scores calibrated, do they see faults, and what do they cost?

    python benchmarks/evidence.py --keep DIR [--patients 150] [--slices 4] [--runs 200] [--parts calibration faults ...]

Calibration: simulated patients are dealt out at random to training, held-out and "synthetic" side, so every alarm is a
false one. Few: the same with few patients on the synthetic or on the held-out side. Splits: the quarter of such deals
in which training scans lie farthest from the held-out ones; cohorts of new patients should pass there, too. Faults: the
"synthetic" side of such a run gets a known fault. The search for copies has its own benchmark (privacy.py).
``--patients 600 --slices 1`` asks the same of slices that have nobody in common, as pictures from a public collection
mostly have not; what was found with either is kept beside the other.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import synthoma
from record import earlier, save
from synthoma.cohorts.cohort import Cohort
from synthoma.core.outputs import new_folder
from synthoma.core.seeding import stream
from synthoma.core.whole_files import write_json
from synthoma.evaluation.diverse.light import diversity_light
from synthoma.evaluation.evaluate import evaluate
from synthoma.evaluation.families import EXTRACTORS, family_scores, group_numbers, scaled
from synthoma.evaluation.faults import blurred, brightened, checkered, noisy
from synthoma.evaluation.nulls import NullPlan, plan_null
from synthoma.evaluation.realistic.appearance import compared, measured
from synthoma.evaluation.realistic.differences import what_differs
from synthoma.evaluation.realistic.distinguished import distinguished
from synthoma.evaluation.realistic.light import realism_light
from synthoma.evaluation.realistic.result import ComparedNumber
from synthoma.evaluation.result import Fidelity
from synthoma.evaluation.settings import EvaluateConfig, Thresholds
from synthoma.metrics.distances import sliced_wasserstein
from synthoma.metrics.features import standardised, wavelet_features

SIDE = 200
FEW_SIDE, FEW_SLICES = 100, 20
"""Synthetic slices, and slices of each patient, where patients are few: of two there must be enough."""

ALPHA = 0.05
NUMBERS_FROM = 3000
SETTINGS: dict[str, Any] = {"size": 64, "modalities": ("flair",)}


class Pool:
    """Slices of many simulated patients with the features of each, so that a run only has to deal them out."""

    def __init__(self, cohort: Cohort, slices: int, *, tumour: bool = True) -> None:
        table = cohort.slices
        names = table["group"].astype(str).to_numpy()
        self.patients = sorted(set(names))
        draws = stream(0, "benchmark.evidence.pool")
        # Slices with tumour, spread over the patient: what a generator of tumour slices is compared with.
        usable = (table["tumour_pixels"].to_numpy() > 0) | (not tumour)
        rows = []
        for name in self.patients:
            own = np.flatnonzero((names == name) & usable)
            rows.append(np.sort(draws.permutation(own)[:slices]))
        self.rows = np.concatenate(rows)
        self.names = names[self.rows]
        self.images = np.clip(cohort.images[self.rows][:, 0].astype(np.float32), 0, 1)
        self.features = {name: extract(self.images) for name, extract in EXTRACTORS.items()}
        self.numbers = measured(self.images)

    def deal(self, run: int, patients: int | tuple[int, int, int], side: int = SIDE) -> tuple[Any, Any, Any]:
        """Places of the training, held-out and "synthetic" slices of one run: different patients, so many each."""
        draws = stream(run, "benchmark.evidence.deal")
        order = draws.permutation(len(self.patients))
        counts = (patients,) * 3 if isinstance(patients, int) else patients
        parts = np.split(order[: sum(counts)], np.cumsum(counts)[:-1])
        chosen = [np.flatnonzero(np.isin(self.names, [self.patients[i] for i in part])) for part in parts]
        return chosen[0], chosen[1], np.sort(draws.permutation(chosen[2])[:side])

    def scores(
        self, places: tuple[Any, Any, Any], changed: dict[str, Any] | None, run: int, halves: int
    ) -> tuple[NullPlan, Fidelity]:
        """All scores of one run, with other features for the "synthetic" side where given."""
        training, held, synthetic = places
        real = np.concatenate([training, held])
        groups = self.names[real].tolist()
        made_by = self.names[synthetic].tolist()
        plan = plan_null(groups, np.arange(len(real)) >= len(training), made_by, halves=halves, seed=run)
        other = changed or {name: values[synthetic] for name, values in self.features.items()}
        points = {name: scaled(np.concatenate([values[real], other[name]])) for name, values in self.features.items()}
        numbers = group_numbers(groups, made_by)
        families = {name: family_scores(values, plan, numbers, interval=False) for name, values in points.items()}
        together = np.concatenate([values[:, :24] / values[: len(real)].std() for values in points.values()], axis=1)
        radiomics = np.concatenate([self.features["radiomics"][real], other["radiomics"]])
        apart = distinguished(together, plan, made_by, seed=run)
        return plan, Fidelity(families=families, distinguished=apart, what_differs=what_differs(radiomics, plan))

    def appearance(self, places: tuple[Any, Any, Any], plan: NullPlan) -> dict[str, ComparedNumber]:
        """Numbers of single images, compared."""
        real = np.concatenate(places[:2])
        ours = {name: values[real] for name, values in self.numbers.items()}
        return compared(ours, {name: values[places[2]] for name, values in self.numbers.items()}, plan)


def tests_of(fidelity: Fidelity, appearance: Mapping[str, ComparedNumber]) -> dict[str, float]:
    """Every p of a run, by name."""
    found = {
        f"{family} {name}": entry.p
        for family, scores in fidelity.families.items()
        for name, entry in scores.items()
        if entry.p is not None
    }
    for judge, score in fidelity.distinguished.items():
        if score.p is not None:
            found[f"told apart ({judge})"] = score.p
    if fidelity.what_differs and (p := fidelity.what_differs[0].p) is not None:
        found["what differs"] = p
    return {**found, **{name: entry.p for name, entry in appearance.items() if entry.p is not None}}


def judged(fidelity: Fidelity) -> dict[str, str]:
    """The lights of realism and diversity."""
    given = realism_light(fidelity, None, Thresholds()), diversity_light(fidelity, Thresholds())
    return {light.question: light.state for light in given}


def alarms_of(
    pool: Pool, runs: range, patients: int | tuple[int, int, int], halves: int, side: int = SIDE
) -> dict[str, Any]:
    """Share of runs in which each test says p <= 5 %, and the lights of realism and diversity."""
    alarms: dict[str, list[bool]] = {}
    colours: dict[str, dict[str, int]] = {"realistic": {}, "diverse": {}}
    count = divisions = 0
    for run in runs:
        places = pool.deal(run, patients, side)
        plan, fidelity = pool.scores(places, None, run, halves)
        count, divisions = count + plan.count, divisions + len(plan.divisions)
        for name, p in tests_of(fidelity, pool.appearance(places, plan)).items():
            alarms.setdefault(name, []).append(p <= ALPHA)
        for question, state in judged(fidelity).items():
            colours[question][state] = colours[question].get(state, 0) + 1
    shares = {name: round(float(np.mean(values)), 4) for name, values in alarms.items()}
    return {
        "runs": len(runs), "slices": round(count / len(runs)), "patients_a_side": patients,
        "divisions": round(divisions / len(runs)), "false_alarms": shares,
        "highest": max(shares.values(), default=None), "lights": colours,
    }  # fmt: skip


def calibration(pool: Pool, runs: int, halves: int) -> dict[str, Any]:
    """False alarms with equally many patients on each side."""
    return alarms_of(pool, range(runs), len(pool.patients) // 3, halves)


def few(pool: Pool, runs: int, halves: int, cells: Sequence[str]) -> dict[str, Any]:
    """False alarms with few patients: "T/H/S" in training, held out and on the synthetic side."""
    found = {}
    for number, cell in enumerate(cells):
        training, held, synthetic = map(int, cell.split("/"))
        start = 20_000 + 1000 * number
        found[cell] = alarms_of(pool, range(start, start + runs), (training, held, synthetic), halves, FEW_SIDE)
    return found


def splits(pool: Pool, runs: int, halves: int) -> dict[str, Any]:
    """Lights of new patients where those who are held out lie far from the training patients, as 28 and 12 may."""
    patients = (28, 12, min(28, len(pool.patients) - 40))
    far = []
    for run in range(40_000, 40_000 + 4 * runs):
        training, held, _ = pool.deal(run, patients)
        points = scaled(pool.features["radiomics"][np.concatenate([training, held])])
        one, other = points[len(training) :], points[: len(training)]
        far.append((sliced_wasserstein(real=one, synthetic=other, projections=64), run))
    worst = [run for _, run in sorted(far)[-runs:]]
    found: dict[str, dict[str, int]] = {}
    ratios: dict[str, list[float]] = {"over the null alone": [], "as judged": []}
    for run in worst:
        places = pool.deal(run, patients, FEW_SIDE)
        _, fidelity = pool.scores(places, None, run, halves)
        for question, state in judged(fidelity).items():
            count = found.setdefault(question, {})
            count[state] = count.get(state, 0) + 1
        distances = [scores["sliced_wasserstein"] for scores in fidelity.families.values()]
        ratios["over the null alone"].append(max((one.value or 0.0) / (one.null_median or 1.0) for one in distances))
        ratios["as judged"].append(max(one.ratio or 0.0 for one in distances))
    spread = {name: np.quantile(values, (0.05, 0.5, 0.95)).round(2).tolist() for name, values in ratios.items()}
    return {"runs": runs, "of": 4 * runs, "patients": patients, "lights": found, "ratios": spread}


def numbers(pool: Pool, runs: int, halves: int) -> dict[str, Any]:
    """False alarms of the numbers of single images again: cheap enough for many deals, none of which is above."""
    alarms: dict[str, list[bool]] = {}
    patients = len(pool.patients) // 3
    for run in range(NUMBERS_FROM, NUMBERS_FROM + runs):
        places = pool.deal(run, patients)
        real = np.concatenate(places[:2])
        held = np.arange(len(real)) >= len(places[0])
        plan = plan_null(pool.names[real].tolist(), held, pool.names[places[2]].tolist(), halves=halves, seed=run)
        for name, entry in pool.appearance(places, plan).items():
            alarms.setdefault(name, []).append((entry.p or 1.0) <= ALPHA)
    return {"runs": runs, "false_alarms": {name: round(float(np.mean(found)), 4) for name, found in alarms.items()}}


def faults(pool: Pool, runs: int, halves: int) -> dict[str, Any]:
    """Share of runs in which each score notices a fault of the "synthetic" side."""
    draws = stream(0, "benchmark.evidence.faults")
    changed = {
        "blur 0.8 px": blurred(pool.images),
        "noise 3 %": noisy(pool.images, draws),
        "checkerboard 2 %": checkered(pool.images),
        "gamma 0.85": brightened(pool.images),
    }
    features = {
        fault: {name: extract(images) for name, extract in EXTRACTORS.items()} for fault, images in changed.items()
    }
    from sklearn.cluster import KMeans

    modes = KMeans(8, n_init=4, random_state=0).fit_predict(standardised(wavelet_features(pool.images))[0])
    found: dict[str, dict[str, list[bool]]] = {}
    patients = len(pool.patients) // 3
    for run in range(runs):
        places = pool.deal(10_000 + run, patients)
        synthetic = places[2]
        picked = dict.fromkeys(changed, synthetic)
        kept = stream(run, "benchmark.evidence.modes").permutation(8)[:4]
        inside = synthetic[np.isin(modes[synthetic], kept)]
        again = stream(run, "benchmark.evidence.again")
        picked["half of the modes dropped"] = again.choice(inside, len(synthetic))
        few = again.permutation(synthetic)[: len(synthetic) // 5]
        picked["collapse to a fifth of the images"] = again.choice(few, len(synthetic))
        for fault, rows in picked.items():
            own = features.get(fault, pool.features)
            _, fidelity = pool.scores(places, {name: values[rows] for name, values in own.items()}, run, halves)
            for name, p in tests_of(fidelity, {}).items():
                found.setdefault(fault, {}).setdefault(name, []).append(p <= ALPHA)
    return {
        "runs": runs,
        "caught": {
            fault: {name: round(float(np.mean(values)), 3) for name, values in scores.items()}
            for fault, scores in found.items()
        },
    }


def cost(cohort: Cohort, keep: Path, count: int) -> dict[str, Any]:
    """Seconds and memory of fidelity, diversity and privacy for ``count`` against ``count`` slices at 64 px.

    Training, held-out and "synthetic" side are a third of the patients each. Where their slices are too few, they come
    again, mirrored and moved under other names: that is enough for a clock.
    """
    draws = stream(0, "benchmark.evidence.cost")
    groups = cohort.slices["group"].astype(str).to_numpy()
    thirds = np.array_split(np.array(sorted(set(groups))), 3)
    rows, images, tables = [], [], []
    for split, names in zip(("train", "test", "synthetic"), thirds, strict=True):
        own = np.flatnonzero(np.isin(groups, names))
        chosen = np.concatenate([draws.permutation(own) for _ in range(-(-count // len(own)))])[:count]
        again = np.arange(count) // len(own)
        pictures = np.asarray(cohort.images[chosen])
        for number in np.flatnonzero(again):
            moved = np.roll(pictures[number], tuple(draws.integers(-6, 7, 2)), (1, 2))
            pictures[number] = moved[..., ::-1] if draws.random() < 0.5 else moved
        table = cohort.slices.iloc[chosen].copy()
        table["group"] = [f"{name} {k}" for name, k in zip(table["group"], again, strict=True)]
        table["split"] = "train" if split == "synthetic" else split
        rows.append(chosen)
        images.append(pictures)
        tables.append(table)
    sides = {"real": (slice(0, 2), "phantom"), "synthetic": (slice(2, 3), "synthetic")}
    for name, (part, origin) in sides.items():
        with new_folder(keep / f"cost-{count}-{name}", force=True) as partial:
            np.save(partial / "images.npy", np.concatenate(images[part]))
            np.save(partial / "masks.npy", cohort.masks[np.concatenate(rows[part])])
            table = pd.concat(tables[part])
            table.to_csv(partial / "slices.csv", index=False)
            write_json(partial / "cohort.json", {**cohort.meta.content(), "origin": origin, "slices": len(table)})
    start, before = time.perf_counter(), time.process_time()
    opened = [Cohort(keep / f"cost-{count}-{name}") for name in sides]
    evaluate(opened[0], opened[1], EvaluateConfig(limit=count), keep / "cells")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "images": [len(one) for one in opened],
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - before, 1),
        "peak_mb": round(peak),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=150)
    parser.add_argument("--slices", type=int, default=4, help="of each patient")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--halves", type=int, default=EvaluateConfig().halves, help="divisions of the null")
    parser.add_argument("--parts", nargs="+", default=["calibration", "numbers", "faults", "cost"])
    cells = ["50/50/2", "50/50/3", "50/50/5", "50/50/10", "50/50/20", "50/50/50", "28/12/5", "50/5/50", "50/5/5"]
    parser.add_argument("--cells", nargs="+", default=cells, help="of few patients: training/held out/synthetic")
    parser.add_argument("--counts", nargs="+", type=int, default=[1000])
    arguments = parser.parse_args()
    keep, halves = arguments.keep, arguments.halves
    pool_place = keep / f"pool-{arguments.patients}"
    if not pool_place.is_dir():
        synthoma.prepare_phantom(arguments.patients, pool_place, seed=0, **SETTINGS)
    cohort = Cohort(pool_place)
    slices = f"{arguments.slices} slices" if arguments.slices > 1 else "one slice"
    design = f"{slices} of each of {arguments.patients // 3} patients"
    parts = {
        "calibration": lambda pool: calibration(pool, arguments.runs, halves),
        "numbers": lambda pool: numbers(pool, 4 * arguments.runs, halves),
        "faults": lambda pool: faults(pool, max(20, arguments.runs // 5), halves),
    }
    with_few = {
        "few": lambda pool: few(pool, arguments.runs, halves, arguments.cells),
        "splits": lambda pool: splits(pool, arguments.runs, halves),
    }
    for those, own, named in ((parts, True, design), (with_few, False, f"{FEW_SLICES} slices of each patient")):
        asked = [part for part in those if part in arguments.parts]
        pool = Pool(cohort, arguments.slices if own else FEW_SLICES, tumour=own) if asked else None
        for part in asked:
            found = those[part](pool)
            results = earlier("evidence")  # read late: parts may run side by side
            known = results.setdefault(part, {})
            known[named] = {**known.get(named, {}), **found} if part == "few" else found
            save("evidence", results)
    if "cost" in arguments.parts:
        for count in arguments.counts:
            found = cost(cohort, keep, count)
            results = earlier("evidence")
            results.setdefault("cost", {})[str(count)] = found
            save("evidence", results)


if __name__ == "__main__":
    main()
