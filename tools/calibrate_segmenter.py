"""Says what the figures of the segmenter inside the package mean, by simulated patients with and without tumour.

    python tools/calibrate_segmenter.py --work DIR [--model FILE]
    python tools/calibrate_segmenter.py --planes
    python tools/calibrate_segmenter.py --threshold 0.4

Its weights stay as they are; the calibration is written into its description. The patients are others than those that
it learned from, and no real scan has a say: pictures that do not say which sequence they show are simulated ones of any
sequence, shown in the place of FLAIR. Volumes of small even voxels, which `detect` looks at in three planes, are
looked at as it does; with ``--planes`` they alone, and the other figures stay.

``--threshold`` writes the probability from which a pixel counts as tumour, chosen with `benchmarks/zero_shot.py`.
``--measured`` instead notes in the description what `benchmarks/specificity.py` counted, so that `detect` can tell it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

import synthoma
from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.cohorts.framing import resize_mask
from synthoma.cohorts.squares import frame, to_squares
from synthoma.core.outputs import new_folder
from synthoma.detection.detector import Detector
from synthoma.detection.scan import look
from synthoma.detection.settings import DetectConfig
from synthoma.detectors.segmenters.alarm import FULL, calibrations, fitted
from synthoma.detectors.segmenters.chances import (
    Calibration,
    Kind,
    scan_probability,
    shown_name,
    stored_calibrations,
)
from synthoma.detectors.slices import LabelledSlices
from synthoma.phantom import PhantomConfig
from synthoma.phantom.patient import simulate
from synthoma.scans.case import Case, Study
from synthoma.training.bundle import load_tensors, save_tensors, shipped_model
from synthoma.training.device import Execution

PHANTOM = PhantomConfig(skull="mixed", sites=130, healthy=0.6, slice_mm=(2.0, 6.5), artefacts=0.3)
PATIENTS, SEED = 150, 31
MOST_SLICES = 1600
"""Of whole scans; of more, some patients are left out."""

PICTURES = 3
"""Slices of each patient that are looked at as single pictures, evenly spaced among those of the middle of the head."""

EVEN = PHANTOM.model_copy(update={"slice_mm": (1.5, 2.0), "pixel_mm": 2.0, "modalities": ("flair",)})
EVEN_PATIENTS, EVEN_SEED = 60, 32
"""Volumes that are looked at in three planes, from FLAIR alone: others are judged as scans of one plane are."""

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "specificity.json"


def simulated(work: Path) -> dict[Kind, Cohort]:
    """Whole scans, and pictures of them: slices that are cropped and normalised by themselves."""
    if not (work / "scans").is_dir():
        synthoma.prepare_phantom(
            PATIENTS,
            work / "scans",
            phantom=PHANTOM,
            size=128,
            merge="whole-tumour",
            grid="slices",
            split=(0.0, 1.0, 0.0),
            seed=SEED,
        )
    scans = Cohort(work / "scans")
    if not (work / "pictures").is_dir():
        with new_folder(work / "pictures") as folder:
            write_pictures(scans, folder)
    return {"scan": scans, "picture": Cohort(work / "pictures")}


def write_pictures(scans: Cohort, folder: Path) -> None:
    """Some slices of each scan as a cohort of single pictures."""
    table = scans.slices
    rows, tumour = [], []
    for _, scan in table.groupby("case", sort=True):
        middle = scan.index[scan["tissue"] >= FULL * scan["tissue"].max()]
        rows += middle[np.linspace(0, len(middle) - 1, PICTURES).astype(int)].tolist()
    with CohortWriter(folder, channels=len(scans.modalities), size=scans.size) as writer:
        for row in rows:
            images = dict(zip(scans.modalities, scans.images[row][:, None].astype(np.float32), strict=True))
            framing = frame(Study(images, None, scans.masks[row][None]), scans.modalities, size=scans.size)
            mask = resize_mask(scans.masks[row], framing.fit)
            tumour.append(int((mask > 0).sum()))
            writer.add(to_squares(framing), mask[None], [{}])
        names = [f"picture-{row}" for row in rows]
        kept = table.loc[rows, ["patient", "group", "split", "label"]].assign(case=names, slice=0)
        meta = {**scans.meta.content(), "slices": len(rows), "cases": len(rows)}
        writer.finish(kept.assign(tumour_pixels=tumour, missing=""), meta)


def of_planes(detector: Detector) -> dict[tuple[Kind, str], Calibration]:
    """What figures of volumes mean that are looked at in three planes, by patients who are looked at as scans are."""
    figures: dict[bool, list[float]] = {True: [], False: []}
    for number in range(EVEN_PATIENTS):
        study = simulate(EVEN_SEED, number, EVEN).study
        assert study.mask is not None
        ill = bool(study.mask.any())
        shown = Study(study.images, study.geometry)
        case = Case(f"even-{number:05d}", None, EVEN.modalities, partial(replace, shown))
        seen = look(case, detector, DetectConfig())
        if len(seen.planes) == 1:
            raise SystemExit(f"{case.name} was looked at in one plane: {study.geometry}, {study.mask.shape}")
        figures[ill].append(scan_probability(seen.slices))
        print(f"{case.name} ill={ill:d} figure={figures[ill][-1]:.9f}", flush=True)
    one = fitted(np.array(figures[True]), np.array(figures[False]))
    return {} if one is None else {("planes", shown_name(EVEN.modalities)): one}


def of_one_plane(detector: Detector, work: Path) -> dict[tuple[Kind, str], Calibration]:
    """What figures of scans and of single pictures mean, in each sequence alone and in all together."""
    context = (detector.context, detector.step_mm or 4.0)
    found: dict[tuple[Kind, str], Calibration] = {}
    for kind, cohort in simulated(work).items():
        slices = LabelledSlices(cohort, np.arange(len(cohort)), detector.modalities, (), context)
        found |= calibrations(
            detector.network,
            {kind: slices},
            Execution("cpu", torch.get_num_threads(), channels_last=True, bf16=False),
            modalities=detector.modalities,
            any_subset=detector.any_subset,
            most={"scan": MOST_SLICES, "picture": len(slices)},
        )
    return found


def main() -> None:
    """Simulate, count, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder for the simulated patients")
    parser.add_argument("--model", type=Path, default=shipped_model())
    parser.add_argument("--planes", action="store_true", help="calibrate what three planes say, and nothing else")
    parser.add_argument("--threshold", type=float, help="probability from which a pixel counts as tumour")
    parser.add_argument("--measured", action="store_true", help="note what was counted on other scans")
    arguments = parser.parse_args()
    bundle = load_tensors(arguments.model)
    if arguments.threshold is not None:
        told = {**bundle.content, "threshold": [arguments.threshold] * len(bundle.content["threshold"])}  # type: ignore[arg-type]
        save_tensors(arguments.model, bundle.tensors, told)
        return
    if arguments.measured:
        counted = json.loads(RESULTS.read_text(encoding="utf-8"))["told"]
        save_tensors(arguments.model, bundle.tensors, {**bundle.content, "measured": counted})
        return
    detector = Detector.open(arguments.model)
    found = {**detector.calibrations} if arguments.planes else of_one_plane(detector, arguments.work)
    found |= of_planes(detector)
    for (kind, name), one in sorted(found.items()):
        print(f"{kind:<8} {name:<16} {one}")
    # What was counted of other scans was counted with the figures of before.
    stored = {key: value for key, value in bundle.content.items() if key != "measured" or arguments.planes}
    save_tensors(arguments.model, bundle.tensors, {**stored, "calibration": stored_calibrations(found)})


if __name__ == "__main__":
    main()
