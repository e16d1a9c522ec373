"""Replay of weights by query: learnt from earlier lists, judged on later ones."""

import json

import numpy as np
import polars as pl
import pytest

from rankloom.bandit import FusionBandit, replay_weights
from rankloom.bandit.replay.candidates import by_list
from rankloom.bandit.replay.logged_lists import read_lists
from tests.bandit.fusion_simulation import ARMS, DISCOUNT, World, log_of


@pytest.fixture(scope="module")
def world():
    """Text is good for even queries, image for odd ones."""
    made = World(0, queries=8, documents=20, quality=(0.4, None, None))
    made.x[1::2] = made.x[1::2][:, :, [1, 0, 2]]
    return made


@pytest.fixture(scope="module")
def halves(world):
    log = log_of(world, 1_600, 1, explore=0.5)
    half = log["timestamp"].quantile(0.5)
    return log.filter(pl.col("timestamp") < half), log.filter(pl.col("timestamp") >= half)


@pytest.fixture(scope="module")
def bandit(halves):
    made = FusionBandit(ARMS, max_queries=20, retriever_id=None)
    made.update(halves[0])
    return made


def value(world, weights):
    """Return the true DCG of lists under weights by query, shape (queries, arms)."""
    shown = world.lists(np.arange(len(world.x)), weights)
    relevance = np.take_along_axis(world.attraction, shown, axis=1)
    return float((relevance * DISCOUNT / 3).sum(axis=1).mean())


def of_query(bandit, number):
    return [*bandit.mean(query={"query": f"q{number}"}).values()]


def test_what_queries_gain_on_later_lists_is_what_they_gain_in_truth(world, halves, bandit):
    of_all = bandit.mean()
    truth = value(world, np.array([of_query(bandit, n) for n in range(8)]))
    truth -= value(world, np.tile([*of_all.values()], (8, 1)))
    for candidate in (bandit, bandit.snapshot()):
        found = replay_weights(halves[1], candidate, baseline=of_all).metrics["DCG@10"]
        assert found.gain == pytest.approx(truth, rel=0.35)
        assert found.interval[0] > 0
    assert truth > 0.02


def test_lists_that_weights_were_learnt_from_are_left_out(halves, bandit):
    """The query level is judged by later lists alone, as all of a candidate is."""
    both = pl.concat(halves)
    later = replay_weights(halves[1], bandit, baseline=bandit.mean())
    found = replay_weights(both, bandit, baseline=bandit.mean())
    assert found.metrics["DCG@10"].gain == pytest.approx(later.metrics["DCG@10"].gain, rel=0.02)
    assert not replay_weights(both, bandit, baseline=bandit.mean(), later=False).passed


def test_every_list_gets_the_weights_of_its_query(halves, bandit):
    lists = read_lists(halves[1], ARMS)
    weights = by_list(bandit.snapshot(), lists, lists.segment, lists.query)
    names = [json.loads(lists.queries[code])["query"] for code in lists.query]
    for name in set(names):
        rows = [row for row, each in enumerate(names) if each == name]
        expected = np.array(of_query(bandit, name[1:]))
        np.testing.assert_allclose(weights[rows], np.tile(expected, (len(rows), 1)), rtol=1e-12)
