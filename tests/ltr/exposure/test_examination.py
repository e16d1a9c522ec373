from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets import PositionBias
from rankloom.errors import InvalidInputError, NotIdentifiableError
from rankloom.ltr.exposure.examination import (
    find_examination,
    find_validation_examination,
)

CURVE = 1 / np.arange(1.0, 11.0)


@pytest.fixture(scope="module")
def varied(make_pairs):
    """Documents at many positions: the curve is identified."""
    return make_pairs(4000, queries=10, documents=12, shuffled=True)


@pytest.fixture(scope="module")
def fixed(varied):
    """Every document always at the same position: the curve is not identified."""
    first = np.unique(varied.query_code, return_index=True)[1]
    return varied.take(np.repeat(first, 30))


def test_a_given_curve_comes_first_and_is_scaled_to_the_first_position(varied):
    own = replace(varied, examination=np.full(len(varied), 0.5, dtype=np.float32))
    found = find_examination(own, 3 * CURVE)
    assert found.source == "given"
    np.testing.assert_allclose(found.values, CURVE[own.position], rtol=1e-6)


def test_a_given_curve_holds_its_last_value_beyond_its_end(varied):
    found = find_examination(varied, [1.0, 0.4])
    expected = np.where(varied.position == 0, 1.0, 0.4)
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)


def test_a_given_position_bias_is_used_as_fitted_or_fitted_on_a_copy(varied):
    fitted = PositionBias.from_curve(CURVE)
    np.testing.assert_allclose(
        find_examination(varied, fitted).values, CURVE[varied.position], rtol=1e-6
    )
    unfitted = PositionBias("pivot", n_bootstrap=0)
    found = find_examination(varied, unfitted)
    assert not hasattr(unfitted, "examination_")
    expected = PositionBias("pivot", n_bootstrap=0).fit(varied).examination_
    np.testing.assert_allclose(found.curve(), expected, rtol=1e-5)


def test_the_pairs_own_examination_comes_second(varied):
    own = replace(varied, examination=np.full(len(varied), 0.5, dtype=np.float32))
    found = find_examination(own, None)
    assert found.source == "pairs"
    assert (found.values == 0.5).all()


def test_otherwise_it_is_estimated_and_the_pairs_stay_as_they_are(varied):
    found = find_examination(varied, None)
    assert found.source == "estimated"
    assert varied.examination is None
    np.testing.assert_allclose(found.curve(), CURVE, rtol=0.25)


def test_a_log_whose_positions_never_varied_is_refused(fixed):
    with pytest.raises(NotIdentifiableError):
        find_examination(fixed, None)


@pytest.mark.parametrize(
    "given", [[], [[1.0]], [1.0, 0.0], [1.0, -0.1], [np.nan], "curve", {"a": 1}, [1.0, np.inf]]
)
def test_a_given_curve_of_no_probabilities_is_refused(varied, given):
    with pytest.raises(InvalidInputError, match="examination: expected"):
        find_examination(varied, given)


@pytest.mark.parametrize("bad", [0.0, np.nan, -1.0, np.inf])
def test_examination_in_the_pairs_must_be_positive(varied, bad):
    values = np.ones(len(varied), dtype=np.float32)
    values[7] = bad
    with pytest.raises(InvalidInputError, match="in row 7"):
        find_examination(replace(varied, examination=values), None)


def test_validation_uses_its_own_examination_before_the_training_logs(varied):
    half = replace(varied, examination=np.full(len(varied), 0.5, dtype=np.float32))
    assert find_validation_examination(half, None, varied, None).values[0] == 0.5
    assert find_validation_examination(half, CURVE, varied, None).values[0] == 1.0


def test_validation_takes_the_curve_of_the_training_pairs(varied):
    known = replace(varied, examination=CURVE[varied.position].astype(np.float32) ** 2)
    later = varied.take(np.arange(50))
    found = find_validation_examination(later, None, known, None)
    assert found.source == "pairs"
    np.testing.assert_allclose(found.values, CURVE[later.position] ** 2, rtol=1e-5)


def test_a_curve_with_gaps_gives_every_validation_position_a_value(varied):
    odd = varied.position % 2 == 1
    pairs = replace(varied, position=np.where(odd, varied.position, varied.position + 1))
    pairs = replace(pairs, examination=(1 / (1 + pairs.position)).astype(np.float32))
    found = find_validation_examination(varied, None, pairs, None)
    assert np.isfinite(found.values).all()
    assert found.values[varied.position == 4][0] == found.values[varied.position == 3][0]


def test_validation_without_any_curve_assumes_one_over_rank_and_says_so(fixed):
    found = find_validation_examination(fixed, None, fixed, None)
    assert found.source == "assumed"
    np.testing.assert_allclose(found.values, 1 / (fixed.position + 1))
