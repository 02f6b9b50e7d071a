"""Who may come in, and how much may be sent: the outermost layer of the studio.

- Only addresses that this computer is known by are answered (Host), so that no page of a stranger whose name
  was made to point here (DNS rebinding) can read anything.
- A request that changes something must come from the studio's own pages (Origin), with their token (CSRF).
- Whoever opens the address with the random token, or knows the password, gets a cookie; nobody else sees anything.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from synthoma.core.errors import ConfigError
from synthoma.studio.limits import Limits
from synthoma.studio.refusal import RefusedError

LOG = logging.getLogger("synthoma.studio")
OPEN = ("/enter", "/login", "/static/")
"""Addresses that nobody needs a cookie for: they show nothing of anybody."""
UPLOADING = ("/upload", "/detect/upload")
DRAWING = ("/correct/", "/between/")
CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_READS = frozenset({"GET", "HEAD"})

SHORTEST_PASSWORD = 10
_LATER = 1.0
"""Seconds between two wrong passwords, whoever gives them."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; font-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""What a page may load: its own files. Nothing inline is run, whatever a name holds."""

PAGE_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; img-src data: blob:; media-src data:; font-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src data: blob:; frame-ancestors 'none'"
)
"""The same for pages of artefacts, which carry all that they need inside: they run as strangers to the studio."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


Refuser = Callable[[Request, RefusedError], Response]
"""Makes the answer to what is refused."""


@dataclass
class Door:
    """What the studio is known by, and who has come in.

    Attributes:
        host, port: where it listens.
        password: that is asked for; None where the token of the address is enough.
        token: of the address that is opened.
        sessions: value of the cookie -> CSRF token of its pages.
    """

    host: str
    port: int
    password: str | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    sessions: dict[str, str] = field(default_factory=dict)
    _wrong: float = 0.0
    _one: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies do not tell ports apart, and two studios may run."""
        return f"synthoma_studio_{self.port}"

    @property
    def address(self) -> str:
        """What is opened in the browser."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        name = "127.0.0.1" if self.host in ("0.0.0.0", "::") else name
        rest = "/" if self.password is not None else f"/enter?token={self.token}"
        return f"http://{name}:{self.port}{rest}"

    def knows(self, host: str) -> bool:
        """Whether a Host header means this computer."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port or parts.username is not None or parts.path:
            return False
        if name in ("127.0.0.1", "localhost", "::1", self.host.lower()):
            return True
        if loopback(self.host):
            return False
        # A number cannot be made to point elsewhere, as a name can.
        return _is_number(name) or name in (socket.gethostname().lower(), socket.getfqdn().lower())

    def enter(self, token: str) -> str | None:
        """A new session for the token of the address; None where it is another, or a password is asked for."""
        right = hmac.compare_digest(token.encode(), self.token.encode())
        return self._session() if right and self.password is None else None

    def login(self, password: str) -> str | None:
        """A new session for the password; None where it is wrong. One guess a second, whoever guesses.

        Raises:
            RefusedError: somebody has just given a wrong one.
        """
        with self._one:
            if time.monotonic() - self._wrong < _LATER:
                raise RefusedError(429, "a password", "another one too soon after a wrong one", "wait a second")
            if self.password is not None and hmac.compare_digest(password.encode(), self.password.encode()):
                return self._session()
            self._wrong = time.monotonic()
            return None

    def _session(self) -> str:
        session = secrets.token_urlsafe(32)
        self.sessions[session] = secrets.token_urlsafe(24)
        return session

    def check_csrf(self, request: Request, given: object) -> None:
        """Raise RefusedError unless a change comes with the token of the session's pages."""
        right = self.sessions.get(request.cookies.get(self.cookie, ""))
        if right is None or not isinstance(given, str) or not hmac.compare_digest(given.encode(), right.encode()):
            raise RefusedError(403, "a change asked for on a page of the studio", "no token of one", "reload the page")


def loopback(host: str) -> bool:
    """Whether only this computer can come in where a server listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def password_for(host: str, file: Path | None) -> str | None:
    """The password that is asked for: the first line of a file.

    Raises:
        ConfigError: others could come in, and there is none; or it is short.
    """
    if file is None:
        if not loopback(host):
            todo = "add --password-file FILE, or leave --host out: the studio is for this computer then"
            raise ConfigError("a password where other computers can come in", f"--host {host} alone", todo)
        return None
    try:
        password = (file.read_text(encoding="utf-8").splitlines() or [""])[0].strip()
    except (OSError, ValueError) as error:
        raise ConfigError("a file with a password", f"{file}: {error}", "write one line of text into it") from None
    if len(password) < SHORTEST_PASSWORD:
        wanted = f"a password of {SHORTEST_PASSWORD} characters or more"
        raise ConfigError(wanted, f"{len(password)} in {file}", "write a longer one into its first line")
    return password


class Gate:
    """Lets in what may come in, and puts the headers on what goes out.

    Args:
        app: the studio.
        door: see there.
        limits: see there.
        refuse: makes the answer to what is refused.
    """

    def __init__(self, app: ASGIApp, door: Door, limits: Limits, refuse: Refuser) -> None:
        self.app, self.door, self.limits, self.refuse = app, door, limits, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope)
        limit = self._limit(scope["path"])
        try:
            self._check(request, limit)
        except RefusedError as refusal:
            await self.refuse(request, refusal)(scope, receive, _with_headers(send))
            return
        await self.app(scope, _counted(receive, limit), _with_headers(send))

    def _limit(self, path: str) -> int:
        """Bytes that may be sent to an address."""
        if path in UPLOADING:
            return self.limits.upload_bytes
        return self.limits.mask_bytes if path.startswith(DRAWING) else self.limits.form_bytes

    def _check(self, request: Request, limit: int) -> None:
        door = self.door
        if not door.knows(request.headers.get("host", "")):
            raise RefusedError(400, "the address that the terminal shows", "another host", "open that one")
        changes = request.method in CHANGES
        if not changes and request.method not in _READS:
            raise RefusedError(405, "GET or POST", "another method", "use the pages")
        origin = request.headers.get("origin")
        if changes and origin is not None and not _same(origin, request.headers["host"]):
            raise RefusedError(
                403, "a change asked for on a page of the studio", "one of another page", "use the pages"
            )
        if changes and request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise RefusedError(
                403, "a change asked for on a page of the studio", "one of another site", "use the pages"
            )
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            raise _too_large(limit)
        if request.scope["path"].startswith(OPEN):
            return
        if request.cookies.get(door.cookie, "") not in door.sessions:
            todo = "enter the password" if door.password is not None else "open the address that the terminal shows"
            raise RefusedError(401, "somebody who has come in", "nobody that is known", todo)


def _same(origin: str, host: str) -> bool:
    """Whether an Origin header names the host that was asked; pages over TLS come through a proxy of the same name."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _too_large(limit: int) -> RefusedError:
    return RefusedError(
        413, f"at most {limit:,} bytes", "more", "send less at a time, or start `synthoma studio FOLDER`"
    )


def _counted(receive: Receive, limit: int) -> Receive:
    """The body of a request, which ends in RefusedError where more comes than it said, or than may be."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _too_large(limit)
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in own]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sent


def told_of(request: Request, refusal: RefusedError) -> None:
    """Log what was refused: no names of files, no addresses of artefacts, since those may name patients."""
    first = str(request.scope["path"]).lstrip("/").partition("/")[0]
    known = first if first.isascii() and first.isalpha() and len(first) < 20 else "?"
    who = request.client.host if request.client else "?"
    LOG.warning("refused %s /%s from %s: %d, came %s", request.method, known, who, refusal.status, refusal.came)
