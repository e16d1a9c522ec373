"""`rankloom import mixpeek`: interactions of a service into a log or a file, and resumed copies."""

import json

import polars as pl

from tests.datasets.importers.interaction_service import Service, running, status


def stored(number):
    return {
        "feature_id": f"d{number}",
        "interaction_type": ["click"],
        "position": number - 1,
        "interaction_id": f"id-{number}",
        "timestamp": f"2026-01-31T12:00:{number:02}Z",
    }


ROWS = [stored(i) for i in range(6)]


def test_a_service_goes_into_a_log_and_a_later_run_takes_what_is_new(run, url, ids_in, tmp_path):
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
        run(*command).assert_refused("answered 500")
        assert not out.exists()
        assert run(*command).code == 0
    assert pl.read_parquet(out)["interaction_id"].to_list() == [f"id-{i}" for i in range(1, 6)]


def test_a_service_that_is_not_there_is_named_in_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setattr("rankloom.datasets.importers.mixpeek.client.MAX_WAIT", 0.0)
    with running(Service([])) as service:
        address = service.url
    result = run("import", "mixpeek", address, "--out", tmp_path / "o.parquet")
    result.assert_refused(address, "gave up after 9 attempts")
