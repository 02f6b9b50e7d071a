"""Small charts: what values are held against is on them."""

from __future__ import annotations

import re

import pytest

from synthoma.reports.figures import Span, spans


@pytest.mark.parametrize("values", [(0.2, 0.4), (3.0, 6.0), (0.5, 2.0)])
def test_one_is_on_a_chart_of_multiples(values: tuple[float, float]) -> None:
    """Real patients score 1 by definition: the chart shows that place on whichever side of it all values lie."""
    rows = [Span(f"score {number}", value, 0.9 * value, 1.1 * value) for number, value in enumerate(values)]
    chart = spans(rows, "multiple", logarithmic=True, line=1)
    assert "1" in re.findall(r">([^<>]+)</text>", chart)
