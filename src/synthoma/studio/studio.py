"""What all screens share: the folders, the jobs, the door, and how a page is filled."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from synthoma._version import __version__
from synthoma.core.display import span
from synthoma.reports.page import render
from synthoma.studio.gate import Door
from synthoma.studio.limits import Limits
from synthoma.studio.orders import Desk, Order
from synthoma.studio.places import Places
from synthoma.studio.queue import Queue, amount
from synthoma.studio.store import Job, Store

MOST_FIELDS = 1000
"""Of a form: a table of cases to correct has five a case."""

Screen = Callable[[Request], Response]
Change = Callable[[Request, FormData], Response]

SCREENS = (
    ("/", "Home"), ("/drop", "Scans"), ("/cohort", "Cohort"), ("/train", "Train"), ("/synthetic", "Synthetic"),
    ("/verdict", "Verdict"), ("/detect", "Detect"), ("/turing", "Turing test"), ("/jobs", "Jobs"), ("/learn", "Learn"),
)  # fmt: skip
"""Address and title of each screen of the menu."""


PART_OF = {
    "/scans": "/drop", "/run": "/train", "/evaluation": "/verdict", "/verdicts": "/verdict", "/findings": "/detect",
    "/view": "/detect", "/teach": "/detect", "/paint": "/drop",
    "/reading": "/turing", "/read": "/turing", "/readers": "/turing", "/job": "/jobs",
}  # fmt: skip
"""Screens of the menu that further pages belong to."""


@dataclass(frozen=True)
class Studio:
    """One studio.

    Attributes:
        places: folders.
        store, queue: jobs.
        door: who may come in.
        limits: how much may be sent.
        writing: held by who chooses a new place and fills it at once.
    """

    places: Places
    store: Store
    queue: Queue
    door: Door
    limits: Limits = field(default_factory=Limits)
    writing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def page(self, request: Request, template: str, title: str, status: int = 200, **content: object) -> Response:
        """A page for the one who asks."""
        session = request.cookies.get(self.door.cookie, "")
        csrf = self.door.sessions.get(session, "")
        first = "/" + str(request.scope["path"]).strip("/").partition("/")[0]
        here = PART_OF.get(first, first)
        text = (
            _templates()
            .get_template(template)
            .render(
                title=title,
                csrf=csrf,
                here=here,
                screens=SCREENS,
                inside=bool(csrf),
                running=self._running(csrf),
                **content,
            )
        )
        return HTMLResponse(text, status)

    def _running(self, csrf: str) -> int:
        return len(self.store.jobs("queued", "running")) if csrf else 0

    def desk(self) -> Desk:
        """Where forms become orders."""
        return Desk(self.places, self.store.taken())

    def order(self, order: Order) -> Job:
        """Put what was ordered into the queue."""
        return self.queue.add(order.kind, order.title, order.words, str(order.output or ""))

    def change(self, work: Change) -> Callable[[Request], Awaitable[Response]]:
        """What answers a form: ``work``, if the form comes from a page of this session."""

        async def answer(request: Request) -> Response:
            given = request.headers.get("x-csrf")
            if given is not None:  # then it is known before anything is read
                self.door.check_csrf(request, given)
            most = self.limits.files
            async with request.form(
                max_files=most, max_fields=MOST_FIELDS, max_part_size=self.limits.form_bytes
            ) as form:
                if given is None:
                    self.door.check_csrf(request, form.get("csrf"))
                return await run_in_threadpool(work, request, form)

        return answer


def texts(form: FormData) -> dict[str, str]:
    """The fields of a form that are texts."""
    return {name: value for name, value in form.items() if isinstance(value, str)}


def number_in(text: str) -> int:
    """A whole number of at most nine digits; -1 for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def see(address: str) -> Response:
    """Send the browser on to a page, after something was changed."""
    return RedirectResponse(address, 303)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("synthoma.studio", "templates"),
        autoescape=True,  # names are the user's and may hold anything
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = __version__
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["day"] = lambda seconds: time.strftime("%d %b %H:%M", time.localtime(seconds))
    environment.filters["span"] = span
    environment.filters["amount"] = amount
    return environment


@cache
def look_of_pages() -> str:
    """The style sheet that all pages of Synthoma share, out of their frame."""
    frame = render("base.html", title="")
    found = re.search(r"<style>(.*?)</style>", frame, re.DOTALL)
    return found.group(1) if found else ""
