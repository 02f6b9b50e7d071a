"""Images of any other tool packed as a cohort is prepared: its sequences, size and classes, and as its slices lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.cohorts.framing import head_box
from synthoma.cohorts.grey_scale import load_framed, white_of
from synthoma.cohorts.settings import GIVEN_BY_COHORT, PrepareConfig
from synthoma.cohorts.slicing import shown_modality
from synthoma.cohorts.squares import FRAMED, FramingRule
from synthoma.core.errors import CohortError, ConfigError, InputError
from synthoma.core.types import HEALTHY, PLAIN_MODALITY, WHOLE_TUMOUR, Array, tumour_labels
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Inventory, Study
from synthoma.scans.files import PICTURES, kind_of
from synthoma.scans.images import read_image
from synthoma.scans.layouts.loading import MaskError, load_files, mask_values
from synthoma.scans.layouts.part_of_case import files_of
from synthoma.scans.orientation import to_lps, to_plane

if TYPE_CHECKING:
    from collections.abc import Callable

LOOKED_AT = 48
"""Images, and slices of the cohort, by which it is decided how they lie."""

LESS = 0.1
"""How much less of its frame a head may fill than those of the cohort, to be framed as they are."""


@dataclass(frozen=True)
class Seen:
    """What some images are like, as they were stored.

    Attributes:
        sides: (rows, columns) that there are.
        filled: share of the frame that the head fills along its longer side, of each.
        kinds: types of the numbers.
        low, high: least and largest value of each type.
    """

    sides: frozenset[tuple[int, int]]
    filled: tuple[float, ...]
    low: dict[str, float]
    high: dict[str, float]


def settings_like(config: PrepareConfig, like: Cohort, cases: Sequence[Case]) -> PrepareConfig:
    """The settings of ``prepare`` that make a cohort as ``like`` is, of synthetic images, all to learn from.

    Raises:
        ConfigError: a setting that the cohort decides.
    """
    given = sorted(config.model_fields_set & set(GIVEN_BY_COHORT) - {"modalities"})
    if given:
        todo = "leave it out, or leave --like out"
        raise ConfigError("settings that --like leaves open", f"--{given[0].replace('_', '-')}", todo)
    stated, rule = like.meta.provenance.config, _rule(like)
    merge = "whole-tumour" if tumour_labels(like.labels) == WHOLE_TUMOUR else None
    values: dict[str, object] = {
        **{name: getattr(rule, name) for name in FRAMED},
        "apart": bool(stated.get("apart")),
        "tile": stated.get("tile") if isinstance(stated.get("tile"), int) else None,
        "modalities": like.modalities,
        "size": like.size,
        "plane": like.meta.plane,
        "merge": merge,
        "slices": "all",  # leaving out what failed would flatter a generator
        "classes": _classes(like, cases),
        "origin": config.origin if "origin" in config.model_fields_set else "synthetic",
        "split": (1.0, 0.0, 0.0),
        "duplicates": False,
    }
    return config.model_copy(update=values)


def _rule(like: Cohort) -> FramingRule:
    """How a cohort says that its slices became squares."""
    try:
        return FramingRule.of(like.meta.provenance.config)
    except (ValueError, TypeError, IndexError) as error:
        came = f"settings in cohort.json of {like.path.name} that there are not ({error})"
        raise CohortError("a cohort that says how its slices were made", came, "prepare it again") from None


def _classes(like: Cohort, cases: Sequence[Case]) -> Literal["auto", "folder", "mask"]:
    """Where classes come from, so that they are those of the cohort."""
    if cases and all(case.label in like.classes for case in cases):
        return "folder"
    by_mask = {"tumour", "healthy"} & set(like.classes)
    return "mask" if by_mask and cases and all(case.has_mask for case in cases) else "auto"


def fitted(inventory: Inventory, like: Cohort, shows: Sequence[str] | None) -> Inventory:
    """The cases under the sequences and classes of a cohort.

    Args:
        inventory: what was found.
        like: the cohort.
        shows: what the user says that images show which do not say it.

    Raises:
        InputError: images of other sequences, or that do not say which of several they show, or classes that the
            cohort lacks.
    """
    cases, remarks = _classed(inventory.cases, like)
    plain = sum(PLAIN_MODALITY in case.modalities for case in cases)
    sequence = _shown(like, shows) if plain and PLAIN_MODALITY not in like.modalities else None
    told = {name for case in cases for name in case.modalities}
    if sequence is None and not told & set(like.modalities):
        todo = "draw images of these, or name files after the sequence that they show"
        raise InputError(f"images of {', '.join(like.modalities)}", f"images of {', '.join(sorted(told))}", todo)
    if sequence is not None:
        remarks.append(f"images that do not say which sequence they show are taken for {sequence}")
    renamed = (
        replace(
            case,
            modalities=tuple((sequence or name) if name == PLAIN_MODALITY else name for name in case.modalities),
            load=partial(load_renamed, case.load, sequence),
        )
        for case in cases
    )
    return replace(inventory, cases=tuple(renamed), remarks=(*inventory.remarks, *remarks))


def spoken(inventory: Inventory, like: Cohort, config: PrepareConfig) -> str | None:
    """What values of mask files mean where they are those of the cohort's own regions, as ``--convention`` takes it.

    Masks of pictures would else count as one tumour. None where somebody said it, or they are others.
    """
    regions = tumour_labels(like.labels)
    masks = [files["mask"] for case in inventory.cases if "mask" in (files := files_of(case))]
    if config.convention is not None or len(regions) < 2 or not masks:
        return None
    # Evenly spread: generators write classes one after the other, and the first masks may all be empty.
    places = np.unique(np.linspace(0, len(masks) - 1, LOOKED_AT).round().astype(int))
    try:
        present = {float(value) for place in places for value in mask_values(masks[int(place)])}
    except InputError:
        return None
    if not present - {0.0} or not present <= {0.0, *map(float, like.labels)}:
        return None
    return ",".join(f"{value}={name}" for value, name in like.labels.items())


def _shown(like: Cohort, shows: Sequence[str] | None) -> str:
    """The sequence that plain images stand for."""
    names = tuple(shows or like.modalities)
    if set(names) <= set(like.modalities) and len(names) == 1:
        return names[0]
    todo = f"say which one they show, with --modalities {shown_modality(like.modalities)}, or name files so"
    known = ", ".join(like.modalities)
    raise InputError(f"one sequence of the cohort ({known})", "images that do not say which one they show", todo)


def _classed(cases: Sequence[Case], like: Cohort) -> tuple[list[Case], list[str]]:
    """Cases with classes that the cohort has, or with none; where it has one, all are of it, as drawn ones are."""
    folded = {name.lower(): name for name in like.classes}
    # Any word for no tumour is the cohort's own, provided that it has one: of two nobody knows which.
    healthy = [name for name in like.classes if name.lower() in HEALTHY]
    for name in HEALTHY if len(healthy) == 1 else ():
        folded.setdefault(name, healthy[0])
    known = [None if case.label is None else folded.get(case.label.lower()) for case in cases]
    strange = sorted({case.label for case, name in zip(cases, known, strict=True) if case.label and name is None})
    shown = ", ".join(map(printable, strange[:4]))
    if strange and any(known):
        todo = "rename its folder, or leave these images out"
        raise InputError(f"classes of the cohort ({', '.join(like.classes)})", shown, todo)
    said = f"{shown}: no class of the cohort ({', '.join(like.classes)}), so these names are not taken for classes"
    only = like.classes[0] if len(like.classes) == 1 else None
    classed = [replace(case, label=name or only) for case, name in zip(cases, known, strict=True)]
    return classed, [said] * bool(strange)


def load_renamed(load: Callable[[], Study], sequence: str | None) -> Study:
    """Load a case whose plain image is of this sequence.

    Raises:
        InputError: a coloured picture.
    """
    _check_grey(load)
    try:
        return _renamed(load(), sequence)
    except MaskError as error:
        raise MaskError(error, _renamed(error.study, sequence)) from error


def _renamed(study: Study, sequence: str | None) -> Study:
    names = {name: (sequence or name) if name == PLAIN_MODALITY else name for name in study.images}
    return replace(study, images={names[name]: image for name, image in study.images.items()})


def _check_grey(load: Callable[[], Study]) -> None:
    """Raise InputError for a coloured picture, whose grey is nobody's scan."""
    if not (isinstance(load, partial) and load.func is load_files):
        return
    for _, paths in load.args[0]:
        for path in paths:
            if kind_of(path) not in PICTURES:
                continue
            picture = read_image(path)
            if picture.ndim == 3 and not (picture == picture[..., :1]).all():
                todo = "save it as grey"
                raise InputError("a grey picture", f"{printable(path.name)}: its three channels differ", todo)


# How they lie ---------------------------------------------------------------------------------------------------------
def settled(inventory: Inventory, config: PrepareConfig, like: Cohort) -> tuple[Inventory, PrepareConfig]:
    """Decide whether images are framed as the cohort's slices are, and say so in a remark.

    Raises:
        InputError: grey values of which nobody knows what is white, where images are taken as they are; or a cohort
            that does not say how its slices were made, where they are not.
    """
    seen = look(inventory.cases, config)
    framed, why = _framed(seen, config, like)
    remarks = [*inventory.remarks, why]
    whole = {"tile": None, "apart": False} if framed else {}
    config = config.model_copy(update={"framed": "yes" if framed else "no", **whole})
    if not framed:
        if not like.meta.provenance.config:
            todo = f"give images of {like.size} px that fill the frame as its slices do, or --framed yes"
            raise InputError("a cohort that says how its slices were made", f"{like.path.name}, which does not", todo)
        return replace(inventory, remarks=tuple(remarks)), config
    remarks += white_of(seen.low, seen.high)
    cases = (replace(case, load=partial(load_framed, case.load)) for case in inventory.cases)
    return replace(inventory, cases=tuple(cases), remarks=tuple(remarks)), config


def _framed(seen: Seen, config: PrepareConfig, like: Cohort) -> tuple[bool, str]:
    """Whether the images are framed already, and what was done, for the user."""
    size = like.size
    taken = f"as they are, as slices of {like.path.name} lie"
    made = f"as scans are: cropped, normalised and resized with the settings of {like.path.name}, each by itself"
    if config.framed != "auto":
        return config.framed == "yes", f"you said so: images are taken {taken if config.framed == 'yes' else made}"
    if seen.sides != {(size, size)}:
        came = ", ".join(f"{rows}x{columns}" for rows, columns in sorted(seen.sides)[:3])
        return False, f"images of {came} pixels, not {size}x{size}: they are taken {made} (--framed yes for the other)"
    theirs, ours = _filled_of(like), float(np.median(seen.filled))
    share = f"heads fill {100 * ours:.0f} % of the frame, {100 * theirs:.0f} % in the cohort"
    # One way alone: heads that fill more of the frame than the cohort's were certainly cut out already.
    if ours >= theirs - LESS or not like.meta.provenance.config.get("crop", True):
        return True, f"images of {size}x{size} pixels ({share}): they are taken {taken} (--framed no for the other)"
    return False, f"images of {size}x{size} pixels, but {share}: they are taken {made} (--framed yes for the other)"


def _filled(image: Array) -> float:
    """Share of its frame that a head fills along its longer side, (rows, columns)."""
    box = head_box({"image": image[None]})
    return max(box.height / int(image.shape[0]), box.width / int(image.shape[1]))


def _filled_of(cohort: Cohort) -> float:
    """The median of it over some slices of a cohort."""
    channel = cohort.modalities.index(shown_modality(cohort.modalities))
    rows = np.unique(np.linspace(0, len(cohort) - 1, LOOKED_AT).round().astype(int))
    images = np.asarray(cohort.images[rows, channel], np.float32)
    shown = [_filled(image) for image in images if np.isfinite(image).all() and np.ptp(image) > 0]
    return float(np.median(shown)) if shown else 1.0


def look(cases: Sequence[Case], config: PrepareConfig) -> Seen:
    """Look at some images, in the plane of the cohort.

    Raises:
        InputError: none of them can be read, with the first reason.
    """
    sides, filled, refused = set[tuple[int, int]](), list[float](), list[InputError]()
    low, high = dict[str, float](), dict[str, float]()
    for number in np.unique(np.linspace(0, len(cases) - 1, LOOKED_AT).round().astype(int)):
        try:
            study = _study_of(cases[int(number)])
            images, _, _, _ = to_plane(to_lps(study), config.plane)
        except InputError as error:
            refused.append(error)
            continue
        for image in images.values():
            kind = image.dtype.name
            low[kind] = min(low.get(kind, np.inf), float(image.min()))
            high[kind] = max(high.get(kind, -np.inf), float(image.max()))
        shown = images[shown_modality(tuple(images))]
        middle = shown[len(shown) // 2]
        sides.add((middle.shape[0], middle.shape[1]))
        # Not above 0: of whole numbers the difference may wrap round.
        if np.ptp(middle) != 0:
            filled.append(_filled(middle))
    if not sides:
        raise refused[0]
    return Seen(frozenset(sides), tuple(filled) or (1.0,), low, high)


def _study_of(case: Case) -> Study:
    try:
        return case.load()
    except MaskError as error:
        return error.study
