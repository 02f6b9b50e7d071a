"""Scans and the masks that people found right, as a folder of cases that `prepare` reads, to be learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.errors import InputError
from synthoma.core.outputs import new_folder
from synthoma.core.untrusted import csv_text, file_name, printable
from synthoma.core.whole_files import write_json, write_text
from synthoma.studio import look, pictures
from synthoma.studio.options import MODALITIES, PLAIN
from synthoma.studio.origin import case_of, loaded, origin_of
from synthoma.studio.reviews import Review, Reviews, model_masks
from synthoma.studio.studio import Studio

if TYPE_CHECKING:
    from synthoma.core.types import Array, Bytes
    from synthoma.scans.case import Case, Study

SEQUENCES = (*MODALITIES, PLAIN)
TUMOUR = {1: "tumour"}
WHOLE = "whole-tumour"
NOTE = "scans with masks that a person accepted or corrected in the studio; research only"


@dataclass(frozen=True)
class Taught:
    """One scan whose mask a person found right.

    Attributes:
        folder: its findings.
        at: their address.
        name: of the case.
        review: what was said.
        labels: what values of its mask mean.
        scan: where it lies, as text; empty where the studio may not see it.
        shows: the sequence that a plain picture was said to show; empty where nobody said.
    """

    folder: Path
    at: str
    name: str
    review: Review
    labels: Mapping[int, str] = field(default_factory=dict)
    scan: str = ""
    shows: str = ""


def reviewed(studio: Studio) -> list[Taught]:
    """All scans of the workspace of whose masks somebody said anything, the newest word first."""
    reviews, found = Reviews(studio.store), list[Taught]()
    for one in look.artefacts(studio.places):
        if one.kind != "findings" or not one.at.startswith("w/"):
            continue
        origin = origin_of(studio, studio.places.find(one.at))
        for entry in look.listing(studio.places, one.at):
            folder = studio.places.find(entry.at)
            facts = look.json_of(folder / "findings.json") if entry.folder else {}
            review = reviews.of(folder) if facts else Review()
            if review.verdict:
                name, labels = look.text(facts, "case", 1000), meanings(facts)
                scan, shows = ("", "") if origin is None else (str(origin.place), origin.shows)
                found.append(Taught(folder, entry.at, name, review, labels, scan, shows))
    return sorted(found, key=lambda one: -one.review.made)


def meanings(facts: look.Facts) -> dict[int, str]:
    """What values of a finding's mask mean; of pictures, whose masks are black and white, that it is tumour."""
    names = look.inner(facts, "files").get("mask")
    if isinstance(names, list) and any(str(name).endswith(".png") for name in names):
        return TUMOUR
    named = look.inner(facts, "labels")
    found = {int(value): str(name)[:40] for value, name in named.items() if str(value).isdigit() and 0 < int(value) < 5}
    return dict(sorted(found.items())) or TUMOUR


def convention_of(chosen: Sequence[Taught], *, merge: bool) -> str:
    """What `prepare` is told about the masks' values: decided by the models, never guessed from what is there.

    Raises:
        InputError: masks of two meanings, which are not to be made one.
    """
    kinds = {tuple(one.labels.items()) for one in chosen}
    if merge or kinds == {tuple(TUMOUR.items())}:
        return WHOLE
    if len(kinds) > 1:
        came = "; ".join(sorted(",".join(f"{value}={name}" for value, name in kind) for kind in kinds))
        raise InputError("masks whose values mean one thing", came, "make one label of all that is tumour")
    return ",".join(f"{value}={name}" for value, name in next(iter(kinds)))


def gather(studio: Studio, chosen: Sequence[Taught], target: Path, *, merge: bool) -> int:
    """Write scans and masks into a new folder, with the table ``cases.csv`` that leads `prepare`.

    Args:
        studio: which.
        chosen: what is learned from.
        target: the folder; it appears whole or not at all.
        merge: make one label of all that is tumour.

    Returns:
        How many cases it holds.

    Raises:
        InputError: nothing, a rejected mask, a scan that is not there any more, or one scan with two masks.
    """
    if not chosen:
        raise InputError("accepted or corrected masks to learn from", "none chosen", "accept or correct some first")
    rows, seen, names = list[dict[str, object]](), set[tuple[Path, ...]](), set[str]()
    with new_folder(target) as partial:
        for one in chosen:
            if not one.review.taught:
                raise InputError("masks that somebody found right", "a rejected one", f"leave {_named(one)} out")
            case = case_of(studio, one.folder)
            study = None if case is None else loaded(case)
            if case is None or study is None:
                came = "one that is not there any more, or not in an open folder"
                raise InputError("the scan that was looked at", came, f"leave {_named(one)} out, or look at it again")
            if case.sources in seen:
                todo = f"choose one of {_named(one)}, the one that is right"
                raise InputError("one mask of each scan", "two of one", todo)
            seen.add(case.sources)
            rows += _written(partial, _unused(case.name, names), case, study, one, merge=merge)
        columns = [name for name in SEQUENCES if any(name in row for row in rows)]
        write_text(partial / "cases.csv", csv_text(["patient", "case", "slice", *columns, "mask", "site"], rows))
        write_json(partial / "gathered.json", {"note": NOTE, "masks": [_told(one) for one in chosen]})
    return len(seen)


def _named(one: Taught) -> str:
    """A case for the user's eyes: what is to be done is not logged, what came is."""
    return repr(printable(one.name))


def _told(one: Taught) -> dict[str, object]:
    return {"case": one.name, "verdict": one.review.verdict, "mask": one.review.mask, "findings": one.at}


def _unused(name: str, names: set[str]) -> str:
    """A file name that no other case of the folder has, whatever its capitals."""
    plain = found = file_name(name, 80)
    number = 1
    while found.lower() in names:
        number += 1
        found = f"{plain}-{number}"
    names.add(found.lower())
    return found


def _written(folder: Path, name: str, case: Case, study: Study, one: Taught, *, merge: bool) -> list[dict[str, object]]:
    """One case: volumes with a mask, or pictures with theirs; the lines of the table about it."""
    from synthoma.core.types import tumour_of

    mask = _mask(one, study)
    if merge:
        mask = tumour_of(mask).astype(mask.dtype)
    shows = _sequences(study, one.shows)
    # Nobody known stays nobody, and is said so; altered copies of one picture stay together.
    known: dict[str, object] = {"patient": case.patient or case.kin, "case": name, "site": case.site or ""}
    (folder / name).mkdir()
    if one.review.mask.endswith(".png"):
        slices = [{shown: image[z] for shown, image in shows.items()} for z in range(len(mask))]
        return [
            {**known, "slice": z, **_pictures(folder, name, f"{name}_{z:04d}", images, mask[z - 1])}
            for z, images in enumerate(slices, start=1)
        ]
    from synthoma.scans.case import Volume
    from synthoma.scans.volumes import write_volume

    files = {shown: f"{name}/{name}_{shown}.nii.gz" for shown in shows} | {"mask": f"{name}/{name}_seg.nii.gz"}
    for shown, image in shows.items():
        write_volume(Volume(image, study.geometry), folder / files[shown])
    write_volume(Volume(mask, study.geometry), folder / files["mask"], description=one.review.verdict)
    return [{**known, **files}]


def _sequences(study: Study, said: str) -> dict[str, Array]:
    """Images by column of the table; a plain one under the sequence that somebody said it shows."""
    return {said if name == PLAIN and said else name: image for name, image in study.images.items()}


def _pictures(folder: Path, name: str, stem: str, images: Mapping[str, Array], mask: Bytes) -> dict[str, object]:
    """One slice of pictures and its mask, as PNG.

    Raises:
        InputError: grey values that PNG cannot hold.
    """
    import numpy as np
    from PIL import Image

    files: dict[str, object] = {}
    for shows, image in {**images, "mask": mask * np.uint8(255)}.items():
        if image.dtype not in (np.uint8, np.uint16):
            todo = f"save the picture of {printable(name)!r} in 8 or 16 bits"
            raise InputError("pictures of 8 or 16 bits", f"one of {image.dtype}", todo)
        files[shows] = f"{name}/{stem}_{shows}.png"
        Image.fromarray(np.ascontiguousarray(image)).save(folder / str(files[shows]))
    return files


def _mask(one: Taught, study: Study) -> Bytes:
    """The mask that is right, on the scan's own grid.

    Raises:
        InputError: it lies on another.
    """
    import numpy as np

    from synthoma.scans.grids import same_grid
    from synthoma.scans.volumes import read_volume

    shape = next(iter(study.images.values())).shape
    if one.review.mask.endswith(".png"):
        masks = model_masks(one.folder, look.json_of(one.folder / "findings.json"))
        found = pictures.stack(one.folder, pictures.same_set(masks, one.review.mask)).voxels
        same = True
    else:
        volume = read_volume(one.folder / one.review.mask)
        found = np.asarray(volume.voxels, np.uint8)
        same = volume.geometry is None or study.geometry is None or same_grid(volume.geometry, study.geometry)
    if found.shape != shape or not same:
        todo = f"look at the scan of {_named(one)} again, and correct that"
        raise InputError("a mask on the grid of its scan", "one on another", todo)
    return found
