"""The comparison with production, of a whole log and of executions drawn from it."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.ltr.debias import fall_back
from rankloom.ltr.exposure.feature_variants import feature_variants

CURVE = 1 / np.arange(1.0, 11.0)


@pytest.fixture(scope="module")
def log(make_pairs):
    """Documents of 40 queries in random order, so that a ranker can be better."""
    return make_pairs(6000, shuffled=True)


def bound(pairs, seed=0):
    variants = feature_variants(pairs)
    value = np.nan_to_num(pairs.X[variants.row])  # relevance rises with both
    scores = value[:, 0] + 0.7 * value[:, 1]
    return fall_back.gain_over_production(
        pairs, variants, CURVE, lambda learnt: scores[~learnt], seed
    )


def test_executions_drawn_at_random_give_the_gain_of_all_within_its_error(log, monkeypatch):
    whole = bound(log)
    monkeypatch.setattr(fall_back, "MAX_EXECUTIONS", log.n_executions)
    assert bound(log) == whole
    monkeypatch.setattr(fall_back, "MAX_EXECUTIONS", 2000)
    drawn = [bound(log, seed) for seed in range(10)]
    error = np.std([each.gain for each in drawn])
    assert abs(np.mean([each.gain for each in drawn]) - whole.gain) < 2 * error
    assert error < whole.gain / 4
    lower = np.array([each.lower for each in drawn])
    assert 0 < lower.min() < lower.mean() < whole.lower


def test_drawn_executions_are_scored_as_their_own_documents(log, monkeypatch):
    monkeypatch.setattr(fall_back, "MAX_EXECUTIONS", 500)
    variants = feature_variants(log)
    compared, of_row = fall_back._compared(log, variants.of_row, 0)
    assert compared.n_executions == 500
    np.testing.assert_array_equal(
        variants.query[of_row], compared.query_code[compared.execution_index]
    )
    np.testing.assert_array_equal(log.X[variants.row[of_row]], compared.X)
