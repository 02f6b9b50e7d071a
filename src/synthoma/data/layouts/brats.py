"""``brats``: a folder a study, with ``<case>_{flair,t1,t1ce,t2,seg}.nii.gz`` or ``<case>-{t2f,t1n,t1c,...}.nii.gz``."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import Path

from synthoma.data.case import Case, Skipped
from synthoma.data.files import natural, printable, suffix_of
from synthoma.data.layouts.listing import Found, Layout, Listing, class_of
from synthoma.data.layouts.loading import load_files
from synthoma.data.layouts.masks import Meaning
from synthoma.errors import InputError
from synthoma.types import MODALITIES

_FILE = re.compile(
    r"(?P<case>.+)[_-](?P<token>flair|t1ce|t1c|t1n|t1|t2f|t2w|t2|segm?)\.nii(?:\.gz)?", re.IGNORECASE
)  # one study of 2020 has "Segm"
_ROLES = {"flair": "flair", "t1": "t1", "t1ce": "t1c", "t2": "t2"} | {
    "t2f": "flair", "t1n": "t1", "t1c": "t1c", "t2w": "t2", "seg": "mask", "segm": "mask"
}  # fmt: skip
_TIME_POINT = re.compile(r"(?P<patient>BraTS-[A-Za-z]+-\d+)-(?P<point>\d{3})")
_COLLECTION = re.compile(r"BraTS1[5-9]_(?P<site>[A-Za-z0-9]+)_", re.IGNORECASE)
_GRADES = frozenset({"HGG", "LGG"})

Roles = dict[str, Path]


def _fits(listing: Listing) -> bool:
    return any(
        len(roles) >= 2 and (name == folder.name or name.lower().startswith("brats"))
        for (folder, name), roles in _studies(listing)[0].items()
    )


def _take(listing: Listing) -> Found:
    """One case a study."""
    studies, skipped = _studies(listing)
    with_mask = listing.masks_wanted and any("mask" in roles for roles in studies.values())
    cases: list[Case] = []
    for (folder, name), roles in sorted(studies.items(), key=lambda item: natural(item[0][0] / item[0][1])):
        try:
            check_roles(roles, with_mask=with_mask)
            cases.append(_case(listing, folder, name, roles))
        except InputError as error:
            skipped.append(Skipped(folder if folder.name == name else next(iter(roles.values())), str(error)))
    return Found(
        tuple(cases), tuple(skipped), (), frozenset(path for roles in studies.values() for path in roles.values())
    )


def _studies(listing: Listing) -> tuple[dict[tuple[Path, str], Roles], list[Skipped]]:
    """(Folder, case name) -> role -> file, and the NIfTI files that have none."""
    studies: dict[tuple[Path, str], Roles] = defaultdict(dict)
    skipped: list[Skipped] = []
    for path in listing.files:
        if suffix_of(path) not in (".nii", ".nii.gz"):
            continue
        match = _FILE.fullmatch(path.name)
        role = _ROLES[match["token"].lower()] if match else None
        name = path.parent.name if match and match["token"].lower() == "segm" else match["case"] if match else ""
        if role is None or role in studies[path.parent, name]:
            came = "a file that is not a modality" if role is None else f"a second {role}"
            wanted = f"one each of {', '.join(sorted(_ROLES))}"
            skipped.append(Skipped(path, str(InputError(wanted, came, "rename it if it belongs to the study"))))
        else:
            studies[path.parent, name][role] = path
    return {study: roles for study, roles in studies.items() if roles}, skipped


def check_roles(roles: Roles, *, with_mask: bool) -> None:
    """Refuse a study without image, or without mask where others have one."""
    if set(roles) == {"mask"}:
        raise InputError("a study with an image", "a mask alone", "add its images, or remove it")
    if with_mask and "mask" not in roles:
        came = "images without mask in a folder where other studies have one"
        raise InputError("a study with a mask", came, "add the mask, or prepare these studies as a set of their own")


def _case(listing: Listing, folder: Path, name: str, roles: Roles) -> Case:
    """Case of one study. Names since 2023 end in the time point, which is not part of the patient."""
    later = _TIME_POINT.match(name)
    collection = _COLLECTION.match(name)
    meaning: Meaning = "brats" if name.lower().startswith("brats") else "any"
    if later:
        meaning = "brats-later" if later["point"].startswith("1") else "brats-2023"
    inner = listing.inner(next(iter(roles.values())))
    return case_of_roles(
        name=printable(name),
        patient=printable(later["patient"] if later else name),
        roles=roles,
        meaning=meaning,
        label=next((part for part in inner if part in _GRADES), class_of(inner)),
        site=printable(collection["site"]) if collection else None,
    )


def case_of_roles(
    name: str, patient: str | None, roles: Roles, meaning: Meaning, label: str | None, site: str | None = None
) -> Case:
    """Case of one file a modality and one for the mask."""
    modalities = tuple((role, (roles[role],)) for role in MODALITIES if role in roles)
    mask = (roles["mask"],) if "mask" in roles else ()
    return Case(
        name=name,
        patient=patient,
        modalities=tuple(role for role, _ in modalities),
        load=partial(load_files, modalities, mask, meaning),
        label=label,
        has_mask=bool(mask),
        site=site,
        sources=tuple(path for _, paths in modalities for path in paths) + mask,
    )


LAYOUT = Layout("brats", "folders <case>/ with <case>_flair.nii.gz or <case>-t2f.nii.gz and the like", _fits, _take)
