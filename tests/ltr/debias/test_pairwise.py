"""The pairwise objective: gradients and ratios against a slow oracle, and what they recover."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr.boosting.dataset import TrainingData, lightgbm_dataset
from rankloom.ltr.debias.pairwise import MAX_POSITIONS, PairwiseObjective, train_pairwise
from rankloom.ltr.debias.training_rows import session_data


def oracle(data, scores, objective, *, depth=10, sigma=1.0, normalised=True, gains=None):
    """The formulas of the docstring, pair by pair; gradient, hessian, mean losses by position."""
    index = np.searchsorted(objective.position, np.minimum(data.position, MAX_POSITIONS - 1))
    gain = [2.0 ** int(y) - 1 if gains is None else gains[int(y)] for y in data.y]
    gradient, hessian = np.zeros(len(data.y)), np.zeros(len(data.y))
    loss, exposure = np.zeros((2, len(objective.position))), np.zeros(len(objective.position))
    weights = np.ones(len(data.y)) if data.weight is None else data.weight.astype(float)
    starts = np.cumsum(data.group) - data.group
    for begin, n in zip(starts, data.group, strict=True):
        rows = range(begin, begin + n)
        weight = weights[begin] / weights[starts].mean()
        order = sorted(rows, key=lambda r: (-scores[r], data.position[r]))
        rank = {r: i for i, r in enumerate(order)}
        best = sorted((gain[r] for r in rows), reverse=True)[:depth]
        ideal = sum(g / math.log2(i + 2) for i, g in enumerate(best))
        spread = scores[order[0]] != scores[order[-1]]
        total, pulls = 0.0, []
        for a in rows:
            exposure[index[a]] += weight
            for b in rows:
                if data.y[a] <= data.y[b] or min(rank[a], rank[b]) >= depth:
                    continue
                gap = scores[a] - scores[b]
                discount = abs(1 / math.log2(rank[a] + 2) - 1 / math.log2(rank[b] + 2))
                delta = abs(gain[a] - gain[b]) * discount / ideal
                if normalised and spread:
                    delta /= 0.01 + abs(gap)
                cost = weight * delta * math.log1p(math.exp(sigma * gap))
                plus = max(objective.clicked[index[a]], objective.clip)
                minus = max(objective.unclicked[index[b]], objective.clip)
                loss[0, index[a]] += cost / minus
                loss[1, index[b]] += cost / plus
                wrong = 1 / (1 + math.exp(sigma * gap))
                pull = sigma * delta * wrong / (plus * minus)
                pulls.append((a, b, pull, 2 * sigma * pull * (1 - wrong)))
                total += 2 * pull
        factor = math.log2(1 + total) / total if normalised and total > 0 else 1.0
        for a, b, pull, curve in pulls:
            gradient[a] -= weight * factor * pull
            gradient[b] += weight * factor * pull
            hessian[a] += weight * factor * curve
            hessian[b] += weight * factor * curve
    return gradient, hessian, loss / exposure


def lists(sizes=(4, 7, 2, 10), *, grades=2, seed=0, **changes):
    """Executions of random grades with positions in order."""
    generator = np.random.default_rng(seed)
    rows = sum(sizes)
    y = generator.integers(0, grades, rows).astype(np.float32)
    starts = np.cumsum(sizes) - sizes
    y[starts], y[starts + 1] = grades - 1, 0
    position = np.concatenate([np.arange(n) for n in sizes]).astype(np.int32)
    X = generator.normal(size=(rows, 3)).astype(np.float32)
    data = TrainingData(X, y, np.array(sizes, dtype=np.int32), position=position)
    return replace(data, **changes)


def some_scores(data, seed=1, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, len(data.y))


def check(data, *, rounds=3, gains=None, scale=1.0, **settings):
    """Compare several rounds, in which the ratios move, with the oracle."""
    objective = PairwiseObjective(data, label_gain=gains, **settings)
    settings = {n: v for n, v in settings.items() if n not in ("clip", "regularisation")}
    for seed in range(rounds):
        scores = some_scores(data, seed, scale) if seed else np.zeros(len(data.y))
        gradient, hessian, loss = oracle(data, scores, objective, gains=gains, **settings)
        before = objective.clicked.copy(), objective.unclicked.copy()
        found = objective.gradients(scores)
        np.testing.assert_allclose(found[0], gradient, rtol=2e-5, atol=1e-7)
        np.testing.assert_allclose(found[1], hessian, rtol=2e-5, atol=1e-7)
        for side, (old, new) in enumerate(
            zip(before, (objective.clicked, objective.unclicked), strict=True)
        ):
            has_pairs = loss[side] > 0
            first = loss[side][has_pairs][0]
            expected = np.where(has_pairs, (loss[side] / first) ** objective.power, old)
            np.testing.assert_allclose(new, expected, rtol=1e-9)
    return objective


# Formulas


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"depth": 1},
        {"depth": 3},
        {"sigma": 2.5},
        {"normalised": False},
        {"clip": 0.9},
        {"regularisation": 1.0},
        {"scale": 30.0},
    ],
    ids=str,
)
def test_gradients_and_ratios_follow_the_formulas(settings):
    check(lists(), **settings)


def test_several_grades_pair_by_gain_and_use_the_ratio_of_each_side():
    check(lists(grades=5, seed=3))
    check(lists(grades=3), gains=[0.0, 1.0, 10.0])


def test_grades_of_equal_gain_pull_nothing():
    data = lists((3,), y=np.array([2, 1, 1], dtype=np.float32))
    gradient, hessian = PairwiseObjective(data, label_gain=[0, 1, 1]).gradients(np.zeros(3))
    assert not gradient.any()
    assert not hessian.any()


def test_weights_scale_gradients_and_losses_and_only_their_ratios_count():
    weight = np.repeat(np.float32([1, 4, 0.5, 2]), [4, 7, 2, 10])
    data = lists(weight=weight)
    check(data)
    scores = some_scores(data)
    one, two = PairwiseObjective(data), PairwiseObjective(replace(data, weight=weight / 4))
    for a, b in zip(one.gradients(scores), two.gradients(scores), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.clicked, two.clicked)


def test_a_weight_of_two_is_the_execution_twice():
    single = lists((5, 6), weight=np.repeat(np.float32([2, 1]), [5, 6]))
    rows = np.r_[0:5, 0:5, 5:11]
    double = TrainingData(
        single.X[rows], single.y[rows], np.array([5, 5, 6]), position=single.position[rows]
    )
    scores = some_scores(single)
    weighted, twice = PairwiseObjective(single), PairwiseObjective(double)
    gradient = weighted.gradients(scores)[0] * 1.5  # weights have mean 1
    repeated = twice.gradients(scores[rows])[0]
    np.testing.assert_allclose(gradient[:5], repeated[:5] + repeated[5:10], rtol=1e-6)
    np.testing.assert_allclose(gradient[5:], repeated[10:], rtol=1e-6)
    np.testing.assert_allclose(weighted.clicked, twice.clicked)
    np.testing.assert_allclose(weighted.unclicked, twice.unclicked)


def test_gradients_of_an_execution_sum_to_zero_and_hessians_are_positive():
    data = lists((30, 5, 200), grades=3)
    gradient, hessian = PairwiseObjective(data, depth=20).gradients(some_scores(data))
    sums = np.add.reduceat(gradient.astype(float), np.cumsum(data.group) - data.group)
    np.testing.assert_allclose(sums, 0, atol=1e-5)
    assert (hessian >= 0).all()
    assert np.add.reduceat(hessian, np.cumsum(data.group) - data.group).min() > 0


def test_lists_longer_than_a_run_of_the_sort_and_tied_scores_rank_right():
    data = lists((33, 100, 17))
    check(data, rounds=2)
    tied = np.round(some_scores(data))
    objective = PairwiseObjective(data)
    gradient, hessian, _ = oracle(data, tied, objective)
    found = objective.gradients(tied)
    np.testing.assert_allclose(found[0], gradient, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(found[1], hessian, rtol=2e-5, atol=1e-7)


def test_scores_far_apart_overflow_nowhere():
    data = lists()
    objective = PairwiseObjective(data, normalised=False)
    gradient, hessian = objective.gradients(some_scores(data, scale=1e5))
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()
    assert np.isfinite(objective.history[-1][~np.isnan(objective.history[-1])]).all()


# Ratios


def test_ratios_of_one_execution_shape_have_a_closed_form():
    """Equal scores, two rows: every loss is delta log 2, so ratios count losses per exposure."""
    clicked_first, clicked_second = 30, 10
    y = np.float32([[1, 0]] * clicked_first + [[0, 1]] * clicked_second).ravel()
    n = clicked_first + clicked_second
    data = TrainingData(
        np.zeros((2 * n, 1), np.float32),
        y,
        np.full(n, 2),
        position=np.tile([0, 1], n).astype(np.int32),
    )
    objective = PairwiseObjective(data)
    objective.gradients(np.zeros(2 * n))
    third = (clicked_second / clicked_first) ** objective.power
    np.testing.assert_allclose(objective.clicked, [1, third])
    np.testing.assert_allclose(objective.unclicked, [1, 1 / third])


def test_short_lists_do_not_pass_for_bias():
    """Half of the lists end at position 2: the ratios are those of the full half."""
    full = lists((4,) * 3, y=np.float32([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]))
    both = TrainingData(
        np.zeros((18, 1), np.float32),
        np.r_[full.y, np.float32([1, 0, 0, 1, 0, 1])],
        np.array([4, 4, 4, 2, 2, 2]),
        position=np.r_[full.position, np.tile(np.int32([0, 1]), 3)],
    )
    objective = PairwiseObjective(both)
    objective.gradients(np.zeros(18))
    _, _, loss = oracle(both, np.zeros(18), PairwiseObjective(both))
    shown = np.array([6, 6, 3, 3])
    sums = loss * shown
    by_sum = (sums[0] / sums[0, 0]) ** objective.power
    assert objective.clicked[3] == pytest.approx(by_sum[3] * 2**objective.power)


def test_a_side_without_pairs_at_a_position_is_reported_as_null_and_counts_one():
    data = lists((3, 3), y=np.float32([0, 1, 0, 0, 1, 0]))
    objective = PairwiseObjective(data)
    objective.gradients(np.zeros(6))
    table = objective.pair_bias()
    assert table["clicked"].to_list() == [None, 1.0, None]
    assert table["unclicked"].to_list()[1] is None
    assert objective.clicked.tolist() == [1, 1, 1]


def test_gaps_between_positions_stay_and_far_positions_share_their_ratio():
    position = np.int32([0, 3, 9, MAX_POSITIONS - 1, MAX_POSITIONS, 7000])
    data = lists((6, 6), position=np.tile(position, 2))
    objective = check(data)
    assert objective.pair_bias()["position"].to_list() == [0, 3, 9, MAX_POSITIONS - 1]


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [("pbm", 1 / np.arange(1, 11)), ("none", np.ones(10))],
)
def test_clicked_ratios_follow_the_examination_of_simulated_clicks(clicks, expected):
    """Random orders: relevance does not depend on the position; scores are the relevance."""
    generator = np.random.default_rng(0)
    n, size = 5000, 10
    relevance = generator.random((n, size))
    y = (generator.random((n, size)) < relevance * expected).astype(np.float32)
    mixed = (y.max(axis=1) > 0) & (y.min(axis=1) < 1)
    y, relevance = y[mixed].ravel(), relevance[mixed].ravel()
    position = np.tile(np.arange(size, dtype=np.int32), mixed.sum())
    data = TrainingData(
        np.zeros((len(y), 1), np.float32), y, np.full(mixed.sum(), size), position=position
    )
    objective = PairwiseObjective(data)
    for _ in range(20):
        objective.gradients(relevance)
    if clicks == "none":
        np.testing.assert_allclose(objective.clicked, 1, atol=0.15)
        np.testing.assert_allclose(objective.unclicked, 1, atol=0.15)
        return
    assert (np.diff(objective.clicked[:6]) < 0).all()
    assert np.corrcoef(np.log(objective.clicked), np.log(expected))[0, 1] > 0.99
    np.testing.assert_allclose(objective.clicked, expected, rtol=0.3)
    np.testing.assert_allclose(objective.history[-1], objective.history[-2], rtol=1e-9)


# Order and threads


def test_rows_out_of_position_order_get_what_sorted_rows_get():
    data = lists((10, 40, 6), grades=3)
    generator = np.random.default_rng(5)
    ends = np.cumsum(data.group)
    parts = zip(ends - data.group, ends, strict=True)
    shuffle = np.concatenate([generator.permutation(np.arange(a, b)) for a, b in parts])
    mixed = replace(data, y=data.y[shuffle], position=data.position[shuffle])
    one, two = PairwiseObjective(data), PairwiseObjective(mixed)
    for seed in range(3):
        scores = np.round(some_scores(data, seed)) if seed else np.zeros(len(data.y))
        expected = one.gradients(scores)
        found = two.gradients(scores[shuffle])
        np.testing.assert_array_equal(found[0], expected[0][shuffle])
        np.testing.assert_array_equal(found[1], expected[1][shuffle])
    np.testing.assert_allclose(two.clicked, one.clicked, rtol=1e-12)


def test_the_order_of_executions_changes_nothing_but_rounding(pairs):
    turned = pairs.take(np.random.default_rng(0).permutation(pairs.n_executions))
    one, two = (PairwiseObjective(session_data(found, position=True)) for found in (pairs, turned))
    for objective in (one, two):
        objective.gradients(np.zeros(len(objective._gradient)))
    np.testing.assert_allclose(two.clicked, one.clicked, rtol=1e-10)
    np.testing.assert_allclose(two.unclicked, one.unclicked, rtol=1e-10)


def test_threads_change_no_bit(make_pairs):
    data = session_data(make_pairs(4000), position=True)
    one, three = PairwiseObjective(data), PairwiseObjective(data, threads=3)
    assert three._threads == 3
    for seed in range(3):
        scores = some_scores(data, seed)
        for a, b in zip(one.gradients(scores), three.gradients(scores), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.history, three.history)


# Training without the ranker


def train(pairs, **params):
    data = session_data(pairs, position=True)
    settings = {
        "num_iterations": 10,
        "min_data_in_leaf": 20,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        **params,
    }
    train_set = lightgbm_dataset(data, pairs.feature_names, [], settings)
    return train_pairwise(train_set, data, settings)


def test_a_booster_and_its_ratios_are_trained_without_a_ranker(pairs):
    booster, bias = train(pairs)
    assert booster.num_trees() == 10
    assert bias.schema == {"position": pl.Int32, "clicked": pl.Float64, "unclicked": pl.Float64}
    assert bias["position"].to_list() == list(range(10))
    assert bias.row(0) == (0, 1.0, 1.0)
    assert bias["clicked"][9] < 0.7


@pytest.mark.parametrize(
    "params",
    [
        {"sigmoid": 3.0},
        {"lambdarank_truncation_level": 1},
        {"lambdarank_norm": False},
        {"label_gain": [0, 7], "sigmoid": 2},
    ],
    ids=str,
)
def test_lambdaranks_parameters_hold_here_too(pairs, params):
    plain, changed = train(pairs)[0], train(pairs, **params)[0]
    assert (plain.predict(pairs.X) != changed.predict(pairs.X)).any()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"sigmoid": 0}, "'sigmoid': expected a number above 0, got 0"),
        ({"sigmoid": "steep"}, "'sigmoid': expected a number above 0, got 'steep'"),
        ({"lambdarank_truncation_level": 0}, "'lambdarank_truncation_level': expected a whole"),
        ({"lambdarank_norm": "false"}, "'lambdarank_norm': expected True or False, got 'false'"),
        ({"label_gain": [1]}, "label_gain: grade 1 needs 2 gains"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(pairs, params, says):
    with pytest.raises(InvalidInputError, match=says):
        train(pairs, **params)


def test_data_without_positions_or_weight_are_refused(pairs):
    data = session_data(pairs, position=False)
    with pytest.raises(InvalidInputError, match="needs positions"):
        PairwiseObjective(data)
    weightless = lists(weight=np.zeros(23, dtype=np.float32))
    with pytest.raises(InvalidInputError, match="every weight is 0"):
        PairwiseObjective(weightless)
