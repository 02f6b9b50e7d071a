"""The picture of a result: scan, truth, prediction, and both drawn over the scan."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthoma.cohorts.framing import fit_square, resize, resize_mask
from synthoma.cohorts.slicing import shown_modality
from synthoma.cohorts.squares import Framing
from synthoma.core.pictures import grey
from synthoma.core.types import Array, Bools, Bytes, Ints

NOTICE = "Research software, not for clinical use"
TILE = 288
MOST_ROWS = 5
TRUTH, PREDICTION, BAND = (235, 60, 50), (60, 210, 100), (238, 190, 96)
_BACK, _TEXT, _FAINT = (16, 16, 18), (230, 230, 230), (150, 150, 155)
_NOTED = (238, 190, 96)
_GAP, _HEAD, _SIDE, _FOOT, _NOTE = 6, 30, 92, 30, 18


def chosen_slices(areas: Ints, blank: Bools, most: int = MOST_ROWS) -> list[int]:
    """Slices worth showing: the one with most tumour, and others at even shares of it; the middle one where none is.

    Args:
        areas: predicted tumour pixels of each slice.
        blank: slices that show nothing.
        most: how many.
    """
    found = np.flatnonzero(areas)
    if not len(found):
        seen = np.flatnonzero(~blank)
        return [int(seen[len(seen) // 2])] if len(seen) else [len(areas) // 2]
    largest = int(areas.argmax())
    if len(found) <= most:
        return [int(z) for z in found]
    # The middles of equal parts: its ends, where hardly any tumour is, are the least worth a picture.
    shares = (np.arange(most) + 0.5) / most
    # Where equal shares of the area are reached: large parts of a tumour get more pictures than its ends.
    spread = sorted(set(np.searchsorted(np.cumsum(areas) / areas.sum(), shares).tolist()))
    if largest not in spread:
        spread[int(np.abs(np.array(spread) - largest).argmin())] = largest
    return sorted(spread)


def overlay(
    framing: Framing,
    prediction: Bools,
    rows: Sequence[int],
    captions: Sequence[str],
    truth: Bools | None,
    title: str,
    notes: Sequence[str] = (),
    lines: Sequence[Bools] = (),
) -> Bytes:
    """One row a slice: scan, truth, prediction, scan with truth, scan with prediction; without truth three of them.

    Args:
        framing: how the scan's slices lie.
        prediction: (slices, rows, columns), as they lie there.
        rows: which slices.
        captions: one for each.
        truth: like ``prediction``, where known.
        title: of the whole picture.
        notes: lines below the title.
        lines: further masks like ``prediction``, whose borders are drawn over the last panel.

    Returns:
        RGB (height, width, 3).
    """
    titles = ["scan", "truth", "prediction", "scan + truth", "scan + prediction"]
    if truth is None:
        titles = ["scan", "prediction", "scan + prediction"]
    width = _SIDE + len(titles) * (TILE + _GAP) + _GAP
    letters = (width - 2 * _GAP) // 7  # of the notes' font, none of which is wider
    above = [line for note in notes for line in textwrap.wrap(note, letters)]
    head = _HEAD + len(above) * _NOTE
    height = head + _HEAD + len(rows) * (TILE + _GAP) + _FOOT
    sheet = Image.new("RGB", (width, height), _BACK)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _HEAD // 2 + 2), title, fill=_TEXT, font=_fitting(title, width - 2 * _GAP), anchor="lm")
    for line, text in enumerate(above):
        place = (_GAP, _HEAD + line * _NOTE + _NOTE // 2)
        draw.text(place, text, fill=_NOTED, font=ImageFont.load_default(13), anchor="lm")
    for column, text in enumerate(titles):
        centre = _SIDE + column * (TILE + _GAP) + TILE // 2
        draw.text((centre, head + _HEAD // 2), text, fill=_TEXT, font=ImageFont.load_default(15), anchor="mm")
    for line, (z, caption) in enumerate(zip(rows, captions, strict=True)):
        top = head + _HEAD + line * (TILE + _GAP)
        draw.multiline_text((8, top + 6), caption, fill=_FAINT, font=ImageFont.load_default(12), spacing=5)
        tiles = _tiles(framing, z, prediction[z], None if truth is None else truth[z])
        for mask in lines:
            tiles[-1][border(mask_tile(framing, mask[z]))] = BAND
        for column, tile in enumerate(tiles):
            sheet.paste(Image.fromarray(tile), (_SIDE + column * (TILE + _GAP), top))
    draw.text((width // 2, height - _FOOT // 2), NOTICE, fill=_FAINT, font=ImageFont.load_default(13), anchor="mm")
    return np.asarray(sheet)


def _fitting(text: str, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font in which a line fits a width, within what can be read."""
    fonts = [ImageFont.load_default(size) for size in range(16, 9, -1)]
    return next((font for font in fonts if font.getlength(text) <= width), fonts[-1])


def _tiles(framing: Framing, z: int, prediction: Bools, truth: Bools | None) -> list[Bytes]:
    """The panels of one slice, (TILE, TILE, 3) each."""
    picture = scan_tile(framing, z)
    found = mask_tile(framing, prediction)
    if truth is None:
        return [_coloured(picture), _white(found), painted(picture, found, PREDICTION)]
    real = mask_tile(framing, truth)
    return [
        _coloured(picture),
        _white(real),
        _white(found),
        painted(picture, real, TRUTH),
        painted(picture, found, PREDICTION),
    ]


def scan_tile(framing: Framing, z: int) -> Bytes:
    """The head in one slice at full resolution, (TILE, TILE) grey."""
    name = shown_modality(tuple(framing.images))
    fit, _ = fit_square(framing.fit.box, framing.pixel_mm, TILE)
    return grey(resize(framing.normalised(name, z), fit, framing.floors[name]))


def mask_tile(framing: Framing, mask: Array) -> Bools:
    """A slice's mask likewise, (TILE, TILE)."""
    fit, _ = fit_square(framing.fit.box, framing.pixel_mm, TILE)
    return resize_mask(mask.astype(np.uint8), fit) > 0


def painted(picture: Bytes, mask: Bools, colour: tuple[int, int, int]) -> Bytes:
    """A grey picture with a region tinted and its border drawn in a colour."""
    result = _coloured(picture).astype(np.float32)
    padded = np.pad(mask, 2)
    inner = mask.copy()
    # Shifted by up to two pixels along either axis: the border is two pixels wide.
    for down, right in ((0, 2), (4, 2), (2, 0), (2, 4), (1, 2), (3, 2), (2, 1), (2, 3)):
        inner &= padded[down : down + mask.shape[0], right : right + mask.shape[1]]
    result[mask] = 0.65 * result[mask] + 0.35 * np.array(colour)
    result[mask & ~inner] = colour
    return result.round().astype(np.uint8)


def border(mask: Bools) -> Bools:
    """The pixels of a mask (rows, columns) that have a neighbour outside it."""
    padded = np.pad(mask, 1)
    return mask & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])


def _coloured(picture: Bytes) -> Bytes:
    return np.repeat(picture[..., None], 3, axis=2)


def _white(mask: Bools) -> Bytes:
    return _coloured(mask.astype(np.uint8) * 255)


def titled(tiles: Sequence[Bytes], titles: Sequence[str], footer: str) -> Bytes:
    """Pictures (TILE, TILE, 3) side by side with a title above each and a line below all."""
    width = len(tiles) * (TILE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _HEAD + TILE + _FOOT), _BACK)
    draw = ImageDraw.Draw(sheet)
    for column, (tile, title) in enumerate(zip(tiles, titles, strict=True)):
        left = _GAP + column * (TILE + _GAP)
        sheet.paste(Image.fromarray(tile), (left, _HEAD))
        draw.text((left + TILE // 2, _HEAD // 2), title, fill=_TEXT, font=ImageFont.load_default(15), anchor="mm")
    draw.text(
        (width // 2, sheet.height - _FOOT // 2), footer, fill=_FAINT, font=ImageFont.load_default(13), anchor="mm"
    )
    return np.asarray(sheet)
