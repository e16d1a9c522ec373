"""Cascade, DBN and its simplified form: closed forms by hand, enumeration, recovery."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rankloom.datasets.click_models import DBN, Cascade, SimplifiedDBN
from rankloom.datasets.click_models.dbn_kernel import expect
from rankloom.errors import InvalidInputError

GAMMA = 0.85


def read_down(attractiveness, satisfaction, gamma, rng):
    """Draw clicks of readers who go down the lists."""
    clicked = np.zeros(attractiveness.shape, dtype=bool)
    reads = np.ones(len(clicked), dtype=bool)
    for place in range(clicked.shape[1]):
        clicked[:, place] = reads & (rng.random(len(reads)) < attractiveness[:, place])
        satisfied = clicked[:, place] & (rng.random(len(reads)) < satisfaction[:, place])
        reads &= ~satisfied & (rng.random(len(reads)) < gamma)
    return clicked


@pytest.fixture(scope="module")
def world(pairs_of):
    """Function: lists, shown, gamma -> attractiveness, satisfaction, pairs, all by document."""

    def make(lists, shown, gamma, *, low=0.1, high=0.7, seed=0):
        rng = np.random.default_rng(seed)
        attracts, satisfies = (
            rng.uniform(low, high, (20, shown)),
            rng.uniform(0.1, 0.9, (20, shown)),
        )
        query = rng.integers(0, 20, lists)
        order = rng.permuted(np.tile(np.arange(shown), (lists, 1)), axis=1)
        at = (query[:, None], order)
        clicked = read_down(attracts[at], satisfies[at], gamma, rng)
        pairs = pairs_of(query, order + shown * query[:, None], clicked)
        return attracts.ravel(), satisfies.ravel(), pairs

    return make


def test_the_simplified_model_is_what_one_counts_by_hand(pairs_of):
    """Three lists of A, B, C: clicks on A and B; on C; none."""
    clicked = [[1, 1, 0], [0, 0, 1], [0, 0, 0]]
    model = SimplifiedDBN(prior_strength=0).fit(pairs_of([0] * 3, [[0, 1, 2]] * 3, clicked))
    np.testing.assert_allclose(model.relevance_, [1 / 3, 1 / 3, 1 / 2])
    np.testing.assert_allclose(model.satisfaction_, [0, 1, 1], atol=1e-5)
    # P(examined): 1, 1 - 1/3 * 0, 1 - 1/3 * 1
    np.testing.assert_allclose(model.examination_, [1, 1, 2 / 3], atol=1e-5)


def test_the_prior_adds_examinations_and_clicks(pairs_of):
    clicked = [[1, 1, 0], [0, 0, 1], [0, 0, 0]]
    pairs = pairs_of([0] * 3, [[0, 1, 2]] * 3, clicked)
    model = SimplifiedDBN(prior_mean=0.5, prior_strength=4).fit(pairs)
    np.testing.assert_allclose(model.relevance_, [3 / 7, 3 / 7, 3 / 6])
    np.testing.assert_allclose(model.satisfaction_, [(4 * 2 / 3) / 5, *[(1 + 4 * 2 / 3) / 5] * 2])
    assert (model.prior_mean_, model.mean_satisfaction_) == (0.5, pytest.approx(2 / 3))


def test_the_cascade_is_what_one_counts_by_hand(pairs_of):
    """First clicks by examinations; what follows a click does not count."""
    clicked = [[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]]
    model = Cascade(prior_strength=0).fit(pairs_of([0] * 4, [[0, 1, 2]] * 4, clicked))
    np.testing.assert_allclose(model.relevance_, [1 / 4, 1 / 3, 1 / 2])
    np.testing.assert_allclose(model.list_click_probability([0.5, 0.5, 0.5]), [[0.5, 0.25, 0.125]])


def hidden_worlds(attracts, satisfies, gamma):
    """Yield (chance, clicks, examined, satisfied, went on) of all that can happen on a list."""
    for outcome in itertools.product([0, 1], repeat=3 * len(attracts)):
        attracted, pleased, persists = np.reshape(outcome, (3, -1))
        chance = np.prod(np.where(attracted, attracts, 1 - attracts))
        chance *= np.prod(np.where(pleased, satisfies, 1 - satisfies))
        chance *= np.prod(np.where(persists, gamma, 1 - gamma))
        examined, reads = np.zeros(len(attracts)), 1.0
        for place in range(len(attracts)):
            examined[place] = reads
            reads *= (1 - attracted[place] * pleased[place]) * persists[place]
        clicks = examined * attracted
        yield (
            chance,
            clicks,
            examined,
            clicks * pleased,
            examined * (1 - clicks * pleased) * persists,
        )


@pytest.mark.parametrize("pattern", list(itertools.product([0, 1], repeat=3)))
def test_expectations_are_those_over_all_hidden_worlds(pattern):
    """Of a list of three: clicks, examinations, satisfactions, chances, and going on."""
    attracts, satisfies, gamma = np.array([0.3, 0.6, 0.45]), np.array([0.5, 0.2, 0.7]), 0.8
    total, sums = 0.0, np.zeros((4, 3))
    for chance, clicks, examined, satisfied, onward in hidden_worlds(attracts, satisfies, gamma):
        if (clicks == pattern).all():
            total += chance
            could = examined * (1 - satisfied)
            sums += chance * np.array([examined, satisfied, onward, could])
    examined, satisfied, onward, could = sums / total
    documents, values = np.zeros((4, 3)), np.zeros((2, 1))
    ones, place = np.ones(3), np.arange(3)
    expect(
        np.array([0, 3]), place, np.zeros(3, int), np.array(pattern, bool), ones, ones,
        attracts, satisfies, np.array([gamma]), documents, values,
    )  # fmt: skip
    np.testing.assert_allclose(documents[0], pattern)
    np.testing.assert_allclose(documents[1], examined, rtol=1e-12)
    judged = np.array(pattern) * (place < 2)  # no row below the last one shows it
    np.testing.assert_allclose(documents[3], judged)
    np.testing.assert_allclose(documents[2], satisfied * judged, rtol=1e-12)
    np.testing.assert_allclose(values[0], onward[:2].sum(), rtol=1e-12)
    np.testing.assert_allclose(values[1], could[:2].sum(), rtol=1e-12)


def test_the_fit_recovers_attractiveness_satisfaction_and_persistence(world):
    attracts, satisfies, pairs = world(60_000, 6, GAMMA)
    model = DBN(prior_strength=0, tolerance=1e-5, max_iterations=300).fit(pairs)
    assert model.continuation_ == pytest.approx(GAMMA, abs=0.03)
    assert np.abs(model.relevance_ - attracts).mean() < 0.02
    assert np.abs(model.satisfaction_ - satisfies).mean() < 0.06


def test_the_interval_of_persistence_holds_it(world):
    _, _, pairs = world(5000, 6, GAMMA)
    low, high = DBN().fit(pairs).intervals(0.99, n_bootstrap=20)["continuation"]
    assert 0.5 < low < GAMMA < high < 1


def test_no_step_goes_down(world):
    _, _, pairs = world(2000, 5, GAMMA)
    values = []
    for steps in range(1, 8):
        model = DBN(prior_strength=0, tolerance=0.0, max_iterations=steps).fit(pairs)
        values.append(model.log_likelihood(pairs))
    assert (np.diff(values) > -1e-3).all()
    assert values[-1] > values[0]


def test_persistence_by_context_is_estimated_apart(world, pairs_of):
    import polars as pl

    _, _, keen = world(20_000, 5, 0.95, seed=1)
    _, _, tired = world(20_000, 5, 0.5, seed=1)
    both = pairs_of(
        np.concatenate([keen.query_code, tired.query_code]),
        np.concatenate([keen.document_code, tired.document_code]).reshape(-1, 5),
        np.concatenate([keen.clicked, tired.clicked]),
        context={"device": pl.Series(["desktop"] * 20_000 + ["phone"] * 20_000)},
    )
    model = DBN(by="device").fit(both)
    np.testing.assert_allclose(model.continuation_, [0.95, 0.5], atol=0.05)
    assert (model.curves_["desktop"][1:] > model.curves_["phone"][1:]).all()


def test_on_long_lists_without_fatigue_the_simplified_model_is_the_same(world):
    """With 15 attractive results only satisfied readers leave without a click."""
    _, _, pairs = world(3000, 15, 1.0, low=0.4, high=0.8)
    full, simple = DBN(continuation=1.0).fit(pairs), SimplifiedDBN().fit(pairs)
    for name in ("relevance_", "satisfaction_"):
        gap = np.abs(getattr(full, name) - getattr(simple, name))
        assert gap.mean() < 0.005
        assert gap.max() < 0.1  # a document that mostly stood last
    assert full.continuation_ == pytest.approx(1.0, abs=1e-5)


def test_lists_out_of_order_are_refused(pairs_of):
    pairs = pairs_of([0], [[0, 1]], [[True, False]], position=[[1, 0]])
    with pytest.raises(InvalidInputError, match="execution 0 is not in the order"):
        DBN().fit(pairs)


@pytest.mark.parametrize("continuation", [0.0, 1.5])
def test_a_known_continuation_must_be_a_probability(pairs_of, continuation):
    with pytest.raises(InvalidInputError, match="continuation"):
        DBN(continuation=continuation).fit(pairs_of([0], [[0, 1]], [[True, False]]))


def test_clicks_by_expected_examinations_are_the_attractiveness(world):
    _, _, pairs = world(3000, 5, GAMMA)
    model = DBN(prior_strength=0, tolerance=1e-7, max_iterations=500).fit(pairs)
    clicks = model.counts_.by_document(model.counts_.clicks)
    examined = np.bincount(model.counts_.find(pairs), model.row_examinations())
    np.testing.assert_allclose(clicks / examined, model.relevance_, rtol=1e-3)


def test_a_click_is_an_examination_times_the_attractiveness(world):
    _, _, pairs = world(500, 5, GAMMA)
    model = DBN().fit(pairs)
    relevance = model.relevance_[model.counts_.find(pairs)]
    examined = model.examination_given_clicks(pairs, relevance)
    np.testing.assert_allclose(examined * relevance, model.row_click_probability(pairs))
