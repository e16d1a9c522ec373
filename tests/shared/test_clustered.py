import numpy as np
import pytest

from rankloom._shared.clustered import ClusteredErrors, effective_size


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_the_standard_error_is_that_of_resampled_clusters(generator):
    sizes = generator.integers(1, 6, 400)
    cluster = np.repeat(np.arange(400), sizes)
    values = generator.normal(size=400)[cluster] + generator.normal(size=len(cluster))
    influence = values - values.mean()
    error = ClusteredErrors(cluster).standard_error(influence)
    sums = np.bincount(cluster, weights=values)
    drawn = generator.integers(0, 400, (4000, 400))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    assert error == pytest.approx(means.std(), rel=0.05)
    assert error > 1.3 * ClusteredErrors(np.arange(len(values))).standard_error(influence)


def test_single_observations_have_the_standard_error_of_a_plain_mean(generator):
    values = generator.normal(size=50)
    error = ClusteredErrors(np.arange(50)).standard_error(values - values.mean())
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_copies_of_a_cluster_add_nothing(generator):
    """Every observation four times over, in the same clusters: the same error, not half of it."""
    influence = generator.standard_normal(50)
    influence -= influence.mean()
    once = ClusteredErrors(np.arange(50)).standard_error(influence)
    copied = ClusteredErrors(np.repeat(np.arange(50), 4)).standard_error(np.repeat(influence, 4))
    assert copied == pytest.approx(once)


def test_numbers_of_clusters_may_have_gaps(generator):
    influence = generator.standard_normal(30)
    cluster = generator.integers(0, 10, 30)
    dense, sparse = ClusteredErrors(cluster), ClusteredErrors(7 * cluster + 3)
    assert sparse.count == dense.count == len(np.unique(cluster))
    assert sparse.standard_error(influence) == pytest.approx(dense.standard_error(influence))


def test_a_mean_two_errors_away_has_the_p_value_of_its_t_quantile():
    errors = ClusteredErrors(np.arange(8))
    assert errors.t_quantile(0.975) == pytest.approx(2.3646, abs=1e-4)  # table of Student's t, 7 df
    assert errors.p_value(-2.3646, 1.0) == pytest.approx(0.05, abs=1e-5)
    assert (errors.p_value(0.0, 0.0), errors.p_value(1.0, 0.0)) == (1.0, 0.0)


def test_one_cluster_has_no_standard_error():
    assert np.isnan(ClusteredErrors(np.zeros(5, int)).standard_error(np.ones(5)))


@pytest.mark.parametrize(("weight", "size"), [([2.0] * 5, 5), ([1, 0, 0], 1), ([0, 0], 0), ([], 0)])
def test_equal_weights_count_fully_and_none_count_nothing(weight, size):
    assert effective_size(np.array(weight, float)) == pytest.approx(size)
