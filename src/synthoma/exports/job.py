"""What every form of export is given, and the lists that each leaves: who is in which split, and what a file is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthoma.cohorts.cohort import Cohort
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.progress import Progress
from synthoma.core.untrusted import csv_text, file_name
from synthoma.core.whole_files import write_text
from synthoma.exports.cases import SPLITS, Piece, pieces
from synthoma.exports.labels import Labels, labels_of
from synthoma.exports.marks import mark
from synthoma.exports.settings import ExportConfig

COLUMNS = (
    "name", "case", "patient", "group", "split", "label", "outlined", "missing", "spacing_x_mm", "spacing_y_mm",
    "spacing_z_mm", "black_slices",
)  # fmt: skip
LISTING = "exported.csv"
OF_MASKS = ("seg", "mask")
"""Ends of names that masks have."""


@dataclass(frozen=True)
class Job:
    """A cohort that is to be written.

    Attributes:
        cohort: what.
        folder: an existing, empty one to write into.
        title: what the data set is called.
        options: how.
        progress: told how far it is.
    """

    cohort: Cohort
    folder: Path
    title: str
    options: ExportConfig
    progress: Progress

    @property
    def labels(self) -> Labels:
        """Mask values as they are written."""
        return labels_of(self.cohort.labels)

    @property
    def sentence(self) -> str:
        """What the data set says of itself."""
        return f"{self.title}: {len(self.cohort):,} {self.cohort.origin} slices. {mark(self.cohort)}"

    def channels(self) -> dict[str, int]:
        """The sequences that are written, with their channels, in the order that was asked for.

        Raises:
            ConfigError: one that the cohort lacks, the same twice, or two whose files would have one name.
        """
        known = {name: at for at, name in enumerate(self.cohort.modalities)}
        asked = self.options.sequences or tuple(known)
        if unknown := [name for name in asked if name not in known]:
            raise ConfigError(f"sequences of the cohort: {', '.join(known)}", repr(unknown[0]), "choose among them")
        if len(set(asked)) < len(asked):
            raise ConfigError("each sequence once", ", ".join(asked), "leave the second one out")
        _check_suffixes(asked)
        return {name: known[name] for name in asked}

    def each(self, found: Sequence[Piece]) -> Iterator[Piece]:
        """Pieces one by one, with the progress told."""
        for done, piece in enumerate(found, start=1):
            yield piece
            self.progress("writing files", done, len(found))

    def volumes(self) -> list[Piece]:
        """The cohort as volumes, or as slices where those were asked for, listed."""
        return self._listed(pieces(self.cohort, slices=self.options.slices))

    def slices(self) -> list[Piece]:
        """The cohort as single slices, listed."""
        return self._listed(pieces(self.cohort, slices=True))

    def _listed(self, found: list[Piece]) -> list[Piece]:
        write_text(self.folder / LISTING, csv_text(COLUMNS, map(_row, found)))
        return found


def _row(piece: Piece) -> dict[str, object]:
    """A piece in the list of what was written; what is not known is empty."""
    x, y, z = piece.spacing if piece.measured else ("", "", "")
    return {
        **{key: getattr(piece, key) for key in ("name", "case", "patient", "group", "split", "label")},
        "outlined": int(piece.outlined),
        "missing": "+".join(piece.missing),
        **{"spacing_x_mm": x, "spacing_y_mm": y, "spacing_z_mm": z},
        "black_slices": " ".join(map(str, piece.black)),
    }


def _check_suffixes(sequences: Sequence[str]) -> None:
    """Raise ConfigError where the file of a sequence would be that of another, or of the mask."""
    used = dict.fromkeys(OF_MASKS, "the mask")
    for name in sequences:
        key = suffix(name).lower()
        if key in used:
            came, todo = f"{name!r} beside {used[key]}", "choose others with --sequences, or rename it in cohort.json"
            raise ConfigError("sequences that are told apart in names of files", came, todo)
        used[key] = repr(name)


def need_masks(found: Sequence[Piece], form: str) -> list[Piece]:
    """Those pieces whose masks say something.

    Raises:
        InputError: none is outlined.
    """
    kept = [piece for piece in found if piece.outlined]
    if not kept:
        todo = "use --to monai or huggingface, which take classes too, or nifti"
        raise InputError(f"masks, which {form} learns from", "a cohort without any", todo)
    return kept


def by_split(found: Sequence[Piece]) -> dict[str, list[Piece]]:
    """Pieces of each split that has any."""
    parts = {split: [piece for piece in found if piece.split == split] for split in SPLITS}
    return {split: part for split, part in parts.items() if part}


def counted(found: Sequence[Piece]) -> dict[str, int]:
    """How many pieces each split has."""
    count = Counter(piece.split for piece in found)
    return {split: count[split] for split in SPLITS if count[split]}


def suffix(name: str) -> str:
    """A sequence as part of a file's name, as BraTS has it."""
    return "t1ce" if name == "t1c" else file_name(name).replace(" ", "_")
