"""From an inventory of cases to a cohort: load, slice, normalise, find duplicates, split by group, pack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthoma.cohorts.cohort import ArrayFile, Cohort, CohortWriter
from synthoma.cohorts.copies.thumbnails import SIDE
from synthoma.cohorts.corrections import BY_HAND, parts_by_hand, remaining_shares
from synthoma.cohorts.kept_cases import KEPT_CASES
from synthoma.cohorts.leaks import trained_on
from synthoma.cohorts.lists import unsearched, write_lists
from synthoma.cohorts.meanings import Meanings
from synthoma.cohorts.meta import CohortMeta, Provenance, TrainedOn
from synthoma.cohorts.patient_names import Veil, hidden, sources_of, with_pseudonyms
from synthoma.cohorts.settings import PrepareConfig
from synthoma.cohorts.slicing import PreparedCase, case_path, prepare_case
from synthoma.cohorts.splits import (
    SPLITS,
    assign_groups,
    check_disjoint,
    group_profiles,
    join_groups,
    read_split,
)
from synthoma.cohorts.understanding import held_out, shortened, unused_classes, warnings_of
from synthoma.core.errors import InputError
from synthoma.core.parts import spread_kept
from synthoma.core.progress import Progress, named, silent
from synthoma.core.provenance import software
from synthoma.core.pseudonyms import remember
from synthoma.core.types import HEALTHY, MODALITIES, PLAIN_MODALITY, Floats, Ints
from synthoma.scans.case import Case, Inventory, Skipped
from synthoma.scans.conventions import WHOLE, Decision
from synthoma.scans.layouts.meaning import decision_of, with_decision
from synthoma.scans.parents import COLUMN

if TYPE_CHECKING:
    import pandas as pd

    from synthoma.cohorts.copies.duplicates import Duplicates

THUMBNAILS = ".thumbnails.npy"
"""On the disk for as long as duplicates are searched: those of 100,000 slices take 1.6 GB."""

Prepare = Callable[[Case, PrepareConfig, tuple[str, ...], int], PreparedCase | Skipped]

MOST_REASONS = 4
"""Reasons that are told apart where nothing could be used."""


def pack(
    inventory: Inventory,
    folder: Path,
    config: PrepareConfig,
    *,
    source: str,
    progress: Progress = silent,
    prepare: Prepare = prepare_case,
) -> Cohort:
    """Turn the cases of ``inventory`` into a cohort in ``folder``.

    Args:
        inventory: what was found, see ``layouts.take_inventory``; or simulated cases.
        folder: an existing, empty folder.
        config: the settings.
        source: what to call the input in the provenance.
        progress: told how far the work is.
        prepare: makes slices of one case, with the arguments of ``prepare_case``; a function of a module.

    Raises:
        InputError: no case could be used.
        LeakError: ``config.split_from`` puts one group on two sides.
    """
    inventory = _settled(inventory, config)
    modalities = config.modalities or choose_modalities(inventory.cases)
    channels = (PLAIN_MODALITY,) if config.classes == "sequence" else modalities
    # DICOM always: its names are hashes already, and what remarks and lists say must not bring them back.
    private = config.pseudonyms or inventory.layout == "dicom"
    veil, inventory = (Veil(inventory), _without_names(inventory, config)) if private else (None, inventory)
    split = [] if config.like is not None else warnings_of(inventory.cases)
    skipped, remarks = list(inventory.skipped), [*split, *inventory.remarks]
    searched, meanings = list[int](), Meanings()
    work = "simulating patients" if inventory.layout == "phantom" else "reading scans"
    with (
        CohortWriter(folder, channels=len(channels), size=config.size) as writer,
        closing(ArrayFile(folder / THUMBNAILS, np.dtype(np.float32), (SIDE, SIDE))) as thumbnails,
        # Closed whatever happens: an error must end the workers too.
        closing(_prepare_all(inventory, config, modalities, named(progress, work), prepare)) as results,
    ):
        for done, (case, result) in enumerate(results, start=1):
            progress(work, done, len(inventory.cases))
            if isinstance(result, Skipped):
                skipped.append(result)
                continue
            try:
                meanings.add(result)
            except InputError as error:
                skipped.append(Skipped(case_path(case), str(error)))
                continue
            searched += [len(writer.records) + row for row in result.searched]
            thumbnails.append(result.thumbnails)
            remarks += result.remarks
            writer.add(result.images, result.masks, result.records)
        if not writer.records:
            came = f"{len(inventory.cases)} cases, none with a usable slice"
            raise InputError("at least one usable slice", came, _reasons(skipped))
        table = table_of(writer.records, config)
        thumbnails.close()
        found = _search(table, thumbnails.path, np.array(searched, dtype=np.int64), config, progress)
        thumbnails.path.unlink()
        table["twin"] = _twins(len(table), searched, found)
        table["group"] = _groups(table)
        _split(table, config)
        if veil is not None:
            remarks = [veil.over(remark) for remark in remarks]
        said = (
            *((held_out(table), unused_classes(table, config.classes)) if config.like is None else ()),
            unsearched(table, len(searched), len(inventory.cases), config),
        )
        remarks = [*filter(None, said), *shortened(remarks)]
        meta = _meta(table, inventory, config, channels, meanings.of_cohort(), remarks, source)
        writer.finish(_tidy(table), meta)
    write_lists(folder, table, searched, found, [hidden(item) for item in skipped] if private else skipped)
    return Cohort(folder)


# --- cases ----------------------------------------------------------------------------------------------------


def _without_names(inventory: Inventory, config: PrepareConfig) -> Inventory:
    """The inventory under pseudonyms; which files are behind them is remembered outside of the cohort."""
    named = inventory
    if config.pseudonyms and inventory.layout != "dicom":  # the DICOM reader gives hashes already
        inventory = with_pseudonyms(inventory)
    remember(sources_of(named, inventory))
    return inventory


def choose_modalities(cases: Sequence[Case]) -> tuple[str, ...]:
    """The modalities that at least half of the cases have, in the usual order; else those that any has."""
    counts = {name: sum(name in case.modalities for case in cases) for name in (*MODALITIES, PLAIN_MODALITY)}
    common = tuple(name for name, count in counts.items() if 2 * count >= len(cases) and count)
    return common or tuple(name for name, count in counts.items() if count)


def _settled(inventory: Inventory, config: PrepareConfig) -> Inventory:
    """The inventory, provided that what its masks mean is known, or makes no difference.

    Raises:
        InputError: several meanings fit, and nobody said which.
    """
    doubtful = [one for one in inventory.decisions if one.convention is None]
    if not doubtful:
        return inventory
    if config.merge is None or not all(one.merges for one in doubtful):
        raise doubtful[0].refusal()
    whole = Decision(WHOLE, "all that fits is tumour", values=doubtful[0].values)
    cases = tuple(with_decision(case, whole) if decision_of(case) in doubtful else case for case in inventory.cases)
    return replace(inventory, cases=cases)


def _prepare_all(
    inventory: Inventory, config: PrepareConfig, modalities: tuple[str, ...], progress: Progress, prepare: Prepare
) -> Generator[tuple[Case, PreparedCase | Skipped]]:
    """Each case with its slices, or with the reason why it has none; in order, whatever the number of workers."""
    from joblib import cpu_count

    cases = inventory.cases
    # Pictures are read in no time: fewer than 64 of them are not worth a process.
    jobs = config.jobs or min(cpu_count(), -(-len(cases) // (64 if inventory.layout in ("folders", "arrays") else 1)))
    # At least one of each: a whole scan that is there twice shows in any pair of its slices.
    per_case = max(1, config.searched // max(1, len(cases))) if config.duplicates else 0
    calls = ((case, config, modalities, per_case) for case in cases)
    with spread_kept(prepare, calls, jobs, KEPT_CASES, partial(progress, "")) as results:
        yield from zip(cases, results, strict=True)


def _reasons(skipped: Sequence[Skipped]) -> str:
    """Why nothing could be used, since no list of it is left behind: the most frequent reasons first."""
    found = Counter(item.reason for item in skipped).most_common()
    said = [f"{reason} ({count} of them)" if count > 1 else reason for reason, count in found[:MOST_REASONS]]
    more = [f"and {len(found) - len(said)} other reasons"] if len(found) > len(said) else []
    return "; ".join((*said, *more)) or "check the folder"


def table_of(records: Sequence[Mapping[str, object]], config: PrepareConfig) -> pd.DataFrame:
    """Slices as a table with their classes, before anything is said of groups and splits.

    Raises:
        InputError: a slice whose class nobody says.
    """
    import pandas as pd

    table = pd.DataFrame(records)
    by_mask = np.where(table["tumour_pixels"] > 0, "tumour", "healthy")
    folder = table["case_label"].to_numpy()
    if config.classes == "folder" and (folder == "").any():
        name = table["case"][int(np.argmax(folder == ""))]
        raise InputError("a class folder for every case", f"none for {name}", "use --classes mask or auto")
    if config.classes == "mask" and not table["has_mask"].all():
        name = table["case"][int(np.argmin(table["has_mask"]))]
        raise InputError("a mask for every case", f"none for {name}", "use --classes folder or auto")
    if config.classes == "sequence":
        table["label"] = table["sequence"]
        return table
    from_mask = table["has_mask"].to_numpy() if config.classes == "auto" else config.classes == "mask"
    table["label"] = np.where(from_mask, by_mask, np.where(folder == "", "unlabelled", folder))
    return table


def _search(
    table: pd.DataFrame, thumbnails: Path, searched: Ints, config: PrepareConfig, progress: Progress
) -> Duplicates | None:
    """Duplicates among the searched slices, by the file of their thumbnails; None where the search is switched off."""
    if not config.duplicates:
        return None
    from synthoma.cohorts.copies.duplicates import find_duplicates

    rows = table.iloc[searched]
    return find_duplicates(
        np.load(thumbnails, mmap_mode="r", allow_pickle=False),
        file_digests=rows["file_sha256"].tolist(),
        pixel_digests=rows["pixels_sha256"].tolist(),
        # Where nobody says who is shown, slices of one case still are of one patient.
        patients=[patient or f"case {case}" for patient, case in zip(rows["patient"], rows["case"], strict=True)],
        progress=lambda done, total: progress("looking for duplicates", done, total),
    )


def _twins(count: int, searched: list[int], found: Duplicates | None) -> list[str]:
    """Name of the duplicate set of each slice; empty where a slice has no twin."""
    twins = [""] * count
    if found is not None:
        members = np.bincount(found.groups, minlength=len(searched))
        for position, row in enumerate(searched):
            if members[found.groups[position]] > 1:
                twins[row] = f"twins-{searched[found.groups[position]]}"
    return twins


def _groups(table: pd.DataFrame) -> list[str]:
    """Name of each slice's group: its patient, or its case where none is known, joined over copies and duplicates."""
    joined = join_groups(*(table[column].tolist() for column in ("patient", "case", "kin", "twin")))
    names = [patient or case for patient, case in zip(table["patient"], table["case"], strict=True)]
    return [names[first] for first in joined]


def _split(table: pd.DataFrame, config: PrepareConfig) -> None:
    """Write the columns split and, if asked for, fold."""
    names, profiles = group_profiles(table)
    if config.split_from:
        table["split"] = read_split(config.split_from, table)
    else:
        table["split"] = table["group"].map(_parts(table, names, profiles, config))
    if config.folds:
        if config.folds > len(names):
            raise InputError(f"{config.folds} groups or more", f"{len(names)}", "ask for fewer folds")
        # Of all groups, test ones too: cross-validation asks everybody once, and the split stays beside it.
        parts = assign_groups(profiles, [1.0] * config.folds, seed=config.seed, purpose="folds")
        table["fold"] = table["group"].map(dict(zip(names, parts.tolist(), strict=True)))
    # However the split came about: by chance, by a file, or by hand.
    check_disjoint(table)


def _parts(
    table: pd.DataFrame, names: Sequence[Hashable], profiles: Floats, config: PrepareConfig
) -> dict[Hashable, str]:
    """The part of each group: what a person said, and what is drawn for the others."""
    chosen = table[BY_HAND].tolist() if BY_HAND in table else [""] * len(table)
    by_hand = parts_by_hand(table["group"].tolist(), chosen)
    free = [place for place, name in enumerate(names) if name not in by_hand]
    shares = remaining_shares(config.split, by_hand) if by_hand else config.split
    drawn = assign_groups(profiles[free], shares, seed=config.seed).tolist() if free else list[int]()
    parts: dict[Hashable, str] = {names[place]: SPLITS[part] for place, part in zip(free, drawn, strict=True)}
    parts.update(by_hand)
    return parts


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that matter most in front."""
    first = ["case", "slice", "patient", "group", "split", "fold", "label", "case_label", "site", "tumour_pixels"]
    leading = [column for column in first if column in table]
    return table[leading + [column for column in table if column not in leading]]


def _behind(table: pd.DataFrame, config: PrepareConfig, classes: Sequence[str]) -> TrainedOn | None:
    """The patients whose scans a synthetic cohort was made from; None where no file says so."""
    if config.origin != "synthetic" or COLUMN not in table:
        return None
    parents = set(table[COLUMN].dropna().astype(str)) - {""}
    return trained_on(len(table), classes, parents, ()) if parents else None


def _meta(
    table: pd.DataFrame,
    inventory: Inventory,
    config: PrepareConfig,
    modalities: tuple[str, ...],
    labels: dict[int, str],
    remarks: list[str],
    source: str,
) -> CohortMeta:
    settings = config.model_dump(mode="json")
    for volatile in (
        "jobs",
        "split_from",
        "like",
        "corrections",
    ):  # none changes what the cohort is; paths stay private
        settings.pop(volatile)
    # No tumour first: of two classes a detector's second is then the finding.
    classes = sorted(set(table["label"]), key=lambda name: (name.lower() not in HEALTHY, name))
    return CohortMeta(
        origin=config.origin,
        layout=inventory.layout,
        modalities=modalities,
        labels={str(value): name for value, name in sorted(labels.items())},
        classes=tuple(classes),
        size=config.size,
        plane=config.plane,
        cases=int(table["case"].nunique()),
        patients=int(table["patient"][table["patient"] != ""].nunique()),
        groups=int(table["group"].nunique()),
        remarks=tuple(remarks),
        provenance=Provenance(
            source=source, config=settings, software=dict(software()), trained_on=_behind(table, config, classes)
        ),
    )
