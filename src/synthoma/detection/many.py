"""Many scans: each on its own, in parallel, and none stops the others."""

from __future__ import annotations

import math
import shutil
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthoma.cohorts.preparation import Progress, hidden
from synthoma.cohorts.slicing import case_path
from synthoma.core.errors import InputError, OutputError
from synthoma.core.fanout import spread
from synthoma.core.outputs import disk_refused, new_folder, output_error, write_text
from synthoma.core.untrusted import csv_text, printable
from synthoma.detection.detector import Detector
from synthoma.detection.kept import Result, key_of, note, taken
from synthoma.detection.outputs import file_names, write_results
from synthoma.detection.overlay import NOTICE
from synthoma.detection.scan import look
from synthoma.detection.settings import DetectConfig
from synthoma.scans.case import Case, Inventory, Skipped
from synthoma.scans.layouts.dicom_studies import reference_series
from synthoma.training.bundle import model_file
from synthoma.training.device import choose_device

if TYPE_CHECKING:
    from synthoma.detection.scan import Seen

SERIAL = 2
"""Up to so many volumes are looked at in this process: starting workers takes longer."""
PICTURES = 64
"""So many single pictures take as long as a volume."""

COLUMNS = (
    "case", "probability", "has_tumour", "type", "volume", "unit", "volume_ml", "diameter", "diameter_unit", "side",
    "dice", "taken_for", "mask", "overlay", "dicom_seg", "findings", "image_path", "predicted_mask", "has_mask",
    "remarks", "notice",
)  # fmt: skip
PICTURE_COLUMNS = ("case", "slice", "image_path", "predicted_mask", "has_mask", "probability", "notice")


def detect_all(
    inventory: Inventory,
    model: Path,
    folder: Path,
    options: DetectConfig,
    progress: Progress,
    *,
    kept: Path | None = None,
) -> list[dict[str, Any]]:
    """Look at every scan of an inventory and write the results into an existing folder.

    - ``<case>/``: see ``outputs.write_results``.
    - ``index.csv``: one row a scan; ``pictures.csv``: one row a picture with its run-length code.
    - ``skipped.csv``: what could not be used, with reasons.

    The work is spread through joblib, so that `joblib.parallel_config` decides where it is done: local processes, or a
    Ray or Dask cluster that shares the disk.

    Args:
        inventory: the scans.
        model: a run, or its model file.
        folder: where to write.
        options: how.
        progress: told how far it is.
        kept: where scans lie that were finished before, see ``kept.taken``.

    Returns:
        The rows of index.csv.

    Raises:
        InputError: no scan could be used.
    """
    rows: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    skipped = list(inventory.skipped)
    with closing(_each(inventory.cases, model, folder, options, kept)) as results:
        for done, result in enumerate(results, start=1):
            progress("detecting", done, len(inventory.cases))
            if isinstance(result, Skipped):
                skipped.append(result)
            else:
                rows.append(result[0])
                pictures += result[1]
    if not rows:
        came = f"none of {len(inventory.cases)}" + (f"; the first: {skipped[0].reason}" if skipped else "")
        raise InputError("at least one usable scan", came, "correct the files, or use another model")
    _write_csv(folder / "index.csv", COLUMNS, rows)
    if pictures:
        _write_csv(folder / "pictures.csv", PICTURE_COLUMNS, pictures)
    listing = [{"path": printable(item.path), "kind": item.what, "reason": item.reason} for item in skipped]
    _write_csv(folder / "skipped.csv", ("path", "kind", "reason"), listing)
    return rows


def _each(
    cases: tuple[Case, ...], model: Path, folder: Path, options: DetectConfig, kept: Path | None
) -> Generator[Result | Skipped]:
    """The result of each case, in order, whatever the number of workers."""
    from joblib import Parallel, cpu_count

    names = file_names(cases)
    # One graphics card serves one process; on CPUs, many workers of one thread beat one worker of many threads.
    volumes = sum(1 / PICTURES if len(case.slice_names) == 1 else 1 for case in cases)
    alone = len(cases) <= SERIAL or volumes <= SERIAL or choose_device(options.device) == "cuda"
    chosen = Parallel().n_jobs  # by joblib.parallel_config; 1 where nobody chose
    if chosen in (None, 1):
        chosen = 1 if alone else min(cpu_count(), math.ceil(volumes))
    jobs = options.jobs or chosen
    threads = None if jobs == 1 else 1
    calls = ((case, name, model, folder, options, threads, kept) for case, name in zip(cases, names, strict=True))
    done = 0
    try:
        with spread(detect_case, calls, jobs) as results:
            for result in results:
                yield result
                done += 1
    except BrokenExecutor:  # the system ended a worker, as a rule for want of memory: one at a time needs less
        for case, name in list(zip(cases, names, strict=True))[done:]:
            for left_over in (folder / name, *folder.glob(f".{name}.partial-*")):
                shutil.rmtree(left_over, ignore_errors=True)
            yield detect_case(case, name, model, folder, options, None, kept)


def detect_case(
    case: Case,
    name: str,
    model: Path,
    folder: Path,
    options: DetectConfig,
    threads: int | None,
    kept: Path | None = None,
) -> Result | Skipped:
    """Look at one scan and write ``folder/name``; or the reason why that was not possible.

    Args:
        case: not yet loaded.
        name: of its folder and files.
        model: a run, or its model file.
        folder: where to write.
        options: how.
        threads: of this process; None leaves them.
        kept: where the scan may lie, finished before.
    """
    try:
        detector = _opened(model, options.device, threads)
        key = key_of(case, name, detector.bundle.digest, options)
        if kept is not None and (known := taken(kept, folder, name, key)) is not None:
            note(folder, name, key, known)
            return known
        seen = look(case, detector, options)
        with new_folder(folder / name) as own:
            findings = write_results(own, name, seen, detector, options)
        result = _row(case, name, findings, seen), _picture_rows(case, findings, seen)
        note(folder, name, key, result)
        return result
    except OutputError:
        raise
    except InputError as error:
        skipped = Skipped(case_path(case), str(error))
    except Exception as error:  # a decoder's own bug must not stop the other scans
        if isinstance(error, OSError) and disk_refused(error):  # which no scan is to blame for
            raise output_error(folder / name, error) from error
        words = "" if reference_series(case) else f": {error}"  # which may quote what stays private
        reason = InputError("a readable scan", f"{type(error).__name__}{words}", "re-export it, or remove it")
        skipped = Skipped(case_path(case), str(reason))
    return hidden(skipped) if reference_series(case) else skipped


def _opened(model: Path, device: str, threads: int | None) -> Detector:
    """The model, opened once in each process."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    status = model_file(model).stat()
    return _open_once(model, device, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _open_once(model: Path, device: str, _written: int, _size: int) -> Detector:
    return Detector.open(model, device)


def _row(case: Case, name: str, findings: dict[str, Any], seen: Seen) -> dict[str, Any]:
    """A scan's row of index.csv; paths are below the output folder."""
    files: dict[str, list[str]] = findings["files"]

    def first(kind: str) -> str:
        return f"{name}/{files[kind][0]}" if files.get(kind) else ""

    diameter = findings["diameter"]
    scores = findings.get("dice") or {}
    return {
        "case": case.name,
        "probability": findings["probability"],
        "has_tumour": findings["has_tumour"],
        "type": findings["type"] or "",
        "volume": findings["volume"],
        "unit": findings["volume_unit"],
        "volume_ml": findings["volume_ml"],
        "diameter": findings["diameter_in_plane"] if diameter is None else diameter,
        "diameter_unit": findings["diameter_unit"],
        "side": findings["side"] or "",
        "dice": next(iter(scores.values()), None),
        "mask": first("mask"),
        "overlay": first("overlay"),
        "dicom_seg": first("dicom_seg"),
        "findings": f"{name}/findings.json",
        "image_path": _image_path(case, seen, 0),
        "predicted_mask": _code(findings, 0) if seen.pictures and len(seen.labels) == 1 else "",
        "has_mask": int(findings["has_mask"]),
        "taken_for": findings["taken_for"] or "",
        "remarks": "; ".join(findings["remarks"]),
        "told": tuple(findings["remarks"]),
        "single": seen.kind == "picture",
        "notice": NOTICE,
    }


def _picture_rows(case: Case, findings: dict[str, Any], seen: Seen) -> list[dict[str, Any]]:
    """A row of pictures.csv for each slice that is a picture."""
    if not seen.pictures:
        return []
    return [
        {
            "case": case.name,
            "slice": z,
            "image_path": _image_path(case, seen, z),
            "predicted_mask": _code(findings, z),
            "has_mask": int(bool(seen.mask[z].any())),
            "probability": findings["slice_probabilities"][z],
            "notice": NOTICE,
        }
        for z in range(len(seen.labels))
    ]


def _code(findings: dict[str, Any], z: int) -> str:
    """Run-length code of a slice's mask."""
    return next((one["rle"] for one in findings["slices"] if one["slice"] == z), "")


def _image_path(case: Case, seen: Seen, z: int) -> str:
    """The file of a slice as the user named it. Paths of DICOM files often carry patients' names, and stay out."""
    if not case.sources or reference_series(case):
        return ""
    return str(case.sources[z] if seen.slice_name(z) is not None and z < len(case.sources) else case.sources[0])


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a row. pandas would do it too, but takes longer to load than a volume to look at."""
    write_text(path, csv_text(columns, rows))
