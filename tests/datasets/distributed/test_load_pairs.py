"""Workers build the same pairs as one process does."""

from __future__ import annotations

import sys

import polars as pl
import pytest
from distributed import Client

from rankloom.datasets import distributed, load_pairs
from rankloom.datasets.distributed import log_parts
from rankloom.errors import ClusterError, InvalidInputError, UnreadableSourceError


def test_pairs_and_report_are_those_of_one_process(client, files, tmp_path, assert_same):
    settings = {"context": ["device"], "half_life": 30.0, "drop_bots": True, "attribution": "7d"}
    expected = load_pairs(files, **settings)
    report = expected.report
    counts = report.quarantined, report.rows_placed, report.rows_unplaced, report.rows_given_query
    assert min(*counts, report.rows_attributed) > 0
    assert any("future" in note for note in report.notes)
    found = distributed.load_pairs(files, client=client, workdir=tmp_path, partitions=5, **settings)
    assert_same(found, expected)
    assert list(tmp_path.iterdir()) == []
    assert_same(load_pairs(files, memory_limit="256MB", **settings), expected)


def test_tables_beside_the_log_join_as_in_one_process(client, log, tmp_path, assert_same):
    """With impressions in two files, features, judgements, sessions as context, a mapping."""
    valid = log.filter(pl.col("position").cast(pl.Int64) >= 0, pl.col("feature_id") != "")
    clicks = valid.filter(~pl.col("interaction_type").list.contains("impression"))
    clicks = clicks.rename({"user_id": "visitor"})
    shown = valid.select("execution_id", "feature_id", "position", "occurred_at").drop_nulls()
    shown = shown.unique(["execution_id", "feature_id"], maintain_order=True)
    shown = shown.with_columns(price=pl.int_range(pl.len()) % 17)
    for name, table in (("clicks", clicks), ("shown", shown)):
        half = len(table) // 2
        (tmp_path / name).mkdir()
        table[:half].write_parquet(tmp_path / name / "0.parquet")
        table[half:].write_parquet(tmp_path / name / "1.parquet")
    documents = shown.select("feature_id").unique(maintain_order=True)
    tables = {
        "features": documents.with_columns(length=pl.int_range(pl.len()) % 29),
        "impressions": str(tmp_path / "shown"),
        "judgments": documents.head(40).select(
            pl.lit("query 0001").alias("query"), "feature_id", grade=pl.int_range(pl.len()) % 4
        ),
        "context": ["session_id"],
        "columns": {"user_id": "visitor"},
    }
    source = str(tmp_path / "clicks")
    expected = load_pairs(source, **tables)
    assert len(expected.feature_names) > 3
    assert expected.judgments is not None
    assert_same(distributed.load_pairs(source, client=client, partitions=3, **tables), expected)


def test_quarantined_rows_are_written_as_by_one_process(client, files, tmp_path):
    paths = [tmp_path / f"{name}.csv" for name in ("expected", "found")]
    load_pairs(files, quarantine=paths[0])
    distributed.load_pairs(files, client=client, quarantine=paths[1], partitions=2)
    assert paths[1].read_text() == paths[0].read_text()


def test_one_file_of_parquet_is_read_by_several_tasks(
    client, log, tmp_path, monkeypatch, assert_same
):
    """With the rows' numbers in the file, and rules that concern all of its rows."""
    monkeypatch.setattr("rankloom.datasets.distributed.files._ROWS_PER_PIECE", 2_000)
    late = pl.int_range(pl.len()) > 0.8 * pl.len()
    times = [pl.when(late).then(name).alias(name) for name in ("occurred_at", "timestamp")]
    folder = tmp_path / "region=north"
    folder.mkdir()
    log.with_columns(times).write_parquet(folder / "log.parquet", row_group_size=700)
    paths = [tmp_path / f"{name}.csv" for name in ("expected", "found")]
    tasks, run = [], log_parts.run_tasks

    def counted(client, what, function, calls):
        tasks.extend((what, call) for call in calls)
        return run(client, what, function, calls)

    monkeypatch.setattr(log_parts, "run_tasks", counted)
    options = {"context": ["region"], "attribution": "7d"}
    expected = load_pairs(folder / "log.parquet", quarantine=paths[0], **options)
    found = distributed.load_pairs(
        folder / "log.parquet", client=client, quarantine=paths[1], partitions=2, **options
    )
    assert len([call for what, call in tasks if what == "read"]) > 5
    assert_same(found, expected)
    assert expected.report.quarantined > 0.5 * len(log)
    assert paths[1].read_text() == paths[0].read_text()


def test_a_fatal_row_is_the_first_one(client, files, tmp_path):
    with pytest.raises(InvalidInputError) as expected:
        load_pairs(files, on_error="raise")
    with pytest.raises(InvalidInputError) as found:
        distributed.load_pairs(files, client=client, workdir=tmp_path, on_error="raise")
    assert str(found.value) == str(expected.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("column", ["position", "feature_id"])
def test_a_column_that_no_file_has_is_named(client, log, tmp_path, column):
    paths = [str(tmp_path / f"{n}.parquet") for n in range(2)]
    for path in paths:
        log.drop(column).write_parquet(path)
    with pytest.raises(InvalidInputError) as expected:
        load_pairs(paths)
    with pytest.raises(InvalidInputError) as found:
        distributed.load_pairs(paths, client=client)
    assert str(found.value) == str(expected.value)


def test_a_mapped_column_that_is_nowhere_is_named(client, files):
    with pytest.raises(InvalidInputError) as expected:
        load_pairs(files, columns={"user_id": "usre_id"})
    with pytest.raises(InvalidInputError) as found:
        distributed.load_pairs(files, client=client, columns={"user_id": "usre_id"})
    assert str(found.value) == str(expected.value)


def test_a_folder_that_workers_do_not_see_is_refused(client, files, tmp_path, monkeypatch):
    """The name of such a folder means another one in every process."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match=r"workdir: the worker tcp.* does not see"):
        distributed.load_pairs(files, client=client, workdir="/proc/self/cwd/here")
    assert list((tmp_path / "here").iterdir()) == []


def test_wrong_parameters_are_named(client, files, log):
    for arguments, message in (
        ({"client": 3}, "client: expected a distributed.Client or the address"),
        ({"partitions": 0}, "partitions: expected a whole number from 1 to"),
        ({"attribution": "1 day"}, "attribution: expected whole hours or days"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            distributed.load_pairs(files, **{"client": client, **arguments})
    with pytest.raises(InvalidInputError, match="source: expected paths or URLs"):
        distributed.load_pairs(log, client=client)
    with pytest.raises(UnreadableSourceError, match="no such file"):
        distributed.load_pairs("absent.parquet", client=client)


def test_an_address_without_a_scheduler_is_named(files, monkeypatch):
    monkeypatch.setattr(distributed.cluster, "TIMEOUT", 0.2)
    with pytest.raises(ClusterError, match="no scheduler of Dask answers at 'tcp://127.0.0.1:1'"):
        distributed.load_pairs(files, client="tcp://127.0.0.1:1")
    with pytest.raises(ClusterError, match="no scheduler of Dask answers at 'nothing://x'"):
        distributed.load_pairs(files, client="nothing://x")


def test_an_address_serves_as_client(client, files, assert_same):
    address = client.scheduler.address
    found = distributed.load_pairs(files[:2], client=address, partitions=2)
    assert_same(found, load_pairs(files[:2]))


def test_the_missing_extra_is_named(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'rankloom\[dask\]'"):
        distributed.load_pairs(files, client="tcp://127.0.0.1:1")


def test_a_scheduler_without_workers_is_named(files, monkeypatch):
    monkeypatch.setattr(distributed.cluster, "TIMEOUT", 0.2)
    alone = Client(n_workers=0, processes=False, dashboard_address=":0", set_as_default=False)
    with alone, pytest.raises(ClusterError, match="no worker joined the scheduler"):
        distributed.load_pairs(files, client=alone)
