"""The chain in one page: each function is one command, and reads and writes artefacts only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.data.case import Inventory
from synthoma.data.cohort import Cohort, is_cohort
from synthoma.data.preparation import Progress, pack
from synthoma.data.settings import PrepareConfig
from synthoma.errors import ConfigError, InputError
from synthoma.provenance import new_folder, secret_key, write_json, write_text

if TYPE_CHECKING:
    from synthoma.phantom import PhantomConfig


def _silent(text: str, done: int, total: int) -> None:
    """Tell nobody how far the work is."""


def prepare(
    folder: Path | str,
    output: Path | str,
    *,
    config: PrepareConfig | None = None,
    force: bool = False,
    progress: Progress = _silent,
    **settings: Any,
) -> Cohort:
    """Read a folder (or one file, or a table) of scans and pack it as a cohort.

    Args:
        folder: what to read.
        output: the cohort folder to write; it appears only when it is complete.
        config: the settings; or give single ones by name (``size=64, modalities=("flair",)``).
        force: replace an existing cohort.
        progress: told how far the work is.
        settings: fields of ``PrepareConfig``.

    Returns:
        The cohort, opened.

    Raises:
        InputError: nothing there can be used, or the output place is taken.
        ConfigError: a setting that does not exist or is out of range.
        LeakError: a prescribed split separates a group.
    """
    from synthoma.data.layouts import take_inventory

    config = _resolve(config, settings)
    source = Path(folder)
    with new_folder(Path(output), force=force) as partial:
        progress("looking", 0, 1)
        inventory = take_inventory(source, layout=config.layout, key=secret_key())
        hidden = inventory.layout == "dicom" or config.pseudonyms
        pack(inventory, partial, config, source="hidden" if hidden else source.name, progress=progress)
        _add_report(partial, Path(output).name)
    return Cohort(output)


def prepare_phantom(
    patients: int,
    output: Path | str,
    *,
    phantom: PhantomConfig | None = None,
    config: PrepareConfig | None = None,
    force: bool = False,
    progress: Progress = _silent,
    **settings: Any,
) -> Cohort:
    """Simulate patients and pack them as a cohort of origin 'phantom'; needs no data.

    Args:
        patients: how many; patient i is the same whatever their number.
        output: the cohort folder to write.
        phantom: how patients, tumours and scanners vary.
        config: the settings of ``prepare``; or give single ones by name. ``seed`` also draws the patients.
        force: replace an existing cohort.
        progress: told how far the work is.
        settings: fields of ``PrepareConfig``.

    Raises:
        ConfigError: a setting that does not exist or is out of range.
        InputError: the output place is taken.
    """
    from synthoma.phantom import PhantomConfig, phantom_cases

    if patients < 1:
        raise ConfigError("at least 1 phantom patient", str(patients), "give a positive number")
    # Simulated patients are distinct by construction, so nothing is to be found among them.
    config = _resolve(config, {"duplicates": False, **settings} if config is None else settings)
    config = config.model_copy(update={"origin": "phantom"})
    cases = phantom_cases(patients, config.seed, phantom or PhantomConfig())
    with new_folder(Path(output), force=force) as partial:
        pack(Inventory("phantom", tuple(cases)), partial, config, source=f"{patients} simulated", progress=progress)
        _add_report(partial, Path(output).name)
    return Cohort(output)


def report(artefact: Path | str) -> Path:
    """Write the self-contained HTML page of an artefact into its folder and return the page's path.

    Raises:
        InputError: the folder is no artefact that has a page.
    """
    path = Path(artefact)
    if not is_cohort(path):
        raise InputError("a cohort", str(path), "make one with `synthoma prepare FOLDER -o COHORT`")
    _add_report(path, path.resolve().name)
    return path / "report.html"


def describe(path: Path | str) -> dict[str, Any]:
    """What an artefact, a scan or a folder of scans is, as plain data.

    Raises:
        InputError: there is nothing that can be understood.
    """
    path = Path(path)
    if is_cohort(path):
        cohort = Cohort(path)
        pairs = cohort.slices["split"] + "/" + cohort.slices["label"]
        counts = {str(name): int(count) for name, count in pairs.value_counts().sort_index().items()}
        return {"kind": "cohort", **cohort.meta, "counts": counts}
    from synthoma.data.layouts import take_inventory

    inventory = take_inventory(path, key=secret_key())
    return {
        "kind": "scans",
        "layout": inventory.layout,
        "cases": len(inventory.cases),
        "patients": len({case.patient for case in inventory.cases if case.patient}),
        "modalities": sorted({name for case in inventory.cases for name in case.modalities}),
        "classes": sorted({case.label for case in inventory.cases if case.label}),
        "with masks": sum(case.has_mask for case in inventory.cases),
        "skipped files": len(inventory.skipped),
        "remarks": list(inventory.remarks),
    }


def demo(output: Path | str, *, force: bool = False, progress: Progress = _silent) -> Path:
    """The chain on simulated patients: a phantom cohort and its page. Returns the page's path."""
    with new_folder(Path(output), force=force) as partial:
        prepare_phantom(24, partial / "phantom", size=128, modalities=("flair",), progress=progress)
        write_json(partial / "demo.json", {"schema": "synthoma.demo/1", "cohort": "phantom"})
    return Path(output) / "phantom" / "report.html"


def _resolve(config: PrepareConfig | None, settings: dict[str, Any]) -> PrepareConfig:
    if config is not None and settings:
        raise ConfigError("either a config or single settings", "both", "put the settings into the config")
    return config or PrepareConfig.resolve(flags=settings)


def _add_report(folder: Path, name: str) -> None:
    from synthoma.reports.cohort_page import cohort_page, pair_sheet

    cohort = Cohort(folder)
    write_text(folder / "report.html", cohort_page(cohort, name))
    if sheet := pair_sheet(cohort):
        (folder / "duplicates.png").write_bytes(sheet)
