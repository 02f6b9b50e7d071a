"""nnU-Net v2 raw data sets (Isensee et al., Nature Methods 18, 2021; documentation/dataset_format.md of nnunetv2).

DatasetXXX_NAME/dataset.json         channels, labels (regions where they contain one another), number of cases
DatasetXXX_NAME/imagesTr, labelsTr   training and validation cases: NAME_0000.nii.gz, NAME.nii.gz
DatasetXXX_NAME/imagesTs, labelsTs   test cases
DatasetXXX_NAME/splits_final.json    who is held out; nnU-Net reads it from its folder of preprocessed data
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import InputError
from synthoma.core.types import CAVITY
from synthoma.core.whole_files import write_json
from synthoma.exports.cases import Piece, image_of, letters, mask_of
from synthoma.exports.job import Job, need_masks
from synthoma.exports.labels import Labels
from synthoma.exports.marks import mark
from synthoma.scans.volumes import write_volume

FOLDS = 5
ENDING = ".nii.gz"


def write(job: Job) -> list[Piece]:
    """Write a cohort, and return the cases that have masks.

    Raises:
        InputError: no masks, or no cases to train on.
    """
    cohort, channels = job.cohort, job.channels()
    found = need_masks(job.volumes(), "nnU-Net")
    training = [piece for piece in found if piece.split != "test"]
    if not training:
        raise InputError("cases of the train or validation split", "a cohort of the test split alone", "split it")
    root = job.folder / dataset_name(job)
    root.mkdir()
    for piece in job.each(found):
        part = "Ts" if piece.split == "test" else "Tr"
        for number, channel in enumerate(channels.values()):
            place = _folder(root, f"images{part}") / f"{piece.name}_{number:04d}{ENDING}"
            write_volume(image_of(cohort, piece, channel), place, description=mark(cohort))
        place = _folder(root, f"labels{part}") / f"{piece.name}{ENDING}"
        write_volume(mask_of(cohort, piece, job.labels), place, description=mark(cohort))
    described = {
        # nnU-Net scales a channel called CT by fixed values, and all others each by its own mean and deviation.
        "channel_names": {
            str(number): "MRI CT" if name.lower() == "ct" else name for number, name in enumerate(channels)
        },
        **label_entries(job.labels),
        "numTraining": len(training),
        "file_ending": ENDING,
        "name": job.title,
        "description": job.sentence,
        "reference": "Synthoma",
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    write_json(root / "dataset.json", described)
    if folds := folds_of(cohort, training):
        write_json(root / "splits_final.json", folds)
    return found


def dataset_name(job: Job) -> str:
    """Name of the folder: a number of three digits, and letters."""
    return f"Dataset{job.options.number:03d}_{letters(job.title)}"


def label_entries(labels: Labels) -> dict[str, object]:
    """``labels`` of dataset.json, and for regions the order in which they are drawn over one another."""
    regions = labels.regions()
    if not regions:
        return {"labels": {"background": 0, **{name: value for value, name in labels.names.items()}}}
    # Drawn from the largest inwards, each region leaves the part of it that no later one covers.
    names = list(regions)
    cavity = [name for name in names if name in CAVITY.values()]
    inwards = [name for name in names if name not in cavity]
    order = [
        *(_own(regions[name], regions[inner]) for name, inner in pairwise(inwards)),
        *regions[inwards[-1]],
        *(value for name in cavity for value in regions[name]),
    ]
    entries = {name: values if len(values) > 1 else values[0] for name, values in regions.items()}
    return {"labels": {"background": 0, **entries}, "regions_class_order": order}


def _own(outer: Sequence[int], inner: Sequence[int]) -> int:
    """The one value of a region that the next smaller one has not."""
    (value,) = set(outer) - set(inner)
    return value


def folds_of(cohort: Cohort, training: Sequence[Piece]) -> list[dict[str, list[str]]]:
    """Pairs of names for training and validation, no patient on both sides; none where there is one patient alone.

    The folds of the cohort; without them its train and validation part; without a validation part five folds of
    groups.
    """
    if "fold" in cohort.slices:
        folds = {piece.name: str(cohort.slices["fold"].iat[piece.rows[0]]) for piece in training}
    elif {piece.split for piece in training} == {"train", "validation"}:
        held = {piece.name for piece in training if piece.split == "validation"}
        return [_pair(training, held)]
    else:
        groups = {group: str(at % FOLDS) for at, group in enumerate(sorted({piece.group for piece in training}))}
        folds = {piece.name: groups[piece.group] for piece in training}
    if len(set(folds.values())) < 2:
        return []
    return [_pair(training, {name for name in folds if folds[name] == fold}) for fold in sorted(set(folds.values()))]


def _pair(training: Sequence[Piece], held: set[str]) -> dict[str, list[str]]:
    names = sorted(piece.name for piece in training)
    return {"train": [name for name in names if name not in held], "val": [name for name in names if name in held]}


def _folder(root: Path, name: str) -> Path:
    (root / name).mkdir(exist_ok=True)
    return root / name
