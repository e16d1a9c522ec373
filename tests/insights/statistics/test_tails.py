"""Tails of counts: those of scipy's distributions, and continued between whole numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rankloom.insights.statistics.tails import (
    binomial_at_least,
    binomial_at_most,
    poisson_at_least,
    poisson_at_most,
)
from rankloom.insights.statistics.two_rates import rate_above, rate_below


@given(st.integers(0, 30), st.floats(0.01, 40))
def test_poisson_tails_are_those_of_scipy(count, mean):
    x, m = np.array([float(count)]), np.array([mean])
    assert np.allclose(poisson_at_least(x, m), stats.poisson.sf(count - 1, mean), atol=1e-12)
    assert np.allclose(poisson_at_most(x, m), stats.poisson.cdf(count, mean), atol=1e-12)


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1))
def test_binomial_tails_are_those_of_scipy(count, rest, share):
    x, n, p = (np.array([float(value)]) for value in (count, count + rest, share))
    at_least = stats.binom.sf(count - 1, count + rest, share)
    assert np.allclose(binomial_at_least(x, n, p), at_least, atol=1e-9)
    assert np.allclose(binomial_at_most(x, n, p), stats.binom.cdf(count, n, share), atol=1e-9)


@given(st.floats(0, 20), st.floats(0.1, 5), st.floats(0.1, 20))
def test_tails_fall_with_the_count_between_whole_numbers_too(count, more, mean):
    x, m, n = np.array([count, count + more]), np.full(2, mean), np.full(2, 30.0)
    for tail in (poisson_at_least(x, m), binomial_at_least(x, n, np.full(2, 0.4))):
        assert tail[0] >= tail[1] - 1e-12
    for tail in (poisson_at_most(x, m), binomial_at_most(x, n, np.full(2, 0.4))):
        assert tail[0] <= tail[1] + 1e-12


@given(st.integers(0, 20), st.integers(0, 20), st.floats(0.1, 9), st.floats(0.1, 9))
def test_two_rates_are_compared_by_the_exact_binomial_test(c, other, e, other_e):
    given_arrays = [np.array([float(value)]) for value in (c, e, other, other_e)]
    share = 1.3 * e / (1.3 * e + other_e)
    above = stats.binomtest(c, c + other, share, "greater").pvalue if c + other else 1.0
    assert np.allclose(rate_above(*given_arrays, 1.3), above, atol=1e-9)
    share = e / (e + 1.3 * other_e)
    below = stats.binomtest(c, c + other, share, "less").pvalue if c + other else 1.0
    assert np.allclose(rate_below(*given_arrays, 1.3), below, atol=1e-9)


def test_without_exposure_on_one_side_nothing_is_tested():
    zero, one = np.zeros(1), np.ones(1)
    assert np.isnan(rate_above(one, one, zero, zero, 1.0)).all()
    assert np.isnan(rate_below(zero, zero, one, one, 1.0)).all()


@given(st.floats(0, 1e-3), st.floats(0, 1e-6), st.floats(1e-6, 200), st.floats(0, 1))
def test_tails_are_probabilities_at_their_ends_too(count, over, mean, share):
    """Rounding takes SciPy's functions above 1, which control of false discoveries refuses."""
    x, m, n = (np.array([value]) for value in (count + over, mean, count + mean))
    p = np.array([share])
    tails = (
        poisson_at_least(x, m),
        poisson_at_most(m, x),
        binomial_at_least(x, n, p),
        binomial_at_most(x, n, p),
    )
    assert all(0 <= tail[0] <= 1 for tail in tails)
