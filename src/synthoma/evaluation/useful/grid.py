"""Many trainings as independent jobs: spread, resumable, and none that is finished is ever run again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.cohorts.cohort import Cohort
from synthoma.core.artefacts import read_json, sealed, unsealed, verified_digest
from synthoma.core.errors import InputError
from synthoma.core.fanned import ShareDone, fan, ours
from synthoma.core.fanout import spread
from synthoma.core.provenance import bytes_digest, software
from synthoma.core.whole_files import write_json
from synthoma.evaluation.useful.trainings import Answers, DetectorTest, Source, Stage, detector_settings, train_and_test
from synthoma.training.device import Execution, choose_device, fast_bf16, usable_cores

VERSION = 1
"""Part of every cell's key: raised where the same cell would learn something else."""


KEYS = {
    "chances": "chances",
    "hit": "found_pixels",
    "said": "called_pixels",
    "being": "tumour_pixels",
    "features": "features",
}
"""Names in the file of a finished training -> those of ``Answers``."""


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        stages: what is learned.
        test: what is asked.
        seed: of weights and draws.
    """

    stages: tuple[Stage, ...]
    test: DetectorTest
    seed: int

    def key(self) -> str:
        """What the training is a function of, as a digest: equal cells of different evaluations are one cell."""
        content = {
            "version": VERSION,
            "synthoma": software()["synthoma"],
            "learner": detector_settings(self.test).model_dump(mode="json"),
            "seed": self.seed,
            "stages": [
                {"sources": [_identity(source) for source in stage.sources], "steps": stage.steps,
                 # With one source the share changes nothing: cells that differ in it alone are one.
                 "share": stage.share if len(stage.sources) > 1 else None, "augment": stage.augment}
                for stage in self.stages
            ],
            "exam": {
                "asked": _identity(self.test.slices),
                "task": self.test.task,
                "modalities": self.test.modalities,
                "classes": self.test.classes,
                "features": self.test.features,
                # Left out where there is none, so that trainings of before keep their names.
                **({"also": _identity(self.test.also)} if self.test.also is not None else {}),
            },
        }  # fmt: skip
        # 96 bits tell all trainings of a lifetime apart, and are short enough for a file's name.
        return bytes_digest(json.dumps(content, sort_keys=True).encode())[:24]


def run_cells(
    cells: Sequence[Cell], folder: Path, *, device: str, jobs: int | None, progress: Callable[[int, int], None]
) -> list[Answers]:
    """The answers of all cells, in order; what is in the folder is read, the rest is learned and put there.

    Args:
        cells: the trainings.
        folder: one JSON file a finished cell.
        device: "auto", "cpu", "cuda" or "mps".
        jobs: trainings at once; by default one a core, one on a GPU, or as `joblib.parallel_config` says. A cluster
            (`core.fanout`) has as many as it has cores.
        progress: told how many are finished.

    Raises:
        ShareDone: only a share of the trainings was wanted, and is done.
    """
    folder = folder.resolve()  # a worker elsewhere may stand in another folder
    folder.mkdir(parents=True, exist_ok=True)
    # Reversed, so that of equal cells the first one is run: a key that comes again replaces what it had.
    by_key = {cell.key(): cell for cell in reversed(cells)}
    keys = [cell.key() for cell in cells]
    wanted = ours(list(dict.fromkeys(keys)))
    missing = [key for key in wanted if not (folder / f"{key}.json").is_file()]
    finished_before = len(wanted) - len(missing)
    progress(finished_before, len(wanted))
    if missing:
        chosen = choose_device(device)
        count = jobs or _usual_jobs(chosen, len(missing))
        execution = _execution(chosen)
        calls = [(by_key[key], folder / f"{key}.json", execution) for key in missing]
        with spread(_run_cell, calls, count, ordered=False) as finished:
            for done, _ in enumerate(finished, start=finished_before + 1):
                progress(done, len(wanted))
    if fan().share is not None:
        raise ShareDone(len(wanted), finished_before, len(set(keys)))
    return [_read(folder / f"{key}.json") for key in keys]


def _usual_jobs(device: str, cells: int) -> int:
    from joblib import Parallel

    chosen = Parallel().n_jobs  # by joblib.parallel_config; 1 where nobody chose
    if chosen not in (None, 1):
        return int(chosen)
    return 1 if device != "cpu" else min(usable_cores(), cells)


def _execution(device: str) -> Execution:
    """Many trainings of one thread each beat one of many threads.

    It is one thread too where fewer trainings than cores are left: sums that several threads add up depend on their
    number, and a training has the same bytes wherever it runs.
    """
    if device != "cpu":
        return Execution(device, 1, channels_last=device == "cuda", bf16=device == "cuda")
    return Execution("cpu", 1, channels_last=True, bf16=fast_bf16())


def _run_cell(cell: Cell, file: Path, execution: Execution) -> None:
    answers = train_and_test(cell.stages, cell.test, seed=cell.seed, execution=execution)
    # JSON writes doubles with all their digits: answers that are read are those that were given.
    arrays = {key: getattr(answers, name).tolist() for key, name in KEYS.items()}
    write_json(file, sealed({**arrays, "seconds": answers.seconds}))


def _read(file: Path) -> Answers:
    """What a finished training answered.

    Raises:
        InputError: the file is not what was written.
    """
    try:
        content = unsealed(read_json(file), file)
    except InputError as error:
        raise InputError(error.expected, error.came, "delete it, and it is trained again") from None
    try:
        found, called, tumour = (np.array(content[name], dtype=np.int64) for name in ("hit", "said", "being"))
        chances, features = (np.array(content[name], dtype=np.float64) for name in ("chances", "features"))
        return Answers(chances, found, called, tumour, features, float(content["seconds"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        todo = "delete it, and it is trained again"
        raise InputError("answers of a finished training", f"{type(error).__name__} in {file}", todo) from None


def _identity(source: Source) -> dict[str, str]:
    """What a source's slices are a function of."""
    # One type: the same rows in 32 bits would be other bytes, and another training.
    rows = np.asarray(source.rows, dtype=np.int64)
    return {"cohort": _cohort_digest(source.cohort), "rows": bytes_digest(rows.tobytes())}


def _cohort_digest(cohort: Cohort) -> str:
    """Digest of images, masks, table and what they mean; files are read once for each of their states.

    Raises:
        InputError: a file is not what was written.
    """
    # Names count too: the same pixels under other names of channels or labels teach something else.
    digests = ["+".join(cohort.modalities), json.dumps(cohort.labels, sort_keys=True)]
    digests += [verified_digest(cohort.path / name) for name in ("images.npy", "masks.npy", "slices.csv")]
    return bytes_digest("".join(digests).encode())
