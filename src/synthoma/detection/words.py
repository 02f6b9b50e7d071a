"""Findings in words: sizes as people read them, a table that fits a terminal, what was skipped, how far to trust."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from synthoma.core.untrusted import visible
from synthoma.detection.change_records import Changes

NONE = "-"
LEAST_NAME = 14
"""Characters of a scan's name below which the table rather loses columns."""

LISTED = 20
LISTED_SKIPPED = 8

_BRACKETS = "In brackets: outlined, but no more clearly than in scans without tumour."


def size_text(volume: float | None, unit: str) -> str:
    """A volume in ml, or a number of pixels where nobody knows how large they are; the unit is "mm3" or "pixels"."""
    if not volume:
        return NONE
    if unit != "mm3":
        return f"{volume:,.0f} px"
    return f"{volume / 1000:,.1f} ml" if volume >= 95 else f"{volume / 1000:.2g} ml"


def length_text(length: float | None, unit: str) -> str:
    """A diameter in whole mm, or pixels."""
    return NONE if length is None else f"{length:,.0f} {'mm' if unit == 'mm' else 'px'}"


def track_record(meta: Mapping[str, Any], kind: str) -> str:
    """How often a model said tumour in scans that show none, in one sentence.

    Args:
        meta: of the model file: "measured" is what was counted later on other scans, "calibration" what was counted on
            those that set its limit.
        kind: "scan" or "picture".
    """
    told = [f"{one['said']} of {one['of']} {one['scans']}" for one in meta.get("measured", []) if one["kind"] == kind]
    if told:
        return f"Where there is no tumour this model said tumour in {', '.join(told)}."
    counts = {(one["alarms"], one["healthy"]) for one in (meta.get("calibration") or {}).get(kind, {}).values()}
    if not counts:
        return "Nobody measured how often this model says tumour where there is none."
    alarms, healthy = max(counts, key=lambda pair: pair[0] / pair[1])
    what = f"{kind}s without tumour that set its limit"
    return f"Where there is no tumour this model said tumour in at most {alarms} of {healthy} {what}."


def table_lines(rows: Sequence[Mapping[str, Any]], width: int, most: int = LISTED) -> list[str]:
    """A table of scans that breaks no line: names are shortened in their middle, and the last columns go first.

    Args:
        rows: as ``detect`` gives them.
        width: characters in a line.
        most: scans that are listed.
    """
    titles = ("chance", "tumour", "volume", "diameter", "side", "type", "Dice")
    lines = [_cells(row) for row in rows[:most]]
    used = [at for at in range(len(titles)) if at < 2 or any(line[at] not in ("", NONE) for line in lines)]
    widths = {at: max(len(titles[at]), *(len(line[at]) for line in lines)) for at in used}
    while len(used) > 2 and width - sum(2 + widths[at] for at in used) < LEAST_NAME:
        used.pop()
    names = [visible(str(row["case"])) for row in rows[:most]]
    room = max(LEAST_NAME, min(width - sum(2 + widths[at] for at in used), max(len("scan"), *map(len, names))))
    shown = []
    for name, line in zip(("scan", *names), (titles, *lines), strict=True):
        cells = "".join("  " + line[at].rjust(widths[at]) for at in used)
        shown.append(f"{shortened(name, room):<{room}}{cells}".rstrip())
    if len(rows) > most:
        shown.append(f"... and {len(rows) - most:,} more, see index.csv")
    if any(line[2].startswith("(") for line in lines) and 2 in used:
        shown += textwrap.wrap(_BRACKETS, width)
    return shown


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    size, length = size_text(row["volume"], row["unit"]), length_text(row["diameter"], row["diameter_unit"])
    if size != NONE and not row["has_tumour"]:
        size, length = f"({size})", f"({length})"
    said = "yes" if row["has_tumour"] else "no"
    score = row.get("dice")
    return (
        f"{row['probability']:.2f}",
        said,
        size,
        length,
        str(row["side"]),
        visible(str(row["type"])),
        "" if score is None else f"{score:.2f}",
    )


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters: what is too much is left out of its middle."""
    if len(text) <= most:
        return text
    ahead = most // 2
    return f"{text[:ahead]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - (most - 1 - ahead) :]}"


def remark_lines(rows: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Remarks on the scans, each once, with the number of scans that it is of; those of most scans first."""
    counted: Counter[str] = Counter()
    for row in rows:
        counted.update(list(dict.fromkeys(row["told"])))
    lines = []
    for text, count in counted.most_common(LISTED_SKIPPED):
        whose = "" if len(rows) == 1 else "all scans: " if count == len(rows) else f"{count:,} of {len(rows):,} scans: "
        lines += textwrap.wrap(f"note: {whose}{visible(text)}", width, subsequent_indent="  ", break_long_words=False)
    if len(counted) > LISTED_SKIPPED:
        lines.append("note: more are in the column remarks of index.csv")
    return lines


def skipped_lines(looked_at: int, skipped: Sequence[Mapping[str, str]], listing: str, width: int) -> list[str]:
    """How many scans were looked at and skipped, and why.

    Args:
        looked_at: scans with findings.
        skipped: rows of skipped.csv.
        listing: where that file is.
        width: characters in a line.
    """
    scans = f"{looked_at:,} scan{'s' if looked_at != 1 else ''} looked at"
    if not skipped:
        return [f"{scans}, none skipped"]
    lines = [f"{scans}, {len(skipped):,} file{'s or studies' if len(skipped) > 1 else ' or study'} skipped:"]
    reasons = Counter(row["reason"] for row in skipped)
    for reason, count in reasons.most_common(LISTED_SKIPPED):
        [first, *_] = [row["path"] for row in skipped if row["reason"] == reason]
        name = visible(first.rstrip("/").rsplit("/", 1)[-1])
        of = shortened(name, 32) if count == 1 else f"{count:,}, as {shortened(name, 32)}"
        text = f"- {of}: {visible(reason)}"
        lines += textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    if len(reasons) > LISTED_SKIPPED:
        lines.append(f"- {len(reasons) - LISTED_SKIPPED:,} more reasons")
    return [*lines, f"all of them: {listing}"]


def change_lines(changes: Changes | None, most: int = LISTED) -> list[str]:
    """What became of each size between visits; nothing where none were compared."""
    if changes is None:
        return []
    lines = []
    for one in changes.changes[:most]:
        lines.append(f"{visible(one.before)} to {visible(one.now)}:")
        lines += [f"  cannot tell: {visible(reason)}" for reason in one.reasons]
        for size in one.measures:
            share = "" if size.percent is None else f" ({size.percent:+.0f} %)"
            limit = "" if size.limit is None else f", repeatability allows {size.limit:.3g}"
            told = f"{size.before:.3g} to {size.now:.3g} {size.unit}{share}{limit}"
            lines.append(f"  {size.what}: {size.word}, {told}")
    if len(changes.changes) > most:
        lines.append(f"{len(changes.changes) - most} more pairs are in changes.csv")
    return lines
