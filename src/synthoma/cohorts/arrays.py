"""What arrays must be like to become a cohort, and what they say of their slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from synthoma.cohorts.splits import SPLITS, assign_groups, check_disjoint, group_profiles
from synthoma.cohorts.squares import FRAMED
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.types import UNLABELLED, WHOLE_TUMOUR, Array, Bytes, Float32, tumour_of
from synthoma.scans.intensity import intensity_window, with_dark_background

if TYPE_CHECKING:
    import pandas as pd

    from synthoma.cohorts.cohort import Cohort

USUAL = (-0.25, 8.0)
"""Grey values beyond these are on no scale of a cohort's."""


def stacked(images: Array, modalities: int) -> Array:
    """Images as (N, modalities, S, S).

    Raises:
        InputError: another shape, no images, slices that are not square, or values that are no numbers.
    """
    values = np.asarray(images)
    stack = values[:, None] if values.ndim == 3 and modalities == 1 else values
    form = "(N, S, S)" if modalities == 1 else f"(N, {modalities}, S, S)"
    if stack.ndim != 4 or stack.shape[1] != modalities or not len(stack) or stack.shape[2] != stack.shape[3]:
        todo = "name the channels in `modalities`, and pad or crop slices until they are square"
        raise InputError(f"images of shape {form}, N at least 1", f"{values.shape}", todo)
    if stack.dtype.kind not in "buif":
        raise InputError("images of numbers", f"{stack.dtype}", "convert them with astype(float)")
    # Slice by slice: of a large memory map the answers alone might not fit into memory.
    if stack.dtype.kind == "f" and not all(np.isfinite(part).all() for part in stack):
        raise InputError("finite grey values", "nan or infinity among them", "replace them, or leave the slices out")
    return stack


def scaled(stack: Array, groups: Sequence[str], *, normalise: bool) -> Float32:
    """Grey values on the scale of cohorts: 0 is background, 1 bright tissue.

    Args:
        stack: (N, C, S, S); of 8-bit images 255 is 1.
        groups: whom each slice shows (N,).
        normalise: find background and bright tissue, of each group and channel.

    Raises:
        ConfigError: values on another scale, where they are not to be normalised.
    """
    if not normalise:
        if stack.dtype == np.uint8:
            return np.asarray(stack, np.float32) / np.float32(255)
        low, high = float(stack.min()), float(stack.max())
        if low < USUAL[0] or high > USUAL[1]:
            wanted = "grey values from 0 (background) to 1 (bright tissue), or 8-bit images"
            raise ConfigError(wanted, f"{stack.dtype} from {low:.4g} to {high:.4g}", "give normalise=True")
        return np.asarray(stack, np.float32)
    # Of float32 `asarray` gives back the caller's own array, which must not change.
    found = np.asarray(stack, np.float32).copy()
    names = np.asarray(groups)
    for name in dict.fromkeys(groups):
        own = np.flatnonzero(names == name)
        for channel in range(found.shape[1]):
            # All slices of a patient together: one by one, empty slices would be stretched to the brightness of full
            # ones.
            values = with_dark_background(found[own, channel])
            offset, scale = intensity_window(values, "robust")
            found[own, channel] = (values - offset) / scale
    return found


def drawn(masks: Array | None, count: int, side: int) -> Bytes:
    """Masks as (N, S, S) uint8; empty ones where there are none.

    Raises:
        InputError: another shape, or values that are no whole numbers from 0 to 255.
    """
    if masks is None:
        return np.zeros((count, side, side), np.uint8)
    values = np.asarray(masks)
    if values.shape != (count, side, side):
        raise InputError(f"masks of shape {(count, side, side)}", f"{values.shape}", "give one mask for each slice")
    # Fractions are cut and numbers beyond 255 wrap round, which the comparison then shows.
    whole = values.astype(np.uint8)
    if not np.array_equal(whole, values):
        raise InputError("masks of whole numbers from 0 to 255", f"others ({values.dtype})", "threshold or round them")
    return whole


def meanings(masks: Bytes, labels: Mapping[int, str] | None) -> dict[int, str]:
    """What mask values mean.

    Raises:
        ConfigError: a value without a meaning.
    """
    known = dict(labels) if labels is not None else dict(WHOLE_TUMOUR)
    present = {int(value) for value in np.unique(masks)} - {0}
    if strange := sorted(present - set(known)):
        said = ", ".join(f"{value}: {name}" for value, name in known.items())
        todo = 'say what they mean, as labels={1: "core", 2: "oedema", 3: "enhancing"}'
        raise ConfigError(f"mask values with a meaning ({said})", f"values {strange}", todo)
    return known


def table_of(
    masks: Bytes, patients: Sequence[str] | None, classes: Sequence[str] | None, *, masked: bool
) -> pd.DataFrame:
    """One row a slice: case, patient, group, label, tumour_pixels; slices of a patient are numbered.

    Raises:
        InputError: not one patient or class for each slice.
    """
    import pandas as pd

    count = len(masks)
    for name, given in (("patients", patients), ("classes", classes)):
        if given is not None and len(given) != count:
            raise InputError(f"{name}: one for each of {count} slices", f"{len(given)}", "give as many")
    pixels = tumour_of(masks).sum(axis=(1, 2))
    shown = [f"slice-{row:06d}" for row in range(count)] if patients is None else [str(name) for name in patients]
    if classes is None:
        classes = np.where(pixels > 0, "tumour", "healthy").tolist() if masked else [UNLABELLED] * count
    table = pd.DataFrame({"case": shown, "patient": shown if patients is not None else "", "group": shown})
    table["slice"] = table.groupby("case").cumcount()
    table["label"] = [str(name) for name in classes]
    table["tumour_pixels"] = pixels
    return table


def split_table(table: pd.DataFrame, split: Sequence[str] | Sequence[float], seed: int) -> None:
    """Write the column split.

    Args:
        table: as ``table_of`` makes it.
        split: a part for each slice, or three shares of the patients.
        seed: of chance, where there are shares.

    Raises:
        ConfigError: neither of these.
        LeakError: a patient on two sides.
    """
    parts = [part for part in split if isinstance(part, str)]
    shares = [float(part) for part in split if not isinstance(part, str)]
    if parts:
        strange = sorted({part for part in parts if part not in SPLITS})
        if strange or len(parts) != len(table):
            came = repr(strange[0]) if strange else f"{len(parts)} parts for {len(table)} slices"
            raise ConfigError(f"one of {', '.join(SPLITS)} for each slice", came, "correct `split`")
        table["split"] = parts
    else:
        if len(shares) != len(SPLITS) or min(shares) < 0 or sum(shares) <= 0:
            raise ConfigError("three shares of the patients, such as (0.7, 0.15, 0.15)", f"{split}", "give these")
        names, profiles = group_profiles(table)
        chosen = assign_groups(profiles, shares, seed=seed)
        table["split"] = table["group"].map(
            {name: SPLITS[part] for name, part in zip(names, chosen.tolist(), strict=True)}
        )
    check_disjoint(table)


def framing_of(like: Cohort, modalities: Sequence[str], side: int, classes: set[str]) -> dict[str, object]:
    """The settings by which the slices of a cohort were framed, provided that these are like them.

    Args:
        like: the cohort.
        modalities: of the slices that stand for its own.
        side: of these slices, in pixels.
        classes: of these slices.

    Raises:
        ConfigError: they are unlike.
    """
    todo = "give arrays like its own, or synthoma.prepare(FILE, OUT, like=COHORT), which resizes"
    if (tuple(modalities), side) != (like.modalities, like.size):
        wanted = f"{'+'.join(like.modalities)} at {like.size} px, as in {like.path.name}"
        raise ConfigError(wanted, f"{'+'.join(modalities)} at {side} px", todo)
    if strange := sorted(classes - {*like.classes, UNLABELLED}):
        raise ConfigError(f"classes of the cohort ({', '.join(like.classes)})", ", ".join(strange[:4]), "rename them")
    stated = like.meta.provenance.config
    return {name: stated[name] for name in (*FRAMED, "size", "plane") if name in stated}
