"""The label mix counts every grade at its position."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets import LabelMixDisplay, load_pairs, simulate_interactions
from rankloom.errors import InvalidInputError


@pytest.fixture(scope="module")
def pairs():
    return load_pairs(simulate_interactions(n_executions=300, random_state=0))


def test_counts_are_those_of_the_pairs(pairs):
    mix = LabelMixDisplay.from_pairs(pairs)
    assert mix.by_position
    for row, grade in enumerate(mix.grades):
        for position in range(mix.counts.shape[1]):
            expected = ((pairs.y == grade) & (pairs.position == position)).sum()
            assert mix.counts[row, position] == expected
    assert mix.counts.sum() == len(pairs)


def test_lines_are_the_shares_of_each_grade_above_0(pairs, axes):
    mix = pairs.plot_labels(axes)
    shares = np.where(mix.counts > 0, mix.shares, np.nan)
    for line, expected in zip(axes.lines, shares[mix.grades > 0], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), expected)
    assert axes.get_yscale() == "log"
    assert "90% interval" in axes.get_ylabel()


def test_limits_are_those_of_wilson():
    from scipy import stats

    mix = LabelMixDisplay(np.array([0, 1]), np.array([[70, 9], [30, 0]]), by_position=True)
    lower, upper = mix.limits
    expected = stats.binomtest(30, 100).proportion_ci(0.9, method="wilson")
    assert lower[1, 0] == pytest.approx(expected.low, abs=1e-4)
    assert upper[1, 0] == pytest.approx(expected.high, abs=1e-4)
    assert np.isnan([lower[1, 1], upper[1, 1]]).all()


def test_judged_lists_have_one_mark_a_grade(pairs, axes):
    judged = replace(pairs, position=np.full(len(pairs), -1, np.int32))
    mix = judged.plot_labels(axes)
    assert mix.counts.shape[1] == 1
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), mix.shares[:, 0])
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [f"grade {grade}" for grade in mix.grades]


def test_no_pairs_are_refused(pairs):
    with pytest.raises(InvalidInputError, match="pairs: empty"):
        pairs.take([]).plot_labels()
