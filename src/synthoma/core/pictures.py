"""Slices as pictures: grey values, coloured mask outlines, sheets of many, PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthoma.core.types import Bytes, Floats

OUTLINE = {1: (255, 90, 70), 2: (90, 220, 120), 3: (90, 170, 255), 4: (205, 120, 255)}
"""Colour of each label's outline: core red, oedema green, enhancing blue, cavity violet."""

OTHER_OUTLINE = (255, 220, 60)
"""Colour of the outline of any other label."""


def grey(image: Floats) -> Bytes:
    """A normalised slice (rows, columns) as 8-bit grey; its 99.8th percentile, but at least 0.5, becomes white."""
    values = np.asarray(image, np.float32)
    # At most 0: the darkest voxel of a slice without background is tissue, and must not become black.
    low = min(float(values.min()), 0.0)
    # At least 0.5 above the darkest, so that noise of a slice with nothing in it stays dark.
    high = max(float(np.percentile(values, 99.8)), low + 0.5)
    return np.asarray((np.clip((values - low) / (high - low), 0, 1) * 255).round(), dtype=np.uint8)


def outlined(image: Bytes, mask: Bytes) -> Bytes:
    """A grey slice (rows, columns) as RGB (rows, columns, 3) with each label's outline drawn inside its region."""
    picture = np.repeat(image[..., None], 3, axis=2)
    for label in np.unique(mask[mask > 0]):
        region = mask == label
        inner = region.copy()
        # A pixel at the frame lacks a neighbour, which counts as one of the region: where a picture ends is no outline.
        inner[1:] &= region[:-1]
        inner[:-1] &= region[1:]
        inner[:, 1:] &= region[:, :-1]
        inner[:, :-1] &= region[:, 1:]
        # Drawn inside the region: outside it would cover its neighbour, and hide which of the two ends there.
        picture[region & ~inner] = OUTLINE.get(int(label), OTHER_OUTLINE)
    return picture


def png(picture: Bytes, scale: int = 1) -> bytes:
    """A picture (rows, columns[, 3]) as the bytes of a PNG file, each pixel ``scale`` wide."""
    image = Image.fromarray(picture)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def contact_sheet(rows: Sequence[Sequence[Bytes]], captions: Sequence[str], tile: int = 128) -> Bytes:
    """Rows of pictures with a caption to the right of each row, on black.

    Args:
        rows: pictures (rows, columns[, 3]) of any size, the same number in each row.
        captions: one a row; line breaks are kept.
        tile: side of each picture on the sheet, in pixels.

    Returns:
        RGB sheet (height, width, 3).
    """
    wide = max((len(row) for row in rows), default=0)
    text_width = 330
    sheet = Image.new("RGB", (wide * (tile + 4) + text_width, max(len(rows), 1) * (tile + 4)), (16, 16, 18))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for line, (row, caption) in enumerate(zip(rows, captions, strict=True)):
        top = line * (tile + 4) + 2
        for column, picture in enumerate(row):
            image = Image.fromarray(picture).convert("RGB").resize((tile, tile), Image.Resampling.BICUBIC)
            sheet.paste(image, (column * (tile + 4) + 2, top))
        draw.multiline_text((wide * (tile + 4) + 10, top + 6), caption, fill=(225, 225, 225), font=font, spacing=5)
    return np.asarray(sheet)


def tiled(pictures: Sequence[Bytes], columns: int, gap: int = 2) -> Bytes:
    """Pictures of one size (rows, columns[, 3]) in rows of ``columns``, on black.

    Returns:
        (height, width, 3).
    """
    colour = [picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2) for picture in pictures]
    height, width = colour[0].shape[:2]
    lines = -(-len(colour) // columns)
    sheet = np.zeros((lines * (height + gap) - gap, columns * (width + gap) - gap, 3), dtype=np.uint8)
    for number, picture in enumerate(colour):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet
