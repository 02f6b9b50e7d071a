"""How patients must be simulated, and prepared, to stand beside a cohort of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synthoma.data.settings import PrepareConfig
from synthoma.phantom.config import PhantomConfig, Skull
from synthoma.types import MODALITIES, PLAIN_MODALITY, REGIONS

HEAD_MM = 190.0
"""About the side of a slice that is cropped to the head."""


def phantom_beside(
    meta: Mapping[str, Any], prepared: Mapping[str, Any], skull: Skull = "mixed"
) -> tuple[PhantomConfig, PrepareConfig]:
    """Settings of a phantom cohort with the modalities, labels, plane and size of a real one.

    Pixels are simulated a quarter finer than the cohort's, within 1 to 2 mm: what is finer would be averaged away.

    Args:
        meta: "modalities", "labels", "size" and "plane", as cohort.json has them.
        prepared: the settings of ``prepare`` that made the cohort, as its provenance has them.
        skull: what heads it shows, see ``data.matching.heads_of``.

    Returns:
        Settings of the patients, and of their preparation.
    """
    modalities = tuple(meta["modalities"])
    plain = modalities == (PLAIN_MODALITY,)
    phantom = PhantomConfig(
        skull=skull,
        pixel_mm=float(np.clip(round(0.75 * HEAD_MM / meta["size"], 1), 1.0, 2.0)),
        modalities=MODALITIES if plain else modalities,
        plain=plain,
    )
    regions = set(dict(meta["labels"]).values()) == set(REGIONS.values())
    prepare = PrepareConfig(
        modalities=modalities,
        size=meta["size"],
        plane=meta["plane"],
        crop=prepared.get("crop", True),
        normalise=prepared.get("normalise", "robust"),
        merge=None if regions else "whole-tumour",
        duplicates=False,
    )
    return phantom, prepare
