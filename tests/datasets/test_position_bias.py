"""Examination curves: closed forms, exact recovery, identifiability, intervals."""

from __future__ import annotations

import json
import logging

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.datasets import PositionBias, TrainingPairs
from rankloom.datasets._curves import ESTIMATORS, make_estimator
from rankloom.datasets._swaps import PairCounts, count_pairs, count_swaps
from rankloom.errors import InvalidInputError, NotIdentifiableError

HARVESTING = ("all_pairs", "pivot", "adjacent")
TRUTH = 1 / np.arange(1, 6)


def pairs_of(query, documents, clicked, *, position=None, context=None):
    """Return training pairs of lists: query (e,), documents and clicked (e, k)."""
    documents, clicked = np.asarray(documents), np.asarray(clicked, dtype=bool)
    lists, shown = documents.shape
    rows = lists * shown
    places = np.tile(np.arange(shown), lists) if position is None else np.ravel(position)
    return TrainingPairs(
        X=np.zeros((rows, 0), dtype=np.float32),
        y=clicked.ravel().astype(np.float32),
        clicked=clicked.ravel(),
        negative=np.zeros(rows, dtype=bool),
        group=np.full(lists, shown, dtype=np.int32),
        position=places.astype(np.int32),
        document_score=np.full(rows, np.nan),
        age_days=np.full(rows, np.nan, dtype=np.float32),
        weight=np.ones(rows, dtype=np.float32),
        time=np.full(lists, np.datetime64("NaT"), dtype="datetime64[us]"),
        execution_id=pl.Series([f"e{i}" for i in range(lists)]),
        query_code=np.asarray(query, dtype=np.int32),
        queries=pl.Series([f"q{i}" for i in range(int(np.max(query)) + 1)]),
        document_code=documents.ravel().astype(np.int32),
        documents=pl.Series([f"d{i}" for i in range(int(documents.max()) + 1)]),
        feature_names=(),
        context=context or {},
    )


def simulated(n_lists, *, seed=0, curve=TRUTH, rankers=3, n_queries=150, context=None):
    """Simulate PBM clicks on lists of noisy rankers; curve is one row for all lists or each."""
    rng = np.random.default_rng(seed)
    shown, candidates = np.shape(curve)[-1], 8
    relevance = rng.choice([0.1, 0.4, 1.0], p=[0.6, 0.25, 0.15], size=(n_queries, candidates))
    score = relevance[None] + rng.normal(scale=0.7, size=(rankers, n_queries, candidates))
    order = np.argsort(-score, axis=2)[:, :, :shown]
    query = rng.integers(0, n_queries, n_lists)
    documents = order[rng.integers(0, rankers, n_lists), query]
    chance = np.asarray(curve) * relevance[query[:, None], documents]
    clicked = rng.random((n_lists, shown)) < chance
    return pairs_of(query, documents + candidates * query[:, None], clicked, context=context)


def swapped_lists(times, clicks):
    """One query, documents A and B in both orders; clicks: (A first, B second, B first, A second)."""
    documents = np.array([[0, 1]] * times + [[1, 0]] * times)
    clicked = np.zeros((2 * times, 2), dtype=bool)
    for column, (offset, count) in enumerate(zip((0, 0, times, times), clicks, strict=True)):
        clicked[offset : offset + count, column % 2] = True
    return pairs_of(np.zeros(2 * times), documents, clicked)


def expected_counts(curve=TRUTH, *, scale=1e9, seed=0):
    """Return counts without noise: clicks = shown * examination * relevance, at random swaps."""
    rng = np.random.default_rng(seed)
    counts = simulated_counts(rng, len(curve))
    relevance = rng.uniform(0.1, 0.9, len(counts))
    shown = np.round(scale * rng.uniform(0.1, 1.0, len(counts.position)))
    clicks = shown * np.asarray(curve)[counts.position] * relevance[counts.pair]
    return PairCounts(
        counts.offsets, counts.position, shown, clicks, counts.query, counts.n_positions
    )


def simulated_counts(rng, n_positions, n_pairs=60):
    sizes = rng.integers(2, n_positions + 1, n_pairs)
    places = [np.sort(rng.choice(n_positions, size, replace=False)) for size in sizes]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    cells = np.concatenate(places).astype(np.int64)
    ones = np.ones(len(cells))
    return PairCounts(offsets, cells, ones, ones, np.arange(n_pairs), n_positions)


# --- what every estimator must do -------------------------------------------------------------


@pytest.mark.parametrize("name", HARVESTING)
@pytest.mark.parametrize("seed", range(5))
def test_recovers_the_curve_exactly_from_clicks_without_noise(name, seed):
    counts = expected_counts(seed=seed)
    log_curve = make_estimator(name)(counts, np.ones(len(counts)))
    np.testing.assert_allclose(np.exp(log_curve), TRUTH, rtol=1e-8)


def test_em_recovers_the_curve_from_clicks_without_noise_up_to_its_tolerance():
    counts = expected_counts(scale=1e3)
    log_curve = make_estimator("em")(counts, np.ones(len(counts)))
    np.testing.assert_allclose(np.exp(log_curve), TRUTH, rtol=2e-3)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_multiplying_all_counts_changes_nothing(name):
    counts = expected_counts(scale=20)
    more = PairCounts(
        counts.offsets,
        counts.position,
        counts.shown * 7,
        counts.clicks * 7,
        counts.query,
        counts.n_positions,
    )
    one, seven = (make_estimator(name)(c, np.ones(len(c))) for c in (counts, more))
    np.testing.assert_allclose(one, seven, atol=1e-8)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_pairs_weight_of_two_is_the_pair_counted_twice(name):
    pairs = simulated(3000)
    counts = count_pairs(pairs, 5).informative()
    weight = np.random.default_rng(0).integers(1, 3, len(counts)).astype(float)
    twice = np.repeat(np.arange(len(counts)), weight.astype(int))
    cells = [np.arange(counts.offsets[i], counts.offsets[i + 1]) for i in twice]
    sizes = np.array([len(c) for c in cells])
    cell = np.concatenate(cells)
    doubled = PairCounts(
        np.concatenate([[0], np.cumsum(sizes)]),
        counts.position[cell],
        counts.shown[cell],
        counts.clicks[cell],
        counts.query[twice],
        5,
    )
    estimate = make_estimator(name)
    weighted = estimate(counts, weight)
    repeated = make_estimator(name)(doubled, np.ones(len(doubled)))
    tolerance = 2e-3 if name == "em" else 1e-8
    np.testing.assert_allclose(weighted, repeated, atol=tolerance)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_order_of_executions_changes_nothing(name):
    pairs = simulated(2000)
    shuffled = pairs.take(np.random.default_rng(1).permutation(pairs.n_executions))
    one, other = (PositionBias(name, n_bootstrap=20).fit(p) for p in (pairs, shuffled))
    for limit in ("examination_", "lower_", "upper_", "band_lower_", "band_upper_"):
        np.testing.assert_array_equal(getattr(one, limit), getattr(other, limit))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_numbering_of_queries_and_documents_changes_nothing(name):
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


@pytest.mark.parametrize("name", ESTIMATORS)
def test_two_positions_and_one_swap_give_the_ratio_of_click_rates(name):
    """With equal exposures at both positions the curve is clicks at 1 over clicks at 0."""
    pairs = swapped_lists(100, (40, 10, 20, 20))
    bias = PositionBias(name, n_bootstrap=0).fit(pairs)
    tolerance = 1e-3 if name == "em" else 1e-9
    np.testing.assert_allclose(bias.examination_, [1.0, 30 / 60], rtol=tolerance)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_of_a_simulated_log_are_near_the_truth(name):
    bias = PositionBias(name, n_bootstrap=0).fit(simulated(60_000, n_queries=60))
    bound = {"all_pairs": 0.06, "pivot": 0.12, "adjacent": 0.12, "em": 0.15}[name]
    assert np.abs(bias.examination_ / TRUTH - 1).max() < bound


@pytest.mark.parametrize("name", ESTIMATORS)
def test_limits_are_finite_positive_and_ordered(name):
    bias = PositionBias(name, n_bootstrap=50).fit(simulated(800))
    limits = [bias.band_lower_, bias.lower_, bias.examination_, bias.upper_, bias.band_upper_]
    assert np.isfinite(limits).all()
    assert np.min(limits) > 0
    assert (np.diff(limits, axis=0) >= 0).all()
    assert (np.diff(limits, axis=0)[:, 1:] > 0).all()
    assert {limit[0] for limit in limits} == {1.0}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_seed_gives_the_same_limits_and_another_seed_others(name):
    pairs = simulated(800)
    first, again, other = (
        PositionBias(name, n_bootstrap=20, random_state=seed).fit(pairs).band_lower_
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[1:] != other[1:]).any()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_deterministic_ranker_is_refused_with_cause_and_ways_out(name):
    pairs = simulated(2000, rankers=1)
    with pytest.raises(NotIdentifiableError, match="one deterministic ranker") as caught:
        PositionBias(name).fit(pairs)
    for way in ("swapped neighbours", 'debias="position"', "PositionBias.from_curve"):
        assert way in str(caught.value)


# --- the conditional likelihood ---------------------------------------------------------------


def test_all_pairs_is_the_maximum_of_the_conditional_likelihood():
    from scipy.optimize import minimize

    counts = count_pairs(simulated(1500), 5).informative()

    def loss(free):
        curve = np.exp(np.concatenate([[0.0], free]))
        exposure = counts.shown * curve[counts.position]
        share = exposure / counts.pair_sums(exposure)[counts.pair]
        return -(counts.clicks @ np.log(share))

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-6}).x
    log_curve = make_estimator("all_pairs")(counts, np.ones(len(counts)))
    np.testing.assert_allclose(log_curve[1:], best, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_all_pairs_is_finite_wherever_the_swap_graph_is_connected(seed, n_positions):
    """Also from counts of one or two clicks, where most ratios of rates are 0 or infinite."""
    rng = np.random.default_rng(seed)
    shape = simulated_counts(rng, n_positions, n_pairs=8)
    clicks = rng.integers(0, 2, len(shape.position)).astype(float)
    counts = PairCounts(
        shape.offsets, shape.position, shape.shown, clicks, shape.query, n_positions
    )
    component = count_swaps(counts).component()
    kept = counts.at_positions(component)
    log_curve = make_estimator("all_pairs")(kept, np.ones(len(kept)))
    assert len(log_curve) == len(component)
    assert np.isfinite(log_curve).all()
    assert np.abs(log_curve).max() < 15


# --- what the log can tell --------------------------------------------------------------------


def test_the_curve_ends_where_swaps_with_clicks_end():
    """Positions 0 to 2 are swapped; at 3 the same document stands always."""
    documents = [[0, 1, 2, 3], [1, 2, 0, 3], [2, 0, 1, 3]] * 40
    clicked = np.random.default_rng(0).random((120, 4)) < 0.5
    bias = PositionBias(n_bootstrap=0).fit(pairs_of(np.zeros(120), documents, clicked))
    assert bias.positions_.tolist() == [0, 1, 2]
    assert not bias.connected_
    assert any("ends at position 2 of 3" in note for note in bias.notes_)
    assert bias.swaps_[0].tolist() == [3, 3, 3, 0]


def test_a_position_without_any_click_ends_the_curve_instead_of_becoming_zero():
    documents = [[0, 1, 2], [1, 2, 0], [2, 0, 1]] * 40
    clicked = np.random.default_rng(0).random((120, 3)) < 0.5
    clicked[:, 2] = False
    bias = PositionBias(n_bootstrap=20).fit(pairs_of(np.zeros(120), documents, clicked))
    assert len(bias.examination_) == 2
    assert not bias.connected_


def test_pivot_ends_before_the_first_position_never_swapped_with_position_0():
    """0-1 and 1-2 are swapped, 0-2 never: all_pairs and adjacent reach 2, pivot does not."""
    documents = [[0, 1, 2], [1, 0, 2], [3, 4, 5], [3, 5, 4]] * 50
    query = [0, 0, 1, 1] * 50
    clicked = np.random.default_rng(0).random((200, 3)) < 0.5
    pairs = pairs_of(query, documents, clicked)
    fits = {name: PositionBias(name, n_bootstrap=20).fit(pairs) for name in HARVESTING}
    assert {name: len(fit.examination_) for name, fit in fits.items()} == {
        "all_pairs": 3,
        "pivot": 2,
        "adjacent": 3,
    }
    assert np.isnan(fits["all_pairs"].estimates_["pivot"][2])
    assert not fits["pivot"].connected_
    np.testing.assert_allclose(
        fits["all_pairs"].examination_, fits["adjacent"].examination_, rtol=1e-9
    )


def test_adjacent_refuses_where_only_a_detour_ties_position_1_to_0():
    """0-2 and 2-1 are swapped, 0-1 never."""
    documents = [[0, 1, 2], [2, 1, 0], [3, 4, 5], [3, 5, 4]] * 50
    clicked = np.random.default_rng(0).random((200, 3)) < 0.5
    pairs = pairs_of([0, 0, 1, 1] * 50, documents, clicked)
    assert len(PositionBias(n_bootstrap=0).fit(pairs).examination_) == 3
    with pytest.raises(NotIdentifiableError, match="positions 0 and 1 both"):
        PositionBias("adjacent").fit(pairs)


def test_swaps_count_pairs_at_both_positions_and_clicks_at_the_first():
    pairs = swapped_lists(10, (4, 1, 2, 2))
    bias = PositionBias(n_bootstrap=0).fit(pairs)
    assert bias.swaps_.tolist() == [[2, 2], [2, 2]]
    assert bias.swap_clicks_.tolist() == [[6, 6], [3, 3]]
    assert bias.n_queries_ == 1
    assert bias.connected_


def test_max_position_ends_the_curve_and_says_so():
    bias = PositionBias(max_position=2, n_bootstrap=0).fit(simulated(3000))
    assert len(bias.examination_) == 3
    assert bias.connected_
    assert any("position 3 or beyond" in note for note in bias.notes_)


def test_a_huge_position_costs_neither_memory_nor_the_curve():
    pairs = simulated(3000)
    pairs.position[-1] = 2**31 - 1
    bias = PositionBias(n_bootstrap=0).fit(pairs)
    assert len(bias.examination_) == 5
    assert len(bias.swaps_) == 100


def test_large_codes_do_not_overflow():
    pairs = simulated(500)
    wide = simulated(500)
    wide.__dict__["query_document"] = pairs.query_document + 2**61
    left, right = (count_pairs(p, 5) for p in (pairs, wide))
    np.testing.assert_array_equal(left.shown, right.shown)
    np.testing.assert_array_equal(left.clicks, right.clicks)
    assert (right.query == left.query + 2**61 // len(pairs.documents)).mean() > 0.3


def refused(pairs, match, error=NotIdentifiableError, **parameters):
    with pytest.raises(error, match=match):
        PositionBias(**parameters).fit(pairs)


def test_logs_that_tell_nothing_are_refused_with_their_cause():
    unclicked = simulated(200)
    unclicked.clicked[:] = False
    refused(unclicked, "no shown document was clicked")
    one_based = simulated(200)
    one_based.position[:] += 1
    refused(one_based, "subtract 1 if the log counts from 1")
    only_first = pairs_of([0, 0], [[0], [1]], [[True], [False]])
    refused(only_first, "two positions or more")
    one_pair = pairs_of([0] * 40, [[0]] * 40, [[True]] * 40, position=[0, 1] * 20)
    refused(one_pair, "a single \\(query, document\\)")
    one_sided = pairs_of([0, 0] * 9, [[0, 1], [1, 0]] * 9, [[True, False]] * 18)
    refused(one_sided, "need clicks at both")
    judged = simulated(20)
    judged.position[3] = -1
    refused(judged, "1 of 100 rows have no position", InvalidInputError)
    refused(simulated(20).take([]), "empty", InvalidInputError)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"estimator": "allpairs"}, "Did you mean 'all_pairs'"),
        ({"confidence": 90}, "between 0 and 1"),
        ({"n_bootstrap": 3}, "at least 20"),
        ({"max_position": 0}, "at least 1"),
        ({"by": "devise"}, "Did you mean 'device'"),
    ],
)
def test_wrong_parameters_are_named(parameters, match):
    pairs = simulated(200, context={"device": pl.Series(["m"] * 200)})
    refused(pairs, match, InvalidInputError, **parameters)


# --- applying ---------------------------------------------------------------------------------


def test_apply_fills_every_row_and_holds_the_last_value_beyond_the_curve():
    pairs = simulated(50)
    applied = PositionBias.from_curve([2.0, 1.0, 0.5]).apply(pairs)
    assert applied is pairs
    assert pairs.examination.dtype == np.float32
    expected = np.array([1.0, 0.5, 0.25, 0.25, 0.25], dtype=np.float32)
    np.testing.assert_array_equal(pairs.examination, expected[pairs.position])


def test_apply_needs_a_curve_and_positions():
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


# --- by context -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_device():
    """Half the lists are mobile with a steeper curve; one list has a device nobody swapped."""
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


def test_an_unknown_context_value_is_named(by_device):
    with pytest.raises(InvalidInputError, match="Did you mean 'mobile'"):
        by_device[0].curve("mobil")


def test_apply_by_context_needs_the_column(by_device):
    with pytest.raises(InvalidInputError, match="no context column 'device'"):
        by_device[0].apply(simulated(5))


# --- reports ----------------------------------------------------------------------------------


def test_disagreement_is_the_largest_relative_difference():
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


def test_without_a_bootstrap_limits_are_unknown_not_narrow():
    bias = PositionBias(n_bootstrap=0).fit(simulated(2000))
    assert np.isnan(bias.lower_).all()
    assert bias.to_dict()["lower"] == [None] * 5


def test_the_summary_shows_every_position_estimator_and_note(by_device):
    bias, _ = by_device
    text = str(bias)
    assert text == bias.summary()
    for part in ("device = mobile", "all_pairs", "pivot differs", "note: device = 'watch'"):
        assert part in text
    assert f"{bias.examination_[4]:.4f}" in text
    assert "Examination by position, given" in str(PositionBias.from_curve([1.0, 0.5]))
    assert repr(PositionBias()) == str(PositionBias()) == "PositionBias('all_pairs')"


# --- intervals --------------------------------------------------------------------------------


def coverage(logs, n_lists, n_bootstrap, name="all_pairs"):
    """Return the pooled pointwise and the simultaneous coverage of the truth."""
    pointwise, simultaneous = [], []
    for seed in range(logs):
        bias = PositionBias(name, n_bootstrap=n_bootstrap).fit(simulated(n_lists, seed=seed))
        inside = (bias.lower_ <= TRUTH) & (bias.upper_ >= TRUTH)
        within = (bias.band_lower_ <= TRUTH) & (bias.band_upper_ >= TRUTH)
        pointwise.append(inside[1:].mean())
        simultaneous.append(within.all())
    return np.mean(pointwise), np.mean(simultaneous)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Loose bounds: 40 logs; the slow test is the sharp one."""
    pointwise, simultaneous = coverage(40, 3000, 60)
    assert 0.78 <= pointwise <= 0.99
    assert simultaneous >= 0.75


@pytest.mark.slow
@pytest.mark.parametrize("name", HARVESTING)
def test_ninety_percent_intervals_cover_80_to_97_percent_of_200_logs(name):
    pointwise, simultaneous = coverage(200, 4000, 200, name)
    assert 0.84 <= pointwise <= 0.97
    assert simultaneous >= 0.84


def test_more_sessions_give_narrower_intervals():
    few, many = (PositionBias(n_bootstrap=60).fit(simulated(n)) for n in (1000, 16_000))
    ratio = np.log(few.upper_ / few.lower_)[1:] / np.log(many.upper_ / many.lower_)[1:]
    assert 2.5 < ratio.mean() < 6.5  # the square root of 16, give or take


def test_a_position_tied_by_one_pair_alone_does_not_look_certain():
    """Resampling queries never moves a step that one pair decides; its counts still bound it."""
    rng = np.random.default_rng(0)
    documents = [[0, 1, 2], [1, 0, 2]] * 300
    query = np.repeat(np.arange(30), 20)
    documents = np.array(documents) + 3 * query[:, None]
    documents[0] = [0, 2, 1]
    bias = PositionBias(n_bootstrap=30).fit(pairs_of(query, documents, rng.random((600, 3)) < 0.5))
    width = np.log(bias.upper_ / bias.lower_)
    assert width[2] > 2 * width[1]
