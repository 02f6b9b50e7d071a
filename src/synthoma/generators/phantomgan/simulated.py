"""Simulated slices that a generator of real ones can repaint."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from synthoma.cohorts.cohort import Cohort, check_scale
from synthoma.cohorts.dataset import TrainingSlices
from synthoma.core.errors import InputError
from synthoma.core.types import (
    HEALTHY,
    MODALITIES,
    PLAIN_MODALITY,
    REGIONS,
    UNLABELLED,
    WHOLE_TUMOUR,
    Bools,
    Floats,
    Ints,
)
from synthoma.generators.phantomgan.air import box_of, with_air
from synthoma.generators.phantomgan.matching import FEATURES, Matching, structure

KINDS = ("healthy", "tumour")
"""Classes of simulated slices."""


class SimulatedSlices(TrainingSlices):
    """Simulated slices, each with the chance of being drawn.

    Attributes:
        chances: (N,), in all 1; equal until ``match`` is called.
    """

    def __init__(self, cohort: Cohort, rows: Ints, *, with_masks: bool) -> None:
        super().__init__(cohort, rows, with_masks=with_masks)
        self.match(None)

    def match(self, matching: Matching | None) -> None:
        """Draw slices in the shares of real ones; None: all alike."""
        count = len(self.rows)
        self.chances = np.full(count, 1 / count) if matching is None else matching.chances(self.structure())
        self.upto = np.cumsum(self.chances)

    def structure(self) -> Floats:
        """What these slices are made of, see ``matching.structure``; (N, 9)."""
        return row_structure(self.cohort, self.rows)

    def drawn(self, places: Floats) -> Ints:
        """Positions of the slices at these places (N,) in 0..1 of the cumulative chances."""
        # Sums of chances may end a little below 1: a place beyond the last of them is the last slice's.
        return np.minimum(np.searchsorted(self.upto, places, side="right"), len(self.rows) - 1)


def shows_tumour(cohort: Cohort, rows: Ints) -> Floats:
    """Whether rows of a cohort show a tumour, (N,): 1 or 0 by mask, else by class; nan where neither tells."""
    table = cohort.slices.iloc[rows]
    names = table["label"].astype(str)
    # Not known is neither: it is filled in from slices of which it is known.
    by_class = np.where(names == UNLABELLED, np.nan, [simulated_class(name) == "tumour" for name in names])
    return np.where(_masked(cohort, rows), table["tumour_pixels"].to_numpy() > 0, by_class)


def _masked(cohort: Cohort, rows: Ints) -> Bools:
    """Which rows have a mask, be it an empty one; all of them in a cohort with labels that does not say."""
    if not cohort.tumour_labels or "has_mask" not in cohort.slices:
        return np.full(len(rows), bool(cohort.tumour_labels))
    return cohort.slices["has_mask"].iloc[rows].fillna(0).astype(bool).to_numpy()


def in_air(planes: Tensor, airs: Floats, draws: Sequence[np.random.Generator]) -> Tensor:
    """Simulated slices (N, C + L, S, S) in -1..1, each in the air of a real one.

    Air is put in before a slice is repainted, so that nothing else is to be learned of it.

    Args:
        planes: modalities, then labels.
        airs: level and grain of each modality, (N, C, 2), see ``air.air_of``.
        draws: source of the grain of each slice.
    """
    aired = planes.clone()
    for image, air, source in zip(aired, airs, draws, strict=True):
        parts = (image[: len(air)].double().numpy() + 1) / 2
        box = box_of(parts[0])
        given = [with_air(part, box, tuple(own), source) for part, own in zip(parts, air.tolist(), strict=True)]
        image[: len(air)] = torch.from_numpy(np.clip(np.stack(given), 0, 1) * 2 - 1)
    return aired


def row_structure(cohort: Cohort, rows: Ints) -> Floats:
    """What rows of a cohort are made of, see ``matching.structure``; (N, 9). Read in parts: a cohort may be large.

    Without a mask it is the class that says whether there is a tumour, and what it is like is not known: nan.
    """
    # In double only part by part, which takes four times what the cohort itself does.
    parts = np.array_split(rows, max(1, len(rows) // 512))
    found = np.concatenate(
        [structure(np.asarray(cohort.images[part, 0], np.float64), np.asarray(cohort.masks[part])) for part in parts]
    )
    at, unseen = FEATURES.index("tumour"), ~_masked(cohort, rows)
    ill = shows_tumour(cohort, rows)[unseen]
    found[unseen, at:] = np.where(ill == 0, 0, np.nan)[:, None]
    found[unseen, at] = ill
    return found


def simulated_class(name: str) -> str:
    """Class of simulated slices that shows what a class of real ones is called: "healthy" or "tumour"."""
    return "healthy" if name.lower() in HEALTHY else "tumour"


def class_of(area: int, classes: Sequence[str]) -> str:
    """What a slice with a tumour of this area is called among these classes; UNLABELLED where nothing says.

    Of several kinds of tumour, what is simulated is a glioma.
    """
    fitting = [name for name in classes if simulated_class(name) == ("tumour" if area else "healthy")]
    if len(fitting) > 1 and "glioma" in fitting:
        return "glioma"
    return fitting[0] if len(fitting) == 1 and UNLABELLED not in fitting else UNLABELLED


def kinds_shown(cohort: Cohort, rows: Ints) -> tuple[str, ...]:
    """Kinds of simulated slices that these rows need beside them: both where nobody knows what some of them show."""
    ill = shows_tumour(cohort, rows)
    return tuple(kind for kind, other in zip(KINDS, (1, 0), strict=True) if (ill != other).any())


def simulated_names(classes: Sequence[str], kinds: Collection[str]) -> tuple[str, ...]:
    """What simulated slices of these kinds are called among these classes, each name once."""
    return tuple(dict.fromkeys(class_of(area, classes) for area, kind in enumerate(KINDS) if kind in kinds))


def can_be_simulated(modalities: Sequence[str]) -> bool:
    """Whether patients can be simulated with these modalities."""
    return set(modalities) <= set(MODALITIES) or tuple(modalities) == (PLAIN_MODALITY,)


def masks_can_be_simulated(labels: Sequence[str]) -> bool:
    """Whether simulated masks tell apart what these labels do, in their order."""
    return list(labels) in (list(WHOLE_TUMOUR.values()), list(REGIONS.values()))


def repaintable_slices(
    phantom: Cohort,
    *,
    size: int,
    modalities: Sequence[str],
    plane: str,
    labels: Sequence[str],
    kinds: Collection[str],
) -> SimulatedSlices:
    """The slices of a phantom cohort that was prepared like the real one.

    Args:
        phantom: simulated slices.
        size: side of the real ones in pixels.
        modalities: of the real ones, in order.
        plane: of the real ones.
        labels: names of the mask labels that are drawn too; none where masks are not.
        kinds: use slices of these, see ``KINDS``.

    Raises:
        InputError: they are not simulated, something differs, or there is no slice of these kinds.
        ConfigError: grey values on another scale.
    """
    # Said first: a repainted scan of a patient is that patient, in another style.
    if phantom.origin != "phantom":
        todo = "make one with `synthoma prepare --phantom N`: scans of patients must not be repainted"
        raise InputError("a cohort of simulated patients", f"{phantom.path.name}, which is {phantom.origin}", todo)
    check_scale(phantom)
    wanted: dict[str, object] = {"size": size, "modalities": list(modalities), "plane": plane}
    came: dict[str, object] = {
        "size": phantom.size,
        "modalities": list(phantom.modalities),
        "plane": phantom.meta.plane,
    }
    if labels:
        wanted["labels"], came["labels"] = list(labels), list(phantom.tumour_labels.values())
    for name, value in wanted.items():
        if came[name] != value:
            todo = "prepare the phantom as the real cohort was (--size, --modalities, --set merge=whole-tumour)"
            raise InputError(f"simulated slices with {name} {value}", f"{came[name]} in {phantom.path.name}", todo)
    keep = phantom.slices["label"].isin(kinds).to_numpy()
    if not keep.any():
        todo = "prepare the phantom with all slices"
        raise InputError(f"simulated slices of {', '.join(kinds)}", ", ".join(phantom.classes), todo)
    return SimulatedSlices(phantom, np.flatnonzero(keep), with_masks=bool(labels))
