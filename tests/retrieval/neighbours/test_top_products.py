"""The compiled search for the largest entries of a product, against the dense product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from rankloom.retrieval.neighbours.top_products import NONE, as_csr, top_products


def top_of_dense(product, k):
    """Columns and values of the largest positive entries; of equal ones the lower column first."""
    columns = np.full((len(product), k), NONE)
    values = np.zeros((len(product), k))
    for row, entries in enumerate(product):
        order = np.lexsort((np.arange(len(entries)), -entries))
        order = order[entries[order] > 0][:k]
        columns[row, : len(order)], values[row, : len(order)] = order, entries[order]
    return columns, values


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.sampled_from([0.02, 0.2, 0.9]),
    st.booleans(),
    st.booleans(),
)
def test_entries_are_the_largest_of_the_dense_product(seed, k, density, self_out, masked):
    rng = np.random.default_rng(seed)
    # Small whole numbers of both signs: sums are exact, many are equal, and some are 0 on the way.
    left, right = (
        sparse.csr_matrix(
            (rng.integers(-2, 4, shape) * (rng.random(shape) < density)).astype(np.float32)
        )
        for shape in ((40, 30), (30, 40))
    )
    without = sparse.csr_matrix(rng.random((40, 40)) < 0.3) if masked else None
    product = (left @ right).toarray()
    if self_out:
        np.fill_diagonal(product, 0)
    if without is not None:
        product[without.toarray()] = 0
    columns, values = top_products(left, right, k, without=without, without_self=self_out)
    wanted = top_of_dense(product, k)
    np.testing.assert_array_equal(columns, wanted[0])
    np.testing.assert_array_equal(values, wanted[1])


def test_rows_beyond_one_task_and_few_columns_are_searched_too():
    rng = np.random.default_rng(0)
    left = sparse.random(5000, 50, 0.1, format="csr", dtype=np.float32, rng=rng)
    right = sparse.random(50, 700, 0.1, format="csr", dtype=np.float32, rng=rng)
    columns, values = top_products(left, right, 4)
    product = (left.astype(np.float64) @ right.astype(np.float64)).toarray()
    wanted = top_of_dense(product.astype(np.float32), 4)
    assert (columns == wanted[0]).mean() > 0.999
    np.testing.assert_allclose(values, wanted[1], rtol=1e-6)


def test_found_entries_make_a_matrix_in_their_order():
    columns = np.array([[4, 1], [NONE, NONE], [0, NONE]], np.int32)
    scores = np.array([[3, 2], [0, 0], [5, 0]], np.float32)
    matrix = as_csr(columns, scores, 5)
    assert matrix.indices.tolist() == [4, 1, 0]
    assert matrix.toarray().tolist() == [[0, 2, 0, 0, 3], [0] * 5, [5, 0, 0, 0, 0]]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_products_have_no_entries(shape):
    left = sparse.csr_matrix((shape[0], 2), dtype=np.float32)
    right = sparse.csr_matrix((2, shape[1]), dtype=np.float32)
    columns, _ = top_products(left, right, 2)
    assert (columns == NONE).all()
    assert len(columns) == shape[0]
