"""``brats2``: ``<case>/VSD.Brain.XX.O.MR_{Flair,T1,T1c,T2}.<k>/*.mha``, truth in ``VSD.Brain_*more.XX.XX.OT.<k>/``."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from synthoma.data.case import Case, Skipped
from synthoma.data.files import natural, printable
from synthoma.data.layouts.brats import Roles, case_of_roles, check_roles
from synthoma.data.layouts.listing import Found, Layout, Listing, class_of
from synthoma.errors import InputError

_FILE = re.compile(r"VSD\.Brain[^/]*\.(?:MR_(?P<token>Flair|T1c|T1|T2)|OT)\.[^/]*\.(?:mha|nii|nii\.gz)", re.IGNORECASE)


def _fits(listing: Listing) -> bool:
    return any("mask" in roles or len(roles) >= 2 for roles in _studies(listing)[0].values())


def _take(listing: Listing) -> Found:
    """One case a study folder."""
    studies, skipped = _studies(listing)
    with_mask = listing.masks_wanted and any("mask" in roles for roles in studies.values())
    cases: list[Case] = []
    for folder, roles in sorted(studies.items(), key=lambda item: natural(item[0])):
        try:
            check_roles(roles, with_mask=with_mask)
            cases.append(_case(listing, folder, roles))
        except InputError as error:
            skipped.append(Skipped(folder, str(error)))
    return Found(tuple(cases), tuple(skipped))


def _studies(listing: Listing) -> tuple[dict[Path, Roles], list[Skipped]]:
    """Study folder -> role -> file, and files of a role that is taken."""
    studies: dict[Path, Roles] = defaultdict(dict)
    skipped: list[Skipped] = []
    for path in listing.files:
        if not (match := _FILE.fullmatch(path.name)):
            continue
        role = (match["token"] or "mask").lower()
        # Each file lies in a folder of its own name; that folder lies in the study's.
        folder = path.parent.parent if path.parent.name == path.stem else path.parent
        if role in studies[folder]:
            skipped.append(Skipped(path, str(InputError("each role once", f"a second {role}", "keep one of the two"))))
        else:
            studies[folder][role] = path
    return dict(studies), skipped


def _case(listing: Listing, folder: Path, roles: Roles) -> Case:
    """Case of one study; numbers start anew in each class, so the class is part of the name."""
    inner = listing.inner(folder / "file")
    label = class_of(inner[:-1]) if inner else None
    name = printable(folder.name if label is None else f"{label}_{folder.name}")
    # The truth of 2015 holds 3; renamed copies of later sets hold 4 without it: both are read right.
    return case_of_roles(name, name, roles, "brats2", label)


LAYOUT = Layout("brats2", "files VSD.Brain.XX.O.MR_Flair.<k>.mha and the like in a folder a study", _fits, _take)
