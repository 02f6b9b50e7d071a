"""What the page shows of a scan: its slices with outlines, and a small copy of scan and mask to turn in 3D.

The scan itself is not needed for the page then, and stays where it is.
"""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import Field

from synthoma.cohorts.slicing import shown_modality
from synthoma.core.artefacts import read_artefact
from synthoma.core.records import Number, Record
from synthoma.core.types import Array, Bools, Bytes, Float32, Ints, tumour_of
from synthoma.core.whole_files import write_json
from synthoma.detection.band import Band
from synthoma.detection.overlay import BAND, PREDICTION, TRUTH, border, mask_tile, scan_tile
from synthoma.detection.seen import Seen
from synthoma.scans.case import Geometry, Volume

FILE = "view.json"
SCHEMA = "synthoma.view/1"
WITH_TUMOUR, WITHOUT = 24, 12
"""Most slices that show tumour, and most of the others."""

COARSEST_MM = 2.0
MOST_VOXELS = 128
"""The small copy has voxels of about that size, and no more of them along an axis."""


class ShownSlice(Record):
    """A slice as a picture."""

    slice: int = Field(description="from 0, as the scan's file holds them")
    probability: Number
    picture: str = Field(description="WebP, base64")
    outline: str | None = Field(description="PNG of the same size, base64; None where nothing is outlined")


class Small(Record):
    """A small copy of a scan and of its mask, for a look in 3D."""

    scan: str = Field(description="NIfTI of 8 bits, compressed, base64")
    mask: str = Field(description="likewise, on the same grid, with the values of the mask file")
    voxel_mm: tuple[float, float, float] = Field(description="(x, y, z) of its own grid")


class View(Record):
    """What the page shows of a scan."""

    version: Literal["synthoma.view/1"] = Field(
        default="synthoma.view/1", validation_alias="schema", serialization_alias="schema"
    )
    modality: str = Field(description="which sequence is shown")
    plane: Literal["axial", "coronal", "sagittal"]
    truth: bool = Field(description="whether a mask that came with the scan is outlined too")
    slices: tuple[ShownSlice, ...] = Field(description="in the order of the plane")
    first: int = Field(description="place in ``slices`` of the one with most tumour, else of a middle one")
    of: int = Field(description="slices that the scan has")
    small: Small | None = Field(description="None where nothing is to be turned: pictures, or no tumour said")


def read_view(folder: Path) -> View | None:
    """The view in a scan's folder; None where there is none, as in folders of earlier versions.

    Raises:
        InputError: damaged, or of a version that is not read.
    """
    path = folder / FILE
    return View.parse(read_artefact(path, SCHEMA), path) if path.is_file() else None


def write_view(folder: Path, seen: Seen, *, three_d: bool, band: Band | None = None) -> None:
    """Write what the page shows of a scan.

    Args:
        folder: of the scan.
        seen: the scan with the model's answer.
        three_d: with a small copy to turn, where the scan is a volume in which tumour is said.
        band: whose outlines are drawn too.
    """
    found = seen.in_plane(seen.mask)
    lines = () if band is None else (seen.in_plane(band.outer), seen.in_plane(band.inner))
    truth: Bools | None = None if seen.framing.mask is None else tumour_of(seen.framing.mask)
    blank = np.array([not any(image[z].any() for image in seen.framing.images.values()) for z in range(len(found))])
    areas = found.sum(axis=(1, 2))
    rows = shown_slices(areas, blank)
    middle = rows[len(rows) // 2]
    largest = int(areas.argmax()) if areas.any() else middle
    solid = three_d and seen.has_tumour and seen.study.geometry is not None and min(seen.mask.shape) > 1
    view = View.model_validate(
        {
            "schema": SCHEMA,
            "modality": shown_modality(tuple(seen.framing.images)),
            "plane": seen.framing.plane,
            "truth": truth is not None,
            "slices": [
                _slice(seen, z, found[z], None if truth is None else truth[z], [line[z] for line in lines])
                for z in rows
            ],
            "first": rows.index(largest),
            "of": len(found),
            "small": _small(seen) if solid else None,
        }
    )
    write_json(folder / FILE, view.content())


def shown_slices(areas: Ints, blank: Bools) -> list[int]:
    """Slices for a slider: evenly spread ones with tumour, the one with most among them, and some of the others.

    Args:
        areas: predicted tumour pixels of each slice.
        blank: slices that show nothing.
    """
    inside = np.flatnonzero(areas)
    outside = np.flatnonzero((areas == 0) & ~blank)
    chosen = {*_spread(inside, WITH_TUMOUR), *_spread(outside, WITHOUT if len(inside) else WITH_TUMOUR + WITHOUT)}
    if len(inside):
        chosen.add(int(areas.argmax()))
    return sorted(chosen) or [len(areas) // 2]


def _spread(places: Ints, most: int) -> list[int]:
    """At most so many of some places, evenly, with the first and the last."""
    if len(places) <= most:
        return [int(place) for place in places]
    return [int(place) for place in places[np.linspace(0, len(places) - 1, most).round().astype(int)]]


def _slice(seen: Seen, z: int, found: Bools, truth: Bools | None, lines: Sequence[Bools]) -> dict[str, object]:
    """One slice as ``ShownSlice`` holds it."""
    here = mask_tile(seen.framing, found)
    real = np.zeros_like(here) if truth is None else mask_tile(seen.framing, truth)
    sure = [mask_tile(seen.framing, line) for line in lines]
    drawn = bool(here.any() or real.any() or any(line.any() for line in sure))
    return {
        "slice": seen.framing.source_slice(z)[1],
        "probability": round(float(seen.slice_chances[z]), 4),
        "picture": _text(_encoded(Image.fromarray(scan_tile(seen.framing, z)), "WEBP")),
        "outline": _text(_encoded(outline(here, real, sure), "PNG")) if drawn else None,
    }


def outline(found: Bools, truth: Bools, lines: Sequence[Bools] = ()) -> Image.Image:
    """Masks (rows, columns) as a picture to lay over a slice: what was found faintly filled, all with borders.

    All else is clear. ``lines`` are the borders of a band.
    """
    places = np.zeros(found.shape, np.uint8)
    places[found] = 1
    places[border(truth)] = 2
    places[border(found)] = 3
    for line in lines:
        places[border(line)] = 4
    picture = Image.fromarray(places)
    picture.putpalette([0, 0, 0, *PREDICTION, *TRUTH, *PREDICTION, *BAND])
    picture.info["transparency"] = bytes([0, 70, 255, 255, 255])
    return picture


def _encoded(picture: Image.Image, kind: Literal["WEBP", "PNG"]) -> bytes:
    content = io.BytesIO()
    if kind == "WEBP":
        picture.convert("RGB").save(content, kind, quality=82, method=2)
    else:
        picture.save(content, kind, transparency=picture.info["transparency"])
    return content.getvalue()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


# A small copy ---------------------------------------------------------------------------------------------------------


def _small(seen: Seen) -> dict[str, object]:
    """Scan and mask, coarser, as ``Small`` holds them."""
    geometry = seen.study.geometry
    assert geometry is not None
    name = shown_modality(tuple(seen.framing.images))
    offset, scale = seen.framing.windows[name]
    voxels = np.clip((seen.study.images[name].astype(np.float32) - offset) / scale, 0, None)
    scan, mask, small = coarser(voxels, seen.labels, geometry)
    # As on the pictures: a few bright voxels must not darken the head, nor noise become bright where nothing is.
    high = max(float(np.percentile(scan, 99.8)), 0.5)
    levels = (np.clip(scan / high, 0, 1) * 255).round().astype(np.uint8)
    return {"scan": _nifti(levels, small), "mask": _nifti(mask, small), "voxel_mm": small.spacing}


def coarser(scan: Array, labels: Bytes, geometry: Geometry) -> tuple[Array, Bytes, Geometry]:
    """A scan (z, y, x) as means of whole blocks of voxels, its labels likewise, and the grid of the blocks.

    A block has the label that most of its tumour has, if half of it is tumour. Where nothing would be left of the
    tumour, a single voxel is enough.
    """
    factors = []
    for count, step in zip(scan.shape, geometry.spacing[::-1], strict=True):
        factors.append(max(1, round(COARSEST_MM / step), -(-count // MOST_VOXELS)))
    edges = [(0, -count % factor) for count, factor in zip(scan.shape, factors, strict=True)]

    def blocks(array: Array) -> Float32:
        # Filled up with its own edge: zeros would darken the last block.
        padded = np.pad(array, edges, mode="edge")
        z, y, x = (count // factor for count, factor in zip(padded.shape, factors, strict=True))
        means: Float32 = padded.reshape(z, factors[0], y, factors[1], x, factors[2]).mean((1, 3, 5), dtype=np.float32)
        return means

    values = [int(value) for value in np.unique(labels) if value]
    shares = np.stack([blocks(labels == value) for value in values]) if values else np.zeros((0, 1))
    mask = np.zeros(tuple((n + pad[1]) // f for n, pad, f in zip(scan.shape, edges, factors, strict=True)), np.uint8)
    if values:
        whole = shares.sum(axis=0)
        # Any share above rounding.
        inside = whole >= (0.5 if (whole >= 0.5).any() else 1e-6)
        mask[inside] = np.array(values, np.uint8)[shares.argmax(axis=0)][inside]
    matrix = np.array(geometry.direction).reshape(3, 3)
    steps, by = np.array(geometry.spacing), np.array(factors[::-1])
    # The middle of the first block lies further in than that of its first voxel.
    origin = (np.array(geometry.origin) + matrix @ (steps * (by - 1) / 2)).tolist()
    spacing = (steps * by).tolist()
    grid = Geometry((spacing[0], spacing[1], spacing[2]), (origin[0], origin[1], origin[2]), geometry.direction)
    return blocks(scan), mask, grid


def _nifti(voxels: Bytes, geometry: Geometry) -> str:
    """The bytes of a compressed NIfTI file, base64."""
    from synthoma.scans.volumes import write_volume  # SimpleITK is slow to load, and pictures do without

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.nii.gz"
        write_volume(Volume(voxels, geometry), path)
        return _text(path.read_bytes())
