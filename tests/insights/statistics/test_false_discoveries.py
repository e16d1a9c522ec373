"""False discoveries stay at the stated rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rankloom.errors import InvalidInputError
from rankloom.insights.statistics.false_discoveries import adjusted_p_values, discoveries

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def by_definition(p):
    """The smallest p_(j) m / j of all j at or above each rank."""
    order = sorted(p)
    return [min(v * len(p) / (j + 1) for j, v in enumerate(order) if v >= own) for own in p]


@given(P_VALUES)
def test_adjusted_p_values_are_those_of_the_definition(p):
    assert np.allclose(adjusted_p_values(p), np.minimum(by_definition(p), 1))


def test_no_test_is_no_discovery():
    assert discoveries([], 0.1).tolist() == []
    assert discoveries([float("nan")], 0.1).tolist() == [False]


@given(P_VALUES, st.integers(0, 5), st.randoms(use_true_random=False))
def test_tests_that_were_not_made_change_nothing_in_any_order(p, untested, random):
    values = [*p, *[float("nan")] * untested]
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = adjusted_p_values(np.array(values)[order])
    expected = np.append(adjusted_p_values(p), np.full(untested, np.nan))
    assert np.array_equal(shuffled, expected[order], equal_nan=True)


def test_the_step_up_rule_takes_all_below_the_largest_one_that_passes():
    """0.03 fails alone (0.05 / 4 * 2) and passes because 0.04 does not exceed 0.05 / 4 * 4."""
    assert discoveries([0.04, 0.03, 0.001, 0.05], 0.05).all()
    assert discoveries([0.04, 0.03, 0.001, 0.06], 0.05).tolist() == [False, False, True, False]


def test_the_rate_of_false_discoveries_holds_where_most_null_hypotheses_are_false():
    """It is the rate times the share of true null hypotheses, exactly, for independent tests."""
    rng, shares = np.random.default_rng(0), []
    false = np.arange(200) < 150
    for _ in range(400):
        z = rng.normal(size=200) + np.where(false, 3.0, 0.0)
        found = discoveries(stats.norm.sf(z), 0.2)
        shares.append((found & ~false).sum() / max(found.sum(), 1))
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - 0.2 * 50 / 200) < 4 * error


@pytest.mark.parametrize("rate", [0, 1, "5%", None])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(InvalidInputError, match="^rate: expected a number between 0 and 1"):
        discoveries([0.5], rate)
