"""The page of readers' answers: a verdict in words, d' of each reader, agreement, and the pictures that deceived."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synthoma.evaluation.readers.result import Figure, Mistaken, Quality, Readers, ReaderScores
from synthoma.reports.figures import Span, data_uri, spans
from synthoma.reports.page import render
from synthoma.reports.wording import MINUS, NONE, chance, percent, sentence, tidy

NAMES = {
    "single": ("real called real", "synthetic called synthetic", "synthetic", "real"),
    "pairs": ("right, real one at the left", "right, real one at the right", "right", "left"),
}
"""Both shares of right answers, and the answers to which a bias above and below 0 leans."""

STATES = {
    "TOLD APART": "harms",
    "TOLD APART, HARDLY": "no-evidence",
    "CANNOT TELL": "cannot-tell",
    "NOT TOLD APART": "helps",
    "TAKEN THE WRONG WAY ROUND": "no-evidence",
}
"""Colour of the word."""


@dataclass(frozen=True)
class Tile:
    """A picture that somebody took for what it is not."""

    uri: str
    caption: str


def turing_page(result: Readers, images: Path) -> str:
    """The whole page as HTML text.

    Args:
        result: what the answers were worth.
        images: the set's pictures; those that are gone are left out.
    """
    pairs, pooled = result.design == "pairs", result.pooled
    kinds = ("left", "right") if pairs else ("synthetic", "real")
    titles = (
        ("Real one at the left", "Real one at the right")
        if pairs
        else ("Synthetic, called real", "Real, called synthetic")
    )
    return render(
        "turing.html",
        title="What readers say",
        result=result,
        state=STATES[result.verdict.word],
        verdict=sentence(result.verdict.text),
        lead=_lead(result),
        chart=d_chart(result),
        columns=("reader", "answered", "right", "95 %", "p", *NAMES[result.design][:2], "d'", "95 %", "c", "95 %"),
        rows=[_row(one) for one in result.readers],
        together=_together(result),
        kappa=_kappa(result),
        about=whom(result),
        leans=NAMES[result.design][2:],
        repeats=[_repeats(one) for one in result.readers if one.repeats is not None],
        quality=[
            (name, *_quality(one))
            for name, one in [*((one.reader, one.quality) for one in result.readers), ("all together", pooled.quality)]
            if one is not None
        ],
        confidence=[(one.level, one.share.count, *_share(one.share)) for one in pooled.confidence],
        seconds=[(one.reader, f"{one.seconds:.1f}") for one in result.readers if one.seconds is not None],
        mistaken=[
            (title, [_tile(one, images) for one in result.mistaken if one.truth == kind and _picture(one, images)])
            for title, kind in zip(titles, kinds, strict=True)
        ],
        remarks=[sentence(text) for text in result.remarks],
    )


def reader_lines(result: Readers) -> list[str]:
    """What matters most, a line each reader and one for all."""
    lines = [
        f"{one.reader}: {one.accuracy.right} of {one.accuracy.count} right {_share(one.accuracy)[1]}, "
        f"p {chance(one.p)}, d' {_signed(one.d.value)} {_interval(one.d)}, c {_signed(one.c.value)}"
        for one in result.readers
    ]
    pooled = result.pooled
    if pooled.readers > 1:
        lines.append(f"together: d' {_signed(pooled.d.value)} {_interval(pooled.d)}, about {pooled.about}")
    if pooled.kappa is not None:
        lines.append(f"{pooled.kappa.kind}'s kappa {_signed(pooled.kappa.kappa.value)} {_interval(pooled.kappa.kappa)}")
    return lines


def d_chart(result: Readers) -> str:
    """D' of each reader and of all with intervals, as an SVG text."""
    rows = [Span(one.reader, one.d.value or 0.0, one.d.low, one.d.high) for one in result.readers]
    if result.pooled.readers > 1:
        pooled = result.pooled.d
        rows.append(Span("all together", pooled.value or 0.0, pooled.low, pooled.high, marked=True))
    return spans(rows, "d' with 95 % interval (dashed: guessing)", line=0)


def whom(result: Readers) -> str:
    """Whom intervals are about."""
    if result.pooled.about == "these readers":
        return "They are about these very readers, and say how sure the figures are for other pictures."
    return (
        "They are about other readers and other pictures alike: readers and pictures are crossed, and both vary "
        "(Obuchowski and Rockette 1995, degrees of freedom by Hillis 2007)."
    )


def _lead(result: Readers) -> str:
    what = (
        f"{result.number} real pictures of held-out patients and {result.number} synthetic ones, shown one by one"
        if result.design == "single"
        else f"{result.number} pairs of a real picture of a held-out patient and a synthetic one"
    )
    who = f"{len(result.readers)} reader{'s' if len(result.readers) > 1 else ''}"
    return f"{what} ({result.sequence}); {who}. Stated before: a d' of {result.matters:g} would matter."


def _row(one: ReaderScores) -> tuple[str, ...]:
    missing = f" ({one.missing} missing)" if one.missing else ""
    return (
        one.reader, f"{one.answered}{missing}", *_share(one.accuracy), chance(one.p),
        percent(one.real_as_real.value or 0), percent(one.synthetic_as_synthetic.value or 0),
        _signed(one.d.value), _interval(one.d), _signed(one.c.value), _interval(one.c),
    )  # fmt: skip


def _together(result: Readers) -> tuple[str, ...]:
    """The row of all readers; none with one."""
    pooled = result.pooled
    if pooled.readers < 2:
        return ()
    answered = sum(one.answered for one in result.readers)
    return (
        "all together", str(answered), *_share(pooled.accuracy), chance(pooled.p),
        percent(pooled.real_as_real.value or 0), percent(pooled.synthetic_as_synthetic.value or 0),
        _signed(pooled.d.value), _interval(pooled.d), _signed(pooled.c.value), _interval(pooled.c),
    )  # fmt: skip


def _kappa(result: Readers) -> str:
    found = result.pooled.kappa
    if found is None:
        return ""
    what = "pairs" if result.design == "pairs" else "pictures"
    if found.kappa.value is None:
        return f"{found.kind}'s kappa is not defined: everybody gave one and the same answer."
    return (
        f"{found.kind}'s kappa {_signed(found.kappa.value)} {_interval(found.kappa)} over the {found.items} {what} "
        "that all of them answered: 1 is full agreement, 0 what their habits alone would bring."
    )


def _repeats(one: ReaderScores) -> tuple[str, ...]:
    if one.repeats is None:
        return ()
    same = one.repeats.same
    return one.reader, f"{same.right} of {same.count}", *_share(same), _signed(one.repeats.kappa)


def _share(share: Figure) -> tuple[str, str]:
    """A share and its interval in per cent."""
    if share.value is None or share.low is None or share.high is None:
        return NONE, NONE
    return percent(share.value), f"[{100 * share.low:.0f}, {100 * share.high:.0f}] %"


def _quality(one: Quality) -> tuple[str, ...]:
    return (
        f"{one.real:.2f}", f"{one.synthetic:.2f}", f"{one.superiority:.2f}", chance(one.p)
    )  # fmt: skip


def _interval(found: Figure) -> str:
    """Ends in brackets."""
    if found.low is None or found.high is None:
        return NONE
    return f"[{_signed(found.low)}, {_signed(found.high)}]"


def _signed(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}".replace("-", MINUS)


def _picture(one: Mistaken, images: Path) -> Path | None:
    path = images / f"{one.item}.png"
    return path if path.is_file() else None


def _tile(one: Mistaken, images: Path) -> Tile:
    uri = data_uri((images / f"{one.item}.png").read_bytes())
    return Tile(uri, tidy(f"{one.item} · {one.label} · {one.wrong} of {one.answers} wrong"))
