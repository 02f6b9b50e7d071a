"""``lgg``: ``<patient>/<patient>_<k>.tif`` with ``_mask.tif``, modalities as colour channels (Kaggle's LGG set)."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np

from synthoma.core.errors import InputError
from synthoma.core.types import MODALITIES, PLAIN_MODALITY, Array
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Skipped
from synthoma.scans.files import natural
from synthoma.scans.images import read_image
from synthoma.scans.layouts.listing import CLASS_NAMES, Found, Layout, Listing, counted
from synthoma.scans.layouts.loading import load_channels

_FILE = re.compile(r"(?P<stem>.+)_(?P<k>\d+)(?P<mask>_mask)?\.tiff?", re.IGNORECASE)
_TCGA = re.compile(r"(?P<patient>TCGA_(?P<site>[^_]+)_[^_]+)")
_CHANNELS = {"t1": 0, "flair": 1, "t1c": 2}
_ADDED = ("t1", "t1c")  # where one was missing, the makers of the set repeated FLAIR in its channel

_Slices = dict[int, dict[str, Path]]


def _fits(listing: Listing) -> bool:
    needed = {"image", "mask"} if listing.masks_wanted else {"image"}
    return any(needed <= set(pair) for slices in _patients(listing).values() for pair in slices.values())


def _take(listing: Listing) -> Found:
    """One case a patient folder."""
    cases: list[Case] = []
    skipped: list[Skipped] = []
    gaps = 0
    for folder, slices in sorted(_patients(listing).items(), key=lambda item: natural(item[0])):
        pairs = {k: pair for k, pair in sorted(slices.items()) if _usable(pair, listing)}
        skipped += [_unpaired(path) for pair in slices.values() if not _usable(pair, listing) for path in pair.values()]
        try:
            if pairs:
                cases.append(_case(folder, pairs))
                gaps += max(pairs) - min(pairs) + 1 != len(pairs)
        except InputError as error:
            skipped.append(Skipped(folder, str(error)))
    lacking = sum("flair" in case.modalities and len(case.modalities) < len(_CHANNELS) for case in cases)
    remarks = [f"{counted(lacking, 'case')} with a channel that repeats FLAIR: that modality is not given"] * bool(
        lacking
    )
    remarks += [f"{counted(gaps, 'case')} with gaps between the slice numbers"] * bool(gaps)
    return Found(tuple(cases), tuple(skipped), tuple(remarks), frozenset(listing.root.glob("data.csv")))


def _patients(listing: Listing) -> dict[Path, _Slices]:
    """Folder -> slice number -> its image and mask."""
    patients: dict[Path, _Slices] = defaultdict(lambda: defaultdict(dict))
    for path in listing.files:
        match = _FILE.fullmatch(path.name)
        if match and match["stem"] == path.parent.name and match["stem"].lower() not in CLASS_NAMES:
            patients[path.parent][int(match["k"])]["mask" if match["mask"] else "image"] = path
    return patients


def _usable(pair: dict[str, Path], listing: Listing) -> bool:
    """Whether a slice can be used: with its mask, where masks are wanted."""
    return len(pair) == 2 or ("image" in pair and not listing.masks_wanted)


def _unpaired(path: Path) -> Skipped:
    """Half of a pair."""
    has, lacks = ("a mask", "image") if path.stem.lower().endswith("_mask") else ("an image", "mask")
    return Skipped(
        path, str(InputError("each slice with its mask", f"{has} without {lacks}", "add it, or remove both"))
    )


def _case(folder: Path, pairs: _Slices) -> Case:
    """Case of one folder; the date in a TCGA folder's name is of the study, not of the patient."""
    images = tuple(pair["image"] for pair in pairs.values())
    masks = tuple(pair["mask"] for pair in pairs.values() if "mask" in pair)
    masks = masks if len(masks) == len(images) else ()  # a mask of some slices is none of the patient
    channels = _channels(images)
    tcga = _TCGA.match(folder.name)
    return Case(
        name=printable(folder.name),
        patient=printable(tcga["patient"] if tcga else folder.name),
        modalities=tuple(name for name, _ in channels),
        load=partial(load_channels, images, masks, channels),
        has_mask=bool(masks),
        site=printable(tcga["site"]) if tcga else None,
        sources=images + masks,
        slice_names=tuple(printable(path.stem) for path in images),
    )


def _channels(images: tuple[Path, ...]) -> tuple[tuple[str, int], ...]:
    """Modalities whose channel holds more than a copy of FLAIR, in the usual order.

    The middle slice settles it as a rule. Only where a channel repeats FLAIR there are all the others read: at the ends
    of a stack, blank slices are equal although nothing is missing.
    """
    middle = read_image(images[len(images) // 2])
    # Grey pictures: what they show nobody says.
    if middle.ndim == 2:
        return ((PLAIN_MODALITY, 0),)
    repeated = _repeated(middle)
    for path in images if repeated else ():
        picture = read_image(path)
        # A blank slice has equal channels whatever was recorded, so it has no say.
        repeated &= _repeated(picture) if picture.ndim == 3 and picture.any() else repeated
    return tuple((name, _CHANNELS[name]) for name in MODALITIES if name in _CHANNELS and name not in repeated)


def _repeated(picture: Array) -> set[str]:
    """Modalities whose channel is equal to FLAIR."""
    flair = picture[..., _CHANNELS["flair"]]
    return {name for name in _ADDED if np.array_equal(picture[..., _CHANNELS[name]], flair)}


LAYOUT = Layout("lgg", "folders <patient>/ with <patient>_<k>.tif and <patient>_<k>_mask.tif", _fits, _take)
