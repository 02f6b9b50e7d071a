"""``folders``: pictures in class folders (``<class>/*.png``), in a given split (``Training/<class>/*``), or flat."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from synthoma.data.case import Case, Skipped
from synthoma.data.files import PICTURES, printable
from synthoma.data.layouts.listing import SPLIT_NAMES, Found, Layout, Listing, counted, promised, skip_content, split_of
from synthoma.data.layouts.loading import load_files
from synthoma.data.layouts.pairs import IMAGE_FOLDERS, pair
from synthoma.types import PLAIN_MODALITY

_PICTURE_FORMATS = frozenset({"PNG", "JPEG", "TIFF"})
_MOST_CLASSES = 30


def _fits(listing: Listing) -> bool:
    pictures = sum(kind in PICTURES for kind in listing.kinds.values())
    others = sum(kind in ("dicom", "nifti", "metaimage", "nrrd") for kind in listing.kinds.values())
    return pictures > others or (pictures == 0 == others and any(map(_is_promised, listing.files)))


def _take(listing: Listing) -> Found:
    """One case a picture: nobody knows which pictures show one patient."""
    pictures = [path for path in listing.files if listing.kinds[path] in PICTURES]
    skipped = [_not_a_picture(path) for path in listing.files if _is_promised(path) and path not in set(pictures)]
    images, masks, alone = pair(listing, pictures)
    skipped += alone
    classes = {_label(listing, path) for path in images}
    remarks = []
    if len(classes) > _MOST_CLASSES:
        remarks.append(f"{counted(len(classes), 'folder')} are too many for classes: each is taken as one patient")
    cases = tuple(_case(listing, path, masks.get(path), by_patient=bool(remarks)) for path in images)
    return Found(cases, tuple(skipped), tuple(remarks))


def _is_promised(path: Path) -> bool:
    return promised(path) in _PICTURE_FORMATS


def _not_a_picture(path: Path) -> Skipped:
    came = f"other content in a file named {printable(path.suffix)}"
    return skip_content(path, "a PNG, JPEG or TIFF picture", came)


def _label(listing: Listing, path: Path) -> str | None:
    """Innermost folder that is neither a split nor one of "images"."""
    parts = [part for part in listing.inner(path) if part.lower() not in SPLIT_NAMES | IMAGE_FOLDERS]
    return printable(parts[-1]) if parts else None


def _case(listing: Listing, path: Path, mask: Path | None, *, by_patient: bool) -> Case:
    label = _label(listing, path)
    sources = (path,) if mask is None else (path, mask)
    return Case(
        name=listing.name(path),
        patient=label if by_patient else None,
        modalities=(PLAIN_MODALITY,),
        load=partial(load_files, ((PLAIN_MODALITY, (path,)),), sources[1:], "tumour"),
        label=None if by_patient else label,
        has_mask=mask is not None,
        sources=sources,
        slice_names=(listing.name(path),),
        facts=split_of(listing.inner(path)),
    )


LAYOUT = Layout("folders", "PNG, JPEG or TIFF pictures, flat or in class folders", _fits, _take)
