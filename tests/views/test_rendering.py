"""Figures, moments and charts as people and browsers read them."""

import json
from datetime import UTC, datetime, timedelta, timezone
from math import inf, nan

import pytest
from markupsafe import Markup

from leadgate.views.charts import Chart, Series
from leadgate.views.rendering import chart_data, spark, when
from leadgate.views.wording import number, share


@pytest.mark.parametrize(
    ("value", "said"),
    (
        (0.8731, "0.873"),
        (999.4, "999"),
        (999.5, "1,000"),
        (999.96, "1,000"),
        (-999.7, "-1,000"),
        (1_234_567.0, "1,234,567"),
        (100.0, "100"),
        (0.0, "0"),
        (None, "\N{EN DASH}"),
        (nan, "\N{EN DASH}"),
        (inf, "\N{INFINITY}"),
    ),
)
def test_a_figure_has_three_digits_and_no_exponent(value: float | None, said: str) -> None:
    """Latencies and capacities just below a thousand, too."""
    assert number(value) == said


@pytest.mark.parametrize(("value", "said"), ((0.005, "0.5 %"), (0.995, "99.5 %"), (0.07, "7 %"), (1.0, "100 %")))
def test_a_share_that_was_set_is_not_rounded(value: float, said: str) -> None:
    """A canary of half a per cent answers somebody, and the champion not everybody."""
    assert share(value) == said


def test_a_moment_is_utc_whatever_zone_it_came_in() -> None:
    """The words say UTC, so the figures must be."""
    east = datetime(2026, 6, 2, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert when(east) == Markup('<time datetime="2026-06-01T23:30:00+00:00">2026-06-01 23:30 UTC</time>')
    assert when(datetime(2026, 6, 2, 1, 30)) == when(datetime(2026, 6, 2, 1, 30, tzinfo=UTC))  # noqa: DTZ001  # the point


def test_what_is_no_number_is_no_figure() -> None:
    """A browser that finds NaN in a chart's JSON draws none of the page's charts."""
    chart = Chart(
        name="c", title="", says="", series=[Series(name="s", kind="band", x=[0.0, 1.0], y=[nan, 2.0], low=[-inf, 1.0])]
    )
    series = json.loads(json.dumps(chart_data(chart), allow_nan=False))["series"][0]
    assert (series["y"], series["low"], series["x"]) == ([None, 2.0], [None, 1.0], [0.0, 1.0])
    assert "nan" not in spark([1.0, nan, 2.0])
    assert spark([1.0, inf]) == ""
