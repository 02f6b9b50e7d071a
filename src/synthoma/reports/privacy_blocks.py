"""Private: what the search for copies and the membership attacks found, as sentences and tables."""

from __future__ import annotations

from collections.abc import Sequence

from synthoma.evaluation.private.result import Alteration, Attack, Found
from synthoma.evaluation.result import Evaluation
from synthoma.metrics.tails import at_most
from synthoma.reports.blocks import Block
from synthoma.reports.wording import NONE, chance, number, percent, sentence

ATTACKS = {
    "distance": "nearness of the nearest synthetic slice (GAN-Leaks)",
    "discriminator": "score of the GAN's discriminator (LOGAN)",
}


def private(result: Evaluation) -> list[Block | None]:
    """Copies, the kinds of them, and membership."""
    return [_copies(result), _kinds(result), _membership(result)]


def _copies(result: Evaluation) -> Block:
    found = result.privacy
    recall, null = found.recall, found.null
    text = [sentence(f"{found.word}: {found.because}")]
    if found.threshold is not None and found.threshold < 1:
        text.append(
            "Each synthetic slice is brought into its best position over every training slice: flipped, turned, zoomed "
            f"and shifted. Above a likeness of {number(found.threshold, 4)} it is flagged: that lies between what "
            "one honest slice in a hundred reaches and what nine in ten altered copies exceed. Other kinds of copies "
            "have searches and limits of their own. Planted copies (canaries) say what each search is worth."
        )
    facts: list[tuple[str, str | None]] = [
        ("synthetic slices searched", _count(found.of)),
        ("training slices searched among", _count(found.searched)),
        ("patients or groups learned from that are not here, so not searched", _count(found.absent or None)),
        ("likeness from which a slice is flagged", _known(found.threshold, 4)),
        ("flagged", _count(found.flagged)),
        ("flagged slices that are evidence each alone", _count(found.certain)),
        ("p, if no slice were a copy", None if found.p is None else chance(found.p)),
        ("share of copies of any kind searched, upper bound at 95 %", at_most(found.upper_share)),
        ("planted copies of whole slices found", _recall(recall)),
        ("planted copies whose source was found", None if recall is None else percent(recall.right_source)),
        ("held-out slices compared with", _count(None if null is None else null.of)),
        ("twins of training slices left out of them", None if null is None else _count(len(null.twins))),
        ("different nearest training slices", _count(found.distinct_sources)),
        ("not searched", "; ".join(found.unsearched) or None),
        ("slices in quarantine", _count(len(found.quarantine)) if "quarantine" in found.model_fields_set else None),
        ("slices kept (--keep)", _count(result.kept)),
    ]
    rows = tuple((name, value) for name, value in facts if value is not None)
    if found.quarantine:
        text.append(
            "Rows of the synthetic cohort in quarantine (leave them out before you share): "
            f"{_listed(found.quarantine)}."
        )
    return Block("copies", "Copies of training scans", tuple(text), ("", ""), rows)


def _kinds(result: Evaluation) -> Block | None:
    """What was searched for, with the recall of each alteration."""
    found = result.privacy
    rows = []
    for kind in found.kinds:
        rows.append(
            (
                kind.name, "", f"{kind.flagged:,} of {kind.of:,}", chance(kind.p),
                # No bound, and not a small one: a search that misses planted copies says nothing of others.
                "cannot tell" if kind.unseen else at_most(kind.upper_share),
            )
        )  # fmt: skip
        rows += [("", one.name, _recall(one) or NONE, "", "") for one in kind.alterations]
    if (patients := found.volumes) is not None:
        of = f"{patients.flagged:,} of {patients.of:,} patients"
        # Without a recall there is no bound: nothing found may be nothing seen.
        bound = at_most(patients.upper_share) if patients.recall else "cannot tell"
        rows.append(("whole patients", "", of, chance(patients.p), bound))
        if patients.recall:
            rows.append(("", "all slices moved alike", _recall(patients.recall) or NONE, "", ""))
    if not rows:
        return None
    text = (
        "Kinds of copies that were searched for, each with planted copies: how many of them were found, and how many "
        "synthetic slices (or patients) were flagged. The bound of a kind rests on the alteration that is hardest to "
        "find.",
    )
    columns = ("kind", "planted as", "found or flagged", "p", "at most (95 %)")
    return Block("copy-kinds", "Kinds of copies", text, columns, tuple(rows), words=frozenset({0, 1}))


def _count(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _known(value: float | None, digits: int) -> str | None:
    return None if value is None else number(value, digits)


def _recall(recall: Found | Alteration | None) -> str | None:
    if recall is None:
        return None
    return f"{percent(recall.value)} of {recall.of:,} ({percent(recall.low)} to {percent(recall.high)})"


def _listed(rows: Sequence[int], most: int = 100) -> str:
    more = f" and {len(rows) - most:,} more" if len(rows) > most else ""
    return ", ".join(str(row) for row in rows[:most]) + more


def _membership(result: Evaluation) -> Block | None:
    attacks = result.privacy.membership
    named = [] if attacks is None else [("distance", attacks.distance), ("discriminator", attacks.discriminator)]
    rows = [_attack(name, found) for name, found in named if found is not None]
    if not rows:
        return None
    text = (
        "Can one tell which scans the generator learned from? AUC 0.5 is guessing. The control is what random halves "
        "of the training patients reach, who differ by nothing but who they are: an attack below it has found nothing.",
    )
    columns = ("attack", "AUC", "control (95 %)", "found at 1 % false alarms", "p", "members / others")
    return Block("membership", "Who was in the training set?", text, columns, tuple(rows))


def _attack(name: str, found: Attack) -> tuple[str, ...]:
    sensitivity = NONE if found.sensitivity is None else percent(found.sensitivity)
    return (
        ATTACKS[name], number(found.auc), number(found.control), sensitivity, chance(found.p),
        f"{found.members:,} / {found.others:,}",
    )  # fmt: skip
