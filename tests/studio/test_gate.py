"""Nobody comes in who must not, and nothing is changed by a page of somebody else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from synthoma.core.errors import ConfigError
from synthoma.studio.app import application
from synthoma.studio.gate import Door, loopback, password_for
from synthoma.studio.masks import Masks
from synthoma.studio.refusal import RefusedError
from synthoma.studio.screens import Screens
from synthoma.studio.shown import Shown
from synthoma.studio.studio import Studio
from synthoma.studio.turing import Turing
from synthoma.studio.understood import Understood
from synthoma.studio.wall import Wall
from tests.studio.conftest import ADDRESS, SMALL


def _routes(studio: Studio) -> list[Route]:
    rooms = (Screens, Shown, Understood, Wall, Turing, Masks)
    return [route for room in rooms for route in room(studio).routes()]


def _address(route: Route) -> str:
    return route.path.replace("{at:path}", "w/none").replace("{id}", "0").replace("{name}", "train")


def test_nothing_is_shown_without_the_cookie(studio: Studio, stranger: TestClient) -> None:
    for route in _routes(studio):
        for method in route.methods or ():
            answer = stranger.request(method, _address(route))
            assert answer.status_code == 401, route.path
            assert "/drop" not in answer.text  # not even the menu


def test_the_token_gives_a_cookie_that_scripts_and_other_sites_do_not_get(studio: Studio, stranger: TestClient) -> None:
    assert stranger.get("/enter", params={"token": "a guess"}).status_code == 401
    assert stranger.get("/enter").status_code == 401
    answer = stranger.get("/enter", params={"token": studio.door.token})
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert studio.door.token not in said
    assert stranger.get("/").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8765", "127.0.0.1:80", "evil.example", "", "127.0.0.1.evil.example:8765", "192.168.1.7:8765"]
)
def test_other_hosts_are_refused(visitor: TestClient, host: str) -> None:
    assert visitor.get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765"])
def test_names_of_this_computer_are_known(host: str) -> None:
    assert Door("127.0.0.1", 8765).knows(host)


def test_changes_need_the_token_of_a_page(studio: Studio, visitor: TestClient, csrf: str) -> None:
    changes = [route for route in _routes(studio) if "POST" in (route.methods or ())]
    assert len(changes) >= 13
    for route in changes:
        for data in ({}, {"csrf": "another"}, {"csrf": ""}):
            assert visitor.post(_address(route), data=data).status_code == 403, route.path
        assert visitor.post(_address(route), headers={"x-csrf": "another"}).status_code == 403, route.path
    assert studio.store.jobs() == []
    other = Door("127.0.0.1", 8765)
    session = other.enter(other.token)
    assert session is not None
    foreign = other.sessions[session]
    assert visitor.post("/order/simulate", data={"csrf": foreign}).status_code == 403
    form = {"csrf": csrf, "patients": "3", "size": "32", "slices": "all", "every": "1"}
    assert visitor.post("/order/simulate", data=form).status_code == 303


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8765"])
def test_changes_from_other_pages_are_refused(studio: Studio, visitor: TestClient, csrf: str, origin: str) -> None:
    form = {"csrf": csrf, "patients": "3", "size": "32", "slices": "all", "every": "1"}
    assert visitor.post("/order/simulate", data=form, headers={"origin": origin}).status_code == 403
    assert visitor.post("/order/simulate", data=form, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert studio.store.jobs() == []
    assert visitor.post("/order/simulate", data=form, headers={"origin": ADDRESS}).status_code == 303


def test_no_change_comes_from_elsewhere(studio: Studio, visitor: TestClient, csrf: str) -> None:
    for route in (one for one in _routes(studio) if "POST" in (one.methods or ())):
        for headers, status in (
            ({"origin": "https://evil.example"}, 403), ({"sec-fetch-site": "cross-site"}, 403),
            ({"host": "evil.example:8765"}, 400),
        ):  # fmt: skip
            answer = visitor.post(_address(route), data={"csrf": csrf}, headers=headers)
            assert answer.status_code == status, route.path
    assert studio.store.jobs() == []


def test_reading_changes_nothing(studio: Studio, visitor: TestClient) -> None:
    for address in ("/order/simulate", "/upload", "/job/0/cancel"):
        assert visitor.get(address, params={"patients": "3"}).status_code == 405
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert visitor.request(method, "/").status_code == 405
    assert studio.store.jobs() == []


def test_headers_let_nothing_in(visitor: TestClient) -> None:
    for address in ("/", "/static/studio.js", "/nowhere", "/job/none/state"):
        headers = visitor.get(address).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_pages_have_no_script_or_style_inside(visitor: TestClient) -> None:
    for address in (
        "/",
        "/drop",
        "/cohort",
        "/train",
        "/synthetic",
        "/verdict",
        "/detect",
        "/jobs",
        "/learn",
        "/turing",
    ):
        page = visitor.get(address).text
        assert page.count("<script") == page.count('<script src="/static/'), address
        assert " style=" not in page
        assert " onclick" not in page
        assert 'src="http' not in page


def test_forms_are_bounded(visitor: TestClient, csrf: str) -> None:
    large = {"csrf": csrf, "name": "x" * (SMALL.form_bytes + 1)}
    assert visitor.post("/order/train", data=large).status_code == 413
    pieces = iter([b"csrf=" + csrf.encode() + b"&name=", *[b"x" * 1024] * 8])  # without a length that is told
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor.post("/order/train", content=pieces, headers=kind).status_code == 413


def test_refusals_are_logged_without_names(visitor: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="synthoma.studio"):
        visitor.get("/view/w/Mueller_Hans_1950")
        visitor.get("/Mueller_Hans_1950.nii", headers={"host": "evil.example"})
    assert len(caplog.records) == 2
    assert "refused GET /view" in caplog.text
    assert "Mueller" not in caplog.text


# Other computers ------------------------------------------------------------------------------------------------------


def test_only_this_computer_needs_no_password(tmp_path: Path) -> None:
    assert [loopback(host) for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost")] == [True] * 4
    assert [loopback(host) for host in ("0.0.0.0", "::", "10.0.0.7", "example.org", "")] == [False] * 5
    assert password_for("127.0.0.1", None) is None
    with pytest.raises(ConfigError, match="--password-file"):
        password_for("0.0.0.0", None)
    file = tmp_path / "password"
    file.write_text("short\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="5 in"):
        password_for("0.0.0.0", file)
    file.write_text("a long password\nmore", encoding="utf-8")
    assert password_for("0.0.0.0", file) == "a long password"


def test_a_password_is_asked_for(studio: Studio) -> None:
    door = Door("0.0.0.0", 8765, "a long password")
    app = application(Studio(studio.places, studio.store, studio.queue, door, SMALL))
    with TestClient(app, base_url="http://10.0.0.7:8765", follow_redirects=False) as client:
        assert client.get("/").headers["location"] == "/login"
        assert client.get("/enter", params={"token": door.token}).headers["location"] == "/login"  # it is not enough
        assert not client.cookies
        assert client.post("/login", data={"password": "a guess of somebody"}).status_code == 401
        assert client.post("/login", data={"password": "a long password"}).status_code == 429  # too soon
        door._wrong -= 10
        evil = {"origin": "http://evil.example"}
        assert client.post("/login", data={"password": "a long password"}, headers=evil).status_code == 403
        assert client.post("/login", data={"password": "a long password"}).status_code == 200
        assert client.get("/").status_code == 200
        assert client.get("/", headers={"host": "evil.example:8765"}).status_code == 400


def test_wrong_passwords_wait() -> None:
    door = Door("0.0.0.0", 1, "a long password")
    assert door.login("wrong") is None
    with pytest.raises(RefusedError, match="too soon"):
        door.login("a long password")
