from __future__ import annotations

import math

import pytest

from synthoma.cohorts.prevalence import Prevalence, positive_predictive_value
from synthoma.core.errors import ConfigError


def test_fifty_thousand_in_a_billion_and_a_half_is_a_third_in_ten_thousand() -> None:
    rate = Prevalence(50_000, 1_417_000_000)
    assert rate.per(10_000) == pytest.approx(0.353, abs=5e-4)  # not 35
    assert rate.formula() == "50,000 / 1,417,000,000 = 0.003529 % = 0.353 per 10,000"


@pytest.mark.parametrize(("cases", "population"), [(1, 0), (-1, 10), (11, 10)])
def test_impossible_rates_are_refused(cases: float, population: float) -> None:
    with pytest.raises(ConfigError):
        Prevalence(cases, population)


def test_bayes_by_counting() -> None:
    # Of 1,000 people 10 are ill; 9 of them and 99 of the 990 others raise an alarm.
    assert positive_predictive_value(0.01, 0.9, 0.9) == pytest.approx(9 / 108)
    assert positive_predictive_value(0.5, 0.9, 0.9) == pytest.approx(0.9)
    assert math.isnan(positive_predictive_value(0.0, 0.9, 1.0))
