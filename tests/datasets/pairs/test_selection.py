"""`pairs[...]` selects whole executions, as numpy selects from an array of them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets import load_pairs, simulate_interactions
from rankloom.errors import InvalidInputError

N = 30


@pytest.fixture(scope="module")
def log():
    return simulate_interactions(n_executions=N, random_state=0)


@pytest.fixture(scope="module")
def pairs(log):
    return load_pairs(log)


ends = st.none() | st.integers(-N - 3, N + 3)
slices = st.builds(slice, ends, ends, st.none() | st.integers(-4, 4).filter(bool))
numbers = st.lists(st.integers(-N, N - 1), max_size=40)
masks = st.lists(st.booleans(), min_size=N, max_size=N)


@given(key=slices | numbers | numbers.map(lambda n: np.array(n, np.int32)) | masks.map(np.array))
def test_the_selected_executions_are_those_of_numpy_and_whole(pairs, key):
    index = np.asarray(key, np.int64) if isinstance(key, list) else key
    chosen = pairs[key]
    expected = np.arange(N)[index]
    assert chosen.execution_id.to_list() == [pairs.execution_id[int(i)] for i in expected]
    assert chosen.shape == (chosen.n_executions,) == (len(expected),)
    rows = [r for i in expected for r in range(pairs.offsets[i], pairs.offsets[i + 1])]
    np.testing.assert_array_equal(chosen.X, pairs.X[rows])
    np.testing.assert_array_equal(chosen.clicked, pairs.clicked[rows])
    assert len(chosen) == chosen.group.sum()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (3, r"pairs\[3\]: one execution is selected by a list, pairs\[\[3\]\]"),
        ([N], f"no execution {N}, as there are {N}"),
        ([0, -N - 1], f"no execution {-N - 1}"),
        ([True] * (N - 1), f"one value for each of the {N} executions"),
        ([0.5], "selected by a slice"),
        ("query", "selected by a slice"),
        (None, "selected by a slice"),
        ([[0, 1]], "selected by a slice"),
        ((0, 1, 2), None),
        (slice("a", None), "slice of executions needs whole numbers"),
    ],
)
def test_other_keys_are_refused_by_what_they_are(pairs, key, message):
    if message is None:
        assert pairs[key].n_executions == 3
        return
    with pytest.raises(InvalidInputError, match=message):
        pairs[key]


def test_pairs_are_no_sequence_of_rows_or_executions(pairs):
    """`len` counts rows and a key selects executions: to iterate would mean neither."""
    with pytest.raises(TypeError, match="not iterable"):
        list(pairs)
    with pytest.raises(TypeError, match="sequence"):
        np.asarray(pairs)


def test_mapped_pairs_are_selected_like_those_in_memory(log, pairs, tmp_path):
    mapped = load_pairs(log, memory_limit="1GB", workdir=tmp_path)
    for key in (slice(3, 20, 2), [4, 2, 2], np.arange(N) % 3 == 0):
        a, b = pairs[key], mapped[key]
        assert a.execution_id.to_list() == b.execution_id.to_list()
        for name in ("X", "y", "position", "group"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_pickle_holds_the_same_pairs(pairs):
    again = pickle.loads(pickle.dumps(pairs[:7]))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.X, pairs[:7].X)
    assert again.query_id.to_list() == pairs[:7].query_id.to_list()
