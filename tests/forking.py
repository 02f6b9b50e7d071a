"""Children for tests that kill them: from a process that has all libraries already, and no threads.

A fork would not survive threads, and a Python of its own spends seconds of each test on loading torch.
"""

from __future__ import annotations

import multiprocessing

FORKING = multiprocessing.get_context("forkserver")
"""Where a child is made: ``FORKING.Process(target=...)``, of a function at the top of a module of tests."""
FORKING.set_forkserver_preload(["tests.test_faults", "tests.toys", "synthoma.pipeline", "synthoma.generators.train",
                                "synthoma.evaluation.evaluate", "synthoma.detection.detect"])  # fmt: skip
