"""Pictures for pages and sheets: grey slices, coloured mask outlines, contact sheets, small charts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthoma.types import Bytes, Floats

OUTLINE = {1: (255, 90, 70), 2: (90, 220, 120), 3: (90, 170, 255)}
"""Colour of each tumour label's outline: core red, oedema green, enhancing blue."""


def grey(image: Floats) -> Bytes:
    """A normalised slice (rows, columns) as 8-bit grey; its 99.8th percentile, but at least 0.5, becomes white."""
    values = np.asarray(image, np.float32)
    low = min(float(values.min()), 0.0)
    high = max(float(np.percentile(values, 99.8)), low + 0.5)
    return np.asarray((np.clip((values - low) / (high - low), 0, 1) * 255).round(), dtype=np.uint8)


def outlined(image: Bytes, mask: Bytes) -> Bytes:
    """A grey slice (rows, columns) as RGB (rows, columns, 3) with each label's outline drawn inside its region."""
    picture = np.repeat(image[..., None], 3, axis=2)
    for label in np.unique(mask[mask > 0]):
        region = mask == label
        inner = region.copy()
        inner[1:] &= region[:-1]
        inner[:-1] &= region[1:]
        inner[:, 1:] &= region[:, :-1]
        inner[:, :-1] &= region[:, 1:]
        picture[region & ~inner] = OUTLINE.get(int(label), (255, 220, 60))
    return picture


def png(picture: Bytes, scale: int = 1) -> bytes:
    """A picture (rows, columns[, 3]) as the bytes of a PNG file, each pixel ``scale`` wide."""
    image = Image.fromarray(picture)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """Bytes as a ``data:`` address, so that a page needs no file beside it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


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


def histogram(series: dict[str, Sequence[float]], label: str) -> str:
    """Overlaid step histograms as an SVG text, one line a series, each as a share of its own total."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.add_subplot()
    values = np.concatenate([np.asarray(part, float) for part in series.values()] or [np.zeros(1)])
    edges = np.linspace(0, max(float(values.max(initial=0)), 1e-6), 21)
    for (name, part), colour in zip(series.items(), ("#1f5fa8", "#c7772b", "#3b8f5a", "#8b5aa8"), strict=False):
        counts, _ = np.histogram(part, bins=edges)
        axes.stairs(
            counts / max(counts.sum(), 1), edges, label=f"{name} (N = {len(part):,})", color=colour, linewidth=1.6
        )
    axes.set_xlabel(label)
    axes.set_ylabel("share of slices")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    buffer = io.StringIO()
    # A fixed salt and no date: the same cohort gives the same page, byte for byte.
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "synthoma", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
