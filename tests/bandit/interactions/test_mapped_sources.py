"""Logs under other names as evidence: a mapping gives the same weights, and notes what is odd."""

import datetime as dt

import pandas as pd
import polars as pl
import pytest

from rankloom.bandit import FusionBandit
from rankloom.errors import InvalidInputError

ARMS = ["bm25", "clip"]
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ROWS = [
    {
        "request": f"r{e}",
        "sku": e % 5 + k,
        "rank": k + 1,
        "chan": ARMS[(e + k) % 2],
        "event": "Buy" if (e + k) % 2 and e % 3 == 0 else "Shown",
        "ts": int(START.timestamp() * 1000) + e,
    }
    for e in range(60)
    for k in range(3)
]
MAPPING = {
    "columns": {
        "execution_id": "request",
        "feature_id": "sku",
        "position": "rank",
        "feature_uri": "chan",
        "interaction_type": "event",
        "occurred_at": "ts",
    },
    "types": {"Buy": "purchase", "Shown": "impression"},
    "position_base": 1,
    "time_unit": "ms",
}


def learnt(rows, **options):
    """Return the report of an update and the weights after it."""
    bandit = FusionBandit(ARMS, random_state=0)
    report = bandit.update(rows, **options)
    return report, bandit.mean()


def canonical():
    for row in ROWS:
        named = {field: row[column] for field, column in MAPPING["columns"].items()}
        yield {
            **named,
            "position": row["rank"] - 1,
            "interaction_type": MAPPING["types"][row["event"]],
            "occurred_at": START + dt.timedelta(milliseconds=row["ts"] % 1000),
        }


def test_a_mapped_log_teaches_what_the_canonical_one_does(tmp_path):
    pl.DataFrame(ROWS).write_csv(tmp_path / "log.csv")
    expected = learnt(list(canonical()))
    assert expected[0].rows_used == len(ROWS)
    assert expected[0].notes == []
    for source in (ROWS, pd.DataFrame(ROWS), tmp_path / "log.csv"):
        assert learnt(source, **MAPPING) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": {**MAPPING["columns"], "user_id": "who"}}, "no table has the column 'who'"),
        ({"columns": {**MAPPING["columns"], "position": "rnk"}}, "Did you mean.*'rank'"),
        ({"types": {"Buy": "bought"}}, "unknown interaction type 'bought'"),
        ({"columns": {"sku": "feature_id"}}, "an interaction has no field 'sku'"),
    ],
)
def test_a_wrong_mapping_is_refused_and_nothing_is_learnt(change, message):
    with pytest.raises(InvalidInputError, match=message):
        learnt(ROWS, **{**MAPPING, **change})


def test_positions_from_1_and_null_words_are_noted():
    rows = [{**row, "request": row["request"] if row["rank"] > 1 else "NULL"} for row in ROWS]
    report, _ = learnt(rows, **{**MAPPING, "position_base": 0})
    words, positions = report.notes
    assert words.startswith("execution_id: 60 rows hold a word for a missing value")
    assert positions.startswith("none of 60 lists has a document at position 0")
    assert positions.endswith("give position_base=1")


def test_metadata_that_is_broken_json_teaches_nothing_and_does_not_crash():
    table = pl.DataFrame(list(canonical())).with_columns(metadata=pl.lit('{"features": {bad}'))
    report, weights = learnt(table)
    assert report.rows == len(ROWS)
    assert set(weights) == set(ARMS)
