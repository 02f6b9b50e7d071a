"""Copies of training scans among synthetic slices, with the threshold taken from held-out patients."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from synthoma.evaluation.comparison import Comparison
from synthoma.metrics.copies import nearest_images

QUANTILE = 0.99
"""Share of held-out slices that lie below the threshold: what honest slices reach by chance."""

SHOWN = 24


def copies(comparison: Comparison) -> dict[str, Any]:
    """The nearest training slice of each synthetic one, found under mirroring, turning and shifting.

    A synthetic slice is flagged where it is nearer to a training slice than 99 % of held-out real slices are (than all
    of them, where there are fewer than 199). The threshold is thus the k-th highest of n held-out scores. If synthetic
    slices were like held-out ones, the number flagged would be beta-binomial with parameters k and n + 1 - k, whatever
    the distribution of scores (Wilks 1941); the test is one-sided and exact. A test against a fixed share of 1 % is
    not: with few held-out slices it finds copies where there are none.

    Ranks alone cannot tell a few perfect copies among many honest slices, where held-out slices are few. A flagged
    slice is therefore called certain where its score lies nearer to 1, which is identity, than to the highest score of
    all held-out slices.

    Returns:
        threshold, number flagged, number of certain copies, exact p, upper 95 % bound of the share flagged (Clopper &
        Pearson 1934), quantiles of both distributions, and the nearest pairs as rows of the two cohorts, most alike
        first.
    """
    honest = nearest_images(comparison.held_out, comparison.training)
    found = nearest_images(comparison.synthetic, comparison.training)
    above = max(1, int((1 - QUANTILE) * (len(honest.score) + 1)))
    threshold = float(np.sort(honest.score)[-above])
    flagged = found.score > threshold
    certain = found.score > (1 + float(honest.score.max())) / 2
    count, total = int(flagged.sum()), len(flagged)
    order = np.argsort(-found.score, kind="stable")
    levels = (0.05, 0.5, 0.95, 1.0)
    return {
        "threshold": threshold,
        "flagged": count,
        "certain": int(certain.sum()),
        "of": total,
        "p": float(stats.betabinom.sf(count - 1, total, above, len(honest.score) + 1 - above)),
        "upper_share": upper_bound(count, total),
        "quantiles": {
            "levels": list(levels),
            "synthetic": np.quantile(found.score, levels).tolist(),
            "held_out": np.quantile(honest.score, levels).tolist(),
        },
        "distinct_sources": len(set(found.index.tolist())),
        "pairs": [
            {
                "synthetic_row": int(comparison.synthetic_rows[at]),
                "training_row": int(comparison.training_rows[found.index[at]]),
                "score": float(found.score[at]),
                "mirrored": bool(found.mirrored[at]),
                "flagged": bool(flagged[at]),
                "certain": bool(certain[at]),
            }
            for at in order[: max(SHOWN, min(count, 200))]
        ],
    }


def upper_bound(count: int, total: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of a share after ``count`` hits in ``total`` (Clopper & Pearson 1934)."""
    return 1.0 if count >= total else float(stats.beta.ppf(confidence, count + 1, total - count))
