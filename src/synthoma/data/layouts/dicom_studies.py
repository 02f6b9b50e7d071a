"""``dicom``: any folder of DICOM files; one study is one case. Names are hashes, since folders carry patient names."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from synthoma.data.case import Case, Skipped, Study
from synthoma.data.layouts.listing import Found, Layout, Listing, class_of, split_of
from synthoma.data.layouts.loading import assemble
from synthoma.errors import InputError
from synthoma.types import MODALITIES, PLAIN_MODALITY

if TYPE_CHECKING:
    from synthoma.data.dicom import Series


def _fits(listing: Listing) -> bool:
    return 2 * sum(kind == "dicom" for kind in listing.kinds.values()) >= max(1, len(listing.files))


def _take(listing: Listing) -> Found:
    """One case a study, or several where its series were not taken in one position."""
    from synthoma.data.dicom import sort_into_series  # pydicom and SimpleITK are slow to load

    series, skipped = sort_into_series((path for path, kind in listing.kinds.items() if kind == "dicom"), listing.key)
    studies: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        studies[one.study].append(one)
    cases: list[Case] = []
    unused: list[Series] = []
    for members in studies.values():
        chosen, left = _chosen(members)
        unused += left
        cases += [_case(listing, group, number) for number, group in enumerate(_positions(chosen), start=1)]
    skipped += [Skipped(one.files[0], _why_unused(one)) for one in unused]
    ignored = frozenset(path for one in unused for path in one.files)
    return Found(tuple(sorted(cases, key=lambda case: case.name)), tuple(skipped), (), ignored)


def _chosen(members: list[Series]) -> tuple[list[Series], list[Series]]:
    """The longest series of each modality, in the usual order; all series where no modality is known."""
    longest_first = sorted(members, key=lambda one: (-len(one.planes), one.series))
    best = {one.modality: one for one in reversed(longest_first)}
    chosen = [best[name] for name in MODALITIES if name in best] or longest_first
    return chosen, [one for one in members if not any(one is other for other in chosen)]


def _why_unused(series: Series) -> str:
    """The reason why a study goes on without one of its series."""
    plain = series.modality == PLAIN_MODALITY
    came = "a series of another or unknown kind" if plain else f"a further {series.modality} series, not the longest"
    wanted = f"one series each of {', '.join(MODALITIES)}"
    return str(InputError(wanted, came, "put it into a folder of its own and prepare that, if it is wanted"))


def _positions(chosen: list[Series]) -> list[list[Series]]:
    """Series that share a frame of reference together, others alone; those of no known modality each alone."""
    groups: dict[object, list[Series]] = defaultdict(list)
    for index, one in enumerate(chosen):
        shares = one.frame_of_reference is not None and one.modality != PLAIN_MODALITY
        groups[one.frame_of_reference if shares else index].append(one)
    return list(groups.values())


def _reference(group: tuple[Series, ...]) -> Series:
    """The series on whose grid the others are put."""
    return next((one for one in group if one.modality == "flair"), group[0])


def _case(listing: Listing, members: list[Series], number: int) -> Case:
    """Case of the series of one study that share a position."""
    group = tuple(members)
    first = group[0]
    inner = listing.inner(first.files[0])
    name = f"{first.patient or 'unknown'}_{first.study}"
    return Case(
        name=name if number == 1 else f"{name}_{number}",
        patient=first.patient,
        modalities=tuple(one.modality for one in group),
        load=partial(load_study, group),
        label=class_of(inner),
        sources=tuple(path for one in group for path in one.files),
        slice_names=tuple(plane.name for plane in _reference(group).planes),
        facts=split_of(inner),
    )


def reference_series(case: Case) -> Series | None:
    """The series on whose grid a DICOM case is loaded, slice by slice; None for a case of other files."""
    if isinstance(case.load, partial) and case.load.func is load_study:
        return _reference(case.load.args[0])
    return None


def load_study(group: tuple[Series, ...]) -> Study:
    """Read the series of one study onto one grid.

    Raises:
        InputError: a series that cannot be read, or is of one value.
    """
    from synthoma.data.dicom import read_series

    return assemble({one.modality: read_series(one) for one in group})


LAYOUT = Layout("dicom", "DICOM files in any arrangement", _fits, _take)
