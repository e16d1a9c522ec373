"""Groups against what is expected: p-values are valid where persons weigh unequally."""

import numpy as np
import pytest

from rankloom.insights.statistics.dispersion import Persons
from rankloom.insights.statistics.group_rates import Question, group_ratios, group_shares

PLAIN = Question(tolerance=0.0, confidence=0.9)


def world(rng, spread, n_groups=300):
    """Observations of groups by 8 light persons and one who comes 40 times."""
    of_group = np.repeat(np.arange(9), [1] * 8 + [40])
    group = np.repeat(np.arange(n_groups), len(of_group))
    person = np.tile(of_group, n_groups) + 9 * group
    rate = rng.gamma(1 / spread, spread, 9 * n_groups) if spread else np.ones(9 * n_groups)
    return Persons.of(group, person, n_groups), rate[person]


@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_a_group_that_is_as_expected_has_a_small_p_value_as_seldom_as_it_says(spread):
    rng = np.random.default_rng(3)
    low = []
    for _ in range(10):
        persons, rate = world(rng, spread)
        expected = np.full(len(rate), 0.3)
        found = group_ratios(persons, rng.poisson(expected * rate), expected, PLAIN)
        low += [np.mean(found.above <= 0.05), np.mean(found.below <= 0.05)]
    assert np.mean(low) <= 0.055


def test_counts_that_persons_make_alike_would_be_called_different_without_dispersion():
    """The same log with every observation taken for a person of its own."""
    rng = np.random.default_rng(3)
    persons, rate = world(rng, 0.6)
    expected = np.full(len(rate), 0.3)
    observed = rng.poisson(expected * rate)
    alone = Persons.of(persons.group[persons.cell], np.arange(len(rate)), 300)
    assert np.mean(group_ratios(alone, observed, expected, PLAIN).above <= 0.01) > 0.1


def test_shares_above_that_of_all_are_found_and_their_intervals_hold_the_truth():
    rng, n = np.random.default_rng(4), 200
    truth = np.where(np.arange(n) < 10, 0.5, 0.1)
    group = np.repeat(np.arange(n), 120)
    persons = Persons.of(group, np.arange(len(group)) % 60, n)
    hit = rng.random(len(group)) < truth[group]
    found = group_shares(persons, hit, np.ones(len(group)), Question(0.1, 0.9))
    assert found.above[:10].max() < 1e-6
    assert np.mean(found.above[10:] <= 0.05) < 0.05
    assert np.mean((found.lower <= truth) & (truth <= found.upper)) > 0.85


def test_a_difference_within_the_tolerance_is_none():
    persons = Persons.of(np.zeros(5_000, np.int64), np.arange(5_000), 1)
    observed, expected = np.full(5_000, 0.105), np.full(5_000, 0.1)
    assert group_ratios(persons, observed, expected, PLAIN).above[0] < 0.15
    assert group_ratios(persons, observed, expected, Question(0.1, 0.9)).above[0] > 0.8


def test_groups_of_few_persons_and_without_expectation_are_not_tested():
    persons = Persons.of(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 1, 2, 3, 4]), 3)
    found = group_ratios(persons, np.ones(6), np.array([1.0, 1, 1, 0, 0, 0]), PLAIN)
    assert np.isnan(found.above).all()
    assert np.isnan(found.value).tolist() == [False, True, True]
