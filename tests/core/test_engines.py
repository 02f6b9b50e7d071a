"""Real clusters, started and stopped here: Dask with two worker processes, Ray on this computer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from synthoma.core.errors import ConfigError, InputError
from synthoma.core.fanned import FanoutConfig, fanned
from synthoma.core.fanout import spread
from tests.clusters import running

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[FanoutConfig]:
    """The settings that lead to a running cluster of two workers; skipped where its package is not installed."""
    with running(request.param) as config:
        yield config


both = pytest.mark.parametrize("cluster", ["dask", "ray"], indirect=True)


@both
@pytest.mark.filterwarnings("ignore")
class TestCluster:
    """What a cluster does with jobs of ours; functions are made here, so that they travel by value."""

    def test_results_come_in_order_from_elsewhere(self, cluster: FanoutConfig, tmp_path: Path) -> None:
        def square(number: int) -> tuple[int, int, str]:
            return number * number, os.getpid(), str(Path.cwd())

        with fanned(cluster), spread(square, ((n,) for n in range(20)), 1) as found:
            values, processes, folders = zip(*found, strict=True)
        assert values == tuple(n * n for n in range(20))
        assert os.getpid() not in processes
        assert set(folders) == {str(Path.cwd())}

    def test_a_killed_worker_costs_no_result(self, cluster: FanoutConfig, tmp_path: Path) -> None:
        def dies_once(folder: str, number: int) -> int:
            with (Path(folder) / f"began-{number}").open("a") as log:
                log.write("x")
            if number == 3 and (Path(folder) / "began-3").stat().st_size == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return number * number

        with fanned(cluster), spread(dies_once, ((str(tmp_path), n) for n in range(8)), 1) as found:
            assert list(found) == [n * n for n in range(8)]
        assert (tmp_path / "began-3").stat().st_size == 2

    def test_a_job_that_hangs_is_begun_again(self, cluster: FanoutConfig, tmp_path: Path) -> None:
        def hangs_once(folder: str, number: int) -> int:
            with (Path(folder) / f"began-{number}").open("a") as log:
                log.write("x")
            if number == 1 and (Path(folder) / "began-1").stat().st_size == 1:
                time.sleep(300)
            return number * number

        limited = cluster.model_copy(update={"job_seconds": 6.0})
        with fanned(limited), spread(hangs_once, ((str(tmp_path), n) for n in range(4)), 1) as found:
            assert list(found) == [0, 1, 4, 9]
        assert (tmp_path / "began-1").stat().st_size == 2

    def test_a_jobs_own_error_is_ours(self, cluster: FanoutConfig) -> None:
        def refuses(number: int) -> int:
            raise InputError("something else", "two", "give another")

        with pytest.raises(InputError, match="came two"), fanned(cluster), spread(refuses, [(1,)], 1) as found:
            list(found)


@pytest.mark.parametrize("scheduler", ["not-an-address", "tcp://127.0.0.1:1"])
def test_a_cluster_that_is_not_there_is_said(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask: pip install 'synthoma[dask]'")
    begin, end = distributed.Client.__init__, distributed.Client.__del__
    alive: list[int] = []  # of this test: other tests' clients are ended by the same collection

    def begun(client: object, *given: object, **named: object) -> None:
        alive.append(id(client))
        begin(client, *given, **{**named, "timeout": 1})

    def recorded(client: object) -> None:
        if id(client) in alive:
            alive.remove(id(client))
            ended.append(id(client))
        end(client)

    ended: list[int] = []
    monkeypatch.setattr(distributed.Client, "__init__", begun)
    monkeypatch.setattr(distributed.Client, "__del__", recorded)
    config = FanoutConfig(backend="dask", scheduler=scheduler)
    with (
        pytest.raises(ConfigError, match="a Dask scheduler that answers") as raised,
        fanned(config),
        spread(abs, [(1,)], 1),
    ):
        pytest.fail("it began")
    # Left for later, the end of a client that never connected blocks the beginning of the next one, for ever.
    assert len(ended) == 1
    assert not alive
    assert raised.value.__context__ is None
