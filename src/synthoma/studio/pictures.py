"""Findings of pictures: masks that are PNG files, one a slice, shown and corrected as one stack of unit voxels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synthoma.studio.reviews import BY_HAND, PICTURE

if TYPE_CHECKING:
    from synthoma.core.types import Bytes
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
    from synthoma.scans.images import read_image

    return Volume(np.stack([read_image(folder / name) > 0 for name in names]).astype(np.uint8), flat())


def chances(folder: Path, names: Sequence[str]) -> Volume:
    """Probabilities of pictures as one volume of 0 to 1: in the files 255 is 1."""
    import numpy as np

    from synthoma.scans.case import Volume
    from synthoma.scans.images import read_image

    return Volume(np.stack([read_image(folder / name) for name in names]).astype(np.float32) / 255, flat())


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

    for name, layer in zip(masks, mask, strict=True):
        content = io.BytesIO()
        Image.fromarray((layer > 0).astype("uint8") * 255).save(content, "PNG")
        write_bytes(folder / (name.removesuffix(".png") + ending), content.getvalue())


def are_pictures(masks: Sequence[str]) -> bool:
    """Whether masks of a finding are pictures."""
    return bool(masks) and masks[0].endswith(PICTURE)
