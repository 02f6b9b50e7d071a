"""The screen of scans that were looked at: what was understood, what a person corrects of it, and who is held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synthoma.cohorts.corrections import Correction
from synthoma.cohorts.splits import LEAST_HELD_OUT
from synthoma.studio import look
from synthoma.studio.options import MODALITIES, PLAIN, SLICES
from synthoma.studio.places import UPLOADS
from synthoma.studio.studio import Studio, see, texts

SHOWN = 100
"""Cases that have a line of their own on the page; fields of a form are limited."""

HELD_OUT = (15, 15)
"""Percent of patients for test and validation where nobody says otherwise, as `prepare` has it."""

PATTERNS = {
    "": "as it was understood",
    "case": "each case is a patient of its own",
    "before": "the case's name up to a mark",
    "first": "the first letters of the case's name",
}
"""How patients are told from names of cases."""


class Understood:
    """The page between scans and cohort.

    Args:
        studio: what it shows.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """Which address shows it."""
        return [
            Route("/scans/{at:path}", self.scans),
            Route("/order/prepare", self.studio.change(self.prepare), methods=["POST"]),
        ]

    def scans(self, request: Request) -> Response:
        """What was understood of scans, and how they become a cohort."""
        at, asked = request.path_params["at"], request.query_params
        path = self.studio.places.find(at)
        job = self.studio.store.last(str(path), look=True)
        facts = self.studio.queue.result(job) if job is not None and job.state == "done" else {}
        name = path.name if path.parent.name != UPLOADS else look.upload_name(self.studio.places, path)
        by, mark = asked.get("by", ""), asked.get("mark", "_")[:20]
        cases = _cases(facts, by if by in PATTERNS else "", mark)
        return self.studio.page(
            request, "scans.html", "Scans", at=at, name=name, job=job, understood=lines(facts),
            kind=look.text(facts, "kind"), sizes={"modalities": MODALITIES, "slices": SLICES},
            cases=cases[:SHOWN], more=len(cases) - SHOWN, sequences=_sequences(facts), names=(*MODALITIES, PLAIN),
            labels=_labels(facts), patterns=PATTERNS, by=by, mark=mark, percent=HELD_OUT, least=LEAST_HELD_OUT,
            meter=meter({case["patient"] for case in cases}, *HELD_OUT),
        )  # fmt: skip

    def prepare(self, request: Request, form: FormData) -> Response:
        """Order a cohort, with the corrections of the form; a pattern is about cases without a line on the page too."""
        given = texts(form)
        rest: list[Correction] = []
        if by := given.get("by", ""):
            path = self.studio.places.find(given.get("at", ""))
            job = self.studio.store.last(str(path), look=True)
            facts = self.studio.queue.result(job) if job is not None else {}
            cases = _cases(facts, by, given.get("mark", "")[:20])[SHOWN:]
            rest = [Correction(one["case"], one["patient"]) for one in cases if one["patient"] != one["was"]]
        job = self.studio.order(self.studio.desk().prepare(given, rest))
        return see(f"/job/{job.id}")


def lines(facts: look.Facts) -> list[str]:
    """What was understood of a folder of scans, as lines; empty where it is something else."""
    if facts.get("kind") != "scans":
        return []
    from synthoma.cohorts.understanding import lines_of

    return lines_of(facts)


def meter(patients: set[str], test: float, validation: float) -> str:
    """How many patients would be held out, and whether that is enough for a verdict on usefulness.

    Args:
        patients: names of those that are used.
        test: percent of them.
        validation: likewise.
    """
    count = len(patients)
    held = min(sum(max(1, round(count * share / 100)) for share in (test, validation) if share > 0), max(count - 1, 0))
    said = f"{held} of {count} patients are held out of training"
    if count < LEAST_HELD_OUT + 2:
        return f"{said}. A verdict on usefulness takes {LEAST_HELD_OUT} and 2 to learn from: it will read CANNOT TELL."
    if held < LEAST_HELD_OUT:
        return f"{said}. A verdict on usefulness takes {LEAST_HELD_OUT}: hold out more, or it will read CANNOT TELL."
    return f"{said}: enough for a verdict on usefulness ({LEAST_HELD_OUT} or more with tumour)."


def patient_of(case: str, by: str, mark: str) -> str:
    """The patient that a case's name tells by a pattern; "" where it tells none.

    Args:
        case: its name.
        by: ``case``, ``before`` or ``first``, see ``PATTERNS``.
        mark: the mark, or how many letters.
    """
    if by == "case":
        return case
    if by == "before" and mark:
        return case.partition(mark)[0]
    if by == "first" and mark.isascii() and mark.isdigit():
        return case[: int(mark)]
    return ""


def _cases(facts: look.Facts, by: str, mark: str) -> list[dict[str, str]]:
    """The cases that were found, each with its patient as understood, and as a pattern tells it."""
    found = []
    table = facts.get("table")
    for one in table if isinstance(table, list) else []:
        if not isinstance(one, Mapping):
            continue
        facts_of = cast("look.Facts", dict(one))
        case, was = look.text(facts_of, "case"), look.text(facts_of, "patient")
        names = facts_of.get("sequences")
        found.append(
            {
                "case": case,
                "was": was if was != "None" else "",
                "patient": patient_of(case, by, mark) or (was if was != "None" else "") or case,
                "sequences": " ".join(map(str, names)) if isinstance(names, list) else "",
                "mask": "mask" if facts_of.get("mask") is True else "",
                "class": look.text(facts_of, "class"),
            }
        )
    return found


def _sequences(facts: look.Facts) -> dict[str, int]:
    counts = look.inner(facts, "modalities")
    known = (*MODALITIES, PLAIN)
    return {name: value for name, value in counts.items() if name in known and isinstance(value, int)}


def _labels(facts: look.Facts) -> list[dict[str, object]]:
    """What masks mean: each decision with its values, and what else they could mean."""
    labels = facts.get("labels")
    rows = [one for one in labels if isinstance(one, dict)] if isinstance(labels, list) else []
    return [
        {
            "known": one.get("convention") is not None,
            "text": look.text(one, "meaning") or look.text(one, "why"),
            "choices": [str(name) for name in choices] if isinstance(choices := one.get("choices"), list) else [],
        }
        for one in rows
    ]
