from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synthoma.cohorts.leaks import folder_leaks, random_split_leak


def test_folder_leak_by_hand() -> None:
    table = pd.DataFrame(
        {
            "group": ["a", "b", "c", "a", "a", "d"],
            "label": ["x", "x", "y", "x", "y", "y"],
            "folder_split": ["Training"] * 3 + ["Testing"] * 3,
        }
    )
    leaks = {leak.label: (leak.seen, leak.total) for leak in folder_leaks(table)}
    assert leaks == {"": (2, 3), "x": (1, 1), "y": (1, 2)}


def test_no_folders_no_leak() -> None:
    assert folder_leaks(pd.DataFrame({"group": ["a"], "label": ["x"]})) == []
    assert folder_leaks(pd.DataFrame({"group": ["a"], "label": ["x"], "folder_split": [""]})) == []


@pytest.mark.slow
def test_random_split_leak_against_simulation() -> None:
    table = pd.DataFrame({"group": np.repeat(np.arange(60), np.arange(60) % 4 + 1)})
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(400):
        train = rng.random(len(table)) < 0.7
        known = set(table["group"][train])
        seen.append(np.mean([group in known for group in table["group"][~train]]))
    assert random_split_leak(table, 0.7) == pytest.approx(np.mean(seen), abs=0.02)
