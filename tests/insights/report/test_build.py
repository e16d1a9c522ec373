"""`build_report`: sections, what a log lacks, and the same facts as JSON."""

import json

import polars as pl
import pytest

from rankloom.errors import InvalidInputError, UnreadableSourceError
from rankloom.insights import build_report
from rankloom.insights.report import build
from rankloom.insights.report.blocks import Section, View
from rankloom.insights.report.sections import SECTIONS

SHOWN = {"execution_id": "e", "feature_id": "d", "position": 0}


def test_a_log_without_optional_fields_gives_a_report_that_says_how_to_log_them(bare):
    report = build_report(bare, n_jobs=1)
    sections = report.to_dict()["sections"]
    assert list(sections) == list(SECTIONS)
    assert sections["position-bias"]["headline"].startswith("Position 9 is examined")
    for name, field in (("memory", "occurred_at"), ("fusion", "feature_uri")):
        assert field in sections[name]["remedy"]
    assert "--features" in sections["ranker"]["remedy"]
    html = report.to_html()
    assert html.count("Not in this report.") == len(
        [s for s in sections.values() if "missing" in s]
    )


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{**SHOWN, "interaction_type": ["impression"]}],
        [{**SHOWN, "interaction_type": ["click"]}],
        [{**SHOWN, "interaction_type": ["teleport"]}],
        pl.DataFrame(schema={"feature_id": str, "interaction_type": pl.List(str), "position": int}),
    ],
    ids=["no rows", "one impression", "one click", "one bad row", "empty frame"],
)
def test_the_smallest_logs_give_a_page(rows):
    report = build_report(rows, n_jobs=1)
    json.dumps(report.to_dict(), allow_nan=False)
    assert "<h2" in report.to_html()


def test_chosen_sections_are_alone_on_the_page_in_its_order(log):
    report = build_report(log, sections=["fusion", "load"])
    assert list(report.to_dict()["sections"]) == ["load", "fusion"]
    html = report.to_html()
    assert html.count("<h2") == 3  # and the summary


@pytest.mark.slow
def test_facts_are_plain_and_the_view_needs_nothing_else(full_report):
    """What --json prints is enough to draw the same page."""
    for result in full_report.sections:
        again = json.loads(json.dumps(full_report.to_dict()["sections"][result.section.name]))
        assert "missing" not in again, again
        assert result.section.view(again["facts"]).headline == again["headline"]


def test_the_page_is_the_same_every_time(log):
    first, second = (build_report(log, sections=["load", "fusion"]).to_html() for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_users_are_counted_and_not_named(log, report):
    html = report.to_html()
    users = log["user_id"].drop_nulls().unique().to_list()
    assert f"by {len(users):,} users" in html
    assert [user for user in users if user in html] == []


@pytest.mark.parametrize("options", [{"sections": ["label"]}, {"sections": []}, {"max_rows": 0}])
def test_wrong_parameters_are_named(options, log):
    (name,) = options
    with pytest.raises(InvalidInputError, match=f"^{name}: expected"):
        build_report(log, **options)


def test_a_column_that_does_not_exist_is_refused_with_the_nearest_name(log):
    with pytest.raises(InvalidInputError, match="by: 'devise'.*Did you mean 'device'"):
        build_report(log, by="devise")


def test_a_column_of_the_table_may_split_the_curve(log):
    wide = log.with_columns(country=pl.lit("A"))
    for by in ("country", "retriever_id"):
        report = build_report(wide, by=by, sections=["load"])
        assert report.to_dict()["sections"]["load"]["facts"]["pairs"]["executions"] == 240


def test_a_source_that_cannot_be_read_is_no_report(tmp_path):
    with pytest.raises(UnreadableSourceError):
        build_report(tmp_path / "absent.parquet")


def test_an_error_that_nobody_expected_is_not_swallowed(log, monkeypatch):
    def facts(_):
        return {"share": 1 / 0}

    broken = Section("broken", "Broken", facts, lambda _: View(""))
    monkeypatch.setitem(build.SECTIONS, "broken", broken)
    with pytest.raises(ZeroDivisionError):
        build_report(log, sections=["broken"])
