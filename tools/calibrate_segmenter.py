"""Says what the figures of the segmenter inside the package mean, by simulated patients with and without tumour.

    python tools/calibrate_segmenter.py --work DIR [--model FILE]

Its weights stay as they are; the calibration is written into its description. The patients are others than those that
it learned from, and no real scan has a say: pictures that do not say which sequence they show are simulated ones of any
sequence, shown in the place of FLAIR.

``--measured`` instead notes in the description what `benchmarks/specificity.py` counted, so that `detect` can tell it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import synthoma
from synthoma.data.cohort import Cohort
from synthoma.data.labelled import LabelledSlices
from synthoma.detection.detector import Detector
from synthoma.models.bundle import load_tensors, save_tensors, shipped_model
from synthoma.models.chances import Kind, stored_calibrations
from synthoma.phantom import PhantomConfig
from synthoma.training.alarm import calibrations
from synthoma.training.device import Execution

PHANTOM = PhantomConfig(skull="mixed", sites=130, healthy=0.6, slice_mm=(2.0, 6.5), artefacts=0.3)
SCANS, PICTURES = (150, 31), (24, 32)
"""Simulated patients and seed: of whole scans, and of slices that are framed one by one, every third."""

MOST_SLICES = 2500
"""Of more, some patients are left out."""

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "specificity.json"


def simulated(work: Path) -> Iterator[tuple[Kind, Cohort]]:
    """The patients that the calibration is made from."""
    common: dict[str, Any] = {"phantom": PHANTOM, "size": 128, "merge": "whole-tumour", "split": (0.0, 1.0, 0.0)}
    kinds: tuple[tuple[Kind, tuple[int, int], dict[str, Any]], ...] = (
        ("picture", PICTURES, {"apart": True, "every": 3}),
        ("scan", SCANS, {}),
    )
    for kind, (patients, seed), more in kinds:
        if not (work / f"{kind}s").is_dir():
            synthoma.prepare_phantom(patients, work / f"{kind}s", seed=seed, **common, **more)
        yield kind, Cohort(work / f"{kind}s")


def main() -> None:
    """Simulate, count, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder for the simulated patients")
    parser.add_argument("--model", type=Path, default=shipped_model())
    parser.add_argument("--measured", action="store_true", help="note what was counted on other scans")
    arguments = parser.parse_args()
    bundle = load_tensors(arguments.model)
    if arguments.measured:
        counted = json.loads(RESULTS.read_text(encoding="utf-8"))["told"]
        save_tensors(arguments.model, bundle.tensors, {**bundle.meta, "measured": counted})
        return
    detector = Detector.open(arguments.model)
    context = (detector.context, detector.step_mm or 4.0)
    found = {}
    for kind, cohort in simulated(arguments.work):
        slices = LabelledSlices(cohort, np.arange(len(cohort)), detector.modalities, (), context)
        found |= calibrations(
            detector.network,
            {kind: slices},
            Execution("cpu", torch.get_num_threads(), channels_last=True, bf16=False),
            modalities=detector.modalities,
            any_subset=detector.any_subset,
            most={kind: MOST_SLICES},
        )
    for (kind, name), one in sorted(found.items()):
        print(f"{kind:<8} {name:<16} {one}")
    stored = {key: value for key, value in bundle.meta.items() if key != "measured"}
    save_tensors(arguments.model, bundle.tensors, {**stored, "calibration": stored_calibrations(found)})


if __name__ == "__main__":
    main()
