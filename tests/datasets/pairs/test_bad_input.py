"""Bad input to load_pairs: a clear error or the quarantine, and no row is lost uncounted."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import load_pairs, simulate_interactions
from rankloom.errors import (
    InvalidInputError,
    NoExposuresError,
    RankloomError,
    UnreadableSourceError,
)

GOOD = [
    {
        "execution_id": f"e{e}",
        "feature_id": d,
        "interaction_type": ["click"] if d == "b" else ["impression"],
        "position": i,
        "document_score": 1.0 - i,
        "timestamp": f"2026-01-01T00:0{e}:00Z",
    }
    for e in range(3)
    for i, d in enumerate("abc")
]


def text_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def balanced(report):
    return report.rows_read == report.rows_kept + report.duplicates + report.quarantined


BAD_ROWS = {
    "position as text": {"position": "three"},
    "position with a fraction": {"position": 1.5},
    "negative position": {"position": -1},
    "huge position": {"position": 2**40},
    "astronomic position": {"position": 10**30},
    "type as number": {"interaction_type": [1]},
    "no type": {"interaction_type": []},
    "unknown type": {"interaction_type": ["stare"]},
    "score as text": {"document_score": "high"},
    "document as object": {"feature_id": {"id": 1}},
    "empty document": {"feature_id": ""},
    "10 MB in one field": {"metadata": {"x": "y" * 10_000_000}},
    "10 MB document": {"feature_id": "y" * 10_000_000},
    "no list size": {"result_set_size": 0},
    "time as text": {"timestamp": "yesterday"},
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_one_bad_row_is_quarantined_and_the_good_ones_load(tmp_path, name):
    path = tmp_path / "log.jsonl"
    path.write_text(text_of([*GOOD[:4], {**GOOD[0], **BAD_ROWS[name]}, *GOOD[4:]]))
    report = load_pairs(path).report
    assert (report.quarantined, report.rows_kept, report.rows_read) == (1, 9, 10)
    assert len(report.quarantine_reasons) == 1


ROW = '{"feature_id": "a", "interaction_type": ["click"], "position": 0, '
BAD_LINES = {
    "cut in half": text_of(GOOD[:1])[:40],
    "not a number": ROW + '"document_score": NaN}',
    "infinite": ROW + '"document_score": 1e999}',
    "nested 5,000 deep": ROW + '"metadata": ' + '{"a":' * 5000 + "1" + "}" * 5000 + "}",
    "a list": "[1, 2]",
    "no JSON": "hello",
    "bytes of nothing": "\x00\x01\x02",
}


@pytest.mark.parametrize("place", ["first", "middle", "last without newline"])
@pytest.mark.parametrize("name", BAD_LINES)
def test_one_bad_line_is_quarantined_wherever_it_stands(tmp_path, name, place):
    good = text_of(GOOD)
    path = tmp_path / "log.jsonl"
    path.write_text(
        {
            "first": BAD_LINES[name] + "\n" + good,
            "middle": text_of(GOOD[:4]) + BAD_LINES[name] + "\n" + text_of(GOOD[4:]),
            "last without newline": good + BAD_LINES[name],
        }[place]
    )
    report = load_pairs(path).report
    assert (report.quarantined, report.rows_kept, report.rows_read) == (1, 9, 10)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_quarantined_in_tables_too(tmp_path, value):
    table = pl.DataFrame(GOOD).with_columns(
        document_score=pl.when(pl.int_range(pl.len()) == 4).then(value).otherwise(0.5)
    )
    table.write_parquet(tmp_path / "log.parquet")
    for source in (table, tmp_path / "log.parquet"):
        assert load_pairs(source).report.quarantined == 1


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_an_empty_file_holds_no_interaction(tmp_path, suffix):
    path = tmp_path / f"log.{suffix}"
    path.touch()
    with pytest.raises(InvalidInputError, match="no valid interaction among 0 rows"):
        load_pairs(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_parquet_file_raises_before_any_output(tmp_path, share):
    path = tmp_path / "log.parquet"
    pl.DataFrame(GOOD).write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableSourceError, match=r"log\.parquet"):
        load_pairs(path, quarantine=tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_directory_and_a_missing_file_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.jsonl", tmp_path / "*.parquet"):
        with pytest.raises(RankloomError, match=str(tmp_path)):
            load_pairs(path)


@pytest.mark.parametrize("column", ["feature_id", "interaction_type", "position"])
def test_a_missing_column_is_named_with_those_that_are_there(column):
    with pytest.raises(InvalidInputError, match=f"no column {column}.*timestamp"):
        load_pairs(pl.DataFrame(GOOD).drop(column))


def test_no_clicks_at_all_loads_for_exploration():
    log = [row for row in GOOD if row["feature_id"] != "b"]
    pairs = load_pairs(log)
    assert not pairs.clicked.any()
    assert balanced(pairs.report)


def test_clicks_only_is_refused():
    with pytest.raises(NoExposuresError, match="impression"):
        load_pairs([row for row in GOOD if row["feature_id"] == "b"])


def test_one_execution_loads():
    assert load_pairs(GOOD[:3]).n_executions == 1


def test_all_rows_the_same_make_one_pair():
    pairs = load_pairs([GOOD[0]] * 50)
    assert len(pairs) == 1
    assert (pairs.report.rows_kept, pairs.report.duplicates) == (1, 49)


def test_a_dirty_log_is_accounted_for_to_the_last_row():
    log = simulate_interactions(n_executions=500, random_state=3, dirty=0.05, duplicates=0.03)
    report = load_pairs(log).report
    assert report.rows_read == len(log)
    # Some of the rows without a position have another one that says where they were shown.
    assert report.rows_placed > 0
    assert report.quarantined + report.rows_placed == pytest.approx(0.05 * len(log), rel=0.02)
    assert report.duplicates > 0
    assert balanced(report)
