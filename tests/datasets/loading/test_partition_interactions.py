"""Partitions hold every valid row once, whole executions, and appear whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom import scan
from rankloom.datasets import load_pairs, partition_interactions, simulate_interactions
from rankloom.datasets.loading.row_files import partition_of
from rankloom.errors import InvalidInputError, UnreadableSourceError


@pytest.fixture(scope="module")
def log():
    log = simulate_interactions(n_executions=800, random_state=5)
    nameless = pl.int_range(pl.len()) % 11 == 0
    return log.with_columns(
        execution_id=pl.when(~nameless).then("execution_id"),
        session_id=pl.when(pl.int_range(pl.len()) % 22 > 0).then("session_id"),
        device=pl.lit("phone"),
    )


def test_every_row_is_in_the_partition_of_its_execution_or_session(tmp_path, log):
    report = partition_interactions(log, tmp_path / "p", partitions=5, extra=["device"])
    frames = [pl.read_parquet(tmp_path / "p" / name) for name in report.files]
    assert [len(frame) for frame in frames] == list(report.rows)
    for number, frame in enumerate(frames):
        ids = frame.select(pl.coalesce("execution_id", "session_id")).to_series()
        assert set(partition_of(ids.drop_nulls(), 5)) <= {number}
        assert number == 0 or ids.null_count() == 0
    every = scan(log).frame
    together = pl.concat(frames).select(every.columns)
    assert together.sort(together.columns[:7]).equals(every.sort(every.columns[:7]))
    assert set(frames[0]["device"]) == {"phone"}
    assert json.loads((tmp_path / "p" / "manifest.json").read_text())["rows_read"] == len(log)


def test_the_pairs_of_all_partitions_are_those_of_the_log(tmp_path, log):
    partition_interactions(log, tmp_path / "p", partitions=4)
    ours, oracle = load_pairs(tmp_path / "p" / "*.parquet"), load_pairs(log)
    for name in ("X", "y", "position", "group", "time", "document_code", "query_code"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(oracle, name))
    parts = [load_pairs(path) for path in sorted((tmp_path / "p").glob("*.parquet"))]
    ids = pl.concat([part.execution_id for part in parts])
    assert sorted(ids) == sorted(oracle.execution_id)


def test_rows_are_attributed_to_displays_of_all_partitions_that_are_read(tmp_path, log):
    clicks = log.filter(pl.col("interaction_type").list.contains("click"))
    nothing = [pl.lit(None, log[name].dtype).alias(name) for name in ("position", "execution_id")]
    late = clicks.with_columns(*nothing, session_id=pl.lit("late"))
    rows = pl.concat([log, late])
    partition_interactions(rows, tmp_path / "p", partitions=4)
    options = {"attribution": "7d"}
    oracle = load_pairs(rows, **options)
    assert oracle.report.rows_attributed > 50
    for more in ({}, {"memory_limit": "1GB", "workdir": tmp_path}):
        ours = load_pairs(tmp_path / "p" / "*.parquet", **options, **more)
        assert ours.report.rows_attributed == oracle.report.rows_attributed
        for name in ("X", "y", "position", "group", "time", "document_code", "query_code"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(oracle, name))


@given(st.lists(st.text(min_size=1), min_size=1), st.integers(1, 512))
def test_a_partition_depends_on_the_id_alone(ids, partitions):
    found = partition_of(pl.Series(ids), partitions)
    assert (found < partitions).all()
    assert found[0] == partition_of(pl.Series(ids[:1]), partitions)[0]


def test_faulty_rows_are_counted_and_written(tmp_path, log):
    broken = log.with_columns(feature_id=pl.when(pl.int_range(pl.len()) > 9).then("feature_id"))
    kept = tmp_path / "q.jsonl"
    report = partition_interactions(broken, tmp_path / "p", partitions=2, quarantine=kept)
    assert report.quarantined == len(kept.read_text().splitlines()) == 10
    assert report.rows_read == len(log) == sum(report.rows) + 10
    with pytest.raises(InvalidInputError, match="row 0: feature_id"):
        partition_interactions(broken, tmp_path / "r", partitions=2, on_error="raise")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["p", "q.jsonl"]


@pytest.mark.parametrize("partitions", [0, 513, 2.0, True, "3"])
def test_a_wrong_number_is_named(tmp_path, log, partitions):
    with pytest.raises(InvalidInputError, match=r"partitions: expected a whole number from 1 to"):
        partition_interactions(log, tmp_path / "p", partitions=partitions)


def test_a_folder_in_use_and_a_missing_file_are_refused(tmp_path, log):
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(InvalidInputError, match="folder: expected a new or empty folder"):
            partition_interactions(log, folder, partitions=2)
    with pytest.raises(UnreadableSourceError, match=r"none\.parquet"):
        partition_interactions(tmp_path / "none.parquet", tmp_path / "p", partitions=2)
    assert not (tmp_path / "p").exists()


KILLED = """
    import os, signal, sys
    from rankloom.datasets import partition_interactions, simulate_interactions

    class Source:
        def scan(self):
            yield simulate_interactions(n_executions=50, random_state=0)
            os.kill(os.getpid(), signal.SIGKILL)

    partition_interactions(Source(), sys.argv[1], partitions=2)
"""


def test_a_killed_process_leaves_no_folder_that_could_be_taken_for_whole(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(KILLED), tmp_path / "p"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "p").exists()


def test_sources_with_times_and_without_any_are_not_mixed(tmp_path, log):
    log.write_parquet(tmp_path / "dated.parquet")
    log.drop("occurred_at", "timestamp").write_parquet(tmp_path / "undated.parquet")
    sources = [tmp_path / "dated.parquet", tmp_path / "undated.parquet"]
    with pytest.raises(InvalidInputError, match=r"'[^']*/dated.* has times.*undated.* has none"):
        partition_interactions(sources, tmp_path / "p", partitions=2)
    assert sorted(each for each in tmp_path.iterdir()) == sources
    log.clear().write_parquet(sources[0])  # it has no row with a time
    report = partition_interactions(sources, tmp_path / "p", partitions=2)
    assert sum(report.rows) == len(log)


def test_positions_may_be_in_a_table_of_impressions(tmp_path, log):
    shown = log.filter(pl.col("interaction_type").list.contains("impression"))
    clicks = log.filter(pl.col("interaction_type").list.contains("click")).drop("position")
    report = partition_interactions(clicks, tmp_path / "p", partitions=3)
    assert sum(report.rows) == len(clicks)
    assert "position: no source has this column" in report.notes[-1]
    ours = load_pairs(tmp_path / "p" / "*.parquet", impressions=shown)
    oracle = load_pairs(clicks, impressions=shown)
    assert oracle.clicked.any()
    for name in ("X", "y", "position", "group", "document_code"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(oracle, name))


def test_files_are_flushed_before_they_appear_in_a_folder_of_the_usual_mode(
    tmp_path, log, monkeypatch
):
    flushed, fsync = set(), os.fsync

    def noted(descriptor):
        if not (tmp_path / "p").exists():
            flushed.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    # What a killed process of the same number, in another container, may have left.
    (tmp_path / f".rankloom-p-{os.getpid()}").mkdir()
    partition_interactions(log, tmp_path / "p", partitions=3)
    assert {each.stat().st_ino for each in (tmp_path / "p").iterdir()} < flushed
    (tmp_path / "other").mkdir()
    assert (tmp_path / "p").stat().st_mode == (tmp_path / "other").stat().st_mode
