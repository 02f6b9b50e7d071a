"""A case is one study of one patient: its modalities, its mask, where it lies in space, and how to load it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.types import Array, Bytes
from synthoma.scans.conventions import Decision

Vector3 = tuple[float, float, float]
Direction = tuple[float, float, float, float, float, float, float, float, float]
IDENTITY: Direction = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class NiftiFrames:
    """What a NIfTI header says about space, number by number, so that what is written on its grid can say the same.

    Attributes:
        qform_code: what the quaternion's frame is, 1 to 5; 0 where it is not to be used.
        sform_code: what the matrix's frame is, 1 to 5; 0 where it is not to be used.
        pixdim: sign of the third axis, and the voxel's sides.
        quaternion: b, c, d.
        offset: place of the first voxel beside the quaternion.
        sform: the three rows of the matrix, one after the other.
        units: the field ``xyzt_units``.
    """

    qform_code: int
    sform_code: int
    pixdim: tuple[float, ...]
    quaternion: tuple[float, ...]
    offset: tuple[float, ...]
    sform: tuple[float, ...]
    units: int


@dataclass(frozen=True)
class Geometry:
    """Where a voxel grid lies in the patient, in millimetres, LPS axes (x to the patient's left, y to the back, z up).

    ``spacing`` and ``origin`` are ordered (x, y, z); ``direction`` is the row-major 3x3 matrix whose columns are the
    grid's axes, all as SimpleITK gives them. Arrays are indexed (z, y, x). Where a single slice does not say how thick
    it is, ``thick`` is False and 1 mm stands for its thickness: it has no volume in mm3. Where the file does not say
    how the grid lies in the patient (Analyze, NIfTI without a form), ``placed`` is False and the place is a convention.
    ``stated`` is what a NIfTI file itself said.
    """

    spacing: Vector3
    origin: Vector3 = (0.0, 0.0, 0.0)
    direction: Direction = IDENTITY
    thick: bool = True
    # Not compared: grids are the same where their voxels lie in the same places, whatever their files said.
    placed: bool = field(default=True, compare=False)
    stated: NiftiFrames | None = field(default=None, compare=False, repr=False)


_WIDEST_MM = 600.0
"""More than the bore of a scanner."""

_FINEST_MM = 0.3
_NARROWEST_MM = 50.0
"""A head narrower than that, of pixels finer than those of nearly all scans: cm or m that were written as mm."""


def unlike_a_head(pixel_mm: Sequence[float], pixels: Sequence[int]) -> str:
    """What to say of slices that are too large or too small for a head, as of a header in other units; "" of others.

    Args:
        pixel_mm: sides of a pixel.
        pixels: how many there are along the same sides.
    """
    wide = max(side * count for side, count in zip(pixel_mm, pixels, strict=True))
    if wide <= _WIDEST_MM and not (wide < _NARROWEST_MM and min(pixel_mm) < _FINEST_MM):
        return ""
    return f"its header makes each slice {wide:.3g} mm wide, which no head is: sizes in mm and ml are as wrong as that"


@dataclass(frozen=True)
class Volume:
    """A voxel grid (z, y, x), its geometry where the file states one, and what its reader should know of the file.

    A single picture has z = 1.
    """

    voxels: Array
    geometry: Geometry | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """What loading a case gives: modalities on one common grid, and the mask.

    Attributes:
        images: modality name -> array (z, y, x), any numeric type, all of one shape.
        geometry: of that common grid; None where the files do not say.
        mask: uint8 labels (z, y, x), or None where the case has no mask.
        labels: what each mask value means: {1: "core", 2: "oedema", 3: "enhancing"} or {1: "tumour"}, each with or
            without {4: "cavity"}.
        remarks: what its reader should know.
        facts: further columns worth keeping, known only once it is loaded (how a series was moved).
        refused: what is wrong with the mask that lies beside it and is not used; None where there is no such mask.

    Raises:
        InputError: shapes that differ, or a mask value that ``labels`` does not name.
    """

    images: Mapping[str, Array]
    geometry: Geometry | None = None
    mask: Bytes | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    facts: Mapping[str, str | float] = field(default_factory=dict)
    refused: InputError | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        shapes = {name: image.shape for name, image in self.images.items()}
        if self.mask is not None:
            shapes["mask"] = self.mask.shape
        if len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 3:
            came = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items()) or "no image"
            raise InputError("modalities and mask of one shape (z, y, x)", came, "resample them onto one grid first")


@dataclass(frozen=True)
class Case:
    """One study of one patient, not yet loaded.

    Attributes:
        name: unique in its input folder, readable, stable between runs.
        patient: what tells patients apart; None where nobody knows.
        modalities: what ``load`` will give, in the order of ``types.MODALITIES``.
        load: reads the files; picklable, so that cases can be loaded by worker processes. Raises InputError.
        label: class of the case ("tumour", "glioma", ...) where the folder or a table says it.
        has_mask: whether ``load`` gives a mask.
        site: hospital or scanner, where known.
        visit: what tells it from other studies of the patient, where known.
        kin: equal where cases are altered copies of one picture, which no split may separate; "".
        sources: the files it reads, for hashes and messages. Empty for simulated patients.
        slice_names: one source name a slice, where slices are files of their own; else empty.
        facts: further columns worth keeping with the case (grade, tumour volume in ml, ...).
    """

    name: str
    patient: str | None
    modalities: tuple[str, ...]
    load: Callable[[], Study]
    label: str | None = None
    has_mask: bool = False
    site: str | None = None
    visit: str = ""
    kin: str = ""
    sources: tuple[Path, ...] = ()
    slice_names: tuple[str, ...] = ()
    facts: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, and why: what was expected, what came, what to do; and in a word or two, its kind."""

    path: Path
    reason: str
    kind: str = ""

    @property
    def what(self) -> str:
        """Its kind; where nobody gave it one, what was expected in its place."""
        match = re.match(r"(?:[^:]{1,80}: )?expected (.+?); came", self.reason, re.DOTALL)
        return self.kind or (f"not {match[1]}" if match else self.reason)[:70]


@dataclass(frozen=True)
class Inventory:
    """What a folder holds.

    Attributes:
        layout: its layout's name.
        cases: what was found.
        skipped: the files that are not used, with reasons.
        remarks: for the user.
        decisions: what the values of its masks mean, and why.
    """

    layout: str
    cases: tuple[Case, ...]
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
