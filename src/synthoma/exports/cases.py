"""A cohort as the pieces that other tools know: volumes of whole cases, or single slices, each with its split."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.splits import check_disjoint
from synthoma.core.errors import InputError, LeakError
from synthoma.core.types import Array, Bytes, Float32
from synthoma.core.untrusted import file_name
from synthoma.exports.labels import Labels
from synthoma.scans.case import Geometry, Vector3, Volume
from synthoma.scans.orientation import from_plane

SPLITS = ("train", "validation", "test")
_DEEPEST = 4096
"""Slices between the first and the last of a case, above which its numbers are no places."""
_LONGEST = 100
"""Bytes of a name: file systems take 255, and tools add to it."""


@dataclass(frozen=True)
class Piece:
    """What becomes one volume or picture.

    Attributes:
        name: of its files; no other piece has it, also where capitals do not count.
        case, patient, group, split, label, visit: as slices.csv says. Of a volume with tumour the label is that of the
            slice which shows most of it.
        rows: of the cohort, lowest slice first.
        shown: of these, the one that shows most tumour.
        places: of these rows, from 0; those between them are not in the cohort and stay black.
        spacing: (x, y, z) in mm; 1 where it is not known.
        measured: whether the cohort says how large a pixel is and how far slices lie apart.
        missing: sequences that the case lacks; their voxels are 0.
        outlined: whether somebody drew a mask on all its slices.
    """

    name: str
    case: str
    patient: str
    group: str
    split: str
    label: str
    visit: str
    rows: tuple[int, ...]
    shown: int
    places: tuple[int, ...]
    spacing: Vector3
    measured: bool
    missing: tuple[str, ...]
    outlined: bool

    def only(self, rows: Collection[int]) -> Piece | None:
        """The same with some of its slices; None with none of them."""
        kept = [(row, place) for row, place in zip(self.rows, self.places, strict=True) if row in rows]
        if not kept or len(kept) == len(self.rows):
            return self if kept else None
        first = kept[0][1]
        places = tuple(place - first for _, place in kept)
        shown = self.shown if self.shown in rows else kept[0][0]
        return replace(self, rows=tuple(row for row, _ in kept), places=places, shown=shown)

    @property
    def black(self) -> tuple[int, ...]:
        """Places that the cohort has no slice for."""
        return tuple(sorted(set(range(self.places[-1] + 1)) - set(self.places)))

    @property
    def who(self) -> str:
        """The patient; where nobody knows, the group that no split separates."""
        return self.patient or self.group or self.case


def pieces(cohort: Cohort, *, slices: bool = False) -> list[Piece]:
    """All of a cohort as volumes, or as single slices.

    Slices that do not lie on one grid, or do not say where in their case they lie, are volumes of their own.

    Raises:
        LeakError: a patient, a group or a case in more than one split.
        InputError: a split of another name.
    """
    table = cohort.slices
    _check_splits(table)
    numbers = table["slice"].to_numpy(np.int64) if "slice" in table else np.zeros(len(table), np.int64)
    grids = _grids(table)
    found: list[list[int]] = []
    for positions in table.groupby(table["case"].astype(str), sort=False).indices.values():
        rows = sorted((int(row) for row in positions), key=lambda row: int(numbers[row]))
        whole = not slices and _is_volume([int(numbers[row]) for row in rows], {grids[row] for row in rows})
        found += [rows] if whole else [[row] for row in rows]
    told = _Told.of(table)
    cases = told.texts["case"]
    count = Counter(cases[rows[0]] for rows in found)
    texts = []
    for rows in found:
        case = cases[rows[0]]
        texts.append(case if count[case] == 1 else f"{case[:_LONGEST]}-{numbers[rows[0]]:04d}")
    return [
        _piece(cohort, told, name, rows, [int(numbers[row]) for row in rows])
        for name, rows in zip(distinct(texts), found, strict=True)
    ]


def _check_splits(table: pd.DataFrame) -> None:
    check_disjoint(table)
    sides = table.groupby(table["case"].astype(str))["split"].nunique()
    if (sides > 1).any():
        name = sides.index[sides > 1][0]
        raise LeakError("every case in one split", f"case {name!r} in {sides[name]}", "repair slices.csv")
    if others := sorted(set(table["split"]) - set(SPLITS)):
        raise InputError(f"splits called {', '.join(SPLITS)}", repr(others[0])[:80], "rename it in slices.csv")


def _grids(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """What tells for each row whether it lies on the grid of another."""
    names = [name for name in map(str, table) if name in _OF_GRIDS or name.startswith("box_")]
    return [tuple(map(str, values)) for values in table[names].itertuples(index=False)] or [()] * len(table)


_OF_GRIDS = ("pixel_mm", "step_mm", "height", "width")


def _is_volume(numbers: list[int], grids: set[tuple[str, ...]]) -> bool:
    return len(set(numbers)) == len(numbers) and len(grids) == 1 and numbers[-1] - numbers[0] < _DEEPEST


@dataclass(frozen=True)
class _Told:
    """What slices.csv says, row by row; lists, since a look into a table takes a thousand times as long."""

    texts: dict[str, list[str]]
    tumour: list[int]
    visit: list[str]
    pixel: list[float | None]
    step: list[float | None]
    drawn: list[bool]

    @classmethod
    def of(cls, table: pd.DataFrame) -> _Told:
        names = ("case", "patient", "group", "split", "label", "missing")
        drawn = table["has_mask"].fillna(0).astype(bool).tolist() if "has_mask" in table else [True] * len(table)
        return cls(
            texts={name: table[name].astype(str).tolist() for name in names},
            tumour=table["tumour_pixels"].tolist(),
            visit=[_visit(value) for value in table["visit"].tolist()] if "visit" in table else [""] * len(table),
            pixel=_lengths(table, "pixel_mm"),
            step=_lengths(table, "step_mm"),
            drawn=drawn,
        )


def _piece(cohort: Cohort, told: _Told, name: str, rows: list[int], numbers: list[int]) -> Piece:
    offsets = [number - numbers[0] for number in numbers]
    every = kept_every(cohort, offsets)
    first, pixel, step = rows[0], told.pixel[rows[0]], told.step[rows[0]]
    x, z = pixel or 1.0, every * (step or 1.0)
    spacing: dict[str, Vector3] = {"axial": (x, x, z), "coronal": (x, z, x), "sagittal": (z, x, x)}
    shown = max(rows, key=lambda row: told.tumour[row])
    absent = {part for row in rows for part in told.texts["missing"][row].split("+")}
    return Piece(
        name=name,
        **{key: told.texts[key][first] for key in ("case", "patient", "group", "split")},
        label=told.texts["label"][shown],
        visit=told.visit[first],
        rows=tuple(rows),
        shown=shown,
        places=tuple(offset // every for offset in offsets),
        spacing=spacing[cohort.meta.plane],
        measured=pixel is not None and (step is not None or len(rows) == 1),
        missing=tuple(one for one in cohort.modalities if one in absent),
        outlined=bool(cohort.labels) and all(told.drawn[row] for row in rows),
    )


def kept_every(cohort: Cohort, offsets: Sequence[int]) -> int:
    """How many slices of the scan lie from one place of a volume to the next.

    Args:
        cohort: whose settings say which of the slices were kept.
        offsets: numbers of a volume's slices, from its first one on.
    """
    every = cohort.meta.provenance.config.get("every")
    every = every if isinstance(every, int) and every > 0 else 1
    # Of slices that are not counted as they were cut, two would else fall on one place, and one of them be lost.
    return 1 if any(offset % every for offset in offsets) else every


def _visit(value: object) -> str:
    """What tells a patient's studies apart; a column of numbers is read as such, with gaps as nan."""
    if isinstance(value, float):
        return f"{value:g}" if np.isfinite(value) else ""
    return str(value or "")


def _lengths(table: pd.DataFrame, name: str) -> list[float | None]:
    """Lengths in mm; None where one is not known."""
    if name not in table:
        return [None] * len(table)
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
    return [float(value) if np.isfinite(value) and value > 0 else None for value in values]


# Voxels ---------------------------------------------------------------------------------------------------------------
def image_of(cohort: Cohort, piece: Piece, channel: int) -> Volume:
    """One sequence of a piece, float32 (z, y, x) with its spacing: all that half precision held, what is no number 0.

    Axes are the patient's, whatever the plane of the slices.
    """
    layers = np.nan_to_num(np.asarray(cohort.images[list(piece.rows), channel], np.float32), posinf=0.0, neginf=0.0)
    return _stacked(cohort, piece, layers)


def mask_of(cohort: Cohort, piece: Piece, labels: Labels) -> Volume:
    """The mask of a piece, uint8 (z, y, x), with the values of ``labels``.

    Raises:
        InputError: a value that has no name.
    """
    return _stacked(cohort, piece, labels.apply(np.asarray(cohort.masks[list(piece.rows)])))


def _stacked(cohort: Cohort, piece: Piece, layers: Array) -> Volume:
    voxels = np.zeros((piece.places[-1] + 1, *layers.shape[1:]), layers.dtype)
    voxels[list(piece.places)] = layers
    return Volume(np.ascontiguousarray(from_plane(voxels, cohort.meta.plane)), Geometry(piece.spacing))


def slice_of(cohort: Cohort, piece: Piece, channel: int) -> Float32:
    """One sequence of a piece that is a single slice, float32 (rows, columns), as it lies in the cohort."""
    return np.nan_to_num(np.asarray(cohort.images[piece.rows[0], channel], np.float32), posinf=0.0, neginf=0.0)


def slice_mask_of(cohort: Cohort, piece: Piece, labels: Labels) -> Bytes:
    """The mask of a piece that is a single slice, uint8 (rows, columns), with the values of ``labels``."""
    return labels.apply(np.asarray(cohort.masks[piece.rows[0]]))


# Names ----------------------------------------------------------------------------------------------------------------
def plain(text: str) -> str:
    """A text as part of a file's name, without spaces, in at most 100 bytes."""
    name = file_name(unicodedata.normalize("NFC", text)).replace(" ", "_")
    return name.encode()[:_LONGEST].decode("utf-8", "ignore")


def letters(text: str) -> str:
    """A text as ASCII letters and digits alone, as BIDS and nnU-Net want names; "x" where none is left."""
    flat = unicodedata.normalize("NFKD", text)
    return "".join(one for one in flat if one.isascii() and one.isalnum())[:_LONGEST] or "x"


def distinct(texts: Sequence[str], *, ascii_only: bool = False) -> list[str]:
    """A name for each text that no other has on any file system: where several are alike, numbers tell them apart."""
    names = [letters(text) if ascii_only else plain(text) for text in texts]
    mark = "x" if ascii_only else "-"
    count = Counter(_folded(name) for name in names)
    used = {_folded(name) for name in names if count[_folded(name)] == 1}
    told = []
    numbers: Counter[str] = Counter()
    for name in names:
        key, other = _folded(name), name
        while count[key] > 1 and (other == name or _folded(other) in used):
            numbers[key] += 1
            # A numbered name may be another's own: then the next number is tried.
            other = f"{name}{mark}{numbers[key]}"
        used.add(_folded(other))
        told.append(other)
    return told


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
