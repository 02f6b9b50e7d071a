"""The series of one study, read and brought onto one grid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from synthoma.core.errors import InputError
from synthoma.scans.case import Case, Geometry, Study, Volume
from synthoma.scans.layouts.loading import MaskError, assemble

if TYPE_CHECKING:
    from synthoma.scans.dicom.segments import DicomMask
    from synthoma.scans.dicom.stack import Series


def reference_of(group: Sequence[Series], drawn: tuple[DicomMask, Series] | None = None) -> Series:
    """The series on whose grid the others are put: FLAIR; of another position only what the mask was drawn on."""
    flair = next((one for one in group if one.modality == "flair"), group[0])
    if drawn is None:
        return flair
    place = drawn[1].frame_of_reference
    if place is not None and flair.frame_of_reference == place:
        return flair
    return next((one for one in group if place is not None and one.frame_of_reference == place), flair)


def reference_series(case: Case) -> Series | None:
    """The series on whose grid a DICOM case is loaded, slice by slice; None for a case of other files."""
    load: object = case.load
    while isinstance(load, partial):
        if load.func is load_study:
            return reference_of(*load.args)
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
    from synthoma.scans.dicom.stack import read_series

    reference = reference_of(group, drawn)
    volumes = {one.modality: read_series(one) for one in group}
    frames = {one.modality: one.frame_of_reference for one in group}
    moved, remarks, facts = brought_together(volumes, frames, reference.modality)
    study = assemble(moved, reference.modality)
    study = replace(study, remarks=(*study.remarks, *remarks), facts=facts)
    if drawn is None:
        return study
    from synthoma.scans.dicom.masks import read_dicom_mask
    from synthoma.scans.dicom.resampling import onto

    mask, series = drawn
    try:
        labels, names = read_dicom_mask(mask, series)
        # Read on the grid that it was drawn on, and moved once only: each step loses some of its border.
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
        # Two files that state no frame are not known to share one: None is not equal to None here.
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
        # Left out and not taken as it lies: a mask over a scan that is some millimetres off is wrong in every slice.
        if not found.agreed:
            remarks.append(f"{name} is left out: it lies in another frame of reference; {found.remark}")
            continue
        kept[name] = found.volume
        remarks.append(f"{name} lies in another frame of reference and was moved onto {reference}: {found.remark}")
        facts[f"moved_{name}"] = json.dumps(found.transform.to_meta())
    return kept, remarks, facts
