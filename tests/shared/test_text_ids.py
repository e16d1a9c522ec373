"""Ids of columns of text are those of the texts one by one."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom._shared.ids import stable_ids
from rankloom._shared.text_ids import stable_ids_of


@given(st.lists(st.text(max_size=200)))
def test_a_column_has_the_ids_of_its_texts(texts):
    column = pl.Series(texts, dtype=pl.String)
    assert stable_ids_of(column).tolist() == stable_ids(texts).tolist()
    assert stable_ids_of(column[1:]).tolist() == stable_ids(texts[1:]).tolist()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 127, 128, 129, 255, 256, 257, 5000])
def test_texts_of_every_number_of_blocks(size):
    texts = ["x" * size, "é" * (size // 2)]
    assert stable_ids_of(pl.Series(texts)).tolist() == stable_ids(texts).tolist()
