"""What all tests share: the folder of real scans, and cohorts made in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

DATA_VARIABLE = "SYNTHOMA_TEST_DATA"

# Each core has a process of tests: commands under test, and processes that they start, take one core where they choose.
# Two threads to a toy network would wait for one another, and workers for six pictures load torch for seconds.
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")

HEAVY = frozenset({"browser", "orthanc", "real_scans", "site"})
"""Fixtures that make a test heavy: a browser, an archive, scans of real people, the whole documentation as a site."""

SECONDS = {"heavy": 15.0, "slow": 1.5, "quick": 0.05}
"""About how long a test of each weight takes; one that may take longer than others says so by its ``timeout``."""

# How long an example takes depends on what else the machine does; that is for benchmarks.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the tests are chosen by their marks, and after it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """A test that asks for something heavy, itself or through its fixtures, is heavy; the longest files run first.

    Files are dealt to processes whole and in this order (``--no-loadscope-reorder``). By the number of their tests, as
    pytest-xdist has it, those with one or two that take minutes come last, and all but one process wait for them.
    """
    for item in items:
        if HEAVY & set(getattr(item, "fixturenames", ())):
            item.add_marker("heavy")
    yield
    length: Counter[Path] = Counter()
    for item in items:
        length[item.path] += _seconds(item)
    items.sort(key=lambda item: -length[item.path])  # tests of a file stay together and in their order


def _seconds(item: pytest.Item) -> float:
    """About how long a test takes."""
    weight = next((name for name in SECONDS if item.get_closest_marker(name)), "quick")
    patience = item.get_closest_marker("timeout")
    return max(SECONDS[weight], float(patience.args[0]) / 10 if patience and patience.args else 0.0)


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """A training sets the number of threads; other tests get theirs back."""
    if "torch" not in sys.modules:  # most tests need none, and it is slow to load
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def few_are_judged() -> Iterator[None]:
    """Snapshots of generators are judged by 32 slices: for tests that ask of a training that it was one."""
    from synthoma.generators import train as generators

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generators, "JUDGED", 32)
        yield


@pytest.fixture(scope="module")
def fewer_planted() -> Iterator[None]:
    """Fewer planted copies set the thresholds of the search for copies: for tests that ask for it often."""
    from synthoma.evaluation.private import kinds

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "SETTING", 50)
        patch.setattr(kinds, "SETTING_OTHERS", 10)
        yield


@pytest.fixture(scope="session")
def real_scans() -> Path:
    """Folder of real scans; tests that need it are skipped, and say so, where it is not set."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"real scans: set {DATA_VARIABLE} to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def dicom_errors() -> Callable[[Path], list[str]]:
    """What dciodvfy, which knows the standard's tables, finds wrong with a DICOM file; skipped where it is not."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("DICOM files against the standard: install dicom3tools")

    def errors(path: Path) -> list[str]:
        said = subprocess.run([program, str(path)], capture_output=True, text=True, errors="replace", check=False)
        assert said.stderr.strip(), "it names at least the kind of object"
        return [line for line in said.stderr.splitlines() if line.startswith("Error")]

    return errors


@pytest.fixture(autouse=True)
def own_key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pseudonyms of tests use a fixed key, and never touch the user's own."""
    monkeypatch.setenv("SYNTHOMA_KEY", "a key for tests only")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to open a network connection fails the test."""
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("network use")

    monkeypatch.setattr(socket.socket, "connect", refuse)


Progressed = list[tuple[str, int, int]]


@pytest.fixture
def progressed() -> tuple[Progressed, Callable[[str, int, int], None]]:
    """A list of what was reported as progress, and the function that reports."""
    seen: Progressed = []
    return seen, lambda text, done, total: seen.append((text, done, total))
