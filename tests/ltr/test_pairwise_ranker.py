"""`Ranker("pairwise")`: what it learns, reports, saves and refuses."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.errors import InvalidInputError, NoExposuresError
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
    """Orders are random and every position is examined: there is nothing to take out."""
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


def test_it_takes_out_much_of_the_bias_that_clicks_teach(make_pairs):
    """A feature says where production showed a document, and nothing about relevance."""

    def with_prominence(pairs, place):
        X = np.hstack([pairs.X, place.astype(np.float32)[:, None]])
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


def test_it_orders_unseen_documents_by_relevance(make_pairs):
    ranker = fast(n_estimators=60).fit(make_pairs(3000))
    judged = make_pairs(200, judged=True, random_state=5, shuffled=True)
    found = np.nanmean(ndcg(judged.y, ranker.predict(judged), judged.group))
    noise = np.nanmean(ndcg(judged.y, np.zeros(len(judged)), judged.group))
    assert found > noise + 0.7 * (1 - noise)


def test_several_grades_are_learnt(make_pairs):
    log = make_pairs(1000)
    bought = log.clicked & (np.random.default_rng(0).random(len(log)) < 0.3)
    graded = replace(log, y=log.y + 3 * bought)
    ranker = fast().fit(graded)
    assert ranker.grades_ == [0, 1, 4]
    assert (ranker.predict(log) != fast().fit(log).predict(log)).any()


def test_executions_without_a_pair_are_left_out_and_counted(make_pairs):
    pairs = make_pairs(100)
    y = pairs.y.copy().reshape(100, 10)
    y[:, 0], y[:, 1] = 1, 0
    y[:7], y[7:10] = 0, 1
    changed = replace(pairs, y=y.ravel(), clicked=y.ravel() > 0)
    ranker = fast().fit(changed)
    assert ranker.executions_left_out_ == {"no positive grade": 7, "equal grades throughout": 3}
    rest = fast().fit(changed.take(np.r_[10:100]))
    np.testing.assert_array_equal(rest.predict(pairs), ranker.predict(pairs))


def test_recency_weights_count_and_their_scale_does_not(pairs, ranker):
    quarter = replace(pairs, weight=np.full(len(pairs), 0.25, np.float32))
    assert fast().fit(quarter).booster_.model_to_string() == ranker.booster_.model_to_string()
    recent = np.where(pairs.execution_index < 200, 0.125, 1).astype(np.float32)
    assert (fast().fit(replace(pairs, weight=recent)).predict(pairs) != ranker.predict(pairs)).any()


def test_rows_out_of_position_order_train_the_same_model(pairs, ranker):
    generator = np.random.default_rng(1)
    order = np.concatenate(
        [generator.permutation(np.arange(10)) + 10 * i for i in range(pairs.n_executions)]
    )
    names = ("X", "y", "clicked", "position", "document_code")
    mixed = replace(pairs, **{name: getattr(pairs, name)[order] for name in names})
    found = fast().fit(mixed)
    np.testing.assert_allclose(found.predict(pairs), ranker.predict(pairs), rtol=1e-4, atol=1e-5)


def test_fits_repeat_bit_for_bit_and_leave_the_pairs_alone(make_pairs, ranker):
    fresh, untouched = make_pairs(), make_pairs()
    assert fast().fit(fresh).booster_.model_to_string() == ranker.booster_.model_to_string()
    for name in ("X", "y", "position", "weight", "group"):
        np.testing.assert_array_equal(getattr(fresh, name), getattr(untouched, name))


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


def test_a_loaded_ranker_is_the_one_that_was_saved(pairs, tmp_path):
    never_first = pairs.y.copy()
    never_first[pairs.position == 4] = 0
    gap = replace(pairs, y=never_first, clicked=never_first > 0)
    ranker = fast().fit(gap)
    assert ranker.pair_bias_["clicked"][4] is None
    ranker.save(tmp_path / "model")
    loaded = Ranker.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(pairs), ranker.predict(pairs))
    np.testing.assert_allclose(
        loaded.booster_.predict(pairs.X, raw_score=True, num_threads=1),
        ranker.predict(pairs),
        rtol=1e-6,
    )
    assert loaded.contributions(pairs).equals(ranker.contributions(pairs))
    assert loaded.pair_bias_.equals(ranker.pair_bias_)
    assert loaded.pair_bias_.schema == ranker.pair_bias_.schema
    assert loaded.debias == "pairwise"
    saved = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert saved["debias"]["pair_bias"]["position"] == list(range(10))
    loaded.save(tmp_path / "again")
    again = (tmp_path / "again" / "manifest.json").read_bytes()
    assert again == (tmp_path / "model" / "manifest.json").read_bytes()


def test_lightgbm_parameters_win(pairs, ranker):
    assert ranker.booster_.params["lambda_l2"] == 1.0
    changed = fast(params={"reg_lambda": 5.0, "n_iter": 3, "seed": 9}).fit(pairs)
    assert changed.booster_.params["lambda_l2"] == 5.0
    assert changed.best_iteration_ == 3
    assert changed.seed_ == 9
    shallow = fast(truncation_level=1).fit(pairs)
    named = fast(params={"lambdarank_truncation_level": 1}).fit(pairs)
    np.testing.assert_array_equal(shallow.predict(pairs), named.predict(pairs))
    assert (shallow.predict(pairs) != ranker.predict(pairs)).any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"params": {"objective": "rank_xendcg"}}, "'objective' cannot be given"),
        ({"params": {"sigmoid": -1}}, "^params: 'sigmoid': expected a number above 0, got -1"),
        ({"params": {"label_gain": [0]}}, "^label_gain: grade 1 needs 2 gains, got 1"),
        ({"params": {"boosting": "rf"}}, "LightGBM refuses to train"),
        ({"clip": 0}, "clip: expected a number above 0"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(pairs, options, says):
    with pytest.raises(InvalidInputError, match=says):
        fast(**options).fit(pairs)


def test_pairs_that_teach_nothing_are_refused_with_the_reason(make_pairs):
    judged = make_pairs(judged=True)
    with pytest.raises(InvalidInputError, match="debias='pairwise': needs the position of every"):
        fast().fit(judged)
    pairs = make_pairs()
    with pytest.raises(InvalidInputError, match="no row has a positive grade"):
        fast().fit(replace(pairs, y=0 * pairs.y, clicked=pairs.y > 9))
    with pytest.raises(NoExposuresError, match="every shown document was clicked"):
        fast().fit(replace(pairs, y=0 * pairs.y + 1, clicked=pairs.y > -1))
    alike = (pairs.execution_index % 2).astype(np.float32)
    with pytest.raises(InvalidInputError, match="no execution holds two documents of different"):
        fast().fit(replace(pairs, y=alike, clicked=alike > 0))


@pytest.mark.parametrize("params", [None, {"boosting": "dart"}, {"bagging_fraction": 0.5}], ids=str)
def test_a_fit_warns_nobody_and_prints_nothing(pairs, capfd, params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranker = fast(params=params).fit(pairs, pairs)
        assert ranker.rank([{"feature_id": "a"}])[0]["feature_id"] == "a"
    assert isinstance(ranker.pair_bias_, pl.DataFrame)
    assert capfd.readouterr() == ("", "")
