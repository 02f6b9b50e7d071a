"""Names of patients and places that must not leave a hospital: hashes in their place, in all that is written."""

from __future__ import annotations

import re
from pathlib import Path

from synthoma.cohorts.corrections import BY_HAND
from synthoma.core.pseudonyms import pseudonym, secret_key
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Inventory, Skipped
from synthoma.scans.layouts.listing import CLASS_NAMES
from synthoma.scans.names import place_word
from synthoma.scans.parents import COLUMN


def with_pseudonyms(inventory: Inventory) -> Inventory:
    """The inventory with keyed hashes for every name that could point at a person.

    A class keeps its name where that is the name of a class beyond doubt: any other may be that of a folder of
    somebody's pictures. Texts of a table's further columns are left out; numbers stay.
    """
    from dataclasses import replace

    key = secret_key()
    left_out: set[str] = set()

    def hidden(case: Case) -> Case:
        facts = dict(case.facts)
        if inventory.layout == "table":
            facts = {name: value for name, value in facts.items() if name == BY_HAND or not isinstance(value, str)}
            left_out.update(case.facts.keys() - facts.keys() - {COLUMN})
        if COLUMN in case.facts:
            facts[COLUMN] = pseudonym(str(case.facts[COLUMN]), key)
        return replace(
            case,
            name=pseudonym(case.name, key),
            patient=None if case.patient is None else pseudonym(case.patient, key),
            label=case.label if _says_nothing(case.label) else f"class {pseudonym(str(case.label), key)}",
            site=None if case.site is None else pseudonym(case.site, key),
            visit="",
            kin=pseudonym(case.kin, key) if case.kin else "",
            slice_names=tuple(pseudonym(name, key) for name in case.slice_names),
            facts=facts,
        )

    cases = tuple(hidden(case) for case in inventory.cases)
    remarks = list(inventory.remarks)
    if left_out:
        remarks.append(f"columns with texts are left out beside pseudonyms: {', '.join(sorted(left_out))}")
    if renamed := len({after.label for after in cases} - {before.label for before in inventory.cases}):
        remarks.append(
            f"names of {renamed} classes that may be people's are hashes: docs/cohort.md says how to keep one"
        )
    return replace(inventory, cases=cases, remarks=tuple(remarks))


def _says_nothing(label: str | None) -> bool:
    """Whether a class's name cannot point at a person."""
    return label is None or label.lower() in CLASS_NAMES or place_word(label) is not None


class Veil:
    """Hides the names of an inventory in texts that are kept with the cohort.

    Args:
        inventory: with its names.
    """

    def __init__(self, inventory: Inventory) -> None:
        names: set[str] = set()
        for case in inventory.cases:
            names.update(filter(None, (case.name, case.patient, case.label, case.site, *case.slice_names)))
            names.update(part for path in case.sources for part in (*path.parts, path.stem))
        # Names of one or two letters stand in every sentence: hiding them would leave nothing to read.
        names = {printable(name) for name in names if len(name) > 2}
        self.names = sorted((name for name in names if not _says_nothing(name)), key=len, reverse=True)

    def over(self, text: str) -> str:
        """A text without any of the names, the longest first."""
        for name in self.names:
            if name in text:
                # Whole words only: a patient called "can" must not tear "scan" apart.
                text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "(name hidden)", text)
        return text


def sources_of(named: Inventory, hidden: Inventory) -> dict[str, str]:
    """What the pseudonyms of patients and cases stand for: the patient's name, or the folder that the files lie in."""
    found: dict[str, str] = {}
    for before, after in zip(named.cases, hidden.cases, strict=True):
        folder = str(before.sources[0].parent.absolute()) if before.sources else before.name
        found.setdefault(after.name, folder)
        if after.patient is not None:
            found.setdefault(after.patient, folder if before.patient == after.patient else str(before.patient))
    return found


def hidden(item: Skipped) -> Skipped:
    """A skipped file without its name, which may be a person's; the reason may have named it too."""
    reason = item.reason
    for part in sorted(item.path.parts, key=len, reverse=True):
        reason = reason.replace(part, "(name hidden)") if len(part) > 2 else reason
    return Skipped(Path(pseudonym(str(item.path), secret_key())), reason, item.kind)
