"""``dicom``: any folder of DICOM files; one study is one case. Names are hashes, since folders carry patient names."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.pseudonyms import pseudonym
from synthoma.core.types import MODALITIES, PLAIN_MODALITY
from synthoma.scans.case import Case, Geometry, Skipped, Study, Volume
from synthoma.scans.files import PICTURES, VOLUMES
from synthoma.scans.layouts.listing import CLASS_NAMES, SPLIT_NAMES, Found, Layout, Listing, class_of, split_of
from synthoma.scans.layouts.loading import MaskError, assemble
from synthoma.scans.sequence_names import judged

if TYPE_CHECKING:
    from synthoma.scans.dicom.masks import DicomMask
    from synthoma.scans.dicom.series import Series

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
        chosen, left = _chosen(members)
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
        judgement = judged(part, agent=None if _SORTED_FOLDER.fullmatch(part) else series.agent)
        if judgement.sequence is None:
            continue
        if series.by == "weighting" and judgement.sequence != "t1c":
            return series  # the description says T1; a folder adds the contrast agent or nothing
        return replace(series, modality=judgement.sequence, by="words")
    return series


def _chosen(members: list[Series]) -> tuple[list[Series], list[tuple[Series, str]]]:
    """The best series of each modality, in the usual order, and the others with the reason; all where none is known."""
    named: dict[str, list[Series]] = defaultdict(list)
    for one in members:
        named[one.modality].append(one)
    known = [name for name in MODALITIES if name in named]
    if not known:
        return sorted(members, key=lambda one: (-len(one.planes), one.series)), []
    first = "flair" if "flair" in known else known[0]
    reference = min(named[first], key=lambda one: _rank(one, None))
    best = {name: min(named[name], key=lambda one: _rank(one, reference)) for name in known} | {first: reference}
    in_use = {path for one in best.values() for path in one.files}
    left = [
        (one, _why_unused(one, best.get(one.modality), in_use))
        for one in members
        if not any(one is other for other in best.values())
    ]
    return [best[name] for name in known], left


@dataclass(frozen=True, order=True)
class _Rank:
    """What makes one of several series of a sequence the better one, the most telling first; the lowest is the best.

    Attributes:
        broken: its slices form no stack.
        derived: it was computed from another one.
        elsewhere: it was taken in another position than the reference.
        thick: its slices are not thin, and it does not lie as the reference does.
        slices: how many it lacks, as a negative count.
        step: between its slices, mm.
        earlier: its number, negative; a scan is repeated where the first one was not good.
        series: so that equal ones are told apart.
    """

    broken: bool
    derived: bool
    elsewhere: bool
    thick: bool
    slices: int
    step: float
    earlier: int
    series: str


def _rank(series: Series, reference: Series | None) -> _Rank:
    from synthoma.scans.dicom.series import grid_of

    try:
        step, broken = grid_of(series).spacing[2], False
    except InputError:
        step, broken = 0.0, True
    elsewhere = turned = False
    if reference is not None:
        elsewhere = series.frame_of_reference != reference.frame_of_reference
        turned = bool(np.abs(np.subtract(series.axes, reference.axes)).max() > _TURNED)
    thick = turned and step > _THIN
    slices, earlier = -len(series.planes), -series.number
    return _Rank(broken, series.derived, elsewhere, thick, slices, step, earlier, series.series)


_THIN = 2.0
"""Slices up to so many mm apart can be shown in any direction."""
_TURNED = 0.5
"""Axes that differ by more than this lie in another plane (axial, sagittal, coronal)."""


def _why_unused(series: Series, best: Series | None, in_use: set[Path]) -> str:
    """The reason why a study goes on without one of its series."""
    wanted = f"one series each of {', '.join(MODALITIES)}"
    todo = "put it into a folder of its own and prepare that, if it is wanted"
    if not in_use.isdisjoint(series.files):
        todo = "other frames of its file are used; convert it (dcm2niix) if these are wanted"
    if best is None:
        return str(InputError(wanted, "a series of another or unknown kind", todo))
    mine, other = _rank(series, best), _rank(best, best)
    why = (
        "its slices do not form an even stack" if mine.broken and not other.broken
        else "it was computed from another one" if mine.derived and not other.derived
        else "it was taken in another position" if mine.elsewhere
        else "thick slices in another plane" if mine.thick
        else f"{-mine.slices} slices where another has {-other.slices}" if mine.slices != other.slices
        else f"slices {mine.step:.2f} mm apart where another has {other.step:.2f}" if mine.step > other.step
        else "a later one is taken" if mine.earlier > other.earlier
        else "another is as good"
    )  # fmt: skip
    return str(InputError(wanted, f"a further {series.modality} series ({why})", todo))


def _positions(chosen: list[Series]) -> list[list[Series]]:
    """Series of known modalities together, whatever their frame of reference; those of no known modality each alone."""
    known = [one for one in chosen if one.modality != PLAIN_MODALITY]
    return [group for group in (known, *([one] for one in chosen if one.modality == PLAIN_MODALITY)) if group]


def _reference(group: Sequence[Series], drawn: tuple[DicomMask, Series] | None = None) -> Series:
    """The series on whose grid the others are put: FLAIR; of another position only what the mask was drawn on."""
    flair = next((one for one in group if one.modality == "flair"), group[0])
    if drawn is None:
        return flair
    place = drawn[1].frame_of_reference
    if place is not None and flair.frame_of_reference == place:
        return flair
    return next((one for one in group if place is not None and one.frame_of_reference == place), flair)


# Which patient --------------------------------------------------------------------------------------------------------


def _with_patients(listing: Listing, series: list[Series]) -> tuple[list[Series], list[str]]:
    """Series whose files name nobody get their patient from the folders, where these are one a patient."""
    nameless: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        if one.patient is None:
            nameless[one.study].append(one)
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
    reference = _reference(group)
    fitting = [one for one in members if _belongs(mask, one) and mask.series]

    def agreement(one: Series) -> tuple[int, bool]:
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
        slice_names=tuple(plane.name for plane in _reference(group, drawn).planes),
        facts=split_of(inner),
    )


def reference_series(case: Case) -> Series | None:
    """The series on whose grid a DICOM case is loaded, slice by slice; None for a case of other files."""
    load: object = case.load
    while isinstance(load, partial):
        if load.func is load_study:
            return _reference(*load.args)
        load = load.args[0] if load.args else None
    return None


def load_study(group: tuple[Series, ...], drawn: tuple[DicomMask, Series] | None = None) -> Study:
    """Read the series of one study onto one grid, and its mask.

    Args:
        group: the series.
        drawn: the mask, and the series that it was drawn on.

    Raises:
        InputError: a series that cannot be read, or is of one value.
        MaskError: a mask that cannot be used.
    """
    from synthoma.scans.dicom.series import read_series

    reference = _reference(group, drawn)
    volumes = {one.modality: read_series(one) for one in group}
    frames = {one.modality: one.frame_of_reference for one in group}
    moved, remarks, facts = brought_together(volumes, frames, reference.modality)
    study = assemble(moved, reference.modality)
    study = replace(study, remarks=(*study.remarks, *remarks), facts=facts)
    if drawn is None:
        return study
    from synthoma.scans.dicom.masks import onto, read_dicom_mask

    mask, series = drawn
    try:
        labels, names = read_dicom_mask(mask, series)
        labels = onto(labels, series, _grid_of(study), next(iter(study.images.values())).shape)
    except InputError as error:
        raise MaskError(error, study) from error
    return replace(study, mask=labels, labels=names, remarks=(*study.remarks, *mask.remarks))


def _grid_of(study: Study) -> Geometry:
    assert study.geometry is not None, "a DICOM series has a geometry"
    return study.geometry


def brought_together(
    volumes: Mapping[str, Volume], frames: Mapping[str, str | None], reference: str
) -> tuple[dict[str, Volume], list[str], dict[str, str]]:
    """Volumes of one study in one position: those of other frames of reference are registered onto one of them.

    Args:
        volumes: by modality.
        frames: frame of reference of each; None where the file states none.
        reference: the modality onto whose grid the others are brought.

    Returns:
        The volumes, less those whose position could not be found; what was done, in words; and for each that was moved
        its transform as JSON, from the reference's space to its own.
    """
    kept, remarks, facts = dict[str, Volume](), list[str](), dict[str, str]()
    for name, volume in volumes.items():
        if name == reference or (frames[name] is not None and frames[name] == frames[reference]):
            kept[name] = volume
            continue
        from synthoma.scans.registration import register

        try:
            found = register(volumes[reference], volume)
        except InputError as error:
            remarks.append(
                f"{name} is left out: it lies in another frame of reference, and could not be moved: {error}"
            )
            continue
        if not found.agreed:
            remarks.append(f"{name} is left out: it lies in another frame of reference; {found.remark}")
            continue
        kept[name] = found.volume
        remarks.append(f"{name} lies in another frame of reference and was moved onto {reference}: {found.remark}")
        facts[f"moved_{name}"] = json.dumps(found.transform.to_meta())
    return kept, remarks, facts


LAYOUT = Layout("dicom", "DICOM files in any arrangement", _fits, _take)
