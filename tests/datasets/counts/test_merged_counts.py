"""Counts of parts, put together, are those of the whole, however the log is divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom import load_pairs
from rankloom.datasets.counts.click_counts import click_counts
from rankloom.datasets.counts.merged_counts import merged_counts
from rankloom.errors import InvalidInputError

lists = st.lists(
    st.tuples(
        st.sampled_from("pq"),
        st.sampled_from(["desktop", "mobile", None]),
        st.lists(st.booleans(), min_size=1, max_size=5),
        st.integers(0, 2),
    ),
    min_size=2,
    max_size=12,
)


def pairs_of(shown):
    """Pairs of lists: query, device, which documents were clicked, and part of the log."""
    rows = [
        {
            "execution_id": f"e{number:02d}",
            "feature_id": f"d{(position + number) % 6}",
            "position": position,
            "interaction_type": ["impression", "click"] if clicked else ["impression"],
            "query_snapshot": query,
            "device": device,
        }
        for number, (query, device, clicks, _) in enumerate(shown)
        for position, clicked in enumerate([*clicks, False])
    ]
    rows.append({**rows[0], "interaction_type": ["click"], "device": "desktop"})
    schema = {"interaction_type": pl.List(pl.String)}
    return load_pairs(pl.DataFrame(rows, schema_overrides=schema), context=["device"])


@given(
    lists,
    st.sampled_from(["position", "last_click"]),
    st.sampled_from([None, "device"]),
    st.sampled_from([None, 0, 2]),
)
def test_counts_of_any_division(shown, states, by, max_position):
    pairs = pairs_of(shown)
    part = np.array([number for *_, number in shown])
    options = {"by": by, "max_position": max_position}
    parts = []
    for number in np.unique(part):
        chosen = part == number
        row = np.flatnonzero(np.repeat(chosen, pairs.group))
        counts = click_counts(pairs.take(chosen), states, **options)
        parts.append(replace(counts, row=row[counts.row]))
    expected, found = click_counts(pairs, states, **options), merged_counts(parts)
    for name in ("document", "state", "shown", "clicks", "offsets", "row", "key"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert np.array_equal(found.position_of_state, expected.position_of_state)
    assert (found.values, found.n_positions) == (expected.values, expected.n_positions)


def test_counts_of_different_states_are_refused():
    pairs = pairs_of([("p", None, [True], 0), ("q", None, [False], 0)])
    parts = [click_counts(pairs), click_counts(pairs, "last_click")]
    with pytest.raises(InvalidInputError, match="expected counts of the same states"):
        merged_counts(parts)
