"""Association of two classifications: scipy's test, and a strength without bias."""

import numpy as np
import pytest
from scipy import stats

from rankloom.insights.statistics.association import association


def test_the_p_value_is_that_of_the_chi_squared_test():
    rng = np.random.default_rng(0)
    row, column = rng.integers(0, 4, 500), rng.integers(0, 2, 500)
    counts = np.zeros((4, 2))
    np.add.at(counts, (row, column), 1)
    assert association(row, column).p == pytest.approx(stats.chi2_contingency(counts, False)[1])


def test_independent_classes_have_no_strength_whatever_their_number():
    rng = np.random.default_rng(1)
    found = [association(rng.integers(0, 60, 1500), rng.integers(0, 2, 1500)) for _ in range(100)]
    assert np.mean([one.strength for one in found]) < 0.05
    assert np.mean([one.p < 0.05 for one in found]) < 0.12


def test_rare_classes_are_pooled():
    column = np.tile([0, 1], 200)
    row = np.where(np.arange(400) < 200, 0, 1)
    row[200:] = np.where(column[200:] == 1, np.arange(200) + 10, 1)  # rare ones are of one column
    assert association(row, column).strength > 0.3


def test_nothing_to_compare_gives_no_p_value():
    none = np.full(5, -1)
    for row, column in ((none, none), (np.zeros(5, int), np.arange(5)), (np.arange(5), none)):
        assert np.isnan(association(row, column).p)
        assert association(row, column).strength == 0
