"""Weights of a query: without evidence those of its level, with much its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.bandit.base.sums import ArmSums, QuerySums, Sums
from rankloom.bandit.posterior.estimation import estimate
from rankloom.bandit.posterior.fusion_posterior import FusionPosterior
from rankloom.bandit.posterior.linear import NOISE, LinearPosterior
from rankloom.bandit.posterior.noise import FixedNoise
from rankloom.bandit.posterior.query_level import QueryLevel

ARMS = ("text", "image", "sound")
NOISES = FixedNoise(ARMS, "test")
SEGMENT = ("segment", "de")


def simulated(rng, queries, documents, spread, *, scored=True):
    """Clicks on documents whose scores are worth other slopes in every query; all examined."""
    mean = np.array([0.3, 0.2, 0.1, 0.1])
    theta = np.maximum(mean + rng.normal(0, spread, (queries, 4)), 0)
    z = np.append(rng.random((queries, documents, 3)), np.ones((queries, documents, 1)), axis=2)
    clicks = rng.random((queries, documents)) < np.minimum(np.einsum("qdi,qi->qd", z, theta), 1)
    share = z[..., :3] / z[..., :3].sum(axis=2, keepdims=True)
    N, S, Q = share.sum(1), (share * clicks[..., None]).sum(1), (share**2).sum(1)
    A, b = np.einsum("qdi,qdj->qij", z, z), np.einsum("qdi,qd->qi", z, clicks)
    each = (N, S, 0 * N, Q, *((A, b) if scored else (None, None)))
    whole = (None if part is None else part.sum(0, keepdims=True) for part in each)
    return Sums(ARMS, ((),), 0, *whole), Sums(ARMS, None, 0, *each), theta[:, :3]


def posterior_of(top, queries, **settings):
    segment = Sums(ARMS, (SEGMENT,), 0, *(None if p is None else 0.4 * p for p in parts(top)))
    return estimate(top, segment, None, queries, **settings)


def parts(sums):
    return sums.N, sums.S, sums.F, sums.Q, sums.A, sums.b


@pytest.mark.parametrize("scored", [False, True])
@pytest.mark.parametrize("segment", [(), SEGMENT])
def test_a_query_without_evidence_has_the_draw_of_its_level_bit_for_bit(scored, segment):
    top, queries, _ = simulated(np.random.default_rng(0), 20, 200, 0.2, scored=scored)
    posterior, before = posterior_of(top, queries), posterior_of(top, None)
    nothing = QuerySums(*np.zeros((3, 3)), np.zeros((4, 4)), np.zeros(4))
    user, session = ArmSums(*np.full((3, 3), 4.0)), ArmSums(*np.full((3, 3), 0.5))
    for own in ((), (user,), (user, session), (None, session)):
        for query in (None, nothing):
            given = (segment, *own, *(None,) * (2 - len(own)), query)
            noise = NOISES.of("s")
            assert posterior.mean(*given).tobytes() == before.mean(*given[:-1]).tobytes()
            assert (
                posterior.draw(noise, *given).tobytes() == before.draw(noise, *given[:-1]).tobytes()
            )


def test_slopes_of_a_query_are_those_of_least_squares_around_the_level():
    _, queries, _ = simulated(np.random.default_rng(1), 1, 50, 0.3)
    query, level = QuerySums.of(queries), QueryLevel(50.0, 40.0)
    linear = LinearPosterior(np.array([0.2, 0.1, -0.1]), np.zeros((3, 3)), 0.07)
    m = np.array([0.2, 0.1, -0.1, 0.07])
    # Ridge regression of the clicks with the penalty 40 |theta - m|^2.
    theta = np.linalg.solve(query.A + 40 * np.eye(4), query.b + 40 * m)
    np.testing.assert_allclose(level.deviation(query, linear), (theta - m)[:3])
    weights = np.array([0.5, 0.3, 0.2])
    moved = np.maximum(weights + (theta - m)[:3] / 0.3, 0)
    np.testing.assert_allclose(level.moved(weights, query, linear, None), moved / moved.sum())


def test_draws_vary_by_the_evidence_of_the_query_alone():
    _, queries, _ = simulated(np.random.default_rng(2), 1, 50, 0.3)
    query, level = QuerySums.of(queries), QueryLevel(50.0, 40.0)
    linear = LinearPosterior(np.array([0.2, 0.1, 0.1]), np.zeros((3, 3)))
    draws = [level.deviation(query, linear, NOISES.of(str(n))) for n in range(1_500)]
    inverse = np.linalg.inv(query.A + 40 * np.eye(4))
    covariance = NOISE**2 * (inverse @ query.A @ inverse)[:3, :3]
    np.testing.assert_allclose(np.mean(draws, axis=0), level.deviation(query, linear), atol=3e-3)
    np.testing.assert_allclose(np.cov(np.array(draws).T), covariance, atol=8e-6)


def test_the_strength_grows_where_queries_do_not_differ_and_is_near_the_truth_where_they_do():
    for seed in range(5):
        equal = posterior_of(*simulated(np.random.default_rng(seed), 100, 100, 0.0)[:2])
        assert equal.query_level.slope_strength > 3_000
        # Coefficients with the variance rate / lambda = .05^2 around those of all.
        top, queries, _ = simulated(np.random.default_rng(seed), 200, 200, 0.05)
        truth = float(top.b[0, -1] / top.A[0, -1, -1]) / 0.05**2
        found = posterior_of(top, queries).query_level.slope_strength
        assert truth / 2 < found < 2 * truth


@pytest.mark.parametrize("kind", ["beta", "linear"])
def test_weights_follow_a_query_that_differs(kind):
    """With much evidence the channel that is best for a query has the highest weight there."""
    top, queries, slopes = simulated(
        np.random.default_rng(3), 50, 3_000, 0.25, scored=kind == "linear"
    )
    posterior = posterior_of(top, queries)
    assert posterior.kind == kind
    best = [posterior.mean(query=QuerySums.of(queries, row)).argmax() for row in range(50)]
    clear = np.sort(slopes, axis=1)[:, -1] - np.sort(slopes, axis=1)[:, -2] > 0.1
    assert clear.sum() > 10
    right = (np.array(best) == slopes.argmax(axis=1))[clear].mean()
    assert right > (0.95 if kind == "linear" else 0.8)
    of_all = (posterior.mean().argmax() == slopes.argmax(axis=1))[clear].mean()
    assert of_all < 0.7


@given(st.integers(0, 1_000), st.booleans(), st.floats(1e-6, 1e6))
def test_weights_sum_to_one_within_their_bounds(seed, scored, scale):
    rng = np.random.default_rng(seed)
    top, queries, _ = simulated(rng, 5, 20, 0.5, scored=scored)
    posterior = posterior_of(top, queries, floor=0.02, cap=0.9)
    query = QuerySums(
        *(None if p is None else scale * p[0] for p in parts(queries) if p is not queries.Q)
    )
    for weights in (posterior.mean(query=query), posterior.draw(NOISES.of("s"), query=query)):
        assert weights.sum() == pytest.approx(1.0)
        assert 0.02 - 1e-12 <= weights.min() <= weights.max() <= 0.9 + 1e-12


@pytest.mark.parametrize("scored", [False, True])
def test_everything_is_written_and_read_exactly(scored):
    top, queries, _ = simulated(np.random.default_rng(4), 20, 50, 0.2, scored=scored)
    posterior, query = posterior_of(top, queries), QuerySums.of(queries)
    again = FusionPosterior.from_dict(posterior.to_dict())
    assert again.to_dict() == posterior.to_dict()
    for segment in ((), SEGMENT):
        assert (
            again.mean(segment, query=query).tobytes()
            == posterior.mean(segment, query=query).tobytes()
        )
    without = posterior_of(top, None).to_dict()
    assert "queries" not in without
    assert "intercept" not in without["levels"][0]
