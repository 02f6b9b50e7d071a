"""Pictures that are slices of one volume, by their names: neighbours that no split may part."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from synthoma.core.untrusted import printable
from synthoma.scans.files import stem_of
from synthoma.scans.layouts.listing import Listing, class_of
from synthoma.scans.names import read_part
from synthoma.scans.visits import count_patients

_SLICE = re.compile(
    r"(?P<whose>.+?)(?:[-_ .]+(?:slc|sl|z)|[-_ .]*(?:slices?|frame|layer|schicht|schnitt|coupe"
    r"|tranche|corte|axial|sagittal|coronal))[-_ .]*\d+"
    r"(?:[-_ ].*)?",
    re.IGNORECASE,
)
"""What tools write that cut volumes into pictures: ``volume_7_slice_60``."""

_PAIR = re.compile(r"(?P<whose>.*\d)[-_ .]+(?:(?:flair|t1c|t1ce|t1gd|t1km|t1w?|t2w?)[-_ .]+)?\d{1,3}", re.IGNORECASE)
"""Two numbers, as ``AB12_3`` and ``001_07``: somebody's, and a slice's; a sequence may stand between."""

_DAY = re.compile(r"(?<=\d)[-_ .]+(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])$")
"""The day of a visit behind somebody's number: ``101_20190304``."""


def volumes_of(listing: Listing, images: Sequence[Path]) -> dict[Path, str]:
    """The volume that each picture is a slice of, where names say so and a volume has several; others are left out.

    A word for a slice is believed where something of somebody stands before it: ``glioma_slice_3`` is anybody's. Two
    numbers alone are, where in one folder several first numbers have several second ones each: else the first may be of
    the set (``scan2019_17``). One volume for all pictures tells nothing, and is not told.
    """
    said: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    paired: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in images:
        stem = stem_of(path)
        if (match := _SLICE.fullmatch(stem)) is not None and _somebodys(match["whose"]):
            said[(*_class(listing, path, match["whose"]), match["whose"])].append(path)
        elif (match := _PAIR.fullmatch(stem)) is not None and not _says_sequence_alone(match["whose"]):
            paired[path.parent][_DAY.sub("", match["whose"])].append(path)
    found = {path: "/".join(whose) for whose, paths in said.items() if len(paths) > 1 for path in paths}
    for whose in paired.values():
        several = {name: paths for name, paths in whose.items() if len(paths) > 1}
        if len(several) > 1 and 2 * len(several) > len(whose) and not count_patients(whose):
            found |= {
                path: "/".join((*_class(listing, path, name), name)) for name, paths in whose.items() for path in paths
            }
    return {path: printable(name) for path, name in found.items()} if len(set(found.values())) > 1 else {}


def _class(listing: Listing, path: Path, whose: str) -> tuple[str, ...]:
    """The class in front of a bare number, which every class counts anew."""
    known = class_of(listing.inner(path)) if re.fullmatch(r"[\W\d_]+", whose) else None
    return () if known is None else (known,)


def _somebodys(name: str) -> bool:
    """Whether a name holds a number, or a word that the vocabulary does not explain."""
    part = read_part(name)
    return bool(re.search(r"\d", name) or part.rest or part.patient) and not _says_sequence_alone(name)


def _says_sequence_alone(name: str) -> bool:
    """Whether the number in front is that of a sequence: ``T1_001``."""
    part = read_part(name)
    return part.sequence is not None and not part.rest and not part.patient
