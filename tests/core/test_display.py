"""Progress says the same to everybody: phase, amount, time left, end."""

from __future__ import annotations

import io
import json
import re
import threading
import time

import pytest

from synthoma.core import display as module
from synthoma.core.display import Bars, Display, JsonLines, Lines, Phase, clock, display_for, shown, span, telling


class Terminal(io.StringIO):
    """A text stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


class Training:
    """How far a toy training is."""

    def __init__(self) -> None:
        self.images, self.events = 1200, ["the discriminator wins"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (3599, "59:59 min"), (7325, "2:02 h")]
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_end_has_its_day_where_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    noon = time.mktime((2026, 3, 4, 12, 0, 0, 0, 0, -1))
    local = time.localtime
    monkeypatch.setattr(module.time, "time", lambda: noon)
    monkeypatch.setattr(module.time, "localtime", lambda at=noon: local(at))
    assert clock(5400) == "13:30"
    assert clock(18 * 3600) == "05 Mar 06:00"


def test_time_left_is_that_of_the_phase_at_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    phase = Phase("reading scans", total=40, began=100.0)
    assert phase.left is None
    assert phase.times() == ""
    now[0], phase.done = 110.0, 10
    assert phase.left == 30.0
    assert phase.amount() == "10 of 40"
    assert phase.times().startswith("30 s left, ends ")
    now[0], phase.ended = 145.0, 145.0
    assert phase.times() == "45 s"


def test_what_was_spent_before_a_training_does_not_count_as_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    display = Display()
    for seconds, share in ((0.0, 0.5), (10.0, 0.6)):
        now[0] = 100.0 + seconds
        display.training(Training(), share, {})
        if display.phase is not None and not seconds:
            display.phase.began = 100.0
    assert display.phase is not None
    assert display.phase.left == pytest.approx(40.0)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_bars_show_every_phase_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    with shown(stream=stream) as display:
        assert isinstance(display, Bars)
        display.work("simulating patients", 3, 24)
        display.work("simulating patients", 24, 24)
        display.training(Training(), 0.25, {"d_loss": 0.5, "g_loss": 1.25, "images_per_second": 90.0})
        display.training(Training(), 1.0, {"d_loss": 0.5, "g_loss": 1.25, "images_per_second": 90.0})
        display.work("[odd] name", 1, 1)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert text.count("warning: the discriminator wins") == 1
    assert "━" in text
    if width >= 80:
        for said in ("simulating patients", "24 of 24", "100 %", "1,200 images", "D 0.5", "G 1.25", "[odd] name"):
            assert said in text, said
        assert max(map(len, re.split(r"[\r\n]", text))) <= width


def test_a_log_gets_a_line_now_and_then_even_where_work_stands_still() -> None:
    stream, told = io.StringIO(), threading.Event()
    lines = Lines(stream, every=0.02)
    lines.work("looking for duplicates", 1, 4)
    for _ in range(200):
        if stream.getvalue().count("\n") >= 3:
            told.set()
            break
        time.sleep(0.01)
    lines.work("simulating patients", 1, 4)
    lines.close()
    text = stream.getvalue().splitlines()
    assert told.is_set()
    assert text[0].startswith("looking for duplicates: 1 of 4, ")
    assert "left, ends" in text[0]
    assert any(line.startswith("looking for duplicates: done, in ") for line in text)
    assert not lines.thread.is_alive()


def test_a_quick_command_is_silent_in_a_log() -> None:
    stream = io.StringIO()
    with shown(stream=stream) as display:
        display.work("reading scans", 5, 5)
    assert not stream.getvalue()


def test_a_program_reads_objects() -> None:
    stream = io.StringIO()
    with shown("json", stream) as display:
        assert isinstance(display, JsonLines)
        for done in range(1, 501):
            display.work("reading scans", done, 500)
        display.training(Training(), 0.5, {"loss": float("nan")})
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    phases = [one for one in found if "phase" in one]
    assert len(phases) < 10
    assert phases[0]["phase"] == "reading scans"
    assert {"phase": "reading scans", "done": 500, "total": 500, "ended": True}.items() <= phases[1].items()
    assert phases[-1]["ended"] is True
    assert {"warning": "the discriminator wins"} in found


def test_who_tells_is_told_and_nobody_else(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[str, int, int]] = []
    with telling(lambda *work: heard.append(work)) as tell:
        tell("reading scans", 1, 2)
    assert heard == [("reading scans", 1, 2)]
    assert type(display_for("quiet")) is Display
    assert capsys.readouterr().err == ""
