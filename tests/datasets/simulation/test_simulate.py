"""Simulated logs: valid records, known click frequencies, exact shares, one frame per seed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from rankloom.datasets import (
    click_probability,
    load_pairs,
    relevance_of_grade,
    simulate_catalogue,
    simulate_interactions,
    true_examination,
)
from rankloom.datasets.simulation.events import AFTER_CLICK, FLAWS, OTHER_MIX
from rankloom.errors import InvalidInputError

SCHEMA = {
    "feature_id": pl.String,
    "interaction_type": pl.List(pl.String),
    "position": pl.Int32,
    "metadata": pl.String,
    "user_id": pl.String,
    "session_id": pl.String,
    "execution_id": pl.String,
    "retriever_id": pl.String,
    "query_snapshot": pl.String,
    "document_score": pl.Float64,
    "result_set_size": pl.Int32,
    "feature_uri": pl.String,
    "occurred_at": pl.Datetime("us"),
    "timestamp": pl.Datetime("us"),
    "interaction_id": pl.String,
}
LIST_LEVEL = ["query_refinement", "filter_toggle", "zero_results"]
TYPES = ["impression", "click", *AFTER_CLICK, *OTHER_MIX]


@pytest.fixture(scope="module")
def catalogue():
    return simulate_catalogue(n_queries=40, n_documents=15, random_state=5)


@pytest.fixture(scope="module")
def log(catalogue):
    return simulate_interactions(catalogue, n_executions=4000, random_state=1)


def has(name):
    return pl.col("interaction_type").list.contains(name)


def invalid(frame):
    """Return the rows that break a rule of the record, checked independently of the library."""
    types = pl.col("interaction_type")
    size = pl.col("result_set_size")
    sound = (
        (pl.col("feature_id").str.len_chars() > 0)
        & (types.list.len() > 0)
        & types.list.eval(pl.element().is_in(TYPES)).list.all()
        & (pl.col("position") >= 0)
        & (pl.col("document_score").is_null() | pl.col("document_score").is_finite())
        & ((size >= 1) | ((size == 0) & has("zero_results")))
        & pl.col("occurred_at").is_not_null()
    )
    return frame.filter(~sound.fill_null(value=False))


def shown_documents(frame, catalogue):
    """Return one row per shown document: execution, position, whether clicked, relevance."""
    relevance = relevance_of_grade(catalogue["grade"])
    return (
        frame.filter(pl.col("feature_id") != "list")
        .group_by("execution_id", "feature_id")
        .agg(
            pl.col("position").first(),
            pl.col("position").n_unique().alias("positions"),
            clicked=has("click").any(),
            shown=has("impression").sum(),
            device=pl.col("metadata").first().str.json_path_match("$.device"),
        )
        .join(catalogue.select("feature_id", relevance=pl.Series(relevance)), on="feature_id")
    )


def assert_frequencies(shown, expected):
    """Compare clicks per (position, relevance) with probabilities, within binomial error."""
    cells = shown.group_by("position", "relevance").agg(n=pl.len(), clicks=pl.col("clicked").sum())
    assert len(cells) >= 40
    for position, relevance, n, clicks in cells.iter_rows():
        p = expected(position, relevance)
        assert abs(clicks - n * p) <= 4.5 * np.sqrt(n * p * (1 - p)) + 1


def test_columns_are_the_canonical_ones(log):
    assert dict(log.schema) == SCHEMA


def test_every_row_is_valid_where_nothing_is_dirty(log):
    assert invalid(log).is_empty()


def test_rows_are_in_time_order_and_arrive_after_they_happened(log):
    assert log["occurred_at"].is_sorted()
    assert (log["timestamp"] > log["occurred_at"]).all()


def test_all_documented_types_occur_in_a_long_log(log):
    assert set(log["interaction_type"].explode()) == set(TYPES)


def test_ids_are_unique_and_as_long_as_real_ones(log):
    assert log["interaction_id"].n_unique() == log.height
    lengths = pl.concat([log[name] for name in ("interaction_id", "execution_id", "session_id")])
    assert lengths.str.len_chars().is_between(28, 36).all()


def test_executions_that_show_a_list_are_n_executions(log):
    assert log.filter(has("impression"))["execution_id"].n_unique() == 4000


def test_each_execution_shows_each_of_its_positions_once(log, catalogue):
    shown = shown_documents(log, catalogue)
    assert (shown["shown"] == 1).all()
    assert (shown["positions"] == 1).all()
    lists = shown.group_by("execution_id").agg(pl.col("position").sort())
    assert (lists["position"].list.len() == 10).all()
    assert (lists["position"].list.n_unique() == 10).all()


def test_an_execution_has_one_session_user_query_and_device(log):
    per_execution = log.group_by("execution_id").agg(
        pl.col("session_id", "user_id", "query_snapshot").n_unique(),
        pl.col("metadata").str.json_path_match("$.device").n_unique().alias("device"),
    )
    assert (per_execution.drop("execution_id").max_horizontal() == 1).all()


def test_documents_belong_to_the_query_of_their_execution(log, catalogue):
    query = pl.col("query_snapshot").str.json_path_match("$.query").alias("query_text")
    joined = log.filter(pl.col("feature_id") != "list").join(catalogue, on="feature_id")
    assert joined.select((query == pl.col("query")).all()).item()


def test_executions_with_zero_results_show_nothing_and_say_size_zero(log):
    empty = log.filter(has("zero_results"))
    assert (empty["result_set_size"] == 0).all()
    alone = log.filter(pl.col("execution_id").is_in(empty["execution_id"].implode()))
    assert alone.height == empty.height
    assert 15 <= empty.height <= 75  # binomial(4000, 0.01)


def test_rows_about_the_list_name_no_document(log, catalogue):
    of_list = log.filter(pl.col("interaction_type").list.first().is_in(LIST_LEVEL))
    assert not of_list["feature_id"].is_in(catalogue["feature_id"].implode()).any()
    assert of_list["document_score"].is_null().all()


def test_documents_are_shown_in_the_order_of_their_score(log):
    shown = log.filter(has("impression")).sort("execution_id", "position")
    step = shown["document_score"].diff().to_numpy()
    same = (shown["execution_id"] == shown["execution_id"].shift()).fill_null(value=False)
    assert (step[same.to_numpy()] <= 0).all()


def test_about_eight_percent_of_rows_hold_several_types(log):
    share = (log["interaction_type"].list.len() > 1).mean()
    assert share == pytest.approx(0.08, abs=0.01)


@pytest.mark.parametrize("interactions", ["all", "clicks"])
def test_share_of_rows_with_several_types_is_the_given_one(catalogue, interactions):
    frame = simulate_interactions(
        catalogue,
        n_executions=3000,
        random_state=2,
        several_types=0.04,
        interactions=interactions,
    )
    assert (frame["interaction_type"].list.len() > 1).mean() == pytest.approx(0.04, abs=0.006)


def test_clicks_alone_on_request():
    frame = simulate_interactions(
        n_executions=300, random_state=0, interactions="clicks", several_types=0.0
    )
    assert set(frame["interaction_type"].list.join("|")) == {"impression", "click"}


@pytest.mark.parametrize("model", ["pbm", "trust"])
def test_click_frequencies_by_position_and_grade_match_the_closed_form(catalogue, model):
    frame = simulate_interactions(
        catalogue,
        n_executions=20_000,
        random_state=3,
        click_model=model,
        examination=0.7,
        interactions="clicks",
        metadata=False,
    )

    def expected(position, relevance):
        lists = np.full(10, relevance)
        return click_probability(lists, click_model=model, examination=0.7)[position]

    assert_frequencies(shown_documents(frame, catalogue), expected)


@pytest.mark.parametrize("model", ["cascade", "dbn", "last"])
def test_clicks_of_list_models_match_the_mean_of_their_closed_form(catalogue, model):
    """The probability depends on the whole list, so it is averaged over the lists shown."""
    frame = simulate_interactions(
        catalogue, n_executions=20_000, random_state=4, click_model=model, interactions="clicks"
    )
    shown = shown_documents(frame, catalogue).sort("execution_id", "position")
    probability = click_probability(
        shown["relevance"].to_numpy().reshape(-1, 10), click_model=model
    )
    clicks = shown["clicked"].to_numpy().reshape(-1, 10)
    error = np.sqrt((probability * (1 - probability)).sum(axis=0)) + 1
    assert (np.abs(clicks.sum(axis=0) - probability.sum(axis=0)) <= 4.5 * error).all()


def test_random_clicks_depend_on_nothing(catalogue):
    frame = simulate_interactions(
        catalogue, n_executions=8000, random_state=4, click_model="random", metadata=False
    )
    assert_frequencies(shown_documents(frame, catalogue), lambda _position, _relevance: 0.15)


def test_a_function_decides_the_clicks():
    def relevant_only(relevance, _examination, _rng):
        return relevance == 1.0

    catalogue = simulate_catalogue(n_queries=20, random_state=0)
    frame = simulate_interactions(
        catalogue, n_executions=500, random_state=0, click_model=relevant_only
    )
    shown = shown_documents(frame, catalogue)
    assert (shown["clicked"] == (shown["relevance"] == 1.0)).all()


def test_each_device_has_its_own_examination_curve(catalogue):
    curves = {"phone": [1.0, 0.4, 0.1], "desk": [1.0, 0.9, 0.8]}
    context = {
        "device": {
            "phone": {"share": 0.25, "examination": curves["phone"]},
            "desk": {"share": 0.75, "examination": curves["desk"]},
        }
    }
    frame = simulate_interactions(
        catalogue, n_executions=16_000, random_state=6, context=context, interactions="clicks"
    )
    shown = shown_documents(frame, catalogue)
    assert (shown["device"] == "phone").mean() == pytest.approx(0.25, abs=0.02)
    for device, curve in curves.items():
        e = true_examination(10, curve)
        assert_frequencies(
            shown.filter(pl.col("device") == device),
            lambda position, relevance, e=e: e[position] * (0.1 + 0.9 * relevance),
        )


def test_context_columns_are_independent_and_written_to_the_metadata():
    context = {"device": {"a": 1, "b": 3}, "country": {"x": 0.5, "y": 0.5, "never": 0}}
    frame = simulate_interactions(n_executions=6000, random_state=0, context=context)
    values = frame.unique("session_id").select(
        pl.col("metadata").str.json_path_match(f"$.{name}").alias(name) for name in context
    )
    shares = values.group_by("device", "country").agg(share=pl.len() / values.height)
    expected = {("a", "x"): 1 / 8, ("a", "y"): 1 / 8, ("b", "x"): 3 / 8, ("b", "y"): 3 / 8}
    assert {(d, c): pytest.approx(s, abs=0.04) for d, c, s in shares.iter_rows()} == expected


def test_one_ranker_never_moves_a_document_within_a_query(catalogue):
    frame = simulate_interactions(catalogue, n_executions=2000, random_state=1, rankers=1)
    positions = (
        frame.filter(has("impression")).group_by("feature_id").agg(pl.col("position").n_unique())
    )
    assert (positions["position"] == 1).all()


def test_three_rankers_show_many_documents_at_several_positions(log):
    positions = (
        log.filter(has("impression")).group_by("feature_id").agg(pl.col("position").n_unique())
    )
    assert (positions["position"] > 1).mean() > 0.5


def test_made_rankers_are_better_than_chance_and_differ(catalogue):
    frame = simulate_interactions(catalogue, n_executions=3000, random_state=1)
    shown = shown_documents(frame, catalogue)
    ranker = frame.unique("execution_id").select(
        "execution_id", ranker=pl.col("metadata").str.json_path_match("$.ranker")
    )
    quality = (
        shown.filter(pl.col("position") < 3)
        .join(ranker, on="execution_id")
        .group_by("ranker")
        .agg(pl.col("relevance").mean())["relevance"]
    )
    assert len(quality) == 3
    assert quality.min() > 1.3 * relevance_of_grade(catalogue["grade"]).mean()
    assert quality.n_unique() == 3


def test_metadata_names_the_ranker_that_made_the_list(log):
    per_ranker = (
        log.filter(has("impression"))
        .group_by("feature_id", pl.col("metadata").str.json_path_match("$.ranker"))
        .agg(pl.col("document_score", "position").n_unique())
    )
    assert set(per_ranker["metadata"]) == {"ranker-0", "ranker-1", "ranker-2"}
    assert (per_ranker["document_score"] == 1).all()
    assert (per_ranker["position"] == 1).all()


def test_scores_given_by_the_caller_decide_the_lists(catalogue):
    scores = np.random.default_rng(0).random((catalogue.height, 2))
    frame = simulate_interactions(
        catalogue, n_executions=400, random_state=0, rankers=scores, list_size=4
    )
    best = [
        catalogue.with_columns(score=pl.Series(scores[:, j]))
        .sort("query", "score", descending=[False, True])
        .group_by("query", maintain_order=True)
        .agg(pl.col("feature_id").head(4))
        for j in range(2)
    ]
    allowed = {(query, tuple(ids)) for table in best for query, ids in table.iter_rows()}
    lists = (
        frame.filter(has("impression"))
        .sort("execution_id", "position")
        .group_by("execution_id", maintain_order=True)
        .agg(pl.col("query_snapshot").first().str.json_path_match("$.query"), "feature_id")
    )
    combinations = {
        (query, tuple(ids))
        for query, ids in lists.select("query_snapshot", "feature_id").iter_rows()
    }
    assert combinations <= allowed
    assert len(combinations) > 50


def test_equal_scores_keep_the_order_of_the_catalogue(catalogue):
    frame = simulate_interactions(
        catalogue, n_executions=50, random_state=0, rankers=np.zeros(catalogue.height)
    )
    shown = frame.filter(has("impression"))
    number = shown["feature_id"].str.slice(-3).cast(pl.Int32)
    assert (number == shown["position"]).all()


def test_rows_of_a_query_need_not_be_neighbours(catalogue):
    mixed = catalogue.sample(fraction=1.0, shuffle=True, seed=0)
    scores = mixed["f0"].fill_nan(0.0).to_numpy()
    frame = simulate_interactions(mixed, n_executions=300, random_state=0, rankers=scores)
    joined = frame.filter(has("impression")).join(mixed, on="feature_id")
    assert joined["document_score"].to_list() == joined["f0"].fill_nan(0.0).to_list()


def test_short_lists_are_shown_whole_and_can_be_left_out(catalogue):
    small = pl.concat([catalogue.head(15), catalogue.slice(15, 4)])
    whole = simulate_interactions(small, n_executions=200, random_state=0, rankers=1)
    sizes = whole.filter(has("impression")).group_by("execution_id").len()["len"]
    assert set(sizes) == {10, 4}
    only_long = simulate_interactions(
        small, n_executions=200, random_state=0, rankers=1, min_documents=10
    )
    sizes = only_long.filter(has("impression")).group_by("execution_id").len()["len"]
    assert set(sizes) == {10}


def test_same_seed_gives_the_same_frame_and_another_seed_another():
    first = simulate_interactions(n_executions=200, random_state=9, duplicates=0.1, dirty=0.1)
    again = simulate_interactions(n_executions=200, random_state=9, duplicates=0.1, dirty=0.1)
    other = simulate_interactions(n_executions=200, random_state=10, duplicates=0.1, dirty=0.1)
    assert_frame_equal(first, again)
    assert first.height != other.height or not first.equals(other)


def test_a_generator_is_drawn_from_and_moves_on():
    rng = np.random.default_rng(0)
    first = simulate_interactions(n_executions=50, random_state=rng)
    second = simulate_interactions(n_executions=50, random_state=rng)
    assert_frame_equal(
        first, simulate_interactions(n_executions=50, random_state=np.random.default_rng(0))
    )
    assert not set(first["execution_id"]) & set(second["execution_id"])


def test_without_a_catalogue_the_one_of_the_same_seed_is_used():
    implicit = simulate_interactions(n_executions=100, random_state=7)
    explicit = simulate_interactions(
        simulate_catalogue(random_state=7), n_executions=100, random_state=7
    )
    assert_frame_equal(implicit, explicit)


def test_chunks_do_not_collide(catalogue):
    chunks = [
        simulate_interactions(catalogue, n_executions=100, random_state=s, id_prefix=f"c{s}-")
        for s in range(3)
    ]
    together = pl.concat(chunks)
    for name in ("interaction_id", "execution_id", "session_id"):
        assert together[name].n_unique() == sum(chunk[name].n_unique() for chunk in chunks)
    assert chunks[1]["execution_id"].str.starts_with("c1-").all()


@pytest.mark.parametrize("share", [0.03, 0.5])
def test_duplicates_are_exactly_the_share_and_repeat_within_five_minutes(catalogue, share):
    frame = simulate_interactions(
        catalogue, n_executions=1000, random_state=1, duplicates=share
    ).with_columns(types=pl.col("interaction_type").list.sort().list.join("|"))
    keys = ["execution_id", "feature_id", "types"]
    groups = frame.group_by(keys).agg(
        n=pl.len(), apart=pl.col("occurred_at").max() - pl.col("occurred_at").min()
    )
    copies = (groups["n"] - 1).sum()
    assert copies == round(share * (frame.height - copies))
    assert groups["n"].max() == 2
    apart = groups.filter(pl.col("n") == 2)["apart"]
    assert apart.min() > timedelta(0)
    assert apart.max() < timedelta(minutes=5)
    assert frame["interaction_id"].n_unique() == frame.height


def test_dirty_rows_are_exactly_the_share_and_broken_in_every_way(catalogue):
    frame = simulate_interactions(
        catalogue, n_executions=1000, random_state=1, dirty=0.02, duplicates=0.03
    )
    assert dict(frame.schema) == SCHEMA
    broken = invalid(frame)
    assert broken.height == round(0.02 * frame.height)
    sound = frame.join(broken, on="interaction_id", how="anti")
    keys = [pl.col("execution_id", "feature_id"), pl.col("interaction_type").list.sort()]
    copies = sound.height - sound.select(keys).unique().height
    assert copies == round(0.03 * (frame.height - copies))  # no repeated row is broken
    ways = {
        "negative position": pl.col("position") < 0,
        "unknown type": has("teleport"),
        "empty feature_id": pl.col("feature_id") == "",
        "infinite score": pl.col("document_score").is_infinite(),
        "no type": pl.col("interaction_type").list.len() == 0,
        "negative result_set_size": pl.col("result_set_size") < 0,
        "no feature_id": pl.col("feature_id").is_null(),
        "no position": pl.col("position").is_null(),
    }
    assert set(ways) == set(FLAWS)
    for way in ways.values():
        assert broken.filter(way).height == pytest.approx(broken.height / len(FLAWS), abs=1)


def test_load_pairs_finds_every_duplicate_and_every_broken_row(catalogue):
    of_lists = {"query_refinement": 0.0, "filter_toggle": 0.0, "zero_results": 0.0}
    frame = simulate_interactions(
        catalogue,
        n_executions=1000,
        random_state=1,
        dirty=0.02,
        duplicates=0.03,
        interaction_mix=of_lists,
    )
    pairs = load_pairs(frame, features=catalogue.drop("query", "grade"), context=("device",))
    report = pairs.report
    assert report.rows_read == frame.height
    # Of the rows that lack their position some have it in another row of their execution.
    assert report.quarantined + report.rows_placed == round(0.02 * frame.height)
    assert 0 < report.rows_placed < report.quarantined
    assert report.duplicates == round(0.03 * (frame.height - report.duplicates))
    assert len(report.quarantine_reasons) == len(FLAWS)
    assert pairs.n_executions == 1000
    assert pairs.query_code.max() < catalogue["query"].n_unique()


def test_follow_up_rates_grow_with_the_grade_as_they_are_documented(catalogue):
    frame = simulate_interactions(
        catalogue, n_executions=10_000, random_state=1, interaction_mix={"purchase": (0.1, 0.9)}
    )
    documents = (
        shown_documents(frame, catalogue)
        .filter("clicked")
        .join(
            frame.group_by("execution_id", "feature_id").agg(
                back=has("return_to_results").any(),
                dwell=has("dwell").any(),
                purchase=has("purchase").any(),
            ),
            on=["execution_id", "feature_id"],
        )
    )
    rates = {"back": (0.35, 0.03), "dwell": AFTER_CLICK["dwell"], "purchase": (0.1, 0.9)}
    for name, (low, high) in rates.items():
        for relevance in (0.0, 1.0):
            chosen = documents.filter(pl.col("relevance") == relevance)
            stayed = 1.0 if name == "back" else 1 - (0.35, 0.03)[int(relevance)]
            p = stayed * (low, high)[int(relevance)]
            error = np.sqrt(p * (1 - p) / chosen.height)
            assert abs(chosen[name].mean() - p) < 4.5 * error


def test_nothing_good_follows_a_return_to_the_results(log):
    per_document = log.group_by("execution_id", "feature_id").agg(
        back=has("return_to_results").any(), types=pl.col("interaction_type").explode()
    )
    types = per_document.filter("back")["types"].explode()
    assert not types.is_in(list(AFTER_CLICK)).any()


def test_a_type_can_be_turned_off():
    frame = simulate_interactions(
        n_executions=500, random_state=0, interaction_mix={"dwell": 0.0, "zero_results": 0.0}
    )
    assert not set(frame["interaction_type"].explode()) & {"dwell", "zero_results"}


def test_channel_scores_are_normalised_over_all_candidates_and_the_best_is_credited(catalogue, log):
    names = [name for name in catalogue.columns if "://" in name]
    low = pl.col(names).fill_nan(None).min().over("query")
    high = pl.col(names).fill_nan(None).max().over("query")
    expected = catalogue.select(
        "feature_id", ((pl.col(names).fill_nan(None) - low) / (high - low))
    ).rows_by_key("feature_id", unique=True, named=True)
    rows = log.filter(has("impression")).sample(300, seed=0)
    for row in rows.iter_rows(named=True):
        features = json.loads(row["metadata"])["features"]
        truth = {n: s for n, s in expected[row["feature_id"]].items() if s is not None}
        assert {n: v["score"] for n, v in features.items()} == pytest.approx(
            {n: truth[n] for n in truth if n in names}, abs=1e-5
        )
        best = max(features, key=lambda n: features[n]["score"]) if features else None
        assert row["feature_uri"] == best


def test_channels_can_be_given_made_or_left_out(catalogue):
    scores = np.linspace(0, 1, catalogue.height)
    given = simulate_interactions(
        catalogue, n_executions=20, random_state=0, channels={"my://a": scores}
    )
    made = simulate_interactions(catalogue, n_executions=20, random_state=0, channels=2)
    none = simulate_interactions(catalogue, n_executions=20, random_state=0, channels=())
    assert set(given["feature_uri"].drop_nulls()) == {"my://a"}
    assert set(made["feature_uri"].drop_nulls()) == {"mixpeek://text", "mixpeek://image"}
    assert none["feature_uri"].is_null().all()
    assert "features" not in json.loads(none["metadata"][0])


def test_lean_log_is_the_same_but_for_its_metadata(catalogue):
    full = simulate_interactions(catalogue, n_executions=200, random_state=0)
    without = simulate_interactions(catalogue, n_executions=200, random_state=0, metadata=False)
    assert without["metadata"].is_null().all()
    assert_frame_equal(full.drop("metadata"), without.drop("metadata"))


def test_times_cover_the_given_days_and_the_evening_is_busiest():
    start = datetime(2024, 5, 1)  # noqa: DTZ001
    frame = simulate_interactions(n_executions=4000, random_state=0, start=start, days=10)
    times = frame["occurred_at"]
    assert times.min() >= start
    assert times.max() < start + timedelta(days=10, hours=6)
    zoned = (start - timedelta(hours=5)).replace(tzinfo=timezone(timedelta(hours=-5)))
    again = simulate_interactions(n_executions=4000, random_state=0, start=zoned, days=10)
    assert again.equals(frame)
    assert times.dt.date().n_unique() >= 10
    hours = times.dt.hour()
    assert hours.is_between(18, 22).sum() > 2 * hours.is_between(6, 10).sum()


def test_sessions_hold_a_few_executions_minutes_apart(log):
    begins = log.group_by("session_id", "execution_id").agg(pl.col("occurred_at").min())
    sizes = begins.group_by("session_id").len()["len"]
    assert sizes.mean() == pytest.approx(2.5, abs=0.2)
    gaps = begins.sort("session_id", "occurred_at").select(
        pl.col("occurred_at").diff().over("session_id")
    )["occurred_at"]
    assert gaps.drop_nulls().min() > timedelta(0)
    assert gaps.drop_nulls().max() <= timedelta(minutes=21)


def test_users_come_back(catalogue):
    frame = simulate_interactions(catalogue, n_executions=1000, random_state=0, n_users=7)
    assert frame["user_id"].n_unique() == 7


def test_bots_click_half_of_what_they_see(catalogue):
    frame = simulate_interactions(catalogue, n_executions=2000, random_state=0, bots=1.0)
    assert shown_documents(frame, catalogue)["clicked"].mean() == pytest.approx(0.5, abs=0.02)


def test_catalogue_has_unique_documents_gaps_and_informative_features():
    catalogue = simulate_catalogue(n_queries=50, n_documents=20, n_features=6, random_state=0)
    assert catalogue["feature_id"].n_unique() == catalogue.height == 1000
    assert catalogue.schema["grade"] == pl.Int32
    shares = catalogue["grade"].value_counts(normalize=True).sort("grade")["proportion"]
    assert shares.to_list() == pytest.approx([0.55, 0.2, 0.13, 0.08, 0.04], abs=0.01)
    assert catalogue["f0"].is_nan().mean() == pytest.approx(0.05, abs=0.03)
    strength = [
        abs(catalogue.select(pl.corr("grade", pl.col(f"f{j}").fill_nan(0.0))).item())
        for j in range(6)
    ]
    assert min(strength[:3]) > 0.15
    assert max(strength[3:]) < 0.12


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"n_executions": 0}, "n_executions"),
        ({"list_size": 0}, "list_size"),
        ({"click_model": "pmb"}, "pbm"),
        ({"click_model": "cascade", "examination": 1.0}, "examination"),
        ({"click_model": "dbn", "examination": 1.0}, "examination"),
        ({"examination": [2.0]}, "examination"),
        ({"rankers": 0}, "rankers"),
        ({"rankers": [1.0, 2.0]}, "rankers"),
        ({"min_documents": 1000}, "min_documents"),
        ({"interactions": "some"}, "interactions"),
        ({"interaction_mix": {"purchas": 0.1}}, "purchase"),
        ({"interaction_mix": {"purchase": 1.1}}, "purchase"),
        ({"duplicates": -0.1}, "duplicates"),
        ({"dirty": 1.1}, "dirty"),
        ({"context": {"device": {}}}, "device"),
        ({"context": {"device": {"phone": "many"}}}, "phone"),
        ({"channels": ["nope"]}, "channels"),
        ({"channels": {"my://a": [1.0]}}, "my://a"),
        ({"several_types": 1.5}, "several_types"),
        ({"bots": 2.0}, "bots"),
        ({"days": 0.0}, "days"),
        ({"n_users": 0}, "n_users"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(options, word):
    with pytest.raises(InvalidInputError, match=word):
        simulate_interactions(**{"n_executions": 5, "random_state": 0, **options})


@pytest.mark.parametrize(
    "catalogue",
    [
        pl.DataFrame({"query": ["a"], "feature_id": ["b"]}),
        simulate_catalogue(n_queries=1).clear(),
        simulate_catalogue(n_queries=1).with_columns(grade=pl.lit("high")),
        simulate_catalogue(n_queries=1).with_columns(grade=pl.lit(None, dtype=pl.Int32)),
        simulate_catalogue(n_queries=1).with_columns(grade=pl.lit(-1)),
        simulate_catalogue(n_queries=1).select("query", "feature_id", "grade"),
        {"query": ["a"]},
    ],
)
def test_a_table_that_is_no_catalogue_is_refused(catalogue):
    with pytest.raises(InvalidInputError):
        simulate_interactions(catalogue, n_executions=5, random_state=0)
