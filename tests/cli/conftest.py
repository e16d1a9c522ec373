"""Commands run in this process, and a folder of simulated logs that they read."""

import io
import shutil
import sys
from typing import NamedTuple

import polars as pl
import pytest

from rankloom.cli import main
from tests.datasets.importers.interaction_service import TOKEN


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def assert_refused(self, *words):
        """Assert exit code 2, nothing on stdout, and one line that starts with error: on stderr."""
        assert (self.code, self.out, len(self.err.splitlines())) == (2, "", 1), self.err
        assert self.err.startswith("error: ")
        assert [word for word in words if word not in self.err] == []


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process and return its result."""
    monkeypatch.setenv("MIXPEEK_API_KEY", TOKEN)

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        return Result(ending.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A folder with a log, its two halves by time, other logs, features and a trained model.

    "uncompared" is a copy of the model that no test compares. small.parquet holds 120 executions of
    the later half, for tests that need no evidence: estimating a curve by features takes seconds on
    longer logs.
    """
    folder = tmp_path_factory.mktemp("simulated")
    features = folder / "features.parquet"
    size = ["--seed", "1", "--executions"]
    for arguments in (
        ["simulate", folder / "log.parquet", *size, "1500", "--features-out", features],
        ["simulate", folder / "one-ranker.parquet", *size, "900", "--rankers", "1"],
        ["simulate", folder / "dirty.jsonl", "--executions", "300", "--dirty", "0.05"],
    ):
        _succeed(arguments)
    log = pl.read_parquet(folder / "log.parquet")
    first = pl.col("timestamp").min().over("execution_id")
    half = log["timestamp"].quantile(0.5)
    log.filter(first < half).write_parquet(folder / "early.parquet")
    late = log.filter(first >= half)
    late.write_parquet(folder / "late.parquet")
    some = late["execution_id"].unique(maintain_order=True)[:120]
    late.filter(pl.col("execution_id").is_in(some.to_list())).write_parquet(
        folder / "small.parquet"
    )
    early = ["train", folder / "early.parquet", "--features", features, "--threads", "1"]
    _succeed([*early, "--debias", "none", "--out", folder / "model"])
    # A comparison leaves its verdict beside the model.
    shutil.copytree(folder / "model", folder / "uncompared")
    return folder


def _succeed(arguments):
    with pytest.raises(SystemExit, match="^0$"):
        main([str(argument) for argument in arguments])


@pytest.fixture
def in_folder(simulated, monkeypatch):
    """Make the folder of simulated logs the working folder."""
    monkeypatch.chdir(simulated)
    return simulated
