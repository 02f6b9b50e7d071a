"""Pictures of what a generator draws: the way from one latent to another, and images beside their nearest scans."""

from __future__ import annotations

import numpy as np

from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.core.errors import InputError
from synthoma.core.pictures import contact_sheet, grey, outlined, png, tiled
from synthoma.core.types import UNLABELLED, Float32
from synthoma.generators.phantomgan.walks import patient_walks, style_walks
from synthoma.generators.sampling import Sampler, interpolate
from synthoma.metrics.copies.whole import nearest_images

STEPS = 10
ROWS = 6
SHOWN = 16


def interpolation_sheet(sampler: Sampler, seed: int, whole: Sampler | None = None) -> bytes:
    """Six strips of ten images between pairs of latents, as PNG bytes. Jumps on the way are a sign of memorising.

    Of a generator that repaints, three of them hold the anatomy and walk from one style to another, and three hold the
    style and walk through a simulated patient: there is no way between two simulated slices but through slices that
    were simulated. Their masks are exact, and outlined.

    Args:
        sampler: draws the strips.
        seed: of them.
        whole: the same model with whole simulated patients to walk through, where the sampler's are single slices.
    """
    if sampler.repaints:
        walks = [
            *style_walks(sampler, seed, STEPS, ROWS // 2),
            *patient_walks(whole or sampler, seed, STEPS, ROWS // 2),
        ]
        rows = [
            [outlined(grey((image[0] + 1) / 2), mask) for image, mask in zip(walk.planes, walk.masks, strict=True)]
            for walk in walks
        ]
        return png(contact_sheet(rows, [walk.words for walk in walks]))
    strips = interpolate(sampler, seed, STEPS, ROWS)
    return png(tiled([grey((sample[0] + 1) / 2) for strip in strips for sample in strip], STEPS))


def nearest_sheet(synthetic: Cohort, real: Cohort) -> bytes:
    """Synthetic images beside the training scan of the same class that resembles them most, as PNG bytes.

    Raises:
        InputError: no training scans of these classes, or of another size.
        ConfigError: grey values on another scale.
    """
    check_scale(real)
    if synthetic.size != real.size:
        came = f"{real.size} px for images of {synthetic.size} px"
        raise InputError("real scans of the same size", came, "prepare them with --size of the model")
    rows, captions = [], []
    for label in synthetic.classes:
        drawn = synthetic.rows(label=label)[:SHOWN]
        scans = real.rows(split="train", label=None if label == UNLABELLED else label)
        if not len(drawn) or not len(scans):
            continue
        found = nearest_images(_first(synthetic, drawn), _first(real, scans))
        for row, index, score in zip(drawn, found.index, found.score, strict=True):
            pair = [_first(synthetic, np.array([row]))[0], _first(real, scans[[index]])[0]]
            rows.append([grey(image) for image in pair])
            captions.append(
                f"{label}\nsynthetic, nearest scan\n{real.slices['source'].iloc[scans[index]]}\n{score:.3f}"
            )
    if not rows:
        raise InputError("training scans of the drawn classes", "none", "give the cohort that the model was trained on")
    return png(contact_sheet(rows, captions))


def _first(cohort: Cohort, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Float32:
    return np.clip(cohort.images[rows][:, 0].astype(np.float32), 0, 1)
