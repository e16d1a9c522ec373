"""`rankloom import ubi`: queries and events into a log or a file, each accounted for."""

import json

import polars as pl
import pytest

from rankloom.datasets import InteractionLog, load_pairs

ABOUT = {"object": {"object_id": "b"}, "position": {"ordinal": 2}}


@pytest.fixture
def ubi(tmp_path):
    """Files of two queries and of four events, one of which has an unknown action."""
    queries, events = [], []
    for name in ("q1", "q2"):
        query = {"query_id": name, "client_id": "c", "user_query": "shoes"}
        at = {"timestamp": "2026-01-31T12:00:00Z"}
        queries.append({**query, **at, "query_response_hit_ids": ["a", "b", "c"]})
        for action, second in (("click", 5), ("save", 9)):
            at = {"timestamp": f"2026-01-31T12:00:{second:02}Z"}
            events.append({**at, "query_id": name, "action_name": action, "client_id": "c"})
            events[-1]["event_attributes"] = ABOUT
    paths = []
    for name, documents in (("queries", queries), ("events", events)):
        paths.append(tmp_path / f"{name}.ndjson")
        paths[-1].write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    return paths


def test_ubi_goes_into_a_log_once_and_a_second_time_changes_nothing(
    run, ubi, url, ids_in, tmp_path
):
    bad = tmp_path / "bad.jsonl"
    code, out, err = run("import", "ubi", *ubi, "--log", url, "--quarantine", bad)
    assert (code, err) == (0, f"interactions -> {url}\n")
    assert "6 documents read: 2 queries and 2 events kept, 2 quarantined" in out
    assert "2  action_name: no interaction type" in out
    assert "positions in events: counted from 1" in out
    assert "8 interactions read: 8 new" in out
    assert len(bad.read_text(encoding="utf-8").splitlines()) == 2
    held = ids_in(url)
    code, out, _ = run("import", "ubi", *ubi, "--log", url)
    assert (code, "0 new" in out, "8  in the log already" in out) == (0, True, True)
    assert ids_in(url) == held
    with InteractionLog(url) as log:
        assert load_pairs(log).y.tolist() == [0, 1, 0, 0, 1, 0]
        assert log.get(held[0]).query_snapshot == {"user_query": "shoes"}


def test_ubi_goes_into_a_file_with_own_actions_and_a_retriever(run, ubi, tmp_path):
    out = tmp_path / "log.parquet"
    more = ["--action", "save=bookmark", "--retriever", "shop", "--ordinal-base", "1", "--json"]
    code, text, _ = run("import", "ubi", *ubi, "--out", out, *more)
    document = json.loads(text)
    assert (code, document["ubi"]["quarantined"], document["ubi"]["ordinal_base"]) == (0, 0, 1)
    assert document["interactions"]["created"] == 10
    frame = pl.read_parquet(out)
    assert frame["retriever_id"].unique().to_list() == ["shop"]
    assert load_pairs(out).y.tolist() == [0, 2, 0, 0, 2, 0]


def test_the_base_of_positions_is_an_option(run, ubi, tmp_path):
    for base, words in [("hits", "those of the hit lists"), ("0", "counted from 0")]:
        code, out, _ = run(
            "import", "ubi", *ubi, "--out", tmp_path / "log.parquet", "--ordinal-base", base
        )
        assert (code, f"positions in events: {words}" in out) == (0, True)
    code, _, err = run(
        "import", "ubi", *ubi, "--out", tmp_path / "log.parquet", "--ordinal-base", "2"
    )
    assert (code, "expected 0, 1, 'hits' or None, got '2'" in err) == (2, True)


def test_types_of_ones_own_are_recorded(run, ubi, url):
    code, _, _ = run("import", "ubi", *ubi, "--log", url, "--action", "save=save_recipe")
    assert code == 0
    with InteractionLog(url, types=["save_recipe"]) as log:
        assert load_pairs(log, grades={"save_recipe": 3}).y.tolist() == [0, 3, 0, 0, 3, 0]
