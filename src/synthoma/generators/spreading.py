"""Images of a generator drawn by several workers: each draws some numbers, and what it draws is the same anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from synthoma._version import __version__
from synthoma.cohorts.cohort import Cohort
from synthoma.core.artefacts import read_json
from synthoma.core.disk import writing
from synthoma.core.parts import Kept, spread_kept
from synthoma.core.provenance import bytes_digest
from synthoma.core.whole_files import write_json
from synthoma.generators.sampling import Chooser, Piece, Sampler, Task, draw_piece

BLOCKS = 4
"""Blocks of 64 images that are one job: a worker opens the model once, and some seconds of drawing are a job."""


@dataclass(frozen=True)
class Origin:
    """All that drawn images are a function of, but for their numbers.

    Attributes:
        run: of the generator, or its model file.
        model: SHA-256 of the model file.
        phantom: cohort of simulated slices that are repainted; None for models that draw from latents alone.
        simulated: SHA-256 of its table; "".
        seed: of the latents.
        label: class of all images; None for all in turn.
        truncation: factor on the latents.
        keep_share: of candidates that the discriminator lets pass; None for all.
        patients: whether numbers count whole patients.
        first: number of the image that the first simulated slice is for; None where slices are drawn by chance.
    """

    run: Path
    model: str
    phantom: Path | None
    simulated: str
    seed: int
    label: str | None
    truncation: float
    keep_share: float | None
    patients: bool
    first: int | None = None


@contextmanager
def spread_pieces(
    origin: Origin, jobs: int, told: Callable[[int, int], None], tasks: Sequence[Task]
) -> Iterator[Iterator[Piece]]:
    """What tasks draw, in their order, made by workers that each open the model for themselves.

    Args:
        origin: of the images.
        jobs: workers at once on this computer; 0 is one a core.
        told: told how many jobs are done where only a share of them is wanted.
        tasks: numbers that are drawn together.
    """
    from joblib import cpu_count

    # A patient is some hundred slices already.
    step = 1 if origin.patients else BLOCKS
    calls = [(origin, tuple(tasks[at : at + step])) for at in range(0, len(tasks), step)]
    with spread_kept(draw_tasks, calls, jobs or min(cpu_count(), len(calls)), KEPT_PIECES, told) as pieces:
        yield pieces


def draw_tasks(origin: Origin, tasks: tuple[Task, ...]) -> Piece:
    """What some tasks draw, one after the other: images (N, C, S, S) float16, masks (N, S, S), a record each."""
    sampler, rejection = _opened(origin)
    if origin.patients:
        from synthoma.generators.phantomgan.patients import draw_patient

        pieces = [draw_patient(sampler, start, origin.seed, origin.truncation) for start, _, _ in tasks]
    else:
        pieces = [draw_piece(sampler, task, origin.seed, origin.label, origin.truncation, rejection) for task in tasks]
    images, masks, records = zip(*pieces, strict=True)
    return np.concatenate(images), np.concatenate(masks), [record for some in records for record in some]


@lru_cache(maxsize=1)
def _opened(origin: Origin) -> tuple[Sampler, Chooser | None]:
    """The model, opened once in each process."""
    from synthoma.generators.gan.rejection import Rejection

    sampler = Sampler.open(origin.run, None if origin.phantom is None else Cohort(origin.phantom), origin.label)
    if origin.first is not None:
        from synthoma.generators.phantomgan.patients import in_order

        sampler = in_order(sampler, origin.first)
    chosen = None if origin.keep_share is None else Rejection.open(sampler, origin.keep_share, origin.truncation)
    return sampler, chosen


def _key(origin: Origin, tasks: tuple[Task, ...]) -> str:
    # Without paths, by digests alone: workers may see the same files in other places.
    content = {name: value for name, value in asdict(origin).items() if name not in ("run", "phantom")}
    return bytes_digest(json.dumps([__version__, content, tasks], sort_keys=True).encode())[:32]


def _write(place: Path, piece: Piece, *_: object) -> bool:
    images, masks, records = piece
    with writing(place):
        np.save(place / "images.npy", images, allow_pickle=False)
        np.save(place / "masks.npy", masks, allow_pickle=False)
    write_json(place / "records.json", {"records": records})
    return True


def _read(place: Path, *_: object) -> Piece:
    images, masks = (np.load(place / f"{name}.npy", allow_pickle=False) for name in ("images", "masks"))
    return images, masks, read_json(place / "records.json")["records"]


KEPT_PIECES: Kept[Piece] = Kept("generate", _key, _write, _read)
"""How ``generate`` keeps what was drawn, see ``core.parts``."""
