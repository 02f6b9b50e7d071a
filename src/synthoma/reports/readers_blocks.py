"""What readers say, as a section of an evaluation."""

from __future__ import annotations

from synthoma.evaluation.readers.result import Figure, Readers
from synthoma.reports.blocks import Block
from synthoma.reports.wording import NONE, chance, number, percent, sentence, span

COLUMNS = ("reader", "answered", "right", "p", "d'", "95 %", "c", "95 %")


def readers_block(readers: Readers | None) -> Block | None:
    """Verdict, a row for each reader and one for all; None where nobody looked."""
    if readers is None:
        return None
    what = "pictures of each kind, one by one" if readers.design == "single" else "pairs"
    who = "1 reader" if len(readers.readers) == 1 else f"{len(readers.readers)} readers"
    pooled = readers.pooled
    text = (
        sentence(f"{readers.verdict.word}: {readers.verdict.text}"),
        f"{who} saw {readers.number} {what} ({readers.sequence}), the real ones of held-out patients, without knowing "
        f"which is which. Before they began it was stated that a d' of {readers.matters:g} would matter. d' is how far "
        "both kinds lie apart for a reader, 0 being guessing; c above 0 leans to "
        f"{'synthetic' if readers.design == 'single' else 'the right side'}. Intervals of all together are about "
        f"{pooled.about}.",
        "This changes no light: what readers notice and what models measure are two answers to two questions.",
    )
    rows = [
        (
            one.reader,
            str(one.answered),
            percent(one.accuracy.value or 0),
            chance(one.p),
            *_figure(one.d),
            *_figure(one.c),
        )
        for one in readers.readers
    ]
    if pooled.readers > 1:
        rows.append(
            ("all together", str(sum(one.answered for one in readers.readers)), percent(pooled.accuracy.value or 0),
             chance(pooled.p), *_figure(pooled.d), *_figure(pooled.c))
        )  # fmt: skip
    return Block("readers", "", text, COLUMNS, tuple(rows), items=tuple(map(sentence, readers.remarks)))


def _figure(found: Figure) -> tuple[str, str]:
    return (NONE if found.value is None else number(found.value)), span(found.low, found.high)
