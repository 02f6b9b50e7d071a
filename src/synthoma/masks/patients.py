"""The masks of one patient, the files that they come from, and what is noted on the way to the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synthoma.core.errors import InputError
from synthoma.core.types import Array
from synthoma.core.untrusted import printable
from synthoma.masks.chances import FINDINGS, Chances, Detection, read_detection
from synthoma.masks.result import SkippedFile
from synthoma.metrics.boundary import Spacing
from synthoma.scans.conventions import Convention, Decision

SIDES = ("truth", "prediction", "other")
"""Attributes of ``PatientMasks`` that are masks."""


Roots = Mapping[str, Path]

_NAMED = 3
"""Files that a remark names."""


@dataclass(frozen=True)
class PatientMasks:
    """The masks of one patient, on one grid.

    Attributes:
        patient: name, unique among those scored together.
        truth: labels (z, y, x), background 0.
        prediction: labels (z, y, x).
        spacing: (z, y, x) in mm; None where nobody knows.
        other: another model's labels (z, y, x), for a paired comparison.
        chances: probabilities of tumour that came with the prediction.
    """

    patient: str
    truth: Array
    prediction: Array
    spacing: Spacing | None = None
    other: Array | None = None
    chances: Chances | None = None


@dataclass
class ScoringNotes:
    """What scoring meets on its way through the files."""

    convention: Convention | None = None
    skipped: list[SkippedFile] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    said: dict[str, Decision] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    detections: dict[Path, Detection | None] = field(default_factory=dict)
    doubts: dict[str, list[str]] = field(default_factory=dict)
    laid: int = 0

    def doubt(self, place: str, text: str) -> None:
        """Note what a person should look at in a file; files of which the same is said share a remark."""
        self.doubts.setdefault(text, []).append(place)

    def tell_doubts(self) -> None:
        """Make remarks of what was noted."""
        for text, places in self.doubts.items():
            more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
            self.remarks.append(f"{', '.join(places[:_NAMED])}{more}: {text}")
        self.doubts = {}

    def skip(self, place: str, error: InputError | str) -> None:
        """List a file that is not scored, and why."""
        self.skipped.append(SkippedFile(file=place, reason=str(error)))

    def detection(self, path: Path, root: Path, side: str) -> Detection | None:
        """What `synthoma detect` wrote beside a mask file; findings that cannot be used are listed once."""
        folder = path.parent
        if folder not in self.detections:
            self.detections[folder] = None
            try:
                self.detections[folder] = read_detection(folder)
            except InputError as error:
                self.skip(name_in_results(folder / FINDINGS, root if root.is_dir() else folder, side), error)
        return self.detections[folder]


@dataclass(frozen=True)
class MaskFiles:
    """Files of one volume or slice; None where that side has none."""

    truth: Path
    prediction: Path | None
    other: Path | None


Cases = Mapping[str, Sequence[MaskFiles]]


def name_in_results(path: Path, root: Path, side: str = "") -> str:
    """How a file is named in results: below the folder of its side."""
    inner = printable(path.name if path == root else path.relative_to(root))
    return f"{side}: {inner}" if side else inner
