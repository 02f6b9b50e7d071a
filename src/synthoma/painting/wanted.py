"""Painted scans as somebody ordered them: so many of each kind, each measured before it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.core.errors import InputError
from synthoma.core.progress import Progress
from synthoma.core.seeding import stream
from synthoma.core.types import WHOLE_TUMOUR, Bools, Bytes, tumour_of
from synthoma.painting.dials import Dials
from synthoma.painting.places import where_is
from synthoma.painting.scan import Scan
from synthoma.painting.stacks import Changed, Order, Stack, add_changed, meta_of, stacks_of
from synthoma.painting.tissues import brain_of

ROUNDS = 3
"""How often each scan is tried for one wish."""

PATIENCE = 60
"""Tries in a row that give nothing after which a wish is given up."""


@dataclass(frozen=True)
class Wish:
    """So many painted scans of one kind.

    Attributes:
        name: for people.
        count: how many.
        dials: what is asked of each tumour; size and place are measured on what came out.
    """

    name: str
    count: int
    dials: Dials

    def holds(self, scan: Scan, tumour: Bools) -> bool:
        """Whether a painted tumour is what was wished for."""
        if self.dials.size_ml is not None:
            low, high = self.dials.size_ml
            if not low <= float(tumour.sum()) * scan.voxel_ml <= high:
                return False
        words = [str(word) for word in self.dials.place]
        return not words or set(words) <= set(where_is(tumour, brain_of(scan.images, scan.spacing), scan))


def fresh(mask: Bytes, scan: Scan) -> Bools:
    """Tumour of a changed scan's mask (z, y, x) that the scan did not have; the mask shows an old cavity too."""
    return tumour_of(mask) & ~scan.tumour


@dataclass(frozen=True)
class Wishes:
    """All of them.

    Attributes:
        wanted: in turn.
        left_out: names of those that no painter can fulfil, with the reasons.
    """

    wanted: tuple[Wish, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def write_wanted(
    cohort: Cohort, folder: Path, order: Order, wishes: Wishes, change: Callable[[int, Scan, Dials], Changed],
    progress: Progress,
) -> None:  # fmt: skip
    """Write painted training scans, as many as are wished for, as a synthetic cohort into an existing empty folder.

    Scans are taken in an order drawn once, the ones without tumour first, and again when all were taken. What comes
    out of another size or place than was wished for is painted anew on the next scan.

    Args:
        cohort: where from.
        folder: where to.
        order: how; its ``copies`` say nothing here.
        wishes: what.
        change: paints one tumour; takes the number of the try.
        progress: told how far it is.

    Raises:
        InputError: nothing could be painted.
    """
    import pandas as pd

    stacks = _canvases(cohort, order)
    labels = cohort.labels or WHOLE_TUMOUR
    kept: list[dict[str, object]] = []
    used: list[int] = []
    told: list[str] = []
    why, made, number = "", 0, 0
    total = sum(wish.count for wish in wishes.wanted)
    with CohortWriter(folder, channels=len(cohort.modalities), size=cohort.size) as writer:
        for wish in wishes.wanted:
            done, failed = 0, 0
            for stack in _again(stacks, ROUNDS * max(1, -(-wish.count // len(stacks)))):
                if done == wish.count or failed == PATIENCE:
                    break
                number, failed = number + 1, failed + 1
                scan = stack.scan()
                try:
                    new = change(number, scan, wish.dials)
                except InputError as error:
                    why = str(error)
                    continue
                if not wish.holds(scan, fresh(new.mask, scan)):
                    continue
                kept += add_changed(writer, stack, new, order, made, labels, {"wanted": wish.name})
                used += stack.rows
                done, made, failed = done + 1, made + 1, 0
                progress("painted scans", made, total)
            told.append(
                f"{wish.name}: {done} of {wish.count} painted" + (f"; {why}" if done < wish.count and why else "")
            )
        if not kept:
            raise InputError(
                "a scan that can be painted", f"none of {len(stacks)}; the last: {why}", "see docs/paint.md"
            )
        writer.finish(pd.DataFrame(kept), meta_of(cohort, order, kept, used, wishes.left_out, told, labels))


def _canvases(cohort: Cohort, order: Order) -> list[Stack]:
    """The scans that may be painted, in an order of chance, the ones without tumour first.

    Raises:
        InputError: there are none.
    """
    stacks = list(stacks_of(cohort, order.splits))
    if not stacks:
        raise InputError(f"slices of the splits {', '.join(order.splits)}", "none", "prepare the cohort with some")
    pixels = cohort.slices["tumour_pixels"].to_numpy()
    drawn = stream(order.seed or 0, "painting.canvases").permutation(len(stacks))
    return sorted((stacks[at] for at in drawn), key=lambda stack: bool(np.any(pixels[stack.rows] > 0)))


def _again(stacks: Sequence[Stack], rounds: int) -> Iterator[Stack]:
    for _ in range(rounds):
        yield from stacks
