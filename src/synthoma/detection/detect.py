"""From scans in any layout to a folder of results: the chain behind `synthoma detect`."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from synthoma.cohorts.patient_names import hidden
from synthoma.core.errors import InputError, OutputError
from synthoma.core.outputs import new_folder
from synthoma.core.places import check_apart
from synthoma.core.progress import Progress, silent
from synthoma.core.provenance import software
from synthoma.core.pseudonyms import secret_key
from synthoma.detection.classes import Classifier
from synthoma.detection.detector import Detector
from synthoma.detection.gate import healthy_columns
from synthoma.detection.kept import ROWS, keep, place_of
from synthoma.detection.many import detect_all
from synthoma.detection.outputs import NOT_CLINICAL
from synthoma.detection.result import Detection, ModelIdentity, write_detection
from synthoma.detection.rows import ScanRow
from synthoma.detection.sequences import plain_stands_for
from synthoma.detection.settings import DetectConfig
from synthoma.detection.words import track_record
from synthoma.scans.case import Inventory, Skipped
from synthoma.scans.layouts import take_inventory

if TYPE_CHECKING:
    from synthoma.detection.visits import Visits

PLACES = {"jobs", "type_model", "gate", "before"}
"""Settings that are of this machine, and not of the result."""


def detect(
    scans: Sequence[Path | str] | Path | str,
    model: Path | str,
    output: Path | str,
    *,
    options: DetectConfig | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> list[ScanRow]:
    """Look for tumour in scans, and write masks, findings and pictures of them.

    Args:
        scans: files or folders: pictures, volumes, DICOM series, or any layout that `prepare` reads.
        model: a run that trained a segmenter, or its model file.
        output: the folder to write; it appears only when it is complete. See ``many.detect_all`` for what it holds.
        options: how to look, and what to write.
        force: replace an earlier result.
        progress: told how far the work is.

    Returns:
        One row a scan, as in index.csv.

    Raises:
        InputError: not a segmenter, nothing that can be used, or the output place is taken.
        ConfigError: a setting that the model or this computer cannot follow.
        OutputError: the disk is full. Scans that are finished are kept in ``<output>.unfinished``, and the next call
            for this output takes them from there.
    """
    options = options or DetectConfig()
    paths = [Path(scans)] if isinstance(scans, Path | str) else [Path(scan) for scan in scans]
    run = Path(model)
    place, kept = Path(output), place_of(Path(output))
    try:
        read = (run, *options.classifiers)
        around = [*paths, *([options.before] if options.before is not None else [])]
        with new_folder(place, force=force, inputs=read, around=around) as partial:
            try:
                rows = _detect(paths, run, place, partial, kept, options, progress)
            except OutputError:
                keep(partial, kept)
                raise
            shutil.rmtree(partial / ROWS, ignore_errors=True)
    except OutputError as error:
        if not (kept / ROWS).is_dir():
            raise
        todo = f"make room there, then run the same command again: the scans in {kept} are finished and kept"
        raise OutputError(error.expected, error.came, todo) from error
    if (kept / ROWS).is_dir():
        shutil.rmtree(kept, ignore_errors=True)
    return rows


def _detect(
    paths: Sequence[Path],
    run: Path,
    output: Path,
    folder: Path,
    kept: Path,
    options: DetectConfig,
    progress: Progress,
) -> list[ScanRow]:
    """Fill the folder of an output; scans in ``kept`` are taken from there."""
    progress("listing the folder", 0, 1)
    detector = Detector.open(run, options.device)  # what is wrong with it is said before any scan is read
    plain_stands_for(detector, options.shows)
    asked = None if options.type_model is None else Classifier.open(options.type_model)
    first = None if options.gate is None else Classifier.open(options.gate)
    if first is not None:
        healthy_columns(first)
    inventory, visits = _taken(paths, options)
    check_apart(output, (place for case in inventory.cases for place in case.sources))
    rows = detect_all(inventory, run, folder, options, progress, kept=kept)
    if visits is not None:
        from synthoma.detection.visits import write_all

        write_all(folder, inventory, visits, detector, options, progress)
    detection = Detection(
        version="synthoma.detection/1",
        not_for_clinical_use=NOT_CLINICAL,
        model=ModelIdentity(name=detector.name, sha256=detector.bundle.digest),
        type_model=None if asked is None else ModelIdentity(name=asked.name, sha256=asked.digest),
        gate=None if first is None else ModelIdentity(name=first.name, sha256=first.digest),
        modalities=tuple(detector.modalities),
        targets=tuple(detector.targets),
        scans=len(rows),
        with_tumour=sum(bool(row["has_tumour"]) for row in rows),
        skipped=len(inventory.skipped) + len(inventory.cases) - len(rows),
        track_record=tuple(_track_records(detector, rows)),
        remarks=tuple(inventory.remarks),
        scan_remarks=tuple(Counter(text for row in rows for text in dict.fromkeys(row["told"])).most_common()),
        options=DetectConfig.model_validate(options.model_dump(mode="json", exclude=PLACES)),
        software=software(),
    )
    write_detection(folder, detection)
    return rows


def _taken(paths: Sequence[Path], options: DetectConfig) -> tuple[Inventory, Visits | None]:
    """The scans, and which of them are visits of one patient where that is asked for.

    Raises:
        InputError: nothing that can be used.
        ConfigError: no two visits of one patient.
    """
    now = take_inventories(paths, layout=options.layout, convention=options.convention)
    if options.before is not None:
        from synthoma.detection.visits import with_earlier

        earlier = take_inventories([options.before], layout=options.layout, convention=options.convention)
        return with_earlier(now, earlier)
    if options.changes:
        from synthoma.detection.visits import among

        return now, among(now)
    return now, None


def _track_records(detector: Detector, rows: Sequence[ScanRow]) -> list[str]:
    """How often the model says tumour where there is none, for the kinds of scans that were looked at."""
    kinds = dict.fromkeys("picture" if row["single"] else "scan" for row in rows)
    return list(dict.fromkeys(track_record(detector.bundle.content, kind) for kind in kinds))


def _together(paths: Sequence[Path]) -> list[list[Path]]:
    """Files of one folder in one list: a shell spells `series/*.dcm` out, and they are one scan still."""
    groups: dict[Path, list[Path]] = {}
    for path in dict.fromkeys(paths):
        groups.setdefault(path if path.is_dir() or not path.exists() else path.parent / "*", []).append(path)
    return list(groups.values())


def take_inventories(paths: Sequence[Path], *, layout: str | None = None, convention: str | None = None) -> Inventory:
    """The scans of several inputs together, with unique names; an input that holds none is listed as skipped.

    Args:
        paths: files and folders anywhere; a mask is welcome and stops no scan.
        layout: name of the layout of all of them, where recognition should not decide.
        convention: what the values of masks mean; else it is decided from all masks of an input.

    Raises:
        InputError: no input holds any.
    """
    found: list[Inventory] = []
    failures: list[tuple[Path, InputError]] = []
    for group in _together(paths):
        try:
            found.append(
                take_inventory(
                    group,
                    layout=layout,
                    key=secret_key(),
                    masks_wanted=False,
                    convention=convention,
                )
            )
        except InputError as error:
            failures.append((group[0], error))
    if not found:
        if not failures:
            raise InputError("at least one scan", "none", "give a file or a folder")
        raise failures[0][1]
    cases = [case for inventory in found for case in inventory.cases]
    seen: Counter[str] = Counter()
    named = []
    for case in cases:
        seen[case.name] += 1
        named.append(case if seen[case.name] == 1 else replace(case, name=f"{case.name}#{seen[case.name]}"))
    skipped = [Skipped(path, str(error)) for path, error in failures]
    for inventory in found:
        private = "dicom" in inventory.layout.split("+")
        skipped += [hidden(item) if private else item for item in inventory.skipped]
    layouts = sorted({inventory.layout for inventory in found})
    remarks = tuple(dict.fromkeys(remark for inventory in found for remark in inventory.remarks))
    decisions = tuple(decision for inventory in found for decision in inventory.decisions)
    return Inventory("+".join(layouts), tuple(named), tuple(skipped), remarks, decisions)
