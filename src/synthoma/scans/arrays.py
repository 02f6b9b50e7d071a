"""Arrays of other tools, ``.npy`` and ``.npz``: headers are read before anything is allotted, and no objects are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import PLAIN_MODALITY, UNLABELLED, WHOLE_TUMOUR, Array
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Inventory, Study
from synthoma.scans.files import DEFLATE_RATIO, open_file, regular_size

SUFFIXES = (".npy", ".npz")
KEYS: dict[str, tuple[str, ...]] = {
    "images": ("images", "image", "x"),
    "masks": ("masks", "mask", "y"),
    "classes": ("classes", "class", "labels", "label"),
    "patients": ("patients", "patient"),
}
"""What an array is -> names that it may have in an ``.npz``, the first that is there; in a folder ``images.npy``."""

LARGEST = 8 * 2**30
"""Bytes that a packed array may have once it is unpacked."""

# numpy's own limit: headers are parsed as Python literals, and a long one can crash the parser.
_HEADER = 10_000
_PLAIN = "an array of numbers or texts"
_AGAIN = "save it with numpy.save or numpy.savez from plain arrays, not from lists of arrays or objects"


@dataclass(frozen=True)
class Arrays:
    """What one file, or a folder of such files, holds.

    Attributes:
        images: (N, H, W) or (N, C, H, W), as they were stored.
        masks: (N, H, W), or None.
        classes, patients: one for each image, or empty.
    """

    images: Array
    masks: Array | None
    classes: tuple[str, ...]
    patients: tuple[str, ...]


def holds_arrays(source: Path) -> bool:
    """Whether the user named a file of arrays, or a folder with ``images.npy`` that is no cohort."""
    if source.is_dir():
        return (source / "images.npy").is_file() and not (source / "cohort.json").exists()
    return source.suffix.lower() in SUFFIXES


def read_arrays(source: Path) -> Arrays:
    """Read arrays.

    Raises:
        InputError: no images, objects in place of numbers, a header that promises more than the file holds, or shapes
            that do not belong together.
    """
    found = _members(source)
    named = {name: next((found[key] for key in keys if key in found), None) for name, keys in KEYS.items()}
    images, masks = named["images"], named["masks"]
    if images is None:
        came = ", ".join(printable(name) for name in found) or "none"
        raise InputError("an array called images", came, "name it so: numpy.savez(file, images=..., masks=...)")
    if images.ndim not in (3, 4) or not len(images) or images.dtype.kind not in "uif":
        came = f"{images.dtype} {images.shape}"
        raise InputError("images (N, S, S) or (N, C, S, S) of numbers", came, "transpose or convert them")
    if masks is not None:
        # Torch's masks often keep an axis of one channel.
        masks = masks[:, 0] if masks.ndim == 4 and masks.shape[1] == 1 else masks
        if masks.shape != (len(images), *images.shape[-2:]) or masks.dtype.kind not in "buif":
            wanted = (len(images), *images.shape[-2:])
            raise InputError(f"masks {wanted} of numbers", f"{masks.dtype} {masks.shape}", "give one for each image")
    return Arrays(
        images, masks, _texts(named["classes"], len(images), "class"), _texts(named["patients"], len(images), "patient")
    )


def take_arrays(source: Path, sequences: Sequence[str], labels: Mapping[int, str]) -> Inventory:
    """The images of arrays as cases, each by itself.

    Args:
        source: see ``holds_arrays``.
        sequences: what the channels are, in order; of one channel it may be unknown.
        labels: what mask values mean; others than these stand for tumour, where there is only one.

    Raises:
        InputError: as ``read_arrays``, or channels or mask values that nobody knows.
    """
    found = read_arrays(source)
    channels = 1 if found.images.ndim == 3 else found.images.shape[1]
    # Grey images are often stored with three equal channels; `_study` refuses them where they are not equal.
    grey = channels == 3 and len(sequences) != 3
    names = (PLAIN_MODALITY,) if channels == 1 or grey else tuple(sequences)
    if len(names) != channels and not grey:
        came, todo = f"{channels} channels", "give one for each, or images of one channel"
        raise InputError(f"channels for {', '.join(sequences) or 'one sequence'}", came, todo)
    value, meant = _meaning(found.masks, labels)
    stem = printable(source.stem if source.suffix.lower() in SUFFIXES else source.name)
    cases = tuple(
        Case(
            name=f"{stem}-{row:06d}",
            patient=found.patients[row] if found.patients else None,
            modalities=names,
            load=partial(
                _study, found.images[row], None if found.masks is None else found.masks[row], names, value, meant
            ),
            label=found.classes[row] if found.classes else None,
            has_mask=found.masks is not None,
        )
        for row in range(len(found.images))
    )
    told = f"channels are taken for {', '.join(names)}, in this order"
    return Inventory("arrays", cases, remarks=(told,) if channels > 1 and not grey else ())


def _study(
    image: Array, mask: Array | None, names: tuple[str, ...], value: int | None, labels: Mapping[int, str]
) -> Study:
    """One image, (H, W) or (C, H, W), as a study; ``value`` is the one of its mask, None where ``labels`` name it."""
    layers = np.array(image if image.ndim == 3 else image[None])
    if layers.dtype.kind == "f" and (bad := int(np.count_nonzero(~np.isfinite(layers)))):
        raise InputError("finite pixels", f"{bad} of {layers.size} that are NaN or infinite", "replace them")
    if len(layers) != len(names):
        if not (layers == layers[:1]).all():
            raise InputError(
                "a grey image", "a coloured one: its three channels differ", "convert it, or say what it is"
            )
        layers = layers[:1]
    # torch takes arrays in the machine's own byte order alone.
    layers = layers.astype(layers.dtype.newbyteorder("="), copy=False)
    drawn = None
    if mask is not None:
        drawn = np.asarray(mask != 0 if value is not None else mask).astype(np.uint8)[None]
    return Study({name: layer[None] for name, layer in zip(names, layers, strict=True)}, None, drawn, labels)


def _meaning(masks: Array | None, labels: Mapping[int, str]) -> tuple[int | None, dict[int, str]]:
    """The only value of masks that have one, and what their values mean.

    Raises:
        InputError: values that are no whole numbers from 0 up, or of which nobody knows the meaning.
    """
    if masks is None:
        return None, {}
    present = sorted({float(value) for part in masks for value in np.unique(part)} - {0.0})
    # nan is no equal of itself: it is refused further down, with the values.
    if len(present) > 255 or any(value < 0 or not value.is_integer() for value in present if value == value):
        todo = "threshold probabilities, or round the values"
        raise InputError("masks of a few whole numbers from 0", f"values such as {present[0]:g}", todo)
    known = dict(labels)
    if set(present) <= set(known):
        return None, known
    # 255 in one set and 1 in the next: a single value can only be the tumour.
    if len(present) == 1 and present[0] == present[0]:
        return int(present[0]), dict(WHOLE_TUMOUR)
    said = ", ".join(f"{value} {name}" for value, name in known.items()) or "one value, which is tumour"
    came = ", ".join(f"{value:g}" for value in present[:8])
    raise InputError(f"mask values with a meaning ({said})", came, "give them these values")


def _texts(array: Array | None, count: int, what: str) -> tuple[str, ...]:
    if array is None:
        return ()
    if array.shape != (count,) or array.dtype.kind not in "UiuS":
        raise InputError(
            f"a {what} for each of {count} images", f"{array.dtype} {array.shape}", "give texts or numbers"
        )
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in array.tolist()]
    return tuple(printable(text) or UNLABELLED for text in texts)


# Files ----------------------------------------------------------------------------------------------------------------
def _members(source: Path) -> dict[str, Array]:
    """Arrays by name, in small letters."""
    if source.is_dir():
        paths = {name: source / f"{name}.npy" for keys in KEYS.values() for name in keys}
        return {name: _mapped(path) for name, path in paths.items() if path.is_file()}
    if source.suffix.lower() == ".npy":
        return {"images": _mapped(source)}
    regular_size(source)
    wanted = {key for keys in KEYS.values() for key in keys}
    found: dict[str, Array] = {}
    with _reading(source), zipfile.ZipFile(source) as packed:
        for info in packed.infolist():
            name = info.filename.removesuffix(".npy").lower()
            if name in wanted and name not in found:
                found[name] = _unpacked(packed, info)
    return found


def _mapped(path: Path) -> Array:
    """An ``.npy`` file, memory-mapped."""
    size = regular_size(path)
    with _reading(path), open_file(path) as stream:
        _check_header(stream, size, path.name)
    with _reading(path):
        # Mapped, not read: sets of pictures may be larger than the memory, and are taken one by one.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        return np.asarray(mapped)


def _unpacked(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    """One member of an ``.npz``, in memory."""
    if info.file_size > min(LARGEST, DEFLATE_RATIO * max(info.compress_size, 1)):
        came = f"{printable(info.filename)}: {info.file_size} bytes packed in {info.compress_size}"
        raise InputError("an array that its bytes can hold", came, "save it as .npy, which is not packed")
    with packed.open(info) as stream:
        _check_header(stream, info.file_size, info.filename)
    with packed.open(info) as stream:
        read: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return read


def _check_header(stream: IO[bytes], size: int, name: str) -> None:
    """Raise InputError where a header promises what ``size`` bytes do not hold, or objects that would run code."""
    start = stream.read(12)
    if len(start) < 12 or start[:6] != b"\x93NUMPY" or start[6] not in (1, 2):
        raise InputError(_PLAIN, f"other content in {printable(name)}", _AGAIN)
    length = int.from_bytes(start[8:10] if start[6] == 1 else start[8:12], "little")
    if length > _HEADER:
        raise InputError(f"a header of at most {_HEADER} bytes", f"{length} in {printable(name)}", _AGAIN)
    stream.seek(8)
    read = np.lib.format.read_array_header_1_0 if start[6] == 1 else np.lib.format.read_array_header_2_0
    shape, _, kind = read(stream, max_header_size=_HEADER)
    if kind.hasobject:
        came = f"Python objects in {printable(name)}, which can run code when they are read: they are not read"
        raise InputError(_PLAIN, came, _AGAIN)
    if any(length < 0 for length in shape) or prod(shape) * kind.itemsize > size - stream.tell():
        came = f"{printable(name)}: {kind} {'x'.join(map(str, shape))} in {size} bytes"
        raise InputError("a header that fits its file", came, _AGAIN)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever NumPy and zipfile trip over into one InputError."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # damaged headers are parsed as Python literals, and raise what that raises
        came = f"{printable(path.name)}, which is damaged ({type(error).__name__})"
        raise InputError(_PLAIN, came, _AGAIN) from error
