"""Text on the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from synthoma.core.untrusted import visible

if TYPE_CHECKING:
    from synthoma.core.fanned import Fan
    from synthoma.pipeline.cohort import Cohort

LISTED = 12
"""Items of a list that are shown."""

KEPT: ContextVar[list[str] | None] = ContextVar("kept", default=None)
"""What was said and not printed, since it goes into an object at the end; None where it is printed."""


CALLED: ContextVar[Mapping[str, str]] = ContextVar("called", default={})  # noqa: B039
"""Folders that stand for a place elsewhere, and what the user calls it."""


def say(text: str, *, end: str = "\n", to: TextIO | None = None) -> None:
    """Print a text; what names in it would make a terminal do is shown instead."""
    for local, called in CALLED.get().items():
        text = text.replace(local, called)
    if to is None and (kept := KEPT.get()) is not None:
        kept.extend(text.splitlines())
        return
    print(visible(text, keep="\n\t"), end=end, file=to or sys.stdout, flush=True)


def tell(facts: Mapping[str, object], to: TextIO, *, indent: int | None = None) -> None:
    """Print facts for a program, as a JSON object."""
    print(json.dumps(facts, indent=indent), file=to, flush=True)


def browse(page: Path) -> None:
    """Open a page in the browser."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        say(f"no browser was found: open {page} yourself", to=sys.stderr)


def say_made(cohort: Cohort, summary: str) -> None:
    """What became of scans: the first remarks, a line that sums up, and the page."""
    remarks = cohort.meta.remarks
    for remark in remarks[:LISTED]:
        say(f"note: {visible(remark)}")
    if len(remarks) > LISTED:
        say(f"note: {len(remarks) - LISTED} more on the page")
    say(summary)
    say(f"page: {cohort.path / 'report.html'}")


def understood(facts: Mapping[str, object]) -> None:
    """Print what was understood of a folder of scans."""
    from synthoma.cohorts.understanding import lines_of

    for line in lines_of(facts):
        say(line)


def share_told(fan: Fan) -> bool:
    """Say what was done of a share of the jobs, where only one was wanted; whether so."""
    if fan.done is None:
        return False
    share, done = fan.config.shard, fan.done
    say(f"share {share}: {done.ours:,} of {done.total:,} jobs, {done.before:,} of them finished before; kept in "
        f"{fan.config.parts}")  # fmt: skip
    say("when all shares are done: the same command without --shard puts them together")
    return True


def skipped(listing: Path) -> None:
    """Print how many files were not used, by kind."""
    import csv
    from collections import Counter

    with listing.open(encoding="utf-8", newline="") as stream:
        kinds = Counter(row["kind"] for row in csv.DictReader(stream))
    if kinds:
        say(f"{kinds.total():,} files or studies were not used: see {listing}")
    for kind, count in kinds.most_common(LISTED):
        say(f"  {count:>6} x {kind}")


def lines(content: Mapping[str, object], indent: str = "") -> Iterator[str]:
    """Nested facts as lines; long lists are cut."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from lines(value, indent + "  ")
        elif isinstance(value, list):
            more = f", and {len(value) - LISTED} more (--json shows all)" if len(value) > LISTED else ""
            yield f"{indent}{key}: {', '.join(map(str, value[:LISTED])) or 'none'}{more}"
        else:
            yield f"{indent}{key}: {value}"
