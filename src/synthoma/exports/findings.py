"""What `synthoma detect` found, as other tools read masks: on the grid of each scan, without the scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.progress import Progress
from synthoma.core.untrusted import csv_text
from synthoma.core.whole_files import write_json, write_text
from synthoma.detection.scan_findings import FILE, ScanFindings, read_findings
from synthoma.exports.bids import IGNORED, VERSION, write_derivative
from synthoma.exports.cases import distinct
from synthoma.exports.coco import Entry, content, regions_of
from synthoma.exports.job import LISTING
from synthoma.exports.labels import Labels, labels_of
from synthoma.exports.marks import FOUND
from synthoma.exports.names import FormName
from synthoma.exports.nnunet import label_entries
from synthoma.exports.settings import ExportConfig
from synthoma.scans.case import Volume
from synthoma.scans.images import read_labels
from synthoma.scans.volumes import read_volume, write_volume

COLUMNS = ("name", "case", "folder", "has_tumour", "probability", "model")


@dataclass(frozen=True)
class Found:
    """One scan with what was found in it.

    Attributes:
        name: of its files.
        folder: where detect wrote it.
        said: its findings.json.
    """

    name: str
    folder: Path
    said: ScanFindings

    @property
    def single(self) -> bool:
        """Whether its masks are pictures, which have no geometry."""
        return any(name.endswith(".png") for name in self.said.files.get("mask", ()))

    def mask(self, labels: Labels) -> Volume:
        """Its labels (z, y, x) with the values of ``labels``, on the scan's own grid.

        Raises:
            InputError: a mask that is not there, or not as findings.json says.
        """
        names = self.said.files.get("mask", ())
        if any(Path(name).name != name for name in names) or not names:
            raise InputError("masks beside findings.json", ", ".join(names) or "none", "run detect again")
        if not self.single:
            stored = read_volume(self.folder / names[0])
            return Volume(labels.apply(stored.voxels.astype(np.uint8)), stored.geometry)
        drawn = [name for name in names if name.endswith("_labels.png")]
        layers = [read_labels(self.folder / name) for name in drawn or names]
        if len({layer.shape for layer in layers}) != 1:
            raise InputError("pictures of one size in a scan", f"several in {self.folder.name}", "detect them apart")
        stack = np.stack(layers).astype(np.uint8)
        return Volume(labels.apply(stack if drawn else (stack > 0).astype(np.uint8)), None)


@dataclass(frozen=True)
class Findings:
    """All scans of a folder of findings, and where they go.

    Attributes:
        scans: in order of their folders.
        labels: what mask values mean in all of them.
        folder: an existing, empty one to write into.
        title: what the data set is called.
        progress: told how far it is.
    """

    scans: tuple[Found, ...]
    labels: Labels
    folder: Path
    title: str
    progress: Progress

    def each(self) -> Iterator[Found]:
        """Scans one by one, with the progress told."""
        for done, scan in enumerate(self.scans, start=1):
            yield scan
            self.progress("writing files", done, len(self.scans))


def read_scans(source: Path) -> tuple[tuple[Found, ...], Labels]:
    """The scans of a folder of findings, and what mask values mean in all of them.

    Raises:
        InputError: none, or values that mean one thing here and another there.
    """
    folders = sorted(path.parent for path in source.glob(f"*/{FILE}"))
    if not folders:
        raise InputError("findings of `synthoma detect`", f"{source} without {FILE} in any folder", "run detect again")
    said = [read_findings(folder) for folder in folders]
    meanings: dict[int, str] = {}
    for one, folder in zip(said, folders, strict=True):
        for value, name in one.labels.items():
            if meanings.setdefault(int(value), name) != name:
                came = f"{value} as {meanings[int(value)]} and as {name} ({folder.name})"
                raise InputError("mask values with one meaning in all scans", came, "detect the scans with one model")
    names = distinct([folder.name for folder in folders])
    found = tuple(Found(name, folder, one) for name, folder, one in zip(names, folders, said, strict=True))
    return found, labels_of(meanings or {1: "tumour"})


def export_findings(source: Path, folder: Path, title: str, options: ExportConfig, progress: Progress) -> int:
    """Write findings in a form; how many scans there are is returned.

    Raises:
        ConfigError: a form, or a setting, that says nothing to findings.
    """
    form = FORMS.get(options.to)
    if form is None:
        todo = f"use one of them, or export the cohort of the scans as {options.to}"
        raise ConfigError(f"a form for findings: {', '.join(FORMS)}", options.to, todo)
    if options.slices or options.sequences:
        given = "--slices" if options.slices else "--sequences"
        raise ConfigError("settings that say something to findings", given, "leave it out: masks are written whole")
    scans, labels = read_scans(source)
    form.write(Findings(scans, labels, folder, title, progress))
    rows = [
        {"name": one.name, "case": one.said.case, "folder": one.folder.name, "has_tumour": int(one.said.has_tumour),
         "probability": one.said.probability, "model": one.said.model.name}
        for one in scans
    ]  # fmt: skip
    write_text(folder / LISTING, csv_text(COLUMNS, rows))
    return len(scans)


def _write_nnunet(found: Findings) -> None:
    """A folder of predictions: NAME.nii.gz for each case, and the dataset.json that says what values mean."""
    for scan in found.each():
        write_volume(scan.mask(found.labels), found.folder / f"{scan.name}.nii.gz", description=FOUND)
    described = {"channel_names": {}, **label_entries(found.labels), "numTraining": 0, "file_ending": ".nii.gz"}
    write_json(found.folder / "dataset.json", {**described, "name": found.title, "description": FOUND})


def _write_nifti(found: Findings) -> None:
    for scan in found.each():
        (found.folder / scan.name).mkdir()
        place = found.folder / scan.name / f"{scan.name}_seg.nii.gz"
        write_volume(scan.mask(found.labels), place, description=FOUND)
        labels = {str(value): name for value, name in found.labels.names.items()}
        known = {"Notice": FOUND, "Case": scan.said.case, "Model": scan.said.model.name, "Labels": labels}
        write_json(place.with_name(f"{scan.name}.json"), {**known, "SpacingKnown": not scan.single})


def _write_bids(found: Findings) -> None:
    """A derivative data set: each scan a subject."""
    root = found.folder
    write_derivative(root, f"{found.title}: {FOUND}", found.labels)
    write_text(root / ".bidsignore", IGNORED)
    subjects = distinct([scan.name for scan in found.scans], ascii_only=True)
    for scan, subject in zip(found.each(), subjects, strict=True):
        place = root / f"sub-{subject}" / "anat" / f"sub-{subject}_desc-synthoma_dseg.nii.gz"
        place.parent.mkdir(parents=True)
        write_volume(scan.mask(found.labels), place, description=FOUND)
        said = {"Description": FOUND, "Case": scan.said.case, "BIDSVersion": VERSION}
        write_json(place.with_name(f"sub-{subject}_desc-synthoma_dseg.json"), said)


def _write_coco(found: Findings) -> None:
    """One file of regions, each with the probability of its slice as score; of volumes every slice is a picture."""
    images: list[Entry] = []
    regions: list[Entry] = []
    for scan in found.each():
        voxels = scan.mask(found.labels).voxels
        chances = scan.said.slice_probabilities if scan.said.slice_axis == "z" else ()
        for z, layer in enumerate(voxels):
            number = len(images) + 1
            name = scan.name if len(voxels) == 1 else f"{scan.name}_{z:04d}"
            images.append({"id": number, "file_name": f"{name}.png", "width": layer.shape[1], "height": layer.shape[0],
                           "case": scan.said.case, "slice": z})  # fmt: skip
            score = chances[z] if len(chances) == len(voxels) else scan.said.probability
            regions += [{**entry, "score": score} for entry in regions_of(layer, number)]
    about: Entry = {"description": f"{found.title}: {FOUND}"}
    write_json(found.folder / "predictions.json", content(about, images, regions, found.labels))


@dataclass(frozen=True)
class Form:
    """What writes findings in a form, and how its reader is called on the folder OUT."""

    write: Callable[[Findings], None]
    how: str


FORMS: dict[FormName, Form] = {
    "nnunet": Form(_write_nnunet, "nnUNetv2_evaluate_simple TRUTH OUT -l 1"),
    "nifti": Form(_write_nifti, "itksnap -g SCAN -s OUT/CASE/CASE_seg.nii.gz"),
    "coco": Form(_write_coco, 'pycocotools.coco.COCO("OUT/predictions.json")'),
    "bids": Form(_write_bids, "bids-validator OUT"),
}
"""Forms that hold masks without scans."""
