"""Moves that follow clicks are flagged, random ones are not, and the curve takes note."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets import PositionBias
from rankloom.datasets.position_bias.moves import find_moves

TRUTH = np.array([1.0, 0.7, 0.5, 0.4])
QUERIES, DAYS, LISTS = 60, 16, 6


def order_of_day(kind, day, order, clicks, shown, rng):
    """Return the documents of every query on a day, best first; shape (queries, positions)."""
    if kind == "clicks":
        return np.argsort(-(clicks + 0.5) / (shown + 3), axis=1, kind="stable")
    if kind == "once" and day == DAYS // 2:
        return np.argsort(-clicks, axis=1, kind="stable")
    if kind == "random":
        return np.argsort(rng.random(order.shape), axis=1)
    if kind == "neighbours":
        at, query = rng.integers(0, order.shape[1] - 1, len(order)), np.arange(len(order))
        order = order.copy()
        order[query, at], order[query, at + 1] = order[query, at + 1], order[query, at]
    return order


@pytest.fixture(scope="module")
def moving(pairs_of):
    """Return a maker of logs whose order changes by the day."""

    def make(kind, seed):
        rng = np.random.default_rng(seed)
        relevance = rng.choice([0.15, 0.4, 0.8], size=(QUERIES, len(TRUTH)))
        clicks, shown = np.zeros_like(relevance), np.zeros_like(relevance)
        order, every, documents, clicked = (
            np.argsort(relevance + rng.normal(size=relevance.shape)),
            np.arange(QUERIES)[:, None],
            [],
            [],
        )
        for day in range(DAYS):
            order = order_of_day(kind, day, order, clicks, shown, rng)
            for _ in range(LISTS):
                click = rng.random(order.shape) < TRUTH * relevance[every, order]
                clicks[every, order] += click
                shown[every, order] += 1
                documents.append(order + len(TRUTH) * every)
                clicked.append(click)
        query = np.tile(np.arange(QUERIES), DAYS * LISTS)
        pairs = pairs_of(query, np.concatenate(documents), np.concatenate(clicked))
        pairs.time = np.datetime64("2024-01-01", "us") + np.arange(len(query)) * np.timedelta64(
            60_000_000, "us"
        )
        return pairs

    return make


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("clicks", 0.9, 1), ("once", 0.9, 1), ("random", 0, 0.1), ("neighbours", 0, 0.1)],
)
def test_moves_that_follow_clicks_are_flagged_in_nine_of_ten_logs_and_random_ones_in_one(
    moving, kind, low, high
):
    flagged = np.mean([find_moves(moving(kind, seed), 4).follow_clicks for seed in range(50)])
    assert low <= flagged <= high


def test_time_reversed_the_statistic_changes_its_sign(moving):
    pairs = moving("once", 0)
    back = replace(pairs, time=pairs.time[::-1].copy()).take(np.arange(pairs.n_executions)[::-1])
    forward, backward = find_moves(pairs, 4), find_moves(back, 4)
    assert backward.count == forward.count
    assert backward.z == pytest.approx(-forward.z)


def test_one_query_by_hand(pairs_of):
    """Two lists; document 0 is clicked at 1 and then moves up, document 1 is not clicked."""
    once = [[1, 0], [0, 1]]
    documents = np.concatenate([np.array(once) + 2 * query for query in range(10)])
    clicked = np.tile([[False, True], [False, False]], (10, 1))
    pairs = pairs_of(np.repeat(np.arange(10), 2), documents, clicked)
    assert find_moves(pairs, 2) is None  # no times
    pairs.time = np.arange(20).astype("datetime64[us]")
    moves = find_moves(pairs, 2)
    # Rates: 0 at position 0, 1/2 at 1. Up: (1 - 1/2) + (0 - 0); down: -((0 - 0) + (0 - 1/2)).
    assert moves.count == 20
    assert moves.compared == "position"
    assert moves.excess == pytest.approx(0.25)
    assert moves.z == pytest.approx(np.sqrt(10))


def test_a_document_that_returns_is_compared_with_itself_by_hand(pairs_of):
    """Document 1 is clicked at 1, goes up, returns, is not clicked, and its list ends with a third.

    At position 1 its click rate is 1/2 over the runs before moves: up after 1, down after 0.
    """
    order = [[0, 1, 2], [1, 0, 2], [0, 1, 2], [0, 2, 1]]
    documents = np.concatenate([np.array(order) + 3 * query for query in range(10)])
    clicked = np.zeros(documents.shape, dtype=bool)
    clicked[::4, 1] = True
    pairs = pairs_of(np.repeat(np.arange(10), 4), documents, clicked)
    pairs.time = np.arange(40).astype("datetime64[us]")
    moves = find_moves(pairs, 3)
    assert moves.compared == "document"
    assert moves.excess == pytest.approx(0.5)  # (1 - 1/2) - (0 - 1/2) over two displays
    assert moves.z == pytest.approx(np.sqrt(10))


def test_without_enough_queries_with_moves_there_is_no_test(moving):
    pairs = moving("clicks", 0)
    assert find_moves(pairs.take(pairs.query_code < 4), 4) is None
    assert find_moves(pairs, 1) is None


def test_the_curve_says_that_moves_follow_clicks(moving):
    bias = PositionBias("all_pairs", n_bootstrap=0).fit(moving("clicks", 1))
    assert bias.moves_.follow_clicks
    assert any(note.startswith("Moves follow clicks") for note in bias.notes_)
    assert bias.to_dict()["moves"]["follow_clicks"] is True
    random = PositionBias("all_pairs", n_bootstrap=0).fit(moving("random", 1))
    assert not random.moves_.follow_clicks
    assert any("random order" in note for note in random.notes_)


def test_swaps_whose_moves_follow_clicks_are_left_out_where_features_contradict_them(moving):
    """Relevance is a feature; swaps are too steep."""
    pairs = moving("clicks", 2)
    clicks = np.bincount(pairs.document_code, pairs.clicked)
    weight = np.bincount(pairs.document_code, 1.0 * TRUTH[pairs.position])
    rng = np.random.default_rng(0)
    feature = np.log((clicks + 1) / (weight + 2)) + 0.1 * rng.normal(size=len(clicks))
    pairs.X = feature[pairs.document_code, None].astype(np.float32)
    pairs.feature_names = ("f",)
    swaps, joined = (
        PositionBias(each, n_bootstrap=30).fit(pairs) for each in ("all_pairs", "auto")
    )
    assert np.abs(swaps.examination_ / TRUTH - 1).max() > 0.1
    assert (
        np.abs(joined.examination_ / TRUTH - 1).max() < np.abs(swaps.examination_ / TRUTH - 1).max()
    )
    assert joined.contributions_["features"][1:].tolist() == [1.0] * 3
    assert any("left out" in note for note in joined.notes_)
