"""The page of findings: what was found in each scan, how far the model is to be trusted, and what was skipped."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synthoma.core.artefacts import verify
from synthoma.core.errors import InputError
from synthoma.core.untrusted import content_of_cell
from synthoma.detection.result import read_detection
from synthoma.detection.words import length_text, size_text
from synthoma.reports.change_blocks import change_blocks
from synthoma.reports.finding_cards import PICTURED, SLIDED, TURNED, cards
from synthoma.reports.page import render
from synthoma.reports.viewer import viewer_licence, viewer_text

LISTED = 1000


@dataclass(frozen=True)
class ScanRow:
    """A scan in the table of the page; texts as they are shown.

    Attributes:
        name: the scan.
        probability: of tumour, 0..1.
        said: whether tumour is said.
        size, length: volume and largest diameter with their unit; in brackets where no tumour is said.
        side, type: where it lies and which it is; empty where nobody knows.
        dice: against a mask that came with the scan; empty without one.
        taken_for: sequence that a picture was taken for; empty where it said so itself.
        findings: place of its findings.json, within the folder.
        overlay: place of the picture, within the folder; empty without one.
    """

    name: str
    probability: float
    said: bool
    size: str
    length: str
    side: str
    type: str
    dice: str
    taken_for: str
    findings: str
    overlay: str

    @property
    def chance(self) -> str:
        """The probability as it is shown."""
        return f"{self.probability:.2f}"


def findings_page(folder: Path, name: str) -> str:
    """The page of a folder that ``detect`` wrote, as HTML text.

    Args:
        folder: with detection.json, index.csv and skipped.csv.
        name: of it, for the title.

    Raises:
        InputError: one of these files is not as ``detect`` wrote it.
    """
    try:
        facts = read_detection(folder)
        rows, skipped = _table(folder / "index.csv"), _table(folder / "skipped.csv")
        shown = sorted((_line(row) for row in rows), key=lambda row: -row.probability)
        found = cards(folder, [(row.findings, row.overlay) for row in shown])
        turned = sum(card.small is not None for card in found)
        return render(
            "findings.html",
            title=f"Findings in {name}",
            facts=facts,
            rows=shown[:LISTED],
            more=max(0, len(shown) - LISTED),
            scores=any(row.dice for row in shown),
            guessed=sorted({row["taken_for"].upper() for row in rows} - {""}),
            guesses=sum(bool(row["taken_for"]) for row in rows),
            brackets=any(row.size.startswith("(") for row in shown),
            remarks=facts.scan_remarks[:20] if len(rows) > 1 else (),
            cards=found,
            changes=change_blocks(folder),
            pictured=PICTURED,
            slided=SLIDED,
            turned=turned,
            turnable=TURNED,
            viewer=viewer_text() if turned else "",
            licence=viewer_licence() if turned else "",
            skipped=skipped[:200],
            all_skipped=len(skipped),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        came = f"{folder}, which is damaged ({type(error).__name__})"
        raise InputError("a folder as `synthoma detect` writes it", came, "run `synthoma detect` again") from None


def _table(path: Path) -> list[dict[str, str]]:
    verify(path)
    with path.open(encoding="utf-8", newline="") as stream:
        return [{key: content_of_cell(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def _line(row: Mapping[str, str]) -> ScanRow:
    """A scan's row of the table."""
    said = row["has_tumour"] == "True"
    size = size_text(float(row["volume"]), row["unit"])
    length = length_text(float(row["diameter"]) if row["diameter"] else None, row["diameter_unit"])
    # In brackets: where no tumour is said, what is marked is no volume of one.
    if not said and size != "-":
        size, length = f"({size})", f"({length})"
    return ScanRow(
        name=row["case"],
        probability=float(row["probability"]),
        said=said,
        size=size,
        length=length,
        side=row["side"],
        type=row["type"],
        dice=f"{float(row['dice']):.2f}" if row["dice"] else "",
        taken_for=row["taken_for"].upper(),
        findings=row["findings"],
        overlay=row["overlay"],
    )
