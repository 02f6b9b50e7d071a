"""BIDS 1.10 (Gorgolewski et al., Scientific Data 3, 2016): anatomical images by subject, masks as a derivative.

dataset_description.json, participants.tsv, participants.json, README.md
sub-XX/[ses-YY/]anat/sub-XX_[ses-YY_]FLAIR.nii.gz and .json
derivatives/masks/sub-XX/anat/sub-XX_dseg.nii.gz, with dseg.tsv, which names the labels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthoma._version import __version__
from synthoma.core.errors import InputError
from synthoma.core.untrusted import visible
from synthoma.core.whole_files import write_json, write_text
from synthoma.exports.cases import Piece, distinct, image_of, mask_of
from synthoma.exports.job import LISTING, Job
from synthoma.exports.labels import Labels
from synthoma.exports.marks import facts, mark
from synthoma.scans.volumes import write_volume

VERSION = "1.10.0"
NAMES = {"t1": "T1w", "t1c": "ce-gadolinium_T1w", "t2": "T2w", "flair": "FLAIR", "pd": "PDw", "t2star": "T2starw"}
"""Sequence -> the end of its file's name."""
_COLOURS = ("#ff5a46", "#5adc78", "#5aaaff", "#cd78ff")
IGNORED = f"{LISTING}\nexport.json\nchecksums.json\n"


@dataclass(frozen=True)
class Placed:
    """Where a piece lies: subject, and session where the subject has several."""

    piece: Piece
    subject: str
    session: str

    @property
    def folder(self) -> Path:
        """Of its images, below the root."""
        return Path(self.subject, self.session, "anat") if self.session else Path(self.subject, "anat")

    @property
    def stem(self) -> str:
        """With which names of its files begin."""
        return "_".join(filter(None, (self.subject, self.session)))


def write(job: Job) -> list[Piece]:
    """Write a cohort, and return its cases.

    Raises:
        InputError: a sequence that BIDS has no name for.
    """
    channels = job.channels()
    if unknown := [name for name in channels if name.lower() not in NAMES]:
        todo = "choose others with --sequences, or use --to nifti"
        raise InputError(f"sequences that BIDS has names for: {', '.join(NAMES)}", repr(unknown[0]), todo)
    found = job.volumes()
    placed = placed_pieces(found)
    _write_top(job, placed)
    masks = job.folder / "derivatives" / "masks"
    if any(one.piece.outlined for one in placed):
        write_derivative(masks, f"{job.title}: tumour masks", job.labels)
    where = {one.piece.name: one for one in placed}
    for piece in job.each(found):
        one = where[piece.name]
        (job.folder / one.folder).mkdir(parents=True)
        for name, channel in channels.items():
            if name not in piece.missing:
                _write_image(job, one, name, channel)
        if piece.outlined:
            (masks / one.folder).mkdir(parents=True)
            place = masks / one.folder / f"{one.stem}_dseg.nii.gz"
            write_volume(mask_of(job.cohort, piece, job.labels), place, description=mark(job.cohort))
            write_json(place.with_name(f"{one.stem}_dseg.json"), {"Description": mark(job.cohort)})
    return found


def placed_pieces(found: Sequence[Piece]) -> list[Placed]:
    """Subjects are patients; where nobody knows those, cases. Several cases of a patient are sessions, in order."""
    keys = [piece.patient or piece.case for piece in found]
    whole = list(dict.fromkeys(keys))
    subjects = dict(zip(whole, distinct(whole, ascii_only=True), strict=True))
    own: dict[str, list[Piece]] = {}
    for key, piece in zip(keys, found, strict=True):
        own.setdefault(key, []).append(piece)
    sessions: dict[str, str] = {}
    for studies in own.values():
        names = distinct([one.visit or f"{number:02d}" for number, one in enumerate(studies, 1)], ascii_only=True)
        told = [f"ses-{name}" if len(studies) > 1 else "" for name in names]
        sessions |= dict(zip((one.name for one in studies), told, strict=True))
    return [Placed(piece, f"sub-{subjects[key]}", sessions[piece.name]) for piece, key in zip(found, keys, strict=True)]


def write_derivative(folder: Path, title: str, labels: Labels) -> None:
    """Begin a data set of masks: what it is, and what their values mean."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "Name": title,
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "Synthoma", "Version": __version__}],
    }
    write_json(folder / "dataset_description.json", described)
    rows = ["index\tname\tcolor", "0\tbackground\t#000000"]
    rows += [f"{value}\t{_cell(name)}\t{_COLOURS[(value - 1) % 4]}" for value, name in labels.names.items()]
    write_text(folder / "dseg.tsv", "\n".join(rows) + "\n")


def _write_image(job: Job, one: Placed, name: str, channel: int) -> None:
    place = job.folder / one.folder / f"{one.stem}_{NAMES[name.lower()]}.nii.gz"
    write_volume(image_of(job.cohort, one.piece, channel), place, description=mark(job.cohort))
    content = {
        **{f"Synthoma{key}": value for key, value in facts(job.cohort, one.piece.rows[0]).items()},
        "Units": "arbitrary",
        "Split": one.piece.split,
        **({} if one.piece.measured else {"SpacingKnown": False}),
    }
    write_json(place.with_name(f"{one.stem}_{NAMES[name.lower()]}.json"), content)


def _write_top(job: Job, placed: Sequence[Placed]) -> None:
    """What stands beside the subjects."""
    described = {
        "Name": job.title,
        "BIDSVersion": VERSION,
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "Synthoma", "Version": __version__, "Description": mark(job.cohort)}],
    }
    write_json(job.folder / "dataset_description.json", described)
    write_text(job.folder / ".bidsignore", IGNORED)
    rows = {one.subject: one.piece for one in placed}
    lines = ["participant_id\tgroup\tsplit\tlabel\torigin"]
    for subject, piece in rows.items():
        texts = (piece.group, piece.split, piece.label, job.cohort.origin)
        lines.append("\t".join((subject, *map(_cell, texts))))
    write_text(job.folder / "participants.tsv", "\n".join(lines) + "\n")
    meanings = {
        "group": "what no split separates: a patient, or a set of near-duplicates",
        "split": "train, validation or test",
        "label": "class",
        "origin": "real, phantom or synthetic",
    }
    write_json(job.folder / "participants.json", {name: {"Description": text} for name, text in meanings.items()})


def _cell(text: str) -> str:
    return visible(text) or "n/a"
