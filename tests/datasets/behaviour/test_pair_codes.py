"""Pairs of codes are numbered as they appear."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets.behaviour.pair_codes import pair_codes


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 3))))
def test_pairs_are_numbered_in_the_order_in_which_they_appear(pairs):
    first, second = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    numbers: dict[tuple[int, int], int] = {}
    expected = [-1 if min(pair) < 0 else numbers.setdefault(pair, len(numbers)) for pair in pairs]
    assert pair_codes(first, np.ascontiguousarray(second), 4).tolist() == expected
