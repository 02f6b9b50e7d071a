"""What the values of a mask file mean, by where the file comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from synthoma.errors import InputError
from synthoma.types import REGIONS, WHOLE_TUMOUR, Array, Bytes

Meaning = Literal["tumour", "brats", "brats-2023", "brats-later", "brats2", "any"]
"""Convention of a mask's values.

``tumour``: anything but background. ``brats2``: 2012 to 2016, where 3 is the non-enhancing core. ``brats``: 2017 to
2021. ``brats-2023``: since then. ``brats-later``: since then, at a time point after treatment, where 4 is the resection
cavity. ``any``: a volume of unknown origin.
"""

_REMOVE = "correct the mask, or remove it from the folder"

MOST_LABEL = 4
"""Highest label of a mask that tells tumour regions apart (BraTS)."""


def labelled(values: Array, meaning: Meaning) -> tuple[Bytes, Mapping[int, str]]:
    """Mask as `types.REGIONS` or `types.WHOLE_TUMOUR`.

    Args:
        values: (z, y, x) as stored.
        meaning: the convention of the file.

    Returns:
        uint8 labels (z, y, x), and what each label means.

    Raises:
        InputError: values that the convention does not have.
    """
    present = np.unique(values)
    if meaning == "tumour" or (meaning == "any" and present.size <= 2 and present[0] == 0):
        return whole_tumour(values, present), WHOLE_TUMOUR
    if not np.isin(present, (0, 1, 2, 3, 4)).all():
        listed = ", ".join(f"{value:g}" for value in present[:8].tolist()) + (", ..." if present.size > 8 else "")
        raise InputError("mask values among 0, 1, 2, 3, 4", listed, _REMOVE)
    table = np.array(_new_labels(meaning, three_and_four=bool({3, 4} <= set(present.tolist()))), dtype=np.uint8)
    return table[values.astype(np.uint8)], REGIONS


def whole_tumour(values: Array, present: Array) -> Bytes:
    """Binary mask: what is not background, or above half of the maximum where a smoothed file has greys between.

    A few whole numbers from 0 on are labels, and no greys: each of them is tumour.
    """
    if present[0] < 0:
        raise InputError("a mask with background 0", f"values from {present[0]:g}", _REMOVE)
    labels = present[-1] <= MOST_LABEL and (present == np.rint(present)).all()
    threshold = present[-1] / 2 if present.size > 2 and not labels else 0
    return (values > threshold).astype(np.uint8)


def _new_labels(meaning: Meaning, *, three_and_four: bool) -> tuple[int, int, int, int, int]:
    """New label for the stored values 0 to 4.

    2017 to 2021 have 4 for the enhancing tumour and no 3; since 2023 it is 3. With both in one mask, 3 is the
    non-enhancing core in older sets, and 4 the resection cavity in newer ones.
    """
    if meaning == "brats-later" or (meaning == "brats-2023" and three_and_four):
        return (0, 1, 2, 3, 0)
    if meaning == "brats2" or three_and_four:
        return (0, 1, 2, 1, 3)
    return (0, 1, 2, 3, 3)
