"""Evidence that workers fold is that of one process."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from rankloom.bandit import FusionBandit
from rankloom.bandit.distributed import find_channels, learn
from rankloom.datasets import simulate_interactions
from rankloom.errors import ClusterError, InvalidInputError

CHANNELS = ["mixpeek://audio", "mixpeek://image", "mixpeek://text"]
SUMS = ("N", "S", "F", "Q", "A", "b")


@pytest.fixture(scope="session")
def client(dask_client):
    return dask_client


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A log in two files: rows of each execution in both, some without a position or execution."""
    folder = tmp_path_factory.mktemp("log")
    log = simulate_interactions(n_executions=400, random_state=2, dirty=0.02, n_users=50)
    late = log.filter(pl.col("interaction_type").list.contains("click")).with_columns(
        position=pl.lit(None, log["position"].dtype), interaction_type=pl.lit(["purchase"])
    )
    strange = late.head(5).with_columns(execution_id=pl.lit("unknown"))
    log = pl.concat([log, late, strange])
    tenth = pl.col("execution_id").hash(seed=0) % 10
    log = log.with_columns(execution_id=pl.when(tenth > 0).then("execution_id"))
    log = log[np.random.default_rng(0).permutation(len(log))]
    log.gather_every(2).write_parquet(folder / "0.parquet")
    log.gather_every(2, 1).write_ndjson(folder / "1.jsonl")
    return [str(folder / "0.parquet"), str(folder / "1.jsonl")]


def bandit_of(**options):
    options = {"segment_by": ["device"], "max_queries": 20, **options}
    return FusionBandit(CHANNELS, retriever_id="search", **options)


def assert_same(found, expected):
    """All sums, those of users and queries too, at one time."""
    assert found.latest == expected.latest
    assert found.segments == expected.segments
    for read in ("sums", "user_sums", "query_sums"):
        one, other = getattr(found, read)(), getattr(expected, read)()
        if read != "sums":
            assert np.array_equal(one[0], other[0])
            one, other = one[1], other[1]
        for name in SUMS:
            values = [getattr(each, name) for each in (one, other)]
            if values[1] is not None:
                np.testing.assert_allclose(*values, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_sums_and_report_are_those_of_one_process(client, files, tmp_path):
    here, there = bandit_of(), bandit_of()
    expected = here.update(files)
    assert min(expected.quarantined, expected.rows_placed, expected.units_opened) > 0
    found = learn(there, files, client=client, workdir=tmp_path, partitions=3)
    assert found == expected
    assert_same(there.evidence, here.evidence)
    assert list(tmp_path.iterdir()) == []
    assert there.mean() == pytest.approx(here.mean(), rel=1e-9)
    again = learn(there, files, client=client, partitions=2)
    assert (again.units_opened, again.rows_changing) == (0, 0)
    assert_same(there.evidence, here.evidence)


def test_a_store_gets_what_workers_folded(client, files, tmp_path, monkeypatch):
    """From one file, of which each reads a part."""
    monkeypatch.setattr("rankloom.datasets.distributed.files._ROWS_PER_PIECE", 300)
    file = tmp_path / "log.parquet"
    pl.read_parquet(files[0]).write_parquet(file, row_group_size=200)
    here = bandit_of()
    here.update(file)
    options = {"retriever_id": "search", "segment_by": ["device"], "max_queries": 20}
    url = f"sqlite:///{tmp_path / 'fusion.db'}"
    learn(FusionBandit.open(url, CHANNELS, **options), file, client=client)
    assert_same(FusionBandit.open(url, CHANNELS, **options).evidence, here.evidence)


def test_channels_are_found_on_workers(client, files):
    assert find_channels(files, "search", client=client) == CHANNELS


def test_faults_are_those_of_one_process(client, files, tmp_path):
    for options in ({"on_error": "raise"}, {"columns": {"user_id": "usre_id"}}):
        with pytest.raises(InvalidInputError) as expected:
            bandit_of().update(files, **options)
        with pytest.raises(InvalidInputError) as found:
            learn(bandit_of(), files, client=client, workdir=tmp_path, **options)
        assert str(found.value) == str(expected.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("partitions", [0, -1, 2.5, 513])
def test_a_wrong_number_of_partitions_is_refused(client, files, partitions):
    with pytest.raises(InvalidInputError, match="partitions: expected a whole number from 1 to"):
        learn(bandit_of(), files, client=client, partitions=partitions)


def test_nothing_is_learnt_where_there_is_no_cluster(files, monkeypatch):
    monkeypatch.setattr("rankloom.datasets.distributed.cluster.TIMEOUT", 0.2)
    bandit = bandit_of()
    with pytest.raises(ClusterError, match="no scheduler"):
        learn(bandit, files, client="tcp://127.0.0.1:1")
    assert bandit.evidence.summary.open_units == 0


def test_the_command_line(client, files, tmp_path, capsys):
    from rankloom.cli import main

    documents = []
    for name, options in (("here", []), ("there", ["--dask", client.scheduler.address])):
        state = f"sqlite:///{tmp_path / name}.db"
        command = ["learn-fusion", *files, "--state", state, "--retriever", "search", "--json"]
        with pytest.raises(SystemExit) as ending:
            main([*command, *options])
        assert ending.value.code == 0
        documents.append(json.loads(capsys.readouterr().out))
    here, there = documents
    assert there["update"] == here["update"]
    assert there["weights"] == pytest.approx(here["weights"], rel=1e-9)
