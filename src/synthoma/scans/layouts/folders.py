"""``folders``: pictures in class folders (``<class>/*.png``), in a given split (``Training/<class>/*``), or flat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.types import PLAIN_MODALITY
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Skipped
from synthoma.scans.files import PICTURES, UNREAD, stem_of
from synthoma.scans.layouts.listing import Found, Layout, Listing, class_of, counted, promised, skip_content, split_of
from synthoma.scans.layouts.loading import UNSETTLED, load_files
from synthoma.scans.layouts.pairs import is_drawing, pair
from synthoma.scans.layouts.slice_names import volumes_of
from synthoma.scans.names import place_word, read_part

_PICTURE_FORMATS = frozenset({"PNG", "JPEG", "TIFF"})
# More folders of pictures than that are taken for people, not for classes.
_MOST_CLASSES = 30
_NUMBERED = re.compile(r"(?P<start>.*?)(?P<number>\d+)")
_ROBOFLOW = re.compile(r"(?P<source>.+?)(?:_(?:jpe?g|png|tiff?|bmp))?\.rf\.[0-9a-f]{8,}", re.IGNORECASE)
_AUGMENTED = re.compile(
    r"(?P<source>.+?)[-_ ]+(?:aug(?:mented)?|rot(?:ated?)?|flip(?:ped)?|hflip|vflip|mirror(?:ed)?|noisy?|blur(?:red)?)"
    r"[-_ ]*\d*(?:[-_ ]\d+)*",
    re.IGNORECASE,
)
"""How tools name the altered copies that they make of one picture."""
_OF_COPIES = re.compile(
    r"(?:data|images?|train(?:ing)?)?[-_ ]*aug(?:mented|mentations?|s)?[-_ ]*(?:data|dataset|images?|train(?:ing)?)?",
    re.IGNORECASE,
)
_PREFIXED = re.compile(
    r"(?:aug(?:mented)?|flip(?:ped)?|rot(?:ated)?|mirror(?:ed)?|noisy)[-_ ]+(?P<source>.+)", re.IGNORECASE
)
_AGAIN = re.compile(r"(?P<source>.*\d.*?)[-_ ]*(?:\(\d+\)|[-_ ]+(?:copy|kopie|copie)(?:[-_ ]*\d+)*)", re.IGNORECASE)


def _fits(listing: Listing) -> bool:
    pictures = sum(kind in PICTURES for kind in listing.kinds.values())
    others = sum(kind in ("dicom", "nifti", "metaimage", "nrrd", "analyze", "mgh") for kind in listing.kinds.values())
    # The majority: a few previews in a folder of volumes are no set of pictures, and the other way round.
    return pictures > others or (pictures == 0 == others and any(map(_is_promised, listing.files)))


def _take(listing: Listing) -> Found:
    """One case a picture: which pictures show one patient only names can say."""
    pictures = [path for path in listing.files if listing.kinds[path] in PICTURES]
    known = set(pictures)
    skipped = [_not_a_picture(path) for path in listing.files if _is_promised(path) and path not in known]
    skipped += [_unread(path, UNREAD[listing.kinds[path]]) for path in listing.files if listing.kinds[path] in UNREAD]
    drawings = [path for path in pictures if is_drawing(listing, path)]
    skipped += [_drawing(path) for path in drawings]
    altered = _altered(listing, pictures)
    skipped += [_altered_copy(path) for path in altered]
    images, masks, alone = pair(listing, [path for path in pictures if path not in {*drawings, *altered}])
    skipped += alone
    remarks = []
    people = _folders_of_patients(listing, images)
    if people:
        remarks.append(f"{counted(len(people), 'folder')} of pictures: each is taken for one patient, not for a class")
    shows, more = _shown(listing, images)
    remarks += more
    kin = _kin(listing, images)
    volumes = volumes_of(listing, images)
    if volumes:
        remarks.append(
            f"{counted(len(volumes), 'picture')} named as slices of {counted(len(set(volumes.values())), 'volume')}: "
            "each volume is taken for one patient, where no name says more"
        )
    cases = tuple(
        _case(listing, path, masks.get(path), people, shows, kin.get(path, ""), volumes.get(path)) for path in images
    )
    copies = sum(_source_of(stem_of(path)) != stem_of(path) for path in images)
    if copies:
        remarks.append(f"{counted(copies, 'picture')} named as altered copies: those of one source stay together")
    return Found(cases, tuple(skipped), tuple(remarks))


def _is_promised(path: Path) -> bool:
    return promised(path) in _PICTURE_FORMATS


def _not_a_picture(path: Path) -> Skipped:
    came = f"other content in a file named {printable(path.suffix)}"
    return skip_content(path, "a PNG, JPEG or TIFF picture", came)


def _unread(path: Path, name: str) -> Skipped:
    error = InputError("a PNG, JPEG or TIFF picture", f"a {name} file", "save it as PNG")
    return Skipped(path, str(error), kind=f"{name} files")


def _drawing(path: Path) -> Skipped:
    error = InputError("a scan or a mask", "a drawing or map made from one, by its name", "nothing; rename it if it is")
    return Skipped(path, str(error), kind="drawings and maps")


def _altered(listing: Listing, pictures: Sequence[Path]) -> list[Path]:
    """Pictures in folders of altered copies, where others lie elsewhere: their originals, which nobody can tell."""
    if not listing.masks_wanted:
        return []
    found = [path for path in pictures if any(_OF_COPIES.fullmatch(folder) for folder in listing.inner(path))]
    return found if len(found) < len(pictures) else []


def _altered_copy(path: Path) -> Skipped:
    came = "a picture in a folder of altered copies: whose copy it is nobody knows, and splits would part the two"
    error = InputError("pictures of which none is a copy of another", came, "nothing, or prepare that folder alone")
    return Skipped(path, str(error), kind="folders of altered copies")


def _label(listing: Listing, path: Path) -> str | None:
    """The class: a folder whose name is one beyond doubt, else the innermost that does more than keep order."""
    inner = listing.inner(path)
    if (known := class_of(inner)) is not None:
        return known
    words = {part: place_word(part) for part in inner}
    parts = [part for part in inner if (word := words[part]) is None or word.kind not in ("place", "split")]
    return printable(parts[-1]) if parts else None


def _folders_of_patients(listing: Listing, images: Sequence[Path]) -> frozenset[str]:
    """Folders that are named as patients are, or are too many for classes; empty where they are classes."""
    labels = {label for path in images if class_of(listing.inner(path)) is None and (label := _label(listing, path))}
    if not labels:
        return frozenset()
    if len(labels) > _MOST_CLASSES or all(read_part(label).patient for label in labels):
        return frozenset(labels)
    matches = [_NUMBERED.fullmatch(label) for label in labels]
    starts = {match["start"] for match in matches if match}
    if len(labels) > 2 and all(matches) and len(starts) == 1:
        return frozenset(labels)
    return frozenset(label for label in labels if read_part(label).patient)


def _source_of(stem: str) -> str:
    """Name of the picture that this one is an altered copy of: its own, where no word of a tool says that it is one."""
    # In a loop: a copy of a copy carries the words of both tools.
    while match := _ROBOFLOW.fullmatch(stem) or _AUGMENTED.fullmatch(stem) or _PREFIXED.fullmatch(stem):
        stem = match["source"]
    return stem


def _kin(listing: Listing, images: Sequence[Path]) -> dict[Path, str]:
    """Pictures that are copies of one source, or that source itself -> its name; only where there are several.

    "(2)" and "Copy" behind a name mean a copy only where the name itself is there: many sets number their pictures so.
    """
    sources = {path: (path.parent, _source_of(stem_of(path))) for path in images}
    known = set(sources.values())
    for path, (folder, source) in sources.items():
        if (match := _AGAIN.fullmatch(source)) and (folder, match["source"]) in known:
            sources[path] = (folder, match["source"])
    copies = {source for path, source in sources.items() if source[1] != stem_of(path)}
    # One source may have been dealt out to several splits.
    return {
        path: "/".join((*(part for part in (class_of(listing.inner(path)),) if part), source))
        for path, (folder, source) in sources.items()
        if (folder, source) in copies
    }


def _patient(listing: Listing, path: Path, label: str | None, people: frozenset[str]) -> str | None:
    """Who is shown, where a name says so."""
    if label is not None and label in people:
        return label
    for folder in listing.inner(path):
        if place_word(folder) is None and (name := read_part(folder).patient):
            return printable(name)
    part = read_part(stem_of(path))
    # Two letters at least: "p1.png" in every folder is a picture and not a person.
    if part.patient and re.search(r"[a-z]{2}", part.patient, re.IGNORECASE):
        return printable(part.patient)
    return None


def _shown(listing: Listing, images: Sequence[Path]) -> tuple[str, list[str]]:
    """The sequence that the names of all pictures speak for; a plain picture where they do not agree."""
    told = Counter(
        next((one for part in (stem_of(path), *listing.inner(path)[::-1]) if (one := read_part(part).sequence)), "")
        for path in images
    )
    # All or none: a model of "t1" must not be trained on a mixture whose other half nobody named.
    if len(told) == 1 and "" not in told:
        return next(iter(told)), []
    named = ", ".join(f"{counted(number, 'picture')} {name}" for name, number in told.items() if name)
    return PLAIN_MODALITY, [f"names speak of {named}; others do not: all are taken as plain pictures"] * bool(named)


def _case(
    listing: Listing, path: Path, mask: Path | None, people: frozenset[str], shows: str, kin: str, volume: str | None
) -> Case:
    label = _label(listing, path)
    sources = (path,) if mask is None else (path, mask)
    return Case(
        name=listing.name(path),
        patient=_patient(listing, path, label, people) or volume,
        modalities=(shows,),
        load=partial(load_files, ((shows, (path,)),), sources[1:], UNSETTLED),
        label=None if label in people else label,
        has_mask=mask is not None,
        sources=sources,
        slice_names=(listing.name(path),),
        kin=kin,
        facts=split_of(listing.inner(path)),
    )


LAYOUT = Layout("folders", "PNG, JPEG or TIFF pictures, flat or in class folders", _fits, _take)
