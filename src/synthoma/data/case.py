"""A case is one study of one patient: its modalities, its mask, where it lies in space, and how to load it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synthoma.errors import InputError
from synthoma.types import Array, Bytes

Vector3 = tuple[float, float, float]
Direction = tuple[float, float, float, float, float, float, float, float, float]
IDENTITY: Direction = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Geometry:
    """Where a voxel grid lies in the patient, in millimetres, LPS axes (x to the patient's left, y to the back, z up).

    ``spacing`` and ``origin`` are ordered (x, y, z); ``direction`` is the row-major 3x3 matrix whose columns are the
    grid's axes, all as SimpleITK gives them. Arrays are indexed (z, y, x). Where a single slice does not say how thick
    it is, ``thick`` is False and 1 mm stands for its thickness: it has no volume in mm3.
    """

    spacing: Vector3
    origin: Vector3 = (0.0, 0.0, 0.0)
    direction: Direction = IDENTITY
    thick: bool = True


@dataclass(frozen=True)
class Volume:
    """A voxel grid (z, y, x), and its geometry where the file states one. A single picture has z = 1."""

    voxels: Array
    geometry: Geometry | None = None


@dataclass(frozen=True)
class Study:
    """What loading a case gives: modalities on one common grid, and the mask.

    Attributes:
        images: modality name -> array (z, y, x), any numeric type, all of one shape.
        geometry: of that common grid; None where the files do not say.
        mask: uint8 labels (z, y, x), or None where the case has no mask.
        labels: what each mask value means, for example {1: "core", 2: "oedema", 3: "enhancing"} or {1: "tumour"}.
        remarks: what its reader should know.

    Raises:
        InputError: shapes that differ, or a mask value that ``labels`` does not name.
    """

    images: Mapping[str, Array]
    geometry: Geometry | None = None
    mask: Bytes | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

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
    sources: tuple[Path, ...] = ()
    slice_names: tuple[str, ...] = ()
    facts: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, and why: what was expected, what came, what to do."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Inventory:
    """What a folder holds: its layout's name, the cases found, the files skipped, and remarks for the user."""

    layout: str
    cases: tuple[Case, ...]
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()
