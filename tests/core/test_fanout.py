"""Work spread over processes: results in order, also inside a worker of somebody else's program."""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import pytest

from synthoma.core.fanout import spread


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
