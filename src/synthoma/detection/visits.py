"""Which scans are visits of one patient, and what became of each pair: changes.json, changes.csv, pictures."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from synthoma.core.errors import ConfigError
from synthoma.core.progress import Progress
from synthoma.core.untrusted import csv_text
from synthoma.core.whole_files import write_text
from synthoma.detection.change_records import Change, Changes, write_changes
from synthoma.detection.detector import Detector
from synthoma.detection.outputs import NOT_CLINICAL, file_names
from synthoma.detection.overlay import NOTICE
from synthoma.detection.result import ModelIdentity
from synthoma.detection.settings import DetectConfig
from synthoma.scans.case import Case, Inventory
from synthoma.scans.files import natural

COLUMNS = (
    "now", "before", "comparable", "what", "unit", "before_size", "now_size", "difference", "percent", "limit", "word",
    "reasons", "notice",
)  # fmt: skip


@dataclass(frozen=True)
class Visits:
    """Pairs of scans of one patient.

    Attributes:
        pairs: the earlier and the later one.
        unpaired: names of later scans without an earlier one.
    """

    pairs: tuple[tuple[Case, Case], ...]
    unpaired: tuple[str, ...]


def with_earlier(now: Inventory, before: Inventory) -> tuple[Inventory, Visits]:
    """The scans of both inventories together, and which belong to one another.

    One scan on each side are a pair, and a remark says so where their files name two patients. Of several, those of
    one patient are; where nobody knows patients, those of one name. Of several earlier visits of a patient the last
    one counts; where their order is not known, none does.

    Raises:
        ConfigError: no scan has an earlier one.
    """
    # Both folders may call a patient's scan the same, and each has files of its own in the output.
    earlier = [replace(case, name=f"{case.name}-before") for case in before.cases]
    doubts: list[str] = []
    if len(now.cases) == len(earlier) == 1:
        pairs = [(earlier[0], now.cases[0])]
        who = [case.patient for case in (earlier[0], now.cases[0])]
        if None not in who and who[0] != who[1]:
            doubts.append(
                f"compared as visits of one patient, though the files name two: {who[0]} before, {who[1]} now"
            )
    else:
        by_person: dict[str, list[Case]] = defaultdict(list)
        for old, renamed in zip(before.cases, earlier, strict=True):
            by_person[_person(old)].append(renamed)
        known = {name: some if len(some) == 1 else in_order(some) for name, some in by_person.items()}
        last = {name: some[-1] for name, some in known.items() if some}
        pairs = [(last[_person(case)], case) for case in now.cases if _person(case) in last]
    if not pairs:
        came = f"{len(now.cases)} scans and {len(earlier)} earlier ones of other patients"
        raise ConfigError("earlier scans of the same patients", came, "give one scan on each side, or name them alike")
    paired = {case.name for _, case in pairs}
    joined = Inventory(
        layout=now.layout if now.layout == before.layout else f"{now.layout}+{before.layout}",
        cases=(*now.cases, *earlier),
        skipped=(*now.skipped, *before.skipped),
        remarks=tuple(dict.fromkeys((*now.remarks, *before.remarks, *doubts))),
        decisions=(*now.decisions, *before.decisions),
    )
    return joined, Visits(tuple(pairs), tuple(case.name for case in now.cases if case.name not in paired))


def _person(case: Case) -> str:
    return f"patient {case.patient}" if case.patient else f"name {case.name}"


def in_order(cases: Sequence[Case]) -> list[Case]:
    """Visits of a patient, the earliest first; none where their order is not known.

    It is where visits differ in their numbers alone, as ses-1 and ses-2 or dates do: of pre and post, or of studies
    that say nothing, nobody knows which is the earlier one.
    """
    kinds = {re.sub(r"[0-9]+", "0", case.visit) for case in cases}
    if len(kinds) > 1 or not all(re.search("[0-9]", case.visit) for case in cases):
        return []
    ordered = sorted(cases, key=lambda case: natural(case.visit))
    return ordered if len({case.visit for case in cases}) == len(cases) else []


def wrong_way(before: Case, now: Case) -> list[str]:
    """Why two visits are not to be called larger or smaller: by their names they came the other way round."""
    ordered = in_order((before, now))
    if not ordered or ordered[0] is before:
        return []
    return [f"by their names the scan given as the earlier one is the later: {before.visit} before, {now.visit} now"]


def among(inventory: Inventory) -> Visits:
    """Each two visits of a patient that follow one another.

    Raises:
        ConfigError: no patient has two.
    """
    by_patient: dict[str, list[Case]] = defaultdict(list)
    for case in inventory.cases:
        if case.patient:
            by_patient[case.patient].append(case)
    pairs, alone = [], [case.name for case in inventory.cases if not case.patient]
    for cases in by_patient.values():
        ordered = in_order(cases)
        if len(ordered) < 2:
            alone += [case.name for case in cases]
            continue
        pairs += [*itertools.pairwise(ordered)]
    if not pairs:
        count = len(inventory.cases)
        came = f"{count} scans, no two known to be visits of one patient" if count > 1 else "one scan"
        raise ConfigError("two visits of a patient", came, "give the earlier scan with --before")
    return Visits(tuple(pairs), tuple(alone))


def write_all(
    folder: Path, inventory: Inventory, visits: Visits, detector: Detector, options: DetectConfig, progress: Progress
) -> None:
    """Compare every pair, and write changes.json, changes.csv and a picture each into the folder of findings.

    A pair of which a scan cannot be read is told as one that cannot be compared.
    """
    from synthoma.core.errors import InputError
    from synthoma.detection.change import compare
    from synthoma.detection.repeatability import HOW, NOISE, TURN

    files = dict(zip((case.name for case in inventory.cases), file_names(inventory.cases), strict=True))
    changes: list[Change] = []
    for done, (before, now) in enumerate(visits.pairs):
        progress("comparing visits", done, len(visits.pairs))
        try:
            pair = (before.name, before), (now.name, now)
            found = compare(*pair, detector, options, reasons=wrong_way(before, now))
        except InputError as error:
            changes.append(_unread(before, now, error))
            continue
        change = found.change
        if found.picture is not None and options.overlay:
            place = f"change-{files[now.name]}.png"
            Image.fromarray(found.picture).save(folder / place, compress_level=3)
            change = change.model_copy(update={"picture": place})
        changes.append(change)
    progress("comparing visits", len(visits.pairs), len(visits.pairs))
    how = HOW.format(repeats=options.repeats, low=TURN[0], high=TURN[1], noise=100 * NOISE)
    write_changes(
        folder,
        Changes(
            version="synthoma.changes/1",
            not_for_clinical_use=NOT_CLINICAL,
            model=ModelIdentity(name=detector.name, sha256=detector.bundle.digest),
            repeatability=how,
            changes=tuple(changes),
            unpaired=visits.unpaired,
        ),
    )
    write_text(folder / "changes.csv", csv_text(COLUMNS, _rows(changes)))


def _unread(before: Case, now: Case, error: Exception) -> Change:
    return Change(
        now=now.name,
        before=before.name,
        comparable=False,
        reasons=(f"a scan could not be used: {error}",),
        registration="not tried",
        repeats=0,
        measures=(),
        overlap=None,
        picture=None,
    )


def _rows(changes: Sequence[Change]) -> list[dict[str, object]]:
    """A row of changes.csv for each size of each pair; one without sizes for a pair that has none."""
    rows: list[dict[str, object]] = []
    for one in changes:
        shared = {"now": one.now, "before": one.before, "comparable": one.comparable}
        shared |= {"reasons": "; ".join(one.reasons), "notice": NOTICE}
        rows += [
            {
                **shared,
                "what": size.what,
                "unit": size.unit,
                "before_size": size.before,
                "now_size": size.now,
                "difference": size.difference,
                "percent": size.percent,
                "limit": size.limit,
                "word": size.word,
            }
            for size in one.measures
        ] or [{**dict.fromkeys(COLUMNS, ""), **shared, "word": "cannot tell"}]
    return rows
