"""Features that repeat the position are found out, others are not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from rankloom.datasets import load_pairs
from rankloom.datasets.pairs.confounding import mean_rank_correlation


def test_rank_correlation_agrees_with_scipy_on_every_group():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(40, dtype=np.int32), 9)
    a, b = (
        rng.integers(0, 5, 360).astype(float),
        rng.permuted(np.tile(np.arange(9), (40, 1)), axis=1),
    )
    expected = [spearmanr(a[group == g], b[g]).statistic for g in range(40)]
    assert mean_rank_correlation(a, b.ravel(), group) == pytest.approx(np.mean(expected))


def test_constant_and_absent_features_correlate_with_nothing():
    group, position = np.zeros(4, np.int32), np.arange(4)
    assert mean_rank_correlation(np.ones(4), position, group) == 0
    assert mean_rank_correlation(np.full(4, np.nan), position, group) == 0


def test_only_the_feature_whose_order_is_the_position_is_reported():
    rng = np.random.default_rng(0)
    n = 400
    log = pl.DataFrame(
        {
            "execution_id": np.repeat([f"e{i}" for i in range(n // 8)], 8),
            "feature_id": [f"d{i}" for i in range(n)],
            "interaction_type": [["impression"]] * n,
            "position": np.tile(np.arange(8), n // 8),
            "document_score": np.tile(np.linspace(1, 0, 8), n // 8) ** 3,
        }
    )
    features = pl.DataFrame(
        {
            "feature_id": log["feature_id"],
            "noise": rng.normal(size=n),
            "half": log["position"] + rng.normal(size=n) * 3,
        }
    )
    pairs = load_pairs(log, features=features)
    assert pairs.report.confounded == {"document_score": pytest.approx(-1.0)}
    assert pairs.feature_names == ("document_score", "noise", "half")
