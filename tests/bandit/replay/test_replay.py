"""Replay: estimates of other weights against a world whose truth is known, and the gate."""

import json

import numpy as np
import polars as pl
import pytest

from rankloom._shared.clustered import ClusteredErrors
from rankloom.bandit import FusionBandit, FusionWeights, replay_weights
from rankloom.bandit.replay.estimates import RankDiscounts, contributions
from rankloom.bandit.replay.logged_lists import read_lists
from rankloom.bandit.replay.pools import Pools, max_unshown_score
from rankloom.errors import InvalidInputError
from tests.bandit.fusion_simulation import ARMS, World, log_of, served_weights

EQUAL = dict.fromkeys(ARMS, 1 / 3)
BETTER = dict(zip(ARMS, (0.7, 0.25, 0.05), strict=True))
WORSE = dict(zip(ARMS, (0.2, 0.2, 0.6), strict=True))


def gain_of(world, weights):
    """Return the true gain in DCG@10 over equal weights."""
    mine, equal = (np.array([each[arm] for arm in ARMS]) for each in (weights, EQUAL))
    return world.value(mine) - world.value(equal)


@pytest.fixture(scope="module")
def world():
    """Twelve queries, so that every one is asked often."""
    return World(0, queries=12, documents=20)


@pytest.fixture(scope="module")
def log(world):
    return log_of(world, 1500, 1)


# Estimates


@pytest.mark.slow
def test_intervals_cover_the_truth_and_are_as_wide_as_the_estimates_scatter(world):
    """Over 20 logs, for better and for worse weights."""
    for weights in (BETTER, WORSE):
        truth = gain_of(world, weights)
        found = [
            replay_weights(log_of(world, 500, seed), weights, baseline=EQUAL).metrics["DCG@10"]
            for seed in range(20)
        ]
        ends = np.array([each.interval for each in found])
        gains = np.array([each.gain for each in found])
        covered = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).sum()
        assert covered >= 14  # of 20 at 90 %; fewer with probability 0.002
        error = (ends[:, 1] - ends[:, 0]).mean() / 2 / 1.65
        assert 0.65 < gains.std(ddof=1) / error < 1.5
        assert abs(gains.mean() - truth) < 0.6 * error


def test_what_was_served_is_estimated_by_its_own_mean(log):
    """Its DCG is that of the clicks as they are, corrected for examination."""
    found = replay_weights(log, BETTER).metrics["clicks@10"]
    clicks = log.filter(pl.col("interaction_type").list.contains("click")).height
    assert found.baseline == pytest.approx(clicks / log["execution_id"].n_unique(), rel=0.03)


def test_weights_against_themselves_gain_exactly_nothing(log):
    found = replay_weights(log, BETTER, baseline=BETTER)
    for metric in found.metrics.values():
        assert metric.gain == 0
        assert metric.interval == (0, 0)
    assert not found.passed
    assert (found.sessions.improved, found.sessions.degraded) == (0, 0)
    assert found.sessions.p == 1


def test_only_ratios_of_weights_matter(log):
    doubled = {arm: 2 * weight for arm, weight in BETTER.items()}
    first, second = replay_weights(log, BETTER), replay_weights(log, doubled)
    assert first.to_dict() == second.to_dict()


def test_the_order_of_the_rows_and_their_repeats_change_nothing(log):
    shuffled = pl.concat([log, log.head(300)]).sample(fraction=1.0, shuffle=True, seed=4)
    first, second = (replay_weights(each, BETTER).to_dict() for each in (log, shuffled))
    assert json.dumps(first, sort_keys=True)[:200] == json.dumps(second, sort_keys=True)[:200]
    for name, metric in first["metrics"].items():
        assert metric["gain"] == pytest.approx(second["metrics"][name]["gain"], rel=1e-9)


# The gate


def test_a_better_candidate_passes_and_a_worse_one_does_not(log):
    better = replay_weights(log, BETTER, baseline=EQUAL)
    assert better.passed
    assert better.reasons == []
    assert better.method == "policy-aware"
    assert str(better).startswith("The gate passes: policy-aware")
    worse = replay_weights(log, WORSE, baseline=EQUAL)
    assert not worse.passed
    assert any("DCG@10" in reason for reason in worse.reasons)


def test_a_planted_channel_is_learnt_from_the_first_half_and_passes_on_the_second(log):
    half = log["timestamp"].quantile(0.5)
    bandit = FusionBandit(ARMS)
    bandit.update(log.filter(pl.col("timestamp") < half))
    snapshot = bandit.snapshot()
    assert max(snapshot.mean(), key=snapshot.mean().get) == "text"
    found = replay_weights(log, snapshot, baseline=EQUAL)
    assert found.passed
    assert found.left_out["up to the candidate's evidence"] == pytest.approx(750, abs=3)
    loaded = FusionWeights.from_json(snapshot.to_json())
    assert replay_weights(log, loaded, baseline=EQUAL).to_dict() == found.to_dict()


def test_the_candidates_own_evidence_does_not_let_it_pass(log):
    bandit = FusionBandit(ARMS)
    bandit.update(log)
    with pytest.raises(InvalidInputError, match="no list is later.*later=False"):
        replay_weights(log, bandit)
    found = replay_weights(log, bandit, baseline=EQUAL, later=False)
    assert found.metrics["DCG@10"].lower > 0
    assert not found.passed
    assert "evidence of the candidate" in found.reasons[0]


def test_without_any_difference_the_gate_passes_seldom():
    """In a world where all channels are the same noise, weights differ but are worth the same."""
    world = World(3, queries=12, documents=20, quality=(None, None, None))
    exact = gain_of(world, BETTER)
    passed = [
        replay_weights(log_of(world, 400, seed), BETTER, baseline=EQUAL).metrics["DCG@10"]
        for seed in range(16)
    ]
    assert sum(each.lower > exact for each in passed) <= 3  # 5 % each; more with probability 0.007


@pytest.mark.parametrize("tolerance", [0.0, 0.5])
def test_the_other_metrics_must_not_fall_beyond_the_tolerance(log, tolerance):
    found = replay_weights(log, BETTER, baseline=EQUAL, tolerance=tolerance)
    first, *others = found.metrics.values()
    assert (first.decides, first.limit) == (True, 0.0)
    assert all(not each.decides and each.limit == -tolerance for each in others)


# Overlap


def test_unserved_regions_give_a_statement_instead_of_an_interval(world):
    """Weights near equal ones say nothing of what the noise channel alone would have shown."""
    generator = np.random.default_rng(0)
    served, _ = served_weights(600, generator, explore=0, control=0, spread=2000)
    found = replay_weights(
        log_of(world, 600, 1, weights=served), dict(zip(ARMS, (0, 0, 1.0), strict=True))
    )
    assert found.overlap.certain < 0.5
    assert found.metrics["DCG@10"].interval is None
    assert "raise explore_pct" in found.statement
    assert not found.passed
    json.dumps(found.to_dict(), allow_nan=False)


def test_one_set_of_weights_for_all_says_nothing_of_others(world):
    served = np.tile([0.4, 0.3, 0.3], (300, 1))
    found = replay_weights(log_of(world, 300, 1, weights=served), BETTER)
    assert "same weights" in found.statement
    assert found.overlap.served_weights == 1


def test_lists_that_something_reorders_behind_the_fusion_are_not_trusted(log):
    turned = log.with_columns(position=9 - pl.col("position"))
    found = replay_weights(turned, BETTER)
    assert found.overlap.agreement < 0.1
    assert "reorders" in found.statement


def test_few_users_give_no_interval(world):
    found = replay_weights(log_of(world, 300, 1, size=5), BETTER)
    assert (found.clusters, found.clustered_by) == (5, "user")
    assert "5 clusters" in found.statement


def test_the_bound_of_what_was_never_shown_holds_for_every_such_document(world, log):
    lists = read_lists(log.filter(pl.col("user_id") < "u2"), ARMS)
    examination = 1.0 / (lists.position + 1.0)
    pools = Pools.of(lists, examination, by_query=True)
    names = sorted(log["feature_id"].unique().to_list())
    of_pool = pools.per_pool(lists.query)
    queries = sorted({f"q{q}" for q in range(len(world.x))})
    tight = 0
    for weights in np.random.default_rng(5).dirichlet(np.ones(3), 20):
        bound = max_unshown_score(lists, pools, np.tile(weights, (len(pools.lists), 1)))
        for pool, query in enumerate(of_pool):
            x = world.x[int(queries[query][1:])]
            shown = {int(names[d][1:]) for d in pools.document[pools.pool == pool]}
            others = [d for d in range(len(x)) if d not in shown]
            scores = x[others] @ weights
            assert (scores <= bound[pool] + 1e-4).all()
            tight += bool(len(scores)) and bound[pool] < 1.2 * weights.sum() * scores.max() + 0.2
    assert tight > 0


def test_the_bound_is_the_cut_itself_for_the_weights_that_were_served(world):
    served = np.tile([0.4, 0.3, 0.3], (100, 1))
    lists = read_lists(log_of(world, 100, 1, weights=served), ARMS)
    pools = Pools.of(lists, 1.0 / (lists.position + 1.0), by_query=True)
    bound = max_unshown_score(lists, pools, np.tile([0.4, 0.3, 0.3], (len(pools.lists), 1)))
    last = lists.x[9::10] @ [0.4, 0.3, 0.3]
    assert bound == pytest.approx(last[np.unique(pools.of_list, return_index=True)[1]])


def test_lists_that_show_everything_make_everything_certain(log):
    whole = log.with_columns(result_set_size=pl.lit(10, pl.Int32))
    assert replay_weights(whole, WORSE).overlap.certain == 1.0


# Without served weights


def test_without_served_weights_it_is_called_re_ranking_and_nothing_passes(world):
    found = replay_weights(log_of(world, 600, 1, logged=False), BETTER)
    assert found.method == "re-ranking"
    assert "plain re-ranking of shown lists" in str(found)
    assert not found.passed
    assert all(metric.interval is None for metric in found.metrics.values())
    assert found.overlap.certain is None


def test_re_ranking_by_hand():
    """Two documents; the click at position 1 counts 1/3 reward over its examination of 1/2."""
    rows = [
        {
            "execution_id": "e",
            "feature_id": name,
            "position": place,
            "interaction_type": ["impression", "click"] if place else ["impression"],
            "timestamp": "2026-01-31",
            "metadata": {"features": {"text": {"score": float(place)}}},
        }
        for place, name in enumerate("ab")
    ]
    found = replay_weights(rows, {"text": 1.0}, metrics=["dcg@10", "clicks@1"])
    assert found.metrics["DCG@10"].candidate == pytest.approx(2 / 3)
    assert found.metrics["DCG@10"].baseline == pytest.approx(2 / 3 / np.log2(3))
    assert found.metrics["clicks@1"].candidate == pytest.approx(2)
    assert found.metrics["clicks@1"].baseline == 0
    sessions = found.sessions
    assert (sessions.improved, sessions.degraded, sessions.unchanged) == (1, 0, 0)
    assert (sessions.mean_rank, sessions.mean_rank_before) == (1, 2)


def test_lists_without_scores_or_weights_are_left_out_and_counted(world, log):
    bare = log_of(world, 50, 9).with_columns(metadata=pl.lit(None, pl.String))
    plain = log_of(world, 40, 10, logged=False)
    found = replay_weights(pl.concat([log, bare, plain]), BETTER)
    assert found.lists == 1500
    assert found.left_out == {
        "a document without scores as fused": 50,
        "no served weights logged": 40,
    }
    with pytest.raises(InvalidInputError, match=r"metadata\.features"):
        replay_weights(bare, BETTER)


# Sessions and policies


def test_policies_are_compared_by_their_own_lists(world):
    log = log_of(world, 4000, 2, centre=(0.9, 0.08, 0.02), control=0.4, explore=0.1, size=2000)
    records = {each.policy: each for each in replay_weights(log, BETTER).policies}
    assert {name: each.reference for name, each in records.items()} == {
        "learned": "control",
        "explore": "control",
        "control": None,
    }
    clicks = 1 / np.arange(1, 11)
    truth = world.value(np.array([0.9, 0.08, 0.02]), clicks) - world.value(np.ones(3) / 3, clicks)
    low, high = records["learned"].interval
    assert low < truth < high
    assert low > 0


def test_sessions_gain_from_better_weights_once_corrected_for_examination(log):
    """Their counts favour what was shown, as clicks do; the mean over examination does not."""
    found = replay_weights(log, BETTER, baseline=EQUAL).sessions
    assert min(found.improved, found.degraded, found.unchanged) > 0
    assert found.difference > 0
    assert found.p < 0.01
    assert found.corrected_rank < found.corrected_rank_before


# Segments


def test_snapshots_weigh_every_segment_by_its_own_posterior(world):
    """Phones like what text finds; desktops what the noise channel finds."""
    phones, desktops = log_of(world, 700, 1), log_of(World(8, 12, 20, (None, 2.0, 1.0)), 700, 2)
    log = pl.concat(
        [
            each.with_columns(
                metadata=pl.col("metadata").str.replace(r"^\{", f'{{"device": "{name}", ')
            )
            for name, each in (("phone", phones), ("desktop", desktops))
        ]
    )
    half = log["timestamp"].quantile(0.5)
    bandit = FusionBandit(ARMS, segment_by=["device"])
    bandit.update(log.filter(pl.col("timestamp") < half))
    snapshot = bandit.snapshot()
    apart = replay_weights(log, snapshot, baseline=snapshot.mean())
    assert apart.metrics["DCG@10"].gain > 0.01
    assert apart.queries == 12


# Wrong arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": ["ndcg@10"]}, "ndcg@10"),
        ({"metrics": []}, "metrics"),
        ({"baseline": "production"}, "production"),
        ({"baseline": {"text": 1.0}}, "baseline"),
        ({"confidence": 0.5}, "confidence"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"examination": [0.5]}, "examination"),
    ],
)
def test_wrong_options_are_refused(log, options, words):
    with pytest.raises(InvalidInputError, match=words):
        replay_weights(log.head(50), BETTER, **options)


def test_something_that_holds_no_weights_is_refused(log):
    with pytest.raises(InvalidInputError, match="FusionWeights"):
        replay_weights(log.head(50), 0.5)


# Standard errors in closed form


def test_lists_that_stand_alone_deviate_by_what_they_brought(world):
    """Then the estimate is a plain mean of inverse-propensity sums, and so is its error."""
    lists = read_lists(log_of(world, 200, 1), ARMS)
    examination = 1.0 / (lists.position + 1.0)
    pools = Pools.of(lists, examination, by_query=False)
    discounts = RankDiscounts(1.0 / np.log2(pools.ranks(pools.x @ [0.7, 0.2, 0.1]) + 2.0))
    found = contributions(pools, lists.execution, lists.gain, discounts)
    brought = discounts.document[pools.of_row] * lists.gain / examination
    sums = np.bincount(lists.execution, weights=brought)
    assert found.value == pytest.approx(sums.mean())
    assert found.influence == pytest.approx(sums - sums.mean(), abs=1e-12)
    error = ClusteredErrors(np.arange(200)).standard_error(found.influence)
    assert error == pytest.approx(sums.std(ddof=1) / np.sqrt(200))
