"""Documents of queries: one entry for every (query, document)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets.pairs import row_blocks
from rankloom.ltr.exposure.query_documents import group_sizes, query_documents


def test_documents_are_distinguished_by_query_and_ordered_by_it(pairs):
    documents = query_documents(pairs)
    assert documents.group.sum() == len(documents) == len(np.unique(pairs.query_document))
    np.testing.assert_array_equal(documents.group, group_sizes(documents.query))
    assert (np.diff(documents.query) >= 0).all()
    keys = pairs.query_document
    np.testing.assert_array_equal(keys[documents.row][documents.of_row], keys)
    for document in range(0, len(documents), 60):
        rows = np.flatnonzero(documents.of_row == document)
        assert documents.row[document] == rows.max()
        clicks = documents.total(pairs.clicked.astype(float))[document]
        assert clicks == pairs.clicked[rows].sum()


def by_sorting(pairs):
    """Return document of every row, query and last row of every document, by one stable sort."""
    order = np.argsort(pairs.query_document, kind="stable")
    key = pairs.query_document[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    ends = np.append(starts[1:], len(key))
    of_row = np.empty(len(key), np.int64)
    of_row[order] = np.repeat(np.arange(len(starts)), ends - starts)
    return of_row, key[starts] // len(pairs.documents), order[ends - 1]


@pytest.mark.parametrize("size", [7, 100, 10**6])
def test_in_blocks_of_any_size_they_are_those_of_a_sort(pairs, size, monkeypatch):
    monkeypatch.setattr(row_blocks, "ROWS", size)
    documents = query_documents(pairs)
    for found, expected in zip(
        (documents.of_row, documents.query, documents.row), by_sorting(pairs), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    values = np.random.default_rng(0).random(len(pairs))
    in_blocks = documents.total_of(pairs, row_blocks.of_array(values))
    np.testing.assert_array_equal(in_blocks, np.bincount(documents.of_row, values))


def test_one_document_of_two_queries_has_two_entries(pairs):
    same = replace(pairs, document_code=0 * pairs.document_code)
    documents = query_documents(same)
    np.testing.assert_array_equal(documents.query, np.unique(pairs.query_code))
    assert documents.total(np.ones(len(pairs))).sum() == len(pairs)
