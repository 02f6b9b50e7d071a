"""What was understood of a folder, in a few lines that a person can check: who, when, which sequences, which masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthoma.cohorts.splits import LEAST_HELD_OUT
from synthoma.core.untrusted import printable
from synthoma.scans.case import Case, Inventory, Skipped
from synthoma.scans.layouts.listing import CLASS_NAMES, KINDS_OF_TUMOUR
from synthoma.scans.layouts.part_of_case import files_of

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 2
MOST_CASES = 2_000
"""Cases that are listed one by one."""
_MOST_KINDS = 8
_MOST_ALIKE = 3
_TABLE = "give `patient` in a table (docs/cohort.md)"


def understood(inventory: Inventory) -> dict[str, Any]:
    """What an inventory holds, as plain data: the content of `synthoma info FOLDER`.

    Args:
        inventory: what was found.

    Returns:
        Plain data: ``layout``, numbers of ``cases``, ``patients``, ``visits``, of cases with each sequence and with a
        mask; ``labels`` (each convention, its values and why), ``classes``, ``left aside`` (files by kind),
        ``warnings``, ``table`` (each case with its patient, sequences, class and whether it has a mask, at most 2,000),
        ``examples`` (the files of a few cases; none of DICOM, whose names may be people's) and ``remarks``.
    """
    cases = inventory.cases
    private = "dicom" in inventory.layout.split("+")
    return {
        "layout": inventory.layout,
        "cases": len(cases),
        "patients": len({case.patient for case in cases if case.patient}),
        "cases without a known patient": sum(case.patient is None for case in cases),
        "patients with several visits": sum(n > 1 for n in Counter(c.patient for c in cases if c.patient).values()),
        "modalities": dict(Counter(name for case in cases for name in case.modalities).most_common()),
        "with masks": sum(case.has_mask for case in cases),
        "labels": [
            {
                "convention": None if one.convention is None else one.convention.name,
                "values": list(one.values),
                "meaning": "" if one.convention is None else one.convention.text(),
                "why": one.why,
                "choices": list(one.choices),
            }
            for one in inventory.decisions
        ],
        "classes": dict(sorted(Counter(case.label for case in cases if case.label).items())),
        "left aside": kinds_of(inventory.skipped),
        "skipped files": len(inventory.skipped),
        "warnings": warnings_of(cases),
        "table": [_row(case) for case in cases[:MOST_CASES]],
        "examples": [] if private else [_example(case) for case in cases[:_SHOWN]],
        "remarks": list(inventory.remarks),
    }


def lines_of(facts: Mapping[str, Any]) -> list[str]:
    """The same as lines of text, the most telling first."""
    cases = facts["cases"]
    lines = [f"{_who(facts)} ({facts['layout']})"]
    lines.append("sequences: " + ", ".join(f"{name} {count}" for name, count in facts["modalities"].items()))
    if facts["with masks"]:
        lines.append(
            f"masks: {facts['with masks']} of {cases}" + "".join(f"; {_label(one)}" for one in facts["labels"])
        )
    if facts["classes"]:
        lines.append("classes: " + ", ".join(f"{name} {count}" for name, count in facts["classes"].items()))
    if aside := facts["left aside"]:
        first = list(aside.items())[:_MOST_KINDS]
        more = [f"{len(aside) - len(first)} other kinds"] if len(aside) > len(first) else []
        lines.append("left aside: " + ", ".join([*(f"{count} x {kind}" for kind, count in first), *more]))
    for example in facts["examples"]:
        files = ", ".join(f"{role} <- {name}" for role, name in example["files"].items())
        lines.append(f"for example {example['case']} of patient {example['patient'] or '(unknown)'}: {files}")
    return [*lines, *(f"WARNING: {text}" for text in facts["warnings"])]


def _who(facts: Mapping[str, object]) -> str:
    several = facts["patients with several visits"]
    known = f"{facts['patients']} patients" if facts["patients"] else "no known patient"
    visits = f", {several} with several visits" if several else ""
    return f"{facts['cases']} cases of {known}{visits}"


def _label(one: Mapping[str, Any]) -> str:
    values = ", ".join(map(str, one["values"])) or "none yet"
    if one["convention"] is None:
        return (
            f"values {values}: NOT KNOWN what they mean ({one['why']}); --convention one of {', '.join(one['choices'])}"
        )
    return f"{one['meaning']} ({one['convention']}: {one['why']})"


def _row(case: Case) -> dict[str, object]:
    """One case, to be corrected by its name (``cohorts.corrections``)."""
    return {
        "case": case.name, "patient": case.patient, "sequences": list(case.modalities), "mask": case.has_mask,
        "class": case.label,
    }  # fmt: skip


def _example(case: Case) -> dict[str, object]:
    files = {role: printable(path.name) for role, path in files_of(case).items()}
    return {"case": case.name, "patient": case.patient, "files": files}


def kinds_of(skipped: Sequence[Skipped]) -> dict[str, int]:
    """Files that are not used by kind, the most frequent first."""
    return dict(Counter(item.what for item in skipped).most_common())


def shortened(remarks: Sequence[str]) -> list[str]:
    """Remarks of the form "case: text"; those of many cases that say the same stand once, with their number."""
    texts = Counter(remark.partition(": ")[2] for remark in remarks)
    often = {text for text, count in texts.items() if text and count > _MOST_ALIKE}
    kept = [remark for remark in remarks if remark.partition(": ")[2] not in often]
    return [*kept, *(f"{texts[text]} cases: {text}" for text in sorted(often))]


def warnings_of(cases: Sequence[Case]) -> list[str]:
    """What a split of these cases would get wrong, said before it is made."""
    found = []
    unknown = sum(case.patient is None and not case.kin for case in cases)
    # As the split will see them: altered copies of one picture are one, whoever is shown.
    groups = {case.patient or case.kin or case.name for case in cases}
    if len(groups) == 1 and len(cases) > 1:
        name = next(iter(groups))
        found.append(f"nobody is held out: all {len(cases)} cases are of one patient ({name}); if not, {_TABLE}")
    elif len(cases) == 1:
        found.append("nobody is held out: there is one case")
    if unknown:
        found.append(
            f"nobody knows who is shown in {unknown} of {len(cases)} cases: only duplicates of one another are kept on "
            f"one side of the split; where patients are known, {_TABLE}"
        )
    return found


def enough_held_out(groups: int) -> tuple[float, float, float]:
    """Shares for training, validation and test by which usefulness can be tested, and no more is held out than that.

    Args:
        groups: patients with tumour, two more than have to be held out at least.
    """
    # Half a patient more, or rounding to whole patients could hold out one too few.
    share = min((LEAST_HELD_OUT + 0.5) / groups, (groups - 2) / groups)
    # Few: validation patients choose a snapshot, test patients carry the verdict.
    validation = min(0.1, share / 3)
    return 1 - share, validation, share - validation


def unused_classes(table: pd.DataFrame, asked: str) -> str:
    """What is said where masks decide the classes though folders or a table name others; "" elsewhere.

    Args:
        table: of a cohort in the making: case_label, has_mask.
        asked: where classes come from, as the settings say.
    """
    drawn = table["has_mask"].astype(bool)
    named = sorted(set(table["case_label"][drawn].astype(str)) - {""})
    beside = set(table["case_label"][~drawn].astype(str)) - {""}
    told = [name for name in named if name.lower() in CLASS_NAMES - KINDS_OF_TUMOUR]
    if asked != "auto" or len(named) == len(told) or (len(named) == 1 and not beside & set(named)):
        return ""
    apart = " (slices without a mask keep theirs)" * bool(beside)
    return (
        f"classes are tumour and healthy, as masks say, and not {', '.join(named)}{apart}: --classes folder takes these"
    )


def held_out(table: pd.DataFrame) -> str:
    """How many patients with tumour are held out of training, and whether that is enough to test usefulness.

    Args:
        table: of a cohort: group, split and tumour_pixels.
    """
    ill = table[table["tumour_pixels"] > 0]
    groups = ill["group"].nunique()
    held = ill["group"][ill["split"] != "train"].nunique()
    said = f"{held} of {groups} patients or groups with tumour are held out"
    if held >= LEAST_HELD_OUT or not groups:
        return f"{said}: enough for `evaluate` to test usefulness ({LEAST_HELD_OUT} or more)" if groups else ""
    if groups < LEAST_HELD_OUT + 2:
        return f"{said}: too few for `evaluate` to test usefulness, which takes {LEAST_HELD_OUT} and 2 to learn from"
    split = ",".join(f"{share:.2f}" for share in enough_held_out(groups))
    return f"{said}: `evaluate` tests usefulness with {LEAST_HELD_OUT} or more; --split {split} would hold out as many"
