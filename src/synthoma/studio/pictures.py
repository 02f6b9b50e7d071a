"""Findings of pictures: masks that are PNG files, one a slice, shown and corrected as one stack of unit voxels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synthoma.studio.reviews import BY_HAND, PICTURE

if TYPE_CHECKING:
    from synthoma.core.types import Array, Bytes
    from synthoma.scans.case import Geometry, Volume


def flat() -> Geometry:
    """The grid that pictures are shown on: one unit a pixel; the screen has columns and rows as the file has them."""
    from synthoma.scans.case import Geometry

    return Geometry((1.0, 1.0, 1.0), thick=False)


def stack(folder: Path, names: Sequence[str]) -> Volume:
    """Masks of pictures as one volume.

    Args:
        folder: of the findings.
        names: PNG files, slice by slice.

    Returns:
        uint8 labels (z, y, x): 1 where a picture is not black.
    """
    import numpy as np

    from synthoma.scans.case import Volume

    return Volume((_read(folder, names) > 0).astype(np.uint8), flat())


def chances(folder: Path, names: Sequence[str]) -> Volume:
    """Probabilities of pictures as one volume of 0 to 1: in the files 255 is 1."""
    import numpy as np

    from synthoma.scans.case import Volume

    return Volume(_read(folder, names).astype(np.float32) / 255, flat())


def _read(folder: Path, names: Sequence[str]) -> Array:
    """Grey pictures as one stack (z, y, x).

    Raises:
        InputError: one that cannot be read, or of another size than the first.
    """
    import numpy as np

    from synthoma.core.errors import InputError
    from synthoma.scans.images import grey, read_image

    layers = [grey(read_image(folder / name)) for name in names]
    if len({layer.shape for layer in layers}) > 1:
        came = " and ".join(sorted({"x".join(map(str, layer.shape[::-1])) for layer in layers})[:4])
        raise InputError("pictures of one size for the slices of a scan", came, "look at the scan again")
    return np.stack(layers)


def as_nifti(volume: Volume, aside: Path) -> bytes:
    """A volume as the content of a NIfTI file, for the screen."""
    from synthoma.scans.volumes import write_volume

    with TemporaryDirectory(dir=aside) as folder:
        path = Path(folder) / "shown.nii.gz"
        write_volume(volume, path)
        return path.read_bytes()


def same_set(masks: Sequence[str], chosen: str) -> list[str]:
    """All files of a mask of pictures, slice by slice.

    Args:
        masks: that the model made.
        chosen: one of them, or the first file of a corrected mask.
    """
    ending = chosen.removeprefix(masks[0].removesuffix(".png"))
    return [name.removesuffix(".png") + ending for name in masks] if BY_HAND in ending else list(masks)


def save(folder: Path, masks: Sequence[str], mask: Bytes, ending: str) -> None:
    """Write a corrected mask beside the model's: a PNG file a slice, black and white.

    Args:
        folder: of the findings.
        masks: names of those that the model made.
        mask: (z, y, x), 0 where there is no tumour.
        ending: of the new names: ``_corrected_by_hand.png``.
    """
    from PIL import Image

    from synthoma.core.whole_files import write_bytes

    for name, layer in list(zip(masks, mask, strict=True))[::-1]:  # the first tells that all are there
        content = io.BytesIO()
        Image.fromarray((layer > 0).astype("uint8") * 255).save(content, "PNG")
        write_bytes(folder / (name.removesuffix(".png") + ending), content.getvalue())


def size_of(folder: Path, masks: Sequence[str]) -> tuple[int, int, int]:
    """Columns, rows and slices of a mask of pictures."""
    rows, columns = _read(folder, masks[:1]).shape[1:]
    return columns, rows, len(masks)


def are_pictures(masks: Sequence[str]) -> bool:
    """Whether masks of a finding are pictures."""
    return bool(masks) and masks[0].endswith(PICTURE)
