"""What an artefact is, whether it is whole, and its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.cohorts.cohort import Cohort, is_cohort
from synthoma.core.artefacts import FILE, faults, verify_text
from synthoma.core.artefacts import verify as check_file
from synthoma.core.errors import InputError
from synthoma.core.outputs import renew_checksums
from synthoma.core.types import Place
from synthoma.core.whole_files import write_bytes, write_text
from synthoma.pipeline.python_words import in_python

if TYPE_CHECKING:
    from synthoma.training.layers import Layer
    from synthoma.training.meta import ModelMeta


@in_python
def report(artefact: Place) -> Path:
    """Write the self-contained HTML page of a cohort, run, search, plan or findings into its folder; return its path.

    Raises:
        InputError: the folder is no artefact that has a page.
    """
    path = Path(artefact)
    if is_cohort(path):
        add_cohort_page(path, path.resolve().name)
    elif (path / "run.json").is_file() and not (path / "model.safetensors").is_file():
        from synthoma.reports.unfinished_page import unfinished_page

        write_text(path / "report.html", unfinished_page(path, path.resolve().name))
    elif (path / "model.safetensors").is_file():
        add_run_page(path, path.resolve().name)
    elif (path / "search.json").is_file():
        add_search_page(path, path.resolve().name)
    elif (path / "detection.json").is_file():
        from synthoma.reports.findings_page import findings_page

        write_text(path / "report.html", findings_page(path, path.resolve().name))
        renew_checksums(path, "report.html")
    elif (path / "plan.json").is_file():
        add_plan_page(path, path.resolve().name)
    elif any(
        (path / name).is_file() for name in ("evaluation.json", "scores.json", "model_scores.json", "readers.json")
    ):
        pass  # its page was written with it, from cohorts that may have moved since
    else:
        raise InputError(
            "a cohort, a run, a search, a plan, an evaluation, findings or answers",
            str(path),
            "see `synthoma info PATH`",
        )
    return path / "report.html"


@in_python
def describe(path: Place) -> dict[str, Any]:
    """What an artefact, a scan or a folder of scans is, as plain data; of a run also which settings somebody gave.

    Raises:
        InputError: there is nothing that can be understood, or it is damaged.
    """
    from synthoma.core.toml import told_apart
    from synthoma.reports.described import described
    from synthoma.training.runs import SETTINGS
    from synthoma.training.settings import SECTION

    content, settings = described(Path(path)), Path(path) / SETTINGS
    if content.get("kind") in (*SECTION, "unfinished run") and settings.exists():
        check_file(settings)
        verify_text(settings)
        if (told := told_apart(settings.read_text(encoding="utf-8"))) is not None:
            content["settings"] = told
    return content


@in_python
def verify(path: Place) -> list[str] | None:
    """Whether an artefact holds what was written, every byte of it.

    Args:
        path: the artefact, a model file, or a folder of finished trainings.

    Returns:
        What is wrong, a line each; None where nothing there has checksums, as in artefacts of earlier versions.

    Raises:
        InputError: there is no artefact, or its checksums are damaged.
    """
    from synthoma.training.bundle import load_tensors

    path = Path(path)
    if path.suffix == ".safetensors" and path.is_file():
        return [] if load_tensors(path).sealed else None
    if not path.is_dir():
        raise InputError("an artefact", f"nothing at {path}" if not path.exists() else str(path), "give its folder")
    if (path / FILE).is_file() or not (path / "run.json").is_file():
        return faults(path)
    # A run that is not finished: each of its files stands for itself.
    from synthoma.training.runs import verify_begun

    return verify_begun(path)


def add_cohort_page(folder: Path, name: str) -> None:
    """Write the page of a cohort, and its sheet of duplicates, into its folder."""
    from synthoma.reports.cohort_page import cohort_page, pair_sheet

    cohort = Cohort(folder)
    write_text(folder / "report.html", cohort_page(cohort, name))
    written = ["report.html"]
    if sheet := pair_sheet(cohort):
        write_bytes(folder / "duplicates.png", sheet)
        written.append("duplicates.png")
    renew_checksums(folder, *written)


def add_plan_page(folder: Path, name: str) -> None:
    """Write the page of a plan into its folder."""
    from synthoma.planning.result import read_plan
    from synthoma.reports.plan_page import plan_page

    write_text(folder / "report.html", plan_page(read_plan(folder), name))
    renew_checksums(folder, "report.html")


def add_search_page(folder: Path, name: str) -> None:
    """Write the page of a search into its folder."""
    from synthoma.reports.search_page import search_page

    write_text(folder / "report.html", search_page(folder, name))
    renew_checksums(folder, "report.html")


@in_python
def diagram(run: Place) -> str:
    """A model drawn as one SVG file: what flows where, and the layers, shapes and parameters of its networks.

    Args:
        run: a finished run, or its model file.

    Raises:
        InputError: no model there.
    """
    from synthoma.reports.diagrams import diagrams, stacked
    from synthoma.reports.flows import flow_of
    from synthoma.training.bundle import fitting, open_model

    meta = open_model(Path(run)).meta
    with fitting("a model"):
        tables = _tables(meta)
        return stacked(diagrams(flow_of(meta, tables), tables))


def _tables(meta: ModelMeta) -> dict[str, list[Layer]]:
    """Layers of the networks of a model."""
    from synthoma.detectors.summary import detector_summary
    from synthoma.generators.families import gan_summary, network_of
    from synthoma.generators.shape import ImageShape

    if meta.kind == "generator":
        return gan_summary(network_of(meta.network), ImageShape(**meta.shape))
    return detector_summary(meta)


def add_run_page(run: Path, name: str) -> None:
    """Write the page of a finished run into its folder."""
    from synthoma.reports.run_page import detector_page, run_page
    from synthoma.training.bundle import fitting, open_model

    meta = open_model(run).meta
    with fitting("a model"):
        page = (run_page if meta.kind == "generator" else detector_page)(run, name, meta, _tables(meta))
    write_text(run / "report.html", page)
    renew_checksums(run, "report.html")
