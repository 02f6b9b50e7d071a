"""``volumes``: NIfTI, MetaImage or NRRD files, flat or in folders, with the modality in their names or nowhere."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

from synthoma.data.case import Case, Skipped
from synthoma.data.files import VOLUMES, natural, printable, stem_of, suffix_of
from synthoma.data.layouts.listing import (
    CLASS_NAMES,
    SPLIT_NAMES,
    Found,
    Layout,
    Listing,
    class_of,
    promised,
    skip_content,
    split_of,
)
from synthoma.data.layouts.loading import load_files
from synthoma.data.layouts.pairs import IMAGE_FOLDERS, MASK_FOLDERS, pair, place_of, skip_half
from synthoma.errors import InputError
from synthoma.types import MODALITIES, PLAIN_MODALITY

_FORMATS = frozenset({"NIfTI", "MetaImage", "NRRD"})
_MODALITY = re.compile(r"(?:^|[_\-. ])(?P<token>flair|t2f|t1ce|t1gd|t1c|t1post|t1w|t1n|t1|t2w|t2)$", re.IGNORECASE)
_ROLES = {
    "flair": "flair",
    "t2f": "flair",
    "t2w": "t2",
    "t2": "t2",
    "t1w": "t1",
    "t1n": "t1",
    "t1": "t1",
} | dict.fromkeys(("t1ce", "t1gd", "t1c", "t1post"), "t1c")
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")

_Study = dict[str, Path]


def _fits(listing: Listing) -> bool:
    return any(kind in VOLUMES for kind in listing.kinds.values()) or any(map(_is_promised, listing.files))


def _take(listing: Listing) -> Found:
    """One case a study: files of one folder whose names differ only by the modality."""
    volumes = [path for path in listing.files if listing.kinds[path] in VOLUMES]
    skipped = [_not_a_volume(path) for path in listing.files if _is_promised(path) and path not in set(volumes)]
    masks = [path for path in volumes if place_of(listing, path)[1]]
    studies, twice = _studies([path for path in volumes if path not in set(masks)])
    mask_of, alone = _mask_of(listing, studies, masks)
    with_mask = {folder for folder, base in mask_of} if listing.masks_wanted else set()
    labels = _labels(listing, studies)
    cases = []
    for (folder, base), study in sorted(studies.items(), key=lambda item: natural(item[0][0] / item[0][1])):
        if folder in with_mask and (folder, base) not in mask_of:
            alone += [
                skip_half(path, "an image without mask in a folder where others have one") for path in study.values()
            ]
        else:
            cases.append(_case(listing, folder, base, study, mask_of.get((folder, base)), labels))
    return Found(tuple(cases), (*skipped, *twice, *alone))


def _is_promised(path: Path) -> bool:
    return promised(path) in _FORMATS


def _not_a_volume(path: Path) -> Skipped:
    came = f"other or damaged content in a file named {suffix_of(path)}"
    return skip_content(path, "a NIfTI, MetaImage or NRRD volume", came)


def _split_name(stem: str) -> tuple[str, str]:
    """Stem without the modality, and the modality."""
    match = _MODALITY.search(stem)
    return (stem[: match.start()], _ROLES[match["token"].lower()]) if match else (stem, PLAIN_MODALITY)


def _studies(images: list[Path]) -> tuple[dict[tuple[Path, str], _Study], list[Skipped]]:
    """(Folder, stem without modality) -> modality -> file; a modality that comes twice is refused."""
    studies: dict[tuple[Path, str], _Study] = defaultdict(dict)
    twice = []
    for path in images:
        base, role = _split_name(stem_of(path))
        study = studies[path.parent, base]
        if role in study:
            error = InputError("each modality of a study once", f"a second {role}", "keep one of the two")
            twice.append(Skipped(path, str(error)))
        else:
            study[role] = path
    return dict(studies), twice


def _mask_of(
    listing: Listing, studies: dict[tuple[Path, str], _Study], masks: list[Path]
) -> tuple[dict[tuple[Path, str], Path], list[Skipped]]:
    """The mask of each study: named after the study, or after one of its files."""
    files = [path for study in studies.values() for path in study.values()]
    by_file = pair(listing, [*files, *masks])[1]
    by_place = {place_of(listing, mask)[0]: mask for mask in masks}
    found: dict[tuple[Path, str], Path] = {}
    for (folder, base), study in studies.items():
        place = place_of(listing, next(iter(study.values())))[0][0], base
        named = [by_file[path] for path in study.values() if path in by_file]
        if mask := by_place.get(place, named[0] if named else None):
            found[folder, base] = mask
    used = set(found.values())
    return found, [skip_half(mask, "a mask without image") for mask in masks if mask not in used]


def _labels(listing: Listing, studies: dict[tuple[Path, str], _Study]) -> dict[Path, str | None]:
    """Class of each folder: by its name, or where every innermost folder holds several studies and so is no patient."""
    counts = Counter(folder for folder, _ in studies)
    inner = {folder: _meant(listing.inner(folder / "file")) for folder in counts}
    several = all(count > 1 for count in counts.values())
    return {
        folder: class_of(parts) or (printable(parts[-1]) if parts and several else None)
        for folder, parts in inner.items()
    }


def _meant(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Folder names that say something of the scan."""
    return tuple(part for part in parts if part.lower() not in SPLIT_NAMES | IMAGE_FOLDERS | MASK_FOLDERS)


def _case(
    listing: Listing, folder: Path, base: str, study: _Study, mask: Path | None, labels: dict[Path, str | None]
) -> Case:
    """Case of one study. The patient is known from BIDS names, or where a folder holds one study of bare modalities."""
    roles = [role for role in (*MODALITIES, PLAIN_MODALITY) if role in study]
    modalities = tuple((role, (study[role],)) for role in roles)
    subject = _SUBJECT.match(base)
    own_folder = folder.name if not base and folder != listing.root and folder.name.lower() not in CLASS_NAMES else None
    masks = () if mask is None else (mask,)
    return Case(
        name=printable(base or folder.resolve().name),
        patient=printable(subject[0]) if subject else printable(own_folder) if own_folder else None,
        modalities=tuple(roles),
        load=partial(load_files, modalities, masks, "any"),
        label=labels[folder],
        has_mask=mask is not None,
        sources=tuple(study[role] for role in roles) + masks,
        facts=split_of(listing.inner(folder / "file")),
    )


LAYOUT = Layout("volumes", "NIfTI, MetaImage or NRRD files, flat or in folders", _fits, _take)
