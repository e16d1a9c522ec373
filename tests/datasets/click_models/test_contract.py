"""What every click model promises, checked on every one of them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import click_models
from rankloom.datasets.click_models import ClickModel, click_counts
from rankloom.errors import InvalidInputError, NoExposuresError

from .conftest import MODELS


@pytest.fixture(scope="module")
def fitted(own_log):
    return {model: model().fit(own_log(model, 3000)[1]) for model in MODELS}


def test_the_checks_cover_every_model():
    public = [getattr(click_models, name) for name in click_models.__all__]
    models = [one for one in public if isinstance(one, type) and issubclass(one, ClickModel)]
    assert {*models} - {ClickModel} == {*MODELS}


def test_shapes_and_bounds(model_class, fitted, own_log):
    model, pairs = fitted[model_class], own_log(model_class, 3000)[1]
    assert model.examination_.shape == (5,)
    assert model.examination_[0] == 1.0
    assert (model.examination_ > 0).all()
    assert model.relevance_.shape == (len(np.unique(pairs.query_document)),)
    assert ((model.relevance_ >= 0) & (model.relevance_ <= 1)).all()
    assert 0 < model.prior_mean_ < 1
    assert model.curves_ == {}
    for conditional in (True, False):
        chance = model.row_click_probability(pairs, conditional=conditional)
        assert chance.shape == (len(pairs),)
        assert ((chance >= 0) & (chance <= 1)).all()


def test_the_probabilities_of_all_that_can_happen_sum_to_one(model_class, fitted, pairs_of):
    """Over the 32 click patterns of a list; and each row's marginal is what they say of it."""
    patterns = np.array(list(itertools.product([False, True], repeat=5)))
    documents = np.arange(5) + 8
    lists = [pairs_of([1], [documents], [clicked]) for clicked in patterns]
    model = fitted[model_class]
    chance = np.exp([model.log_likelihood(pairs) for pairs in lists])
    assert chance.sum() == pytest.approx(1, abs=1e-4)
    marginal = model.row_click_probability(lists[0], conditional=False)
    np.testing.assert_allclose(chance @ patterns, marginal, atol=1e-4)


def test_marginals_of_rows_are_those_of_lists(model_class, fitted, own_log):
    model, pairs = fitted[model_class], own_log(model_class, 3000)[1].take(np.arange(50))
    place = model.counts_.find(pairs)
    shown = [model.relevance_[place].reshape(50, 5)]
    if hasattr(model, "satisfaction_"):
        shown.append(model.satisfaction_[place].reshape(50, 5))
    expected = model.list_click_probability(*shown)
    found = model.row_click_probability(pairs, conditional=False)
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-10)


def test_clicks_are_drawn_with_the_stated_probability(model_class, fitted):
    model, n = fitted[model_class], 20_000
    relevance = np.array([0.5, 0.2, 0.9, 0.4, 0.7])
    chance = model.list_click_probability(relevance)[0]
    frequency = model.sample(np.tile(relevance, (n, 1)), random_state=0).mean(axis=0)
    assert (np.abs(frequency - chance) <= 4.5 * np.sqrt(chance * (1 - chance) / n)).all()


def test_sampling_is_deterministic_given_its_seed(model_class, fitted):
    draws = [fitted[model_class].sample(np.full((99, 5), 0.5), random_state=s) for s in (1, 1, 2)]
    assert draws[0].shape == (99, 5)
    assert draws[0].dtype == np.bool_
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_held_out_clicks_are_predicted_better_than_by_position_alone(model_class, fitted, own_log):
    held_out = own_log(model_class, 1500, seed=1)[1]
    rate = np.bincount(held_out.position, held_out.clicked) / 1500
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    for conditional in (True, False):
        found = fitted[model_class].perplexity(held_out, conditional=conditional)
        assert found.overall < np.exp(entropy).mean()
        assert found.overall == pytest.approx(found.by_position.mean())


def test_both_perplexities_agree_where_nothing_is_above(model_class, fitted, own_log):
    pairs = own_log(model_class, 1500, seed=1)[1]
    model = fitted[model_class]
    both = [model.perplexity(pairs, conditional=one).by_position[0] for one in (True, False)]
    assert both[0] == both[1]


def test_conditional_perplexity_and_log_likelihood_say_the_same(model_class, fitted, own_log):
    pairs = own_log(model_class, 1500, seed=1)[1]
    found = fitted[model_class].perplexity(pairs)
    total = -np.log(found.by_position).sum() * 1500
    assert fitted[model_class].log_likelihood(pairs) == pytest.approx(total)


def test_the_order_of_executions_does_not_matter(model_class, fitted, own_log):
    pairs = own_log(model_class, 3000)[1]
    shuffled = pairs.take(np.random.default_rng(3).permutation(pairs.n_executions))
    again = model_class().fit(shuffled)
    np.testing.assert_allclose(again.examination_, fitted[model_class].examination_, rtol=1e-9)
    np.testing.assert_allclose(again.relevance_, fitted[model_class].relevance_, rtol=1e-7)


def test_a_weight_of_two_is_an_execution_twice(model_class, own_log):
    pairs = own_log(model_class, 1500, seed=1)[1]
    doubled = np.arange(1500) % 3 == 0
    twice = pairs.take(np.repeat(np.arange(1500), 1 + doubled))
    weight = np.repeat(1 + doubled, pairs.group).astype(np.float32)
    models = [model_class().fit(log) for log in (twice, replace(pairs, weight=weight))]
    np.testing.assert_allclose(models[0].examination_, models[1].examination_, rtol=1e-6)
    np.testing.assert_allclose(models[0].relevance_, models[1].relevance_, rtol=1e-5)


def test_context_values_that_share_no_document_are_fitted_as_if_alone(
    model_class, own_log, pairs_of
):
    one, other = own_log(model_class, 3000)[1], own_log(model_class, 1500, seed=4)[1]
    both = pairs_of(
        np.concatenate([one.query_code, other.query_code + 100]),
        np.concatenate([one.document_code, other.document_code + 800]).reshape(-1, 5),
        np.concatenate([one.clicked, other.clicked]),
        context={"device": pl.Series(["a"] * 3000 + ["b"] * 1500)},
    )
    joint = model_class(by="device", prior_mean=0.3).fit(both)
    assert list(joint.curves_) == ["a", "b"]
    for pairs, value in ((one, "a"), (other, "b")):
        alone = model_class(prior_mean=0.3).fit(pairs)
        np.testing.assert_allclose(joint.curves_[value], alone.examination_, rtol=0.03)
    assert joint.sample([[0.5, 0.5]], value="a").shape == (1, 2)
    with pytest.raises(InvalidInputError, match="value"):
        joint.sample([[0.5, 0.5]], value="c")


def test_a_new_context_value_is_read_like_the_mean(model_class, own_log):
    pairs = own_log(model_class, 1500, seed=1)[1]
    device = np.where(np.arange(1500) % 2 == 0, "a", "b")
    model = model_class(by="device").fit(replace(pairs, context={"device": pl.Series(device)}))
    new = replace(pairs, context={"device": pl.Series(["c"] * 1500)})
    relevance = np.full(5, 0.3)
    lists = [model.list_click_probability(relevance, value=value)[0] for value in "ab"]
    unseen = replace(new, documents=pl.Series([f"new {i}" for i in range(len(new.documents))]))
    chance = model.row_click_probability(unseen).reshape(-1, 5)[:, 0]
    scaled = np.array(lists)[:, 0] / 0.3 * model.prior_mean_
    assert np.ptp(chance) < 1e-12
    if model_class.__name__ != "TrustPBM":
        assert scaled.min() - 1e-9 <= chance[0] <= scaled.max() + 1e-9


def test_documents_that_were_never_seen_get_the_prior_mean(model_class, fitted, pairs_of):
    model = fitted[model_class]
    pairs = pairs_of([0], [[900, 901]], [[False, False]])
    shown = [np.full(2, model.prior_mean_)]
    expected = model.list_click_probability(*shown)[0]
    found = model.row_click_probability(pairs, conditional=False)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_posterior_on_the_same_log_repeats_the_fit(model_class, fitted, own_log):
    pairs = own_log(model_class, 3000)[1]
    posterior = fitted[model_class].relevance_posterior(pairs)
    assert posterior.shape == (len(click_counts(pairs)),)
    np.testing.assert_allclose(posterior, fitted[model_class].relevance_, atol=0.02)


def test_a_stronger_prior_draws_the_relevances_together(model_class, own_log):
    pairs = own_log(model_class, 1500, seed=1)[1]
    spread = [model_class(prior_strength=k).fit(pairs).relevance_.std() for k in (1, 10, 1000)]
    assert spread[0] > spread[1] > spread[2]


def test_intervals_surround_the_parameters(model_class, fitted):
    model = fitted[model_class]
    limits = model.intervals(n_bootstrap=20)
    lower, upper = limits["examination"]
    assert lower.shape == upper.shape == (5,)
    assert (lower <= model.examination_ * (1 + 1e-9)).all()
    assert (upper >= model.examination_ * (1 - 1e-9)).all()
    assert (lower[1:] < upper[1:]).all()
    again = model.intervals(n_bootstrap=20)["examination"]
    np.testing.assert_array_equal(again.lower, lower)
    wide = model.intervals(0.99, n_bootstrap=20)["examination"]
    assert (wide.upper[1:] > upper[1:]).all()


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"n_bootstrap": 5}])
def test_intervals_refuse_nonsense(model_class, fitted, options):
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        fitted[model_class].intervals(**options)


def test_long_ragged_lists_with_gaps_and_ties(model_class):
    """150 positions, some missing and some shared, lists of every length."""
    from rankloom.datasets import TrainingPairs

    rng = np.random.default_rng(5)
    group = rng.integers(1, 150, 60).astype(np.int32)
    n = int(group.sum())
    position = np.concatenate([np.sort(rng.integers(0, 150, size)) for size in group])
    relevance = rng.beta(1, 5, 200)
    document = rng.integers(0, 200, n)
    pairs = TrainingPairs(
        X=np.zeros((n, 0), dtype=np.float32),
        y=np.zeros(n, dtype=np.float32),
        clicked=rng.random(n) < relevance[document],
        negative=np.zeros(n, dtype=bool),
        group=group,
        position=position.astype(np.int32),
        document_score=np.zeros(n),
        age_days=np.zeros(n, dtype=np.float32),
        weight=np.ones(n, dtype=np.float32),
        time=np.full(60, np.datetime64("NaT"), dtype="datetime64[us]"),
        execution_id=pl.Series([str(i) for i in range(60)]),
        query_code=np.zeros(60, dtype=np.int32),
        queries=pl.Series(["q"]),
        document_code=document.astype(np.int32),
        documents=pl.Series([str(i) for i in range(200)]),
        feature_names=(),
    )
    model = model_class().fit(pairs)
    assert model.examination_.shape == (100,)
    assert np.isfinite(model.examination_).all()
    for conditional in (True, False):
        assert np.isfinite(model.perplexity(pairs, conditional=conditional).overall)


def test_a_single_list_can_be_fitted(model_class, pairs_of):
    model = model_class().fit(pairs_of([0], [[0, 1]], [[True, False]]))
    assert np.isfinite(model.examination_).all()
    assert model.relevance_[0] >= model.relevance_[1]


@pytest.mark.parametrize(
    ("clicked", "error", "message"),
    [(False, InvalidInputError, "none of 3 documents"), (True, NoExposuresError, "every row")],
)
def test_logs_that_teach_nothing_are_refused(model_class, pairs_of, clicked, error, message):
    pairs = pairs_of([0, 0], [[0, 1, 2]] * 2, np.full((2, 3), clicked))
    with pytest.raises(error, match=message):
        model_class().fit(pairs)


def test_empty_and_unpositioned_logs_are_refused(model_class, pairs_of):
    pairs = pairs_of([0], [[0, 1]], [[True, False]])
    with pytest.raises(InvalidInputError, match="empty"):
        model_class().fit(pairs.take(np.array([], dtype=int)))
    judged = replace(pairs, position=np.array([-1, -1], dtype=np.int32))
    with pytest.raises(InvalidInputError, match="no position"):
        model_class().fit(judged)


def test_a_model_must_be_fitted_first(model_class, pairs_of):
    pairs = pairs_of([0], [[0, 1]], [[True, False]])
    for use in ("log_likelihood", "perplexity", "relevance_posterior", "row_click_probability"):
        with pytest.raises(InvalidInputError, match=f"{model_class.__name__} is not fitted"):
            getattr(model_class(), use)(pairs)
    for use in ("sample", "list_click_probability"):
        with pytest.raises(InvalidInputError, match="not fitted"):
            getattr(model_class(), use)([[0.5]])


@pytest.mark.parametrize(
    "options",
    [{"prior_mean": 0.0}, {"prior_mean": 1.5}, {"prior_strength": -1}, {"by": "device"}],
)
def test_parameters_are_checked(model_class, pairs_of, options):
    pairs = pairs_of([0], [[0, 1]], [[True, False]])
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        model_class(**options).fit(pairs)


@pytest.mark.parametrize("relevance", [[[1.5]], [[-0.1]], [[np.nan]], [[[0.5]]]])
def test_relevances_of_lists_must_be_probabilities(model_class, fitted, relevance):
    with pytest.raises(InvalidInputError, match="relevance"):
        fitted[model_class].sample(relevance)
