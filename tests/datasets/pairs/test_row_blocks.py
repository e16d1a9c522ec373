"""Blocks hold whole executions and every row once; passes over them give what whole arrays give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets import load_pairs, simulate_interactions
from rankloom.datasets.click_models import DBN
from rankloom.datasets.counts import pair_counts
from rankloom.datasets.counts.click_counts import click_counts
from rankloom.datasets.counts.pair_counts import count_pairs
from rankloom.datasets.pairs import row_blocks as module
from rankloom.datasets.pairs.array_storage import OnDisk
from rankloom.datasets.pairs.positions import position_counts
from rankloom.datasets.pairs.row_blocks import (
    blocks_of,
    collected,
    query_documents_of,
    row_blocks,
    rows_of,
)
from rankloom.datasets.position_bias.feature_cells import feature_cells
from rankloom.datasets.position_bias.moves import find_moves
from rankloom.datasets.quality.positions import PositionCounts

SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def pairs():
    """Return pairs of lists with gaps, with times and features."""
    log = simulate_interactions(n_executions=700, random_state=0)
    return load_pairs(log.filter(np.random.default_rng(0).random(len(log)) < 0.7))


def pairs_with(group):
    offsets = np.concatenate([[0], np.cumsum(group)])
    names = (*module._OF_ROWS,)
    return SimpleNamespace(offsets=offsets, **dict.fromkeys(names))


@given(SIZES, st.integers(1, 40), st.data())
def test_blocks_are_whole_executions_in_order(group, size, data):
    log = pairs_with(group)
    blocks = list(row_blocks(log, size=size))
    rows = np.concatenate([rows_of(block) for block in blocks])
    np.testing.assert_array_equal(rows, np.arange(sum(group)))
    assert all(
        sum(group[block.executions]) <= size or block.executions.stop - block.executions.start == 1
        for block in blocks
    )
    chosen = np.flatnonzero(
        data.draw(st.lists(st.booleans(), min_size=len(group), max_size=len(group)))
    )
    found = list(row_blocks(log, chosen, size=size))
    np.testing.assert_array_equal(
        np.concatenate([np.empty(0, int), *(block.executions for block in found)]), chosen
    )
    expected = [np.arange(log.offsets[each], log.offsets[each + 1]) for each in chosen]
    np.testing.assert_array_equal(
        np.concatenate([np.empty(0, int), *(block.rows for block in found)]),
        np.concatenate([np.empty(0, int), *expected]),
    )


def test_a_block_has_the_keys_of_its_rows(pairs):
    keys = collected(pairs, lambda block: query_documents_of(pairs, block))
    np.testing.assert_array_equal(keys, pairs.query_document)
    chosen = np.arange(3, pairs.n_executions, 7)
    for block in row_blocks(pairs, chosen, size=100):
        expected = pairs.query_document[block.rows]
        np.testing.assert_array_equal(query_documents_of(pairs, block), expected)


def plain(value):
    """Return a result as something that compares."""
    return {k: v for k, v in vars(value).items() if not hasattr(v, "to_list")}


@pytest.mark.parametrize(
    "pass_over",
    [
        lambda pairs: plain(click_counts(pairs)),
        lambda pairs: plain(click_counts(pairs, "last_click", max_position=4)),
        lambda pairs: plain(count_pairs(pairs, 6)),
        lambda pairs: plain(count_pairs(pairs, 6, np.arange(0, 600, 3))),
        lambda pairs: plain(feature_cells(pairs, 6)),
        lambda pairs: plain(feature_cells(pairs, 6, np.arange(5, 600, 2))),
        lambda pairs: find_moves(pairs, 6).to_dict(),
        lambda pairs: vars(position_counts(pairs)),
        lambda pairs: {"rows": DBN(max_iterations=5).fit(pairs).row_examinations()},
        lambda pairs: {"curve": DBN(max_iterations=5).fit(pairs).examination_},
    ],
)
def test_the_size_of_blocks_changes_no_bit(pairs, pass_over, monkeypatch):
    whole = pass_over(pairs)
    monkeypatch.setattr(module, "ROWS", 37)
    monkeypatch.setattr(pair_counts, "_SORTED_AT_ONCE", 100)
    in_blocks = pass_over(pairs)
    assert whole.keys() == in_blocks.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(in_blocks[name], value, err_msg=name)


def test_positions_are_counted_as_over_whole_arrays(pairs):
    gaps = replace(pairs, position=pairs.position // 3 * 2)
    for each in (pairs, gaps):
        assert position_counts(each) == PositionCounts.of(each.group, each.position)


def test_pages_of_mapped_arrays_are_given_back(tmp_path):
    writer = OnDisk(tmp_path).array("a", np.int64, (1 << 22,))
    writer.write(np.arange(1 << 22))
    array = writer.finish()
    in_memory = []
    for block in blocks_of(np.arange(0, (1 << 22) + 1, 64), [array], 1 << 18):
        np.testing.assert_array_equal(array[block.rows], rows_of(block))
        in_memory.append(kilobytes_in_memory(tmp_path))
    assert len(in_memory) == 16
    assert max(in_memory) < 8192  # of 32 MB; a large page may come whole
    assert kilobytes_in_memory(tmp_path) == 0


def kilobytes_in_memory(folder):
    """Return how much of the files of a folder this process has in memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        int(next(line for line in lines if line.startswith("Rss:")).split()[1])
        for line in lines
        if str(folder) in line
    )
