"""The studio as an application: which address shows what."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from synthoma.core.errors import SynthomaError
from synthoma.studio import screens, shown
from synthoma.studio.gate import Gate, told_of
from synthoma.studio.masks import Masks
from synthoma.studio.painting import Painting
from synthoma.studio.refusal import RefusedError
from synthoma.studio.studio import Studio, look_of_pages, see
from synthoma.studio.teaching import Teaching
from synthoma.studio.trials import Trials
from synthoma.studio.turing import Turing
from synthoma.studio.understood import Understood
from synthoma.studio.wall import Wall

STATIC = {
    "studio.css": ("synthoma.studio", "static/studio.css", "text/css"),
    "studio.js": ("synthoma.studio", "static/studio.js", "text/javascript"),
    "viewer.js": ("synthoma.studio", "static/viewer.js", "text/javascript"),
    "slices.js": ("synthoma.studio", "static/slices.js", "text/javascript"),
    "brush.js": ("synthoma.studio", "static/brush.js", "text/javascript"),
    "trials.js": ("synthoma.studio", "static/trials.js", "text/javascript"),
    "paint.js": ("synthoma.studio", "static/paint.js", "text/javascript"),
    "reading.js": ("synthoma.studio", "static/reading.js", "text/javascript"),
    "curves.js": ("synthoma.studio", "static/curves.js", "text/javascript"),
    "uplot.js": ("synthoma.studio", "vendor/uPlot.iife.min.js", "text/javascript"),
    "uplot.css": ("synthoma.studio", "vendor/uPlot.min.css", "text/css"),
    "uplot-licence.txt": ("synthoma.studio", "vendor/LICENSE", "text/plain"),
    "niivue.js": ("synthoma.reports", "vendor/niivue.umd.js", "text/javascript"),
    "niivue-licence.txt": ("synthoma.reports", "vendor/LICENSE", "text/plain"),
}
"""Files that pages load: by their names, from which package."""


def application(studio: Studio) -> ASGIApp:
    """All screens behind the gate."""
    refuse = _refuser(studio)
    pages = screens.Screens(studio)
    pictures = shown.Shown(studio)
    routes = [
        Route("/enter", _enter(studio)),
        Route("/login", _login_page(studio)),
        Route("/login", _login(studio), methods=["POST"]),
        Route("/static/{name}", _static),
        *Understood(studio).routes(),
        *Painting(studio).routes(),
        *pages.routes(),
        *pictures.routes(),
        *Trials(studio).routes(),
        *Wall(studio).routes(),
        *Turing(studio).routes(),
        *Masks(studio).routes(),
        *Teaching(studio).routes(),
    ]
    handlers = {
        RefusedError: lambda request, error: refuse(request, error),
        SynthomaError: lambda request, error: refuse(
            request, RefusedError(400, error.expected, error.came, error.todo)
        ),
        HTTPException: lambda request, error: refuse(request, _http(error)),
        OSError: lambda request, error: refuse(request, _disk(error.strerror or type(error).__name__)),
        sqlite3.Error: lambda request, error: refuse(request, _disk(str(error))),
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Gate(app, studio.door, studio.limits, refuse)


def _http(error: HTTPException) -> RefusedError:
    todo = "go back, or home"
    return RefusedError(error.status_code, "an address of the studio", f"one that is answered by {error.detail}", todo)


def _disk(came: str) -> RefusedError:
    todo = "check that the disk has room and works, then try again"
    return RefusedError(507, "files that can be read and written", came, todo)


class _Refuser:
    """Says what was refused, on a page or to a program, and logs it."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def __call__(self, request: Request, refusal: RefusedError) -> Response:
        told_of(request, refusal)
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"error": str(refusal)}, refusal.status)
        if refusal.status == 401 and self.studio.door.password is not None and request.method == "GET":
            return see("/login")
        return self.studio.page(request, "refused.html", "Not done", refusal.status, refusal=refusal)


def _refuser(studio: Studio) -> _Refuser:
    return _Refuser(studio)


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "look.css":
        return Response(look_of_pages(), media_type="text/css")
    if name not in STATIC:
        raise HTTPException(404)
    package, path, kind = STATIC[name]
    return Response(files(package).joinpath(path).read_bytes(), media_type=kind)


def _let_in(studio: Studio, session: str) -> Response:
    # A page that goes on by itself, not a redirection: a strict cookie is not sent on one that another site began.
    response = HTMLResponse(
        '<!doctype html><html lang="en"><title>Synthoma studio</title><meta http-equiv="refresh" content="0; url=/">'
        '<link rel="icon" href="data:,">'
        '<p><a href="/">Go on to the studio</a></p></html>'
    )
    response.set_cookie(studio.door.cookie, session, httponly=True, samesite="strict", path="/")
    return response


def _enter(studio: Studio) -> screens.Screen:
    def enter(request: Request) -> Response:
        session = studio.door.enter(request.query_params.get("token", ""))
        if session is None:
            raise RefusedError(401, "the address that the terminal shows", "another one", "open that one")
        return _let_in(studio, session)

    return enter


def _login_page(studio: Studio) -> screens.Screen:
    def show(request: Request) -> Response:
        if studio.door.password is None:
            raise RefusedError(401, "the address that the terminal shows", "another one", "open that one")
        return studio.page(request, "login.html", "Password")

    return show


def _login(studio: Studio) -> Callable[[Request], Awaitable[Response]]:
    async def login(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=5) as form:
            given = form.get("password")
        session = studio.door.login(given) if isinstance(given, str) else None
        if session is None:
            raise RefusedError(401, "the password", "another one", "go back and try again")
        return _let_in(studio, session)

    return login
