"""The scores of a segmenter by group: site, sequence that it is shown, size of the tumour."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError
from synthoma.core.progress import Progress
from synthoma.core.types import Floats, Ints
from synthoma.evaluation.heldout.asking import Asked
from synthoma.evaluation.heldout.group_result import By, GroupScores
from synthoma.evaluation.heldout.segmenter import segmenter_scores
from synthoma.masks.estimates import Estimate, Gap
from synthoma.masks.regions import WHOLE
from synthoma.masks.result import PatientScores, Scores
from synthoma.metrics.intervals import SHARE, Limits, paired_difference, score_interval, unpaired_difference
from synthoma.training.meta import ModelMeta

SIZES_ML = (10.0, 50.0)
"""ml between small, middle and large tumours: balls of 27 and 46 mm."""

SEVERAL, UNKNOWN = "several", "unknown"


def group_scores(
    scores: Scores, by: Sequence[By], asked: Asked, meta: ModelMeta, cohort: Cohort, rows: Ints, progress: Progress
) -> tuple[GroupScores, ...]:
    """Scores of each group, in the order that is asked for.

    Args:
        scores: of all patients.
        by: what makes groups.
        asked: the segmenter.
        meta: its description.
        cohort: whose slices it was asked about.
        rows: which slices.
        progress: told while the model is asked again, once a sequence.

    Raises:
        ConfigError: by sequence, of a model that knows one or cannot do without any.
    """
    found: list[GroupScores] = []
    for name in by:
        if name == "sequence":
            found += _by_sequence(scores, asked, meta, cohort, rows, progress)
            continue
        labels = _sites(cohort, rows) if name == "site" else _sizes(scores.per_patient)
        found += _by_label(scores, name, labels)
    return tuple(found)


def _by_label(scores: Scores, by: By, labels: Mapping[str, str]) -> list[GroupScores]:
    """Patients parted by a label each; labels in their order."""
    groups = []
    for label in dict.fromkeys(labels.values()):
        own = [row for row in scores.per_patient if labels[row.patient] == label]
        others = [row for row in scores.per_patient if labels[row.patient] != label]
        # To all others and not to all: of these the group is a part, and would be held against itself.
        gap = unpaired_difference(
            _dice(own), _dice(others), limits=SHARE, draws=scores.settings.draws, seed=scores.settings.seed
        )
        groups.append(_scored(scores, by, label, own, Gap.between(gap)))
    return groups


def _sites(cohort: Cohort, rows: Ints) -> dict[str, str]:
    """The site of each patient, patients in the order of their sites."""
    table = cohort.slices.iloc[rows]
    if "site" not in table:
        return dict.fromkeys(sorted(table["group"].astype(str).unique()), UNKNOWN)
    sites = table["site"].fillna("").astype(str).groupby(table["group"].astype(str)).unique()
    names = {
        str(group): UNKNOWN if list(some) == [""] else some[0] if len(some) == 1 else SEVERAL
        for group, some in sites.items()
    }
    return dict(sorted(names.items(), key=lambda item: (item[1] in (UNKNOWN, SEVERAL), item[1])))


def _sizes(rows: Sequence[PatientScores]) -> dict[str, str]:
    """The range that the true volume of each patient lies in, from none upwards."""
    bounds = (0.0, *SIZES_ML, math.inf)
    names = ["no tumour", f"up to {SIZES_ML[0]:g} ml", f"{SIZES_ML[0]:g} to {SIZES_ML[1]:g} ml"]
    names.append(f"above {SIZES_ML[1]:g} ml")
    found: dict[str, tuple[int, str]] = {}
    for row in rows:
        volume = row.regions[WHOLE].volume
        place = next(place for place, bound in enumerate(bounds) if volume / 1000 <= bound)
        # Without the side of a voxel nobody knows how large a tumour is; that there is none is known.
        if row.unit == "pixels" and volume:
            found[row.patient] = (len(names), UNKNOWN)
        else:
            found[row.patient] = (place, names[place])
    return {patient: name for patient, (_, name) in sorted(found.items(), key=lambda item: item[1][0])}


def _by_sequence(
    scores: Scores, asked: Asked, meta: ModelMeta, cohort: Cohort, rows: Ints, progress: Progress
) -> list[GroupScores]:
    """All patients that have a sequence, shown that alone."""
    shown = [name for name in meta.modalities if name in cohort.modalities]
    if len(shown) < 2:
        came = f"{meta.model}, which sees {', '.join(meta.modalities)} in a cohort of {', '.join(cohort.modalities)}"
        raise ConfigError("a model and a cohort with several sequences for --by sequence", came, "leave it out")
    if not meta.any_subset:
        came = f"{meta.model}, which needs all of {', '.join(meta.modalities)}"
        raise ConfigError("a model that can do without some sequences", came, "leave --by sequence out")
    groups, settings = [], scores.settings
    for name in shown:
        missing = cohort.slices["missing"].iloc[rows].fillna("").astype(str) if "missing" in cohort.slices else None
        own = rows if missing is None else rows[[name not in text.split("+") for text in missing]]
        if not len(own):
            continue
        alone = segmenter_scores(
            _shown(asked, meta.modalities.index(name)),
            meta,
            cohort,
            own,
            draws=settings.draws,
            seed=settings.seed,
            progress=progress,
        ).masks
        with_all = {row.patient: row for row in scores.per_patient}
        pairs = [with_all[row.patient] for row in alone.per_patient]
        gap = paired_difference(
            _dice(alone.per_patient), _dice(pairs), limits=SHARE, draws=settings.draws, seed=settings.seed
        )
        groups.append(_scored(scores, "sequence", name, alone.per_patient, Gap.between(gap)))
    return groups


def _shown(asked: Asked, channel: int) -> Asked:
    """The same with one sequence alone; what is not shown stays 0, as in learning."""
    # A shallow copy: context and members are shared, and only the channels are its own.
    slices = copy.copy(asked.slices)
    slices.channels = [source if at == channel else -1 for at, source in enumerate(asked.slices.channels)]
    return replace(asked, slices=slices)


def _dice(rows: Sequence[PatientScores]) -> Floats:
    return np.array([row.regions[WHOLE].dice for row in rows], dtype=np.float64)


def _scored(scores: Scores, by: By, name: str, rows: Sequence[PatientScores], gap: Gap) -> GroupScores:
    """Means of a group with their intervals by patient."""

    def mean(values: Sequence[float], limits: Limits) -> Estimate:
        settings = scores.settings
        if not values:
            return Estimate(value=math.nan, low=math.nan, high=math.nan, n=0)
        return Estimate.of(score_interval(np.array(values), limits=limits, draws=settings.draws, seed=settings.seed))

    # Distances in mm and in pixels have no mean.
    solid = [row for row in rows if row.unit == "mm"]
    return GroupScores(
        by=by,
        group=name,
        patients=len(rows),
        dice=mean([row.regions[WHOLE].dice for row in rows], SHARE),
        surface_dice=mean([row.regions[WHOLE].surface_dice for row in rows], SHARE),
        hd95=mean([row.regions[WHOLE].hd95 for row in solid], (0.0, math.inf)),
        lesion_dice=mean([row.lesions[WHOLE].dice for row in solid if row.lesions is not None], SHARE),
        gap=gap,
    )
