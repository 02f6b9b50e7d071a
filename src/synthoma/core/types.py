"""The vocabulary: array aliases, modalities, tumour labels. Shapes are written in docstrings as (z, y, x)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthoma.core.words import MODALITIES as MODALITIES
from synthoma.core.words import PLAIN_MODALITY as PLAIN_MODALITY
from synthoma.core.words import Origin as Origin
from synthoma.core.words import Place as Place
from synthoma.core.words import Plane as Plane

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]
Float32 = NDArray[np.float32]
Float16 = NDArray[np.float16]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HEALTHY = frozenset(
    (
        *("healthy", "normal", "control", "negative", "no"),
        *("notumor", "notumour", "no_tumor", "no_tumour", "no-tumor", "no-tumour"),
    )
)
"""Names of classes that mean no tumour, in small letters."""

REGIONS: dict[int, str] = {1: "core", 2: "oedema", 3: "enhancing"}
"""Tumour sub-regions: necrotic and non-enhancing core, oedema, enhancing tumour (values as BraTS since 2023)."""

CAVITY: dict[int, str] = {4: "cavity"}
"""What an operation left behind: neither tumour nor core, so nothing that is measured of a tumour counts it."""

UNLABELLED = "unlabelled"
"""The class of an image of which nobody said one."""

WHOLE_TUMOUR: dict[int, str] = {1: "tumour"}
"""The one label of a cohort whose masks only say tumour or not."""

TARGETS: dict[str, tuple[int, ...]] = {"tumour": (1, 2, 3), "core": (1, 3), "enhancing": (3,)}
"""What a detector outlines, each with the sub-regions that it consists of; they contain one another, as in BraTS."""


def tumour_of(mask: Array) -> Bools:
    """Where a mask shows tumour: every value but 0 and that of a cavity."""
    shown: Bools = np.asarray(mask > 0)
    for value in CAVITY:
        shown &= mask != value
    return shown


def tumour_labels(labels: Mapping[int, str]) -> dict[int, str]:
    """Those of the labels of a cohort that are tumour, in their order."""
    return {value: name for value, name in labels.items() if value not in CAVITY}
