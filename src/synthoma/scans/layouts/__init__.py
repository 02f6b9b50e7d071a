"""From a folder to its cases: the layouts in which people keep brain-tumour scans, recognised by names and content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.plugins import plugged_in, using
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Inventory, Skipped
from synthoma.scans.convention_words import parsed
from synthoma.scans.files import suffix_of
from synthoma.scans.layout_names import BUILT_IN
from synthoma.scans.layouts import dicom_studies, figshare, folders, lgg, table, volumes
from synthoma.scans.layouts.listing import Found, Layout, Listing, counted, equal_files, skip_content, skip_copy
from synthoma.scans.layouts.meaning import settle
from synthoma.scans.layouts.part_of_case import load_despite_mask, load_only
from synthoma.scans.layouts.spelling import with_classes
from synthoma.scans.parents import with_parents

LAYOUTS: tuple[Layout, ...] = (
    table.LAYOUT,
    lgg.LAYOUT,
    figshare.LAYOUT,
    dicom_studies.LAYOUT,
    folders.LAYOUT,
    volumes.LAYOUT,
)
"""From the most to the least specific; the first that fits is taken. A table was written on purpose, so it leads."""


Answer = TypeVar("Answer")


@cache
def layouts() -> tuple[Layout, ...]:
    """All layouts, the first that fits is taken: those of other packages, installed on purpose, come after a table.

    Raises:
        ConfigError: a plug-in that is no layout, or has a name other than its entry point's, or that of another.
    """
    added = plugged_in("synthoma.layouts")
    for name, layout in added.items():
        if not isinstance(layout, Layout) or layout.name != name or name in BUILT_IN:
            came = f"{name!r} is {type(layout).__name__} {getattr(layout, 'name', '')}".strip()
            raise ConfigError("a Layout with a name of its own, its entry point's", came, "rename it")
    return (LAYOUTS[0], *map(_guarded, added.values()), *LAYOUTS[1:])


def _guarded(layout: Layout) -> Layout:
    """A layout of another package whose failures are told in one sentence."""

    def guarded(asked: Callable[[Listing], Answer], listing: Listing) -> Answer:
        with using(f"a plugged-in layout {layout.name!r}"):
            return asked(listing)

    return replace(layout, fits=partial(guarded, layout.fits), take=partial(guarded, layout.take))


_PAPERS = frozenset({".csv", ".tsv", ".txt", ".md", ".json", ".pdf", ".xlsx", ".xls", ".xml", ".html", ".rtf", ".docx"})
_BESIDE_HEADERS = frozenset({".raw", ".zraw"})


def take_inventory(
    source: Path | Sequence[Path],
    *,
    layout: str | None = None,
    key: bytes = b"",
    modalities: Sequence[str] | None = None,
    masks_wanted: bool = True,
    convention: str | None = None,
) -> Inventory:
    """List the cases of a folder without loading them.

    Args:
        source: a folder, one file, or several files of one folder.
        layout: name of the layout, where recognition should not decide.
        key: secret under which DICOM identifiers become pseudonyms.
        modalities: keep only these.
        masks_wanted: whether scans are read for their masks. Then those without, in a set with masks, are refused, and
            a folder has one layout. Otherwise a mask is welcome but stops no scan, and a folder may hold several
            layouts: what the first leaves over is looked at again.
        convention: what the values of masks mean, see ``conventions.parsed``; else it is decided from all masks.

    Returns:
        Cases in natural order with unique names, every file that is not part of one with the reason, remarks, and what
        the values of masks mean. Where that is ambiguous a case still loads without its mask.

    Raises:
        InputError: nothing there, nothing readable, or not what ``layout`` names.
        ConfigError: no layout or convention of that name.
    """
    forced = None if convention is None else parsed(convention)
    paths = [source] if isinstance(source, Path) else list(source)
    for path in paths:
        if not path.exists():
            raise InputError(
                "a folder or file with scans", f"{printable(path)}, where nothing is", "check its spelling"
            )
    if len(paths) == 1:
        listing = Listing.of(paths[0], key, masks_wanted=masks_wanted)
    else:
        if len({path.parent for path in paths}) > 1 or any(path.is_dir() for path in paths):
            came = f"{len(paths)} files and folders in several places"
            raise InputError("a folder, or files of one folder", came, "give them one at a time")
        listing = Listing.of_files(paths, key, masks_wanted=masks_wanted)
    chosen = _recognised(listing, layout)
    names, cases, skipped, remarks = [chosen.name], list[Case](), list(listing.skipped), list[str]()
    rest, found = listing, chosen.take(listing)
    while True:
        cases += found.cases
        skipped += found.skipped
        remarks += found.remarks
        # What the first layout made nothing of may be scans of another kind, as DICOM beside pictures.
        left = _left_over(rest, chosen, found)
        other = None if masks_wanted or layout is not None else _another(rest.only([one.path for one in left]), names)
        if other is None:
            break
        rest, chosen, found = other
        names.append(chosen.name)
    skipped += left
    remarks += [] if names == ["table"] or listing.single else table.unused(listing)
    cases, twice = _each_once(with_parents(cases, named=names == ["table"]))
    cases, spelled = with_classes(cases)
    remarks += spelled
    # Of all cases together, and before any is dropped: what one mask does not show, others may.
    settled, decisions = settle(_uniquely_named(listing, tuple(cases)), listing.root, forced)
    skipped += twice
    remarks += [f"{counted(len(twice), 'case')} of files that are there twice: used once"] * bool(twice)
    kept, dropped = _wanted(settled, modalities)
    skipped += dropped
    if not kept:
        came = f"{listing.summary()}, none of them usable" + (f"; the first: {skipped[0].reason}" if skipped else "")
        raise InputError(f"at least one case ({chosen.looks_for})", came, "correct the files, or choose another layout")
    # Where tumours are to be found, a damaged mask beside a scan is no reason to leave the scan out.
    if not masks_wanted:
        kept = tuple(
            replace(case, load=partial(load_despite_mask, case.load)) if case.has_mask else case for case in kept
        )
    return Inventory("+".join(names), kept, tuple(skipped), (*remarks, *_remarks(kept)), decisions)


def _another(left: Listing, known: Sequence[str]) -> tuple[Listing, Layout, Found] | None:
    """The first layout not yet taken that makes cases of these files, and these; None where there is none."""
    for layout in layouts():
        if left.files and layout.name not in known and layout.fits(left):
            found = layout.take(left)
            if found.cases:
                return left, layout, found
    return None


def _recognised(listing: Listing, name: str | None) -> Layout:
    """The named layout, or the first that fits."""
    if name is None:
        fitting = next((layout for layout in layouts() if layout.fits(listing)), None)
        if fitting is None:
            known = "; ".join(f"{layout.name}: {layout.looks_for}" for layout in layouts())
            raise InputError(f"scans in one of these layouts ({known})", listing.summary(), "rearrange the folder")
        return fitting
    chosen = next((layout for layout in layouts() if layout.name == name), None)
    if chosen is None:
        raise ConfigError(
            "a layout: " + ", ".join(layout.name for layout in layouts()), repr(name), "choose one of these"
        )
    if not chosen.fits(listing):
        todo = "leave the layout to be recognised, or rearrange the folder"
        raise InputError(f"the layout {name}: {chosen.looks_for}", listing.summary(), todo)
    return chosen


def _each_once(cases: Sequence[Case]) -> tuple[list[Case], list[Skipped]]:
    """Cases without those whose files are byte for byte those of an earlier case of the same name and patient."""
    first: dict[tuple[str, str | None], list[Case]] = defaultdict(list)
    kept: list[Case] = []
    twice: list[Skipped] = []
    for case in cases:
        # A picture has its folder in its name; the same picture in two classes is for the search for duplicates.
        earlier = first[case.name, case.patient]
        if case.sources and any(_same_files(case, other) for other in earlier):
            twice.append(skip_copy(case.sources[0].parent))
        else:
            earlier.append(case)
            kept.append(case)
    return kept, twice


def _same_files(one: Case, other: Case) -> bool:
    """Whether two cases consist of equal files under equal names."""
    pairs = list(zip(one.sources, other.sources, strict=False))
    alike = len(one.sources) == len(other.sources) and all(a.name == b.name for a, b in pairs)
    return alike and all(equal_files(a, b) for a, b in pairs)


def _uniquely_named(listing: Listing, cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """Put the folder before names that come more than once; what is still equal gets a number."""
    twice = {name for name, count in Counter(case.name for case in cases).items() if count > 1}
    used: Counter[str] = Counter()
    named = []
    for case in cases:
        name = case.name
        if name in twice and case.sources:
            name = f"{listing.name(case.sources[0].parent)}/{name}"
        used[name] += 1
        named.append(replace(case, name=name if used[name] == 1 else f"{name}#{used[name]}"))
    return tuple(named)


def _wanted(cases: tuple[Case, ...], modalities: Sequence[str] | None) -> tuple[tuple[Case, ...], list[Skipped]]:
    """Restrict cases to some modalities; a case that has none of them is skipped."""
    if modalities is None:
        return cases, []
    kept, dropped = [], []
    for case in cases:
        names = tuple(name for name in case.modalities if name in modalities)
        if names:
            same = names == case.modalities
            kept.append(case if same else replace(case, modalities=names, load=partial(load_only, case.load, names)))
        else:
            error = InputError(f"one of {', '.join(modalities)}", ", ".join(case.modalities), "ask for these")
            dropped.append(Skipped(case.sources[0].parent, str(error)))
    return tuple(kept), dropped


def _left_over(listing: Listing, layout: Layout, found: Found) -> list[Skipped]:
    """Files that no case reads and nobody explained; papers beside the scans are not worth a line."""
    known = {path for case in found.cases for path in case.sources} | found.ignored
    named = {item.path for item in found.skipped}
    used = known | named
    # A folder that was refused as a whole speaks for all files inside.
    unexplained = (path for path in listing.files if path not in used and not named & set(path.parents))
    return [
        skip_content(path, f"a file of the layout {layout.name}", f"one that is not ({listing.kinds[path]})")
        for path in unexplained
        if not _is_paper(path)
    ]


def _is_paper(path: Path) -> bool:
    return suffix_of(path) in _PAPERS | _BESIDE_HEADERS or path.name.upper().startswith(
        ("README", "LICENSE", "LICENCE")
    )


def _remarks(cases: tuple[Case, ...]) -> list[str]:
    """What the user should know of a set as a whole."""
    union = sorted({name for case in cases for name in case.modalities})
    lacking = {name: sum(name not in case.modalities for case in cases) for name in union}
    remarks = [f"{counted(n, 'case')} of {len(cases)} without {name}" for name, n in lacking.items() if n]
    studies = Counter(case.patient for case in cases if case.patient is not None)
    if several := sum(count > 1 for count in studies.values()):
        remarks.append(f"{counted(several, 'patient')} with several studies: kept together as one patient")
    return remarks
