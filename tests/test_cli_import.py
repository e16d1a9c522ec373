"""`rankloom import`: what others recorded, into a log or a file, with an account of every row."""

import json
import sys

import polars as pl
import pytest

from rankloom.cli import main
from rankloom.datasets import InteractionLog, load_pairs
from tests.datasets.interaction_service import TOKEN, Service, running, status


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; return exit code, stdout and stderr."""
    monkeypatch.setenv("MIXPEEK_API_KEY", TOKEN)

    def run(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["rankloom"])
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        return ending.value.code, *capsys.readouterr()

    return run


def assert_refused(result, *words):
    code, out, err = result
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert err.startswith("error: ")
    assert [word for word in words if word not in err] == []


def ids_in(url, namespace="default"):
    with InteractionLog(url, namespace=namespace) as log:
        return sorted(name for frame in log.scan() for name in frame["interaction_id"].to_list())


ABOUT = {"object": {"object_id": "b"}, "position": {"ordinal": 2}}


@pytest.fixture
def ubi(tmp_path):
    """Files of two queries and of four events, one of which has an unknown action."""
    queries, events = [], []
    for name in ("q1", "q2"):
        told = {"query_id": name, "client_id": "c", "user_query": "shoes"}
        at = {"timestamp": "2026-01-31T12:00:00Z"}
        queries.append({**told, **at, "query_response_hit_ids": ["a", "b", "c"]})
        for action, second in (("click", 5), ("save", 9)):
            at = {"timestamp": f"2026-01-31T12:00:{second:02}Z"}
            events.append({**at, "query_id": name, "action_name": action, "client_id": "c"})
            events[-1]["event_attributes"] = ABOUT
    paths = []
    for name, documents in (("queries", queries), ("events", events)):
        paths.append(tmp_path / f"{name}.ndjson")
        paths[-1].write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    return paths


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/log.db"


def test_ubi_goes_into_a_log_once_and_a_second_time_changes_nothing(run, ubi, url, tmp_path):
    bad = tmp_path / "bad.jsonl"
    code, out, err = run("import", "ubi", *ubi, "--log", url, "--quarantine", bad)
    assert (code, err) == (0, f"interactions -> {url}\n")
    assert "6 documents read: 2 queries and 2 events kept, 2 refused" in out
    assert "2  action_name: no interaction type" in out
    assert "positions in events count from 1" in out
    assert "8 interactions read: 8 new" in out
    assert len(bad.read_text(encoding="utf-8").splitlines()) == 2
    held = ids_in(url)
    code, out, _ = run("import", "ubi", *ubi, "--log", url)
    assert (code, "0 new" in out, "8  there before" in out) == (0, True, True)
    assert ids_in(url) == held
    with InteractionLog(url) as log:
        assert load_pairs(log).y.tolist() == [0, 1, 0, 0, 1, 0]
        assert log.get(held[0]).query_snapshot == {"user_query": "shoes"}


def test_ubi_goes_into_a_file_with_own_actions_and_a_retriever(run, ubi, tmp_path):
    out = tmp_path / "log.parquet"
    more = ["--action", "save=bookmark", "--retriever", "shop", "--ordinal-base", "1", "--json"]
    code, told, _ = run("import", "ubi", *ubi, "--out", out, *more)
    document = json.loads(told)
    assert (code, document["ubi"]["quarantined"], document["ubi"]["ordinal_base"]) == (0, 0, 1)
    assert document["interactions"]["created"] == 10
    frame = pl.read_parquet(out)
    assert frame["retriever_id"].unique().to_list() == ["shop"]
    assert load_pairs(out).y.tolist() == [0, 2, 0, 0, 2, 0]


def test_types_of_ones_own_are_recorded(run, ubi, url):
    code, _, _ = run("import", "ubi", *ubi, "--log", url, "--action", "save=save_recipe")
    assert code == 0
    with InteractionLog(url, types=["save_recipe"]) as log:
        assert load_pairs(log, grades={"save_recipe": 3}).y.tolist() == [0, 3, 0, 0, 3, 0]


def stored(number):
    return {
        "feature_id": f"d{number}",
        "interaction_type": ["click"],
        "position": number - 1,
        "interaction_id": f"id-{number}",
        "timestamp": f"2026-01-31T12:00:{number:02}Z",
    }


ROWS = [stored(i) for i in range(6)]


def test_a_service_goes_into_a_log_and_a_later_run_takes_what_is_new(run, url, tmp_path):
    bad, resume = tmp_path / "bad.jsonl", tmp_path / "copy.json"
    with running(Service(ROWS)) as service:
        options = ["--log", url, "--namespace", "shop", "--page-size", 2, "--resume", resume]
        command = ["import", "mixpeek", service.url, *options, "--requests-per-second", 1000]
        code, out, err = run(*command, "--quarantine", bad)
        assert (code, err) == (0, f"interactions -> {url}\n")
        assert out.splitlines() == [
            "6 interactions read: 5 new",
            "          1  position: negative; positions are 0-based",
        ]
        assert "id-0" not in ids_in(url, "shop")
        service.rows = [*ROWS, stored(6)]
        code, out, err = run(*command, "--json")
        assert code == 0, err
    assert json.loads(out)["interactions"]["created"] == 1
    assert ids_in(url, "shop") == [f"id-{i}" for i in range(1, 7)]
    assert ids_in(url) == []
    assert len(bad.read_text(encoding="utf-8").splitlines()) == 1


def test_a_service_goes_into_a_file_after_an_interruption(run, tmp_path):
    out, resume = tmp_path / "log.parquet", tmp_path / "copy.json"
    with running(Service(ROWS)) as service:
        options = ["--out", out, "--page-size", 2, "--resume", resume]
        command = ["import", "mixpeek", service.url, *options, "--requests-per-second", 1000]
        service.script = [lambda _: False, lambda _: False, status(500)]
        assert_refused(run(*command), "answered 500")
        assert not out.exists()
        assert run(*command)[0] == 0
    assert pl.read_parquet(out)["interaction_id"].to_list() == [f"id-{i}" for i in range(1, 6)]


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
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(run, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = WRONG[name]
    assert_refused(run("import", *arguments), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_is_not_there_is_told_in_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setattr("rankloom.datasets._http.LONGEST_WAIT", 0.0)
    with running(Service([])) as service:
        address = service.url
    result = run("import", "mixpeek", address, "--out", tmp_path / "o.parquet")
    assert_refused(result, address, "gave up after 9 attempts")


@pytest.mark.parametrize("command", [[], ["ubi"], ["mixpeek"]])
def test_help_names_the_options(run, command):
    code, out, _ = run("import", *command, "--help")
    assert code == 0
    assert ("--log" in out) == bool(command)
