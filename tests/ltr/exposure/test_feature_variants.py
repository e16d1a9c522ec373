"""Distinct (query, document, feature values), where features differ between executions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets.counts.click_counts import click_counts
from rankloom.ltr.exposure.feature_variants import feature_variants


@pytest.fixture
def varied(pairs):
    """Feature 1 takes three values a document, absent and -0 among them; feature 3 one of two."""
    generator = np.random.default_rng(0)
    X = pairs.X.copy()
    X[:, 1] = np.array([np.nan, 0.0, 2.5], np.float32)[generator.integers(0, 3, len(X))]
    X[generator.random(len(X)) < 0.2, 1] *= -1
    X[:, 3] += generator.integers(0, 2, len(X))
    return replace(pairs, X=X)


def keys_of(pairs):
    """Query, document and values of every row, as Python compares them."""
    rows = np.where(np.isnan(pairs.X), 1e9, pairs.X).tolist()
    return [(key, *map(float, row)) for key, row in zip(pairs.query_document, rows, strict=True)]


def test_documents_whose_features_never_differ_have_one_variant(pairs):
    variants = feature_variants(pairs)
    documents = variants.documents
    assert variants.varying == ()
    np.testing.assert_array_equal(variants.of_row, documents.of_row)
    np.testing.assert_array_equal(variants.row, documents.row)
    np.testing.assert_array_equal(variants.query, documents.query)
    assert variants.as_documents(pairs) is pairs


def test_rows_share_a_variant_exactly_where_query_document_and_values_are_equal(varied):
    variants, keys = feature_variants(varied), keys_of(varied)
    assert variants.varying == (varied.feature_names[1], varied.feature_names[3])
    assert len(variants) == len(set(keys)) > len(variants.documents)
    assert len(set(zip(keys, variants.of_row.tolist(), strict=True))) == len(variants)
    np.testing.assert_array_equal(variants.document[variants.of_row], variants.documents.of_row)
    assert (np.diff(variants.document) >= 0).all()
    last = {variant: row for row, variant in enumerate(variants.of_row.tolist())}
    assert variants.row.tolist() == [last[variant] for variant in range(len(variants))]


def test_counts_by_variant_add_up_to_those_by_document(varied):
    variants = feature_variants(varied)
    by_variant = click_counts(variants.as_documents(varied))
    assert len(by_variant) == len(variants)
    clicks = by_variant.by_document(by_variant.clicks)
    np.testing.assert_array_equal(clicks, variants.total(varied.clicked.astype(float)))
    by_document = click_counts(varied)
    np.testing.assert_array_equal(
        np.bincount(variants.document, clicks), by_document.by_document(by_document.clicks)
    )


def test_features_that_differ_in_a_single_row_are_found(pairs):
    X = pairs.X.copy()
    X[17, 2] = 123.0
    variants = feature_variants(replace(pairs, X=X))
    assert variants.varying == (pairs.feature_names[2],)
    assert len(variants) == len(variants.documents) + 1
