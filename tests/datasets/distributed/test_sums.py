"""Sums from parts are those of all pairs in one process."""

from __future__ import annotations

from copy import copy

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import PBM, PositionBias, load_pairs
from rankloom.datasets.counts.click_counts import click_counts
from rankloom.datasets.distributed import count_documents, fit_position_bias, pair_parts
from rankloom.errors import InvalidInputError

SETTINGS = {"context": ["device"], "half_life": 10.0, "drop_bots": True}


@pytest.fixture(scope="module")
def features(log):
    """Features by document."""
    documents = log.select("feature_id").drop_nulls().unique(maintain_order=True)
    return documents.filter(pl.col("feature_id") != "").with_columns(
        length=pl.int_range(pl.len()) % 29, kind=pl.lit("abc").str.slice(0, 1)
    )


@pytest.fixture(scope="module")
def pairs(files, features):
    return load_pairs(files, features=features, **SETTINGS)


@pytest.fixture(scope="module")
def parts(client, files, features):
    options = {"client": client, "partitions": 4, "features": features}
    with pair_parts(files, **options, **SETTINGS) as found:
        yield found


def test_codes_of_parts_are_those_of_all_pairs(parts, pairs):
    """Texts that only refused rows name have none."""
    assert pairs.report.quarantined > 0
    assert "!" not in {*pairs.documents, *pairs.queries, *pairs.categories["feature_uri"]}
    for part in parts.run("copy", copy):
        for name in ("documents", "queries"):
            assert getattr(part.pairs, name).to_list() == getattr(pairs, name).to_list()
        assert part.pairs.categories["feature_uri"] == pairs.categories["feature_uri"]
        assert np.array_equal(part.pairs.document_code, pairs.document_code[part.row])
        assert np.array_equal(part.pairs.X, pairs.X[part.row], equal_nan=True)


@pytest.mark.parametrize(
    ("states", "by", "weighted"), [("position", None, True), ("last_click", "device", False)]
)
def test_click_counts(parts, pairs, states, by, weighted):
    expected = click_counts(pairs, states, by=by, weighted=weighted)
    counted = count_documents(parts, states, by=by, weighted=weighted)
    found = counted.counts
    for name in ("document", "state", "offsets", "row", "key", "position_of_state"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    for name in ("shown", "clicks"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)
    assert (found.values, found.n_positions) == (expected.values, expected.n_positions)
    assert found.queries.to_list() == expected.queries.to_list()
    assert found.documents.to_list() == expected.documents.to_list()
    assert np.array_equal(counted.X, pairs.X[expected.row], equal_nan=True)


def test_labels_of_a_click_model(parts, pairs):
    expected = PBM().fit(pairs)
    found = PBM().fit(count_documents(parts).counts)
    np.testing.assert_allclose(found.relevance_, expected.relevance_, rtol=1e-9)
    np.testing.assert_allclose(found.examination_, expected.examination_, rtol=1e-9)


@pytest.mark.parametrize("bias", [PositionBias("all_pairs"), PositionBias("pivot", max_position=4)])
def test_the_curve_of_examination(parts, pairs, bias):
    expected = PositionBias(bias.estimator, max_position=bias.max_position).fit(pairs)
    found = fit_position_bias(parts, bias)
    for name in ("examination_", "lower_", "upper_", "swaps_"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)


def test_a_curve_by_features_needs_pairs(parts):
    with pytest.raises(InvalidInputError, match="counts: hold no features"):
        fit_position_bias(parts, PositionBias())


def test_outcomes_of_the_click_are_left_out_as_by_one_process(client, files, pairs, monkeypatch):
    """Also where they are looked for in some queries only."""
    monkeypatch.setattr("rankloom.datasets.pairs.outcomes._ROWS", (500, 5_000))
    revenue = pl.DataFrame(
        {
            "execution_id": pairs.execution_id.gather(pairs.execution_index),
            "feature_id": pairs.document_id,
            "revenue": pairs.clicked * 1.0,
        }
    )
    options = {"features": revenue, "drop_bots": True}
    expected = load_pairs(files, **options)
    assert "revenue" in expected.report.features_left_out
    with pair_parts(files, client=client, partitions=2, **options) as parts:
        counted = count_documents(parts)
    assert counted.X.shape[1] == len(expected.feature_names)
