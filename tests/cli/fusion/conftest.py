"""Logs with fusion weights to learn, and a state that has learnt one of them."""

import polars as pl
import pytest

from rankloom.cli import main
from rankloom.datasets import simulate_catalogue, simulate_interactions
from tests.bandit.fusion_simulation import World, log_of


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    """A folder with two simulated logs, and two parts of a log with the weights that it served."""
    folder = tmp_path_factory.mktemp("logs")
    catalogue = simulate_catalogue(n_queries=40, random_state=0)
    for name, seed in (("early", 1), ("late", 2)):
        log = simulate_interactions(catalogue, n_executions=300, random_state=seed)
        log.write_parquet(folder / f"{name}.parquet")
    served = log_of(World(0, queries=12, documents=20), 1600, 1)
    half = served["timestamp"].quantile(0.4)
    served.filter(pl.col("timestamp") < half).write_parquet(folder / "served.parquet")
    served.filter(pl.col("timestamp") >= half).write_parquet(folder / "later.parquet")
    return folder


@pytest.fixture
def state(tmp_path):
    """The URL of an empty state."""
    return f"sqlite:///{tmp_path}/fusion.db"


@pytest.fixture(scope="session")
def learnt(logs):
    """The URL of a state that has learnt served.parquet; tests only read it."""
    url = f"sqlite:///{logs}/fusion.db"
    with pytest.raises(SystemExit, match="^0$"):
        main(["learn-fusion", str(logs / "served.parquet"), "--state", url])
    return url
