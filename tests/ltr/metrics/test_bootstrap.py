from __future__ import annotations

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import paired_bootstrap


def two_rankers(queries=400, gain=0.02, seed=0):
    generator = np.random.default_rng(seed)
    hard = generator.random(queries)
    return hard + gain + generator.normal(0, 0.1, queries), hard + generator.normal(0, 0.1, queries)


def test_the_interval_is_that_of_the_central_limit_theorem_on_many_queries():
    a, b = two_rankers()
    found = paired_bootstrap(a, b, 4000)
    error = np.std(a - b) / np.sqrt(len(a))
    assert found.difference == pytest.approx(np.mean(a - b))
    assert found.interval[0] == pytest.approx(found.difference - 1.96 * error, abs=0.1 * error)
    assert found.interval[1] == pytest.approx(found.difference + 1.96 * error, abs=0.1 * error)


def test_pairing_takes_out_how_hard_the_queries_are():
    a, b = two_rankers()
    paired = paired_bootstrap(a, b)
    unpaired = paired_bootstrap(a, np.random.default_rng(1).permutation(b))
    assert np.ptp(paired.interval) < 0.6 * np.ptp(unpaired.interval)


def test_p_values_are_uniform_without_a_difference():
    values = [paired_bootstrap(*two_rankers(100, 0.0, seed), 400).p for seed in range(300)]
    assert 0.01 <= np.mean(np.array(values) < 0.05) <= 0.10
    assert 0.4 <= np.mean(np.array(values) < 0.5) <= 0.6


def test_equal_rankers_do_not_differ():
    a, _ = two_rankers()
    assert paired_bootstrap(a, a) == (0.0, (0.0, 0.0), 1.0)


def test_swapping_the_rankers_turns_the_sign():
    a, b = two_rankers()
    one, other = paired_bootstrap(a, b), paired_bootstrap(b, a)
    assert one.difference == pytest.approx(-other.difference)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert one.p == other.p


def test_the_same_seed_gives_the_same_and_another_seed_another():
    a, b = two_rankers()
    assert paired_bootstrap(a, b, random_state=3) == paired_bootstrap(a, b, random_state=3)
    assert paired_bootstrap(a, b, random_state=3) != paired_bootstrap(a, b, random_state=4)


def test_working_in_small_portions_changes_nothing(monkeypatch):
    a, b = two_rankers()
    whole = paired_bootstrap(a, b, 300)
    monkeypatch.setattr("rankloom.ltr.metrics.bootstrap._CELLS", 1000)
    assert paired_bootstrap(a, b, 300) == whole


def test_a_query_without_a_value_in_either_is_left_out():
    a, b = two_rankers(50)
    with_gaps = np.append(a, [np.nan, 5.0]), np.append(b, [1.0, np.nan])
    assert paired_bootstrap(*with_gaps) == paired_bootstrap(a, b)


def test_repeating_a_query_as_one_cluster_adds_no_certainty():
    a, b = two_rankers(60)
    cluster = np.repeat(np.arange(60), 3)
    repeated = np.repeat(a, 3), np.repeat(b, 3)
    single, clustered = paired_bootstrap(a, b), paired_bootstrap(*repeated, cluster=cluster)
    assert clustered.interval == pytest.approx(single.interval)
    assert np.ptp(paired_bootstrap(*repeated).interval) < 0.7 * np.ptp(single.interval)


def test_weights_make_a_weighted_mean():
    a, b = two_rankers(30)
    weight = np.arange(30.0)
    found = paired_bootstrap(a, b, weight=weight)
    assert found.difference == pytest.approx(np.average(a - b, weights=weight))


@pytest.mark.parametrize(
    ("a", "b", "options", "says"),
    [
        ([1.0], [1.0, 2.0], {}, "expected one dimension and equal lengths"),
        ([], [], {}, "no query has a value in both"),
        ([np.nan, 1], [1, np.nan], {}, "no query has a value in both"),
        ([np.inf], [1], {}, "values must be finite"),
        ([1], [1], {"n": 0}, "n must be at least 1"),
        ([1], [1], {"confidence": 1}, "confidence between 0 and 1"),
    ],
)
def test_bad_input_is_refused_with_the_reason(a, b, options, says):
    with pytest.raises(InvalidInputError, match=says):
        paired_bootstrap(a, b, **options)
