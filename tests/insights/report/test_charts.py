"""Charts: every value of the facts is drawn, at both widths, whatever the texts are."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rankloom.insights.report.charts.chart import NARROW, WIDE
from rankloom.insights.report.charts.dates import date_ticks
from rankloom.insights.report.charts.lines import Line, LineChart
from rankloom.insights.report.charts.rows import Bar, BarChart, Dot, DotChart
from rankloom.insights.report.charts.svg import picture
from rankloom.insights.report.wording import decimal, percent, shortened

CHARTS = [
    BarChart([]),
    BarChart([Bar("nothing", 0.0, "0")]),
    BarChart([Bar("日本語 $x$ <b>", 3.0, "3"), Bar("a" * 200, 5.0, "5")]),
    DotChart([], "gain"),
    DotChart(
        [Dot("a", 0.1, None, None, "+0.1"), Dot("b", 0.2, 0.1, 0.3, "+0.2", 0.4)], "gain", 0.0
    ),
    LineChart([], [Line("a", [])], "x", "y"),
    LineChart([0], [Line("a", [1.0])], "x", "y"),
    LineChart([0, 1], [Line("a", [None, None], [None, None], [None, None])], "x", "y"),
    LineChart(
        ["2025-01-06T00:00:00"] * 2, [Line(str(n), [0.1, 0.2]) for n in range(9)], "", "share"
    ),
]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: type(chart).__name__)
def test_any_chart_becomes_one_svg_element(chart, width):
    svg = picture(chart, "name", width)
    assert svg.startswith(f'<svg viewBox="0 0 {width} {chart.height(width)}"')
    assert svg.endswith("</svg>")
    assert len(svg) < 30_000


def test_texts_are_texts_and_not_formulas():
    svg = picture(CHARTS[2], "name", WIDE)
    assert "日本語 $x$ &lt;b&gt;" in svg


def test_values_lie_where_they_belong():
    """Of two bars the second is drawn twice as long as the first."""
    import re

    svg = picture(BarChart([Bar("a", 1.0, "1"), Bar("b", 2.0, "2")]), "name", WIDE)
    ends = [
        max(float(x) for x in re.findall(r"L ([0-9.]+) ", path))
        - min(float(x) for x in re.findall(r"M ([0-9.]+) ", path))
        for path in re.findall(r'<path d="([^"]*)"[^>]*style="fill: var\(--series-1\)', svg)
    ]
    assert ends[1] == pytest.approx(2 * ends[0], rel=1e-3)


@given(st.text(), st.integers(2, 80))
def test_a_label_is_one_printable_line_of_bounded_length(text, length):
    label = shortened(text, length)
    assert len(label) <= length
    assert label.isprintable()


@given(st.floats(0, 1))
def test_a_share_reads_as_none_or_all_only_where_it_is(share):
    text = percent(share)
    assert (text == "0%") == (share == 0)
    assert (text == "100%") == (share == 1)


@given(st.floats(-1e9, 1e9))
def test_a_number_keeps_its_sign_and_three_digits(value):
    text = decimal(value)
    read = float(text.replace(",", ""))
    assert read == pytest.approx(value, rel=6e-3, abs=6e-5)
    assert text.startswith("-") == (value < 0)


@example(0.0, 2.0, 5)  # two midnights
@given(st.floats(0, 30_000), st.floats(0, 10_000), st.integers(2, 8))
def test_ticks_of_dates_lie_on_the_axis_and_do_not_crowd_it(first, days, most):
    ticks = date_ticks(first, first + days, most)
    assert 1 <= len(ticks) <= most
    assert all(first - 1e-6 <= at for at, _ in ticks)
    assert [at for at, _ in ticks] == sorted({at for at, _ in ticks})
    step = min((b - a for (a, _), (b, _) in pairwise(ticks)), default=1.0)
    for (at, _), read in zip(ticks, moments_read([label for _, label in ticks]), strict=True):
        # The first tick of a span within a day lies between minutes.
        assert abs(read - at) < (1.0 if step >= 1 else 1 / 1440 + 1e-6)


def moments_read(labels):
    """Return the days since 1970 that a reader takes labels for, who goes on from the last one."""
    day, year = "", ""
    for label in labels:
        words = label.split()
        clock = words.pop() if ":" in label else "00:00"
        year = words.pop() if len(words) == 3 else year
        day = " ".join(words) or day
        moment = dt.datetime.strptime(f"{day} {year} {clock} +0000", "%d %b %Y %H:%M %z")
        yield moment.timestamp() / 86_400
