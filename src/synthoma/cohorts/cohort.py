"""The cohort: a folder of labelled slices, the one data artefact of the whole chain.

    cohort.json   what it is: origin, modalities, labels, size, settings, provenance
    slices.csv    one row a slice: case, patient, group, split, label, geometry, how to undo the normalisation
    images.npy    float16 (N, modalities, size, size); 0 is background, 1 the brightest ordinary tissue
    masks.npy     uint8 (N, size, size); 0 is no tumour, 4 a cavity, other values as cohort.json names them

All of it is plain enough to be made by hand. Arrays are memory-mapped, so a cohort may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from synthoma.cohorts.meta import SCHEMA, CohortMeta
from synthoma.cohorts.meta_file import read_meta
from synthoma.cohorts.table import TEXT_COLUMNS, read_table
from synthoma.core.artefacts import verify
from synthoma.core.disk import writing
from synthoma.core.errors import CohortError, ConfigError, InputError
from synthoma.core.types import Array, Bytes, Float16, Float32, Ints, Place, tumour_labels, tumour_of
from synthoma.core.untrusted import csv_of_frame
from synthoma.core.whole_files import write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

_COPIED = 512  # slices copied at once
_LOOKED_AT = 32  # slices by which the scale of grey values is judged
_DARK, _MOST_DARK, _BRIGHT = -0.25, 0.05, 8.0
"""Clearly below the background; the share of pixels that may be; what 99 % of them never exceed."""

REQUIRED_COLUMNS = ("case", "group", "split", "label")


class Cohort:
    """An opened cohort folder.

    Attributes:
        path: the folder.
        meta: what cohort.json says.

    Raises:
        CohortError: no cohort there, an unknown schema, files missing, or shapes that do not fit together.
    """

    def __init__(self, path: Place) -> None:
        self.path = Path(path)
        _verify(self.path)
        self.meta = read_meta(self.path)
        count, channels, height, width = self.images.shape
        masks_fit = self.masks.shape == (count, height, width)
        stated = (self.meta.slices, len(self.modalities), self.meta.size, self.meta.size)
        if (count, channels, height, width) != stated or not masks_fit:
            came = f"images {self.images.shape}, masks {self.masks.shape}, cohort.json: {stated}"
            raise CohortError("images, masks and cohort.json that agree", came, "prepare the cohort again")

    def __len__(self) -> int:
        return self.meta.slices

    def __fspath__(self) -> str:
        """Its folder: a cohort can stand wherever its path can."""
        return str(self.path)

    def __repr__(self) -> str:
        return f"Cohort({str(self.path)!r}: {len(self)} {self.origin} slices of {'+'.join(self.modalities)})"

    def __getstate__(self) -> dict[str, object]:
        """What travels to another process: never pixels, which are mapped there again."""
        return {name: value for name, value in self.__dict__.items() if name not in ("images", "masks")}

    @property
    def origin(self) -> str:
        """'real', 'phantom' or 'synthetic'."""
        return self.meta.origin

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the image channels, in order."""
        return self.meta.modalities

    @property
    def labels(self) -> dict[int, str]:
        """What the values of a mask mean; empty where the cohort has no masks."""
        return {int(value): name for value, name in self.meta.labels.items()}

    @property
    def tumour_labels(self) -> dict[int, str]:
        """Those of its labels that are tumour, which a cavity is not: what generators draw and detectors outline."""
        return tumour_labels(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order in which a model numbers them."""
        return self.meta.classes

    @property
    def size(self) -> int:
        """Side of the square slices, in pixels."""
        return self.meta.size

    @cached_property
    def slices(self) -> pd.DataFrame:
        """slices.csv as a table, one row a slice, in the order of the arrays."""
        from pandas.api.types import is_numeric_dtype

        path = self.path / "slices.csv"
        try:
            table = read_table(path)
        except (OSError, ValueError) as error:
            raise CohortError("a readable slices.csv", f"{path}: {error}", "prepare the cohort again") from None
        absent = [column for column in REQUIRED_COLUMNS if column not in table]
        if absent or len(table) != len(self):
            came = f"{len(table)} rows for {len(self)} slices; columns missing: {', '.join(absent) or 'none'}"
            raise CohortError("one row a slice in slices.csv", came, "prepare the cohort again")
        for column in ("slice", "tumour_pixels"):
            if column in table and not (is_numeric_dtype(table[column]) and table[column].notna().all()):
                todo = "prepare the cohort again"
                raise CohortError(f"a number in every cell of {column} in slices.csv", "something else", todo)
        for column in TEXT_COLUMNS:  # a cohort made by hand may lack what it does not need
            if column not in table:
                table[column] = ""
        if "tumour_pixels" not in table:
            table["tumour_pixels"] = np.concatenate(
                [tumour_of(masks).sum(axis=(1, 2)) for _, _, masks in self.batches()]
            )
        return table

    @cached_property
    def images(self) -> Float16:
        """Memory-mapped images (N, modalities, size, size)."""
        return _map_array(self.path / "images.npy", np.float16, 4)

    @cached_property
    def masks(self) -> Bytes:
        """Memory-mapped masks (N, size, size)."""
        return _map_array(self.path / "masks.npy", np.uint8, 3)

    def rows(self, *, split: str | None = None, label: str | None = None) -> Ints:
        """Positions of the slices of one split and/or one class, in order."""
        keep = np.ones(len(self), dtype=bool)
        if split is not None:
            keep &= (self.slices["split"] == split).to_numpy()
        if label is not None:
            keep &= (self.slices["label"] == label).to_numpy()
        return np.flatnonzero(keep)

    def batches(self, size: int = 1024) -> Iterator[tuple[slice, Float32, Bytes]]:
        """All slices in order, ``size`` at a time: position, images float32 (B, C, S, S), masks uint8 (B, S, S).

        Pages are given back after each batch, so that walking through a cohort of any length needs memory for one
        batch only: a memory map that lives on would count every page it ever touched as resident.
        """
        for start in range(0, len(self), size):
            part = slice(start, min(start + size, len(self)))
            images = _map_array(self.path / "images.npy", np.float16, 4)[part].astype(np.float32)
            masks = np.array(_map_array(self.path / "masks.npy", np.uint8, 3)[part])
            yield part, images, masks

    def original(self, row: int) -> Float32:
        """Images of one slice (C, S, S) on the scanner's own intensity scale (normalisation undone)."""
        record = self.slices.iloc[row]
        scale = np.array([record.get(f"scale_{name}", 1.0) for name in self.modalities], dtype=np.float32)
        offset = np.array([record.get(f"offset_{name}", 0.0) for name in self.modalities], dtype=np.float32)
        return np.asarray(self.images[row], np.float32) * scale[:, None, None] + offset[:, None, None]


class CohortWriter:
    """Fills a cohort folder slice by slice; nothing but the table is held in memory.

    Args:
        folder: an existing, empty folder (see ``outputs.new_folder``).
        channels: number of modalities.
        size: side of a slice in pixels.
    """

    def __init__(self, folder: Path, *, channels: int, size: int) -> None:
        self.folder = folder
        self.records: list[Mapping[str, object]] = []
        self._images = ArrayFile(folder / "images.npy", np.dtype(np.float16), (channels, size, size))
        self._masks = ArrayFile(folder / "masks.npy", np.dtype(np.uint8), (size, size))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._images.close()
        self._masks.close()

    def add(self, images: Array, masks: Array, records: Sequence[Mapping[str, object]]) -> None:
        """Append B slices: images (B, C, S, S), masks (B, S, S), and one record each for slices.csv."""
        if not len(images) == len(masks) == len(records):
            raise ValueError(f"{len(images)} images, {len(masks)} masks, {len(records)} records")
        self._images.append(images)
        self._masks.append(masks)
        self.records.extend(records)

    def finish(self, table: pd.DataFrame, meta: CohortMeta | Mapping[str, object]) -> None:
        """Write slices.csv and cohort.json.

        Args:
            table: one row for each slice added, in that order.
            meta: what the cohort is; how many slices it has is known here. A mapping is written as it is.
        """
        self._images.close()
        self._masks.close()
        # Seven digits: single precision has no more, and the same table has the same bytes everywhere.
        text = csv_of_frame(table, float_format="%.7g")
        write_text(self.folder / "slices.csv", text)
        content = meta.content() if isinstance(meta, CohortMeta) else meta
        known = {"schema": SCHEMA, "slices": len(table)}
        # First for their place in the file, last so that they win over what a mapping says.
        write_json(self.folder / "cohort.json", {**known, **content, **known})


class ArrayFile:
    """A .npy file that grows: the header has room for any length and is written last.

    Args:
        path: where.
        dtype: of its items.
        item_shape: of each item.
    """

    HEADER = 128

    def __init__(self, path: Path, dtype: np.dtype[np.generic], item_shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.item_shape, self.count = path, dtype, item_shape, 0
        with writing(path):
            self._file: BinaryIO = path.open("wb")
            self._file.write(b"\0" * self.HEADER)

    def append(self, items: Array) -> None:
        """Add items (N, *item_shape)."""
        if items.shape[1:] != self.item_shape:
            raise ValueError(f"items of shape {items.shape[1:]} for a file of {self.item_shape}")
        with writing(self.path):
            self._file.write(np.ascontiguousarray(items, self.dtype).tobytes())
        self.count += len(items)

    def close(self) -> None:
        """Write the header: from here on the file is whole."""
        if self._file.closed:
            return
        shape = (self.count, *self.item_shape)
        # NPY format version 1.0: magic, version, little-endian length of a padded Python literal.
        text = f"{{'descr': '{self.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
        # Ten bytes stand before the text, and its last one is a line's end; the format wants a multiple of 64 in all.
        text = text.ljust(self.HEADER - 11) + "\n"
        with writing(self.path):
            self._file.seek(0)
            self._file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin1"))
            self._file.close()


def write_rows(cohort: Cohort, folder: Path, rows: Sequence[int], **remarks: object) -> None:
    """Write some slices of a cohort as a cohort of their own into an existing, empty folder.

    Args:
        cohort: where from.
        folder: where to.
        rows: which, in order.
        remarks: further entries of cohort.json.

    Raises:
        CohortError: no rows.
    """
    if not len(rows):
        raise CohortError("slices to keep", f"none of {len(cohort)}", "look at what was left out, and why")
    chosen = np.asarray(rows, dtype=np.int64)
    table = cohort.slices.iloc[chosen]
    with CohortWriter(folder, channels=len(cohort.modalities), size=cohort.size) as writer:
        for start in range(0, len(chosen), _COPIED):
            part = chosen[start : start + _COPIED]
            writer.add(cohort.images[part], cohort.masks[part], [{}] * len(part))
        writer.finish(table, cohort.meta.changed({"classes": sorted(set(table["label"])), **remarks}))


def check_scale(cohort: Cohort) -> None:
    """Raise ConfigError where grey values are not on the scale that networks and comparisons are made for.

    They see 0 to 1. Where values have mean 0, as earlier versions could make them, half of the brain lies below and
    would be black; where they are those of a picture or a scanner, all of it lies above and would be white. A cohort
    made by hand says nothing of that: some of its slices are looked at. Brightest spots may well lie above 1, and
    noise of the background below 0.
    """
    todo = "prepare it with --normalise robust"
    wanted = "a cohort whose background is 0 and bright tissue 1"
    if cohort.meta.provenance.config.get("normalise") == "zscore":
        raise ConfigError(wanted, "one normalised by zscore", todo)
    values = _some_values(cohort)
    if not values.size:
        return
    below, top = float(np.mean(values < _DARK)), float(np.percentile(values, 99))
    if below > _MOST_DARK or top > _BRIGHT:
        came = f"one from {values.min():.3g} to {values.max():.3g}, {100 * below:.0f} % of it clearly below 0"
        raise ConfigError(wanted, came, todo)


def _some_values(cohort: Cohort) -> Float32:
    """Grey values of some slices; what is no number says nothing of the scale."""
    values = np.asarray(cohort.images[:: max(1, len(cohort) // _LOOKED_AT)], np.float32)
    return values[np.isfinite(values)]


def is_cohort(path: Path) -> bool:
    """Whether the folder calls itself a cohort."""
    return (path / "cohort.json").is_file()


def _verify(path: Path) -> None:
    """Compare the files of a cohort with their checksums, where there are any.

    Raises:
        CohortError: a file is not what was written.
    """
    try:
        verify(*(path / name for name in ("cohort.json", "slices.csv", "images.npy", "masks.npy")))
    except InputError as error:
        raise CohortError(error.expected, error.came, error.todo) from None


Stored = TypeVar("Stored", bound=np.generic)


def _map_array(path: Path, dtype: type[Stored], dimensions: int) -> NDArray[Stored]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None
    except Exception:  # an empty file cannot be mapped, nor a truncated one; a damaged header trips the parser
        array = None
    if not isinstance(array, np.ndarray) or not array.flags.c_contiguous:
        array = None
    if array is None or array.dtype != dtype or array.ndim != dimensions:
        came = "nothing readable" if array is None else f"{array.dtype} {array.shape}"
        todo = "prepare the cohort again"
        raise CohortError(f"{np.dtype(dtype)} with {dimensions} dimensions in {path.name}", f"{came} in {path}", todo)
    return array
