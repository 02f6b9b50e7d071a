"""The scan behind findings: which one was looked at, whole and on its own grid, whatever files it came in."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.errors import SynthomaError
from synthoma.core.provenance import bytes_digest
from synthoma.studio import look
from synthoma.studio.options import MODALITIES
from synthoma.studio.pictures import are_pictures, flat, size_of
from synthoma.studio.refusal import RefusedError
from synthoma.studio.studio import Studio

if TYPE_CHECKING:
    from synthoma.scans.case import Case, Study

VOLUMES = (".nii", ".nii.gz")
COPIES = "copies"
"""Folder of the studio's own that holds scans of other forms as NIfTI, for the screen."""

_ONE = threading.Lock()
"""Held by who lists a folder or copies a scan: two who look at one scan do it once."""


@dataclass(frozen=True)
class Origin:
    """What was looked at.

    Attributes:
        place: the file or folder that `detect` was given.
        shows: the sequence that a plain picture was said to show; empty where nobody said.
    """

    place: Path
    shows: str = ""

    def cases(self) -> tuple[Case, ...]:
        """All scans that are there; none where they cannot be read."""
        try:
            return _cases(self.place, state_of(self.place))
        except (SynthomaError, OSError):
            return ()

    def case(self, name: str) -> Case | None:
        """The case of a name; None where the scans are not there any more, or are others now."""
        return next((one for one in self.cases() if one.name == name), None)


def origin_of(studio: Studio, findings: Path) -> Origin | None:
    """What findings were made of; None where the studio does not know, or may not see it."""
    job = studio.store.last(str(findings))
    if job is None or job.kind != "detect":
        return None
    try:
        place = studio.places.find(studio.places.address(Path(job.words[1])))
    except RefusedError:
        return None
    said = (word.removeprefix("--shows=") for word in job.words if word.startswith("--shows="))
    return Origin(place, next(said, ""))


def case_of(studio: Studio, folder: Path) -> Case | None:
    """The case that findings of one scan are about; None as in ``origin_of``."""
    origin = origin_of(studio, folder.parent)
    return None if origin is None else origin.case(look.text(look.json_of(folder / "findings.json"), "case", 1000))


def whole(studio: Studio, folder: Path) -> Path | None:
    """The scan of findings at full size as one NIfTI file: itself, or a copy that the studio keeps.

    Args:
        studio: which.
        folder: findings of one scan.
    """
    origin = origin_of(studio, folder.parent)
    if origin is None:
        return None
    if (one := _alone(studio, origin.place)) is not None:
        return one
    return _copied(studio, folder, origin)


def check_fits(scan: Path, folder: Path, masks: Sequence[str]) -> None:
    """See that a scan is still as large as its mask: drawn on another one, a mask could not be saved.

    Args:
        scan: a NIfTI file.
        folder: of the findings.
        masks: names of the model's: one volume, or one picture a slice.

    Raises:
        RefusedError: it has another size.
    """
    from synthoma.scans.volume_headers import read_header

    try:
        size = size_of(folder, masks) if are_pictures(masks) else tuple(read_header(folder / masks[0]).shape)
        found = tuple(read_header(scan).shape)
    except SynthomaError:
        return  # what cannot be read is not shown either: the page says so
    if found != size:
        came = f"one of {'x'.join(map(str, found))} voxels, with a mask of {'x'.join(map(str, size))}"
        raise RefusedError(409, "the scan that was looked at", came, "look at the scan again")


def _alone(studio: Studio, place: Path) -> Path | None:
    """The one NIfTI file that was given, or that an upload holds."""
    if place.is_dir():
        inside = look.listing(studio.places, studio.places.address(place))
        if len(inside) != 1 or inside[0].folder:
            return None
        place = studio.places.find(inside[0].at)
    return place if place.name.endswith(VOLUMES) else None


def _copied(studio: Studio, folder: Path, origin: Origin) -> Path | None:
    """A scan of another form (DICOM, several sequences, one of many) as NIfTI."""
    name = look.text(look.json_of(folder / "findings.json"), "case", 1000)
    with _ONE:
        key = bytes_digest(f"{origin.place}\0{state_of(origin.place)}\0{name}".encode())[:24]
        kept = studio.places.own / COPIES / f"{key}.nii.gz"
        if kept.is_file():
            return kept
        case = origin.case(name)
        study = None if case is None else loaded(case)
        if study is None:
            return None
        from synthoma.scans.case import Volume
        from synthoma.scans.volumes import write_volume

        kept.parent.mkdir(exist_ok=True)
        write_volume(Volume(study.images[_shown(study)], study.geometry or flat()), kept)
        return kept


def loaded(case: Case) -> Study | None:
    """A case on its own grid, without the mask that may lie beside it; None where it cannot be read."""
    from synthoma.scans.layouts.part_of_case import load_despite_mask

    try:
        return load_despite_mask(case.load)
    except (SynthomaError, OSError, ValueError):
        return None


def _shown(study: Study) -> str:
    """The sequence in which tumours are seen best."""
    return next((name for name in MODALITIES if name in study.images), next(iter(study.images)))


@lru_cache(maxsize=8)
def _cases(place: Path, _state: tuple[int, int]) -> tuple[Case, ...]:
    from synthoma.core.pseudonyms import secret_key
    from synthoma.scans.layouts import take_inventory

    return take_inventory(place, key=secret_key(), masks_wanted=False).cases


def state_of(place: Path) -> tuple[int, int]:
    """What changes when a file or the top of a folder is written anew."""
    found = place.stat()
    return found.st_mtime_ns, found.st_size
