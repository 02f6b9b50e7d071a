"""Scans from files: changed on their own grid, written beside their masks, and read again as a cohort."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from synthoma._version import __version__
from synthoma.core.errors import InputError
from synthoma.core.progress import Progress, silent
from synthoma.core.types import CAVITY, REGIONS, WHOLE_TUMOUR, Array, Bytes, tumour_labels, tumour_of
from synthoma.core.untrusted import file_name
from synthoma.core.whole_files import write_bytes, write_json
from synthoma.painting.scan import Scan, Spacing, raised, unmeasured
from synthoma.painting.stacks import Change, Changed
from synthoma.scans.case import Case, Inventory, Skipped, Study, Volume
from synthoma.scans.files import PICTURES, kind_of
from synthoma.scans.layouts.loading import load_mask, on_grid, tumour_in_picture
from synthoma.scans.layouts.part_of_case import load_despite_mask
from synthoma.scans.orientation import from_lps, to_lps
from synthoma.scans.parents import COLUMN, PARENT
from synthoma.scans.synthetic_marks import PAINTED

NOTICE = PAINTED + " {done} by Synthoma, not a patient's scan, not for diagnosis"
FOLDER = "scans"
Found = Callable[[Case, Study], Bytes | None]
"""What finds the mask of a scan that has none, on the scan's own grid."""


def scan_of(study: Study) -> Scan:
    """A study as painters see it."""
    upright = to_lps(study)
    images, floors = raised({name: np.ascontiguousarray(image, np.float32) for name, image in upright.images.items()})
    mask = None if upright.mask is None else np.ascontiguousarray(upright.mask)
    if upright.geometry is None:
        spacing, text = unmeasured(images)
        return Scan(images, spacing, mask, (text,), floors)
    x, y, z = upright.geometry.spacing
    sides: Spacing = (z, y, x)
    return Scan(images, sides, mask, floors=floors)


@dataclass(frozen=True)
class Written:
    """Changed scans in a folder.

    Attributes:
        inventory: them as cases that can be prepared.
        patients: whose scans they were.
        remarks: for the user.
    """

    inventory: Inventory
    patients: frozenset[str]
    remarks: tuple[str, ...]


def write_scans(
    inventory: Inventory, folder: Path, done: str, change: Change, *, copies: int = 1, found: Found | None = None,
    drawn: bool = False, progress: Progress = silent,
) -> Written:  # fmt: skip
    """Change every scan and write it, with its mask, into ``folder/scans``: NIfTI; of single pictures PNG.

    Masks tell sub-regions apart, unless that of any scan shows a tumour of which nobody told them: then all say tumour
    or not, as those of one cohort must agree.

    Args:
        inventory: the scans.
        folder: an existing folder.
        done: "painted" or "removed".
        change: what to do with each.
        copies: versions of each.
        found: finds the mask of scans that have none.
        drawn: whether the user's own mask stands for that of the scan, be that one fit for use or not.
        progress: told how far it is.

    Raises:
        InputError: none could be changed.
    """
    (folder / FOLDER).mkdir()
    cases, skipped, patients, remarks = list[_Kept](), list(inventory.skipped), set[str](), list[str]()
    for number, case in enumerate(inventory.cases):
        place = case.sources[0] if case.sources else Path(case.name)
        try:
            study = load_despite_mask(case.load)
            if study.refused is not None and not drawn:
                # Where a tumour is already nobody knows then: what is painted might lie in it, and hide it.
                raise study.refused
            if found is not None and study.mask is None:
                study = _with_mask(study, found(case, study))
            scan = scan_of(study)
            remarks += [f"{case.name}: {text}" for text in (*study.remarks, *scan.remarks)]
            for copy in range(copies):
                name = file_name(f"{case.name}-{done}" + (f"-{copy + 1}" if copies > 1 else ""))
                new = change(number * copies + copy, case.name, scan)
                cases.append(_written(folder / FOLDER, name, case, study, new, done))
                # With each copy: one that is kept names its patient, though the next one may fail. Where no patient is
                # known it is the case, whose name the group of a prepared cohort then bears.
                patients.add(case.patient or case.name)
        except InputError as error:
            skipped.append(Skipped(place, str(error)))
        except (OSError, ValueError, MemoryError) as error:  # a decoder's own words
            reason = InputError("a readable scan", f"{type(error).__name__}: {error}", "re-export it, or remove it")
            skipped.append(Skipped(place, str(reason)))
        progress(f"{done} scans", number + 1, len(inventory.cases))
    if not cases:
        first = skipped[0].reason if skipped else "nothing there"
        raise InputError(
            f"a scan in which a tumour can be {done}",
            f"none of {len(inventory.cases)}; the first: {first}",
            "see docs/paint.md",
        )
    if any(not one.told_apart for one in cases):
        cases = [one.whole() for one in cases]
    changed = tuple(one.case() for one in cases)
    kept = Inventory(done, changed, tuple(skipped), tuple(dict.fromkeys(remarks)))
    return Written(kept, frozenset(patients), tuple(dict.fromkeys(remarks)))


def _with_mask(study: Study, mask: Bytes | None) -> Study:
    if mask is None or not mask.any():
        raise InputError(
            "a tumour to remove", "a scan in which none was found", "give its mask with --mask, or leave it out"
        )
    return Study(study.images, study.geometry, mask, dict(WHOLE_TUMOUR), study.remarks)


@dataclass(frozen=True)
class _Kept:
    """A changed scan that was written.

    Attributes:
        folder: where; it bears the scan's name.
        of: the case that it was made from.
        images: files by modality.
        mask: file of the mask.
        labels: what its values mean.
        told_apart: whether a tumour of the scan itself, if its mask still shows any, is told apart by sub-regions.
        about: what stands in the file beside it.
    """

    folder: Path
    of: Case
    images: Mapping[str, str]
    mask: str
    labels: Mapping[int, str]
    told_apart: bool
    about: Mapping[str, float | str]

    @property
    def parent(self) -> str:
        """Whose scan it was; of a scan that was changed before, the patient at the beginning."""
        return self.of.patient or self.of.name

    def tell(self, notice: str) -> None:
        """Write what it is beside it; readers take the meaning of the mask's values from there."""
        head = {"Notice": notice, "Software": f"synthoma {__version__}"}
        labels = {str(value): name for value, name in sorted(self.labels.items())}
        told = {**head, PARENT: self.parent, "Labels": labels, **self.about}
        write_json(self.folder / f"{self.folder.name}.json", told)

    def whole(self) -> _Kept:
        """The same with a mask that says tumour or not."""
        path = self.folder / self.mask
        described = json.loads((self.folder / f"{self.folder.name}.json").read_text())
        notice = str(described["Notice"])
        if path.suffix == ".png":
            _write_picture(_as_whole(load_mask(path)[0]), path, notice)
        else:
            from synthoma.scans.volumes import read_volume, write_volume

            stored = read_volume(path)
            write_volume(Volume(_as_whole(stored.voxels), stored.geometry), path, description=notice)
        cavity = {value: name for value, name in self.labels.items() if value in CAVITY}
        plain = replace(self, labels=WHOLE_TUMOUR | cavity)
        plain.tell(notice)
        return plain

    def case(self) -> Case:
        """The case that reads it again."""
        of = self.of
        return Case(
            name=self.folder.name,
            patient=self.parent,
            modalities=tuple(self.images),
            load=partial(
                load_written, self.folder, tuple(self.images.items()), self.mask, tuple(sorted(self.labels.items()))
            ),
            has_mask=True,
            site=of.site,
            visit=of.visit,
            sources=tuple(self.folder / file for file in self.images.values()),
            facts={**of.facts, COLUMN: self.parent, **self.about},
        )


def _as_whole(mask: Array) -> Bytes:
    """Tumour or not, and what an operation left behind."""
    codes = mask.astype(np.uint8)
    return np.where(tumour_of(codes), 1, codes).astype(np.uint8)


def _written(folder: Path, name: str, case: Case, study: Study, new: Changed, done: str) -> _Kept:
    """Write one changed scan."""
    from synthoma.scans.volumes import write_volume

    place = folder / name
    place.mkdir()
    where = from_lps(new.where, study.geometry)
    mask = np.ascontiguousarray(from_lps(new.mask, study.geometry)).astype(np.uint8)
    picture = len(mask) == 1 and study.geometry is None
    notice = NOTICE.format(done=done)
    names = {}
    for modality, image in study.images.items():
        values = _as_stored(image, from_lps(new.images[modality], study.geometry), where)
        if picture and values.dtype == np.uint8:
            names[modality] = f"{name}_{modality}.png"
            _write_picture(values[0], place / names[modality], notice)
        else:
            names[modality] = f"{name}_{modality}.nii.gz"
            write_volume(Volume(values, study.geometry), place / names[modality], description=notice)
    seg = f"{name}_seg.png" if picture else f"{name}_seg.nii.gz"
    if picture:
        _write_picture(mask[0], place / seg, notice)
    else:
        write_volume(Volume(mask, study.geometry), place / seg, description=notice)
    before = study.mask is not None and bool(tumour_of(mask)[tumour_of(study.mask)].any())
    told_apart = not before or set(tumour_labels(study.labels).values()) != {"tumour"}
    labels = REGIONS | {value: name for value, name in study.labels.items() if value in CAVITY}
    kept = _Kept(place, case, names, seg, labels, told_apart, dict(new.facts))
    kept.tell(notice)
    return kept


def _as_stored(before: Array, after: Array, where: Array) -> Array:
    """Changed grey values in the type that the scan came in; all others bit for bit."""
    values = after
    if np.issubdtype(before.dtype, np.integer):
        limits = np.iinfo(before.dtype)
        # Rounded and cut: a cast alone takes the floor, and wraps bright tumours round to black.
        values = np.clip(np.rint(after), limits.min, limits.max)
    return np.where(where, values.astype(before.dtype), before)


def _write_picture(pixels: Bytes, path: Path, notice: str) -> None:
    content = PngInfo()
    content.add_text("Notice", notice)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, pnginfo=content)


def load_written(
    folder: Path, images: Sequence[tuple[str, str]], mask: str, labels: Sequence[tuple[int, str]]
) -> Study:
    """Read a changed scan again.

    Raises:
        InputError: files that cannot be read.
    """
    from synthoma.scans.images import read_image
    from synthoma.scans.volumes import read_volume

    found, geometry = {}, None
    for name, file in images:
        if file.endswith(".png"):
            found[name] = read_image(folder / file)[None]
        else:
            volume = read_volume(folder / file)
            found[name], geometry = volume.voxels, volume.geometry
    return Study(found, geometry, load_mask(folder / mask).astype(np.uint8), dict(labels))


def write_mask(mask: Bytes, study: Study, stem: Path) -> Path:
    """Keep a mask as painters see it, upright, in a file that ``own_mask`` reads: PNG for a picture, else NIfTI.

    Args:
        mask: uint8 (z, y, x), axes as those of ``to_lps``.
        study: the scan that it belongs to.
        stem: of the file, without ending.

    Returns:
        The file.
    """
    geometry = to_lps(study).geometry
    if geometry is None and len(mask) == 1:
        from synthoma.core.pictures import png

        path = stem.with_name(f"{stem.name}.png")
        write_bytes(path, png((mask[0] > 0).astype(np.uint8) * 255))
        return path
    from synthoma.scans.volumes import write_volume

    path = stem.with_name(f"{stem.name}.nii.gz")
    write_volume(Volume(mask, geometry), path)
    return path


def own_mask(path: Path, study: Study) -> Bytes:
    """A mask that the user drew, on the grid of a study, upright as ``scan_of`` makes it.

    As the masks of scans, it may be cropped or stored with its axes turned: it is put in its place by its header.

    Raises:
        InputError: a file that cannot be read, another grid, or unknown values.
    """
    if kind_of(path) in PICTURES:
        codes = load_mask(path)
        codes = codes if set(np.unique(codes).tolist()) <= {0, *REGIONS} else tumour_in_picture(codes[0])[None]
        stored = Volume(codes)
    else:
        from synthoma.scans.volumes import read_volume

        stored = read_volume(path)
    codes = on_grid(stored, study).voxels
    if not np.array_equal(codes, np.rint(codes)) or codes.min() < 0 or codes.max() > 255:
        raise InputError(
            "a mask of whole numbers", f"values from {codes.min():g} to {codes.max():g}", "save it as labels"
        )
    mask = np.asarray(codes, np.uint8)
    upright = to_lps(Study(study.images, study.geometry, mask, {int(v): "tumour" for v in np.unique(mask)}))
    assert upright.mask is not None
    return np.ascontiguousarray(upright.mask)
