"""A log's URL is a source of every command that reads interactions, and no log is created."""

import datetime as dt
import json

import polars as pl
import pytest

from rankloom.cli import main
from rankloom.datasets import InteractionLog, simulate_interactions

COMMANDS = {
    "validate": "{source}",
    "position-bias": "{source}",
    "train": "{source} --out {out} --debias none --threads 1",
    "evaluate": "{folder}/model {source}",
    "compare": "{folder}/model production {source}",
    "learn-fusion": "{source} --state sqlite:///{out}.db --retriever search",
    "replay": "{source} --state sqlite:///{folder}/fusion.db --retriever search --all",
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with the same rows in a file and in a namespace of a log, a model and a state."""
    folder = tmp_path_factory.mktemp("recorded")
    early = str(folder / "early.parquet")
    simulate_interactions(n_executions=300, random_state=2).write_parquet(early)
    later = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
    rows = simulate_interactions(n_executions=300, random_state=3, start=later)
    with InteractionLog(f"sqlite:///{folder}/log.db", namespace="shop") as log:
        log.record_batch(rows.to_dicts())
        pl.concat(list(log.scan())).write_parquet(folder / "log.parquet")
    state = ["--state", f"sqlite:///{folder}/fusion.db", "--retriever", "search"]
    for command in (
        ["train", early, "--out", str(folder / "model"), "--debias", "none", "--threads", "1"],
        ["learn-fusion", early, *state, "--namespace", "shop"],
    ):
        with pytest.raises(SystemExit, match="^0$"):
            main(command)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_log_is_read_like_a_file_of_the_same_rows(run, recorded, tmp_path, command):
    found = []
    for name, source in (("a", recorded / "log.parquet"), ("b", f"sqlite:///{recorded}/log.db")):
        values = {"source": source, "out": tmp_path / name, "folder": recorded}
        options = [each.format(**values) for each in COMMANDS[command].split()]
        code, out, _ = run(command, *options, "--namespace", "shop", "--json")
        found.append((code, json.loads(out.replace(str(values["out"]), ""))))
    assert found[1] == found[0]


def test_a_log_that_is_not_there_is_refused_and_not_created(run, recorded, tmp_path):
    url = f"sqlite:///{tmp_path}/none.db"
    run("validate", url).assert_refused("there is no log at", url)
    assert list(tmp_path.iterdir()) == []
    run("validate", "sqlite://none").assert_refused("sqlite:///relative.db")
    log = f"sqlite:///{recorded}/log.db"
    run("validate", log, recorded / "log.parquet").assert_refused("URL of a log alone")
