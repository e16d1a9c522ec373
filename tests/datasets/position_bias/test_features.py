"""The curve from features: recovery where positions never varied, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets import PositionBias
from rankloom.datasets.position_bias.cross_fitting import (
    LEAST_RELIABILITY,
    folds_of_queries,
    halves_of_queries,
    reliability,
)
from rankloom.datasets.position_bias.feature_cells import MAX_CELLS, FeatureCells, feature_cells
from rankloom.datasets.position_bias.feature_likelihood import FeatureLikelihood
from rankloom.datasets.position_bias.features import Confounding, FeatureEstimate
from rankloom.errors import NotIdentifiableError

TRUTH = np.array([1.0, 0.5, 0.4, 0.3, 0.25])


@pytest.fixture(scope="module")
def log(one_ranker):
    return one_ranker(12_000)


@pytest.fixture(scope="module")
def fitted(log):
    return PositionBias("features", n_bootstrap=40).fit(log)


def test_one_deterministic_ranker_is_refused_by_swaps_and_estimated_by_features(log, fitted):
    with pytest.raises(NotIdentifiableError, match="deterministic ranker"):
        PositionBias("all_pairs").fit(log)
    rate = log.clicked.reshape(-1, 5).mean(axis=0)
    naive = np.abs(rate / rate[0] / TRUTH - 1).max()
    assert naive > 0.35
    assert np.abs(fitted.examination_ / TRUTH - 1).max() < 0.15
    assert (fitted.lower_ < fitted.examination_)[1:].all()
    assert (fitted.examination_ < fitted.upper_)[1:].all()


def test_it_says_how_far_features_predict_positions_and_clicks(fitted):
    found = fitted.confounding_
    assert 0.3 < found.position_r2 < 0.9
    assert found.click_z > 3
    assert 0.4 < found.relevance_r2 < 0.95  # beyond the features it is .5 or 1.5 times as large
    assert 0.7 < found.reliability < 1
    assert fitted.contributions_["features"][1:].tolist() == [1.0] * 4
    assert "features explain" in fitted.summary()
    assert fitted.to_dict()["confounding"]["position_r2"] == found.position_r2


def test_it_says_how_much_of_an_interval_is_sampling_and_how_much_possible_confounding(fitted):
    sampling, beyond = fitted.errors_["sampling"], fitted.errors_["confounding"]
    assert sampling[0] == beyond[0] == 0
    assert beyond[1:].min() > 0
    width = np.log(fitted.upper_ / fitted.lower_)[1:] / 2
    np.testing.assert_allclose(width, 1.65 * np.hypot(sampling, beyond)[1:], rtol=0.15)
    assert "by sampling" in fitted.summary()
    assert fitted.to_dict()["errors"]["confounding"] == beyond.tolist()


def test_neither_the_order_of_executions_nor_a_second_run_changes_anything(log, fitted):
    shuffled = log.take(np.random.default_rng(1).permutation(log.n_executions))
    again = PositionBias("features", n_bootstrap=40).fit(shuffled)
    np.testing.assert_array_equal(again.examination_, fitted.examination_)
    np.testing.assert_array_equal(again.band_upper_, fitted.band_upper_)


@pytest.mark.parametrize("copies", [1, 2])
def test_features_that_are_the_position_are_refused(log, copies):
    position = np.repeat(log.position[:, None], copies, axis=1).astype(np.float32)
    mixed = replace(log, X=np.hstack([log.X, position]), feature_names=(*"abc", *"de"[:copies]))
    with pytest.raises(NotIdentifiableError, match="features determine the position"):
        PositionBias("features").fit(mixed)


def test_features_that_say_nothing_of_clicks_are_refused(log):
    noise = np.random.default_rng(9).normal(size=(len(log.documents), 3)).astype(np.float32)
    with pytest.raises(NotIdentifiableError, match="do not predict clicks"):
        PositionBias("features").fit(replace(log, X=noise[log.document_code]))


def test_no_feature_a_constant_one_or_few_queries_are_refused(log, one_ranker):
    without = replace(log, X=log.X[:, :0], feature_names=())
    constant = replace(log, X=np.full_like(log.X, np.nan))
    few = one_ranker(500, n_queries=10)
    for pairs, cause in ((without, "have none"), (constant, "no feature"), (few, "10 queries")):
        with pytest.raises(NotIdentifiableError, match=cause):
            PositionBias("features").fit(pairs)


def test_categorical_features_with_missing_values_serve_too(log):
    code = np.floor(np.nan_to_num(log.X[:, :2]) * 2).clip(-3, 3) + 3
    pairs = replace(
        log,
        X=np.where(np.isnan(log.X[:, :2]), np.nan, code).astype(np.float32),
        feature_names=("a", "b"),
        categories={"a": tuple("nopqrst"), "b": tuple("nopqrst")},
    )
    bias = PositionBias("features", n_bootstrap=0).fit(pairs)
    assert np.abs(bias.examination_ / TRUTH - 1).max() < 0.2


def test_features_that_differ_between_executions_split_the_counts(log):
    """A feature of the user, drawn for every list: cells are by its value."""
    user = np.repeat(np.random.default_rng(0).integers(0, 2, log.n_executions), 5)
    pairs = replace(log, X=np.column_stack([log.X, user]).astype(np.float32))
    cells = feature_cells(pairs, 5)
    assert cells.shown.sum() == len(log)
    assert len(cells.position) == 2 * 300 * 5
    assert (np.diff(cells.position.reshape(-1, 2), axis=1) == 0).all()
    assert set(np.diff(cells.X[:, 3].reshape(-1, 2), axis=1).ravel()) <= {-1.0, 1.0}


def test_folds_keep_queries_whole_and_depend_on_their_texts_alone(log):
    cells = feature_cells(log, 5)
    fold = folds_of_queries(cells, log.queries)
    for query in range(0, 300, 50):
        assert len(set(fold[cells.query[cells.pair] == query])) == 1
    assert np.bincount(fold).min() > 0.05 * len(fold)


def test_queries_beyond_the_largest_number_of_counts_are_left_out_and_counted(log, monkeypatch):
    module = "rankloom.datasets.position_bias.feature_cells.MAX_CELLS"
    assert MAX_CELLS > 1000
    monkeypatch.setattr(module, 1000)
    cells = feature_cells(log, 5)
    assert len(cells.position) == 1000
    assert cells.n_queries_left_out == 100


def exact_cells(functions, gamma, *, several):
    """Return counts without noise, pairs at one position or at two."""
    rng = np.random.default_rng(0)
    size = 2 if several else 1
    n = len(functions) // size
    position = np.sort(np.array([rng.choice(5, size, replace=False) for _ in range(n)])).ravel()
    shown = rng.uniform(10, 100, len(position))
    clicks = shown * 0.1 * TRUTH[position] * np.exp(functions @ gamma)
    offsets = np.arange(0, len(position) + 1, size)
    X = np.zeros((len(position), 1), np.float32)
    return FeatureCells(offsets, position, shown, clicks, X, np.arange(n), 5, (), 0)


@pytest.mark.parametrize("several", [False, True])
def test_the_likelihood_of_totals_recovers_the_curve_exactly_from_clicks_without_noise(several):
    functions = np.random.default_rng(1).normal(size=(200, 2))
    gamma = np.array([0.8, -0.3])
    cells = exact_cells(functions, gamma, several=several)
    fit = FeatureLikelihood(cells, functions, np.ones(len(cells))).fit()
    np.testing.assert_allclose(np.exp(fit.log_curve), TRUTH, rtol=2e-3)
    np.testing.assert_allclose(fit.free[5:], gamma, rtol=5e-3)


@pytest.mark.parametrize("reliable", [0.6, 0.8])
def test_what_an_adjustment_misses_by_errors_of_learning_is_twice_the_error_reported(reliable):
    """Positions depend on the relevance, which the prediction has with normal errors."""
    rng = np.random.default_rng(0)
    n = 20_000
    relevance = rng.normal(size=n)
    place = np.clip(np.round(2 - 0.5 * relevance + rng.normal(size=n)), 0, 4).astype(np.int64)
    shown = np.full(n, 100.0)
    clicks = shown * 0.05 * TRUTH[place] * np.exp(0.5 * relevance)
    X = np.zeros((n, 1), np.float32)
    cells = FeatureCells(np.arange(n + 1), place, shown, clicks, X, np.arange(n), 5, (), 0)
    predicted = relevance + rng.normal(scale=np.sqrt(1 / reliable - 1), size=n)
    likelihoods = [
        FeatureLikelihood(cells, functions, np.ones(n))
        for functions in (predicted[:, None], np.zeros((n, 0)))
    ]
    fits = [likelihood.fit() for likelihood in likelihoods]
    confounding = Confounding(0.3, 0.1, 5.0, reliable, reliable)
    estimate = FeatureEstimate(likelihoods[0], fits[0], likelihoods[1], fits[1], confounding)
    missing = np.log(TRUTH) - fits[0].log_curve
    assert missing[1:].min() > 0.03
    np.testing.assert_allclose(2 * estimate.unlearnt[1:], missing[1:], rtol=0.4)
    np.testing.assert_allclose(estimate.replicate(np.ones(n)), estimate.log_curve, atol=1e-6)
    np.testing.assert_allclose(estimate.unlearnt, estimate.log_curve - fits[0].log_curve)


def test_reliability_is_high_where_many_clicks_teach_and_least_where_features_say_nothing(log):
    cells = feature_cells(log, 5)
    fold, half = folds_of_queries(cells, log.queries), halves_of_queries(cells, log.queries)
    assert 0.4 < half.mean() < 0.6
    assert all(0.2 < half[fold == number].mean() < 0.8 for number in range(int(fold.max()) + 1))
    known, precision = np.log(TRUTH), np.ones(len(fold))
    assert reliability(cells, fold, half, known, precision) > 0.7
    noise = np.random.default_rng(0).normal(size=cells.X.shape).astype(np.float32)
    without = replace(cells, X=noise)
    assert reliability(without, fold, half, known, precision) < 0.4
    constant = replace(cells, X=np.zeros_like(noise))
    assert reliability(constant, fold, half, known, precision) == LEAST_RELIABILITY


def test_without_functions_of_features_totals_give_the_click_rates():
    cells = exact_cells(np.zeros((400, 0)), np.zeros(0), several=False)
    fit = FeatureLikelihood(cells, np.zeros((400, 0)), np.ones(400)).fit()
    rate = cells.position_sums(cells.clicks) / cells.position_sums(cells.shown)
    np.testing.assert_allclose(np.exp(fit.log_curve), rate / rate[0], rtol=1e-6)
    # Fisher's information of Poisson rates: the variance of a log ratio is 1/c_k + 1/c_0.
    clicks = cells.position_sums(cells.clicks)
    variance = np.diag(np.linalg.inv(fit.information))
    np.testing.assert_allclose(variance, 1 / clicks[1:] + 1 / clicks[0], rtol=1e-4)


@pytest.mark.slow
def test_ninety_percent_intervals_cover_80_to_97_percent_of_60_logs(one_ranker):
    inside = []
    for seed in range(60):
        pairs = one_ranker(6000, seed=seed, n_queries=1000)
        bias = PositionBias("features", n_bootstrap=60).fit(pairs)
        inside.append(((bias.lower_ <= TRUTH) & (bias.upper_ >= TRUTH))[1:].mean())
    assert 0.8 <= np.mean(inside) <= 0.97
