"""``volumes``: NIfTI, MetaImage, NRRD, Analyze and MGH files in any arrangement, understood by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthoma.core.errors import InputError
from synthoma.core.types import HEALTHY, MODALITIES, PLAIN_MODALITY
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Skipped
from synthoma.scans.convention_words import Description
from synthoma.scans.files import SUFFIXES, VOLUMES, natural, stem_of, suffix_of
from synthoma.scans.layouts.listing import (
    Found,
    Layout,
    Listing,
    counted,
    equal_files,
    promised,
    skip_content,
    skip_copy,
    split_fact,
)
from synthoma.scans.layouts.loading import UNSETTLED, load_files
from synthoma.scans.layouts.meaning import description_of, found_by_us
from synthoma.scans.layouts.pairs import skip_half
from synthoma.scans.names import read_part
from synthoma.scans.paths import Source
from synthoma.scans.studies import PLAIN, SEQUENCES, sort_into_studies
from synthoma.scans.study_masks import Study

if TYPE_CHECKING:
    from synthoma.scans.case import Volume

_FORMATS = frozenset({"NIfTI", "MetaImage", "NRRD", "Analyze", "MGH"})
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>0\d{3})")
"""How nnU-Net numbers the channels of a case: ``BRATS_001_0000.nii.gz``."""
_SITE = re.compile(r"BraTS1[5-9]_(?P<site>[A-Za-z0-9]+)_", re.IGNORECASE)
_NOTHING_TO_DO = "nothing; or name it in a table (docs/cohort.md) if it is wanted"


def _fits(listing: Listing) -> bool:
    return any(kind in VOLUMES for kind in listing.kinds.values()) or any(map(_is_promised, listing.files))


def _take(listing: Listing) -> Found:
    """One case a study."""
    volumes = [path for path in listing.files if listing.kinds[path] in VOLUMES and not _is_data_of_another(path)]
    known = set(volumes)
    data = _data_files(volumes)
    skipped = [
        _not_a_volume(path) for path in listing.files if _is_promised(path) and path not in known and path not in data
    ]
    sources, refused, remarks = _sources(listing, volumes)
    skipped += refused
    studies, loose = sort_into_studies(sources, partial(_peek, listing, volumes))
    skipped += [_aside(volumes[source.index], why) for source, why in loose]
    with_mask = {_where(study) for study in studies if study.masks} if listing.masks_wanted else set()
    cases = []
    for study in sorted(studies, key=lambda study: natural(study.name)):
        paths = {name: volumes[source.index] for name, source in study.images.items()}
        skipped += [_not_used(volumes, study, source, why) for source, why in study.aside]
        copies = _copies(volumes, study)
        skipped += [skip_copy(path) for path in copies]
        skipped += [_aside(path, "a mask on another grid") for path in _on_other_grids(volumes, study)]
        skipped += [_one_of_several(volumes, study, source) for source in study.masks] if len(study.masks) > 1 else []
        mask = study.masks[0] if len(study.masks) == 1 else None
        # As a scan without tumour it would be counted among the healthy ones.
        if mask is None and _where(study) in with_mask and _where(study)[0] not in HEALTHY:
            first, *others = dict.fromkeys(paths.values())
            skipped.append(skip_half(first, "an image without mask, where others have one"))
            data |= set(others)
        else:
            cases.append(_case(listing, volumes, study, mask))
        remarks += [f"{printable(study.name)}: {text}" for text in study.remarks]
    return Found(tuple(cases), tuple(skipped), tuple(_shortened(remarks)), frozenset(data))


def _is_promised(path: Path) -> bool:
    return promised(path) in _FORMATS


def _not_a_volume(path: Path) -> Skipped:
    came = f"other or damaged content in a file named {suffix_of(path)}"
    return skip_content(path, "a NIfTI, MetaImage, NRRD, Analyze or MGH volume", came)


def _is_data_of_another(path: Path) -> bool:
    return suffix_of(path) in (".img", ".img.gz")


def _data_files(volumes: Sequence[Path]) -> set[Path]:
    """The second files of volumes that consist of two."""
    from synthoma.scans.volume_headers import data_of

    found = set()
    for path in volumes:
        if suffix_of(path) in (".hdr", ".hdr.gz", ".mhd", ".nhdr"):
            try:
                other = data_of(path)
            except InputError:  # said when it is read
                other = None
            found |= {other} if other is not None else set()
    return found


# --- what the files are ---------------------------------------------------------------------------------------------


def _sources(listing: Listing, volumes: Sequence[Path]) -> tuple[list[Source], list[Skipped], list[str]]:
    """The volumes as ``studies`` takes them, with what a description beside them says of their channels."""
    describe = cache(lambda folder: description_of(folder, listing.root))
    channels = _numbered(volumes)
    sources: list[Source] = []
    refused: list[Skipped] = []
    unnamed = 0
    for index, path in enumerate(volumes):
        folders, stem = listing.inner(path), stem_of(path)
        part = read_part(stem)
        said = describe(path.parent)
        if part.role == "mask" and found_by_us(path.parent) is not None:
            refused.append(_aside(path, "a mask that `synthoma detect` drew"))
        elif path in channels and part.sequence is None:
            case, channel = channels[path]
            name = said.channels[channel] if said is not None and channel < len(said.channels) else None
            if name is None:
                unnamed += 1
                refused.append(_unnamed_channel(path))
                continue
            sequence = read_part(name).sequence
            if sequence is None:
                refused.append(_aside(path, f"the channel {printable(name)[:40]!r}"))
                continue
            sources.append(Source(folders, case, index, sequence=sequence, role="image"))
        elif part.role is None and (count := _channel_count(path)) > 1:
            found = _of_channels(path, folders, stem, index, count, said)
            sources += found
            refused += [] if found else [_several_volumes(path, count)]
        else:
            sources.append(Source(folders, stem, index))
    remarks = [f"{counted(unnamed, 'file')} numbered as channels, and no dataset.json that names them"] * bool(unnamed)
    return sources, refused, remarks


def _numbered(volumes: Sequence[Path]) -> dict[Path, tuple[str, int]]:
    """Files that nnU-Net's numbers tell apart: case and channel. One number alone may be part of a name."""
    found = {path: match for path in volumes if (match := _CHANNEL.fullmatch(stem_of(path)))}
    # A case needs a 0000 and another number: "scan_0001" alone is the first scan of somebody.
    several = {(path.parent, match["case"]) for path, match in found.items() if int(match["channel"]) > 0}
    first = {(path.parent, match["case"]) for path, match in found.items() if int(match["channel"]) == 0}
    kept = {path.parent for path in found if path.parent.name.lower().startswith(("imagestr", "imagests"))}
    return {
        path: (match["case"], int(match["channel"]))
        for path, match in found.items()
        if (path.parent, match["case"]) in several & first or path.parent in kept
    }


def _channel_count(path: Path) -> int:
    from synthoma.scans.volume_headers import stored_shape

    try:
        shape = stored_shape(path)
    except InputError:  # said when it is read
        return 1
    return shape[3] if len(shape) > 3 else 1


def _of_channels(
    path: Path, folders: tuple[str, ...], stem: str, index: int, count: int, said: Description | None
) -> list[Source]:
    """The sequences in a file of several volumes, where a description names them."""
    if said is None or len(said.channels) != count:
        return []
    told = [read_part(name).sequence for name in said.channels]
    return [
        Source(folders, stem, index, channel, sequence, "image")
        for channel, sequence in enumerate(told)
        if sequence is not None
    ]


def _peek(listing: Listing, volumes: Sequence[Path], source: Source) -> Literal["mask", "image", "unreadable"]:
    """Whether a file whose name does not say holds a mask."""
    from synthoma.scans.layouts.loading import looks_like_mask
    from synthoma.scans.volumes import read_volume

    if source.channel is not None:
        return "image"
    try:
        volume: Volume = read_volume(volumes[source.index])
    except InputError:
        return "unreadable"
    return "mask" if looks_like_mask(volume.voxels) else "image"


# --- what is not used -----------------------------------------------------------------------------------------------


def _aside(path: Path, why: str) -> Skipped:
    error = InputError(f"{', '.join(SEQUENCES)} or a mask of the tumour", why, _NOTHING_TO_DO)
    return Skipped(path, str(error), kind=why.partition(" (")[0])


def _not_used(volumes: Sequence[Path], study: Study, source: Source, why: str) -> Skipped:
    """Line for a file of a study that another of its files stands for."""
    path = volumes[source.index]
    sequence = next((name for name in study.images if why.startswith(f"a second {name}")), None)
    if sequence is not None and equal_files(path, volumes[study.images[sequence].index]):
        return skip_copy(path)
    return _aside(path, why)


def _copies(volumes: Sequence[Path], study: Study) -> list[Path]:
    """Take masks that are byte for byte the first one out of a study."""
    again = [one for one in study.masks[1:] if equal_files(volumes[study.masks[0].index], volumes[one.index])]
    study.masks = [mask for mask in study.masks if mask not in again]
    return [volumes[one.index] for one in again]


def _on_other_grids(volumes: Sequence[Path], study: Study) -> list[Path]:
    """Take masks out of a study that has others on the grid of its images."""
    from synthoma.scans.volume_headers import stored_shape

    if len(study.masks) < 2:
        return []
    try:
        # By the headers alone: masks of the raw scan lie beside those of the registered one.
        grids = {stored_shape(volumes[image.index])[:3] for image in study.images.values()}
        fitting = [mask for mask in study.masks if stored_shape(volumes[mask.index])[:3] in grids]
    except InputError:  # said when it is read
        return []
    others = [volumes[mask.index] for mask in study.masks if mask not in fitting] if fitting else []
    study.masks = fitting or study.masks
    return others


def _unnamed_channel(path: Path) -> Skipped:
    todo = "put nnU-Net's dataset.json with channel_names beside the folder imagesTr"
    return Skipped(
        path, str(InputError("a channel with a name", "a number alone", todo)), kind="channels without names"
    )


def _several_volumes(path: Path, count: int) -> Skipped:
    todo = "put a dataset.json that names its channels beside it, or save the volume you mean as a file of its own"
    error = InputError("one volume a file, or channels with names", f"{count} volumes in one file", todo)
    return Skipped(path, str(error), kind="several volumes in one file")


def _one_of_several(volumes: Sequence[Path], study: Study, source: Source) -> Skipped:
    names = ", ".join(printable(volumes[mask.index].name) for mask in study.masks[:4])
    todo = "remove all but one, or name the one you mean in a table"
    error = InputError("one mask of the tumour a study", f"{len(study.masks)} ({names})", todo)
    return Skipped(volumes[source.index], str(error), kind="several masks of one study")


def _shortened(remarks: Sequence[str]) -> list[str]:
    """Remarks of many studies that say the same, once."""
    if len(remarks) <= 3:
        return list(remarks)
    texts = [remark.partition(": ")[2] or remark for remark in remarks]
    return [
        f"{counted(texts.count(text), 'study').replace('studys', 'studies')}: {text}" for text in dict.fromkeys(texts)
    ]


# --- cases ----------------------------------------------------------------------------------------------------------


def _where(study: Study) -> tuple[str, tuple[str, ...]]:
    """Class and place of a study: where others have a mask, one is expected of it too."""
    return (study.label or "").lower(), study.place


def _case(listing: Listing, volumes: Sequence[Path], study: Study, mask: Source | None) -> Case:
    """Case of one study."""
    names = {PLAIN: PLAIN_MODALITY}
    roles = [role for role in (*MODALITIES, PLAIN_MODALITY) if role in {names.get(one, one) for one in study.images}]
    own = {names.get(name, name): source for name, source in study.images.items()}
    modalities = tuple((role, (volumes[own[role].index],)) for role in roles)
    channels = tuple((role, source.channel) for role, source in own.items() if source.channel is not None)
    masks = () if mask is None else (volumes[mask.index],)
    first = volumes[own[roles[0]].index]
    patient = study.patient if study.patient else None
    site = _SITE.match(study.name)
    return Case(
        name=printable(study.name) or printable(first.parent.resolve().name),
        patient=printable(patient) if patient else None,
        modalities=tuple(roles),
        load=partial(load_files, modalities, masks, UNSETTLED, channels),
        label=printable(study.label) if study.label else None,
        has_mask=mask is not None,
        site=printable(site["site"]) if site else None,
        visit=printable(study.visit),
        sources=tuple(dict.fromkeys([*(path for _, paths in modalities for path in paths), *masks])),
        facts=split_fact(study.split),
    )


LAYOUT = Layout(
    "volumes", f"volumes ({', '.join(sorted({*SUFFIXES.values()} & _FORMATS))}) in any arrangement", _fits, _take
)
