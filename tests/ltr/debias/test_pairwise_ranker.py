"""`Ranker("pairwise")`: what it learns, reports, saves and refuses."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import Ranker, examination_weighted_dcg, ndcg

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 25, "min_data_in_leaf": 20}


def fast(debias="pairwise", **options):
    return Ranker(debias, **{**FAST, **options})


@pytest.fixture(scope="module")
def ranker(pairs):
    return fast().fit(pairs)


def leaves(ranker):
    found = ranker.booster_.trees_to_dataframe()
    return found["split_feature"].tolist(), found["threshold"].to_numpy(), found["value"].to_numpy()


def test_the_first_tree_is_lambdaranks_with_half_the_step(make_pairs):
    """Before the first update the ratios are 1, and the second derivative counts twice."""
    pairs = make_pairs(1000)
    ours = fast(n_estimators=1, num_leaves=5, params={"lambda_l2": 0}).fit(pairs)
    plain = fast("none", n_estimators=1, num_leaves=5).fit(pairs)
    (ours_split, ours_at, ours_value), (split, at, value) = leaves(ours), leaves(plain)
    assert ours_split == split
    np.testing.assert_array_equal(ours_at, at)
    np.testing.assert_allclose(2 * ours_value, value, rtol=1e-4, atol=1e-6)


def test_later_trees_differ_from_lambdaranks_only_by_what_was_learnt(make_pairs):
    """Orders are random and every position is examined: there is no bias."""
    generator = np.random.default_rng(0)
    shown = make_pairs(3000, shuffled=True)
    value = np.nan_to_num(shown.X[:, 0]) + 0.7 * np.nan_to_num(shown.X[:, 1])
    y = (generator.random(len(shown)) < 1 / (1 + np.exp(-2 * value + 1))).astype(np.float32)
    fair = replace(shown, y=y, clicked=y > 0)
    ranker = fast(n_estimators=60).fit(fair)
    np.testing.assert_allclose(ranker.pair_bias_["clicked"], 1, atol=0.15)
    np.testing.assert_allclose(ranker.pair_bias_["unclicked"], 1, atol=0.15)
    plain = fast("none", n_estimators=60).fit(fair)
    assert np.corrcoef(ranker.predict(fair), plain.predict(fair))[0, 1] > 0.99


def test_the_ratios_are_reported_by_position(ranker, pairs):
    bias = ranker.pair_bias_
    assert bias.columns == ["position", "clicked", "unclicked"]
    assert bias["position"].to_list() == list(range(10))
    assert bias.row(0) == (0, 1.0, 1.0)
    assert bias["clicked"][9] < 0.6
    assert fast("none").fit(pairs).pair_bias_ is None


def test_it_removes_much_of_the_position_bias_of_clicks(make_pairs):
    """A feature is the position at which production showed a document, not its relevance."""

    def with_prominence(pairs, position):
        X = np.hstack([pairs.X, position.astype(np.float32)[:, None]])
        names = (*pairs.feature_names, "prominence")
        return replace(pairs, X=np.ascontiguousarray(X), feature_names=names)

    log = make_pairs(3000, shuffled=True)
    judged = make_pairs(300, judged=True, random_state=5, shuffled=True)
    unseen = with_prominence(judged, np.random.default_rng(0).integers(0, 10, len(judged)))
    found = {}
    for debias in ("none", "pairwise"):
        scores = fast(debias).fit(with_prominence(log, log.position)).predict(unseen)
        found[debias] = 1 - np.nanmean(ndcg(judged.y, scores, judged.group))
    assert found["pairwise"] < 0.85 * found["none"]


def test_several_grades_are_learnt(make_pairs):
    log = make_pairs(1000)
    bought = log.clicked & (np.random.default_rng(0).random(len(log)) < 0.3)
    graded = replace(log, y=log.y + 3 * bought)
    ranker = fast().fit(graded)
    assert ranker.grades_ == [0, 1, 4]
    assert (ranker.predict(log) != fast().fit(log).predict(log)).any()


def test_rows_out_of_position_order_train_the_same_model(pairs, ranker):
    generator = np.random.default_rng(1)
    order = np.concatenate(
        [generator.permutation(np.arange(10)) + 10 * i for i in range(pairs.n_executions)]
    )
    names = ("X", "y", "clicked", "position", "document_code")
    mixed = replace(pairs, **{name: getattr(pairs, name)[order] for name in names})
    found = fast().fit(mixed)
    np.testing.assert_allclose(found.predict(pairs), ranker.predict(pairs), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_the_scores(make_pairs):
    pairs = make_pairs(3000)
    one, two = fast().fit(pairs), fast(n_jobs=2).fit(pairs)
    np.testing.assert_array_equal(one.predict(pairs), two.predict(pairs))
    assert one.pair_bias_.equals(two.pair_bias_)


def test_early_stopping_keeps_the_best_round_and_its_ratios(pairs, make_pairs):
    later = make_pairs(120, random_state=9)
    options = {"examination": CURVE, "learning_rate": 0.3, "n_estimators": 60}
    ranker = fast(early_stopping_rounds=8, **options).fit(pairs, later)
    values = ranker.validation_values_
    assert len(values) == ranker.best_iteration_ + 8 < 60
    assert ranker.best_iteration_ == int(np.argmax(values)) + 1 == ranker.booster_.num_trees()
    weighted, weight = examination_weighted_dcg(
        later.y, ranker.predict(later), later.group, CURVE[later.position]
    )
    assert weighted.sum() / weight.sum() == pytest.approx(max(values), abs=1e-4)
    same = fast(**{**options, "n_estimators": ranker.best_iteration_}).fit(pairs)
    assert same.pair_bias_.equals(ranker.pair_bias_)
    np.testing.assert_array_equal(same.predict(pairs), ranker.predict(pairs))


def test_loaded_ratios_are_those_that_were_saved(pairs, tmp_path):
    never_first = pairs.y.copy()
    never_first[pairs.position == 4] = 0
    gap = replace(pairs, y=never_first, clicked=never_first > 0)
    ranker = fast().fit(gap)
    assert ranker.pair_bias_["clicked"][4] is None
    ranker.save(tmp_path / "model")
    loaded = Ranker.load(tmp_path / "model")
    assert loaded.pair_bias_.equals(ranker.pair_bias_)
    assert loaded.pair_bias_.schema == ranker.pair_bias_.schema


def test_lightgbm_parameters_take_precedence(pairs, ranker):
    assert ranker.booster_.params["lambda_l2"] == 1.0
    changed = fast(params={"reg_lambda": 5.0, "n_iter": 3, "seed": 9}).fit(pairs)
    assert changed.booster_.params["lambda_l2"] == 5.0
    shallow = fast(truncation_level=1).fit(pairs)
    named = fast(params={"lambdarank_truncation_level": 1}).fit(pairs)
    np.testing.assert_array_equal(shallow.predict(pairs), named.predict(pairs))
    assert (shallow.predict(pairs) != ranker.predict(pairs)).any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"params": {"sigmoid": -1}}, "^params: 'sigmoid': expected a number above 0, got -1"),
        ({"params": {"label_gain": [0]}}, "^label_gain: grade 1 needs 2 gains, got 1"),
        ({"params": {"boosting": "rf"}}, "LightGBM refuses to train"),
        ({"clip": 0}, "clip: expected a number above 0"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(pairs, options, says):
    with pytest.raises(InvalidInputError, match=says):
        fast(**options).fit(pairs)


@pytest.mark.parametrize("params", [None, {"boosting": "dart"}, {"bagging_fraction": 0.5}], ids=str)
def test_a_fit_warns_of_nothing_and_prints_nothing(pairs, capfd, params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranker = fast(params=params, examination=CURVE).fit(pairs, pairs)
        assert ranker.rank([{"feature_id": "a"}])[0]["feature_id"] == "a"
    assert isinstance(ranker.pair_bias_, pl.DataFrame)
    assert capfd.readouterr() == ("", "")
