"""How an image and its mask find each other: ``<stem>_mask`` beside it, or the same name in a parallel folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthoma.data.case import Skipped
from synthoma.data.files import stem_of
from synthoma.data.layouts.listing import Listing
from synthoma.errors import InputError

MASK_FOLDERS = frozenset({"mask", "masks", "label", "labels", "labelstr", "annotation", "annotations", "segmentations"})
IMAGE_FOLDERS = frozenset({"image", "images", "imagestr", "img", "imgs"})
_ENDINGS = ("mask", "seg", "segmentation")

Place = tuple[tuple[str, ...], str]
"""Where image and mask meet: the class folders, and the stem without what makes it a mask."""


def place_of(listing: Listing, path: Path) -> tuple[Place, bool]:
    """Where a file's partner is looked for, and whether the file is the mask."""
    inner = listing.inner(path)
    folders = tuple(part for part in inner if part.lower() not in MASK_FOLDERS | IMAGE_FOLDERS)
    in_mask_folder = any(part.lower() in MASK_FOLDERS for part in inner)
    stem = stem_of(path)
    ending = next((end for end in _ENDINGS if stem.lower() == end or stem.lower().endswith(("_" + end, "-" + end))), "")
    bare = stem[: len(stem) - len(ending)].rstrip("_-") if ending else stem
    return (folders, bare), bool(ending) or in_mask_folder


def pair(listing: Listing, files: Sequence[Path]) -> tuple[list[Path], dict[Path, Path], list[Skipped]]:
    """Images, the mask of each that has one, and the halves of incomplete pairs.

    An image without mask is refused only where others of its folder have one (in ``no_tumour/`` none is expected) and
    masks are wanted.
    """
    places = {path: place_of(listing, path) for path in files}
    masks = {place: path for path, (place, is_mask) in places.items() if is_mask}
    images = [path for path, (_, is_mask) in places.items() if not is_mask]
    pairs = {path: masks[places[path][0]] for path in images if places[path][0] in masks}
    used, masked = set(pairs.values()), {path.parent for path in pairs if listing.masks_wanted}
    alone = [
        skip_half(path, "a mask without image") for path, (_, is_mask) in places.items() if is_mask and path not in used
    ]
    without = [path for path in images if path.parent in masked and path not in pairs]
    alone += [skip_half(path, "an image without mask in a folder where others have one") for path in without]
    return [path for path in images if path not in set(without)], pairs, alone


def skip_half(path: Path, came: str) -> Skipped:
    """Line for one half of a pair."""
    return Skipped(path, str(InputError("each image with its mask", came, "add what is missing, or remove it")))
