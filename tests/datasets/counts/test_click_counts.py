"""Click logs as counts: states, weights, context, and finding documents again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets.click_models import click_counts
from rankloom.errors import InvalidInputError

STATES = ["position", "last_click"]


def count_in_python(pairs, states):
    """Shown and clicks by (key, state), and each key's last row, one row after the other."""
    shown, clicks, row = defaultdict(float), defaultdict(float), {}
    for start, end in zip(pairs.offsets, pairs.offsets[1:], strict=False):
        for here in range(start, end):
            k = int(pairs.position[here])
            above = [
                int(pairs.position[i])
                for i in range(start, end)
                if pairs.clicked[i] and pairs.position[i] < k
            ]
            last = max(above, default=-1)
            state = k if states == "position" else k * (k + 1) // 2 + last + 1
            key = int(pairs.query_document[here])
            shown[key, state] += float(pairs.weight[here])
            clicks[key, state] += float(pairs.weight[here] * pairs.clicked[here])
            row[key] = here
    return shown, clicks, row


@st.composite
def small_logs(draw):
    """Sizes, clicks, ascending positions with gaps and ties, documents, weights."""
    lists = draw(st.integers(1, 8))
    shown = draw(st.integers(1, 5))
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    position = np.sort(rng.integers(0, 7, (lists, shown)), axis=1)
    return (
        rng.integers(0, 3, lists),
        rng.integers(0, 4, (lists, shown)),
        rng.random((lists, shown)) < 0.4,
        position,
        rng.integers(1, 4, lists * shown).astype(np.float32),
    )


@pytest.mark.parametrize("states", STATES)
@given(small_logs())
def test_counts_are_those_of_a_loop_over_the_rows(pairs_of, states, log):
    """Gaps in the positions, shared positions and documents shown twice included."""
    query, documents, clicked, position, weight = log
    pairs = pairs_of(query, documents, clicked, position=position)
    pairs.weight = weight
    counts = click_counts(pairs, states)
    shown, clicks, row = count_in_python(pairs, states)
    cells = sorted(shown)
    found = zip(counts.key[counts.document].tolist(), counts.state.tolist(), strict=True)
    assert list(found) == cells
    assert counts.shown.tolist() == [shown[cell] for cell in cells]
    assert counts.clicks.tolist() == [clicks[cell] for cell in cells]
    assert counts.row.tolist() == [row[key] for key in counts.key.tolist()]
    assert np.diff(counts.offsets).tolist() == np.bincount(counts.document).tolist()
    assert (counts.find(pairs) == np.searchsorted(counts.key, pairs.query_document)).all()


@pytest.mark.parametrize("states", STATES)
def test_rows_get_the_states_that_were_counted(simulated, states):
    pairs = simulated(300)
    counts = click_counts(pairs, states)
    again = np.bincount(counts.states_of(pairs), minlength=counts.n_states)
    np.testing.assert_array_equal(again, counts.by_state(counts.shown))
    np.testing.assert_array_equal(np.bincount(counts.find(pairs)), counts.by_document(counts.shown))


def test_unweighted_counts_take_every_row_once(simulated):
    pairs = simulated(200)
    pairs.weight = np.full(len(pairs), 0.25, dtype=np.float32)
    weighted, plain = click_counts(pairs), click_counts(pairs, weighted=False)
    np.testing.assert_allclose(weighted.shown, 0.25 * plain.shown)
    assert plain.shown.sum() == len(pairs)


@pytest.mark.parametrize("states", STATES)
def test_lists_of_hundreds_share_the_last_state(pairs_of, states):
    rng = np.random.default_rng(0)
    documents = np.tile(np.arange(300), (20, 1))
    pairs = pairs_of(np.zeros(20), documents, rng.random((20, 300)) < 0.1)
    counts = click_counts(pairs, states)
    assert counts.n_positions == 100
    assert counts.n_states == (100 if states == "position" else 5050)
    shown = np.bincount(counts.position_of_state, counts.by_state(counts.shown))
    assert shown[:99].tolist() == [20] * 99
    assert shown[99] == 20 * 201


def test_max_position_cuts_the_states(simulated):
    counts = click_counts(simulated(100), "last_click", max_position=2)
    assert (counts.n_positions, counts.n_states) == (3, 6)
    assert counts.shown.sum() == 500


def test_context_values_have_states_of_their_own(simulated):
    device = pl.Series("device", ["phone", None, "desktop"] * 40)
    pairs = simulated(120, context={"device": device})
    counts = click_counts(pairs, "last_click", by="device")
    assert counts.values == ("", "desktop", "phone")
    assert counts.n_states == 3 * 15 == len(counts.position_of_state)
    alone = click_counts(pairs.take(device.is_null().to_numpy()), "last_click")
    np.testing.assert_array_equal(counts.by_state(counts.clicks)[:15], alone.by_state(alone.clicks))


def test_a_new_context_value_has_states_behind_all_others(simulated):
    fitted = simulated(50, context={"device": pl.Series(["phone"] * 50)})
    new = simulated(50, context={"device": pl.Series(["fridge"] * 50)})
    counts = click_counts(fitted, by="device")
    np.testing.assert_array_equal(counts.states_of(new), counts.n_states + new.position)
    assert (counts.values_of(new) == -1).all()


def test_documents_are_found_by_their_texts_in_another_load(pairs_of):
    rng = np.random.default_rng(1)
    query, documents = rng.integers(0, 4, 30), rng.integers(0, 9, (30, 3))
    pairs = pairs_of(query, documents, rng.random((30, 3)) < 0.5)
    other = replace(
        pairs,
        query_code=3 - pairs.query_code,
        queries=pl.Series(["q3", "q2", "q1", "q0", "new"]),
        document_code=pairs.document_code + 1,
        documents=pl.Series(["new", *pairs.documents.to_list()]),
    )
    counts, others = click_counts(pairs), click_counts(other)
    np.testing.assert_array_equal(counts.find(other), counts.find(pairs))
    assert sorted(counts.find(others).tolist()) == list(range(len(counts)))
    unknown = replace(other, documents=pl.Series(["x"] * len(other.documents)))
    assert (counts.find(unknown) == -1).all()


def test_codes_too_large_to_pack_are_numbered_first(pairs_of):
    rng = np.random.default_rng(2)
    pairs = pairs_of(rng.integers(0, 5, 50), rng.integers(0, 9, (50, 4)), rng.random((50, 4)) < 0.5)
    plain = click_counts(pairs, "last_click")
    large = click_counts(replace(pairs, documents=range(2**59)), "last_click")
    query, document = np.divmod(plain.key, len(pairs.documents))
    np.testing.assert_array_equal(large.key, query * 2**59 + document)
    np.testing.assert_array_equal(large.clicks, plain.clicks)
    np.testing.assert_array_equal(large.row, plain.row)
    np.testing.assert_array_equal(large.document, plain.document)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"states": "last_clik"}, "Did you mean 'last_click'"),
        ({}, {"by": "device"}, "no context column 'device'"),
        ({}, {"max_position": -1}, "max_position"),
        ({"position": np.array([0, 1, -1], dtype=np.int32)}, {}, "no position"),
        ({"position": np.array([2, 1, 0], dtype=np.int32)}, {"states": "last_click"}, "order"),
    ],
)
def test_what_cannot_be_counted_is_refused(pairs_of, change, options, message):
    pairs = replace(pairs_of([0], [[0, 1, 2]], [[True, False, False]]), **change)
    with pytest.raises(InvalidInputError, match=message):
        click_counts(pairs, **options)
