"""Slices of a cohort put together as the scans that they came from, and changed ones written as a new cohort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthoma.cohorts.cohort import Cohort, CohortWriter
from synthoma.cohorts.leaks import names_of, patients_behind, source_of, trained_on
from synthoma.cohorts.meta import CohortMeta, Provenance
from synthoma.core.errors import InputError
from synthoma.core.progress import Progress, silent
from synthoma.core.provenance import software
from synthoma.core.types import HEALTHY, WHOLE_TUMOUR, Array, Bools, Bytes, Float32, tumour_of
from synthoma.painting.scan import Scan, raised, unmeasured
from synthoma.scans.orientation import PLANE_AXES, from_plane


@dataclass(frozen=True)
class Stack:
    """The slices of one scan in a cohort.

    Attributes:
        cohort: which.
        name: of the case.
        rows: its slices, lowest first.
    """

    cohort: Cohort
    name: str
    rows: list[int]

    @property
    def patient(self) -> str:
        """Whose it is: the patient, or the group where nobody knows."""
        table = self.cohort.slices
        return str(table["patient"].iat[self.rows[0]] or table["group"].iat[self.rows[0]])

    @property
    def measured(self) -> bool:
        """Whether it is a volume that states its geometry, so that sizes and places in it are known."""
        return len(self.rows) > 1 and self._known("pixel_mm") > 0 and self._known("step_mm") > 0

    def scan(self) -> Scan:
        """The slices as a scan, axes (up, back, left)."""
        cohort = self.cohort
        values = np.asarray(cohort.images[self.rows], np.float32)
        missing = str(cohort.slices["missing"].iat[self.rows[0]]).split("+")
        images, floors = raised(
            {
                name: np.ascontiguousarray(from_plane(values[:, at], cohort.meta.plane))
                for at, name in enumerate(cohort.modalities)
                if name not in missing
            }
        )
        mask = from_plane(np.asarray(cohort.masks[self.rows]), cohort.meta.plane) if cohort.labels else None
        pixel, step = self._known("pixel_mm"), self._known("step_mm") * self._apart()
        if not pixel > 0:
            spacing, text = unmeasured(images)
            return Scan(images, spacing, mask, (text,), floors)
        sides = (step if step > 0 else 6.0, pixel, pixel)
        order = np.argsort(PLANE_AXES[cohort.meta.plane])
        return Scan(images, (sides[order[0]], sides[order[1]], sides[order[2]]), mask, floors=floors)

    def squares(self, array: Array) -> Array:
        """An array of the scan as slices (slices, rows, columns)."""
        plane = self.cohort.meta.plane
        cut = array.transpose(PLANE_AXES[plane])
        return cut if plane == "axial" else cut[:, ::-1]

    def _known(self, column: str) -> float:
        table = self.cohort.slices
        return float(table[column].to_numpy(np.float64)[self.rows[0]]) if column in table else float("nan")

    def _apart(self) -> float:
        """Slices of the study from one of these to the next."""
        table = self.cohort.slices
        if "slice" not in table or len(self.rows) < 2:
            return 1.0
        # The usual gap: a slice that was left out, or one that shows nothing, widens a single one.
        return float(np.median(np.diff(table["slice"].to_numpy(np.float64)[self.rows])))


def stacks_of(cohort: Cohort, splits: Sequence[str]) -> Iterator[Stack]:
    """The scans of these splits in turn; slices that do not say where they lie are scans of their own."""
    table = cohort.slices
    chosen = np.flatnonzero(table["split"].isin(list(splits)).to_numpy())
    numbers = table["slice"].tolist() if "slice" in table else [0] * len(table)
    for name, found in table.iloc[chosen].groupby("case", sort=False).indices.items():
        rows = sorted((int(chosen[at]) for at in found), key=lambda row: numbers[row])
        if len({numbers[row] for row in rows}) == len(rows):
            yield Stack(cohort, str(name), rows)
        else:
            yield from (Stack(cohort, str(name), [row]) for row in rows)


@dataclass(frozen=True)
class Changed:
    """What became of a scan.

    Attributes:
        images: modality -> float32 (z, y, x).
        mask: all that it shows of tumour now, values of ``core.types.REGIONS``; 0 where none.
        where: pixels that may differ.
        facts: further columns.
    """

    images: Mapping[str, Float32]
    mask: Bytes
    where: Array
    facts: Mapping[str, float | str]


Change = Callable[[int, str, Scan], Changed]
"""What makes a changed scan of number, name and scan; raises InputError where it cannot."""


@dataclass(frozen=True)
class Order:
    """How changed scans are to be written.

    Attributes:
        done: "painted" or "removed", for names and remarks.
        splits: whose scans are taken.
        copies: versions of each.
        shown: "all" slices, or the "changed" ones.
        seed: of all draws; None where nothing is drawn by chance.
        names: patients whom more was learned from than the scans themselves.
    """

    done: str
    splits: Sequence[str]
    copies: int
    shown: str
    seed: int | None
    names: frozenset[str] = frozenset()


def write_changed(
    cohort: Cohort, folder: Path, order: Order, change: Change, progress: Progress = silent
) -> list[tuple[str, str]]:
    """Write the changed scans of a cohort as a synthetic cohort into an existing empty folder.

    Args:
        cohort: where from.
        folder: where to.
        order: how.
        change: what to do with each.
        progress: told how far it is.

    Returns:
        Scans that were left out, with the reasons.

    Raises:
        InputError: none could be changed, or the cohort's slices are no scans.
    """
    import pandas as pd

    if not set(cohort.labels.values()) <= {"tumour", "core", "oedema", "enhancing", "cavity"}:
        came = ", ".join(cohort.labels.values())
        raise InputError(
            "mask labels tumour, or core, oedema and enhancing", came, "merge its labels, or prepare it again"
        )
    labels = cohort.labels or WHOLE_TUMOUR
    stacks = list(stacks_of(cohort, order.splits))
    if not stacks:
        raise InputError(f"slices of the splits {', '.join(order.splits)}", "none", "choose others with --splits")
    left_out: list[tuple[str, str]] = []
    remarks: list[str] = []
    used: list[int] = []
    kept = []
    with CohortWriter(folder, channels=len(cohort.modalities), size=cohort.size) as writer:
        for number, stack in enumerate(stacks):
            scan = stack.scan()
            for copy in range(order.copies):
                try:
                    new = change(number * order.copies + copy, stack.name, scan)
                except InputError as error:
                    left_out.append((stack.name, str(error)))
                    break
                remarks += scan.remarks
                kept += add_changed(writer, stack, new, order, copy, labels)
                used += stack.rows
            progress(f"{order.done} scans", number + 1, len(stacks))
        if not kept:
            why = left_out[0][1] if left_out else "no slice is changed"
            raise InputError(
                f"a scan in which a tumour can be {order.done}",
                f"none of {len(stacks)}; the first: {why}",
                "see docs/paint.md",
            )
        writer.finish(pd.DataFrame(kept), meta_of(cohort, order, kept, used, left_out, remarks, labels))
    return left_out


def add_changed(
    writer: CohortWriter, stack: Stack, new: Changed, order: Order, copy: int, labels: Mapping[int, str],
    told: Mapping[str, str] | None = None,
) -> list[dict[str, object]]:  # fmt: skip
    """Append the slices of a changed scan; their records.

    Args:
        writer: of the new cohort.
        stack: the scan as it was.
        new: what became of it.
        order: how it is written.
        copy: number of this version; it stands in the case's name where there are several.
        labels: what mask values mean.
        told: further columns, of versions that are wished for one by one.
    """
    cohort = stack.cohort
    images = np.array(cohort.images[stack.rows])
    for at, name in enumerate(cohort.modalities):
        if name in new.images:
            square = stack.squares(new.images[name])
            moved = stack.squares(new.where)
            # Only where it changed: by way of another precision and scale the rest would come back otherwise.
            images[:, at] = np.where(moved, square, images[:, at])
    masks = stack.squares(new.mask).astype(np.uint8)
    masks = masks if set(labels) - {4} != {1} else np.where(masks == 4, 4, masks > 0).astype(np.uint8)
    changed: Bools = np.asarray(stack.squares(new.where).any(axis=(1, 2)), np.bool_)
    records = []
    for at, row in enumerate(stack.rows):
        if order.shown == "changed" and not changed[at]:
            continue
        record = dict(cohort.slices.iloc[row])
        pixels = int(tumour_of(masks[at]).sum())
        suffix = f"-{order.done}" + (f"-{copy + 1}" if order.copies > 1 or told else "")
        record |= {
            "case": f"{stack.name}{suffix}", "tumour_pixels": pixels, "has_mask": True, "changed": bool(changed[at]),
            "label": _label(cohort, str(record["label"]), pixels, changed=bool(changed[at])),
            "source": "", "file_sha256": "", "pixels_sha256": "", "twin": "", "look_at": "", **new.facts,
            **(told or {}),
        }  # fmt: skip
        writer.add(images[at : at + 1], masks[at : at + 1], [record])
        records.append(record)
    return records


def _label(cohort: Cohort, before: str, pixels: int, *, changed: bool) -> str:
    """The class of a changed slice, in the cohort's own words for tumour and none."""
    tumours = [name for name in cohort.classes if name.lower() not in HEALTHY]
    healthy = [name for name in cohort.classes if name.lower() in HEALTHY]
    if pixels:
        return before if before in tumours else "tumour" if "tumour" in tumours or not tumours else tumours[0]
    if changed or before in healthy:
        return healthy[0] if healthy else "healthy"
    return before


def meta_of(
    cohort: Cohort, order: Order, records: Sequence[Mapping[str, object]], used: list[int],
    left_out: Sequence[tuple[str, str]], remarks: Sequence[str], labels: Mapping[int, str],
) -> CohortMeta:  # fmt: skip
    """What the new cohort is: synthetic, made from these patients."""
    rows = np.array(sorted(set(used)), np.int64)
    names = names_of(cohort, rows)
    held = sorted(set(cohort.slices["split"].iloc[rows]) - {"train"})
    classes = sorted({str(one["label"]) for one in records}, key=lambda name: (name.lower() not in HEALTHY, name))
    texts = [f"tumours were {order.done} by Synthoma: no image is that of a patient", *dict.fromkeys(remarks)]
    if held:
        texts.append(f"made from held-out patients too ({', '.join(held)}): nothing may be trained with it")
    texts += [f"{name} left out: {why}" for name, why in left_out[:20]]
    if len(left_out) > 20:
        texts.append(f"{len(left_out) - 20} more left out")
    inherited = {*order.names, *patients_behind(cohort)}
    provenance = Provenance(
        source=f"{order.done} by synthoma",
        config=cohort.meta.provenance.config,
        software=dict(software()),
        seed=order.seed,
        trained_on=trained_on(len(rows), classes, names, inherited),
        training_cohort=source_of(cohort),
    )
    return CohortMeta(
        origin="synthetic",
        layout=order.done,
        modalities=cohort.modalities,
        labels={str(value): name for value, name in sorted(labels.items())},
        classes=tuple(classes),
        size=cohort.size,
        plane=cohort.meta.plane,
        cases=len({str(one["case"]) for one in records}),
        patients=len({str(one["patient"]) for one in records} - {""}),
        groups=len({str(one["group"]) for one in records}),
        remarks=tuple(texts),
        provenance=provenance,
    )
