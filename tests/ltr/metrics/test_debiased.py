from __future__ import annotations

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import examination_weighted_dcg


def test_clicks_over_examination_estimate_what_full_information_gives():
    """Over many draws of clicks the mean is the DCG of relevance itself; plain clicks' is not."""
    generator = np.random.default_rng(0)
    executions, k = 20_000, 6
    position = np.tile(np.arange(k), executions)
    examination = 1 / (1 + position)
    relevance = np.tile([0.2, 0.1, 0.6, 0.3, 0.5, 0.9], executions)
    scores = np.tile([1.0, 6.0, 2.0, 5.0, 3.0, 4.0], executions)
    clicks = generator.random(len(position)) < relevance * examination
    group = np.full(executions, k)
    rank = np.argsort(np.argsort(-scores[:k]))
    truth = (relevance[:k] / np.log2(rank + 2)).sum()
    weighted, _ = examination_weighted_dcg(clicks, scores, group, examination)
    plain, _ = examination_weighted_dcg(clicks, scores, group, np.ones(len(clicks)))
    error = weighted.std() / np.sqrt(executions)
    assert weighted.mean() == pytest.approx(truth, abs=4 * error)
    assert abs(plain.mean() - truth) > 20 * error


def test_the_worth_of_a_click_is_clipped():
    weighted, weight = examination_weighted_dcg([1, 0], [2, 1], [2], [0.001, 1], clip=0.1)
    assert weight == pytest.approx([10])
    assert weighted == pytest.approx([10])


def test_grades_count_their_exponential_gain_and_ranks_their_discount():
    weighted, weight = examination_weighted_dcg([2, 1, 0], [1, 2, 3], [3], [0.5, 1, 1])
    assert weight == pytest.approx([3 / 0.5 + 1])
    assert weighted == pytest.approx([3 / 0.5 / np.log2(4) + 1 / np.log2(3)])


def test_an_execution_without_a_click_adds_nothing():
    weighted, weight = examination_weighted_dcg([0, 0], [1, 2], [2], [1, 1])
    assert weighted.tolist() == [0]
    assert weight.tolist() == [0]


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(InvalidInputError, match="scores"):
        examination_weighted_dcg([0, 1], [1, np.nan], [2], [1, 1])
