"""YOLO data sets as Ultralytics reads them: pictures, a text a picture with a line a region, and data.yaml.

images/train/NAME.png
labels/train/NAME.txt  class, then the outline's points (x y, as shares of width and height); or centre and size
data.yaml              where the splits lie, and names of the classes, numbered from 0
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from synthoma.cohorts.cohort import check_scale
from synthoma.core.errors import InputError
from synthoma.core.whole_files import write_text
from synthoma.exports.cases import Piece, slice_mask_of
from synthoma.exports.instances import Instance, instances, outline
from synthoma.exports.job import Job, by_split, need_masks
from synthoma.exports.pictures import colours_of, picture_of, save

FOLDERS = {"train": "train", "validation": "val", "test": "test"}


def write(job: Job) -> list[Piece]:
    """Write a cohort, and return the slices that have masks.

    Raises:
        InputError: no masks, or nothing to train on.
    """
    check_scale(job.cohort)
    found = need_masks(job.slices(), "a detector of pictures")
    parts = by_split(found)
    if "train" not in parts:
        raise InputError("slices of the train split with masks", f"those of {', '.join(parts)}", "split it otherwise")
    for piece in job.each(found):
        place = FOLDERS[piece.split]
        save(picture_of(job, piece), job.folder / "images" / place / f"{piece.name}.png", job.cohort, piece.rows[0])
        # A slice without a region gets an empty file: with none at all it would not count as healthy.
        lines = [_line(one, boxes=job.options.boxes) for one in instances(slice_mask_of(job.cohort, piece, job.labels))]
        (job.folder / "labels" / place).mkdir(parents=True, exist_ok=True)
        # Whole or not with the folder: one by one, each would be looked for among all others.
        text = "".join(f"{line}\n" for line in lines)
        (job.folder / "labels" / place / f"{piece.name}.txt").write_text(text, encoding="utf-8")
    _write_yaml(job, parts)
    return found


def _line(one: Instance, *, boxes: bool) -> str:
    """A region; numbers are shares of the picture's width and height."""
    height, width = one.region.shape
    if boxes:
        left, top, wide, high = one.box
        numbers = [(left + wide / 2) / width, (top + high / 2) / height, wide / width, high / height]
    else:
        numbers = (outline(one.region) / [width, height]).ravel().tolist()
    return " ".join([str(one.value - 1), *(f"{number:.6f}" for number in numbers)])


def _write_yaml(job: Job, splits: Iterable[str]) -> None:
    """JSON texts are texts of YAML, whatever is in them."""
    lines = [f"# {job.sentence}".replace("\n", " "), "# colours: " + json.dumps(colours_of(job))]
    # The reader wants a val: where there is none, it says so itself, and no patient is looked at twice in silence.
    lines += [f"{FOLDERS[split]}: images/{FOLDERS[split]}" for split in splits]
    lines += ["names:", *(f"  {value - 1}: {json.dumps(name)}" for value, name in job.labels.names.items())]
    write_text(job.folder / "data.yaml", "\n".join(lines) + "\n")
