"""Interned codes are those of a plain dict, whatever the batches."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.datasets.pairs.interner import Interner


def plain_codes(texts):
    known = {}
    return [-1 if text is None else known.setdefault(text, len(known)) for text in texts], list(
        known
    )


@settings(deadline=None)
@given(st.lists(st.lists(st.none() | st.text(max_size=3), max_size=30), max_size=6))
def test_agrees_with_a_dict_over_any_batches(batches):
    interner = Interner()
    codes = [
        c for batch in batches for c in interner.add(pl.Series(batch, dtype=pl.String)).tolist()
    ]
    expected, texts = plain_codes([text for batch in batches for text in batch])
    assert codes == expected
    assert interner.texts().to_list() == texts
    assert len(interner) == len(texts)


def test_growing_past_the_first_table_keeps_every_code():
    texts = [f"id-{i % 7000}" for i in range(20_000)]
    interner = Interner()
    codes = (
        interner.add(pl.Series(texts[:3000])).tolist()
        + interner.add(pl.Series(texts[3000:])).tolist()
    )
    expected, distinct = plain_codes(texts)
    assert codes == expected
    assert interner.texts().to_list() == distinct
