"""`Ranker()`, which chooses the debiasing by the evidence in the log, and says what it chose."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import (
    PositionBias,
    load_letor,
    load_pairs,
    simulate_catalogue,
    simulate_interactions,
    split_by_time,
)
from rankloom.errors import InvalidInputError, NoExposuresError
from rankloom.ltr import Ranker, examination_weighted_dcg, ndcg
from rankloom.ltr.debias.blend import blended

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 25, "min_data_in_leaf": 20, "learning_rate": 0.1}
NOT_SHOWN_BETTER = "the log does not show that the learnt order beats production's"
NO_BETTER = "with the documents clicks are not predicted better"


def fast(**options):
    return Ranker(**{**FAST, **options})


@pytest.fixture(scope="module")
def catalogue():
    return simulate_catalogue(n_queries=60, random_state=0)


@pytest.fixture(scope="module")
def simulate(catalogue):
    """Return pairs of a simulated log: earlier ones for training, later ones for evaluation."""

    def simulate(click_model="pbm", n_executions=2000, **options):
        log = simulate_interactions(
            catalogue,
            n_executions=n_executions,
            click_model=click_model,
            interactions="clicks",
            random_state=0,
            **options,
        )
        pairs = load_pairs(
            log,
            features=catalogue.drop("query", "grade"),
            builtin_features=(),
            context=["device"],
        )
        return split_by_time(pairs, test_fraction=0.2)

    return simulate


@pytest.fixture(scope="module")
def log(simulate):
    return simulate()


@pytest.fixture(scope="module")
def ranker(log):
    return fast().fit(log[0])


@pytest.fixture(scope="module")
def by_curve(log):
    """A ranker of the same log that is given the curve."""
    return fast(examination=CURVE).fit(log[0])


@pytest.fixture(scope="module")
def fallen(simulate):
    """A ranker that falls back, as its clicks are random, and later pairs."""
    earlier, later = simulate("random", 600)
    return fast().fit(earlier), later


def true_ndcg(catalogue, pairs, scores):
    grades = catalogue.select("feature_id", pl.col("grade").cast(pl.Float64))
    documents = pairs.document_id.alias("feature_id").to_frame()
    found = documents.join(grades, on="feature_id", how="left", maintain_order="left")
    return np.nanmean(ndcg(found["grade"].to_numpy(), scores, pairs.group))


# What it chooses


def test_it_is_the_default():
    assert Ranker().debias == "auto"


@pytest.mark.slow
def test_a_log_with_much_evidence_is_learnt_from(catalogue, log, ranker):
    choice = ranker.choice_
    assert not choice.fall_back
    assert choice.identified
    assert choice.examination_source == ranker.examination_source_ == "estimated"
    np.testing.assert_allclose(ranker.examination_, CURVE, atol=0.1)
    assert set(choice.evidence) == {"pbm", "ubm", "dbn"}
    best = max(choice.evidence, key=lambda name: choice.evidence[name].log_likelihood)
    assert choice.click_model == best != "dbn"
    assert set(choice.members) == {"click_model", "pairwise", "joint"}
    assert sum(choice.members.values()) == pytest.approx(1)
    assert 0 < choice.reliability < 1
    assert 0 < choice.effective_exposures <= len(np.unique(log[0].query_document))
    assert 0 < choice.bound.lower < choice.bound.gain
    assert str(choice).splitlines()[-len(choice.reasons) :] == choice.reasons
    assert ranker.notes_ == []
    later = log[1]
    production = true_ndcg(catalogue, later, later.document_score)
    assert true_ndcg(catalogue, later, ranker.predict(later)) > production + 0.05


@pytest.mark.slow
def test_the_dbn_is_chosen_for_readers_from_the_top_down(catalogue, simulate):
    earlier, later = simulate("dbn")
    ranker = fast().fit(earlier)
    assert ranker.choice_.click_model == "dbn"
    production = true_ndcg(catalogue, later, later.document_score)
    assert true_ndcg(catalogue, later, ranker.predict(later)) > production + 0.05


@pytest.mark.parametrize("click_model", ["random", "last"])
def test_production_stays_where_documents_do_not_explain_clicks(
    catalogue, simulate, click_model, caplog
):
    earlier, later = simulate(click_model)
    with caplog.at_level(logging.WARNING, logger="rankloom"):
        ranker = fast().fit(earlier)
    assert ranker.choice_.fall_back
    assert any("falls back" in note and NO_BETTER in note for note in ranker.notes_)
    assert "falls back" in caplog.text
    production = true_ndcg(catalogue, later, later.document_score)
    assert true_ndcg(catalogue, later, ranker.predict(later)) >= production
    assert true_ndcg(catalogue, later, ranker.predict(later.X)) < production


@pytest.mark.slow
@pytest.mark.parametrize("click_model", ["pbm", "dbn"])
def test_where_half_are_bots_it_is_not_below_production(catalogue, simulate, click_model):
    earlier, later = simulate(click_model, bots=0.5)
    ranker = fast().fit(earlier)
    production = true_ndcg(catalogue, later, later.document_score)
    assert true_ndcg(catalogue, later, ranker.predict(later)) >= production


@pytest.mark.slow
def test_one_deterministic_ranker_has_a_curve_by_features(simulate):
    ranker = fast().fit(simulate(rankers=1)[0])
    assert ranker.choice_.identified
    assert ranker.choice_.examination_source == ranker.examination_source_ == "estimated"
    assert np.abs(ranker.examination_ / CURVE - 1).mean() < 0.35  # few clicks
    # A curve by features is not known as one by swaps is: the click model does not count twice.
    choice = ranker.choice_
    ratio = choice.members["click_model"] / choice.members["pairwise"]
    assert ratio == pytest.approx(choice.reliability)


def test_features_that_give_the_position_away_leave_the_curve_to_be_assumed(simulate):
    pairs = simulate(rankers=1)[0]
    X = np.column_stack([pairs.X, pairs.position]).astype(np.float32)
    ranker = fast().fit(replace(pairs, X=X, feature_names=(*pairs.feature_names, "place")))
    assert not ranker.choice_.identified
    assert ranker.choice_.examination_source == ranker.examination_source_ == "assumed"
    assert any("does not identify the examination curve" in note for note in ranker.notes_)
    np.testing.assert_allclose(ranker.examination_, CURVE)


def test_small_logs_fall_back_and_say_so(make_pairs):
    ranker = fast().fit(make_pairs(4))
    choice = ranker.choice_
    assert (choice.click_model, choice.evidence, choice.bound) == ("pbm", {}, None)
    assert choice.fall_back
    assert any("falls back: too few clicks" in note for note in ranker.notes_)
    two = make_pairs(2, per_execution=3, documents=3, queries=1, random_state=3)
    tiny = fast().fit(two)
    assert tiny.choice_.fall_back
    assert np.isfinite(tiny.predict(two)).all()
    assert set(tiny.choice_.members) == {"click_model", "joint"}
    assert any("no pairwise member" in reason for reason in tiny.choice_.reasons)


def test_a_good_model_without_proof_falls_back(make_pairs):
    """Fewer than 20 queries are too few to estimate the gain on held-out queries."""
    ranker = fast().fit(make_pairs(600, queries=15))
    assert ranker.choice_.evidence
    assert ranker.choice_.fall_back
    assert NOT_SHOWN_BETTER in " ".join(ranker.notes_)


def test_judged_lists_are_learnt_as_they_are(make_pairs, tmp_path):
    judged = make_pairs(judged=True)
    ranker = fast().fit(judged)
    assert ranker.choice_.members == {"none": 1.0}
    assert ranker.choice_.click_model is None
    assert "judged" in ranker.choice_.reasons[0]
    plain = Ranker("none", **FAST).fit(judged)
    np.testing.assert_array_equal(ranker.predict(judged), plain.predict(judged))
    lines = "".join(f"{i % 3} qid:{i // 6} 1:{i % 3} 2:{i % 5}\n" for i in range(120))
    (tmp_path / "judged.txt").write_text(lines, encoding="utf-8")
    found = fast(min_data_in_leaf=5).fit(load_letor(tmp_path / "judged.txt"))
    assert found.choice_.members == {"none": 1.0}


def test_lists_of_one_document_are_compared_across_executions(make_pairs):
    ranker = fast().fit(make_pairs(600, per_execution=1))
    assert np.ptp(ranker.predict(make_pairs(50))) > 0


def test_queries_that_came_once_are_learnt_through_features(make_pairs):
    world = make_pairs(800, queries=800)
    once = world.take(np.unique(world.query_code, return_index=True)[1])
    judged = make_pairs(200, judged=True, random_state=5, shuffled=True)
    found = np.nanmean(ndcg(judged.y, fast().fit(once).predict(judged), judged.group))
    noise = np.nanmean(ndcg(judged.y, np.zeros(len(judged)), judged.group))
    assert found > noise + 0.5 * (1 - noise)


def test_several_grades_lift_what_is_bought(make_pairs):
    """The last feature decides what is bought; clicks do not depend on it."""
    pairs = make_pairs(2000, shuffled=True)
    sells = np.nan_to_num(pairs.X[:, 4]) > 0
    bought = pairs.clicked & sells & (np.random.default_rng(0).random(len(pairs)) < 0.7)
    graded = replace(pairs, y=pairs.y + 2 * bought)
    ranker, plain = fast().fit(graded), fast().fit(pairs)
    assert ranker.grades_ == [0, 1, 3]
    gain = [
        r.predict(pairs.X)[sells].mean() - r.predict(pairs.X)[~sells].mean()
        for r in (ranker, plain)
    ]
    assert gain[0] > gain[1] + 0.3


# Examination that is given


def test_given_examination_is_used(log, by_curve):
    earlier, _ = log
    by_bias = fast(examination=PositionBias.from_curve(CURVE)).fit(earlier)
    assert by_curve.choice_.examination_source == "given"
    np.testing.assert_allclose(by_curve.examination_, CURVE)
    np.testing.assert_array_equal(by_curve.predict(earlier.X), by_bias.predict(earlier.X))


def test_examination_in_the_pairs_may_depend_on_the_device(log):
    earlier, _ = log
    mobile = np.repeat((earlier.context["device"] == "mobile").to_numpy(), earlier.group)
    values = np.where(mobile, CURVE[earlier.position] ** 2, CURVE[earlier.position])
    own = replace(earlier, examination=values.astype(np.float32))
    ranker = fast().fit(own)
    assert ranker.choice_.examination_source == "pairs"
    expected = np.bincount(earlier.position, weights=values) / np.bincount(earlier.position)
    np.testing.assert_allclose(ranker.examination_, expected, rtol=1e-6)


# Falling back


def test_it_ranks_by_the_score_of_production_where_that_is_given(fallen):
    ranker, later = fallen
    expected = later.document_score.astype(np.float32)
    np.testing.assert_array_equal(ranker.predict(later), expected)
    columns = {name: later.X[:, i] for i, name in enumerate(later.feature_names)}
    table = pl.DataFrame({**columns, "document_score": later.document_score})
    for data in (table, table.to_pandas(), table.to_arrow()):
        np.testing.assert_array_equal(ranker.predict(data), expected)
    ten = table.head(10)
    best_first = np.sort(expected[:10])[::-1]
    np.testing.assert_array_equal(ranker.rank(ten)["score"].to_numpy(), best_first)
    documents = [{"feature_id": str(i), **row} for i, row in enumerate(ten.to_dicts())]
    np.testing.assert_array_equal([d["score"] for d in ranker.rank(documents)], best_first)


@pytest.mark.parametrize("missing", [None, np.nan, "absent"])
def test_where_a_score_is_missing_the_learnt_ones_are_returned_and_it_says_so(
    fallen, missing, caplog
):
    ranker, later = fallen
    documents = [
        {"feature_id": str(i), "document_score": 0.5, "f0": float(x[0])}
        for i, x in enumerate(later.X[:5])
    ]
    if missing == "absent":
        documents[2].pop("document_score")
    else:
        documents[2]["document_score"] = missing
    with caplog.at_level(logging.WARNING, logger="rankloom"):
        ranked = ranker.rank(documents)
    assert "not given for every document" in caplog.text
    assert {d["score"] for d in ranked} != {0.5}
    caplog.clear()
    some = later.document_score.copy()
    some[3] = np.nan
    scores = ranker.predict(replace(later, document_score=some))
    np.testing.assert_array_equal(scores, ranker.predict(later.X))
    assert "not given for every document" in caplog.text


def test_scores_beyond_single_precision_are_as_good_as_missing(fallen):
    ranker, later = fallen
    huge = replace(later, document_score=1e300 * (1 + later.document_score))
    np.testing.assert_array_equal(ranker.predict(huge), ranker.predict(later.X))


def test_a_ranker_that_does_not_fall_back_ignores_the_score(log, ranker):
    later = log[1]
    np.testing.assert_array_equal(ranker.predict(later), ranker.predict(later.X))


# The blend and the model that learns it


def test_the_model_orders_like_the_blend_of_its_members(log, ranker):
    earlier, later = log
    assert [member.name for member in ranker.members_] == list(ranker.choice_.members)
    for member in ranker.members_:
        assert member.weight == ranker.choice_.members[member.name]
        assert np.ptp(member.standardised(earlier.X, 1)) > 0
    blend = blended(ranker.members_, later.X)
    assert np.corrcoef(blend, ranker.predict(later))[0, 1] > 0.9
    assert ranker.pair_bias_.columns == ["position", "clicked", "unclicked"]


def test_a_loaded_ranker_has_its_choice_and_falls_back_as_before(fallen, ranker, log, tmp_path):
    for name, (one, later) in {"fallen": fallen, "learnt": (ranker, log[1])}.items():
        one.save(tmp_path / name)
        loaded = Ranker.load(tmp_path / name)
        assert loaded.choice_ == one.choice_
        assert str(loaded.choice_) == str(one.choice_)
        assert loaded.notes_ == one.notes_
        assert len(one.members_) > 0 == len(loaded.members_)
        np.testing.assert_array_equal(loaded.predict(later), one.predict(later))
        np.testing.assert_array_equal(loaded.predict(later.X), one.predict(later.X))
    saved = json.loads((tmp_path / "fallen" / "manifest.json").read_text())
    assert saved["debias"]["choice"]["fall_back"] is True


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_also_by_a_generator(make_pairs):
    """A generator gives the seed, and the seed all the rest."""
    pairs = make_pairs()
    one = fast(random_state=np.random.default_rng(3)).fit(pairs)
    two = fast(random_state=np.random.default_rng(3), examination=CURVE).fit(pairs)
    assert one.seed_ == two.seed_ != 0
    again = fast(random_state=one.seed_).fit(pairs)
    assert again.booster_.model_to_string() == one.booster_.model_to_string()
    assert again.choice_ == one.choice_


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_the_scores(log, ranker):
    earlier, later = log
    two = fast(n_jobs=2).fit(earlier)
    np.testing.assert_array_equal(two.predict(later), ranker.predict(later))
    assert two.choice_ == ranker.choice_


def test_the_order_of_executions_matters_little(log, by_curve):
    """That of the curve is tested with the curve."""
    earlier, later = log
    order = np.random.default_rng(0).permutation(earlier.n_executions)
    mixed = fast(examination=CURVE).fit(earlier.take(order))
    assert mixed.choice_.click_model == by_curve.choice_.click_model
    np.testing.assert_allclose(mixed.predict(later), by_curve.predict(later), atol=0.05)


def test_training_stops_at_the_best_round_by_validation(log):
    earlier, later = log
    ranker = fast(early_stopping_rounds=5, examination=CURVE).fit(earlier, later)
    values = ranker.validation_values_
    assert ranker.best_iteration_ == int(np.argmax(values)) + 1 == ranker.booster_.num_trees()
    # The model that learns the blend may have 25 trees, or twice as many, up to three times.
    assert len(values) in {ranker.best_iteration_ + 5, 25, 50, 100, 200}
    examination = ranker.examination_[later.position]
    weighted, weight = examination_weighted_dcg(
        later.y, ranker.predict(later.X), later.group, examination
    )
    assert weighted.sum() / weight.sum() == pytest.approx(max(values), abs=1e-3)


def test_lightgbm_parameters_take_precedence(make_pairs):
    pairs = make_pairs()
    params = {"n_iter": 3, "num_leaf": 4, "reg_lambda": 5.0, "seed": 9}
    ranker = fast(params=params, examination=CURVE).fit(pairs)
    assert ranker.best_iteration_ == 3
    for booster in (ranker.booster_, *(member.booster for member in ranker.members_)):
        trees = booster.dump_model()["tree_info"]
        assert len(trees) == 3
        assert max(tree["num_leaves"] for tree in trees) <= 4
        assert booster.params["lambda_l2"] == 5.0
    assert ranker.seed_ == 9


def test_categories_are_learnt(make_pairs):
    base = make_pairs(1500, shuffled=True)
    codes = np.random.default_rng(0).integers(0, 4, len(base.documents))[base.document_code]
    probability = np.array([0.1, 0.9, 0.05, 0.5])[codes] / (base.position + 1)
    clicked = np.random.default_rng(1).random(len(base)) < probability
    coloured = replace(
        base,
        X=np.ascontiguousarray(np.column_stack([codes, base.X[:, 0]]), dtype=np.float32),
        y=clicked.astype(np.float32),
        clicked=clicked,
        feature_names=("colour", "size"),
        categories={"colour": ("red", "green", "blue", "grey")},
    )
    ranker = fast().fit(coloured)
    table = pl.DataFrame({"colour": ["red", "green", "blue", "grey"], "size": [0.0] * 4})
    assert np.argsort(-ranker.predict(table)).tolist()[:2] == [1, 3]


def test_executions_of_weight_zero_do_not_count(make_pairs):
    pairs = make_pairs(600)
    old = pairs.execution_index < 300
    backwards = np.where(old, 1 - pairs.y, pairs.y)
    changed = replace(pairs, y=backwards, clicked=backwards > 0)
    weighted = replace(changed, weight=np.where(old, 0, 1).astype(np.float32))
    judged = make_pairs(200, judged=True, random_state=5, shuffled=True)
    found = [
        np.nanmean(ndcg(judged.y, fast().fit(log).predict(judged), judged.group))
        for log in (weighted, changed)
    ]
    assert found[0] > found[1] + 0.1


# Odd logs


ODD = {
    "a feature is missing throughout": lambda p: replace(
        p, X=np.column_stack([p.X[:, :4], np.full(len(p), np.nan)]).astype(np.float32)
    ),
    "one query": lambda p: replace(
        p, query_code=0 * p.query_code, document_code=p.document_code % 25
    ),
    "positions from 5 on": lambda p: replace(p, position=p.position + 5),
    "positions shared by two": lambda p: replace(p, position=p.position // 2),
    "one position": lambda p: replace(p, position=0 * p.position),
    "one click": lambda p: replace(p, y=one_hot(p), clicked=one_hot(p) > 0),
    "weights mostly 0": lambda p: replace(
        p, weight=np.where(p.execution_index < 250, 0, 1).astype(np.float32)
    ),
    "clicks at the top only": lambda p: replace(
        p, y=(p.position == 0).astype(np.float32), clicked=p.position == 0
    ),
}


def one_hot(pairs):
    return (np.arange(len(pairs)) == 17).astype(np.float32)


@pytest.mark.parametrize("odd", ODD)
def test_odd_logs_give_finite_scores_and_a_choice(make_pairs, odd, capfd):
    pairs = ODD[odd](make_pairs())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranker = fast().fit(pairs)
        assert np.isfinite(ranker.predict(pairs.X)).all()
    numbers = [
        value for found in ranker.choice_.evidence.values() for value in vars(found).values()
    ]
    assert np.isfinite(numbers).all()
    assert str(ranker.choice_)
    assert capfd.readouterr() == ("", "")


def test_long_lists_are_learnt(make_pairs):
    pairs = make_pairs(20, per_execution=300, documents=400, queries=5)
    assert np.ptp(fast().fit(pairs).predict(pairs.X)) > 0


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (
            lambda p: replace(p, y=0 * p.y, clicked=p.y > 9),
            InvalidInputError,
            "no row has a positive grade",
        ),
        (
            lambda p: replace(p, y=0 * p.y + 1, clicked=p.y > -1),
            NoExposuresError,
            "every shown document was clicked",
        ),
        (lambda p: replace(p, weight=0 * p.weight), InvalidInputError, "every weight is 0"),
        (
            lambda p: replace(p, position=p.position[::-1].copy()),
            InvalidInputError,
            "not in the order of its positions",
        ),
        (lambda p: p.take([0]), InvalidInputError, "at least two executions"),
    ],
)
def test_pairs_without_anything_to_learn_are_refused_with_the_reason(
    make_pairs, change, error, says
):
    with pytest.raises(error, match=says):
        fast(examination=CURVE).fit(change(make_pairs()))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"params": {"label_gain": [0]}}, "label_gain: grade 1 needs 2 gains, got 1"),
        ({"params": {"label_gain": [0, 0]}}, "no query has two documents of different relevance"),
        ({"params": {"boosting": "rf"}}, "LightGBM refuses to train"),
        ({"params": {"seed": "x"}}, "'seed': expected a whole number"),
        ({"num_leaves": 1}, "LightGBM refuses to train.*num_leaves"),
        ({"prior_strength": -1}, "prior_strength: expected a number at least 0"),
        ({"examination": [1.0, 0.0]}, "examination: expected"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(pairs, options, says):
    with pytest.raises(InvalidInputError, match=says):
        fast(**{"examination": CURVE, **options}).fit(pairs)
