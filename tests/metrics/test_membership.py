from __future__ import annotations

import math

import numpy as np
import pytest

from synthoma.core.errors import InputError
from synthoma.metrics.membership import Membership, membership


def attack(members: np.ndarray, others: np.ndarray, size: int = 5, **more: int) -> Membership:
    groups = [[f"patient-{at // size}" for at in range(len(side))] for side in (members, others)]
    return membership(members, others, member_groups=groups[0], other_groups=groups[1], **more)


def test_areas_by_hand() -> None:
    found = attack(np.array([3.0, 1.0]), np.array([2.0, 0.0, 1.0]))
    # Of six pairs, three members above both (3 > 2, 0, 1; 1 > 0) and one tie: (4 + 0.5) / 6.
    assert found.auc == pytest.approx(4.5 / 6)
    assert found.sensitivity == 0.5  # only 3 lies above all others
    assert math.isnan(found.p)
    assert math.isnan(found.control)
    assert (found.members, found.others) == (2, 3)


def test_one_false_alarm_in_a_hundred_is_allowed() -> None:
    others = np.arange(200.0)
    assert attack(np.array([197.5, 198.5, 199.5, 250.0]), others).sensitivity == 1.0
    assert attack(np.array([196.5, 198.5, 199.5, 250.0]), others).sensitivity == 0.75


def test_a_leak_is_seen() -> None:
    draws = np.random.default_rng(0)
    found = attack(draws.normal(2, 1, 100), draws.normal(0, 1, 100))
    assert found.auc > 0.85
    assert found.p < 0.01
    assert found.control < 0.75
    assert found == attack(*(lambda d: (d.normal(2, 1, 100), d.normal(0, 1, 100)))(np.random.default_rng(0)))


@pytest.mark.slow
def test_patients_alone_are_no_leak() -> None:
    """Slices of a patient score alike: p by slices would be far too small, p by patients is uniform."""
    p = []
    for seed in range(120):
        draws = np.random.default_rng(seed)
        sides = [np.repeat(draws.normal(size=10), 20) + draws.normal(0, 0.1, 200) for _ in range(2)]
        p.append(attack(*sides, size=20, draws=200, seed=seed).p)
    assert np.mean(np.array(p) < 0.05) < 0.12
    assert 0.35 < np.mean(p) < 0.65


def test_the_control_shows_how_far_patients_alone_differ() -> None:
    draws = np.random.default_rng(0)
    few = attack(np.repeat(draws.normal(size=6), 30), draws.normal(size=100), size=30)
    many = attack(draws.normal(size=180), draws.normal(size=100), size=3)
    assert few.control > many.control > 0.5


@pytest.mark.parametrize(
    ("members", "groups", "complaint"),
    [
        (np.zeros(0), [], "finite scores of members and others; came 0 and 3"),
        (np.array([1.0, np.nan]), ["a", "b"], "1 of them not finite"),
        (np.array([1.0, 2.0]), ["a"], "1 and 3 groups for 2 and 3 scores"),
    ],
)
def test_what_cannot_be_attacked(members: np.ndarray, groups: list[str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        membership(members, np.zeros(3), member_groups=groups, other_groups=["x", "y", "z"])
