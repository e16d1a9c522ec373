"""Several models' scores made one."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.ltr.boosting.trainer import Trainer
from rankloom.ltr.debias.blend import blend_of, blended

from .test_feature_prior import PARAMS


@pytest.fixture
def trainer():
    return Trainer({**PARAMS, "num_iterations": 5}, ("a", "b"), ())


@pytest.fixture
def world(trainer):
    X = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    boosters = {
        "small": trainer.regress(X, 1e-3 * X[:, 0].astype(float)),
        "large": trainer.regress(X, 1e3 * X[:, 1].astype(float) + 5000),
        "dumb": trainer.regress(X, np.zeros(500)),
    }
    return X, boosters


def test_members_are_put_on_one_scale_on_the_documents_they_were_blended_on(trainer, world):
    X, boosters = world
    (small, large, dumb), _ = blend_of(boosters, dict.fromkeys(boosters, 1.0), X, trainer)
    for member in (small, large):
        scores = member.standardised(X, 1)
        assert scores.mean() == pytest.approx(0, abs=1e-9)
        assert scores.std() == pytest.approx(1)
    np.testing.assert_array_equal(dumb.standardised(X, 1), 0)
    other = 2 * X[:50]
    raw = boosters["large"].predict(other)
    shift, scale = boosters["large"].predict(X).mean(), boosters["large"].predict(X).std()
    np.testing.assert_allclose(large.standardised(other, 1), (raw - shift) / scale)


def test_a_blend_is_the_weighted_mean_whatever_the_weights_sum_to(trainer, world):
    X, boosters = world
    weights = {"small": 3.0, "large": 1.0, "dumb": 0.0}
    members, target = blend_of(boosters, weights, X, trainer)
    np.testing.assert_array_equal(target, blended(members, X))
    scores = [member.standardised(X, 1) for member in members]
    np.testing.assert_allclose(blended(members, X), 0.75 * scores[0] + 0.25 * scores[1])
    alone, _ = blend_of(boosters, {"small": 0.2, "large": 0.0, "dumb": 0.0}, X, trainer)
    np.testing.assert_allclose(blended(alone, X), scores[0])
