"""The joint objective: derivatives, its reading of positions, and what it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets.counts.click_counts import click_counts
from rankloom.ltr import ndcg
from rankloom.ltr.boosting.trainer import MIN_CURVATURE, Trainer
from rankloom.ltr.debias.joint_model import JointObjective, train_joint
from rankloom.ltr.exposure.feature_variants import feature_variants

from .test_feature_prior import PARAMS

START = -1.0


def objective_of(pairs):
    return JointObjective(click_counts(pairs, "last_click"))


def loss(state, scores, clicks):
    """Negative log-likelihood of the clicks of every cell, at the last parameters."""
    counts = state.counts
    relevance = 1 / (1 + np.exp(-(scores + START)))
    false = state.false_clicks[counts.position_of_state[counts.state]]
    probability = state.theta[counts.state] * (relevance + false * (1 - relevance))
    return -(clicks * np.log(probability) + (counts.shown - clicks) * np.log(1 - probability))


@pytest.fixture
def called(pairs):
    """An objective after a few rounds, the scores of the last one, and what it returned."""
    state = objective_of(pairs)
    generator = np.random.default_rng(0)
    for _ in range(3):
        scores = generator.normal(size=len(state.counts.state))
        found = state(scores, None)
    return state, scores, found


def test_the_gradient_is_the_slope_of_the_likelihood(called):
    state, scores, (gradient, _) = called
    clicks, step = state.counts.clicks, 1e-5
    slope = (loss(state, scores + step, clicks) - loss(state, scores - step, clicks)) / (2 * step)
    np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-7)


def test_the_hessian_is_the_curvature_where_clicks_are_as_expected(called):
    """Fisher information: the second derivative with expected clicks."""
    state, scores, (_, hessian) = called
    counts, step = state.counts, 1e-3
    relevance = 1 / (1 + np.exp(-(scores + START)))
    false = state.false_clicks[counts.position_of_state[counts.state]]
    probability = state.theta[counts.state] * (relevance + false * (1 - relevance))
    clicks = counts.shown * probability
    around = loss(state, scores + step, clicks) + loss(state, scores - step, clicks)
    curvature = (around - 2 * loss(state, scores, clicks)) / step**2
    np.testing.assert_allclose(hessian - MIN_CURVATURE, curvature, rtol=1e-3, atol=1e-6)


def test_its_parameters_are_a_step_of_expectation_maximisation_by_hand(pairs):
    """Row by row: how likely was this document examined, or clicked in error?"""
    few = pairs.take(np.arange(40))
    state = objective_of(few)
    theta, false = state.theta.copy(), state.false_clicks.copy()
    scores = np.random.default_rng(1).normal(size=len(state.counts.state))
    state(scores, None)
    counts = state.counts
    relevance = {}
    for document, cell_state, score in zip(counts.document, counts.state, scores, strict=True):
        relevance[document, cell_state] = 1 / (1 + np.exp(-(score + START)))
    shown, examinations = np.zeros(len(theta)), np.zeros(len(theta))
    wrong, judged = np.zeros(10), np.zeros(10)
    for row, (document, s) in enumerate(zip(counts.find(few), counts.states_of(few), strict=True)):
        k, r = few.position[row], relevance[document, s]
        attracts = r + false[k] * (1 - r)
        shown[s] += 1
        if few.clicked[row]:
            examinations[s] += 1
            wrong[k] += 1 - r / attracts
            judged[k] += 1 - r / attracts
        else:
            examined = theta[s] * (1 - attracts) / (1 - theta[s] * attracts)
            examinations[s] += examined
            judged[k] += examined
    np.testing.assert_allclose(
        state.theta, np.clip((examinations + 2 * theta) / (shown + 2), 1e-3, 0.999)
    )
    np.testing.assert_allclose(state.false_clicks, (wrong + 1) / (judged + 20))


def test_an_execution_of_weight_two_counts_like_two(pairs):
    weight = np.where(pairs.execution_index % 2 == 0, 2, 1).astype(np.float32)
    twice = pairs.take(np.sort(np.append(np.arange(300), np.arange(0, 300, 2))))
    one, two = objective_of(replace(pairs, weight=weight)), objective_of(twice)
    scores = np.random.default_rng(0).normal(size=len(one.counts.state))
    for found, expected in zip(one(scores, None), two(scores, None), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_one_deterministic_ranker_is_enough_to_order_unseen_documents(make_pairs):
    """Every document has one position, and production prefers what is not relevant."""
    pairs = make_pairs(3000, queries=300)
    first = np.unique(pairs.query_code, return_index=True)[1]
    generator = np.random.default_rng(0)
    fixed = pairs.take(np.repeat(first, 10))
    value = np.nan_to_num(fixed.X[:, 0]) + 0.7 * np.nan_to_num(fixed.X[:, 1])
    probability = 1 / (1 + np.exp(-2 * value + 1)) / (fixed.position + 1)
    clicked = generator.random(len(fixed)) < probability
    log = replace(fixed, clicked=clicked, y=clicked.astype(np.float32))
    trainer = Trainer(PARAMS, log.feature_names, ())
    booster, state = train_joint(log, feature_variants(log), trainer)
    judged = make_pairs(200, judged=True, random_state=5, shuffled=True)
    found = np.nanmean(ndcg(judged.y, trainer.predict(booster, judged.X), judged.group))
    noise = np.nanmean(ndcg(judged.y, np.zeros(len(judged)), judged.group))
    assert found > noise + 0.7 * (1 - noise)
    none_above = state.theta[[k * (k + 1) // 2 for k in range(10)]]
    assert none_above[9] < 0.4 * none_above[0]
