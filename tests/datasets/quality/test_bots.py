"""Bots are found in logs that have some, never in logs that have none, and leave no trace."""

import itertools
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from scipy.stats import chi2

from rankloom import PositionBias, load_pairs, simulate_interactions
from rankloom.datasets import relevance_of_grade, simulate_catalogue, true_examination
from rankloom.datasets.quality.bots import ClickLists, _chi_square_999, find_bots
from rankloom.datasets.quality.click_mixture import ClickMixture, ClickUnits, HonestUnits
from rankloom.datasets.simulation.clicks import sample_clicks
from rankloom.errors import InvalidInputError

GRADES = np.repeat([0, 1, 2, 3, 4], [55, 20, 13, 8, 4])


def clicks_on(
    n, size, seed=0, *, click_model="pbm", attractiveness=(0.1, 1.0), examination=None, sort=0.5
):
    """Return clicks (n, size) on lists of 100 queries, which a noisy ranker orders."""
    rng = np.random.default_rng(seed)
    grades = rng.choice(GRADES, (100, 3, 30))
    order = np.argsort(-(sort * grades + rng.normal(size=grades.shape)), axis=2)[:, :, :size]
    lists = np.take_along_axis(grades, order, 2)[rng.integers(0, 100, n), rng.integers(0, 3, n)]
    relevance = relevance_of_grade(lists, max_grade=4)
    curve = np.broadcast_to(true_examination(size, examination), relevance.shape)
    return sample_clicks(click_model, relevance, curve, attractiveness, rng), rng


def judged(clicked, user=None):
    n, size = clicked.shape
    position = np.tile(np.arange(size, dtype=np.int32), n)
    user = np.full(n, -1) if user is None else user
    group = np.full(n, size, np.int32)
    return find_bots(ClickLists(group, position, clicked.ravel(), user.astype(np.int32)))


HONEST = [
    *({"click_model": model, "size": size, "n": 2_000}
      for model in ("pbm", "trust", "cascade", "dbn", "random", "last")
      for size in (1, 3, 10)),
    *({"click_model": model, "size": 10, "n": 1_500, "attractiveness": clicked}
      for model in ("pbm", "cascade", "dbn")
      for clicked in ((0.02, 0.3), (0.3, 0.9), (0.5, 1.0))),
    *({"size": 10, "n": 1_500, "examination": curve, "attractiveness": clicked}
      for curve in (0.0, 0.5, (1.0, 0.9, 0.8))
      for clicked in ((0.02, 0.3), (0.1, 1.0), (0.5, 1.0))),
    *({"size": size, "n": n} for size in (5, 20) for n in (20, 100, 500)),
    *({"size": 10, "n": 1_500, "sort": sort} for sort in (0.0, 3.0)),
    *({"size": 10, "n": 60, "attractiveness": (0.5, 1.0)} for _ in range(6)),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(len(HONEST)))
def test_honest_logs_have_no_bots(seed):
    """Neither lists nor users: short lists, high click rates, small logs, every click model."""
    clicked, rng = clicks_on(seed=seed, **HONEST[seed])
    found = judged(clicked, rng.integers(0, max(len(clicked) // 20, 2), len(clicked)))
    assert (found.lists.sum(), found.users, found.notes(dropped=False)) == (0, 0, [])


def test_there_are_at_least_50_honest_logs():
    assert len(HONEST) >= 50


@pytest.mark.parametrize("kind", ["appeal", "devices", "eager"])
def test_readers_who_differ_from_each_other_are_no_bots(kind):
    """Lists of one kind click ten times as often, a device reads everything, a few are eager."""
    rng = np.random.default_rng(0)
    curve = 1 / np.arange(1, 11)
    if kind == "appeal":
        chance = curve * np.where(rng.random((4_000, 1)) < 0.1, 0.95, 0.1)
    elif kind == "devices":
        appeal = np.linspace(0.6, 0.25, 10)
        chance = appeal * np.where(rng.random((4_000, 1)) < 0.2, 1.0, curve)
    else:
        chance = expit(np.log(curve / 2) + 1.5 * rng.normal(size=(4_000, 1)))
    found = judged(rng.random(chance.shape) < chance)
    assert found.lists.sum() == 0


@pytest.mark.parametrize(
    ("share", "rate", "click_model"),
    [
        *itertools.product((0.02, 0.05, 0.1), (0.5, 0.9), ("pbm", "trust", "cascade")),
        (0.05, 0.9, "random"),
        (0.05, 0.9, "last"),
    ],
)
def test_lists_that_click_much_wherever_documents_stand_are_found(share, rate, click_model):
    clicked, rng = clicks_on(4_000, 10, seed=7, click_model=click_model)
    bot = rng.random(len(clicked)) < share
    clicked[bot] = rng.random((bot.sum(), 10)) < rate
    found = judged(clicked).lists
    assert found[bot].mean() > (0.65 if rate == 0.5 else 0.97)
    assert found[~bot].mean() < 0.008


@pytest.mark.parametrize("size", [3, 10])
@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_users_that_click_much_are_found_by_all_their_lists(size, rate):
    """Three documents a list say too little by themselves."""
    clicked, rng = clicks_on(6_000, size, seed=3)
    user = rng.integers(0, 200, len(clicked))
    bot = user < 6
    clicked[bot] = rng.random((bot.sum(), size)) < rate
    found = judged(clicked, user)
    assert (found.users, found.users_known) == (6, 200)
    assert found.lists[bot].all()
    assert found.lists[~bot].mean() < 0.003
    (note,) = found.notes(dropped=True)
    assert "6 of 200 users (3.0%)" in note
    assert note.endswith("were left out")


def test_one_eager_list_in_a_small_log_is_no_evidence():
    clicked, _ = clicks_on(60, 10)
    clicked[0] = np.arange(10) % 2
    assert judged(clicked).lists.sum() == 0


def test_lists_of_one_document_are_never_judged():
    """Of a list of one document nothing says whether it was clicked for its place."""
    clicked, rng = clicks_on(3_000, 1)
    user = rng.integers(0, 50, len(clicked))
    clicked[user < 3] = True
    assert judged(clicked, user).lists.sum() == 0


def test_more_lists_than_are_sampled_are_judged_one_by_one():
    clicked, rng = clicks_on(50_000, 8)
    bot = rng.random(len(clicked)) < 0.03
    clicked[bot] = rng.random((bot.sum(), 8)) < 0.9
    first, again = judged(clicked), judged(clicked)
    assert first.lists[bot].mean() > 0.97
    assert first.lists[~bot].mean() < 0.002
    assert (first.lists == again.lists).all()


def test_lists_of_any_size_and_any_positions_are_judged():
    rng = np.random.default_rng(1)
    group = rng.integers(0, 60, 3_000).astype(np.int32)
    position = np.concatenate([np.sort(rng.choice(3_000, n, replace=False)) for n in group])
    bot = rng.random(3_000) < 0.04
    chance = np.where(np.repeat(bot, group), 0.8, 0.4 / np.sqrt(1 + position))
    clicked = rng.random(len(position)) < chance
    user = np.full(3_000, -1, np.int32)
    found = find_bots(ClickLists(group, position.astype(np.int32), clicked, user))
    judgeable = group >= 5
    assert found.lists[bot & judgeable].mean() > 0.97
    assert found.lists[~bot].mean() < 0.003
    assert found.lists[~judgeable].sum() == 0
    assert find_bots(ClickLists(group[:0], position[:0], clicked[:0], user[:0])).shown == 0


def test_honest_units_are_fitted_by_maximum_likelihood():
    """The rates by position and the spread between lists come back."""
    rng = np.random.default_rng(0)
    logit = np.array([0.5, -0.5, -1.0, -1.5, -2.0, -2.5])
    chance = expit(logit + 0.8 * rng.normal(size=(20_000, 1)))
    clicked = (rng.random(chance.shape) < chance).astype(float)
    units = ClickUnits(np.ones_like(clicked), clicked, np.ones(len(clicked)))
    mixture = ClickMixture(HonestUnits.start(units))
    mixture.fit(units)
    assert mixture.honest.logit == pytest.approx(logit, abs=0.08)
    assert mixture.honest.spread == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("freedom", [2, 5, 9, 33])
def test_the_quantile_of_chi_square(freedom):
    assert _chi_square_999(freedom) == pytest.approx(chi2.ppf(0.999, freedom), rel=0.03)


@pytest.fixture(scope="module")
def simulated_logs():
    """A log without and one with 4 % of lists that click half of what they show."""
    catalogue = simulate_catalogue(random_state=0)
    options = {"n_executions": 10_000, "random_state": 0, "interactions": "clicks"}
    return [
        simulate_interactions(catalogue, bots=bots, metadata=False, **options)
        for bots in (0.0, 0.04)
    ]


@pytest.mark.slow
def test_without_bots_the_curve_is_the_truth_again(simulated_logs):
    honest, mixed = simulated_logs
    assert load_pairs(honest).report.notes == []
    report = load_pairs(mixed).report
    (note,) = report.notes
    assert note.startswith(f"{report.bot_executions} of 10,000 executions (")
    assert "drop_bots=True leaves them out" in note
    assert 250 < report.bot_executions < 420
    truth = true_examination(10)
    for drop, inside in ((False, False), (True, True)):
        bias = PositionBias().fit(load_pairs(mixed, drop_bots=drop))
        within = (bias.band_lower_ <= truth) & (truth <= bias.band_upper_)
        assert within.all() == inside


def test_leaving_bots_out_is_reading_a_log_without_them(simulated_logs):
    mixed = simulated_logs[1]
    options = {"half_life": 5.0, "now": datetime(2025, 3, 1, tzinfo=UTC)}
    every, dropped = load_pairs(mixed), load_pairs(mixed, drop_bots=True, **options)
    report = dropped.report
    assert report.executions_dropped["likely bots"] == report.bot_executions
    assert report.executions == dropped.n_executions == every.n_executions - report.bot_executions
    assert (report.rows_kept, report.duplicates) == (every.report.rows_kept, 0)
    others = mixed.filter(pl.col("execution_id").is_in(dropped.execution_id.implode()))
    expected = load_pairs(others, **options)
    for name in ("y", "clicked", "position", "group", "time", "weight", "age_days"):
        assert getattr(dropped, name).tolist() == getattr(expected, name).tolist()
    assert dropped.document_id.to_list() == expected.document_id.to_list()
    assert load_pairs(mixed.sample(fraction=1, shuffle=True, seed=1), drop_bots=True).report == (
        load_pairs(mixed, drop_bots=True).report
    )


def test_the_users_of_a_log_are_judged_too():
    """Rows of an execution share its user, as an impression that names none does."""
    clicked, rng = clicks_on(3_000, 3, seed=5)
    user = rng.integers(0, 60, len(clicked))
    clicked[user < 3] = rng.random((int((user < 3).sum()), 3)) < 0.9
    shown = [
        {"execution_id": f"e{e}", "feature_id": f"d{k}", "position": k}
        for e in range(len(clicked))
        for k in range(3)
    ]
    clicks = [
        {**shown[3 * e + k], "interaction_type": ["click"], "user_id": f"u{user[e]}"}
        for e, k in np.argwhere(clicked)
    ]
    report = load_pairs(clicks, impressions=shown, drop_bots=True).report
    assert report.bot_users == 3
    assert "3 of 60 users (5.0%)" in report.notes[0]
    assert load_pairs(clicks, impressions=shown, context=["user_id"]).report.bot_users == 3
    without = [{**row, "user_id": None} for row in clicks]
    assert load_pairs(without, impressions=shown).report.bot_users == 0


def test_a_log_of_nothing_but_bots_is_no_log_with_bots():
    rng = np.random.default_rng(0)
    assert judged(rng.random((2_000, 10)) < 0.8).lists.sum() == 0


def test_drop_bots_is_true_or_false():
    with pytest.raises(InvalidInputError, match="drop_bots: expected True or False"):
        load_pairs([], drop_bots="yes")
