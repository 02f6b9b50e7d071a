"""COCO instances (Lin et al., ECCV 2014): pictures, and for each split a file of regions with run-length codes.

images/train/NAME.png             8 bits
annotations/instances_train.json  images, annotations (bbox in pixels from the left top, area, RLE), categories
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synthoma.cohorts.cohort import check_scale
from synthoma.core.types import Bytes
from synthoma.core.whole_files import write_json
from synthoma.exports.cases import Piece, slice_mask_of
from synthoma.exports.instances import instances, run_lengths
from synthoma.exports.job import Job, by_split, need_masks
from synthoma.exports.labels import Labels
from synthoma.exports.pictures import colours_of, picture_of, save

Entry = dict[str, object]


def write(job: Job) -> list[Piece]:
    """Write a cohort, and return the slices that have masks.

    Raises:
        InputError: no masks.
    """
    check_scale(job.cohort)
    found = need_masks(job.slices(), "a detector of pictures")
    (job.folder / "annotations").mkdir()
    numbers = {piece.name: number for number, piece in enumerate(found, start=1)}
    regions: dict[str, list[Entry]] = {}
    for piece in job.each(found):
        place = job.folder / "images" / piece.split / f"{piece.name}.png"
        save(picture_of(job, piece), place, job.cohort, piece.rows[0])
        regions[piece.name] = list(regions_of(slice_mask_of(job.cohort, piece, job.labels), numbers[piece.name]))
    size = job.cohort.size
    for split, part in by_split(found).items():
        images: list[Entry] = [
            {"id": numbers[one.name], "file_name": f"{one.name}.png", "width": size, "height": size, "case": one.case,
             "patient": one.patient, "group": one.group, "class": one.label}
            for one in part
        ]  # fmt: skip
        own = [entry for one in part for entry in regions[one.name]]
        about: Entry = {"description": job.sentence, "colours": colours_of(job), "split": split}
        write_json(job.folder / "annotations" / f"instances_{split}.json", content(about, images, own, job.labels))
    return found


def content(about: Entry, images: Sequence[Entry], regions: Sequence[Entry], labels: Labels) -> Entry:
    """A whole file; regions are numbered from 1."""
    return {
        "info": about,
        "licenses": [],
        "images": [*images],
        "annotations": [{"id": number, **entry} for number, entry in enumerate(regions, start=1)],
        "categories": [{"id": value, "name": name, "supercategory": "finding"} for value, name in labels.names.items()],
    }


def regions_of(mask: Bytes, image: int) -> Iterator[Entry]:
    """The regions of a mask (rows, columns) in a picture of this number."""
    for one in instances(mask):
        yield {
            "image_id": image,
            "category_id": one.value,
            "bbox": [float(side) for side in one.box],
            "area": int(one.region.sum()),
            "segmentation": {"counts": run_lengths(one.region), "size": list(mask.shape)},
            "iscrowd": 0,
        }
