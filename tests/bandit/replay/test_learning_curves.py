"""How weights settle: the steps are those of a bandit that learnt as much."""

import json

import numpy as np
import polars as pl
import pytest

from rankloom.bandit import FusionBandit, learning_curve
from rankloom.errors import InvalidInputError
from tests.bandit.fusion_simulation import ARMS, World, log_of


@pytest.fixture(scope="module")
def log():
    return log_of(World(0, queries=12, documents=20), 1200, 1)


@pytest.fixture(scope="module")
def curve(log):
    return learning_curve(log, FusionBandit(ARMS), steps=6)


def test_every_step_is_what_a_bandit_knew_then(log, curve):
    for step in (0, 3, 5):
        bandit = FusionBandit(ARMS)
        bandit.update(log.filter(pl.col("timestamp") <= curve.times[step]))
        assert curve.weights[step] == pytest.approx(list(bandit.mean().values()), abs=0.02)
    bandit = FusionBandit(ARMS)
    bandit.update(log)
    assert curve.weights[-1] == pytest.approx(list(bandit.mean().values()), rel=1e-9)
    assert curve.executions[-1] == 1200


def test_uncertainty_and_entropy_fall_as_the_better_channel_is_found(curve):
    assert curve.width[-1] < curve.width[1]
    assert curve.entropy[-1] < curve.entropy[0] <= 1
    assert curve.weights[-1].argmax() == 0
    assert (curve.lower <= curve.upper).all()
    assert curve.settled is not None
    assert curve.settled > 0


def test_the_bandit_itself_is_left_alone_and_its_bounds_hold(log):
    bandit = FusionBandit(ARMS, floor=0.2)
    curve = learning_curve(log, bandit, steps=3)
    assert bandit.evidence.summary.open_units == 0
    assert curve.weights.min() >= 0.2 - 1e-12


def test_what_was_learnt_and_compacted_plays_no_part(log):
    bandit = FusionBandit(ARMS)
    bandit.update(log)
    bandit.compact(log["timestamp"].max())
    again = learning_curve(log, bandit, steps=6)
    fresh = learning_curve(log, FusionBandit(ARMS), steps=6)
    assert np.array_equal(again.weights, fresh.weights)


def test_steps_before_anything_was_shown_are_unknown(log):
    clicks = log.filter(pl.col("interaction_type").list.contains("click"))
    early = clicks.with_columns(
        timestamp=pl.col("timestamp") - pl.duration(days=90),
        execution_id="early-" + pl.col("execution_id"),
    )
    curve = learning_curve(pl.concat([early, log]), FusionBandit(ARMS), steps=20)
    assert np.isnan(curve.weights[0]).all()
    assert not np.isnan(curve.weights[-1]).any()
    values = json.loads(json.dumps(curve.to_dict(), allow_nan=False))
    assert values["weights"][0] is None
    assert values["entropy"][0] is None


def test_one_channel_has_all_the_weight_and_no_entropy(log):
    curve = learning_curve(log, FusionBandit(["text"]), steps=2)
    assert curve.weights.tolist() == [[1.0], [1.0]]
    assert curve.entropy.tolist() == [0, 0]
    assert curve.settled == 0


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": True}, {"confidence": 1.0}])
def test_wrong_options_are_refused(log, options):
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        learning_curve(log, FusionBandit(ARMS), **options)


def test_a_log_of_another_retriever_teaches_nothing(log):
    with pytest.raises(InvalidInputError, match="no row of this retriever"):
        learning_curve(log, FusionBandit(ARMS, retriever_id="other"))
