from __future__ import annotations

import numpy as np
import pytest

from rankloom.bandit import fuse, fuse_columns
from rankloom.errors import InvalidInputError

every_method = pytest.mark.parametrize("method", ["min_max", "z_score", "distribution", "rrf"])
QUERIES, CHANNELS, DOCUMENTS = 40, 6, 25


def random_columns(seed, *, ties=False):
    """Return shuffled rows: some queries and some lists are empty, some lists hold one document."""
    generator = np.random.default_rng(seed)
    query, channel, document = np.nonzero(
        generator.random((QUERIES, CHANNELS, DOCUMENTS))
        < generator.choice([0, 0.04, 0.5], (QUERIES, CHANNELS, 1))
    )
    score = generator.normal(size=len(query))
    score = np.round(score) if ties else score
    order = generator.permutation(len(query))
    return query[order], channel[order], document[order], score[order]


def as_lists(columns, wanted):
    lists = {f"uri{c}": [] for c in range(CHANNELS)}
    for query, channel, document, score in zip(*columns, strict=True):
        if query == wanted:
            lists[f"uri{channel}"].append((f"d{document:02d}", float(score)))
    return lists


@every_method
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [1, 10, None])
def test_many_queries_at_once_equal_one_by_one(method, ties, k):
    """Bit for bit, with weights of their own for every query."""
    columns = random_columns(1, ties=ties)
    weights = np.random.default_rng(2).dirichlet(np.ones(CHANNELS), QUERIES)
    together = fuse_columns(*columns, weights, method=method, k=k)
    for query in range(QUERIES):
        mine = together.query == query
        named = {f"uri{c}": weight for c, weight in enumerate(weights[query])}
        alone = fuse(as_lists(columns, query), named, method=method, k=k)
        assert tuple(f"d{d:02d}" for d in together.document[mine]) == alone.documents
        np.testing.assert_array_equal(together.position[mine], np.arange(mine.sum()))
        np.testing.assert_array_equal(together.score[mine], alone.scores)
        np.testing.assert_array_equal(together.channel_scores[mine], alone.channel_scores)
        np.testing.assert_array_equal(together.found[mine], alone.found)
    assert len(np.unique(together.query)) < QUERIES


@every_method
def test_one_row_of_weights_serves_all_queries(method):
    columns = random_columns(3)
    row = np.arange(CHANNELS) / CHANNELS
    one = fuse_columns(*columns, row, method=method)
    each = fuse_columns(*columns, np.tile(row, (QUERIES, 1)), method=method)
    np.testing.assert_array_equal(one.document, each.document)
    np.testing.assert_array_equal(one.score, each.score)


def test_queries_stand_in_order_and_documents_best_first():
    fused = fuse_columns(*random_columns(4), np.ones(CHANNELS))
    keys = list(zip(fused.query, fused.position, strict=True))
    assert keys == sorted(set(keys))
    within = np.diff(fused.query) == 0
    assert (np.diff(fused.score)[within] <= 0).all()


def test_rows_of_other_queries_change_nothing():
    columns = random_columns(5)
    whole = fuse_columns(*columns, np.ones(CHANNELS))
    odd = columns[0] % 2 == 1
    part = fuse_columns(*(column[odd] for column in columns), np.ones(CHANNELS))
    mine = whole.query % 2 == 1
    np.testing.assert_array_equal(whole.score[mine], part.score)
    np.testing.assert_array_equal(whole.document[mine], part.document)


def test_large_codes_cost_nothing():
    """A code is a name, not an index into something, and no product of codes may overflow."""
    query, channel, document, score = random_columns(6, ties=True)
    small = fuse_columns(query, channel, document, score, np.ones(CHANNELS))
    large = fuse_columns(query * 2**40 + 7, channel, document * 2**57 + 3, score, np.ones(CHANNELS))
    np.testing.assert_array_equal(large.query, small.query * 2**40 + 7)
    np.testing.assert_array_equal(large.document, small.document * 2**57 + 3)
    np.testing.assert_array_equal(large.score, small.score)


@every_method
def test_no_rows_at_all(method):
    fused = fuse_columns([], [], [], np.zeros(0), [0.5, 0.5], method=method)
    assert fused.score.shape == (0,)
    assert fused.channel_scores.shape == (0, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": [0]}, "query, channel, document, score: expected one length, got"),
        ({"query": [0.0, 1.0]}, "query: expected one dimension of whole numbers, got 1"),
        ({"channel": [[0, 1]]}, "channel: expected one dimension of whole numbers, got 2"),
        ({"document": [0, -2]}, r"document: codes count from 0 to 2\*\*63 - 1, got -2 in row 1"),
        ({"query": np.array([0, 2**63], dtype=np.uint64)}, "got 9223372036854775808 in row 1"),
        ({"channel": [0, 2]}, "channel: got code 2 in row 1, but weights hold only 2"),
        ({"query": [0, 1], "weights": [[1, 1]]}, "query: got code 1 in row 1"),
        ({"score": [0.1, np.nan]}, r"score: expected finite numbers, got nan at \[1\]"),
        ({"score": ["0.1", "0.2"]}, "score: expected numbers in 1 dimensions"),
        ({"weights": [1, -1]}, "weights: expected numbers >= 0"),
        ({"weights": [0, 0]}, "weights: all of one row are 0"),
        ({"weights": [[1, 1], [0, 0]]}, "weights: all of one row are 0"),
        ({"weights": [[1, 1], [np.inf, 0]]}, r"weights: expected finite .* at \[1, 0\]"),
        ({"weights": 1.0}, "weights: expected numbers in 1 or 2 dimensions"),
        ({"weights": np.zeros(0)}, "weights: expected numbers >= 0"),
        (
            {"document": [3, 3], "channel": [1, 1]},
            "3 is twice in the list of query 0, channel 1",
        ),
        ({"method": "borda"}, "method: got 'borda'"),
        ({"k": 0}, "k: expected"),
    ],
)
def test_bad_input_is_named(changes, message):
    given = {
        "query": [0, 0],
        "channel": [0, 1],
        "document": [0, 1],
        "score": [0.1, 0.2],
        "weights": [1, 1],
    }
    with pytest.raises(InvalidInputError, match=message):
        fuse_columns(**given | changes)
