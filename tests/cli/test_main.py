"""The `rankloom` command itself: help, exit codes, and that it never prints a traceback."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from rankloom.cli import FUSION, RERANKING, app, main

RANKLOOM = Path(sys.executable).with_name("rankloom")
COMMANDS = [
    *(command.__name__.replace("_", "-") for command in (*RERANKING, *FUSION)),
    *("promote", "rollback", "versions"),
    *("report", "serve", "ingest", "backup", "restore", "simulate", "demo"),
]


def test_every_command_is_in_the_help_and_has_help_with_an_example(run):
    listed = run("--help")
    assert (listed.code, listed.err) == (0, "")
    assert len(app.registered_commands) == len(COMMANDS)
    for command in COMMANDS:
        assert command in listed.out
        code, out, err = run(command, "--help")
        assert (code, err) == (0, "")
        assert f"Usage: rankloom {command}" in out
        assert "Example" in out


def test_the_command_and_the_module_print_the_version(tmp_path):
    for start in ([RANKLOOM], [sys.executable, "-m", "rankloom"]):
        done = subprocess.run(
            [*start, "--version"], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        assert done.stdout == f"rankloom {importlib.metadata.version('rankloom')}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["trian", "Did you mean 'train'", "rankloom --help"]),
        (["validate"], ["FILE", "rankloom validate --help"]),
        (["train", "log.parquet"], ["--out", "rankloom train --help"]),
        (["simulate", "x.parquet", "--executions", "many"], ["--executions"]),
        (["simulate", "x.parquet", "--executions", "0"], ["--executions"]),
        (["simulate", "x.parquet", "--executions", "5", "--nonsense"], ["--nonsense"]),
        (["simulate", "x.exe", "--executions", "5"], [".parquet, .jsonl or .csv", "x.exe"]),
        (["simulate", "no/such/x.parquet", "--executions", "5"], ["x.parquet"]),
        (["validate", "x.parquet", "--grade", "purchase"], ["--grade", "'purchase'"]),
        (["validate", "x.parquet", "--grade", "purchase=-1"], ["--grade", "'purchase=-1'"]),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    run(*arguments).assert_refused(*words)
    assert list(tmp_path.iterdir()) == []


def test_a_group_without_its_command_prints_its_help_and_ends_with_2(run):
    code, out, err = run("token")
    assert (code, "Usage: rankloom token" in out) == (2, True)
    assert err == "error: expected a command. Try `rankloom token --help`\n"


@pytest.mark.parametrize("command", ["validate", "position-bias", "train", "evaluate"])
def test_a_file_that_cannot_be_read_is_named_in_one_line(run, simulated, tmp_path, command):
    (tmp_path / "folder").mkdir()
    truncated = (simulated / "log.parquet").read_bytes()[:-100]
    (tmp_path / "truncated.parquet").write_bytes(truncated)
    extra = {"train": ["--out", tmp_path / "model"], "evaluate": [simulated / "model"]}
    for name in ("missing.parquet", "folder", "none-*.jsonl", "truncated.parquet"):
        run(command, *extra.get(command, []), tmp_path / name).assert_refused(name)


def test_a_real_process_ends_with_2_and_no_traceback(tmp_path):
    done = subprocess.run(
        [RANKLOOM, "train", "missing.parquet", "--out", "model"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_stops_early_is_no_error(simulated):
    """`rankloom ... | head -n 1` ends without a message."""
    documents = b'{"feature_id": "a", "features": {}}\n' * 20_000
    with subprocess.Popen(
        [RANKLOOM, "rerank", simulated / "model"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(documents)
        process.stdin.close()
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert b"Traceback" not in errors
    assert b"BrokenPipe" not in errors


def test_an_interrupt_ends_with_130(run, monkeypatch, tmp_path):
    monkeypatch.setattr("rankloom.datasets.simulate_catalogue", raising(KeyboardInterrupt))
    assert run("simulate", tmp_path / "x.parquet", "--executions", "5").code == 130


def test_a_defect_of_the_library_is_not_reported_as_an_error_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setattr("rankloom.datasets.simulate_catalogue", raising(ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        main(["simulate", str(tmp_path / "x.parquet"), "--executions", "5"])


def raising(error):
    """Return a function that raises the error."""

    def function(**_):
        raise error

    return function
