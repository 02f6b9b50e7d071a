"""How a picture and its mask find each other: by one name, less the words that make it a mask, below one class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.scans.case import Skipped
from synthoma.scans.files import stem_of
from synthoma.scans.layouts.listing import Listing
from synthoma.scans.names import bare, canonical, place_word, read_part

Place = tuple[tuple[str, ...], str]
"""Where image and mask meet: the folders that do more than keep order, and the name without what makes it a mask."""

DRAWINGS = frozenset(
    (
        *("overlay", "saliency", "heatmap", "montage", "preview", "thumbnail", "quicklook", "screenshot"),
        *("snp", "snapshot", "qc", "viz", "visualization", "visualisation", "segmentationobject"),
    )
)
"""Words of pictures that were made of scans."""


def place_of(listing: Listing, path: Path) -> tuple[Place, bool]:
    """Where a picture's partner is looked for, and whether the picture is the mask."""
    inner = listing.inner(path)
    words = [place_word(folder) for folder in inner]
    # Split and class stay: "1.png" of one class must not meet the mask of "1.png" of another.
    kept = tuple(
        folder for folder, word in zip(inner, words, strict=True) if word is None or word.kind in ("split", "class")
    )
    in_mask_folder = any(
        word is not None and word.kind == "place" and read_part(folder).role == "mask"
        for folder, word in zip(inner, words, strict=True)
    )
    part = read_part(stem_of(path))
    # What is called a tumour and nothing else is a picture of one.
    is_mask = in_mask_folder or (part.role == "mask" and part.rank != 3)
    return (kept, canonical(bare(stem_of(path)) if is_mask else stem_of(path))), is_mask


def is_drawing(listing: Listing, path: Path) -> bool:
    """Whether the name of a picture or its folder says that it was made of a scan and its findings, or is a map."""
    parts = [read_part(stem_of(path)), *map(read_part, listing.inner(path))]
    return any(
        part.role == "other" and (part.why in DRAWINGS or part.why.startswith(("prob", "softmax", "uncertain")))
        for part in parts
    )


def pair(listing: Listing, files: Sequence[Path]) -> tuple[list[Path], dict[Path, Path], list[Skipped]]:
    """Images, the mask of each that has one, and the halves of incomplete pairs.

    An image without mask is refused only where others of its folder have one (in ``no_tumour/`` none is expected) and
    masks are wanted.
    """
    places = {path: place_of(listing, path) for path in files}
    masks: dict[Place, list[Path]] = {}
    for path, (place, is_mask) in places.items():
        if is_mask:
            masks.setdefault(place, []).append(path)
    images = [path for path, (_, is_mask) in places.items() if not is_mask]
    found = {path: masks[places[path][0]] for path in images if places[path][0] in masks}
    found |= _alone_together(listing, images, [path for path in files if places[path][1]], found)
    pairs = {path: best for path, several in found.items() if (best := _best(several)) is not None}
    used, masked = set(pairs.values()), {path.parent for path in found if listing.masks_wanted}
    alone = [
        skip_half(path, "a mask without image, or one of several")
        for path, (_, is_mask) in places.items()
        if is_mask and path not in used
    ]
    # As healthy ones they would teach a model that such tumours are none.
    without = [path for path in images if path.parent in masked and path not in pairs]
    alone += [skip_half(path, "an image without mask in a folder where others have one") for path in without]
    return [path for path in images if path not in set(without)], pairs, alone


def _alone_together(
    listing: Listing, images: Sequence[Path], masks: Sequence[Path], found: dict[Path, list[Path]]
) -> dict[Path, list[Path]]:
    """Image and mask that are the only ones in a folder of their own: ``img`` and ``label``."""
    used = {mask for several in found.values() for mask in several}
    own: dict[Path, tuple[list[Path], list[Path]]] = {}
    for path in images:
        own.setdefault(path.parent, ([], []))[0].append(path)
    for path in masks:
        own.setdefault(path.parent, ([], []))[1].append(path)
    return {
        inside[0][0]: inside[1]
        for folder, inside in own.items()
        if folder != listing.root and len(inside[0]) == len(inside[1]) == 1 and inside[1][0] not in used
    }


def _best(masks: Sequence[Path]) -> Path | None:
    """Of several masks of one picture the one that a person drew last; None where names do not say which."""
    # A machine's mask (2) comes last here, behind a name that says tumour and not mask (3).
    order = {0: 0, 1: 1, 3: 2, 2: 3}
    ranked = sorted(masks, key=lambda path: order[read_part(stem_of(path)).rank])
    ranks = [order[read_part(stem_of(path)).rank] for path in ranked]
    return ranked[0] if len(ranks) == 1 or ranks[0] < ranks[1] else None


def skip_half(path: Path, came: str) -> Skipped:
    """Line for one half of a pair."""
    reason = str(InputError("each image with its mask", came, "add what is missing, or remove it"))
    return Skipped(path, reason, kind=came)
