"""Children for tests that kill them: from a process that has all libraries already, and no threads.

A fork would not survive threads, and a Python of its own spends seconds of each test on loading torch.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess

FORKING = multiprocessing.get_context("forkserver")
"""Where a child is made: ``FORKING.Process(target=...)``, of a function at the top of a module of tests."""
FORKING.set_forkserver_preload(["tests.test_faults", "tests.toys", "synthoma.pipeline", "synthoma.generators.train",
                                "synthoma.evaluation.evaluate", "synthoma.detection.detect",
                                # What a training and the page about it load at their first use: seconds of each child.
                                "torch._dynamo", "synthoma.reports.run_page", "synthoma.reports.cohort_page",
                                "synthoma.reports.evaluation_page", "matplotlib.figure",
                                "matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg"])  # fmt: skip


_CACHED = type(cache(len))


def typed(*words: str, place: Path, packages: Path) -> CompletedProcess[str]:
    """A command that is typed in a folder, where the packages of another are installed; what it says, and its code."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("out", "err")]
        child = FORKING.Process(target=_typed, args=(words, place, packages, files))
        child.start()
        child.join()
        assert child.exitcode is not None
        return CompletedProcess(words, child.exitcode, *(file.read_text(encoding="utf-8") for file in files))


def _typed(words: tuple[str, ...], place: Path, packages: Path, files: list[Path]) -> None:
    """Be the command line."""
    from synthoma.commands.app import main
    from synthoma.core import plugins
    from synthoma.evaluation.private import kinds
    from synthoma.generators import train as generators

    # What no test that types commands asks for: how well snapshots are judged, and copies searched for.
    generators.JUDGED, kinds.SETTING, kinds.SETTING_OTHERS = 32, 50, 10
    # A Python of its own remembers nothing: least of all that nothing was plugged in.
    for module in [module for name, module in sys.modules.items() if name.startswith("synthoma.")]:
        for thing in vars(module).values():
            if isinstance(thing, _CACHED):
                thing.cache_clear()
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    os.chdir(place)
    sys.path.insert(0, str(packages))
    source = str(Path(plugins.__file__).parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join((str(packages), source))  # for processes that it starts itself
    sys.argv = ["synthoma", *words]
    main()
