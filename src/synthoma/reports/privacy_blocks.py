"""Private: what the search for copies and the membership attacks found, as sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthoma.metrics.tails import at_most
from synthoma.reports.blocks import Block, Result
from synthoma.reports.wording import NONE, chance, number, percent, sentence

ATTACKS = {
    "distance": "nearness of the nearest synthetic slice (GAN-Leaks)",
    "discriminator": "score of the GAN's discriminator (LOGAN)",
}


def private(result: Result) -> list[Block | None]:
    """Copies, the kinds of them, and membership."""
    return [_copies(result), _kinds(result), _membership(result)]


def _copies(result: Result) -> Block:
    found = result["privacy"]
    recall, null = found.get("recall") or {}, found.get("null") or {}
    text = [sentence(f"{found['word']}: {found['because']}")]
    if found.get("threshold") is not None and found["threshold"] < 1:
        text.append(
            "Each synthetic slice is brought into its best position over every training slice: flipped, turned, zoomed "
            f"and shifted. Above a likeness of {number(found['threshold'], 4)} it is flagged: that lies between what "
            "one honest slice in a hundred reaches and what nine in ten altered copies exceed. Other kinds of copies "
            "have searches and limits of their own. Planted copies (canaries) say what each search is worth."
        )
    facts: list[tuple[str, str | None]] = [
        ("synthetic slices searched", _count(found.get("of"))),
        ("training slices searched among", _count(found.get("searched"))),
        ("patients or groups learned from that are not here, so not searched", _count(found.get("absent") or None)),
        ("likeness from which a slice is flagged", _known(found.get("threshold"), 4)),
        ("flagged", _count(found.get("flagged"))),
        ("flagged slices that are evidence each alone", _count(found.get("certain"))),
        ("p, if no slice were a copy", None if found.get("p") is None else chance(found["p"])),
        ("share of copies of any kind searched, upper bound at 95 %", _bound(found.get("upper_share"))),
        ("planted copies of whole slices found", _recall(recall)),
        ("planted copies whose source was found", _share(recall.get("right_source"))),
        ("held-out slices compared with", _count(null.get("of"))),
        ("twins of training slices left out of them", _count(len(null["twins"])) if "twins" in null else None),
        ("different nearest training slices", _count(found.get("distinct_sources"))),
        ("not searched", "; ".join(found["unsearched"]) if found.get("unsearched") else None),
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


def _kinds(result: Result) -> Block | None:
    """What was searched for, with the recall of each alteration."""
    found = result["privacy"]
    rows = []
    for kind in found.get("kinds") or ():
        rows.append(
            (
                kind["name"], "", f"{kind['flagged']:,} of {kind['of']:,}", chance(kind["p"]),
                "cannot tell" if kind["unseen"] else at_most(kind["upper_share"]),
            )
        )  # fmt: skip
        rows += [("", one["name"], _recall(one) or NONE, "", "") for one in kind["alterations"]]
    if patients := found.get("volumes"):
        of = f"{patients['flagged']:,} of {patients['of']:,} patients"
        bound = at_most(patients["upper_share"]) if patients["recall"] else "cannot tell"
        rows.append(("whole patients", "", of, chance(patients["p"]), bound))
        if patients["recall"]:
            rows.append(("", "all slices moved alike", _recall(patients["recall"]) or NONE, "", ""))
    if not rows:
        return None
    text = (
        "Kinds of copies that were searched for, each with planted copies: how many of them were found, and how many "
        "synthetic slices (or patients) were flagged. The bound of a kind rests on the alteration that is hardest to "
        "find.",
    )
    columns = ("kind", "planted as", "found or flagged", "p", "at most (95 %)")
    return Block("copy-kinds", "Kinds of copies", text, columns, tuple(rows), words=frozenset({0, 1}))


def _bound(value: float | None) -> str | None:
    return None if value is None else at_most(value)


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
