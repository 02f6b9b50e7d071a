"""From scans, or from none, to a cohort."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from synthoma.cohorts.preparation import Prepare, pack
from synthoma.cohorts.settings import PrepareConfig
from synthoma.cohorts.slicing import prepare_case
from synthoma.core.config import settled
from synthoma.core.display import telling
from synthoma.core.errors import ConfigError
from synthoma.core.outputs import new_folder
from synthoma.core.places import check_apart
from synthoma.core.progress import Progress
from synthoma.core.pseudonyms import secret_key
from synthoma.core.types import Place
from synthoma.phantom.config import PhantomCohortConfig
from synthoma.pipeline.cohort import Cohort
from synthoma.pipeline.description import add_cohort_page
from synthoma.pipeline.keywords import PrepareKeywords, PreparePhantomKeywords
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.signature import with_settings
from synthoma.scans.case import Inventory

MOST_PATIENTS = 1_000_000
"""Patients that one phantom cohort can have."""


@with_settings(PrepareConfig)
@in_python
def prepare(
    folder: Place,
    output: Place,
    *,
    config: PrepareConfig | None = None,
    force: bool = False,
    progress: Progress | None = None,
    tell: Callable[[dict[str, Any]], None] | None = None,
    **settings: Unpack[PrepareKeywords],
) -> Cohort:
    """Read a folder (or one file, or a table) of scans and pack it as a cohort.

    With ``like``, images of another tool's generator, be they arrays (``.npy``, ``.npz``), become a synthetic cohort as
    that one is prepared.

    Args:
        folder: what to read.
        output: the cohort folder to write; it appears only when it is complete.
        config: the settings; or give single ones by name (``size=64, modalities=("flair",)``).
        force: replace an existing cohort.
        progress: told how far the work is; None shows it, see ``core.display``.
        tell: given what was understood of the folder before it is read, see ``understanding.understood``.
        settings: fields of ``PrepareConfig``.

    Returns:
        The cohort, opened.

    Raises:
        InputError: nothing there can be used, or the output place is taken.
        ConfigError: a setting that does not exist or is out of range.
        LeakError: a prescribed split separates a group.
    """
    from synthoma.cohorts.understanding import understood

    config = settled(PrepareConfig, config, settings)
    source = Path(folder)
    place = new_folder(
        Path(output), force=force, inputs=(config.split_from, config.like, config.corrections), around=(source,)
    )
    with telling(progress) as told, place as partial:
        told("listing the folder", 0, 1)
        inventory, config = _understood(source, config)
        inventory = _stripping(inventory) if config.strip else inventory
        check_apart(Path(output), (place for case in inventory.cases for place in case.sources))
        hidden = inventory.layout == "dicom" or config.pseudonyms
        if tell is not None:
            # What warns of a split says nothing of images that are all learned from.
            tell({**understood(inventory), **({} if config.like is None else {"warnings": []})})
        _packed(inventory, partial, config, source="hidden" if hidden else source.name, progress=told)
        add_cohort_page(partial, Path(output).name)
    return Cohort(output)


def _stripping(inventory: Inventory) -> Inventory:
    """Cases that are stripped when they are loaded."""
    from synthoma.detectors.segmenters.tissues import load_stripped, shipped_tissues

    shipped_tissues()  # says before hours of reading that it is missing
    cases = (replace(case, load=partial(load_stripped, case.load)) for case in inventory.cases)
    return replace(inventory, cases=tuple(cases))


def _understood(source: Path, config: PrepareConfig) -> tuple[Inventory, PrepareConfig]:
    """The cases of a folder or of arrays, and the settings with which they are packed."""
    from synthoma.cohorts.alike import fitted, settings_like, settled, spoken
    from synthoma.cohorts.corrections import corrected, read_corrections
    from synthoma.scans.arrays import holds_arrays, take_arrays
    from synthoma.scans.layouts import take_inventory

    like = None if config.like is None else Cohort(config.like)
    if holds_arrays(source):
        names = config.modalities or (() if like is None else like.modalities)
        inventory = take_arrays(source, names, {} if like is None else like.labels)
    else:
        inventory = take_inventory(source, layout=config.layout, key=secret_key(), convention=config.convention)
    fixes = [] if config.corrections is None else read_corrections(config.corrections)
    inventory = corrected(inventory, fixes) if fixes else inventory
    if like is None:
        return inventory, config
    if (convention := spoken(inventory, like, config)) is not None:
        inventory = take_inventory(source, layout=config.layout, key=secret_key(), convention=convention)
        inventory = corrected(inventory, fixes) if fixes else inventory
    shown = fitted(inventory, like, config.modalities)
    return settled(shown, settings_like(config, like, shown.cases), like)


@with_settings(PhantomCohortConfig)
@in_python
def prepare_phantom(
    patients: int,
    output: Place,
    *,
    config: PhantomCohortConfig | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[PreparePhantomKeywords],
) -> Cohort:
    """Simulate patients and pack them as a cohort of origin 'phantom'; needs no data.

    Args:
        patients: how many; patient i is the same whatever their number.
        output: the cohort folder to write.
        config: the settings of ``prepare``, and in ``phantom`` how patients, tumours and scanners vary; or give single
            ones by name. ``seed`` also draws the patients.
        force: replace an existing cohort.
        progress: told how far the work is; None shows it, see ``core.display``.
        settings: fields of ``PhantomCohortConfig``.

    Raises:
        ConfigError: a setting that does not exist or is out of range.
        InputError: the output place is taken.
    """
    from synthoma.phantom.coarse import coarse_case, prepare_coarse, simulated
    from synthoma.phantom.patient import phantom_cases

    if not 1 <= patients <= MOST_PATIENTS:
        raise ConfigError(f"1 to {MOST_PATIENTS:,} phantom patients", str(patients), "give such a number")
    config = settled(PhantomCohortConfig, config, settings)
    if config.like is not None:
        came, todo = "simulated patients", "leave --like out"
        raise ConfigError("images of another tool beside --like", came, todo)
    if config.corrections is not None:
        raise ConfigError("scans beside --corrections", "simulated patients", "leave --corrections out")
    if config.strip:  # whoever is simulated needs no network to lose the head
        config = config.model_copy(update={"phantom": config.phantom.model_copy(update={"skull": "stripped"})})
    prepare: Prepare = prepare_case
    cases = phantom_cases(patients, config.seed, simulated(config))
    if config.grid == "slices":
        cases = [coarse_case(config.seed, index, config) for index in range(patients)]
        prepare = prepare_coarse
    with telling(progress) as told, new_folder(Path(output), force=force, inputs=(config.split_from,)) as partial:
        people = Inventory("phantom", tuple(cases))
        _packed(people, partial, config, source=f"{patients} simulated", progress=told, prepare=prepare)
        add_cohort_page(partial, Path(output).name)
    return Cohort(output)


def _packed(
    inventory: Inventory, folder: Path, config: PrepareConfig, *, source: str, progress: Progress,
    prepare: Prepare = prepare_case,
) -> None:  # fmt: skip
    """Pack the cases as a cohort, with changed copies of its training slices where they are asked for."""
    if not config.augment:
        pack(inventory, folder, config, source=source, progress=progress, prepare=prepare)
        return
    from synthoma.detectors.offline import write_with_copies

    whole = folder / "without-copies"
    whole.mkdir()
    write_with_copies(
        pack(inventory, whole, config, source=source, progress=progress, prepare=prepare),
        folder,
        config.augment,
        seed=config.seed,
        progress=progress,
    )
    for file in whole.iterdir():
        if not (folder / file.name).exists():  # lists of what was skipped, of duplicates, of folds
            file.rename(folder / file.name)
    shutil.rmtree(whole)
