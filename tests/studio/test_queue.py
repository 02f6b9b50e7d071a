"""Jobs: one after another, in processes; ended, killed, and found again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from synthoma.studio.places import Places
from synthoma.studio.queue import Queue, born, command_words
from synthoma.studio.store import Job, Store
from tests.studio.conftest import python

pytestmark = pytest.mark.slow

TELLS = """
import json, sys, time
print(json.dumps({"phase": "counting", "done": 3, "total": 4, "seconds_left": 1.5, "ended": False}), file=sys.stderr)
print("no json", file=sys.stderr, flush=True)
print(json.dumps({"said": sys.argv[1:]}))
"""
FAILS = """
import json, sys
print(json.dumps({"error": "expected a cat; came a dog; bring a cat", "kind": "InputError"}), file=sys.stderr)
sys.exit(2)
"""
SLEEPS = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"

Made = Callable[[str], Queue]


@pytest.fixture
def queues(tmp_path: Path) -> Iterator[Made]:
    started: list[Queue] = []

    def make(script: str) -> Queue:
        places = Places(tmp_path / "workspace")
        queue = Queue(Store(places.own / "jobs.sqlite"), places, 1, python(script))
        started.append(queue)
        queue.start()
        return queue

    yield make
    for queue in started:
        queue.stop()


def until(queue: Queue, job: Job, wanted: Callable[[Job], bool], seconds: float = 60) -> Job:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = queue.store.job(job.id)
        assert found is not None
        if wanted(found):
            return found
        time.sleep(0.02)
    raise AssertionError(queue.store.job(job.id))


def running(job: Job) -> bool:
    return job.state == "running" and job.process is not None


def test_a_command_is_this_python_and_no_shell() -> None:
    assert command_words(("info", "a; rm -rf $HOME `x`")) == [
        sys.executable, "-P", "-m", "synthoma", "info", "a; rm -rf $HOME `x`", "--json",
    ]  # fmt: skip


def test_progress_result_and_log_are_kept(queues: Made) -> None:
    queue = queues(TELLS)
    job = queue.add("prepare", "count", ("a b", "; touch x", "$(x)"))
    done = until(queue, job, lambda one: one.over)
    assert (done.state, done.phase, done.done, done.total, done.seconds_left) == ("done", "counting", 3, 4, 1.5)
    assert done.share == 75
    assert queue.result(done) == {"said": ["a b", "; touch x", "$(x)"]}
    assert "no json" in queue.log(done)


def test_a_failure_says_why(queues: Made) -> None:
    queue = queues(FAILS)
    done = until(queue, queue.add("train", "fail", ()), lambda one: one.over)
    assert (done.state, done.error) == ("failed", "expected a cat; came a dog; bring a cat")


def test_one_works_at_a_time_and_looks_do_not_wait(queues: Made) -> None:
    queue = queues(SLEEPS)
    first, second, look = (queue.add(kind, kind, ()) for kind in ("train", "detect", "look"))
    until(queue, first, running)
    until(queue, look, running)
    found = queue.store.job(second.id)
    assert found is not None
    assert found.state == "queued"
    queue.cancel(found)
    assert until(queue, second, lambda one: one.over).state == "cancelled"
    queue.cancel(first)
    ended = until(queue, first, lambda one: one.over)
    assert ended.state == "cancelled"


def test_cancel_ends_the_whole_group(queues: Made, tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"""
import subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(child)!r}, "w").write(str(inner.pid))
time.sleep(600)
"""
    queue = queues(script)
    job = queue.add("train", "train", ())
    until(queue, job, lambda _: child.is_file() and child.read_text() != "")
    number = int(child.read_text())
    assert born(number)
    queue.cancel(job)
    until(queue, job, lambda one: one.over)
    end = time.monotonic() + 20
    while (state := _state(number)) not in ("", "Z") and time.monotonic() < end:
        time.sleep(0.05)
    assert state in ("", "Z")


def _state(process: int) -> str:
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return said.stdout.strip()[:1]


def test_what_does_not_leave_is_killed(queues: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthoma.studio.queue.PATIENCE", 0.5)
    queue = queues(STUBBORN)
    job = queue.add("train", "train", ())
    until(queue, job, running)
    time.sleep(0.5)  # so that it ignores the signal
    queue.cancel(job)
    assert until(queue, job, lambda one: one.over).state == "cancelled"


def test_a_store_without_room_stops_no_lane(queues: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    full = iter((True, True, False))

    def refused(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    queue = queues(TELLS)
    end = queue.store.end
    monkeypatch.setattr(queue.store, "reached", refused)
    monkeypatch.setattr(queue.store, "runs_as", refused)
    monkeypatch.setattr(queue.store, "end", lambda *given: refused() if next(full, False) else end(*given))
    for _ in range(2):
        job = queue.add("train", "train", ())
        assert until(queue, job, lambda one: one.over).state == "done"


def test_a_studio_that_ends_leaves_stopped_jobs_that_go_on(queues: Made, tmp_path: Path) -> None:
    queue = queues(SLEEPS)
    output = tmp_path / "run"
    job = queue.add("train", "train", ("train", "cohort", f"--output={output}"), str(output))
    waiting = queue.add("generate", "generate", ("generate",))
    until(queue, job, running)
    queue.stop()
    again = queues(TELLS)
    stopped = again.store.job(job.id)
    assert stopped is not None
    assert stopped.state == "stopped"
    assert until(again, waiting, lambda one: one.over).state == "done"  # what was queued still was
    output.mkdir()
    (output / "run.json").write_text("{}")
    assert again.go_on(stopped)
    done = until(again, job, lambda one: one.state == "done")
    assert done.words == ("train", "cohort", f"--output={output}", "--resume")
    assert again.go_on(done)
    assert until(again, job, lambda one: one.state == "done").words.count("--resume") == 1


def test_a_killed_studio_finds_its_jobs_and_ends_their_processes(queues: Made, tmp_path: Path) -> None:
    places = Places(tmp_path / "workspace")
    store = Store(places.own / "jobs.sqlite")
    job, other = store.add("train", "left", ("train",)), store.add("train", "number used again", ("train",))
    store.next(("train",))
    store.next(("train",))
    sleeping = [subprocess.Popen([sys.executable, "-c", SLEEPS], start_new_session=True) for _ in range(2)]
    store.runs_as(job.id, sleeping[0].pid, born(sleeping[0].pid))
    store.runs_as(other.id, sleeping[1].pid, "another time")
    queue = queues(TELLS)
    assert [found.state for found in queue.store.jobs("stopped")] == ["stopped", "stopped"]
    assert sleeping[0].wait(20) == -signal.SIGTERM
    assert sleeping[1].poll() is None  # a stranger with a number that was once ours
    os.kill(sleeping[1].pid, signal.SIGKILL)
    sleeping[1].wait()


def test_two_takers_get_two_jobs(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.sqlite")
    made = [store.add("train", str(number), ("train", str(number))).id for number in range(4)]
    other = Store(tmp_path / "jobs.sqlite")
    taken = [one.next(("train",)) for one in (store, other, store, other, store)]
    assert [job.id for job in taken if job is not None] == made
    assert taken[-1] is None
    assert json.dumps(store.job(made[0]).words) == '["train", "0"]'  # type: ignore[union-attr]
