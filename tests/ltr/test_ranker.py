from __future__ import annotations

import logging
import sys
import warnings
from dataclasses import replace
from functools import cache

import lightgbm
import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

from rankloom.datasets import PositionBias
from rankloom.errors import InvalidInputError, NoExposuresError, NotIdentifiableError
from rankloom.ltr import Ranker, ndcg
from rankloom.ltr.boosting.dataset import neutral_names
from rankloom.ltr.debias.training_rows import session_data

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 25, "min_data_in_leaf": 20}
MODES = ("none", "position", "ips", "pairwise", "click_model", "auto")
every_mode = pytest.mark.parametrize("debias", MODES)

# Modes that train several models: their long tests are among the slow ones.
every_mode_long = pytest.mark.parametrize(
    "debias",
    [
        pytest.param(mode, marks=pytest.mark.slow) if mode in {"auto", "click_model"} else mode
        for mode in MODES
    ],
)


def fast(debias="none", **options):
    """A ranker that is given the curve: estimating it takes longer than all the rest."""
    return Ranker(debias, **{**FAST, "examination": CURVE, **options})


@pytest.fixture(scope="module")
def ranker(pairs):
    return fast().fit(pairs)


@pytest.fixture(scope="module")
def fitted(pairs):
    """A function that returns the ranker of a mode, fitted once on the pairs."""
    return cache(lambda debias: fast(debias).fit(pairs))


def train_with_lightgbm(pairs, **fields):
    """LightGBM itself on the arrays, with the parameters of `FAST`."""
    params = {
        "objective": "lambdarank",
        "num_leaves": 15,
        "learning_rate": 0.05,
        "min_data_in_leaf": 20,
        "lambdarank_truncation_level": 10,
        "num_threads": 1,
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    dataset = lightgbm.Dataset(
        pairs.X,
        pairs.y,
        group=pairs.group,
        feature_name=neutral_names(pairs.feature_names),
        **fields,
    )
    return lightgbm.train(params, dataset, 25)


def trained_rows(pairs):
    return pairs.take(np.add.reduceat(pairs.y, pairs.offsets[:-1]) > 0)


# Ways to correct position bias


def test_position_is_lightgbms_own_bit_for_bit(pairs):
    ranker = fast("position").fit(pairs)
    arrays = trained_rows(pairs)
    booster = train_with_lightgbm(arrays, position=arrays.position)
    assert ranker.booster_.model_to_string() == booster.model_to_string()
    expected = booster.predict(pairs.X, num_threads=1).astype(np.float32)
    np.testing.assert_array_equal(ranker.predict(pairs), expected)
    assert (expected != fast("none").fit(pairs).predict(pairs)).any()


def test_none_is_lightgbms_lambdarank_bit_for_bit(ranker, pairs):
    booster = train_with_lightgbm(trained_rows(pairs))
    assert ranker.booster_.model_to_string() == booster.model_to_string()


def test_recency_weights_go_to_lightgbm_with_mean_one(pairs):
    weight = np.where(pairs.execution_index < 100, 0.25, 1).astype(np.float32)
    weighted = replace(pairs, weight=weight)
    arrays = trained_rows(replace(pairs, weight=weight / np.float32(0.75)))
    booster = train_with_lightgbm(arrays, weight=arrays.weight)
    assert fast().fit(weighted).booster_.model_to_string() == booster.model_to_string()


@every_mode_long
def test_only_the_ratios_of_recency_weights_count(pairs, debias):
    weight = np.where(pairs.execution_index < 100, 0.25, 1).astype(np.float32)
    one = fast(debias).fit(replace(pairs, weight=weight))
    for factor in (2.0**-60, 2.0**20):
        other = fast(debias).fit(replace(pairs, weight=weight * np.float32(factor)))
        np.testing.assert_array_equal(other.predict(pairs.X), one.predict(pairs.X))
    assert np.ptp(one.predict(pairs.X)) > 0


def test_arrays_reach_lightgbm_without_a_copy_where_nothing_is_left_out(pairs):
    whole = trained_rows(pairs)
    data = session_data(whole, position=True)
    assert data.X is whole.X
    assert data.y is whole.y
    assert data.position is whole.position
    assert data.left_out == {}


@pytest.mark.parametrize("debias", ["none", "pairwise"])
def test_executions_without_a_pair_are_left_out_and_counted(make_pairs, debias):
    pairs = make_pairs(100)
    y = pairs.y.copy().reshape(100, 10)
    y[:, 0], y[:, 1] = 1, 0
    y[:7], y[7:10] = 0, 1
    y[10:12] = 1
    y[11, 3] = 2
    changed = replace(pairs, y=y.ravel(), clicked=y.ravel() > 0)
    ranker = fast(debias).fit(changed)
    assert ranker.executions_left_out_ == {"no positive grade": 7, "equal grades throughout": 4}
    assert ranker.training_report_["lists_trained"] == 89
    rest = changed.take(np.r_[11:100])
    again = fast(debias).fit(rest)
    assert again.executions_left_out_ == {}
    np.testing.assert_array_equal(again.predict(pairs), ranker.predict(pairs))


@pytest.mark.parametrize("debias", ["ips", "click_model"])
def test_the_position_bias_of_clicks_is_removed(make_pairs, debias):
    """A feature that decides the position, but not the relevance, counts less."""
    log = make_pairs(3000, shuffled=True)
    shown_late = log.position.astype(np.float32)[:, None] + np.float32(0.01)
    misleading = replace(
        log,
        X=np.ascontiguousarray(np.hstack([log.X, shown_late])),
        feature_names=(*log.feature_names, "prominence"),
    )
    share = {}
    for mode in ("none", debias):
        examination = CURVE if mode == "ips" else None
        importances = fast(mode, examination=examination).fit(misleading).feature_importances()
        share[mode] = importances["prominence"] / sum(importances.values())
    assert share[debias] < 0.5 * share["none"]


@pytest.mark.parametrize(
    ("debias", "share"), [("position", 0.7), ("ips", 0.7), ("pairwise", 0.7), ("click_model", 0.8)]
)
def test_debiased_rankers_order_unseen_documents_by_relevance(make_pairs, debias, share):
    examination = CURVE if debias == "ips" else None
    ranker = fast(debias, n_estimators=60, examination=examination).fit(make_pairs(3000))
    judged = make_pairs(200, judged=True, random_state=5, shuffled=True)
    found = np.nanmean(ndcg(judged.y, ranker.predict(judged), judged.group))
    noise = np.nanmean(ndcg(judged.y, np.zeros(len(judged)), judged.group))
    assert found > noise + share * (1 - noise)


def test_ips_finds_its_examination_in_the_order_given_pairs_log(make_pairs):
    pairs = make_pairs(2000, queries=10, shuffled=True)
    own = replace(pairs, examination=CURVE[pairs.position].astype(np.float32))
    from_log = fast("ips", examination=None).fit(pairs)
    from_pairs = fast("ips", examination=None).fit(own)
    given = fast("ips", examination=PositionBias.from_curve(CURVE)).fit(pairs)
    assert from_log.examination_source_ == "estimated"
    np.testing.assert_allclose(from_log.examination_, CURVE, rtol=0.3)
    assert from_pairs.examination_source_ == "pairs"
    assert given.examination_source_ == "given"
    np.testing.assert_array_equal(from_pairs.predict(pairs), given.predict(pairs))
    np.testing.assert_array_equal(given.predict(pairs), fast("ips").fit(pairs).predict(pairs))


def test_ips_refuses_where_positions_never_varied(make_pairs):
    pairs = make_pairs(100)
    first = np.unique(pairs.query_code, return_index=True)[1]
    with pytest.raises(NotIdentifiableError):
        fast("ips", examination=None).fit(pairs.take(np.repeat(first, 20)))


@pytest.mark.parametrize("debias", ["position", "ips", "pairwise", "click_model"])
def test_judged_lists_have_no_position_to_debias_by(make_pairs, debias):
    with pytest.raises(InvalidInputError, match="needs the position of every document"):
        fast(debias).fit(make_pairs(judged=True))


def test_judged_lists_train_without_debiasing_on_all_grades(make_pairs):
    judged = make_pairs(judged=True)
    ranker = fast().fit(judged)
    assert ranker.executions_left_out_ == {}
    found = np.nanmean(ndcg(judged.y, ranker.predict(judged), judged.group))
    assert found > 0.9


@every_mode
def test_the_same_seed_gives_the_same_model_and_the_pairs_stay_as_they_are(
    fitted, make_pairs, debias
):
    pairs, untouched = make_pairs(), make_pairs()
    again = fast(debias).fit(pairs)
    assert again.booster_.model_to_string() == fitted(debias).booster_.model_to_string()
    for name, value in vars(untouched).items():
        found = getattr(pairs, name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found, value)
        elif not isinstance(value, pl.Series):
            assert found == value


@pytest.mark.slow
@every_mode
def test_the_number_of_threads_does_not_change_the_scores(fitted, pairs, debias):
    one, two = fitted(debias), fast(debias, n_jobs=2).fit(pairs)
    np.testing.assert_array_equal(one.predict(pairs), two.predict(pairs))


# Prediction


def test_one_row_and_a_batch_agree_exactly(ranker, pairs):
    batch = ranker.predict(pairs)
    single = [ranker.predict(pairs.X[i : i + 1])[0] for i in range(100)]
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch[:100], single)


def test_pairs_arrays_and_tables_get_the_same_scores(ranker, pairs):
    columns = {n: pairs.X[:, i] for i, n in enumerate(pairs.feature_names)}
    turned = pl.DataFrame({"other": pairs.y, **dict(reversed(columns.items()))})
    expected = ranker.predict(pairs)
    for data in (
        pairs.X,
        pairs.X.astype(np.float64),
        turned,
        turned.to_pandas(),
        turned.to_arrow(),
    ):
        np.testing.assert_array_equal(ranker.predict(data), expected)


def test_no_rows_give_no_scores(ranker):
    assert ranker.predict(np.empty((0, 5))).shape == (0,)
    assert ranker.contributions(np.empty((0, 5))).shape == (0, 6)
    assert ranker.rank([]) == []


def test_rank_orders_documents_by_predict(ranker, pairs):
    documents = [
        {
            "feature_id": str(i),
            "features": dict(zip(pairs.feature_names, map(float, x), strict=True)),
        }
        for i, x in enumerate(pairs.X[:50])
    ]
    found = ranker.rank(documents)
    scores = ranker.predict(pairs.X[:50])
    assert [int(d["feature_id"]) for d in found] == np.argsort(-scores, kind="stable").tolist()
    assert [d["score"] for d in found] == sorted(map(float, scores), reverse=True)
    table = pl.DataFrame([{"feature_id": d["feature_id"], **d["features"]} for d in documents])
    assert ranker.rank(table)["feature_id"].to_list() == [d["feature_id"] for d in found]
    with pytest.raises(InvalidInputError, match="documents: expected a list of dicts or a table"):
        ranker.rank("documents")


def test_categorical_features_are_learnt_and_mapped_by_name(make_pairs):
    base = make_pairs(1000)
    generator = np.random.default_rng(0)
    names = ("red", "green", "blue", "grey")
    codes = generator.integers(0, 4, len(base))
    y = (generator.random(len(base)) < np.array([0.1, 0.8, 0.05, 0.5])[codes]).astype(np.float32)
    X = np.ascontiguousarray(np.column_stack([codes, base.X[:, 0]]), dtype=np.float32)
    coloured = replace(
        base,
        X=X,
        y=y,
        clicked=y > 0,
        feature_names=("feature_uri", "size"),
        categories={"feature_uri": names},
    )
    ranker = fast().fit(coloured)
    sizes = np.zeros(4)
    scores = ranker.predict(pl.DataFrame({"feature_uri": names, "size": sizes}))
    assert np.argsort(-scores).tolist() == [1, 3, 0, 2]
    order = [2, 0, 3, 1]
    turned = replace(
        coloured,
        X=np.column_stack([np.argsort(order)[codes], X[:, 1]]).astype(np.float32),
        categories={"feature_uri": tuple(names[i] for i in order)},
    )
    np.testing.assert_array_equal(ranker.predict(turned), ranker.predict(coloured))
    documents = [{"feature_uri": name, "size": 0} for name in (*names, "pink")]
    assert ranker.rank(documents)[0]["feature_uri"] == "green"


# Looking inside


def test_contributions_are_exact_and_carry_the_real_names(ranker, pairs):
    found = ranker.contributions(pairs)
    assert found.columns == [*pairs.feature_names, "(expected score)"]
    assert found.shape == (len(pairs), 6)
    np.testing.assert_allclose(
        found.to_numpy().sum(axis=1), ranker.predict(pairs), rtol=1e-5, atol=1e-6
    )
    assert found["(expected score)"].n_unique() == 1


def test_contributions_of_a_stump_are_its_shapley_values(make_pairs):
    """One feature, one split: its contribution is the leaf's value less the mean over the data."""
    judged = make_pairs(judged=True, features=2)
    ranker = fast(n_estimators=1, num_leaves=2).fit(judged)
    found = ranker.contributions(judged)
    scores = ranker.predict(judged).astype(np.float64)
    used = next(iter(ranker.feature_importances()))
    np.testing.assert_allclose(found[used], scores - scores.mean(), atol=1e-6)


def test_importances_carry_the_real_names_highest_first(ranker, pairs):
    for kind in ("gain", "split"):
        found = ranker.feature_importances(kind)
        assert set(found) == set(pairs.feature_names)
        assert list(found.values()) == sorted(found.values(), reverse=True)
    total = sum(ranker.feature_importances("split").values())
    assert total == sum(t["num_leaves"] - 1 for t in ranker.booster_.dump_model()["tree_info"])
    with pytest.raises(InvalidInputError, match="kind: expected"):
        ranker.feature_importances("weight")


def test_the_booster_sees_neutral_names_with_a_digest_of_the_real_ones(ranker, pairs):
    assert ranker.booster_.feature_name() == neutral_names(pairs.feature_names)
    assert len(set(neutral_names(["a", "b"])) & set(neutral_names(["b", "a"]))) == 0


def test_evaluate_scores_the_pairs_and_compares_with_production(ranker, pairs):
    report = ranker.evaluate(pairs, metrics=["ndcg@10"])
    expected = np.nanmean(ndcg(pairs.y, ranker.predict(pairs), pairs.group))
    assert report.metrics["nDCG@10"].ranker == pytest.approx(expected)
    assert report.baseline == "the production order"


# Manners


def test_it_has_scikit_learns_manners(pairs):
    ranker = Ranker("ips", examination=PositionBias.from_curve(CURVE), params={"eta": 0.1}, **FAST)
    twin = clone(ranker)
    assert twin.get_params().keys() == ranker.get_params().keys()
    np.testing.assert_array_equal(twin.fit(pairs).predict(pairs), ranker.fit(pairs).predict(pairs))
    assert not hasattr(clone(ranker), "booster_")
    assert ranker.set_params(debias="none").get_params()["debias"] == "none"
    assert "debias='ips'" in repr(Ranker("ips"))


def test_fit_adds_only_attributes_that_end_in_an_underscore(pairs):
    """And the parameters stay as they were given."""
    ranker = fast("ips", params={"eta": 0.1})
    before = ranker.get_params()
    learnt = set(vars(ranker.fit(pairs))) - set(before)
    assert all(name.endswith("_") for name in learnt)
    assert ranker.get_params() == before


def test_lightgbm_parameters_take_precedence(pairs):
    ranker = fast(params={"n_iter": 3, "num_leaf": 4, "reg_lambda": 5.0, "seed": 9}).fit(pairs)
    assert ranker.best_iteration_ == 3
    assert max(t["num_leaves"] for t in ranker.booster_.dump_model()["tree_info"]) == 4
    assert ranker.booster_.params["lambda_l2"] == 5.0
    assert ranker.seed_ == 9


@every_mode_long
@pytest.mark.parametrize(
    "params",
    [
        {"metric": "ndcg", "eval_at": "5,10"},
        {"metrics": ["map", "auc", "l2"], "verbose": -1},
        {"label_gain": "0,1,3"},
        {"lambdarank_truncation_level": "5", "sigmoid": "0.5", "num_trees": "20"},
    ],
    ids=str,
)
def test_parameters_as_lightgbm_takes_them_are_taken_by_every_mode(pairs, debias, params, capfd):
    ranker = fast(debias, params=params).fit(pairs)
    assert np.ptp(ranker.predict(pairs.X)) > 0
    validated = fast(debias, params=params, early_stopping_rounds=20).fit(pairs, pairs)
    assert len(validated.validation_values_) >= 20
    noted = [note for note in validated.notes_ if "is not computed" in note]
    assert bool(noted) == (debias == "auto" and "metric" in " ".join(params))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"debias": "positon"}, "debias: got 'positon'.*Did you mean 'position'"),
        ({"n_estimators": 0}, "n_estimators: expected a whole number at least 1, got 0"),
        ({"n_estimators": 1.5}, "n_estimators: expected a whole number"),
        ({"learning_rate": 0}, "learning_rate: expected a number above 0"),
        ({"learning_rate": "fast"}, "learning_rate: expected a number"),
        ({"clip": 0}, "clip: expected a number above 0 and at most 1"),
        ({"prior_exposure": -1}, "prior_exposure: expected a number at least 0"),
        ({"num_leaves": 1}, "num_leaves"),
        ({"progress": "loud"}, "progress: expected True, False or 'auto'"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"random_state": "x"}, "random_state"),
        ({"params": {"no_such": 1}}, "LightGBM has no parameter 'no_such'"),
        *(
            (
                {"debias": mode, "params": {"objective": "rank_xendcg"}},
                "'objective' cannot be given",
            )
            for mode in ("auto", "pairwise", "click_model")
        ),
        ({"params": {"objective": "nonsense"}}, "LightGBM refuses to train: Unknown objective"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(pairs, options, says):
    with pytest.raises(InvalidInputError, match=says):
        Ranker(**{"debias": "none", **FAST, **options}).fit(pairs)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"truncation_level": True}, "truncation_level"),
    ],
)
def test_values_that_only_look_like_numbers_are_refused(pairs, options, says):
    with pytest.raises(InvalidInputError, match=says):
        fast(**options).fit(pairs)


USES = {
    "predict": lambda ranker, pairs: ranker.predict(pairs),
    "rank": lambda ranker, _: ranker.rank([]),
    "evaluate": lambda ranker, pairs: ranker.evaluate(pairs),
    "contributions": lambda ranker, pairs: ranker.contributions(pairs),
    "importances": lambda ranker, _: ranker.feature_importances(),
    "save": lambda ranker, _: ranker.save("/never/made"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_ranker_that_was_not_fitted_says_so(pairs, use):
    with pytest.raises(InvalidInputError, match=r"not fitted yet; call fit\(pairs\)"):
        use(Ranker(), pairs)


BAD_PAIRS = {
    "no rows": (lambda p: p.take(np.array([], dtype=int)), InvalidInputError, "0 rows in 0"),
    "one execution": (lambda p: p.take([0]), InvalidInputError, "at least two executions"),
    "no clicks": (
        lambda p: replace(p, y=0 * p.y, clicked=p.y > 9),
        InvalidInputError,
        "no row has a positive grade",
    ),
    "clicks only": (
        lambda p: replace(p, y=0 * p.y + 1, clicked=p.y > -1),
        NoExposuresError,
        "every shown document was clicked",
    ),
    "equal grades within executions": (
        lambda p: replace(
            p, y=(p.execution_index % 2).astype(np.float32), clicked=p.execution_index % 2 > 0
        ),
        InvalidInputError,
        "no execution holds two documents of different grades",
    ),
    "all features equal": (
        lambda p: replace(p, X=np.full_like(p.X, np.nan)),
        InvalidInputError,
        "every row has the same feature values",
    ),
    "infinite feature": (
        lambda p: replace(p, X=np.where(p.X[3, 1] == p.X, np.float32(np.inf), p.X)),
        InvalidInputError,
        "infinite value in row 3",
    ),
    "no feature": (
        lambda p: replace(p, X=p.X[:, :0], feature_names=()),
        InvalidInputError,
        "there is no feature",
    ),
    "repeated feature": (
        lambda p: replace(p, feature_names=("a", "b", "a", "c", "d")),
        InvalidInputError,
        "'a' occurs more than once",
    ),
    "grade too high": (
        lambda p: replace(p, y=31 * p.y),
        InvalidInputError,
        "whole numbers from 0 to 30",
    ),
    "fractional grade": (
        lambda p: replace(p, y=p.y / 2),
        InvalidInputError,
        "whole numbers from 0 to 30",
    ),
    "NaN grade": (lambda p: replace(p, y=p.y + np.nan), InvalidInputError, "whole numbers from 0"),
    "sizes that do not add up": (
        lambda p: replace(p, group=p.group[:-1]),
        InvalidInputError,
        "sum to 3000 rows",
    ),
    "no pairs": (lambda p: p.X, InvalidInputError, "X: .* expected TrainingPairs"),
}


@pytest.mark.parametrize(
    ("debias", "bad"),
    [
        (debias, bad)
        for debias in MODES
        for bad in BAD_PAIRS
        # Documents of a query may differ where those of an execution do not.
        if debias in ("none", "position", "pairwise") or bad != "equal grades within executions"
    ],
)
def test_pairs_without_anything_to_learn_are_refused_with_the_reason(pairs, debias, bad):
    change, error, says = BAD_PAIRS[bad]
    with pytest.raises(error, match=says):
        fast(debias).fit(change(pairs))


def test_grades_up_to_thirty_are_learnt(make_pairs):
    judged = make_pairs(judged=True)
    ranker = fast().fit(replace(judged, y=10 * judged.y))
    assert ranker.grades_ == [0, 10, 20, 30]


@every_mode
def test_a_fit_warns_of_nothing_and_prints_nothing(pairs, capfd, debias):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranker = fast(debias).fit(pairs, pairs)
        ranker.rank([{"feature_id": "a"}])
        ranker.contributions(ranker.predict(pairs)[:, None].repeat(5, axis=1))
    assert capfd.readouterr() == ("", "")


def test_a_model_that_could_not_split_is_noticed(make_pairs, caplog):
    with caplog.at_level(logging.WARNING, logger="rankloom"):
        ranker = fast(min_data_in_leaf=50).fit(make_pairs(4))
    assert "min_data_in_leaf=50" in ranker.notes_[0]
    assert "no tree found a split" in caplog.text


def test_progress_is_shown_on_a_terminal_only(pairs, monkeypatch, capfd):
    fast(progress="auto").fit(pairs)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    fast(progress=False).fit(pairs)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr("rankloom._shared.progress.DELAY", 0.0)
    fast(progress="auto").fit(pairs)
    assert "Growing trees" in capfd.readouterr().err


@every_mode
def test_a_query_of_more_than_ten_thousand_documents_is_learnt(make_pairs, debias):
    """LightGBM refuses such lists; the executions themselves are short."""
    shown = make_pairs(1100)
    rows = len(shown)
    pairs = replace(
        shown,
        query_code=0 * shown.query_code,
        document_code=np.arange(rows, dtype=np.int32),
        documents=pl.Series([f"document-{i}" for i in range(rows)]),
    )
    ranker = fast(debias, n_estimators=5).fit(pairs)
    assert np.ptp(ranker.predict(pairs.X)) > 0
    noted = any("more than 10,000 documents" in note for note in ranker.notes_)
    assert noted == (debias in ("ips", "click_model", "auto"))


@pytest.mark.parametrize("debias", ["none", "auto"])
def test_a_judged_list_of_more_than_ten_thousand_documents_is_learnt(make_pairs, debias):
    judged = make_pairs(1100, judged=True)
    lists = {name: getattr(judged, name)[:2] for name in ("time", "execution_id", "query_code")}
    long = replace(judged, group=np.array([10_500, 500], np.int32), **lists)
    params = {"metric": "ndcg"}
    ranker = fast(debias, params=params, early_stopping_rounds=25).fit(long, long)
    assert any("documents were trained on in parts" in note for note in ranker.notes_)
    assert any("'ndcg' is not computed" in note for note in ranker.notes_)
    assert np.nanmean(ndcg(long.y, ranker.predict(long), long.group)) > 0.9
