"""The public interface: fitting, applying, context curves, reports."""

from __future__ import annotations

import json
import logging

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import PositionBias
from rankloom.datasets.position_bias.swap_estimators import ESTIMATORS
from rankloom.errors import InvalidInputError

HARVESTING = ("all_pairs", "pivot", "adjacent")
TRUTH = 1 / np.arange(1, 6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_order_of_executions_changes_nothing(simulated, name):
    pairs = simulated(2000)
    shuffled = pairs.take(np.random.default_rng(1).permutation(pairs.n_executions))
    one, other = (PositionBias(name, n_bootstrap=20).fit(p) for p in (pairs, shuffled))
    for limit in ("examination_", "lower_", "upper_", "band_lower_", "band_upper_"):
        np.testing.assert_array_equal(getattr(one, limit), getattr(other, limit))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_numbering_of_queries_and_documents_changes_nothing(simulated, name):
    pairs = simulated(2000)
    renamed = simulated(2000)
    rng = np.random.default_rng(2)
    new_query = rng.permutation(len(pairs.queries))
    new_document = rng.permutation(len(pairs.documents))
    renamed.query_code = new_query[pairs.query_code].astype(np.int32)
    renamed.queries = pairs.queries.gather(np.argsort(new_query))
    renamed.document_code = new_document[pairs.document_code].astype(np.int32)
    renamed.documents = pairs.documents.gather(np.argsort(new_document))
    one, other = (PositionBias(name, n_bootstrap=20).fit(p) for p in (pairs, renamed))
    tolerance = 2e-3 if name == "em" else 1e-8
    np.testing.assert_allclose(one.examination_, other.examination_, rtol=tolerance)
    np.testing.assert_allclose(one.lower_, other.lower_, rtol=tolerance)


def test_apply_fills_every_row_and_holds_the_last_value_beyond_the_curve(simulated):
    pairs = simulated(50)
    applied = PositionBias.from_curve([2.0, 1.0, 0.5]).apply(pairs)
    assert applied is pairs
    assert pairs.examination.dtype == np.float32
    expected = np.array([1.0, 0.5, 0.25, 0.25, 0.25], dtype=np.float32)
    np.testing.assert_array_equal(pairs.examination, expected[pairs.position])


def test_apply_needs_a_curve_and_positions(simulated):
    with pytest.raises(InvalidInputError, match="call fit"):
        PositionBias().apply(simulated(5))
    judged = simulated(5)
    judged.position[:] = -1
    with pytest.raises(InvalidInputError, match="no position"):
        PositionBias.from_curve([1.0]).apply(judged)


@pytest.mark.parametrize("curve", [[], [1.0, 0.0], [1.0, np.nan], [1.0, np.inf], [[1.0]], 1.0])
def test_a_known_curve_must_be_a_list_of_positive_numbers(curve):
    with pytest.raises(InvalidInputError, match="examination"):
        PositionBias.from_curve(curve)


@pytest.fixture(scope="module")
def by_device(simulated):
    """Half the lists are mobile with a steeper curve; one list has a device without swaps."""
    rng = np.random.default_rng(3)
    mobile = rng.random(40_000) < 0.5
    curve = np.where(mobile[:, None], TRUTH**1.5, TRUTH**0.5)
    device = np.where(mobile, "mobile", "desktop").astype(object)
    device[0], device[1] = "watch", None
    pairs = simulated(40_000, curve=curve, context={"device": pl.Series(device.tolist())})
    return PositionBias(by="device", n_bootstrap=30).fit(pairs), pairs


def test_by_context_recovers_two_different_curves(by_device):
    bias, _ = by_device
    assert list(bias.curves_) == ["desktop", "mobile"]
    np.testing.assert_allclose(bias.curve("mobile").examination, TRUTH**1.5, rtol=0.2)
    np.testing.assert_allclose(bias.curve("desktop").examination, TRUTH**0.5, rtol=0.2)
    assert (bias.curve("mobile").band_upper < bias.curve("desktop").band_lower)[1:].all()


def test_a_value_that_identifies_no_curve_takes_that_of_the_whole_log_and_says_so(
    by_device, caplog
):
    bias, pairs = by_device
    assert any("'watch' takes the curve of the whole log" in note for note in bias.notes_)
    with caplog.at_level(logging.WARNING, logger="rankloom"):
        bias.apply(pairs)
    assert "watch" in caplog.text
    rows = pairs.examination.reshape(-1, 5)
    device = pairs.context["device"].to_list()
    for execution in range(20):
        curve = bias.curves_.get(device[execution], bias.curve())
        np.testing.assert_array_equal(rows[execution], curve.examination.astype(np.float32))


def test_a_value_whose_swaps_reach_less_far_than_the_logs_takes_the_logs_curve(pairs_of):
    """Held at its last value, a curve of two positions would be wrong at all the deeper ones."""
    rotated, shallow = [[0, 1, 2], [1, 2, 0], [2, 0, 1]] * 40, [[3, 4, 5], [4, 3, 5]] * 30
    clicked = np.random.default_rng(0).random((180, 3)) < 0.5
    device = pl.Series(["deep"] * 120 + ["shallow"] * 60)
    pairs = pairs_of(np.zeros(180), rotated + shallow, clicked, context={"device": device})
    bias = PositionBias(by="device", n_bootstrap=0).fit(pairs)
    assert list(bias.curves_) == ["deep"]
    assert any("reach position 1 only, not 2" in note for note in bias.notes_)


def test_many_values_without_a_curve_are_counted_not_listed(simulated):
    users = pl.Series([f"u{i}" for i in range(300)])
    bias = PositionBias(by="user", n_bootstrap=0).fit(simulated(300, context={"user": users}))
    assert bias.curves_ == {}
    assert bias.notes_[-1] == "... and so do 295 more values of user."


def test_an_unknown_context_value_is_named(by_device):
    with pytest.raises(InvalidInputError, match="Did you mean 'mobile'"):
        by_device[0].curve("mobil")


def test_apply_by_context_needs_the_column(simulated, by_device):
    with pytest.raises(InvalidInputError, match="no context column 'device'"):
        by_device[0].apply(simulated(5))


def test_disagreement_is_the_largest_relative_difference(simulated):
    bias = PositionBias(n_bootstrap=0).fit(simulated(4000))
    assert set(bias.disagreement_) == set(ESTIMATORS) - {"all_pairs"}
    for name, gap in bias.disagreement_.items():
        other = PositionBias(name, n_bootstrap=0).fit(simulated(4000)).examination_
        assert gap == pytest.approx(np.abs(other / bias.examination_ - 1).max(), abs=1e-6)


def test_to_dict_is_json_and_holds_the_curves(by_device):
    bias, _ = by_device
    plain = json.loads(json.dumps(bias.to_dict(), allow_nan=False))
    assert plain["examination"] == bias.examination_.tolist()
    assert plain["curves"]["mobile"]["lower"] == bias.curve("mobile").lower.tolist()
    assert plain["connected"] is True


def test_the_summary_shows_every_position_estimator_and_note(by_device):
    bias, _ = by_device
    text = str(bias)
    assert text == bias.summary()
    for part in ("device = mobile", "auto, by swaps", "pivot differs", "note: device = 'watch'"):
        assert part in text
    assert f"{bias.examination_[4]:.4f}" in text
    assert "Examination by position, given" in str(PositionBias.from_curve([1.0, 0.5]))
    assert repr(PositionBias()) == str(PositionBias()) == "PositionBias('auto')"
