"""The page of an evaluation: verdict, four lights, pictures, scores beside their nulls, nearest training scans."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthoma.data.cohort import Cohort
from synthoma.pictures import grey, outlined, png
from synthoma.reports.figures import data_uri, shares, strip_plot
from synthoma.reports.page import render

SCORE_NAMES = {
    "kid": ("kernel distance (KID)", "0 is equal"),
    "sliced_wasserstein": ("sliced Wasserstein-2", "less is better"),
    "frechet": ("Fréchet distance", "less is better"),
    "precision": ("precision", "share of synthetic images among the real ones"),
    "recall": ("recall", "share of real images that are reached"),
    "density": ("density", "1 is equal"),
    "coverage": ("coverage", "share of real images with a synthetic neighbour"),
}
FAMILIES = {"wavelet": "wavelet statistics and histogram", "random": "random convolutional features"}
SHOWN = 12


def evaluation_page(evaluation: dict[str, Any], real: Cohort, synthetic: Cohort) -> str:
    """The whole page as HTML text."""
    compared = evaluation["compared"]
    channel = real.modalities.index(compared["modality"])
    rows = compared["rows"]
    return render(
        "evaluation.html",
        title=f"Evaluation of {synthetic.path.resolve().name}",
        evaluation=evaluation,
        compared=compared,
        real_tiles=_tiles(real, rows["held_out"], channel),
        synthetic_tiles=_tiles(synthetic, rows["synthetic"], channel),
        pairs=[_pair(evaluation, real, synthetic, channel, pair) for pair in evaluation["privacy"]["pairs"][:SHOWN]],
        tables=[(FAMILIES[family], _score_rows(scores)) for family, scores in evaluation["fidelity"].items()],
        strips={family: _strip(scores) for family, scores in evaluation["fidelity"].items()},
        histogram=_histogram(evaluation["intensities"]),
        intensities=evaluation["intensities"],
        privacy=evaluation["privacy"],
    )


def _tiles(cohort: Cohort, rows: list[int], channel: int) -> list[str]:
    """Twelve slices spread evenly over the rows compared."""
    chosen = [rows[at] for at in np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).astype(int)]
    return [_picture(cohort, row, channel, mask=True) for row in chosen]


def _picture(cohort: Cohort, row: int, channel: int, *, mask: bool = False) -> str:
    picture = grey(np.asarray(cohort.images[row, channel], np.float32))
    if mask:
        picture = outlined(picture, np.asarray(cohort.masks[row]))
    return data_uri(png(picture, scale=2 if picture.shape[0] < 128 else 1))


def _pair(
    evaluation: dict[str, Any], real: Cohort, synthetic: Cohort, channel: int, pair: dict[str, Any]
) -> dict[str, Any]:
    return {
        "synthetic": _picture(synthetic, pair["synthetic_row"], channel),
        "training": _picture(real, pair["training_row"], channel),
        "case": str(real.slices["source"].iloc[pair["training_row"]] or real.slices["case"].iloc[pair["training_row"]]),
        **pair,
    }


def _score_rows(scores: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for key, (title, hint) in SCORE_NAMES.items():
        score = scores[key]
        null = score["null"]
        span = f"{min(null):.3g} to {max(null):.3g}" if null else "too few patients"
        ratio = "" if score["ratio"] is None else f"{score['ratio']:.2f}"
        p = "" if score["p"] is None else f"{score['p']:.3f}"
        figures = {"value": f"{score['value']:.3g}", "null": span, "ratio": ratio, "p": p, "n": score["n"]}
        rows.append({"title": title, "hint": hint, **figures})
    return rows


def _strip(scores: dict[str, Any]) -> str:
    """Ratios of distances to their real-vs-real median, with the null's own spread."""
    rows = {}
    for key in ("sliced_wasserstein", "frechet"):
        score = scores[key]
        if score["null_median"]:
            rows[SCORE_NAMES[key][0]] = ([value / score["null_median"] for value in score["null"]], score["ratio"])
    return strip_plot(rows, "times the real-vs-real median (log scale)") if rows else ""


def _histogram(intensities: dict[str, Any]) -> str:
    names = {"real": "held-out scans", "synthetic": "synthetic"}
    series = {title: intensities["shares"][key] for key, title in names.items()}
    return shares(series, intensities["edges"], "grey value (0 background, 1 bright tissue)")
