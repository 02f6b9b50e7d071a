"""Patients simulated on the grid of their slices beside those simulated at 1 mm: seconds, labels, and evidence.

Usage: phantom_fast.py [PATIENTS]: so many simulated quickly (40 by default) are judged against twice as many of others.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import synthoma
from record import save, seconds
from synthoma.cohorts.slicing import prepare_case
from synthoma.core.types import MODALITIES
from synthoma.phantom import Look, PhantomCohortConfig, phantom_beside, phantom_cases, prepared_patient, simulate
from synthoma.phantom.coarse import coarse_mm, coarse_study

TIMED = 8
Grid = Literal["scanner", "slices"]


def main() -> None:
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    torch.set_num_threads(1)
    results: dict[str, object] = {}
    for name, size, modalities in (("64px_flair", 64, ("flair",)), ("128px_four", 128, MODALITIES)):
        config = phantom_beside(Look(modalities, {"1": "tumour"}, size), {})
        results[name] = {"step_mm": coarse_mm(config), **_timed(config)}
    results["labels"] = labels(10)
    results["load_average"] = [round(load, 2) for load in os.getloadavg()]
    save("phantom_fast", results)  # the last part takes longest: what is known stays, should it be stopped
    results["evidence"] = evidence(patients, "scanner")
    save("phantom_fast", results)
    results["control"] = evidence(patients, "slices")
    save("phantom_fast", results)


def _timed(config: PhantomCohortConfig) -> dict[str, object]:
    """Seconds a patient with all slices prepared: on the slices' grid, and at 1 mm; by the clock and of the processor.

    On a machine that does other work the processor's seconds say more.
    """
    cases, modalities = phantom_cases(TIMED + 1, 1, config.phantom), config.modalities or ()
    prepared_patient(1, 0, config)
    found: dict[str, object] = {}
    ways: tuple[tuple[str, Callable[[int], object]], ...] = (
        ("quick", lambda index: prepared_patient(1, index, config)),
        ("at_1mm", lambda index: prepare_case(cases[index], config, modalities, 0)),
    )
    for name, make in ways:
        numbers, begun = iter(range(1, TIMED + 1)), time.process_time()
        found[f"{name}_s"] = seconds(lambda make=make, numbers=numbers: make(next(numbers)), TIMED)  # type: ignore[misc]
        found[f"{name}_cpu_s"] = round((time.process_time() - begun) / TIMED, 3)
    return found


def labels(patients: int) -> dict[str, float]:
    """Dice of exact masks at places of 2 mm with those of the 1 mm simulation at the same places."""
    config = phantom_beside(Look(("flair",), {"1": "tumour"}, 64), {}).phantom
    found = []
    for index in range(patients):
        whole = simulate(3, index, config).study.mask
        coarse = coarse_study(3, index, config, 2.0).mask
        assert whole is not None
        assert coarse is not None
        same = whole[:, ::2, ::2][:, : coarse.shape[1], : coarse.shape[2]]
        found.append(
            (
                float((same == coarse).mean()),
                2 * float(((same > 0) & (coarse > 0)).sum()),
                float((same > 0).sum() + (coarse > 0).sum()),
            )
        )
    equal, both, each = np.array(found).T
    return {"patients": patients, "equal_voxels": float(equal.min()), "least_dice": float((both / each).min())}


def evidence(patients: int, others: Grid) -> dict[str, Any]:
    """What the evidence engine says of quickly simulated patients beside twice as many others.

    The others have another seed, and so other scanners, which tells the two apart whatever the grid. Where ``others``
    were simulated on the same grid, that is all that can: the control of what is found beside others at 1 mm.
    """
    made: dict[str, Any] = {"size": 64, "modalities": ("flair",), "every": 4, "merge": "whole-tumour"}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        phantom = phantom_beside(Look(("flair",), {"1": "tumour"}, 64), {}).phantom
        real = synthoma.prepare_phantom(
            2 * patients, place / "real", phantom=phantom, seed=11, split=(0.5, 0.0, 0.5), grid=others, **made
        )
        quick = synthoma.prepare_phantom(patients, place / "quick", phantom=phantom, seed=12, grid="slices", **made)
        result = synthoma.evaluate(real, quick, place / "evaluation", preset="quick")
        content = result.content()["fidelity"]
        return {
            "patients": patients,
            "slices": len(quick),
            "lights": {light.question: f"{light.state}: {light.text}" for light in result.lights},
            "families": {
                family: {
                    name: {key: score.get(key) for key in ("value", "ratio", "p")} for name, score in scores.items()
                }
                for family, scores in content.get("families", {}).items()
            },
            "distinguished": content.get("distinguished"),
        }


if __name__ == "__main__":
    main()
