"""The demo's log: what is planted in it is there, and its rows are valid."""

import polars as pl
import pytest

from rankloom import validate
from rankloom.cli.demo.demo_log import demo_log
from rankloom.cli.demo.retrievers import RETRIEVER, TRIAL
from rankloom.datasets import simulate_catalogue


@pytest.fixture(scope="module")
def log():
    return demo_log(simulate_catalogue(n_queries=20, random_state=1), 1_000, 1)


def test_two_retrievers_share_the_users_and_days(log):
    lists = (
        log.drop_nulls("execution_id")
        .group_by("retriever_id")
        .agg(pl.col("execution_id").n_unique(), pl.col("user_id").n_unique().alias("users"))
    )
    counts = dict(lists.select("retriever_id", "execution_id").rows())
    assert set(counts) == {RETRIEVER, TRIAL}
    assert 0.25 < counts[TRIAL] / sum(counts.values()) < 0.35
    both = [set(frame["user_id"]) for _, frame in log.group_by("retriever_id")]
    assert both[0] & both[1]


def test_a_misspelt_query_finds_nothing_and_the_next_one_of_the_session_is_right(log):
    empty = log.filter(pl.col("execution_id").str.starts_with("empty-"))
    assert len(empty) > 20
    assert empty["interaction_type"].to_list() == [["zero_results"]] * len(empty)
    assert empty["query_snapshot"].str.contains("qurey").all()
    after = log.join(empty, on="session_id", suffix="_empty").filter(
        "empty-" + pl.col("execution_id") == pl.col("execution_id_empty"),
        pl.col("occurred_at") >= pl.col("occurred_at_empty"),
    )
    assert after["execution_id"].n_unique() == len(empty)


def test_every_search_has_one_latency(log):
    latency = log.select("execution_id", pl.col("metadata").str.json_path_match("$.latency_ms"))
    assert (
        latency.drop_nulls("execution_id")
        .group_by("execution_id")
        .agg(pl.all().n_unique())["metadata"]
        .to_list()
        == [1] * log["execution_id"].drop_nulls().n_unique()
    )


def test_only_rows_broken_on_purpose_are_quarantined(log):
    report = validate(log)
    assert 0 < report.quarantined < 0.01 * report.rows_read
    assert not [name for name in report.quarantine_reasons if "metadata" in name]
