"""``dicom``: any folder of DICOM files; one study is one case. Names are hashes, since folders carry patient names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.core.errors import InputError
from synthoma.core.pseudonyms import pseudonym
from synthoma.core.types import PLAIN_MODALITY
from synthoma.scans.case import Case, Skipped
from synthoma.scans.files import PICTURES, VOLUMES
from synthoma.scans.layouts.dicom_choice import chosen_series
from synthoma.scans.layouts.dicom_loading import load_study, reference_of
from synthoma.scans.layouts.listing import CLASS_NAMES, SPLIT_NAMES, Found, Layout, Listing, class_of, split_of
from synthoma.scans.sequence_names import judged

if TYPE_CHECKING:
    from synthoma.scans.dicom.segments import DicomMask
    from synthoma.scans.dicom.stack import Series

_SORTED_FOLDER = re.compile(r"t1w?i?n?", re.IGNORECASE)
"""Folders into which somebody sorted plain T1, whereas a header may name a contrast agent for the whole study."""

_TABLE_OF_CONTENTS = "DICOMDIR"
"""File of a disc that lists the others (PS3.10)."""


def _fits(listing: Listing) -> bool:
    kinds = list(listing.kinds.values())
    dicom = kinds.count("dicom")
    return dicom > 0 and sum(kind in PICTURES or kind in VOLUMES for kind in kinds) <= dicom


def _take(listing: Listing) -> Found:
    """One case a study, or several where its series were not taken in one position."""
    from synthoma.scans.dicom.series import sort_into_series  # pydicom and SimpleITK are slow to load

    tables = [path for path in listing.files if path.name.upper() == _TABLE_OF_CONTENTS]
    dicom = (path for path, kind in listing.kinds.items() if kind == "dicom" and path not in tables)
    found = sort_into_series(dicom, listing.key)
    series, remarks = _with_patients(listing, [_named_by_folder(listing, one) for one in found.series])
    masks, skipped = _masks(listing, found.segmentations)
    studies: dict[tuple[str | None, str], list[Series]] = defaultdict(list)
    for one in series:
        studies[one.patient, one.study].append(one)
    cases: list[Case] = []
    dropped: list[Case] = []
    unused: list[Series] = []
    for members in studies.values():
        chosen, left = chosen_series(members)
        unused += [one for one, _ in left]
        skipped += [Skipped(one.files[0], reason) for one, reason in left]
        groups = _positions(chosen)
        own = _masks_of(groups, members, masks)
        for number, (group, its) in enumerate(zip(groups, own, strict=True), start=1):
            skipped += _too_many(its)
            cases.append(_case(listing, group, number, _drawn_on(its[0], group, members) if len(its) == 1 else None))
    skipped += _beside(masks, series)
    if listing.masks_wanted and any(case.has_mask for case in cases):
        error = InputError(
            "a mask, as others have", "a study without one", "put its mask beside it, or prepare it apart"
        )
        dropped = [
            case for case in cases if not case.has_mask and case.label is None
        ]  # a class folder speaks for itself
        skipped += [Skipped(case.sources[0], str(error)) for case in dropped]
        cases = [case for case in cases if case not in dropped]
    if copies := len(found.copies):
        remarks.append(f"{copies} DICOM {'file is' if copies == 1 else 'files are'} there twice and used once")
    left_out = (*(path for one in unused for path in one.files), *(path for case in dropped for path in case.sources))
    ignored = frozenset((*tables, *found.copies, *left_out))
    return Found(tuple(sorted(cases, key=lambda case: case.name)), (*found.skipped, *skipped), tuple(remarks), ignored)


# Which series ---------------------------------------------------------------------------------------------------------
def _named_by_folder(listing: Listing, series: Series) -> Series:
    """A series whose description does not tell its sequence, by the innermost folder that does."""
    if series.by == "words":
        return series
    for part in reversed(listing.inner(series.files[0])):
        # The innermost folder first: it is the one nearest to the series.
        judgement = judged(part, agent=None if _SORTED_FOLDER.fullmatch(part) else series.agent)
        if judgement.sequence is None:
            continue
        if series.by == "weighting" and judgement.sequence != "t1c":
            return series  # the description says T1; a folder adds the contrast agent or nothing
        return replace(series, modality=judgement.sequence, by="words")
    return series


def _positions(chosen: list[Series]) -> list[list[Series]]:
    """Series of known modalities together, whatever their frame of reference; those of no known modality each alone."""
    known = [one for one in chosen if one.modality != PLAIN_MODALITY]
    return [group for group in (known, *([one] for one in chosen if one.modality == PLAIN_MODALITY)) if group]


# Which patient --------------------------------------------------------------------------------------------------------
def _with_patients(listing: Listing, series: list[Series]) -> tuple[list[Series], list[str]]:
    """Series whose files name nobody get their patient from the folders, where these are one a patient."""
    nameless: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        if one.patient is None:
            nameless[one.study].append(one)
    # A single study needs no patient to be kept together with itself.
    if len(nameless) < 2:
        return series, []
    folders = {study: _folders(listing, members) for study, members in nameless.items()}
    depth = 0
    while len({parts[depth : depth + 1] for parts in folders.values()}) == 1 and all(
        len(parts) > depth for parts in folders.values()
    ):
        depth += 1
    if any(len(parts) <= depth for parts in folders.values()):
        remark = (
            f"no patient can be told for {len(nameless)} studies: their files name nobody, and there is no folder for "
            "each patient. Scans of one patient may get into different parts of a split"
        )
        return series, [remark]
    patients = {study: pseudonym(f"folder/{parts[depth]}", listing.key) for study, parts in folders.items()}
    count = len(set(patients.values()))
    remark = f"the files of {len(nameless)} studies name no patient: {count} folders stand for patients"
    return [one if one.patient else replace(one, patient=patients[one.study]) for one in series], [remark]


def _folders(listing: Listing, members: Sequence[Series]) -> tuple[str, ...]:
    """Folders that all files of a study lie in, without those that name a class or a part of a split."""
    shared: tuple[str, ...] | None = None
    for path in (path for one in members for path in one.files):
        inner = tuple(part for part in listing.inner(path) if part.lower() not in CLASS_NAMES | SPLIT_NAMES)
        if shared is None:
            shared = inner
        same = [a == b for a, b in zip(shared, inner, strict=False)]
        shared = shared[: same.index(False) if False in same else len(same)]
    return shared or ()


# Which mask -----------------------------------------------------------------------------------------------------------
def _masks(listing: Listing, paths: Sequence[Path]) -> tuple[list[DicomMask], list[Skipped]]:
    """What segmentations outline, and those that outline no tumour."""
    if not paths:
        return [], []
    from synthoma.scans.dicom.masks import mask_of

    masks: list[DicomMask] = []
    skipped: list[Skipped] = []
    for path in paths:
        try:
            masks.append(mask_of(path, listing.key))
        except InputError as error:
            skipped.append(Skipped(path, str(error)))
    return masks, skipped


def _belongs(mask: DicomMask, series: Series) -> bool:
    """Whether a mask was drawn on a series; where it names none, whether it was drawn in its position."""
    if mask.series:
        return series.series in mask.series
    return mask.frame_of_reference is not None and mask.frame_of_reference == series.frame_of_reference


def _masks_of(
    groups: Sequence[Sequence[Series]], members: Sequence[Series], masks: Sequence[DicomMask]
) -> list[list[DicomMask]]:
    """The masks of each group of a study's series: drawn on one of them, else in their position."""
    found: list[list[DicomMask]] = [[] for _ in groups]
    for mask in masks:
        drawn = [one for one in members if _belongs(mask, one)]
        places = {one.frame_of_reference for one in drawn} - {None}
        if not drawn and mask.frame_of_reference is not None:
            places = {mask.frame_of_reference}
        for index, group in enumerate(groups):
            if any(one is other for one in group for other in drawn) or any(
                one.frame_of_reference in places for one in group
            ):
                found[index].append(mask)
                break
    return found


def _drawn_on(mask: DicomMask, group: Sequence[Series], members: Sequence[Series]) -> tuple[DicomMask, Series]:
    """A mask, and the series of the study that it was drawn on; else that on whose grid the study is put."""
    reference = reference_of(group)
    fitting = [one for one in members if _belongs(mask, one) and mask.series]

    def agreement(one: Series) -> tuple[int, bool]:
        # The series with most of the slices that the mask names; of equals the one whose grid the study has anyway.
        return sum(plane.name in mask.planes for plane in one.planes), one is reference

    return mask, max(fitting, key=agreement, default=reference)


def _too_many(masks: Sequence[DicomMask]) -> list[Skipped]:
    """Lines for the masks of a study with more than one: nobody here can know which is meant."""
    if len(masks) < 2:
        return []
    error = InputError("one mask a study", f"{len(masks)} (SEG or RTSTRUCT)", "remove all but the one that is meant")
    return [Skipped(mask.file, str(error)) for mask in masks]


def _beside(masks: Sequence[DicomMask], series: Sequence[Series]) -> list[Skipped]:
    """Lines for the masks of no series here."""
    places = {one.frame_of_reference for one in series} - {None}
    error = InputError("a mask of a series in this folder", "one of another series", "put its series beside it")
    return [
        Skipped(mask.file, str(error))
        for mask in masks
        if mask.frame_of_reference not in places and not any(_belongs(mask, one) for one in series)
    ]


# The case -------------------------------------------------------------------------------------------------------------
def _case(listing: Listing, members: Sequence[Series], number: int, drawn: tuple[DicomMask, Series] | None) -> Case:
    """Case of the series of one study that share a position, and of its mask with the series that it was drawn on."""
    group = tuple(members)
    first = group[0]
    inner = listing.inner(first.files[0])
    name = f"{first.patient or 'unknown'}_{first.study}"
    files = dict.fromkeys(path for one in group for path in one.files)
    return Case(
        name=name if number == 1 else f"{name}_{number}",
        patient=first.patient,
        modalities=tuple(one.modality for one in group),
        load=partial(load_study, group, drawn),
        label=class_of(inner),
        has_mask=drawn is not None,
        sources=(*files, *((drawn[0].file,) if drawn else ())),
        slice_names=tuple(plane.name for plane in reference_of(group, drawn).planes),
        facts=split_of(inner),
    )


LAYOUT = Layout("dicom", "DICOM files in any arrangement", _fits, _take)
