"""The page of an evaluation: on the first screen verdict, lights and pictures; below, every score beside its null."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.pictures import grey, outlined, png
from synthoma.core.provenance import file_digest
from synthoma.core.whole_files import write_json, write_text
from synthoma.evaluation.diverse.result import OVERLAPS, TwinPair
from synthoma.evaluation.private.result import Pair, Privacy
from synthoma.evaluation.realistic.result import Intensities
from synthoma.evaluation.result import Evaluation, Light
from synthoma.evaluation.score import Families
from synthoma.evaluation.useful.result import Utility
from synthoma.reports.blocks import family_name, score_name
from synthoma.reports.cards import dataset_card, model_card
from synthoma.reports.croissant import croissant
from synthoma.reports.evaluation_content import QUESTIONS, compared_sentence, figure, sections
from synthoma.reports.evaluation_text import evaluation_markdown
from synthoma.reports.figures import Span, bars, data_uri, learning_curve, shares, spans
from synthoma.reports.page import render
from synthoma.reports.plain_words import radiomics_words
from synthoma.reports.wording import number, sentence

SHOWN = 6
"""Pictures of each side on the first screen."""

SHOWN_PAIRS = 12
LEAST_OUTLINE = 20
"""Pixels of tumour below which a slice does not stand for those with tumour."""

TILE_NOTES = {
    "copies": "The synthetic slices that are most alike to a training slice, each with that slice at its right.",
    "twins": "The synthetic slices that are most alike to one another, side by side.",
    "agreement": "Synthetic slices whose masks the detector disagrees with, spread over all of them.",
}
"""What stands above the pictures of a block."""

COHORT_FILES = ("cohort.json", "slices.csv", "images.npy", "masks.npy")
_KINDS = {"i": "sc:Integer", "u": "sc:Integer", "f": "sc:Float", "b": "sc:Boolean"}


@dataclass(frozen=True)
class Tile:
    """Pictures side by side with a caption.

    Attributes:
        uris: their content.
        caption: below them.
        alarming: whether it is a finding rather than an illustration.
    """

    uris: tuple[str, ...]
    caption: str
    alarming: bool = False


def write_reports(folder: Path, result: Evaluation, real: Cohort, synthetic: Cohort) -> None:
    """Write everything that people and catalogues read of an evaluation.

    Args:
        folder: gets report.html, report.md, dataset_card.md, croissant.json, and model_card.md if a model is named.
        result: the evaluation.
        real: the cohort that was compared with.
        synthetic: the cohort that was evaluated.
    """
    name = synthetic.path.resolve().name
    write_text(folder / "report.html", evaluation_page(result, real, synthetic))
    write_text(folder / "report.md", evaluation_markdown(result, name))
    write_text(folder / "dataset_card.md", dataset_card(result, synthetic.meta, real=real, name=name))
    card = model_card(result, synthetic.meta, real=real)
    if card is not None:
        write_text(folder / "model_card.md", card)
    digests = {file: file_digest(synthetic.path / file) for file in COHORT_FILES}
    write_json(folder / "croissant.json", croissant(result, synthetic.meta, digests, _columns(synthetic), name=name))


def _columns(cohort: Cohort) -> dict[str, str]:
    """Columns that slices.csv has, with their types of schema.org; a cohort in memory may have more."""
    with (cohort.path / "slices.csv").open(encoding="utf-8", newline="") as file:
        names = next(csv.reader(file))
    return {name: _KINDS.get(cohort.slices[name].dtype.kind, "sc:Text") for name in names}


def shown_sides(evaluation: Evaluation, real: Cohort, synthetic: Cohort) -> tuple[list[str], list[str]]:
    """Pictures of held-out real slices and of synthetic ones, spread over what was compared, as data URIs."""
    channels = tuple(cohort.modalities.index(evaluation.compared.modality) for cohort in (real, synthetic))
    rows = evaluation.compared.rows
    return (
        [_picture(real, row, channels[0]) for row in _chosen_rows(real, rows.held_out)],
        [_picture(synthetic, row, channels[1]) for row in _chosen_rows(synthetic, rows.synthetic)],
    )


def evaluation_page(evaluation: Evaluation, real: Cohort, synthetic: Cohort) -> str:
    """The whole page as HTML text."""
    channels = tuple(cohort.modalities.index(evaluation.compared.modality) for cohort in (real, synthetic))
    found, (real_tiles, synthetic_tiles) = evaluation.fidelity.twins, shown_sides(evaluation, real, synthetic)
    twins, alike = (found.pairs[: SHOWN_PAIRS // 2], found.alike) if found is not None else ((), 1.0)
    return render(
        "evaluation.html",
        title=f"Evaluation of {synthetic.path.resolve().name}",
        evaluation=evaluation,
        reason=sentence(evaluation.verdict.because),
        lights=[_light(light, evaluation) for light in evaluation.lights],
        compared=compared_sentence(evaluation),
        real_tiles=real_tiles,
        synthetic_tiles=synthetic_tiles,
        outlined=bool(real.tumour_labels or synthetic.tumour_labels),
        sections=sections(evaluation),
        charts=_charts(evaluation),
        tile_notes=TILE_NOTES,
        tiles={
            "twins": [_twin(synthetic, channels[1], pair, alike) for pair in twins],
            "copies": [_pair(real, synthetic, channels, pair) for pair in evaluation.privacy.pairs[:SHOWN_PAIRS]],
            "agreement": [
                Tile((_picture(synthetic, row, channels[1]),), f"row {row}", alarming=True)
                for row in _spread(
                    evaluation.agreement.rejected if evaluation.agreement is not None else (), SHOWN_PAIRS
                )
            ],
        },
    )


def _light(light: Light, evaluation: Evaluation) -> dict[str, str]:
    number_text, caption = figure(light, evaluation)
    return {
        "title": QUESTIONS[light.question],
        "key": light.question,
        "state": light.state,
        "figure": number_text,
        "caption": caption,
        "text": sentence(light.text),
    }


# --- pictures -------------------------------------------------------------------------------------------------------


def _chosen_rows(cohort: Cohort, rows: Sequence[int]) -> list[int]:
    """Slices for the first screen, spread evenly over those compared, half of them with tumour where there are any."""
    area = cohort.slices["tumour_pixels"].to_numpy()[list(rows)]
    ill = [row for row, pixels in zip(rows, area, strict=True) if pixels >= LEAST_OUTLINE]
    others = [row for row, pixels in zip(rows, area, strict=True) if pixels < LEAST_OUTLINE]
    # Half and half: most slices of a scan show no tumour, and drawn at random hardly any picture would.
    first = _spread(ill, SHOWN // 2 if others else SHOWN)
    return first + _spread(others, SHOWN - len(first))


def _spread(rows: Sequence[int], most: int) -> list[int]:
    """At most so many, each from the middle of an equal part of the list."""
    count = min(most, len(rows))
    # From the middles of equal parts: the ends of a list are ends of scans, where little is seen.
    return [rows[int((place + 0.5) * len(rows) / count)] for place in range(count)]


def _picture(cohort: Cohort, row: int, channel: int, *, mask: bool = True) -> str:
    picture = grey(np.asarray(cohort.images[row, channel], np.float32))
    if mask:
        picture = outlined(picture, np.asarray(cohort.masks[row]))
    return data_uri(png(picture, scale=2 if picture.shape[0] < 128 else 1))


def _twin(synthetic: Cohort, channel: int, pair: TwinPair, alike: float) -> Tile:
    one, other = pair.rows
    uris = (_picture(synthetic, one, channel, mask=False), _picture(synthetic, other, channel, mask=False))
    caption = f"rows {one} and {other} · correlation {number(pair.correlation)}"
    return Tile(uris, caption + (" · mirrored" if pair.mirrored else ""), pair.correlation > alike)


def _pair(real: Cohort, synthetic: Cohort, channels: Sequence[int], pair: Pair) -> Tile:
    uris = (
        _picture(synthetic, pair.synthetic_row, channels[1], mask=False),
        _picture(real, pair.training_row, channels[0], mask=False),
    )
    caption = f"row {pair.synthetic_row} · training row {pair.training_row} · likeness {number(pair.score)}"
    caption += (" · mirrored" if pair.mirrored else "") + (" · FLAGGED" if pair.flagged else "")
    return Tile(uris, caption, pair.flagged)


# --- charts ---------------------------------------------------------------------------------------------------------


def _charts(evaluation: Evaluation) -> dict[str, str]:
    """SVG of each block that has a chart; empty text where there is nothing to draw."""
    families, alpha = evaluation.fidelity.families, evaluation.provenance.config.thresholds.alpha
    what = "multiple of what real patients score against other real patients"
    charts = {
        "distances": spans(
            _ratios(families, ("sliced_wasserstein", "frechet")), f"{what} (log scale)", logarithmic=True, line=1
        ),
        "variety": spans(_ratios(families, OVERLAPS), what, line=1),
        "differs": bars(
            [
                (radiomics_words(one.feature), one.effect, (one.p or 1) <= alpha)
                for one in evaluation.fidelity.what_differs
                if one.effect is not None
            ],
            "synthetic minus held-out, in standard deviations of real slices",
        ),
        "greys": _histogram(evaluation.intensities),
        "copies": _likeness(evaluation.privacy),
    }
    if (utility := evaluation.utility) is not None:
        for at, one in enumerate([utility, *utility.other_detectors]):
            charts |= _utility_charts(one, at)
    return charts


def _ratios(families: Families, names: Sequence[str]) -> list[Span]:
    rows = []
    for family, scores in families.items():
        for name in names:
            found = scores[name]
            if not found.ratio or found.value is None:
                continue
            middle = found.value / found.ratio  # the worse of null and other real scans, see nulls.weighed
            # The ends by the same measure as the value, so that the line lies around its dot.
            low, high = (None if end is None else end / middle for end in (found.low, found.high))
            title = f"{score_name(name)} · {family_name(family)}"
            rows.append(Span(title, found.ratio, low, high, [value / middle for value in found.null], marked=True))
    return rows


def _histogram(intensities: Intensities | None) -> str:
    if intensities is None:
        return ""
    series = {"held-out scans": intensities.shares.real, "synthetic": intensities.shares.synthetic}
    return shares(series, intensities.edges, "grey value (0 background, 1 bright tissue)")


def _likeness(privacy: Privacy) -> str:
    """How alike slices are to their nearest training slice: 5 to 95 %, median and largest."""
    quantiles, rows = privacy.quantiles, []
    sides = (
        ()
        if quantiles is None
        else (
            ("held-out scans", quantiles.held_out, False),
            ("synthetic slices", quantiles.synthetic, True),
            ("altered copies (canaries)", quantiles.canaries, False),
        )
    )
    for title, levels, marked in sides:
        values = dict(zip(quantiles.levels if quantiles is not None else (), levels, strict=False))
        if {0.05, 0.5, 0.95, 1.0} <= set(values):
            rows.append(Span(title, values[0.5], values[0.05], values[0.95], dots=(values[1.0],), marked=marked))
    threshold = privacy.threshold
    label = "likeness to the nearest training slice (line: 5 to 95 %, large dot: median, small dot: largest)"
    return spans(rows, label, line=threshold if threshold is not None and threshold < 1 else None)


def _utility_charts(utility: Utility, at: int) -> dict[str, str]:
    if not utility.arms:
        return {}
    control = next((entry.against for entry in utility.comparisons.values()), "real")
    rows = [
        Span(arm.title, arm.score.value, arm.score.low, arm.score.high, dots=arm.by_seed, marked=name == control)
        for name, arm in utility.arms.items()
        if arm.score.value is not None
    ]
    label = f"{utility.endpoint} (line: 95 % interval, small dots: seeds)"
    charts = {f"arms-{at}": spans(rows, label, line=utility.arms[control].score.value)}
    if (worth := utility.worth) is not None:
        points = [(point.patients, point.by_seed) for point in worth.curve]
        line = (worth.line.slope, worth.line.start, worth.line.begin)
        labels = (utility.endpoint, "real and synthetic, chosen by others")
        charts[f"worth-{at}"] = learning_curve(points, line, worth.reached, worth.had, worth.value, labels)
    return charts
