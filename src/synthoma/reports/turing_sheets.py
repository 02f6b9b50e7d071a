"""A blinded set on paper: A4 pages of numbered pictures with boxes to tick, in a reader's own order."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from synthoma.core.untrusted import visible
from synthoma.evaluation.readers.blinded import ANSWERS, TuringSet
from synthoma.reports.figures import data_uri
from synthoma.reports.page import render
from synthoma.reports.wording import percent

QUESTION = {
    "single": "Is this picture of a real patient, or synthetic?",
    "pairs": "One picture is of a real patient, the other is synthetic. Which one is real?",
}
BY_PAGE = {"single": 12, "pairs": 6}
"""Pictures or pairs on an A4 page."""


def compact(images: Path, shown: TuringSet) -> dict[str, str]:
    """Every picture as an address that holds it, compressed: on a page nobody sees the size of a file."""
    found = {}
    for item in shown.items:
        buffer = io.BytesIO()
        with Image.open(images / f"{item}.png") as image:
            image.save(buffer, "PNG")
        found[item] = data_uri(buffer.getvalue())
    return found


def sheet(pictures: Mapping[str, str], shown: TuringSet, reader: str) -> str:
    """The sheets of one reader as HTML that prints on A4; nothing in it says what a picture is.

    Args:
        pictures: address of each item's picture.
        shown: the set.
        reader: whose order.
    """
    order, step = shown.orders[reader], BY_PAGE[shown.design]
    tiles = [(item, pictures[item]) for item in order]
    return render(
        "turing_sheet.html",
        reader=visible(reader),
        question=QUESTION[shown.design],
        design=shown.design,
        sequence=shown.sequence,
        answers=ANSWERS[shown.design],
        total=len(order),
        marks=("quality",) if shown.design == "single" else ("quality left", "quality right"),
        pages=[tiles[start : start + step] for start in range(0, len(tiles), step)],
    )


def power_lines(shown: TuringSet) -> list[str]:
    """What a set can show, said before it starts: one reader who leans to no answer."""
    what = f"{shown.number} + {shown.number} pictures" if shown.design == "single" else f"{shown.number} pairs"
    points = ", ".join(f"{point.d:g} in {percent(point.share)}" for point in shown.power)
    lines = [f"with {what} and one reader a d' is seen (its interval leaves out 0): {points}"]
    if shown.smallest_seen is not None:
        lines.append(
            f"the least d' that is seen in 80 % is {shown.smallest_seen:.2f}; what would matter was set to "
            f"{shown.matters:g}"
        )
    if shown.smallest_seen is None or shown.smallest_seen > shown.matters:
        lines.append(
            "that is too few for one reader: a difference that would matter may well be missed. More pictures "
            "(--number) or more readers see more"
        )
    return lines
