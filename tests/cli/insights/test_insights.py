"""`rankloom insights`: retrievers, users and trends of a typical, a dirty and a bare log."""

import json

import polars as pl
import pytest

from tests.insights.worlds import world


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("insights") / "log.parquet"
    world(0, searches=800, latency=True).write_parquet(path)
    return path


@pytest.fixture
def bare(log, tmp_path):
    path = tmp_path / "bare.parquet"
    pl.read_parquet(log).drop("user_id", "retriever_id", "occurred_at").write_parquet(path)
    return path


def test_retrievers_are_compared_as_text_and_json(run, log):
    arguments = ("insights", "retrievers", log, "--baseline", "old", "--latency", "latency_ms")
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert "differences to old, intervals by user" in out
    assert "p at any time" in out
    document = json.loads(run(*arguments, "--json").out)
    row = next(each for each in document["differences"] if each["metric"] == "latency_p50")
    assert row["verdict"] == "better"


def test_users_are_described_as_text_and_json(run, log):
    user = pl.read_parquet(log)["user_id"].mode()[0]
    code, out, _ = run("insights", "users", log, "--user", user, "--limit", "2")
    assert code == 0
    assert out.startswith(f"user {user}: ")
    assert "documents (2 of " in out
    document = json.loads(run("insights", "users", log, "--user", user, "--json").out)
    assert document["rows"] == len(pl.read_parquet(log).filter(user_id=user))
    code, out, _ = run("insights", "users", log, "--user", "nobody")
    assert code == 0
    assert "the log holds no valid row of this user" in out


def test_trends_are_shown_as_text_and_json(run, log):
    code, out, _ = run("insights", "trends", log, "--every", "1w")
    assert code == 0
    assert "2026-01-05 00:00" in out
    assert "too few to test for changes" in out
    document = json.loads(run("insights", "trends", log, "--every", "1w", "--json").out)
    assert {row["series"] for row in document["series"]} >= {"searches", "users", "abandonment"}


def test_a_dirty_log_says_what_was_left_out(run, log, tmp_path):
    path = tmp_path / "dirty.jsonl"
    broken = pl.when(pl.int_range(pl.len()) % 50 == 0).then(-1).otherwise("position")
    pl.read_parquet(log).with_columns(broken.alias("position")).write_ndjson(path)
    for command in ("retrievers", "trends"):
        code, out, _ = run("insights", command, path)
        assert code == 0
        assert "left out: " in out
        assert "position: negative" in out


def test_a_log_without_users_retrievers_and_times_says_how_to_log_them(run, bare):
    code, out, _ = run("insights", "retrievers", bare)
    assert code == 0
    for advice in ("log user_id", "log retriever_id", "log occurred_at"):
        assert advice in out
    run("insights", "trends", bare).assert_refused("no search has a time", "log occurred_at")
    run("insights", "users", bare, "--user", "u").assert_refused("no row names a user")


def test_wrong_arguments_are_refused_in_one_line(run, log):
    run("insights", "retrievers", log, "--by", "pipeline").assert_refused("'pipeline'")
    run("insights", "retrievers", log, "--baseline", "odl").assert_refused("Did you mean 'old'")
    run("insights", "retrievers", log, "--adjust", "x").assert_refused("holm, fdr, none")
    run("insights", "users", log).assert_refused("--user", "rankloom insights users --help")
    run("insights", "trends", log, "--every", "1x").assert_refused("every")
    run("insights", "trends", "absent.parquet").assert_refused("absent.parquet")
