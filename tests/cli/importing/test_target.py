"""Both imports: help, and errors that the user can correct."""

import pytest

WRONG = {
    "no target": (["ubi", "q.jsonl", "e.jsonl"], ["one of --log URL and --out FILE"]),
    "two targets": (["ubi", "q", "e", "--log", "x", "--out", "o.parquet"], ["one of"]),
    "format": (["ubi", "q.jsonl", "e.jsonl", "--out", "o.txt"], ["--out", ".parquet"]),
    "folder": (["ubi", "q.jsonl", "e.jsonl", "--out", "no/o.parquet"], ["--out", "folder"]),
    "action": (["ubi", "q", "e", "--out", "o.parquet", "--action", "x"], ["NAME=TYPE"]),
    "base": (["ubi", "q", "e", "--out", "o.parquet", "--ordinal-base", "2"], ["ordinal_base"]),
    "no file": (["ubi", "q.jsonl", "e.jsonl", "--out", "o.parquet"], ["q.jsonl", "no such file"]),
    "log": (["mixpeek", "https://127.0.0.1:1", "--log", "nonsense"], ["sqlite:///"]),
    "address": (["mixpeek", "http://example.com", "--out", "o.parquet"], ["in the clear"]),
    "since": (["mixpeek", "https://x.example", "--out", "o.parquet", "--since", "x"], ["since"]),
    "quarantine": (
        ["mixpeek", "https://x.example", "--out", "o.parquet", "--quarantine", "x.txt"],
        ["quarantine"],
    ),
    "variable": (
        ["mixpeek", "https://x.example", "--out", "o.parquet", "--token-env", "NOT_SET_HERE"],
        ["NOT_SET_HERE"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_one_line_and_exit_code_2(run, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = WRONG[name]
    run("import", *arguments).assert_refused(*words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [[], ["ubi"], ["mixpeek"]])
def test_help_names_the_options(run, command):
    code, out, _ = run("import", *command, "--help")
    assert code == 0
    assert ("--log" in out) == bool(command)
