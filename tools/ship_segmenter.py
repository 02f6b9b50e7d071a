"""Makes the segmenter inside the package: from simulated patients alone, with fixed seeds.

    python tools/ship_segmenter.py --work DIR
    python tools/ship_segmenter.py --work DIR --planes [--from FILE]

The cohorts, the settings and the number of slices shown are those below, so anybody can make it again; the weights are
stored in half precision. On other machines the last digits of a training differ. ``--planes`` then learns on from
coronal and sagittal slices too: the weights of the package are those without (docs/decisions/0029 says why).
``--from`` begins that with a model file in place of the stages before it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import synthoma
from synthoma.cohorts.preparation import pack
from synthoma.cohorts.settings import PrepareConfig
from synthoma.cohorts.slicing import PreparedCase, prepare_case
from synthoma.core.outputs import new_folder
from synthoma.core.types import MODALITIES, PLAIN_MODALITY
from synthoma.phantom import PhantomConfig, phantom_cases
from synthoma.phantom.coarse import coarse_case, prepare_coarse
from synthoma.phantom.config import PhantomCohortConfig
from synthoma.phantom.patient import Patient, simulate
from synthoma.scans.case import Case, Inventory, Skipped, Study
from synthoma.training.bundle import load_tensors, save_tensors

PATIENTS, SEED = 260, 11
SLICES_SHOWN = (90_000, 140_000)
"""Of two trainings: the second begins with what the first learned, at half its rate (a warm restart)."""
PHANTOM = PhantomConfig(skull="mixed", sites=130, healthy=0.08, slice_mm=(2.0, 6.5), artefacts=0.3)
RATE = 2e-3
WIDE = PHANTOM.model_copy(update={"sites": 400, "mixture": 0.6, "margins": 0.6, "age": (18.0, 90.0)})
WIDE_PATIENTS, WIDE_SEED, WIDE_SHOWN, WIDE_RATE = 240, 12, 36_000, 5e-4
"""Then for a while at a low rate: patients whose tumours are fainter, more cortical and more ragged."""
AROUND = WIDE.model_copy(update={"mixture": 0.7, "healthy": 0.2})
ROUNDS = (
    ({"axial": (30, 13), "even": (28, 14), "picture": (24, 15)}, 8_000),
    ({"axial": (44, 16), "even": (40, 17), "picture": (40, 18)}, 14_000),
)
"""What was tried after that, and is not shipped: patients and seed of three kinds, and slices shown, twice. Axial
slices as before; small voxels that are about as long as wide, in coronal and sagittal slices; and pictures, slices of
any sequence in the place of FLAIR."""
AXIAL_MM, PICTURE_MM = (1.0, 6.5), (3.0, 6.5)
EVEN_MM, EVEN_PIXEL_MM, EVEN_EVERY = (1.0, 3.0), 1.5, 3
"""Volumes of 1 mm are often made of thicker slices. Every third slice: the neighbours that a network sees are 4.5 mm
apart, as `detection.planes` shows them."""
PICTURES = 10
"""Slices of each patient who is shown as pictures."""
LEARNER: dict[str, Any] = {
    "modality_dropout": 0.9,
    # Real scanners differ more from one another than simulated ones do.
    "augment": {
        "rotation": 20.0,
        "scale": 0.25,
        "shift": 0.1,
        "gamma": 0.5,
        "contrast": 0.3,
        "bias": 0.35,
        "noise": 0.08,
        "ghosting": 0.15,
        "blur": 0.35,
    },
}
AROUND_LEARNER: dict[str, Any] = {**LEARNER, "rate": 1.5e-4, "ema_images": 3000.0, "tumour_share": 0.8}
"""More tumour slices, since more patients have none: else what is outlined shrinks. At a rate of 5e-4, with which the
stage before learned, twelve thousand slices lost more than they taught."""
TARGET = Path(__file__).resolve().parents[1] / "src" / "synthoma" / "weights" / "phantom-segmenter.safetensors"


def main() -> None:
    """Simulate, train, halve, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for cohorts and runs")
    parser.add_argument("--planes", action="store_true", help="learn on in three planes")
    parser.add_argument("--from", type=Path, dest="begun", help="model file that --planes begins with")
    arguments = parser.parse_args()
    work: Path = arguments.work
    run: Path = arguments.begun if arguments.planes and arguments.begun else widened(work, first_stages(work))
    if arguments.planes:
        for number in range(len(ROUNDS)):
            run = around(work, run, number)
    bundle = load_tensors(run / "model.safetensors")
    halved = {name: value.half() if value.dtype == torch.float32 else value for name, value in bundle.tensors.items()}
    TARGET.parent.mkdir(exist_ok=True)
    save_tensors(TARGET, halved, bundle.content)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 2**20:.1f} MiB")


def first_stages(work: Path) -> Path:
    """Learn from nothing, then once more at half the rate; where the last run lies."""
    if not (work / "phantom").is_dir():
        synthoma.prepare_phantom(
            PATIENTS,
            work / "phantom",
            phantom=PHANTOM,
            size=128,
            merge="whole-tumour",
            split=(0.94, 0.06, 0.0),
            seed=SEED,
        )
    run = work / "run"
    start: dict[str, Any] = {}
    for number, images in enumerate(SLICES_SHOWN):
        run = work / ("run" if number == 0 else f"run-{number + 1}")
        resume = (run / "run.json").is_file()
        learner = {**LEARNER, "rate": RATE / 2**number}
        synthoma.train(
            work / "phantom", run, model="unet-25d", images=images, segmenter=learner, resume=resume, **start
        )
        start = {"init": str(run)}
    return run


def widened(work: Path, run: Path) -> Path:
    """Learn on from the run on the wider phantom; where that lies."""
    if not (work / "wide").is_dir():
        synthoma.prepare_phantom(
            WIDE_PATIENTS,
            work / "wide",
            phantom=WIDE,
            size=128,
            merge="whole-tumour",
            grid="slices",
            split=(0.94, 0.06, 0.0),
            seed=WIDE_SEED,
        )
    last = work / "run-wide"
    learner = {**LEARNER, "rate": WIDE_RATE, "ema_images": 4000.0}
    resume = (last / "run.json").is_file()
    synthoma.train(
        work / "wide", last, model="unet-25d", images=WIDE_SHOWN, segmenter=learner, init=str(run), resume=resume
    )
    return last


def around(work: Path, begun: Path, number: int) -> Path:
    """Learn on from a run or a model file with the patients of a round; where that lies."""
    cohort, run = work / f"around-{number}", work / f"run-around-{number}"
    if not cohort.is_dir():
        around_cohort(cohort, ROUNDS[number][0])
    resume = (run / "run.json").is_file()
    synthoma.train(
        cohort,
        run,
        model="unet-25d",
        images=ROUNDS[number][1],
        segmenter=AROUND_LEARNER,
        init=str(begun),
        snapshots=2,
        resume=resume,
    )
    return run


def around_cohort(place: Path, patients: Mapping[str, tuple[int, int]]) -> None:
    """Patients of all three kinds as one cohort: its slices are drawn evenly by patient."""
    with new_folder(place) as folder:
        config = around_config("axial").model_copy(update={"modalities": MODALITIES, "split": (0.94, 0.06, 0.0)})
        cases = tuple(case for kind, (count, seed) in patients.items() for case in around_cases(kind, count, seed))
        pack(Inventory("phantom", cases), folder, config, source=f"{len(cases)} simulated", prepare=around_slices)


def around_config(kind: str, seed: int = 0) -> PhantomCohortConfig:
    """How patients of one kind are simulated and cut."""
    shapes: dict[str, dict[str, Any]] = {
        "axial": {"slice_mm": AXIAL_MM},
        "even": {"slice_mm": EVEN_MM, "pixel_mm": EVEN_PIXEL_MM},
        "picture": {"slice_mm": PICTURE_MM, "plain": True},
    }
    cut: dict[str, dict[str, Any]] = {"axial": {}, "even": {"every": EVEN_EVERY}, "picture": {"apart": True}}
    return PhantomCohortConfig(
        phantom=AROUND.model_copy(update=shapes[kind]),
        size=128,
        merge="whole-tumour",
        grid="slices",
        seed=seed,
        jobs=1,
        **cut[kind],
    )


def around_cases(kind: str, count: int, seed: int) -> list[Case]:
    """Patients of one kind: a case each, or one for each plane, with the kind or the plane in its name."""
    config = around_config(kind, seed)
    if kind != "even":
        most = PICTURES if kind == "picture" else None
        cases = [coarse_case(seed, number, config, most=most) for number in range(count)]
        return [named(case, kind, f"{kind}-{case.name}") for case in cases]
    # Both planes of a patient are cut one after the other: he is simulated once, and nobody is kept.
    latest = lru_cache(maxsize=1)(partial(simulate, config=config.phantom))
    found = []
    for number, case in enumerate(phantom_cases(count, seed, config.phantom)):
        patient = f"{kind}-{case.name}"
        for plane in ("coronal", "sagittal"):
            load = partial(study_of, latest, seed, number)
            found.append(replace(named(case, plane, patient), load=load))
    return found


def study_of(simulated: Callable[[int, int], Patient], seed: int, number: int) -> Study:
    """What is to be seen of a simulated patient."""
    return simulated(seed, number).study


def named(case: Case, kind: str, patient: str) -> Case:
    """The case under a name that tells its kind, and no patient of one kind is one of another."""
    return replace(case, name=f"{kind}-{case.name}", patient=patient)


def around_slices(
    case: Case, config: PrepareConfig, modalities: tuple[str, ...], thumbnails_per_case: int
) -> PreparedCase | Skipped:
    """The slices of one case as ``pack`` wants them, cut as its name says."""
    kind = case.name.partition("-")[0]
    if kind == "axial":
        return prepare_coarse(case, around_config(kind), modalities, thumbnails_per_case)
    if kind != "picture":
        own = around_config("even").model_copy(update={"plane": kind})
        return prepare_case(case, own, modalities, thumbnails_per_case)
    found = prepare_coarse(case, around_config(kind), (PLAIN_MODALITY,), thumbnails_per_case)
    return found if isinstance(found, Skipped) else in_place_of_flair(found, modalities)


def in_place_of_flair(found: PreparedCase, modalities: tuple[str, ...]) -> PreparedCase:
    """Pictures as `detect` shows them: in FLAIR's channel whatever their sequence, and each without neighbours."""
    images = np.zeros((len(found.images), len(modalities), *found.images.shape[2:]), np.float16)
    images[:, modalities.index("flair")] = found.images[:, 0]
    records = [
        {
            # Neighbours are looked for within a case.
            **{key.replace(PLAIN_MODALITY, "flair"): value for key, value in record.items()},
            "case": f"{record['case']}-{record['slice']}",
            "missing": "+".join(name for name in modalities if name != "flair"),
        }
        for record in found.records
    ]
    return replace(found, images=images, records=records)


if __name__ == "__main__":
    main()
