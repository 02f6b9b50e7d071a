"""The parts that a report of an evaluation is made of, and the names of what it shows."""

from __future__ import annotations

from dataclasses import dataclass

from synthoma.evaluation.result import Evaluation
from synthoma.evaluation.settings import Thresholds

FAMILIES = {
    "wavelet": "wavelets and histogram",
    "random": "random convolutions",
    "radiomics": "radiomics",
    "learned": "a detector's own features",
    "own": "the user's own features",
}

SCORES = {
    "sliced_wasserstein": "sliced Wasserstein-2 distance",
    "kid": "kernel distance (KID, squared)",
    "frechet": "Fréchet distance (squared, as FID)",
    "frechet_infinity": "Fréchet distance (squared), endless N",
    "precision": "precision",
    "density": "density",
    "recall": "recall",
    "coverage": "coverage",
}


@dataclass(frozen=True)
class Block:
    """A part of a section: sentences and a table; either may be missing.

    Attributes:
        key: by which a page finds the pictures that belong here.
        title: heading.
        text: paragraphs.
        columns: heads of the table.
        rows: its cells.
        words: columns that hold words; all others hold figures.
        groups: heads over several columns each, after the first column: name and number of columns.
        shades: 0..1 for each cell that is shaded; of equal shape as ``rows`` or empty.
        warning: what the reader must not conclude.
        items: a list below the paragraphs.
        folded: whether a page hides the table until it is asked for.
    """

    key: str
    title: str
    text: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    words: frozenset[int] = frozenset({0})
    groups: tuple[tuple[str, int], ...] = ()
    shades: tuple[tuple[float | None, ...], ...] = ()
    warning: str = ""
    items: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the report under one heading.

    Attributes:
        key: one of the four questions, or another name.
        title: heading.
        blocks: its parts.
    """

    key: str
    title: str
    blocks: tuple[Block, ...]


def thresholds_of(result: Evaluation) -> Thresholds:
    """The thresholds that were fixed before the evaluation."""
    return result.provenance.config.thresholds


def family_name(family: str) -> str:
    """A family of features, for people."""
    return FAMILIES.get(family, family)


def score_name(score: str) -> str:
    """A score, for people."""
    return SCORES.get(score, score)
