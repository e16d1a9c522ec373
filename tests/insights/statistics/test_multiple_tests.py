"""Adjusted p-values: hand-computed, bounds, and the rate of false discoveries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.insights.statistics.multiple_tests import adjusted

P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_holm_by_hand():
    assert adjusted([0.01, 0.04, 0.03, 0.005], "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted([0.9, 0.8], "holm") == pytest.approx([1.0, 1.0])


@given(P)
def test_adjusted_values_are_between_the_value_and_bonferronis(p):
    p = np.array(p)
    for method in ("holm", "fdr"):
        found = adjusted(p, method)
        assert (found >= p - 1e-12).all()
        assert (found <= np.minimum(p * len(p), 1.0) + 1e-12).all()
        assert (np.diff(found[np.argsort(p, kind="stable")]) >= -1e-12).all()
    assert (adjusted(p, "holm") >= adjusted(p, "fdr") - 1e-12).all()
    assert (adjusted(p, "none") == p).all()


def test_what_was_not_tested_does_not_count():
    for method in ("holm", "fdr", "none"):
        found = adjusted([np.nan, 0.02, np.nan], method)
        assert np.isnan(found[[0, 2]]).all()
        assert found[1] == 0.02


def test_holm_keeps_the_chance_of_any_false_discovery():
    rng = np.random.default_rng(0)
    p = rng.random((2000, 5))
    any_false = [adjusted(row, "holm").min() <= 0.05 for row in p]
    assert np.mean(any_false) < 0.065
    assert np.mean(p.min(axis=1) <= 0.05) > 0.2
