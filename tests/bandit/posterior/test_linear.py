"""Linear posteriors: by hand, by scipy, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, stats

from rankloom.bandit.posterior.linear import LinearPosterior, positive_slopes
from rankloom.bandit.posterior.noise import STEPS, FixedNoise, Noise

EQUAL = np.array([0.5, 0.5])


def evidence(z, examination, rewards):
    z, examination = np.asarray(z, float), np.asarray(examination, float)
    return (z * examination[:, None]).T @ z, z.T @ np.asarray(rewards, float)


def random_evidence(rows, arms, seed=0):
    generator = np.random.default_rng(seed)
    z = np.column_stack([generator.random((rows, arms)), np.ones(rows)])
    examination = 1 / generator.integers(1, 11, rows)
    return evidence(z, examination, generator.random(rows) < 0.3 * examination)


def test_two_channels_by_hand():
    """Two units: scores (1, 0) at examination 1 clicked, (0, 1) at 1/2 not; lambda 2, v 0.1."""
    A, b = evidence([[1, 0, 1], [0, 1, 1]], [1.0, 0.5], [1.0, 0.0])
    assert A.tolist() == [[1, 0, 1], [0, 0.5, 0.5], [1, 0.5, 1.5]]
    assert b.tolist() == [1, 0, 1]
    posterior = LinearPosterior.top(EQUAL, A, b, strength=2.0)
    # P = [[3, 0, 1], [0, 2.5, 0.5], [1, 0.5, 3.5]], right side 2 m0 + b = (1.3, 0.3, 1.1)
    # det P = 3 (8.75 - 0.25) - 2.5 = 23; cofactors give the first two rows of its inverse
    first = np.array([8.5, 0.5, -2.5]) / 23
    second = np.array([0.5, 9.5, -1.5]) / 23
    right = np.array([1.3, 0.3, 1.1])
    assert posterior.mean == pytest.approx([first @ right, second @ right])
    covariance = 0.01 * np.array([[8.5, 0.5], [0.5, 9.5]]) / 23
    assert posterior.root @ posterior.root == pytest.approx(covariance)


def test_draws_have_the_documented_normal_distribution():
    A, b = random_evidence(200, 2)
    posterior = LinearPosterior.top(EQUAL, A, b)
    precision = A + 50 * np.eye(3)
    covariance = 0.01 * linalg.inv(precision)
    mean = linalg.solve(precision, b + 50 * np.array([0.15, 0.15, 0.05]), assume_a="pos")
    source = FixedNoise(["text", "image"])
    draws = np.array([posterior.draw(source.of(f"user:{n}")) for n in range(4000)])
    for direction in ([1.0, 0.0], [0.0, 1.0], [0.6, -0.8]):
        along = np.array(direction)
        law = stats.norm(along @ mean[:2], np.sqrt(along @ covariance[:2, :2] @ along))
        assert stats.kstest(draws @ along, law.cdf).pvalue > 1e-3


def test_without_evidence_the_top_has_the_weights_given():
    cold = LinearPosterior.top(np.array([0.7, 0.3]), np.zeros((3, 3)), np.zeros(3))
    assert cold.mean == pytest.approx([0.21, 0.09])
    assert cold.root == pytest.approx(np.eye(2) * 0.1 / np.sqrt(50))


def test_a_child_without_evidence_is_its_parent():
    parent = LinearPosterior.top(EQUAL, *random_evidence(100, 2))
    assert parent.child(np.zeros((3, 3)), np.zeros(3)) is parent


def test_a_grain_of_evidence_moves_the_draw_by_a_grain():
    parent = LinearPosterior.top(np.full(4, 0.25), *random_evidence(300, 4))
    A, b = random_evidence(50, 4, seed=1)
    noise = FixedNoise(["a", "b", "c", "d"]).of("user")

    def share(posterior):
        return posterior.draw(noise) / posterior.draw(noise).sum()

    grain = parent.child(1e-9 * A, 1e-9 * b)
    assert share(grain) == pytest.approx(share(parent), rel=1e-5)
    assert share(parent.child(A, b)) != pytest.approx(share(parent), rel=1e-3)


def test_with_much_evidence_the_parent_plays_no_part():
    A, b = random_evidence(500, 3)
    parents = [
        LinearPosterior.top(np.array(weights), *random_evidence(100, 3, seed=seed))
        for seed, weights in enumerate([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    ]
    one, other = (parent.child(1e7 * A, 1e7 * b) for parent in parents)
    assert one.mean == pytest.approx(other.mean, rel=1e-4)
    assert one.mean == pytest.approx(linalg.solve(A, b)[:3], abs=1e-6)
    assert one.root @ one.root == pytest.approx(0.01 * linalg.inv(1e7 * A)[:3, :3], rel=1e-3)


def test_a_childs_covariance_is_the_parents_seen_through_the_prior_plus_its_own():
    parent = LinearPosterior.top(EQUAL, *random_evidence(100, 2))
    A, b = random_evidence(40, 2, seed=2)
    child = parent.child(A, b)
    inverse = linalg.inv(A + 50 * np.eye(3))
    scale = 0.3 / parent.mean.sum()
    through = 50 * inverse[:2, :2]
    expected = through @ (scale**2 * parent.root @ parent.root) @ through.T
    expected += 0.01 * (inverse @ A @ inverse)[:2, :2]
    assert child.root @ child.root == pytest.approx(expected)
    m0 = np.append(scale * parent.mean, 0.05)
    assert child.mean == pytest.approx((inverse @ (50 * m0 + b))[:2])


def test_a_parent_without_a_positive_slope_counts_as_equal_weights():
    parent = LinearPosterior(np.array([-0.1, -0.2]), np.eye(2) * 0.01)
    child = parent.child(np.eye(3) * 1e-6, np.zeros(3))
    assert child.mean == pytest.approx([0.15, 0.15], rel=1e-3)


def test_the_order_of_the_arms_plays_no_part():
    A, b = random_evidence(100, 3)
    turn = np.array([2, 0, 1])
    full = np.append(turn, 3)
    one = LinearPosterior.top(np.full(3, 1 / 3), A, b)
    turned = LinearPosterior.top(np.full(3, 1 / 3), A[np.ix_(full, full)], b[full])
    arms = ["a", "b", "c"]
    draw = one.draw(FixedNoise(arms).of("u"))
    assert turned.draw(FixedNoise([arms[arm] for arm in turn]).of("u")) == pytest.approx(draw[turn])


@pytest.mark.parametrize("arms", [1, 2, 5, 25, 200])
def test_any_number_of_channels(arms):
    A, b = random_evidence(50, arms)
    posterior = LinearPosterior.top(np.full(arms, 1 / arms), A, b)
    noise = Noise(np.ones((2, arms)), np.ones((STEPS, 2, arms)))
    assert np.isfinite(posterior.draw(noise)).all()
    assert linalg.eigvalsh(posterior.root).min() > 0


def test_negative_slopes_count_nothing():
    assert positive_slopes(np.array([0.2, -0.1, 0.0])).tolist() == [0.2, 0.0, 0.0]
    assert positive_slopes(np.array([-0.2, -0.1])).tolist() == [1.0, 1.0]
