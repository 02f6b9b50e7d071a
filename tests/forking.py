"""Children for tests that kill them: from a process that has all libraries already, and no threads.

A fork would not survive threads, and a Python of its own spends seconds of each test on loading torch.
"""

from __future__ import annotations

import multiprocessing

FORKING = multiprocessing.get_context("forkserver")
"""Where a child is made: ``FORKING.Process(target=...)``, of a function at the top of a module of tests."""
FORKING.set_forkserver_preload(["tests.test_faults", "tests.toys", "synthoma.pipeline", "synthoma.generators.train",
                                "synthoma.evaluation.evaluate", "synthoma.detection.detect",
                                # What a training and the page about it load at their first use: seconds of each child.
                                "torch._dynamo", "synthoma.reports.run_page", "synthoma.reports.cohort_page",
                                "synthoma.reports.evaluation_page", "matplotlib.figure",
                                "matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg"])  # fmt: skip
