"""Two stages: a classifier says which slices are healthy, and nothing is outlined on those."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthoma.cohorts.squares import Framing
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import HEALTHY, Bools, Float32, Floats
from synthoma.detection.classes import Classifier
from synthoma.scans.case import Study


@dataclass(frozen=True)
class Gated:
    """What passed the gate.

    Attributes:
        maps: (n, T, S, S), 0 on slices that the classifier takes for healthy.
        chances: probability of tumour of each slice by the classifier, (n,); NaN on slices without content.
        shut: slices that it takes for healthy, (n,).
        emptied: how many of these had something outlined.
    """

    maps: Float32
    chances: Floats
    shut: Bools
    emptied: int

    @property
    def remark(self) -> str:
        """What the reader should know; empty where nothing was taken away."""
        if not self.emptied:
            return ""
        seen = int(np.isfinite(self.chances).sum())
        return (
            f"the classifier that looks first takes {int(self.shut.sum())} of {seen} slices for healthy: what was "
            f"outlined on {self.emptied} of them is left out"
        )


def healthy_columns(classifier: Classifier) -> list[int]:
    """Which of a classifier's classes mean no tumour.

    Raises:
        ConfigError: none of them, or all.
    """
    found = [number for number, name in enumerate(classifier.classes) if name.lower() in HEALTHY]
    if not found or len(found) == len(classifier.classes):
        raise ConfigError(
            "a classifier that tells healthy slices from others",
            f"{classifier.name}, which knows {', '.join(classifier.classes)}",
            "train one on a cohort with classes such as tumour and healthy (prepare --slices all)",
        )
    return found


def gated(
    study: Study, framing: Framing, maps: Float32, thresholds: tuple[float, ...], classifier: Classifier, limit: float
) -> Gated:
    """Leave out what was outlined on slices that a classifier takes for healthy.

    Args:
        study: with modalities named as the classifier knows them.
        framing: of the scan as the segmenter saw it.
        maps: its probabilities (n, T, S, S).
        thresholds: from which a pixel belongs to each target.
        classifier: that knows a healthy class.
        limit: a slice whose probability of tumour is lower counts as healthy.

    Raises:
        ConfigError: a classifier without a healthy class.
        InputError: one that looks at other planes, or that knows none of the scan's modalities.
    """
    healthy = healthy_columns(classifier)
    if classifier.plane != framing.plane:
        raise InputError(
            f"a classifier of {framing.plane} slices, as the segmenter looks at",
            f"one of {classifier.plane} slices",
            "choose one that was trained on the same plane",
        )
    chances = classifier.of_slices(study)
    # Rounded sums of several classes may leave 0..1 by a hair.
    tumour = np.clip(1 - chances[:, healthy].sum(axis=1), 0, 1)
    shut = tumour < limit  # not where there is nothing to see: NaN is not less
    over = (maps >= np.asarray(thresholds, np.float32)[:, None, None]).any(axis=(1, 2, 3))
    kept = np.where(shut[:, None, None, None], np.float32(0), maps)
    return Gated(kept, tumour, shut, int((over & shut).sum()))
