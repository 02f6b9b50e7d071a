"""``figshare``: one MATLAB 7.3 file a slice (J. Cheng's set of 3,064): image, outline, patient and type of tumour.

What lies in ``cjdata``: ``PID`` (the patient, as text), ``label`` (1 meningioma, 2 glioma, 3 pituitary tumour),
``image`` (int16) and ``tumorMask`` (0 and 1), as the set's own README says. MATLAB stores columns first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import PLAIN_MODALITY, WHOLE_TUMOUR, Array
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Skipped, Study
from synthoma.scans.files import open_file, suffix_of
from synthoma.scans.images import MAX_PIXELS
from synthoma.scans.layouts.listing import Found, Layout, Listing, counted
from synthoma.scans.layouts.loading import check_content

if TYPE_CHECKING:
    import h5py

_TYPES = {1: "meningioma", 2: "glioma", 3: "pituitary"}
_WANTED = "a MATLAB 7.3 file with cjdata.image, cjdata.tumorMask, cjdata.label and cjdata.PID"
_AGAIN = "download it again; or save image and tumorMask as PNG, with a table of PID and label (docs/cohort.md)"
_BESIDE = ("cvind.mat",)  # the set's own folds


def _fits(listing: Listing) -> bool:
    mats = [path for path in listing.files if suffix_of(path) == ".mat"]
    return bool(mats) and 2 * len(mats) >= len(listing.files)


def _take(listing: Listing) -> Found:
    """One case a slice."""
    cases: list[Case] = []
    skipped: list[Skipped] = []
    ignored = frozenset(path for path in listing.files if path.name.lower() in _BESIDE)
    for path in listing.files:
        if suffix_of(path) != ".mat" or path in ignored:
            continue
        try:
            cases.append(_case(listing, path))
        except InputError as error:
            skipped.append(Skipped(path, str(error), kind="MATLAB files of another kind"))
    folders = f"{counted(len(ignored), 'file')} of folds beside the slices, not used" if ignored else ""
    return Found(tuple(cases), tuple(skipped), (folders,) * bool(folders), ignored)


def _case(listing: Listing, path: Path) -> Case:
    with _opened(path) as group:
        patient = _text(group["PID"])
        kind = int(np.asarray(group["label"]).ravel()[0])
        has_mask = "tumorMask" in group
    if kind not in _TYPES:
        raise InputError("a label from 1 to 3", f"{kind}", _AGAIN)
    return Case(
        name=listing.name(path),
        patient=printable(patient) if patient else None,
        modalities=(PLAIN_MODALITY,),
        load=partial(load_slice, path, with_mask=has_mask),
        label=_TYPES[kind],
        has_mask=has_mask,
        sources=(path,),
        slice_names=(listing.name(path),),
    )


def load_slice(path: Path, *, with_mask: bool) -> Study:
    """Read one slice.

    Args:
        path: the file.
        with_mask: whether it holds an outline.

    Raises:
        InputError: damaged, too large, or image and mask of two sizes.
    """
    with _opened(path) as group:
        image = _plane(group, "image")
        mask = (_plane(group, "tumorMask") > 0).astype(np.uint8) if with_mask else None
    check_content(PLAIN_MODALITY, image)
    return Study({PLAIN_MODALITY: image[None]}, None, None if mask is None else mask[None], dict(WHOLE_TUMOUR))


def _plane(group: h5py.Group, name: str) -> Array:
    """A matrix as rows and columns."""
    stored = group[name]
    # Before anything is read: the header of a hostile file may state any size.
    if len(stored.shape) != 2 or not 0 < np.prod(stored.shape) <= MAX_PIXELS or stored.dtype.kind not in "iufb":
        raise InputError("a matrix of numbers", f"{name} of shape {tuple(stored.shape)}", _AGAIN)
    plane = np.asarray(stored).T
    if plane.dtype.kind == "f" and not np.isfinite(plane).all():
        raise InputError("finite pixels", f"NaN or infinite ones in {name}", _AGAIN)
    return np.ascontiguousarray(plane)


def _text(stored: h5py.Dataset) -> str:
    """A short text, stored as numbers of characters."""
    if stored.size > 256:
        raise InputError("the name of a patient", f"{stored.size} characters", _AGAIN)
    return "".join(chr(int(code)) for code in np.asarray(stored).ravel() if 0 < int(code) < 0x110000).strip()


@contextmanager
def _opened(path: Path) -> Iterator[h5py.Group]:
    """The group ``cjdata`` of a file; whatever the library trips over becomes one InputError."""
    try:
        import h5py
    except ImportError as error:
        todo = "install synthoma[mat], or convert each to PNG with a table of patients"
        raise InputError("h5py for MATLAB 7.3 files", "none", todo) from error
    # The same checks as of every file: h5py would wait for ever at a pipe.
    open_file(path).close()
    try:
        with h5py.File(path, "r") as file:
            group = file.get("cjdata")
            if not isinstance(group, h5py.Group) or not {"PID", "label", "image"} <= set(group):
                raise InputError(_WANTED, "one without", _AGAIN)
            yield group
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise InputError(_WANTED, "a damaged one, or one of an older version", _AGAIN) from error


LAYOUT = Layout("figshare", "MATLAB files with cjdata (image, tumorMask, PID, label)", _fits, _take)
