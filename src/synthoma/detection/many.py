"""Many scans: each on its own, in parallel, and none stops the others."""

from __future__ import annotations

import glob
import math
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path

from synthoma.cohorts.patient_names import hidden
from synthoma.cohorts.slicing import case_path
from synthoma.core.disk import disk_refused, output_error
from synthoma.core.errors import InputError, OutputError
from synthoma.core.fanned import fan
from synthoma.core.outputs import new_folder
from synthoma.core.parts import spread_kept
from synthoma.core.progress import Progress, named
from synthoma.core.untrusted import csv_text, printable
from synthoma.core.whole_files import write_text
from synthoma.detection.detector import Detector
from synthoma.detection.kept import KEPT_SCANS, Result, key_of, note, taken
from synthoma.detection.outputs import file_names, write_results
from synthoma.detection.rows import COLUMNS, PICTURE_COLUMNS, RANO_COLUMNS, PictureRow, ScanRow, picture_rows, scan_row
from synthoma.detection.scan import look
from synthoma.detection.settings import DetectConfig
from synthoma.scans.case import Case, Inventory, Skipped
from synthoma.scans.layouts.dicom_loading import reference_series
from synthoma.training.bundle import model_file
from synthoma.training.device import choose_device

SERIAL = 2
"""Up to so many volumes are looked at in this process: starting workers takes longer."""

PICTURES = 64
"""So many single pictures take as long as a volume."""


def detect_all(
    inventory: Inventory,
    model: Path,
    folder: Path,
    options: DetectConfig,
    progress: Progress,
    *,
    kept: Path | None = None,
) -> list[ScanRow]:
    """Look at every scan of an inventory and write the results into an existing folder.

    - ``<case>/``: see ``outputs.write_results``.
    - ``index.csv``: one row a scan; ``pictures.csv``: one row a picture with its run-length code.
    - ``rano.csv``: one row a lesion with its two diameters, where the size of pixels is known.
    - ``skipped.csv``: what could not be used, with reasons.

    The work is spread by ``core.fanout``: over local processes, or a Ray or Dask cluster that shares the disk.

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
    rows: list[ScanRow] = []
    pictures: list[PictureRow] = []
    skipped = list(inventory.skipped)
    told = named(progress, "looking for tumours")
    with closing(_each(inventory.cases, model, folder, options, kept, told)) as results:
        for done, result in enumerate(results, start=1):
            told("", done, len(inventory.cases))
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
    if lesions := [lesion for row in rows for lesion in row["rano"]]:
        _write_csv(folder / "rano.csv", RANO_COLUMNS, lesions)
    listing = [{"path": printable(item.path), "kind": item.what, "reason": item.reason} for item in skipped]
    _write_csv(folder / "skipped.csv", ("path", "kind", "reason"), listing)
    return rows


def _each(
    cases: tuple[Case, ...], model: Path, folder: Path, options: DetectConfig, kept: Path | None, progress: Progress
) -> Generator[Result | Skipped]:
    """The result of each case, in order, whatever the number of workers."""
    from joblib import Parallel, cpu_count

    names = file_names(cases)
    # One graphics card serves one process; on CPUs, many workers of one thread beat one worker of many threads.
    volumes = sum(1 / PICTURES if len(case.slice_names) == 1 else 1 for case in cases)
    alone = len(cases) <= SERIAL or volumes <= SERIAL or choose_device(options.device) != "cpu"
    chosen = Parallel().n_jobs  # by joblib.parallel_config; 1 where nobody chose
    if chosen in (None, 1):
        chosen = 1 if alone else min(cpu_count(), math.ceil(volumes))
    jobs = options.jobs or chosen
    threads = None if jobs == 1 and not fan().elsewhere else 1
    place, run = folder.absolute(), model.absolute()  # a worker elsewhere may stand in another folder
    calls = ((case, name, run, place, options, threads, kept) for case, name in zip(cases, names, strict=True))
    with spread_kept(detect_case, calls, jobs, KEPT_SCANS, partial(progress, "")) as results:
        yield from results


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
        for left_over in (folder / name, *folder.glob(f".{glob.escape(name)}.partial-*")):
            shutil.rmtree(left_over, ignore_errors=True)  # of a worker that was killed at this scan
        with new_folder(folder / name) as own:
            findings = write_results(own, name, seen, detector, options)
        result = scan_row(case, name, findings, seen), picture_rows(case, findings, seen)
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


# Time and size are here for the cache's key alone: a model that was trained anew is opened anew.
@lru_cache(maxsize=1)
def _open_once(model: Path, device: str, _written: int, _size: int) -> Detector:
    return Detector.open(model, device)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """One line a row. pandas would do it too, but takes longer to load than a volume to look at."""
    write_text(path, csv_text(columns, rows))
