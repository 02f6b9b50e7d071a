"""Volumes and masks by case, as most programs take them; what MONAI and TorchIO add to it are lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthoma.cohorts.cohort import Cohort
from synthoma.core.whole_files import write_json
from synthoma.exports.cases import Piece, image_of, mask_of
from synthoma.exports.job import Job, by_split, suffix
from synthoma.exports.marks import facts, mark
from synthoma.scans.volumes import write_volume


@dataclass(frozen=True)
class Written:
    """Files of a piece, below the folder of the export.

    Attributes:
        images: by sequence; those that the case lacks are there, and black, where ``whole`` was asked for.
        mask: None where nobody drew one.
    """

    images: dict[str, str]
    mask: str | None


def write(job: Job) -> list[Piece]:
    """Write ``CASE/CASE_flair.nii.gz`` and the like, ``CASE_seg.nii.gz``, and ``CASE.json`` for each case."""
    found = job.volumes()
    for piece in job.each(found):
        _write_case(job, piece, whole=False)
        labels = {str(value): name for value, name in job.labels.names.items()} if piece.outlined else {}
        known = {"Split": piece.split, "Patient": piece.patient, "Group": piece.group, "Labels": labels}
        gaps = {"Slices left black": ", ".join(map(str, piece.black))} if piece.black else {}
        content = {**facts(job.cohort, piece.shown), **known, **gaps}
        write_json(job.folder / piece.name / f"{piece.name}.json", content)
    return found


def write_monai(job: Job) -> list[Piece]:
    """Write volumes by case, and ``datalist.json`` in the form of the Medical Segmentation Decathlon.

    Its lists are called training, validation and test. Without any masks, a label is the number of the case's class.
    """
    found, classes = job.volumes(), job.cohort.classes
    entries: dict[str, dict[str, object]] = {}
    for piece in job.each(found):
        files = _write_case(job, piece, whole=True)
        label = files.mask if job.cohort.labels else classes.index(piece.label)
        entries[piece.name] = {"image": list(files.images.values()), "label": label, "case": piece.name,
                               "patient": piece.patient, "group": piece.group, "class": piece.label}  # fmt: skip
    lists = {
        "training" if split == "train" else split: [
            entries[piece.name] for piece in part if _labelled(job.cohort, piece)
        ]
        for split, part in by_split(found).items()
    }
    unlabelled = [{**entries[piece.name], "label": None} for piece in found if not _labelled(job.cohort, piece)]
    described = {
        "name": job.title,
        "description": job.sentence,
        "tensorImageSize": "3D",
        "modality": {str(number): name for number, name in enumerate(job.channels())},
        "labels": {"0": "background", **{str(value): name for value, name in job.labels.names.items()}}
        if job.cohort.labels
        else {str(number): name for number, name in enumerate(classes)},
        "numTraining": len(lists.get("training", ())),
        "numTest": len(lists.get("test", ())),
        **{name: lists.get(name, []) for name in ("training", "validation", "test")},
        **({"unlabelled": unlabelled} if unlabelled else {}),
    }
    write_json(job.folder / "datalist.json", described)
    return found


def write_torchio(job: Job) -> list[Piece]:
    """Write volumes by case, and ``subjects.json``, from which a few lines make ``torchio.Subject``."""
    found, subjects = job.volumes(), []
    for piece in job.each(found):
        files = _write_case(job, piece, whole=False)
        known = {key: getattr(piece, key) for key in ("name", "patient", "group", "split", "label")}
        subjects.append({**known, "images": files.images, "mask": files.mask})
    labels = {str(value): name for value, name in job.labels.names.items()}
    write_json(job.folder / "subjects.json", {"description": job.sentence, "labels": labels, "subjects": subjects})
    return found


def _labelled(cohort: Cohort, piece: Piece) -> bool:
    return piece.outlined or not cohort.labels


def _write_case(job: Job, piece: Piece, *, whole: bool) -> Written:
    """Write what one piece shows; ``whole`` also black volumes for sequences that it lacks."""
    folder, said = job.folder / piece.name, mark(job.cohort)
    folder.mkdir()
    images = {}
    for name, channel in job.channels().items():
        if whole or name not in piece.missing:
            images[name] = _place(piece.name, suffix(name))
            write_volume(image_of(job.cohort, piece, channel), job.folder / images[name], description=said)
    if not piece.outlined:
        return Written(images, None)
    mask = _place(piece.name, "seg")
    write_volume(mask_of(job.cohort, piece, job.labels), job.folder / mask, description=said)
    return Written(images, mask)


def _place(name: str, kind: str) -> str:
    return str(Path(name) / f"{name}_{kind}.nii.gz")
