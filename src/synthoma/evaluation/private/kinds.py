"""The kinds of copies that are searched for among synthetic slices, each with planted copies of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from synthoma.core.seeding import stream
from synthoma.core.types import Array, Float32, Floats, Ints
from synthoma.evaluation.comparison import Comparison
from synthoma.metrics.copies.alterations import MOTIONS, altered, blended, cropped, implanted
from synthoma.metrics.copies.blends import Blends
from synthoma.metrics.copies.parts import LESION, Crops, lesions
from synthoma.metrics.copies.whole import Gallery, Nearest

SETTING = 100
"""Planted copies of whole slices that set the threshold; others measure the recall."""

SETTING_OTHERS = 30
"""The same of blends, of crops and of lesions."""

LEAST_MEASURED = 10
"""Planted copies of each alteration that measure the recall, at least."""

UNSEARCHED = (
    "elastic warps",
    "other sequences or inverted contrast",
    "parts other than crops and lesions",
)
"""What nobody looks for."""

NO_PATIENTS = "copies of whole patients (too few synthetic or held-out patients of several slices)"
NO_MASKS = "lesions put into another brain (no masks, or no lesions, on both sides)"


@dataclass(frozen=True)
class Planted:
    """Planted copies of one alteration.

    Attributes:
        setting: scores of those that set the threshold.
        scores: of those that measure the recall.
        right_source: share of the latter whose source was found.
    """

    setting: Floats
    scores: Floats
    right_source: float


@dataclass(frozen=True)
class Search:
    """One kind of copies, searched.

    Attributes:
        name: "whole slices", "blends", "crops" or "lesions".
        words: what a copy of this kind is, behind "at most x %".
        rows: which synthetic slices were searched (N,).
        found: what is nearest to each of them.
        honest: scores (H,) of held-out slices, twins of training slices left out.
        groups: whose they are.
        planted: copies by alteration.
    """

    name: str
    words: str
    rows: Ints
    found: Nearest
    honest: Floats
    groups: tuple[str, ...]
    planted: Mapping[str, Planted]


def whole_slices(
    comparison: Comparison, gallery: Gallery, held_out: Nearest, others: Ints, canaries: int, seed: int
) -> Search:
    """Copies of whole slices: flipped, turned, zoomed, shifted.

    Args:
        comparison: what is compared.
        gallery: of the training slices.
        held_out: what is nearest to the held-out slices ``others``.
        others: held-out slices that are no twins of training slices.
        canaries: planted copies that measure the recall, of all alterations together.
        seed: of the planted copies.
    """
    draws = stream(seed, "evaluation.canaries")
    # Rounded up, so that no alteration is measured by fewer than asked for.
    measured = max(LEAST_MEASURED, -(-canaries // len(MOTIONS)))
    planted = {}
    for motion in MOTIONS:
        setting = SETTING // len(MOTIONS)
        sources = draws.integers(0, len(comparison.gallery), setting + measured)
        copies = altered(_images(comparison.gallery, sources), draws, motion)
        planted[motion.name] = _planted(gallery.nearest(copies), sources, setting)
    words = "are copies of whole slices (mirrored, upside down, turned, zoomed or shifted)"
    return Search(
        "whole slices", words, np.arange(len(comparison.synthetic)), gallery.nearest(comparison.synthetic),
        held_out.score, _groups(comparison, others), planted,
    )  # fmt: skip


def blends(comparison: Comparison, gallery: Gallery, others: Ints, canaries: int, seed: int) -> Search:
    """Blends of two training slices, in parts of 50 to 75 and 25 to 50 %."""
    draws = stream(seed, "evaluation.canaries.blends")

    def plant(sources: Ints) -> Float32:
        seconds = second_sources(sources, len(comparison.gallery), draws)
        return blended(_images(comparison.gallery, sources), _images(comparison.gallery, seconds), draws)

    search = Blends(gallery)
    return _searched("blends", "are blends of two", comparison, search, plant, others, canaries, draws)


def second_sources(sources: Ints, count: int, draws: np.random.Generator) -> Ints:
    """For each of these slices (P,) of a gallery of so many another one that it is blended with."""
    drawn = draws.integers(0, count, len(sources))
    # A slice that met itself would be a plain copy, which is found for sure: recall would be too high. Half a gallery
    # further lies another patient, since rows are sorted by patient.
    return np.where(drawn == sources, (drawn + count // 2) % count, drawn)


def crops(comparison: Comparison, others: Ints, canaries: int, seed: int) -> Search:
    """Parts of training slices, enlarged to whole ones."""
    draws = stream(seed, "evaluation.canaries.crops")

    def plant(sources: Ints) -> Float32:
        return cropped(_images(comparison.gallery, sources), draws)

    search = Crops(comparison.gallery)
    return _searched("crops", "are enlarged crops", comparison, search, plant, others, canaries, draws)


def lesion_patches(comparison: Comparison, others: Ints, canaries: int, seed: int) -> Search | None:
    """Lesions of training slices in other brains; None where masks or lesions are missing on a side."""
    theirs, ours, drawn = comparison.gallery_tumours, comparison.held_out_tumours, comparison.synthetic_tumours
    if theirs is None or ours is None or drawn is None:
        return None
    known = lesions(np.asarray(comparison.gallery), theirs)
    honest, made = lesions(comparison.held_out[others], ours[others]), lesions(comparison.synthetic, drawn)
    if not (len(known.rows) and len(honest.rows) and len(made.rows)):
        return None
    search = Gallery(known.images, known.windows, band=LESION)
    draws = stream(seed, "evaluation.canaries.lesions")
    setting, measured = SETTING_OTHERS, max(LEAST_MEASURED, canaries // 4)
    sources = draws.integers(0, len(known.rows), setting + measured)
    hosts = draws.choice(others, len(sources))
    origin = known.rows[sources]
    # Hosts are held-out slices: a host that was learned from would be found by itself.
    images, places = implanted(comparison.held_out[hosts], _images(comparison.gallery, origin), theirs[origin], draws)
    planted = lesions(images, places)  # less those that became too small
    # By number and not by half: copies that became too small are gone from either part.
    split = int((planted.rows < setting).sum())
    if not 0 < split < len(planted.rows):
        return None
    near = search.nearest(planted.images, planted.windows)
    return Search(
        "lesions", "hold the lesion of a training slice",
        made.rows, _renamed(search.nearest(made.images, made.windows), known.rows),
        search.nearest(honest.images, honest.windows).score, _groups(comparison, others[honest.rows]),
        {"put into another brain": _planted(near, sources[planted.rows], split)},
    )  # fmt: skip


def _searched(
    name: str,
    words: str,
    comparison: Comparison,
    search: Blends | Crops,
    plant: Callable[[Ints], Float32],
    others: Ints,
    canaries: int,
    draws: np.random.Generator,
) -> Search:
    sources = draws.integers(0, len(comparison.gallery), SETTING_OTHERS + max(LEAST_MEASURED, canaries // 4))
    return Search(
        name, words, np.arange(len(comparison.synthetic)), search.nearest(comparison.synthetic),
        search.nearest(comparison.held_out[others]).score, _groups(comparison, others),
        {name: _planted(search.nearest(plant(sources)), sources, SETTING_OTHERS)},
    )  # fmt: skip


def _planted(near: Nearest, sources: Ints, setting: int) -> Planted:
    """What was found of planted copies (P,), of which the first ones set the threshold."""
    # Of a blend either source is the right one.
    right = (near.candidates if near.candidates.shape[1] == 2 else near.index[:, None]) == sources[:, None]
    share = float(right.any(axis=1)[setting:].mean()) if len(sources) > setting else 0.0
    return Planted(near.score[:setting], near.score[setting:], share)


def _renamed(near: Nearest, rows: Ints) -> Nearest:
    """The same with positions in the gallery instead of positions among the lesions."""
    return Nearest(rows[near.index], near.score, near.mirrored, rows[near.candidates], near.likeness)


def _images(gallery: Array, rows: Ints) -> Float32:
    return np.clip(gallery[rows].astype(np.float32), 0, 1)


def _groups(comparison: Comparison, rows: Ints) -> tuple[str, ...]:
    return tuple(comparison.held_out_groups[row] for row in rows)
