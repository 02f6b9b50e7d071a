"""Which pixels are tumour: one mask from the probabilities of targets that contain one another, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthoma.core.types import Bools, Bytes, Float32

TARGET_VALUES = {"oedema": 2, "core": 1, "enhancing": 3}
"""Mask values of a model with the nested targets tumour, core and enhancing (see ``types.REGIONS``)."""


def label_map(maps: Float32, thresholds: Sequence[float], targets: Sequence[str]) -> Bytes:
    """Mask from the probabilities of nested targets.

    Args:
        maps: (T, z, y, x) in 0..1.
        thresholds: one for each target; a pixel belongs to it from there on.
        targets: names, from the whole tumour inwards. What is inside an inner target belongs to the outer ones too.

    Returns:
        (z, y, x): 1 for tumour where that is the only target; else 2 oedema, 1 core, 3 enhancing.
    """
    labels = np.zeros(maps.shape[1:], dtype=np.uint8)
    if len(targets) == 1:
        labels[maps[0] >= thresholds[0]] = 1
        return labels
    for layer, threshold, value in zip(maps, thresholds, _values(targets), strict=True):
        labels[layer >= threshold] = value
    return labels


def meanings(targets: Sequence[str]) -> dict[int, str]:
    """What the values of ``label_map`` mean."""
    if len(targets) == 1:
        return {1: targets[0]}
    named = {value: name for name, value in TARGET_VALUES.items()}
    return {value: named.get(value, target) for value, target in zip(_values(targets), targets, strict=True)}


def target_masks(labels: Bytes, targets: Sequence[str]) -> dict[str, Bools]:
    """The region of each nested target in a ``label_map``."""
    if len(targets) == 1:
        return {targets[0]: labels == 1}
    values = _values(targets)
    return {name: np.isin(labels, values[place:]) for place, name in enumerate(targets)}


def _values(targets: Sequence[str]) -> list[int]:
    """Mask value of what is inside each target, but not inside the next."""
    known = {"tumour": TARGET_VALUES["oedema"], "core": TARGET_VALUES["core"], "enhancing": TARGET_VALUES["enhancing"]}
    if all(name in known for name in targets):
        return [known[name] for name in targets]
    return list(range(1, len(targets) + 1))
