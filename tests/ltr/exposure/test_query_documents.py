"""Documents of queries: one entry for every (query, document)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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


def test_one_document_of_two_queries_has_two_entries(pairs):
    same = replace(pairs, document_code=0 * pairs.document_code)
    documents = query_documents(same)
    np.testing.assert_array_equal(documents.query, np.unique(pairs.query_code))
    assert documents.total(np.ones(len(pairs))).sum() == len(pairs)
