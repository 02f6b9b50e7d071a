"""Private: what the search for copies and the membership attacks found, as sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthoma.reports.blocks import Block, Result
from synthoma.reports.wording import NONE, chance, number, percent, sentence

ATTACKS = {
    "distance": "nearness of the nearest synthetic slice (GAN-Leaks)",
    "discriminator": "score of the GAN's discriminator (LOGAN)",
}


def private(result: Result) -> list[Block | None]:
    """Copies, and membership."""
    return [_copies(result), _membership(result)]


def _copies(result: Result) -> Block:
    found = result["privacy"]
    recall, null = found.get("recall") or {}, found.get("null") or {}
    text = [sentence(f"{found['word']}: {found['because']}")]
    if found.get("threshold") is not None and found["threshold"] < 1:
        text.append(
            f"Each synthetic slice is brought into its best position over every training slice, mirrored or not. Above "
            f"a likeness of {number(found['threshold'], 4)} it is flagged: that lies between what one honest slice in "
            "a hundred reaches and what nine in ten altered copies exceed. Planted copies (canaries) say what "
            "the search is worth."
        )
    facts: list[tuple[str, str | None]] = [
        ("synthetic slices searched", _count(found.get("of"))),
        ("training slices searched among", _count(found.get("searched"))),
        ("patients or groups learned from that are not here, so not searched", _count(found.get("absent") or None)),
        ("likeness from which a slice is flagged", _known(found.get("threshold"), 4)),
        ("flagged", _count(found.get("flagged"))),
        ("flagged slices that are evidence each alone", _count(found.get("certain"))),
        ("p, if no slice were a copy", None if found.get("p") is None else chance(found["p"])),
        ("share of copies, upper bound at 95 %", _share(found.get("upper_share"))),
        ("planted copies found", _recall(recall)),
        ("planted copies whose source was found", _share(recall.get("right_source"))),
        ("held-out slices compared with", _count(null.get("of"))),
        ("twins of training slices left out of them", _count(len(null["twins"])) if "twins" in null else None),
        ("different nearest training slices", _count(found.get("distinct_sources"))),
        ("slices in quarantine", _count(len(found["quarantine"])) if "quarantine" in found else None),
        ("slices kept (--keep)", _count(result.get("kept"))),
    ]
    rows = tuple((name, value) for name, value in facts if value is not None)
    if found.get("quarantine"):
        text.append(
            "Rows of the synthetic cohort in quarantine (leave them out before you share): "
            f"{_listed(found['quarantine'])}."
        )
    return Block("copies", "Copies of training scans", tuple(text), ("", ""), rows)


def _count(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _share(value: float | None) -> str | None:
    return None if value is None else percent(value)


def _known(value: float | None, digits: int) -> str | None:
    return None if value is None else number(value, digits)


def _recall(recall: Mapping[str, Any]) -> str | None:
    if recall.get("value") is None:
        return None
    between = f" ({percent(recall['low'])} to {percent(recall['high'])})" if recall.get("low") is not None else ""
    of = f" of {recall['of']:,}" if "of" in recall else ""
    return f"{percent(recall['value'])}{of}{between}"


def _listed(rows: Sequence[int], most: int = 100) -> str:
    more = f" and {len(rows) - most:,} more" if len(rows) > most else ""
    return ", ".join(str(row) for row in rows[:most]) + more


def _membership(result: Result) -> Block | None:
    attacks = result["privacy"].get("membership") or {}
    rows = [
        (
            ATTACKS.get(name, name), number(found["auc"]), number(found.get("control")),
            percent(found["sensitivity"]) if found.get("sensitivity") is not None else NONE, chance(found.get("p")),
            f"{found['members']:,} / {found['others']:,}",
        )
        for name, found in attacks.items()
        if found
    ]  # fmt: skip
    if not rows:
        return None
    text = (
        "Can one tell which scans the generator learned from? AUC 0.5 is guessing. The control is what random halves "
        "of the training patients reach, who differ by nothing but who they are: an attack below it has found nothing.",
    )
    columns = ("attack", "AUC", "control (95 %)", "found at 1 % false alarms", "p", "members / others")
    return Block("membership", "Who was in the training set?", text, columns, tuple(rows))
