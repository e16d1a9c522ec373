"""`rankloom report`: a page, the same facts as JSON, and errors before the log is read."""

import json

import pytest


def test_a_page_is_written_and_said(run, in_folder):
    result = run("report", "log.parquet", "--section", "load", "--out", "page.html", "--title", "T")
    assert (result.code, result.out, result.err) == (0, "", "report -> page.html\n")
    html = (in_folder / "page.html").read_text(encoding="utf-8")
    assert "<h1>T</h1>" in html
    assert "log.parquet" in html


@pytest.mark.slow
def test_json_is_on_stdout_and_a_page_only_where_asked(run, in_folder):
    sections = ("--section", "load", "--section", "labels")
    result = run("report", "dirty.jsonl", *sections, "--json")
    assert result.code == 0
    assert list(json.loads(result.out)["sections"]) == ["load", "labels"]
    assert not (in_folder / "report.html").exists()


def test_wrong_options_are_refused_by_name(run, in_folder):
    run("report", "log.parquet", "--section", "lables").assert_refused("'lables'", "labels")
    run("report", "log.parquet", "--by", "devise", "--out", "x.html").assert_refused("'devise'")
    run("report", "absent.parquet").assert_refused("absent.parquet")
    assert not (in_folder / "x.html").exists()
