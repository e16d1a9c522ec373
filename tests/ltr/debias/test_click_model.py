"""`Ranker("click_model")`: one row a document, labelled by the likeliest click model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.ltr import Ranker
from rankloom.ltr.boosting.trainer import Trainer
from rankloom.ltr.debias.auto import click_model_target
from rankloom.ltr.debias.training_target import DebiasOptions
from rankloom.ltr.exposure.query_documents import query_documents

from .test_feature_prior import PARAMS

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 25, "min_data_in_leaf": 20}
OPTIONS = DebiasOptions(
    examination=CURVE,
    clip=0.05,
    prior_exposure=4.0,
    prior_strength=0.0,
    label_gain=None,
    seed=0,
)


def fast(**options):
    return Ranker("click_model", **{**FAST, **options})


def target(pairs, **changes):
    trainer = Trainer({**PARAMS, "num_iterations": 20}, pairs.feature_names, ())
    return click_model_target(pairs, trainer, replace(OPTIONS, **changes))


def clicks_of(pairs):
    """Clicks of every document, times weight."""
    return query_documents(pairs).total(pairs.clicked * pairs.weight.astype(float))


@pytest.fixture(scope="module")
def ranker(pairs):
    return fast(examination=CURVE).fit(pairs)


def test_labels_are_clicks_over_exposure_without_a_prior_by_features(make_pairs):
    """Few clicks, so the position-based model; then labels are those of the ratio of sums."""
    pairs = make_pairs(30)
    found = target(pairs)
    documents = query_documents(pairs)
    assert found.choice.click_model == "pbm"
    relevance = clicks_of(pairs) / (documents.total(CURVE[pairs.position]) + 4)
    expected = np.round(63 * np.minimum(relevance / np.quantile(relevance, 0.995), 1))
    starts = np.cumsum(documents.group) - documents.group
    differs = np.maximum.reduceat(expected, starts) > np.minimum.reduceat(expected, starts)
    np.testing.assert_array_equal(found.data.y, expected[np.repeat(differs, documents.group)])
    assert found.data.left_out == {"equal grades throughout": int((~differs).sum())}
    assert found.data.group.sum() == len(found.data.y)


def test_features_distinguish_documents_without_clicks(make_pairs):
    """With a strong prior, labels of unclicked documents differ; without, they are all equal."""
    pairs = make_pairs(1000)
    unclicked = clicks_of(pairs) == 0
    labels = {}
    for strength in (0.0, 100.0):
        data = target(pairs, prior_strength=strength).data
        assert len(data.y) == len(unclicked)
        labels[strength] = np.unique(data.y[unclicked])
    assert labels[0.0].tolist() == [0]
    assert len(labels[100.0]) > 5


def test_the_choice_says_which_model_and_why(ranker):
    choice = ranker.choice_
    assert choice.members == {"click_model": 1.0}
    assert choice.examination_source == "given"
    assert choice.identified
    assert set(choice.evidence) == {"pbm", "ubm", "dbn"}
    assert f"{choice.click_model} predicts held-out clicks best" in choice.reasons
    assert ranker.members_ == ()
    assert ranker.pair_bias_ is None


def test_it_never_falls_back(make_pairs):
    """A mode that was named gives its own scores, also without evidence for them."""
    pairs = make_pairs(2)
    ranker = fast(min_data_in_leaf=3).fit(replace(pairs, document_score=-pairs.position * 1.0))
    assert not ranker.choice_.fall_back
    np.testing.assert_array_equal(ranker.predict(pairs), ranker.predict(pairs.X))


def test_an_execution_of_weight_two_counts_like_two(make_pairs):
    pairs = make_pairs(200)
    weight = np.where(pairs.execution_index % 2 == 0, 2, 1).astype(np.float32)
    twice = pairs.take(np.sort(np.append(np.arange(200), np.arange(0, 200, 2))))
    few = {"prior_strength": 4.0, "prior_exposure": 0.0}
    one, two = target(replace(pairs, weight=weight), **few), target(twice, **few)
    assert one.choice.click_model == two.choice.click_model
    np.testing.assert_allclose(one.data.y, two.data.y, atol=1)
    assert one.choice.reliability == pytest.approx(two.choice.reliability, rel=1e-6)
    assert one.choice.effective_exposures == pytest.approx(two.choice.effective_exposures)
