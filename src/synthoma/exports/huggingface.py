"""Folders of pictures as Hugging Face ``datasets`` reads them: "imagefolder" with metadata.jsonl in each split.

train/metadata.jsonl   file_name, t1_file_name, mask_file_name, case, patient, label, ...: a line a slice
train/NAME_flair.png   8 bits
train/NAME_mask.png    values of the labels
"""

from __future__ import annotations

import json

from synthoma.cohorts.cohort import check_scale
from synthoma.core.errors import ConfigError
from synthoma.core.untrusted import file_name
from synthoma.core.whole_files import write_text
from synthoma.exports.cases import Piece, slice_mask_of, slice_of
from synthoma.exports.job import Job, by_split, suffix
from synthoma.exports.marks import mark
from synthoma.exports.pictures import grey, save

COLUMNS = ("image", "case", "patient", "group", "label", "outlined", "missing", "origin", "notice")
"""What each line tells; the first sequence is ``image``."""


def write(job: Job) -> list[Piece]:
    """Write a cohort, and return its slices.

    Raises:
        ConfigError: a sequence that is called as a column is.
    """
    check_scale(job.cohort)
    if taken := [name for name in list(job.channels())[1:] if name.lower() in COLUMNS]:
        todo = "put it first with --sequences, or rename it in cohort.json"
        raise ConfigError(f"sequences not called {', '.join(COLUMNS)}", repr(taken[0]), todo)
    found = job.slices()
    lines = {piece.name: _write_slice(job, piece) for piece in job.each(found)}
    for split, part in by_split(found).items():
        text = "".join(json.dumps(lines[piece.name], ensure_ascii=True) + "\n" for piece in part)
        write_text(job.folder / split / "metadata.jsonl", text)
    return found


def _write_slice(job: Job, piece: Piece) -> dict[str, object]:
    """Write the pictures of a slice; what its line of the metadata says: a column of pictures has one in every line."""
    places: dict[str, str] = {}
    folder, row = job.folder / piece.split, piece.rows[0]
    for name, channel in job.channels().items():
        key = "file_name" if not places else f"{file_name(name).replace(' ', '_')}_file_name"
        places[key] = f"{piece.name}_{suffix(name)}.png"
        save(grey(slice_of(job.cohort, piece, channel)), folder / places[key], job.cohort, row)
    if job.cohort.labels:
        places["mask_file_name"] = f"{piece.name}_mask.png"
        save(slice_mask_of(job.cohort, piece, job.labels), folder / places["mask_file_name"], job.cohort, row)
    known = {key: getattr(piece, key) for key in ("case", "patient", "group", "label")}
    return {**places, **known, "outlined": piece.outlined, "missing": "+".join(piece.missing),
            "origin": job.cohort.origin, "notice": mark(job.cohort)}  # fmt: skip
