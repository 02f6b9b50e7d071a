"""What is asked of painted tumours. Without numpy: help screens read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synthoma.core.errors import ConfigError

LOBES = ("frontal", "temporal", "parietal", "occipital", "deep", "posterior fossa")
SIDES = ("left", "right")

Span = tuple[float, float]


@dataclass(frozen=True)
class Dials:
    """What is asked of all tumours; None leaves it to chance, as the phantom or the training patients have it.

    Attributes:
        size_ml: volume with oedema, least and most.
        place: words (``left``, ``frontal``) in a tuple, or x, y, z in mm from the middle of the brain.
        grade: low, high or mixed.
        contrast: how far the tumour stands out of the tissue, 1 as in patients.
        heterogeneity: 0 to 1, how uneven it is.
        oedema: share of the volume that is oedema around the core.
        enhancing: share of the core that takes up contrast agent.
        count: tumours in a scan.
        mass_effect_mm: how far tissue around it is pushed outwards.
    """

    size_ml: Span | None = None
    place: tuple[str, ...] | tuple[float, float, float] = ()
    grade: Literal["low", "high", "mixed"] = "mixed"
    contrast: Span = (1.0, 1.0)
    heterogeneity: Span = (0.3, 0.6)
    oedema: Span | None = None
    enhancing: Span | None = None
    count: Span = (1, 1)
    mass_effect_mm: Span = (0.0, 0.0)


def place_of(text: str) -> tuple[str, ...] | tuple[float, float, float]:
    """Words or numbers of ``--place``.

    Raises:
        ConfigError: neither names of lobes and sides nor three numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        x, y, z = (float(part) for part in parts)
        return x, y, z
    except ValueError:
        pass
    rest = text.lower().replace(",", " ")
    words = []
    for word in (*LOBES, *SIDES):
        if word in rest:
            words.append(word)
            rest = rest.replace(word, " ", 1)
    if rest.strip() or len(words) > 2 or sum(word in SIDES for word in words) > 1 or not words:
        todo = "write for example 'left frontal', or -30,10,20"
        raise ConfigError(f"a side ({', '.join(SIDES)}), a lobe ({', '.join(LOBES)}), both, or x,y,z in mm", text, todo)
    return tuple(words)
