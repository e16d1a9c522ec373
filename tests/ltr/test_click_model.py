"""`Ranker("click_model")`: one row a document, labelled by the click model the log speaks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.errors import InvalidInputError, NoExposuresError
from rankloom.ltr import Ranker, ndcg
from rankloom.ltr._auto import click_model_lesson
from rankloom.ltr._trainer import Trainer
from rankloom.ltr.click_readings import documents_of, read_pbm

from .test_feature_prior import PARAMS

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 25, "min_data_in_leaf": 20}
SETTINGS = {
    "examination": CURVE,
    "prior_strength": 0.0,
    "prior_exposure": 4.0,
    "label_gain": None,
    "clip": 0.05,
}


def fast(**options):
    return Ranker("click_model", **{**FAST, **options})


def lesson(pairs, **changes):
    trainer = Trainer({**PARAMS, "num_iterations": 20}, pairs.feature_names, ())
    return click_model_lesson(pairs, trainer, {**SETTINGS, **changes}, seed=0)


@pytest.fixture(scope="module")
def ranker(pairs):
    return fast(examination=CURVE).fit(pairs)


def test_labels_are_clicks_over_exposure_where_nothing_is_asked_of_features(make_pairs):
    """Few clicks, so the position-based model; then labels are those of the ratio of sums."""
    pairs = make_pairs(30)
    found = lesson(pairs)
    documents, counts = documents_of(pairs)
    assert found.choice.click_model == "pbm"
    relevance = documents.clicks / (read_pbm(counts, CURVE).exposure + 4)
    expected = np.round(63 * np.minimum(relevance / np.quantile(relevance, 0.995), 1))
    starts = np.cumsum(documents.group) - documents.group
    differs = np.maximum.reduceat(expected, starts) > np.minimum.reduceat(expected, starts)
    np.testing.assert_array_equal(found.data.y, expected[np.repeat(differs, documents.group)])
    assert found.data.left_out == {"equal grades throughout": int((~differs).sum())}
    assert found.data.group.sum() == len(found.data.y)


def test_features_speak_where_clicks_do_not(make_pairs):
    """With a strong prior, unclicked documents are told apart; without, they are all alike."""
    pairs = make_pairs(1000)
    documents, _ = documents_of(pairs)
    told = {}
    for strength in (0.0, 100.0):
        data = lesson(pairs, prior_strength=strength).data
        assert len(data.y) == len(documents)
        told[strength] = np.unique(data.y[documents.clicks == 0])
    assert told[0.0].tolist() == [0]
    assert len(told[100.0]) > 5


def test_it_orders_unseen_documents_by_relevance(make_pairs):
    ranker = fast(n_estimators=60).fit(make_pairs(3000))
    judged = make_pairs(200, judged=True, random_state=5, shuffled=True)
    found = np.nanmean(ndcg(judged.y, ranker.predict(judged), judged.group))
    noise = np.nanmean(ndcg(judged.y, np.zeros(len(judged)), judged.group))
    assert found > noise + 0.8 * (1 - noise)


def test_it_removes_the_bias_that_clicks_teach(make_pairs):
    """Production puts documents at positions by a feature that has nothing to do with relevance."""
    log = make_pairs(3000, shuffled=True)
    place = log.position.astype(np.float32)[:, None] + np.float32(0.01)
    misleading = replace(
        log,
        X=np.ascontiguousarray(np.hstack([log.X, place])),
        feature_names=(*log.feature_names, "prominence"),
    )
    share = {}
    for debias in ("none", "click_model"):
        found = Ranker(debias, **FAST).fit(misleading).feature_importances()
        share[debias] = found["prominence"] / sum(found.values())
    assert share["click_model"] < 0.5 * share["none"]


def test_the_choice_says_which_model_and_why(ranker):
    choice = ranker.choice_
    assert choice.members == {"click_model": 1.0}
    assert choice.examination_source == "given"
    assert choice.identified
    assert set(choice.evidence) == {"pbm", "ubm", "dbn"}
    assert f"{choice.click_model} foretells held-out clicks best" in choice.reasons
    assert ranker.members_ == ()
    assert ranker.pair_bias_ is None


def test_it_never_falls_back(make_pairs):
    """Whoever names a mode wants its scores, whatever they are worth."""
    pairs = make_pairs(2)
    clueless = fast(min_data_in_leaf=3).fit(replace(pairs, document_score=-pairs.position * 1.0))
    assert not clueless.choice_.fall_back
    np.testing.assert_array_equal(clueless.predict(pairs), clueless.predict(pairs.X))


def test_an_execution_of_weight_two_counts_like_two(make_pairs):
    pairs = make_pairs(200)
    weight = np.where(pairs.execution_index % 2 == 0, 2, 1).astype(np.float32)
    twice = pairs.take(np.sort(np.append(np.arange(200), np.arange(0, 200, 2))))
    few = {"prior_strength": 4.0, "prior_exposure": 0.0}
    one, two = lesson(replace(pairs, weight=weight), **few), lesson(twice, **few)
    assert one.choice.click_model == two.choice.click_model
    np.testing.assert_allclose(one.data.y, two.data.y, atol=1)
    assert one.choice.reliability == pytest.approx(two.choice.reliability, rel=1e-6)
    assert one.choice.effective_exposures == pytest.approx(two.choice.effective_exposures)


def test_a_loaded_ranker_is_the_one_that_was_saved(ranker, pairs, tmp_path):
    ranker.save(tmp_path / "model")
    loaded = Ranker.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(pairs), ranker.predict(pairs))
    assert loaded.choice_ == ranker.choice_
    assert loaded.debias == "click_model"
    loaded.save(tmp_path / "again")
    again = (tmp_path / "again" / "manifest.json").read_bytes()
    assert again == (tmp_path / "model" / "manifest.json").read_bytes()


def test_fits_repeat_bit_for_bit(ranker, pairs):
    again = fast(examination=CURVE).fit(pairs)
    assert again.booster_.model_to_string() == ranker.booster_.model_to_string()


def test_pairs_that_teach_nothing_are_refused_with_the_reason(make_pairs):
    with pytest.raises(InvalidInputError, match="'click_model': needs the position of every"):
        fast().fit(make_pairs(judged=True))
    pairs = make_pairs()
    with pytest.raises(InvalidInputError, match="no row has a positive grade"):
        fast().fit(replace(pairs, y=0 * pairs.y, clicked=pairs.y > 9))
    with pytest.raises(NoExposuresError, match="every shown document was clicked"):
        fast().fit(replace(pairs, y=0 * pairs.y + 1, clicked=pairs.y > -1))
    with pytest.raises(InvalidInputError, match="'objective' cannot be given"):
        fast(params={"objective": "rank_xendcg"}).fit(pairs)
