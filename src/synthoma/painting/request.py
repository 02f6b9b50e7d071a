"""What one tumour is to be, drawn from the dials."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synthoma.painting.dials import Dials
from synthoma.phantom.config import PhantomConfig
from synthoma.phantom.tissue import Tissue
from synthoma.phantom.tumour import Biology, draw_biology


@dataclass(frozen=True)
class Request:
    """One tumour.

    Attributes:
        biology: its character, see ``phantom.tumour``; ``volume_ml`` is its size.
        place: as in ``Dials``.
        contrast, heterogeneity, mass_effect_mm: as in ``Dials``.
        enhancing: share of the core; None where the biology says it.
    """

    biology: Biology
    place: tuple[str, ...] | tuple[float, float, float]
    contrast: float
    heterogeneity: float
    mass_effect_mm: float
    enhancing: float | None


def requested(rng: np.random.Generator, dials: Dials, sizes: tuple[float, ...] = ()) -> Request:
    """Draw one tumour.

    Args:
        rng: drives everything.
        dials: what is asked.
        sizes: volumes of the training patients' tumours in ml, from which sizes are drawn where none is asked.
    """
    high = {"low": False, "high": True, "mixed": rng.random() < 0.4}[dials.grade]
    biology = draw_biology(rng, PhantomConfig(), high)
    volume = biology.volume_ml
    if dials.size_ml is not None:
        # Between small and large evenly in the logarithm, as sizes of tumours spread.
        low, most = np.log(dials.size_ml)
        volume = float(np.exp(rng.uniform(low, most)))
    elif sizes:
        volume = float(sizes[rng.integers(len(sizes))] * np.exp(rng.normal(0, 0.2)))
    core = biology.core if dials.oedema is None else 1 - float(rng.uniform(*dials.oedema))
    enhancing = None if dials.enhancing is None else float(rng.uniform(*dials.enhancing))
    middle = biology.middle
    if middle == Tissue.CAVITY:  # an operation is no tumour, and its label would say so
        middle = Tissue.NECROSIS if high else Tissue.CORE
    biology = replace(biology, volume_ml=volume, core=float(np.clip(core, 0.02, 0.98)), middle=middle, foci=1)
    return Request(
        biology=biology,
        place=dials.place,
        contrast=float(rng.uniform(*dials.contrast)),
        heterogeneity=float(rng.uniform(*dials.heterogeneity)),
        mass_effect_mm=float(rng.uniform(*dials.mass_effect_mm)),
        enhancing=enhancing,
    )
