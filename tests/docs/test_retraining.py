"""The page about retraining: its script and its DAG serve what passes the gate, nothing else."""

import re
import sys
import types
from contextlib import nullcontext
from pathlib import Path

import polars as pl
import pytest

from .daily_logs import write_daily_logs
from .snippets import run_shell, write_files

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "retraining.md"


class Operator:
    """Stands for `BashOperator`: keeps what it was given, in the order of `>>`."""

    def __init__(self, **given):
        self.given, self.before = given, None

    def __rshift__(self, after):
        after.before = self
        return after


@pytest.fixture
def folder(tmp_path):
    """A folder with the page's files and a week of interactions."""
    write_files(PAGE.read_text(encoding="utf-8"), tmp_path)
    write_daily_logs(tmp_path)
    return tmp_path


@pytest.fixture
def tasks(folder, monkeypatch):
    """The tasks of the DAG in their order, as Airflow reads its file."""
    for name in ("airflow", "airflow.sdk", "airflow.providers", "airflow.providers.standard"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    bash = "airflow.providers.standard.operators.bash"
    for name in (bash.rpartition(".")[0], bash):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["airflow.sdk"].DAG = lambda *_, **__: nullcontext()
    sys.modules[bash].BashOperator = Operator
    names = {}
    code = (folder / "dags" / "rankloom_nightly.py").read_text(encoding="utf-8")
    exec(code, names)  # noqa: S102 - our own text
    order = [names["promote"]]
    while order[0].before is not None:
        order.insert(0, order[0].before)
    return [each.given for each in order]


def randomly_clicked(folder):
    """Let the clicks of the newest days, by which the gate judges, say nothing."""
    for path in sorted((folder / "logs").iterdir())[-3:]:
        rows = pl.read_parquet(path)
        shuffled = rows["feature_id"].shuffle(seed=0)
        rows.with_columns(feature_id=shuffled).write_parquet(path)


@pytest.mark.slow
def test_a_model_that_does_not_pass_is_not_served_and_fails_nothing(folder):
    randomly_clicked(folder)
    done = run_shell("bash nightly.sh", folder)
    assert done.returncode == 0, done.stderr
    assert "does not pass the gate" in done.stdout
    assert not (folder / "registry" / "current").exists()


@pytest.mark.slow
def test_an_error_of_the_gate_is_one_of_the_script(folder):
    (folder / "features.parquet").write_bytes(b"no table")
    done = run_shell("bash nightly.sh", folder)
    assert done.returncode == 2
    assert not (folder / "registry" / "current").exists()


@pytest.mark.slow
def test_the_commands_of_the_dag_train_judge_and_switch(tasks, folder):
    assert [task["task_id"] for task in tasks] == ["train", "gate", "promote"]
    assert {task["cwd"] for task in tasks} == {"/srv/search"}
    for task in tasks:
        done = run_shell(task["bash_command"], folder)
        assert done.returncode == 0, done.stderr
    assert (folder / "registry" / "current" / "manifest.json").exists()
    assert (folder / "registry" / "current").is_symlink()


def test_no_command_of_the_dag_is_a_template_by_chance(tasks):
    """Airflow renders commands by Jinja, for which these begin a comment, a block, a value."""
    for task in tasks:
        assert not re.search(r"\{[#%{]", task["bash_command"])


def test_the_dag_skips_what_follows_a_gate_that_does_not_pass(tasks):
    (gate,) = [task for task in tasks if task["task_id"] == "gate"]
    assert gate["skip_on_exit_code"] == 1
    assert gate["retries"] == 0
