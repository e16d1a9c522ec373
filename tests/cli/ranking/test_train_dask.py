"""`rankloom train --dask`: workers read, and the model is the one that one process trains."""

from __future__ import annotations

import json
import sys

import polars as pl
import pytest


@pytest.fixture
def address(dask_client):
    return dask_client.scheduler.address


@pytest.fixture(scope="module")
def parts(simulated, tmp_path_factory):
    """The log in two files, the rows of every execution in both."""
    folder = tmp_path_factory.mktemp("parts")
    log = pl.read_parquet(simulated / "small.parquet")
    for number in range(2):
        log.gather_every(2, number).write_parquet(folder / f"{number}.parquet")
    return folder


def manifest_of(folder):
    """The manifest without its digest of itself."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["digest"]
    return manifest


@pytest.mark.slow
def test_the_model_is_bit_for_bit_the_one_of_one_process(run, simulated, parts, address, tmp_path):
    options = ["--features", simulated / "features.parquet", "--debias", "none", "--threads", 1]
    expected, found = (tmp_path / name for name in ("expected", "found"))
    here = run("train", parts / "*.parquet", *options, "--out", expected)
    workdir = tmp_path / "work"
    there = run(
        *("train", parts / "*.parquet", *options, "--out", found),
        *("--dask", address, "--workdir", workdir),
    )
    assert (here.code, there.code) == (0, 0), there.err
    assert there.out == here.out
    assert "trees were grown in one process" in there.err
    [model] = (path.name for path in expected.glob("model-*.txt"))
    assert (found / model).read_bytes() == (expected / model).read_bytes()
    with_note, without = (manifest_of(folder) for folder in (found, expected))
    assert "trees were grown in one process" in with_note["training_report"]["notes"].pop(0)
    assert with_note == without
    assert list(workdir.iterdir()) == []


def test_wrong_options_are_one_line(run, parts, address, tmp_path, monkeypatch):
    command = ["train", parts / "*.parquet", "--out", tmp_path / "model"]
    run(*command, "--workdir", tmp_path).assert_refused("--workdir", "--dask")
    run("train", "sqlite:///log.db", "--dask", address, "--out", tmp_path / "model").assert_refused(
        "FILE", "--dask", "sqlite:///log.db"
    )
    monkeypatch.setattr("rankloom.datasets.distributed.cluster.TIMEOUT", 0.2)
    run(*command, "--dask", "tcp://127.0.0.1:1").assert_refused(
        "--dask: no scheduler", "tcp://127.0.0.1:1"
    )
    for name in ("local", address):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "distributed", None)
            run(*command, "--dask", name).assert_refused("--dask", "pip install 'rankloom[dask]'")
    assert not (tmp_path / "model").exists()
