"""The visual Turing test in the browser: blinded, one picture after another, and no answer shown before the end."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from synthoma.studio import look
from synthoma.studio.options import DESIGNS, MODALITIES
from synthoma.studio.readings import Readings, set_at
from synthoma.studio.refusal import RefusedError
from synthoma.studio.studio import Screen, Studio, see, texts

ANSWERED = "answers"
"""Folder of the studio's own in which answers are written for the command that scores them."""


class Turing:
    """Pages around blinded sets.

    Args:
        studio: what they show.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def routes(self) -> list[Route]:
        """Which address shows what."""
        pages: dict[str, Screen] = {
            "/turing": self.turing, "/reading/{at:path}": self.reading, "/read/{at:path}": self.read,
            "/picture/{at:path}": self.picture, "/readers/{at:path}": self.readers,
        }  # fmt: skip
        return [
            *(Route(address, screen) for address, screen in pages.items()),
            Route("/answer/{at:path}", self.studio.change(self.answer), methods=["POST"]),
            Route("/score/{at:path}", self.studio.change(self.score), methods=["POST"]),
        ]

    def turing(self, request: Request) -> Response:
        """Blinded sets, and how to make one."""
        found = look.artefacts(self.studio.places)
        of = {kind: [one for one in found if one.kind == kind] for kind in ("cohort", "synthetic")}
        return self.studio.page(
            request, "turing.html", "Turing test", sets=[one for one in found if one.kind == "blinded set"],
            results=[one for one in found if one.kind == "readers"], cohorts=of["cohort"], synthetic=of["synthetic"],
            chosen=request.query_params.get("synthetic", ""), designs=DESIGNS, modalities=MODALITIES,
        )  # fmt: skip

    def _set(self, request: Request) -> tuple[Path, look.Found, Readings]:
        path, found = look.expected(self.studio.places, request.path_params["at"], "blinded set")
        return path, found, Readings(self.studio.store, set_at(path))

    def reading(self, request: Request) -> Response:
        """A set: what it can show, and how far its readers are."""
        from synthoma.reports.turing_sheets import power_lines

        path, found, readings = self._set(request)
        readers = [readings.progress(name) for name in readings.shown.orders]
        job = self.studio.store.last(str(path))
        return self.studio.page(
            request, "reading.html", found.name, found=found, shown=readings.shown, readers=readers,
            power=power_lines(readings.shown), closed=readings.closed, finished=all(not one.next for one in readers),
            begun=any(one.answered for one in readers), job=job,
        )  # fmt: skip

    def read(self, request: Request) -> Response:
        """The picture that a reader is to judge next."""
        from synthoma.reports.turing_sheets import QUESTION

        _, found, readings = self._set(request)
        progress = readings.progress(request.query_params.get("reader", ""))
        if readings.closed:
            raise RefusedError(409, "a test that is not over", "one that was scored", "see its result")
        return self.studio.page(
            request, "read.html", f"{progress.answered + 1} of {progress.of}", found=found, progress=progress,
            question=QUESTION[readings.shown.design], pairs=readings.shown.design == "pairs",
        )  # fmt: skip

    def picture(self, request: Request) -> Response:
        """A picture of a set."""
        _, found, readings = self._set(request)
        item = request.query_params.get("item", "")
        if item not in readings.shown.items:
            raise RefusedError(404, "a picture of the set", "another one", "go back to the set")
        return FileResponse(self.studio.places.find(f"{found.at}/images/{item}.png"), media_type="image/png")

    def answer(self, request: Request, form: FormData) -> Response:
        """Write down an answer, and show the next picture."""
        _, found, readings = self._set(request)
        given = texts(form)
        reader = given.get("reader", "")
        readings.answer(reader, given.get("item", ""), given)
        return see(f"/read/{look.quoted(found.at)}?reader={look.quoted(reader)}")

    def score(self, request: Request, form: FormData) -> Response:
        """End the test and score it; before everybody has finished only where that is said."""
        path, _, readings = self._set(request)
        given = texts(form)
        unfinished = [name for name in readings.shown.orders if readings.progress(name).next]
        if unfinished and not given.get("early") and not readings.closed:
            came = f"{len(unfinished)} who have not"
            raise RefusedError(409, "readers who have answered all", came, "wait, or say that the test ends now")
        files = readings.close(self.studio.places.own / ANSWERED)
        if not files:
            raise RefusedError(409, "answers", "none", "make the set again: this one is closed now")
        job = self.studio.order(self.studio.desk().score(path, files, given))
        return see(f"/job/{job.id}")

    def readers(self, request: Request) -> Response:
        """What readers' answers were worth."""
        from synthoma.evaluation.readers.result import read_readers
        from synthoma.reports.turing_page import reader_lines

        path, found = look.expected(self.studio.places, request.path_params["at"], "readers")
        result = read_readers(path)
        return self.studio.page(
            request, "readers.html", found.name, found=found, verdict=result.verdict, said=reader_lines(result),
            remarks=result.remarks,
        )  # fmt: skip
