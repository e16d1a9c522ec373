"""Moves that follow clicks are flagged, random ones are not, and the curve takes note."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets import PositionBias
from rankloom.datasets.pairs import row_blocks
from rankloom.datasets.position_bias.moves import MIN_QUERIES, find_moves

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


def by_runs(pairs, n_positions):
    """Return excess and z by both statistics, from all runs as arrays; None without moves."""
    rows = np.flatnonzero(pairs.position < n_positions)
    key, time = pairs.query_document[rows], pairs.time[pairs.execution_index[rows]]
    order = np.lexsort((time, key))
    key, position = key[order], pairs.position[rows][order]
    start = np.flatnonzero(np.append(True, (np.diff(key) != 0) | (np.diff(position) != 0)))
    pair, place, query = key[start], position[start], key[start] // len(pairs.documents)
    up = np.append(np.where(np.diff(pair) == 0, -np.sign(np.diff(place)), 0), 0.0)
    shown = np.diff(np.append(start, len(rows))).astype(float)
    clicks = np.add.reduceat(pairs.clicked[rows][order].astype(float), start)

    def result(value, weight):
        used = np.flatnonzero(weight)
        of_query = np.bincount(np.unique(query[used], return_inverse=True)[1], value[used])
        total = of_query.sum()
        return int((up != 0).sum()), total / weight.sum(), total / np.sqrt(of_query @ of_query)

    of_place = np.unique(pair * n_positions + place, return_inverse=True)[1]
    rate = np.bincount(of_place, clicks * (up != 0)) / np.bincount(of_place, shown * (up != 0))
    both = (np.bincount(of_place, up > 0) > 0) & (np.bincount(of_place, up < 0) > 0)
    weight = np.where(both[of_place] & (up != 0), shown, 0)
    if len(np.unique(query[weight > 0])) >= MIN_QUERIES:
        value = np.where(weight > 0, up * (clicks - shown * rate[of_place]), 0)
        return ("document", *result(value, weight))
    surplus = clicks / shown - (np.bincount(place, clicks) / np.bincount(place, shown))[place]
    following = np.append(np.arange(1, len(up)), len(up) - 1)
    weight = np.where(up != 0, shown * shown[following] / (shown + shown[following]), 0)
    return ("position", *result(up * (surplus + surplus[following]) * weight, 2 * weight))


@pytest.mark.parametrize("size", [50, 10**6])
@pytest.mark.parametrize("kind", ["clicks", "once", "random", "neighbours"])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # places without a move
def test_in_blocks_the_statistic_is_that_of_all_runs(moving, kind, size, monkeypatch):
    monkeypatch.setattr(row_blocks, "ROWS", size)
    pairs = moving(kind, 3)
    for n_positions in (4, 3):
        moves = find_moves(pairs, n_positions)
        compared, count, excess, z = by_runs(pairs, n_positions)
        assert (moves.compared, moves.count) == (compared, count)
        np.testing.assert_allclose((moves.excess, moves.z), (excess, z), rtol=1e-12)


def test_executions_need_not_be_in_the_order_of_time(moving):
    pairs = moving("random", 0)
    order = np.random.default_rng(0).permutation(pairs.n_executions)
    np.testing.assert_allclose(
        (found := find_moves(pairs.take(order), 4)).z, find_moves(pairs, 4).z, rtol=1e-12
    )
    chosen = np.flatnonzero(pairs.query_code[order] < 30)
    some = find_moves(pairs.take(order), 4, chosen)
    assert some == find_moves(pairs.take(pairs.query_code < 30), 4) != found


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
