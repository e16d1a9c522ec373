"""A log in partitions gives the same pairs and report as in memory, and leaves nothing behind."""

from __future__ import annotations

import gzip
import re
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rankloom.datasets import load_pairs, simulate_interactions
from rankloom.datasets.loading import out_of_core
from rankloom.datasets.loading.out_of_core import load_out_of_core, parse_size
from rankloom.datasets.loading.settings import LoadSettings
from rankloom.datasets.loading.side_tables import SideTables
from rankloom.datasets.reading.open_sources import OpenedSources
from rankloom.errors import InvalidInputError, RankloomError

START = datetime(2026, 1, 1, tzinfo=UTC)
ARRAYS = (
    *("X", "y", "clicked", "negative", "group", "position", "document_score", "age_days"),
    *("weight", "time", "query_code", "document_code"),
)
TEXTS = ("execution_id", "queries", "documents")


def in_parts(
    source, *, partitions=3, features=None, impressions=None, judgments=None, workdir=None, **given
):
    options = LoadSettings.of(**given, has_impressions=impressions is not None)
    tables = SideTables.read(
        options, features=features, impressions=impressions, judgments=judgments
    )
    return load_out_of_core(
        source, options, tables, memory_limit=10**9, workdir=workdir, partitions=partitions
    )


def assert_same(ours, oracle):
    for name in ARRAYS:
        found, expected = getattr(ours, name), getattr(oracle, name)
        assert found.dtype == expected.dtype, name
        np.testing.assert_array_equal(found, expected, err_msg=name)
    for name in TEXTS:
        assert getattr(ours, name).to_list() == getattr(oracle, name).to_list(), name
    assert ours.feature_names == oracle.feature_names
    assert ours.categories == oracle.categories
    assert {name: texts.to_list() for name, texts in ours.context.items()} == {
        name: texts.to_list() for name, texts in oracle.context.items()
    }
    assert ours.report.to_dict() == oracle.report.to_dict()
    if oracle.judgments is not None:
        for name in ("query_code", "document_code", "grade", "source", "X"):
            np.testing.assert_array_equal(
                getattr(ours.judgments, name), getattr(oracle.judgments, name)
            )


def outcome(load):
    """Return what a load returns, or the error that it raises."""
    try:
        return load()
    except RankloomError as error:
        return type(error), str(error)


def assert_same_outcome(rows, partitions, **options):
    ours = outcome(partial(in_parts, rows, partitions=partitions, **options))
    oracle = outcome(partial(load_pairs, rows, **options))
    if isinstance(oracle, tuple):
        assert ours == oracle
    else:
        assert_same(ours, oracle)


TYPES = [["impression"], ["impression"], ["click"], ["purchase", "click"], ["zero_results"]]
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "feature_id": st.sampled_from("abcd"),
            "position": st.sampled_from([None, 0, 1, 2, -1]),
            "interaction_type": st.sampled_from([*TYPES, ["return_to_results"], ["nonsense"]]),
            "minute": st.sampled_from([None, 0, 3, 35, 100, 10**9]),
            "execution_id": st.sampled_from([None, "e1", "e2", "e3", "e4"]),
            "session_id": st.sampled_from([None, "s", "t"]),
            "query_snapshot": st.sampled_from([None, '{"query": "Q"}', '{"query": "q"}', "r"]),
            "user_id": st.sampled_from([None, "u", "v"]),
            "document_score": st.sampled_from([None, 0.5, 0.25]),
            "feature_uri": st.sampled_from([None, "text", "image"]),
            "device": st.sampled_from([None, "phone", "desk"]),
        }
    ),
    max_size=25,
)
BASE = {
    "feature_id": "x",
    "position": 0,
    "interaction_type": ["impression"],
    "minute": 0,
    "execution_id": "base",
    "session_id": None,
    "query_snapshot": None,
    "user_id": None,
    "document_score": 1.0,
    "feature_uri": None,
    "device": None,
}
OPTIONS = st.fixed_dictionaries(
    {
        "context": st.sampled_from(
            [(), ("device",), ("session_id", "user_id"), ("query_snapshot",)]
        ),
        "half_life": st.sampled_from([None, 0.5]),
        "drop_bots": st.booleans(),
        "query_key": st.sampled_from([None, str, "device"]),
    }
)


def stamped(rows):
    schema = {"position": pl.Int64, "interaction_type": pl.List(pl.String)}
    frame = pl.DataFrame(rows, schema_overrides=schema, infer_schema_length=None)
    time = pl.lit(START) + pl.duration(minutes=pl.col("minute"))
    return frame.with_columns(timestamp=time).drop("minute")


@given(EVENTS, OPTIONS, st.integers(1, 5))
@example([], {"context": ("device",)}, 2)
def test_any_log_gives_the_same_pairs_report_or_error(events, options, partitions):
    clicked = {**BASE, "feature_id": "y", "position": 1, "interaction_type": ["click"]}
    assert_same_outcome(stamped([BASE, clicked, *events]), partitions, **options)


@pytest.mark.slow
@given(EVENTS, EVENTS, st.integers(1, 4))
def test_impressions_in_a_table_of_their_own_are_routed_alike(events, shown, partitions):
    table = stamped([BASE, *shown]).with_columns(price=pl.col("document_score").fill_null(2) * 2)
    keys = ["execution_id", "feature_id"]
    first = table.unique(keys, keep="first", maintain_order=True)
    assert_same_outcome(stamped([BASE, *events]), partitions, impressions=first)


ASKING = st.fixed_dictionaries(
    {
        "feature_id": st.sampled_from("ab"),
        "position": st.sampled_from([None, 0, 1]),
        "interaction_type": st.sampled_from([["impression"], ["click"], ["zero_results"]]),
        "minute": st.sampled_from([None, 0, 3, 35, 100, 130, 10**9]),
        "execution_id": st.sampled_from([None, None, *(f"e{number}" for number in range(9))]),
        "session_id": st.sampled_from([None, "s", "t", "w", "x"]),
        "query_snapshot": st.sampled_from([None, '{"query": "Q"}', '{"query": "q"}', "r"]),
        "user_id": st.sampled_from([None, "u", "u", "v"]),
        "device": st.sampled_from([None, "phone", "desk"]),
    }
)
"""Rows of few documents and users in many executions and sessions, so that displays compete."""

PURCHASE = {
    **dict.fromkeys(["position", "execution_id", "session_id", "query_snapshot", "device"]),
    "feature_id": "a",
    "interaction_type": ["click"],
    "minute": 130,
    "user_id": "u",
}


def shown(**given):
    row = {"feature_id": "a", "position": 0, "interaction_type": ["impression"], "minute": 0}
    return {**PURCHASE, **row, **given}


TIED_EXECUTIONS = [shown(execution_id=f"e{number}") for number in range(9)]
TIED_SESSIONS = [shown(session_id=name, query_snapshot="r") for name in "xwtsabcd"]
OF_ITS_SESSION = [
    *(shown(minute=10, execution_id=f"e{number}") for number in range(9)),
    shown(session_id="s", query_snapshot="r"),
    {**PURCHASE, "minute": 20, "session_id": "s", "query_snapshot": "r"},
]
"""The display in the session comes first, although those of executions are later."""


@pytest.mark.slow
@given(
    st.lists(ASKING, max_size=40),
    st.lists(st.tuples(st.integers(0, 130), st.sampled_from("uv")), max_size=9),
    st.sampled_from(["1h", "7d"]),
    st.sampled_from([None, str, "device"]),
    st.sampled_from([(), ("session_id", "query_snapshot")]),
    st.integers(1, 5),
)
@example(TIED_EXECUTIONS, [(60, "u")], "7d", None, (), 5)
@example(TIED_SESSIONS, [(60, "u")], "7d", None, (), 5)
@example(OF_ITS_SESSION, [], "7d", None, (), 5)
def test_rows_are_attributed_to_displays_of_other_partitions(
    events, purchases, attribution, query_key, context, partitions
):
    clicked = {**BASE, "feature_id": "y", "position": 1, "interaction_type": ["click"]}
    late = [{**PURCHASE, "minute": minute, "user_id": user} for minute, user in purchases]
    options = {"attribution": attribution, "query_key": query_key, "context": context}
    rows = stamped([BASE, clicked, *events, *late])
    assert_same_outcome(rows, partitions, **options)
    keys = ["execution_id", "feature_id"]
    placed = rows.drop_nulls(["position", "execution_id"])
    table = placed.unique(keys, keep="first", maintain_order=True)
    assert_same_outcome(rows, partitions, impressions=table, **options)


def test_late_purchases_of_many_users_are_attributed_as_in_memory(log, tmp_path, monkeypatch):
    monkeypatch.setattr("rankloom.datasets.loading.attribution._PENDING", 10)
    clicks = log.filter(pl.col("interaction_type").list.contains("click"))
    nothing = [pl.lit(None, log[n].dtype).alias(n) for n in ("position", "execution_id")]
    late = clicks.with_columns(
        *nothing,
        interaction_type=pl.lit(["purchase"]),
        **{n: pl.col(n).dt.offset_by("3h") for n in ("occurred_at", "timestamp")},
    )
    late = late.with_columns(session_id=pl.lit("late ") + pl.col("user_id"))
    rows = pl.concat([log, late])
    for table in (rows, rows.sample(fraction=1.0, shuffle=True, seed=1)):
        oracle = load_pairs(table, attribution="1d")
        assert oracle.report.rows_attributed > 100
        assert (oracle.y == 4).sum() > 100
        assert_same(in_parts(table, partitions=7, attribution="1d"), oracle)
    path = tmp_path / "log.parquet"
    rows.write_parquet(path)
    ours = load_pairs(path, attribution="1d", memory_limit="256MB", workdir=tmp_path)
    assert_same(ours, load_pairs(path, attribution="1d"))


def test_rows_to_attribute_that_do_not_fit_the_memory_are_an_error(log, tmp_path, monkeypatch):
    monkeypatch.setattr("rankloom.datasets.loading.attribution._BYTES_PER_ROW", 10**7)
    rows = log.with_columns(
        position=pl.when(pl.int_range(pl.len()) >= 30).then("position"),
        execution_id=pl.when(pl.int_range(pl.len()) >= 30).then("execution_id"),
    )
    message = r"attribution: 29 rows name neither .* 0\.3 GB .* Raise memory_limit"
    with pytest.raises(InvalidInputError, match=message):
        load_pairs(rows, memory_limit="256MB", attribution="1d", workdir=tmp_path)
    assert list(tmp_path.iterdir()) == []
    load_pairs(rows, memory_limit="1GB", attribution="1d", workdir=tmp_path)


@pytest.fixture(scope="module")
def log():
    return simulate_interactions(n_executions=1_500, random_state=3)


@pytest.fixture(scope="module")
def features(log):
    documents = log["feature_id"].unique().sort()
    rng = np.random.default_rng(0)
    half = documents[: len(documents) // 2]
    return pl.DataFrame(
        {
            "feature_id": half,
            "price": rng.random(len(half)),
            "kind": rng.choice(["a", "b"], len(half)),
        }
    )


def test_features_of_documents_and_of_displays_join_alike(log, features):
    displays = log.select("execution_id", "feature_id").unique(maintain_order=True)[::2]
    displays = displays.with_columns(pl.int_range(pl.len()).cast(pl.Float32).alias("number"))
    for table in (features, displays):
        assert_same(in_parts(log, features=table), load_pairs(log, features=table))


def test_features_that_are_outcomes_are_left_out_alike(log):
    clicked = log.group_by("execution_id", "feature_id").agg(
        (pl.col("interaction_type").list.contains("click").any() * 9.5).alias("revenue")
    )
    ours = in_parts(log, features=clicked)
    assert "revenue" in ours.report.features_left_out
    assert_same(ours, load_pairs(log, features=clicked))


def test_judgements_join_alike(log):
    pairs = load_pairs(log)
    table = pl.DataFrame(
        {"query": pairs.queries[:5], "feature_id": pairs.documents[:5], "grade": [0, 1, 2, 3, 1]}
    )
    assert_same(in_parts(log, judgments=table), load_pairs(log, judgments=table))


def test_the_query_as_context_is_its_text_as_logged(log):
    texts = log.with_columns(pl.col("query_snapshot").str.replace("query", "QUERY"))
    for query_key in (None, "query_snapshot"):
        options = {"context": ["query_snapshot"], "query_key": query_key}
        pairs = in_parts(texts, **options)
        assert_same(pairs, load_pairs(texts, **options))
        assert pairs.context["query_snapshot"].str.contains("QUERY").all()


def test_an_execution_of_exactly_one_chunk_is_kept(monkeypatch):
    monkeypatch.setattr("rankloom.datasets.loading.assemble.CHUNK", 4)
    for sizes in ((4,), (8,), (4, 4), (3, 4, 9, 1), (2, 1)):
        rows = [
            {"execution_id": f"e{number}", "feature_id": f"d{k}", "position": k}
            | {"interaction_type": ["click" if k % 2 else "impression"]}
            for number, size in enumerate(sizes)
            for k in range(size)
        ]
        assert_same(in_parts(rows), load_pairs(rows))


def test_bots_are_dropped_alike():
    options = {"n_executions": 3_000, "random_state": 0, "interactions": "clicks"}
    log = simulate_interactions(bots=0.04, metadata=False, **options)
    pairs = load_pairs(log, drop_bots=True)
    assert pairs.report.executions_dropped["likely bots"] > 50
    assert_same(in_parts(log, drop_bots=True), pairs)


def test_files_and_their_quarantine_are_counted_alike(tmp_path, log):
    rows = log.with_columns(position=pl.when(pl.int_range(pl.len()) % 7 > 0).then("position"))
    path = tmp_path / "log.parquet"
    rows.write_parquet(path, row_group_size=1_000)
    kept = [tmp_path / "ours.jsonl", tmp_path / "oracle.jsonl"]
    assert_same(in_parts(path, quarantine=kept[0]), load_pairs(path, quarantine=kept[1]))
    assert kept[0].read_text() == kept[1].read_text() != ""


def test_a_row_that_breaks_a_rule_can_be_fatal(log):
    broken = log.with_columns(position=pl.when(pl.int_range(pl.len()) != 77).then("position"))
    with pytest.raises(InvalidInputError, match="row 77: position"):
        in_parts(broken.drop("execution_id"), on_error="raise")


def test_pairs_are_those_of_the_public_call_and_outlive_its_files(tmp_path, log):
    pairs = load_pairs(log, memory_limit="1GB", workdir=tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    assert_same(pairs, load_pairs(log))
    pairs.y[:] = 7  # a private copy, as in memory
    assert pairs.take([0]).y.tolist() == [7] * int(pairs.group[0])


def test_arrays_are_mapped_from_files_and_not_held(log):
    pairs = in_parts(log)
    mapped = Path("/proc/self/maps").read_text()
    assert re.search(r"/pairs/\d+-X", mapped)
    assert pairs.X.base is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_limit": "1MB"}, "memory_limit: expected at least 256 MB, got '1MB'"),
        ({"memory_limit": "much"}, "memory_limit: expected a size such as '2GB'"),
        ({"memory_limit": True}, "memory_limit: expected a size"),
        ({"workdir": "x"}, "workdir: is for loading in partitions; give memory_limit"),
        ({"memory_limit": "1GB", "workdir": "/dev/null"}, "workdir: cannot write to '/dev/null'"),
    ],
)
def test_wrong_options_are_named(log, options, message):
    with pytest.raises(InvalidInputError, match=message):
        load_pairs(log, **options)


@given(st.integers(1, 10**15))
def test_sizes_in_bytes_and_in_units_agree(size):
    assert parse_size(size) == parse_size(f"{size}") == parse_size(f"{size} B") == size
    assert parse_size(f"{size}kB") == 1_000 * size
    assert parse_size(f"{size} KiB") == 1_024 * size


def test_rows_of_text_files_are_guessed_and_never_too_few(tmp_path, log):
    guess = out_of_core._guessed_rows
    paths = [tmp_path / name for name in ("x.jsonl", "x.csv", "x.parquet", "x.csv.gz")]
    flat = log.with_columns(pl.col("interaction_type").list.join("|"))
    log.write_ndjson(paths[0])
    flat.write_csv(paths[1])
    log.write_parquet(paths[2])
    paths[3].write_bytes(gzip.compress(paths[1].read_bytes()))
    found = [guess([OpenedSources(path, "source")]) for path in paths]
    assert found[2] == len(log)
    assert min(found) >= len(log)
    assert guess([OpenedSources(iter([{"feature_id": "a"}]), "source")]) in (1, None)


def test_more_rows_take_more_partitions_and_no_more_than_can_be_open():
    count = out_of_core._partition_count
    found = [count(rows, 2 * 10**9) for rows in (0, 10**6, 10**8, 10**10)]
    assert found == sorted(found)
    assert found[0] >= 1
    assert found[-1] <= 512


CHILD = """
    import resource, signal, sys
    from rankloom.datasets import load_pairs
    from rankloom.errors import StoreError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        load_pairs(sys.argv[1], memory_limit="1GB", workdir=sys.argv[2])
    except StoreError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, log):
    source, workdir = tmp_path / "log.parquet", tmp_path / "work"
    log.write_parquet(source)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), source, workdir],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "workdir: no space left" in done.stdout
    assert list(workdir.iterdir()) == []


KILLED = """
    import os, signal, sys
    from rankloom.datasets.loading import out_of_core
    from rankloom.datasets import load_pairs
    out_of_core.merge_parts = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    load_pairs(sys.argv[1], memory_limit="1GB", workdir=sys.argv[2])
"""


@pytest.mark.slow
def test_what_a_killed_load_left_goes_with_the_next_one_and_no_running_load_is_disturbed(
    tmp_path, log
):
    source, workdir = tmp_path / "log.parquet", tmp_path / "work"
    log.write_parquet(source)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), source, workdir], check=False
    )
    assert done.returncode == -signal.SIGKILL
    left = list(workdir.iterdir())
    assert len(left) == 1
    assert any(left[0].rglob("*.bin"))
    with out_of_core.scratch_folder(workdir) as running:
        assert not left[0].exists()
        assert_same(load_pairs(source, memory_limit="1GB", workdir=workdir), load_pairs(source))
        assert running.exists()
    assert list(workdir.iterdir()) == []


def test_another_error_of_the_system_is_left_as_it_is(tmp_path):
    with pytest.raises(PermissionError), out_of_core.scratch_folder(tmp_path):
        raise PermissionError(13, "no")
    assert list(tmp_path.iterdir()) == []
