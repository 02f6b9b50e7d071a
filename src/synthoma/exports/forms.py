"""The forms by name, and what each leaves beside its own files: what it is, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from synthoma.cohorts.cohort import Cohort
from synthoma.core.artefacts import read_artefact
from synthoma.core.errors import ConfigError
from synthoma.core.progress import Progress
from synthoma.core.provenance import software
from synthoma.core.records import Record
from synthoma.core.whole_files import write_json, write_text
from synthoma.exports import bids, coco, dicom, huggingface, nifti, nnunet, yolo
from synthoma.exports.cases import Piece, pieces
from synthoma.exports.findings import FORMS as FORMS_OF_FINDINGS
from synthoma.exports.findings import export_findings
from synthoma.exports.job import LISTING, Job, counted
from synthoma.exports.marked import write_pictures
from synthoma.exports.marks import FOUND, MODEL, mark
from synthoma.exports.models import export_model
from synthoma.exports.names import ABOUT, FormName
from synthoma.exports.settings import ExportConfig

FILE = "export.json"
SCHEMA = "synthoma.export/1"


class Export(Record):
    """What a folder for other tools is."""

    version: Literal["synthoma.export/1"] = Field(
        default="synthoma.export/1", validation_alias="schema", serialization_alias="schema"
    )
    form: FormName = Field(description="in which form it is")
    notice: str = Field(description="what its user must know")
    origin: Literal["real", "phantom", "synthetic", "findings", "model"] = Field(description="what was written")
    counts: dict[str, int] = Field(description="volumes or slices, by split; of findings scans; of a model its kind")
    how: str = Field(description="how its reader is called on the folder, which is OUT there")
    options: ExportConfig = Field(description="settings")
    software: dict[str, str] = Field(description="versions")


def read_export(path: Path) -> Export:
    """What an exported folder is, with checksums and schema compared.

    Raises:
        InputError: damaged, of a version that is not read, or incomplete.
    """
    file = path / FILE if path.is_dir() else path
    return Export.parse(read_artefact(file, SCHEMA), file)


def _write_png(job: Job) -> list[Piece]:
    found = pieces(job.cohort, slices=True)
    write_pictures(job.cohort, job.folder, "png", job.progress, who=True)
    return found


FORMS: dict[FormName, Callable[[Job], list[Piece]]] = {
    "nnunet": nnunet.write,
    "monai": nifti.write_monai,
    "torchio": nifti.write_torchio,
    "bids": bids.write,
    "nifti": nifti.write,
    "huggingface": huggingface.write,
    "coco": coco.write,
    "yolo": yolo.write,
    "png": _write_png,
    "dicom": dicom.write,
}
"""Form -> what writes it; ``names.ABOUT`` has its words."""


def write_cohort(cohort: Cohort, folder: Path, title: str, options: ExportConfig, progress: Progress) -> Export:
    """Write a cohort into an existing, empty folder.

    Raises:
        InputError, ConfigError: what the form cannot hold, with the reason.
        LeakError: a patient, group or case in several splits.
    """
    if options.to not in FORMS:
        todo = f"use one of them; {options.to} is for a run of `synthoma train`"
        raise ConfigError(f"a form for cohorts: {', '.join(FORMS)}", options.to, todo)
    found = FORMS[options.to](Job(cohort, folder, title, options, progress))
    return _finished(folder, title, mark(cohort), cohort.origin, options.how(), counted(found), options)


def write_findings(source: Path, folder: Path, title: str, options: ExportConfig, progress: Progress) -> Export:
    """Write findings into an existing, empty folder.

    Raises:
        InputError, ConfigError: see ``findings.export_findings``.
    """
    count = export_findings(source, folder, title, options, progress)
    return _finished(folder, title, FOUND, "findings", FORMS_OF_FINDINGS[options.to].how, {"scans": count}, options)


def write_model(source: Path, folder: Path, title: str, options: ExportConfig) -> Export:
    """Write a trained segmenter or classifier into an existing, empty folder.

    Raises:
        InputError, ConfigError: see ``models.export_model``.
    """
    kind, more = export_model(source, folder, title, options.to)
    return _finished(folder, title, MODEL, "model", options.how(), {kind: 1}, options, more)


def _finished(
    folder: Path,
    title: str,
    notice: str,
    origin: str,
    how: str,
    counts: Mapping[str, int],
    options: ExportConfig,
    more: str = "",
) -> Export:
    """Say beside the files what they are; ``more`` is what else the README says."""
    about = ABOUT[options.to]
    found = Export.model_validate(
        {"schema": SCHEMA, "form": options.to, "notice": notice, "origin": origin, "counts": counts, "how": how,
         "options": options, "software": software()}
    )  # fmt: skip
    write_json(folder / FILE, found.content())
    each = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    listed = f"\n{LISTING} lists them one by one.\n" if (folder / LISTING).exists() else ""
    what = "masks of findings" if origin == "findings" else about.what
    text = f"# {title}\n\n{notice}\n\nWritten by Synthoma: {what} ({each}).\n{listed}\n"
    reading = f"{about.reader} reads it (OUT is this folder):\n\n    {how}\n"
    write_text(folder / "README.md", text + reading + (f"\n{more}\n" if more else ""))
    return found
