"""How much persons differ: by hand, and in simulations with known truth."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rankloom.insights.statistics.dispersion import Persons


def test_persons_and_sums_of_groups_by_hand():
    persons = Persons.of(np.array([1, 1, 0, 1]), np.array([7, 7, 7, 2]), 3)
    assert persons.counts.tolist() == [1, 2, 0]
    assert sorted(persons.sums(np.array([1.0, 2.0, 4.0, 8.0]))) == [3.0, 4.0, 8.0]
    assert persons.group_sums(persons.sums(np.ones(4))).tolist() == [1.0, 3.0, 0.0]


def test_persons_who_count_alike_disperse_nothing():
    persons = Persons.of(np.repeat([0, 1], 4), np.arange(8), 2)
    counts, expected = np.tile([3.0, 3.0, 4.0, 4.0], 2), np.full(8, 3.5)
    assert persons.dispersion_of_counts(counts, expected).tolist() == [1, 1]
    assert persons.dispersion_of_shares(counts, np.full(8, 20.0)).tolist() == [1, 1]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_dispersion_is_at_least_one_in_any_order_of_observations(counts, random):
    rows = [(random.randrange(3), random.randrange(4), count) for count in counts]
    found = []
    for _ in range(2):
        random.shuffle(rows)
        group, person, events = (np.array(column) for column in zip(*rows, strict=True))
        persons = Persons.of(group, person, 3)
        observed, trials = persons.sums(events), persons.sums(events + 1)
        found.append(persons.dispersion_of_counts(observed, persons.sums(np.ones(len(rows)))))
        found.append(persons.dispersion_of_shares(observed, trials))
    assert (np.array(found) >= 1).all()
    assert np.allclose(found[:2], found[2:])


def simulate(spread, rng, n_groups=60, heavy=30):
    """Counts of cells: each group has 20 light persons and one who weighs `heavy` times as much."""
    group = np.repeat(np.arange(n_groups), 21)
    persons = Persons.of(group, np.arange(len(group)), n_groups)
    weight = np.tile([*[1.0] * 20, float(heavy)], n_groups)
    return persons, weight, rng.gamma(1 / spread, spread, len(group)) if spread else 1.0


def test_without_differences_between_persons_counts_vary_as_poisson_counts_do():
    rng = np.random.default_rng(0)
    persons, weight, rate = simulate(0, rng)
    assert persons.dispersion_of_counts(rng.poisson(weight * rate), weight).max() < 1.5


def test_dispersion_is_the_variance_of_group_counts_over_their_mean_or_somewhat_more():
    rng, spread = np.random.default_rng(1), 0.5
    found, totals = [], []
    for _ in range(60):
        persons, weight, rate = simulate(spread, rng)
        counts = rng.poisson(weight * rate).astype(float)
        found.append(persons.dispersion_of_counts(counts, weight).mean())
        totals.append(persons.group_sums(counts))
    truth = 1 + spread * (20 + 30**2) / 50
    assert np.isclose(np.var(totals) / np.mean(totals), truth, rtol=0.1)
    assert 0.95 < np.mean(found) / truth < 1.3


def test_dispersion_of_shares_is_that_of_correlated_trials():
    rng, correlation = np.random.default_rng(2), 0.2
    found = []
    for _ in range(40):
        persons, weight, _ = simulate(0, rng)
        ab = 1 / correlation - 1
        share = rng.beta(0.3 * ab, 0.7 * ab, len(weight))
        hits = rng.binomial(weight.astype(int), share).astype(float)
        found.append(persons.dispersion_of_shares(hits, weight).mean())
    truth = 1 + correlation * (30 * 29) / 50
    assert np.isclose(np.mean(found), truth, rtol=0.1)
