"""What an arm reaches, without a training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from synthoma.evaluation.useful.arms import Arm
from synthoma.evaluation.useful.patient_scores import HeldOut, PatientScores, arm_result
from synthoma.evaluation.useful.trainings import Answers, DetectorTest


@pytest.mark.parametrize("missed", [0, 1])
def test_an_interval_of_shares_ends_where_shares_do(missed: int) -> None:
    """Five of six patients are without fault, or missed: the mean is 0.9 or 0.1, and Student's t reaches beyond."""
    dice = np.tile([1.0, 1.0, 1.0, 1.0, 1.0, 0.4], (3, 1))
    scores = 1 - dice if missed else dice
    names = np.array([f"patient {number}" for number in range(6)])
    asked = HeldOut(names, np.ones(6, np.int64), cast(DetectorTest, SimpleNamespace(task="outline")))
    none = np.zeros(0, np.int64)
    answers = [Answers(np.ones(6), none, none, none, np.zeros((0, 0)), 1.0)] * 3
    found = arm_result(Arm("real", "", "real"), PatientScores(scores, scores), answers, asked, had=6, noise=0.02).score
    assert found.value == pytest.approx(0.1 if missed else 0.9)
    assert found.low is not None
    assert found.high is not None
    assert (found.low == 0.0, found.high == 1.0) == (bool(missed), not missed)
    assert 0 <= found.low < 0.9
    assert 0.1 < found.high <= 1
