"""Is "worth so many real patients" true? Cohorts whose worth is known, made of numbers alone.

    python benchmarks/worth.py [--cohorts 1000]

A cohort is the scores of all arms: 28 patients had, a curve through 7, 14 and 28 of them, and two mixtures, three seeds
each, over the same held-out patients. Patients differ in difficulty, in what an arm gives them (hard ones more), and by
chance from seed to seed; seeds differ as a whole, those of fewer patients more. Sizes are as in `results/utility.json`:
a mixture and the real arm differ with a deviation of 0.08 over LGG patients, 0.16 over simulated ones, means of seeds
with 0.013, of 14 patients 0.02, of 7 patients 0.05. Curves rise by so much with each doubling of patients; the bent one
by half as much each time, 0.04 from 14 to 28. Two mixtures are worth exactly what is written, or one of them is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from record import save
from synthoma.core.types import Floats
from synthoma.evaluation.useful.differences import seed_noise
from synthoma.evaluation.useful.worth import worth

HAD, SEEDS = 28, 3
HELD_OUT = (6, 12, 24, 48)
SPREADS = {"LGG": 0.08, "simulated": 0.16}
SEED_NOISE = {7: 0.05, 14: 0.02, 28: 0.013}
RISES = (0.0, 0.02, 0.04, 0.08)
WORTHS = {"0": (0, 0), "+10": (10, 10), "+28": (28, 28), "0, the other -14": (0, -14)}

Curve = Callable[[float], float]


def curve_of(rise: float) -> Curve:
    """Score by number of patients, over that of HAD; a straight line in its logarithm."""
    return lambda patients: rise * float(np.log2(patients / HAD))


def bent(patients: float) -> float:
    """A curve of which each doubling adds half as much as the one before."""
    return 0.04 * (1 - HAD / patients)


def cohort(
    rng: np.random.Generator, curve: Curve, worths: tuple[int, ...], held_out: int, spread: float
) -> tuple[dict[int, Floats], dict[str, Floats], float]:
    """Scores (seeds, patients) of the real arms and of the mixtures, and the noise of seeds as it is measured."""
    difficulty = (rng.beta(2, 3, held_out) - 0.4) / 0.2
    hard = np.exp(0.4 * difficulty - 0.08)
    shared = rng.normal(size=held_out)  # what both mixtures give a patient

    def arm(level: float, noise: float, own: Floats) -> Floats:
        of_patient = level - 0.2 * difficulty + 0.55 * spread * hard * own
        of_seed = noise * rng.normal(size=(SEEDS, 1)) + 0.75 * spread * hard * rng.normal(size=(SEEDS, held_out))
        return np.asarray(0.7 + of_patient + of_seed)

    real = {count: arm(curve(count), noise, rng.normal(size=held_out)) for count, noise in SEED_NOISE.items()}
    mixed = {
        f"mixed {at}": arm(curve(HAD + one), SEED_NOISE[HAD], (shared + rng.normal(size=held_out)) / np.sqrt(2))
        for at, one in enumerate(worths)
    }
    others = [arm(0.0, SEED_NOISE[HAD], rng.normal(size=held_out)) for _ in range(3)]
    return real, mixed, seed_noise([real[HAD], *mixed.values(), *others])


def measured(
    curve: Curve, worths: tuple[int, ...], held_out: int, spread: float, cohorts: int, cell: int
) -> dict[str, Any]:
    """How often a number is given, its median, and how often the interval is wrong, over so many cohorts."""
    found = []
    for number in range(cohorts):
        real, mixed, noise = cohort(np.random.default_rng([cell, number]), curve, worths, held_out, spread)
        one = worth(real, mixed, had=HAD, known=HAD, noise=noise)
        if one is not None and one.value is not None:
            found.append((one.value, one.low, one.high))
    given = np.array(found, np.float64).reshape(-1, 3)
    truth = max(worths)
    below, above = given[:, 1] > truth, given[:, 2] < truth
    share = {"given": round(len(given) / cohorts, 4)}
    if not len(given):
        return share
    return share | {
        "median": round(float(np.median(given[:, 0])), 2),
        "low_above_truth": round(float(below.mean()), 4),
        "low_above_truth_of_all": round(float(below.sum() / cohorts), 4),
        "covers": round(float(1 - (below | above).mean()), 4),
        "low_above_0": round(float((given[:, 1] > 0).mean()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=1000, help="of each cell")
    arguments = parser.parse_args()
    curves: dict[str, Curve] = {f"{rise:g} a doubling": curve_of(rise) for rise in RISES} | {"bent": bent}
    cells = []
    for name, curve in curves.items():
        for title, worths in WORTHS.items():
            if name.startswith("0 ") and title != "0":
                continue  # on a flat curve nothing is worth a number of patients
            for patients, spread in SPREADS.items():
                for held_out in HELD_OUT:
                    found = measured(curve, worths, held_out, spread, arguments.cohorts, len(cells))
                    cell = {"curve": name, "worth": title, "noise": patients, "held_out": held_out}
                    cells.append(cell | found)
    save("worth", {"cohorts": arguments.cohorts, "had": HAD, "cells": cells})


if __name__ == "__main__":
    main()
