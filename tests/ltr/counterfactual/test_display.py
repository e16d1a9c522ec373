"""Pictures of an evaluation from logs show its estimates, its clips and its overlap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import CounterfactualReport
from rankloom.ltr.counterfactual.overlap import MIN_VARIED, Overlap
from rankloom.ltr.counterfactual.report import Clipped, Estimate, Gain


@pytest.fixture
def report():
    names = ("ips", "snips", "doubly_robust")
    candidate = {
        n: Estimate(v, 0.1, (v - 0.2, v + 0.3)) for n, v in zip(names, (3, 2, 1.0), strict=True)
    }
    return CounterfactualReport(
        metric="DCG@10",
        candidate=candidate,
        baseline={name: Estimate(0.5) for name in names},
        modelled=1.0,
        baseline_name="the production order",
        gain=Gain(0.5),
        overlap=Overlap(shown=0.9, varied=None, clipped=0.25, smallest_propensity=0.01),
        statement="a reason",
        clipping=[Clipped(0.1, 1.0, 2.0, 3.0, 80.0), Clipped(0.0, 4.0, 5.0, 6.0, 20.0)],
        clip=0.1,
        effective_sample_size=80.0,
        displays=100,
        executions=10,
        queries=5,
        clusters=5,
        clustered_by="query",
        examination_source="given",
        propensity_source="estimated",
    )


def test_estimates_have_their_intervals_and_their_absence_is_explained(report, axes):
    report.plot(axes)
    assert axes.lines[0].get_xdata().tolist() == [3, 2, 1.0]
    assert axes.lines[1].get_xdata().tolist() == [0.5, 0.5, 0.5]
    segments = axes.collections[0].get_segments()
    np.testing.assert_allclose(
        [each[:, 0] for each in segments], [[2.8, 3.3], [1.8, 2.3], [0.8, 1.3]]
    )
    assert "a reason" in axes.get_title("left")


def test_clips_ascend_and_each_says_how_much_is_effective(report, axes):
    display = report.plot_clips(axes)
    ips, snips, robust = axes.lines[:3]
    assert ips.get_ydata().tolist() == [4.0, 1.0]
    assert snips.get_ydata().tolist() == [5.0, 2.0]
    assert robust.get_ydata().tolist() == [6.0, 3.0]
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == ["0\n(20%)", "0.1\n(80%)"]
    assert display.interval == report.candidate["doubly_robust"].interval
    interval = axes.collections[0].get_segments()[0]
    np.testing.assert_allclose(interval, [[1.0, 0.8], [1.0, 1.3]])  # at the place of 0.1


def test_overlap_is_drawn_with_what_is_required(report, axes):
    display = report.plot_overlap(axes)
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, [0.9, np.nan, 0.75, 0.8])
    assert list(display.required.values()) == [1.0, MIN_VARIED]
    limits = [each.get_segments()[0][0, 0] for each in axes.collections]
    assert limits == [1.0, MIN_VARIED]


def test_without_a_sweep_there_is_nothing_to_draw(report):
    with pytest.raises(InvalidInputError, match="clipping: empty"):
        replace(report, clipping=[]).plot_clips()
