"""Work spread over processes: results in order, also inside a worker of somebody else's program."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any

import joblib
import pytest

from synthoma.core import fanout
from synthoma.core.errors import ConfigError, InputError
from synthoma.core.fanned import FanoutConfig, each, fan, fanned
from synthoma.core.fanout import ahead, spread
from synthoma.core.parts import Kept, spread_kept

pytestmark = pytest.mark.slow


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def squares(jobs: int) -> list[int]:
    with spread(square, ((number,) for number in range(4)), jobs) as found:
        return [value for value, _ in found]


def test_results_come_in_the_order_of_the_calls_and_from_other_processes() -> None:
    with spread(square, ((number,) for number in range(8)), 2) as found:
        values, processes = zip(*found, strict=True)
    assert values == tuple(number * number for number in range(8))
    assert os.getpid() not in processes


def test_a_worker_of_another_program_may_spread_work_itself() -> None:
    """It is its own command there: it must not take itself for an orphan."""
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(squares)(jobs) for jobs in (1, 1, 2))
    assert list(found) == [[0, 1, 4, 9]] * 3


def _read(name: str) -> str:
    return Path(name).read_text(encoding="utf-8")


def test_workers_stand_where_their_command_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept from call to call, and relative paths are read by them."""
    for place in ("first", "second"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "word").write_text(place)
        monkeypatch.chdir(tmp_path / place)
        with spread(_read, [("word",)] * 4, 2) as results:
            assert list(results) == [place] * 4


# Workers that die or hang ---------------------------------------------------------------------------------------------


def dies_once(folder: str, number: int) -> int:
    """End the process without a word when job 3 is done for the first time."""
    with (Path(folder) / f"began-{number}").open("a") as log:
        log.write("x")
    if number == 3 and (Path(folder) / "began-3").stat().st_size == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def hangs_once(folder: str, number: int) -> int:
    with (Path(folder) / f"began-{number}").open("a") as log:
        log.write("x")
    if number == 1 and (Path(folder) / "began-1").stat().st_size == 1:
        time.sleep(300)
    return number * number


def dies(number: int) -> int:
    if number == 2:
        os._exit(9)
    return number


def refuses(number: int) -> int:
    if number == 2:
        raise InputError("something else", "two", "give another")
    return number


def begun(folder: Path) -> list[int]:
    return [(folder / f"began-{number}").stat().st_size for number in range(8)]


def test_a_killed_worker_costs_no_result(tmp_path: Path) -> None:
    with spread(dies_once, ((str(tmp_path), number) for number in range(8)), 2) as found:
        assert list(found) == [number * number for number in range(8)]
    assert begun(tmp_path)[3] == 2


def test_what_was_yielded_before_a_worker_died_is_not_done_again(tmp_path: Path) -> None:
    with spread(dies_once, ((str(tmp_path), number) for number in range(8)), 2, ordered=False) as found:
        assert sorted(found) == [number * number for number in range(8)]
    assert sum(begun(tmp_path)) <= 8 + 4  # at most what two workers had before them


def test_a_job_that_hangs_is_begun_again(tmp_path: Path) -> None:
    with (
        fanned(FanoutConfig(job_seconds=4.0)),
        spread(hangs_once, ((str(tmp_path), number) for number in range(4)), 2) as found,
    ):
        assert list(found) == [0, 1, 4, 9]
    assert (tmp_path / "began-1").stat().st_size == 2


def test_a_job_that_ends_every_worker_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="job 3, which ended its worker"),
        spread(dies, ((n,) for n in range(6)), 2) as found,
    ):
        list(found)


def test_the_error_of_a_job_is_the_error_of_the_whole() -> None:
    with pytest.raises(InputError, match="came two"), spread(refuses, ((n,) for n in range(6)), 2) as found:
        list(found)
    with spread(square, ((n,) for n in range(4)), 2) as found:  # and the next work has workers again
        assert [value for value, _ in found] == [0, 1, 4, 9]


# Shares and parts -----------------------------------------------------------------------------------------------------


def logged(folder: str, number: int) -> int:
    with (Path(folder) / f"began-{number}").open("a") as log:
        log.write("x")
    return number * number


def key(folder: str, number: int) -> str:
    return f"job-{number}"


def write(place: Path, result: int, *_: object) -> bool:
    (place / "result").write_text(str(result))
    return result != 25  # one that cannot be kept


def read(place: Path, *_: object) -> int:
    return int((place / "result").read_text())


NUMBERS: Kept[int] = Kept("numbers", key, write, read)


def numbers(folder: Path, jobs: int = 1) -> list[int]:
    with spread_kept(logged, ((str(folder), n) for n in range(8)), jobs, NUMBERS) as found:
        return list(found)


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 11])
def test_shares_together_are_the_whole_and_no_job_is_done_twice(tmp_path: Path, parts: int) -> None:
    done = []
    for share in range(1, parts + 1):
        with fanned(FanoutConfig(parts=tmp_path / "parts", shard=f"{share}/{parts}")) as here:
            numbers(tmp_path)
            pytest.fail("a share has no results")
        done.append(here.done)
    assert sum(one.ours for one in done if one) == 8
    assert all(one is not None and one.total == 8 for one in done)
    with fanned(FanoutConfig(parts=tmp_path / "parts")):
        assert numbers(tmp_path) == [n * n for n in range(8)]
    assert begun(tmp_path) == [1, 1, 1, 1, 1, 2, 1, 1]  # but for the one that cannot be kept


def test_damaged_parts_are_made_again_and_missing_shares_too(tmp_path: Path) -> None:
    place = tmp_path / "parts" / "numbers" / "jo"
    with fanned(FanoutConfig(parts=tmp_path / "parts", shard="1/2")):
        numbers(tmp_path)
    (place / "job-2" / "result").write_text("5")
    (place / ".job-4.partial-00000000").mkdir()  # of a worker that was killed
    (place / "job-6" / "checksums.json").unlink()
    with fanned(FanoutConfig(parts=tmp_path / "parts")):
        assert numbers(tmp_path, jobs=2) == [n * n for n in range(8)]
    assert begun(tmp_path) == [1, 1, 2, 1, 1, 1, 2, 1]  # and 5 for the first time


def test_several_works_do_their_share_each(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with fanned(FanoutConfig(parts=tmp_path / "parts", shard="2/2")) as here:
        each((lambda: numbers(tmp_path / "a"), lambda: [1], lambda: numbers(tmp_path / "b")))
    assert here.done is not None
    assert (here.done.ours, here.done.before, here.done.total) == (8, 3, 16)  # keys are equal: 5 alone was done again


def test_jobs_themselves_know_nothing_of_shares(tmp_path: Path) -> None:
    with fanned(FanoutConfig(parts=tmp_path, shard="1/2")), spread(_share, [()], 1) as found:
        assert list(found) == [None]


def _share() -> object:
    return fan().share


@pytest.mark.parametrize(
    "settings",
    [
        {"shard": "1/2"},
        *(
            {"shard": text, "parts": "p"}
            for text in ("0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", "²/3", "1/" + "9" * 40, "")
        ),
        {"scheduler": "tcp://x:1"},
        {"address": "x:1", "backend": "dask"},
        {"job_seconds": 0},
        {"backend": "spark"},
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError), fanned(FanoutConfig.resolve(flags=settings)):
        pytest.fail("it began")


class _Deaf:
    """An engine whose first jobs nobody waits for, as where loky's own thread has ended."""

    workers, shared = 2, True

    def __init__(self) -> None:
        self.closed = 0

    def submit(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        future: Future[Any] = Future()
        if self.closed:
            future.set_result(function(*arguments))
        return future

    def lost(self, error: BaseException) -> bool:
        return False

    def abandon(self, future: Future[Any]) -> None:
        raise AssertionError("no job took too long")

    def answers(self) -> bool:
        return bool(self.closed)

    def close(self, *, kill: bool = False) -> None:
        self.closed += 1


@pytest.mark.parametrize("limit", [None, 60.0])
def test_jobs_whose_results_nobody_waits_for_are_begun_again(
    limit: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "LOOK_S", 0.01)
    engine = _Deaf()
    assert list(fanout._watched(engine, abs, [(-1,), (-2,), (-3,)], True, limit)) == [1, 2, 3]
    assert engine.closed == 1


def _noted(folder: Path, number: int) -> tuple[int, int]:
    (folder / str(number)).touch()
    return number, os.getpid()


def _gone(process: int) -> bool:
    """Whether a process has ended, waiting a few seconds for it."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_calls_without_an_end_are_made_a_few_ahead_in_a_process_of_their_own(tmp_path: Path) -> None:
    with ahead(_noted, ((tmp_path, number) for number in count()), 1) as results:
        found = [next(results) for _ in range(3)]
        deadline = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)  # nobody asks meanwhile
        made = len(list(tmp_path.iterdir()))
    assert [number for number, _ in found] == [0, 1, 2]
    assert 4 <= made <= 6, "one more at least, but no pile"
    assert found[0][1] != os.getpid()
    assert _gone(found[0][1]), "nobody works on after the end"


def test_one_whose_worker_is_killed_is_made_again_in_its_place(tmp_path: Path) -> None:
    with ahead(_noted, ((tmp_path, number) for number in count()), 1) as results:
        number, process = next(results)
        os.kill(process, signal.SIGKILL)
        assert [number, *(next(results)[0] for _ in range(6))] == list(range(7))
