import json

import polars as pl
import pytest

from rankloom import validate
from rankloom.datasets import Scan, mark_duplicates
from rankloom.errors import InvalidInputError, UnreadableSourceError

ROW = {
    "feature_id": "a",
    "interaction_type": ["click"],
    "position": 0,
    "execution_id": "e",
    "timestamp": "2026-01-31T12:00:00Z",
}
ROWS = [
    ROW,
    ROW | {"timestamp": "2026-01-31T12:01:00Z"},
    ROW | {"feature_id": "b", "interaction_type": ["impression", "view"], "user_id": "u"},
    ROW | {"position": -1},
    ROW | {"position": -2},
    ROW | {"feature_id": None},
]


def test_the_report_accounts_for_every_row():
    report = validate(ROWS)
    assert report.rows_read == 6
    assert report.rows_kept == 2
    assert report.duplicates == 1
    assert report.quarantined == 3
    assert list(report.quarantine_reasons.values()) == [2, 1]
    assert report.types == {"click": 2, "impression": 1, "view": 1}
    assert report.coverage["execution_id"] == report.coverage["time"] == 1.0
    assert report.coverage["user_id"] == pytest.approx(1 / 3)
    assert report.coverage["document_score"] == 0.0
    assert [example["row"] for example in report.examples] == [3, 4, 5]


def test_several_files_are_reported_as_one(tmp_path):
    for name, rows in (("a", ROWS[:1]), ("b", ROWS[1:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    together = validate(str(tmp_path / "*.jsonl"))
    assert together.to_dict() | {"examples": []} == validate(ROWS).to_dict() | {"examples": []}
    assert together.examples[0]["source"].endswith("b.jsonl")


def test_the_report_is_plain_values():
    report = validate(ROWS)
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


def test_the_text_says_what_matters():
    text = str(validate(ROWS))
    for part in ("6  rows read", "2  kept", "1  duplicates", "3  quarantined"):
        assert part in text
    assert "position: negative" in text
    assert "100.0%   execution_id" in text
    lines = [line for line in text.splitlines() if not line.startswith("note: ")]
    assert max(map(len, lines)) < 160


def test_the_quarantine_is_written(tmp_path):
    validate(ROWS, quarantine=tmp_path / "bad.csv")
    assert pl.read_csv(tmp_path / "bad.csv").height == 3


def test_types_of_the_users_own():
    rows = [ROW | {"interaction_type": ["save"]}]
    assert validate(rows).quarantined == 1
    assert validate(rows, types=["save"]).types == {"save": 1}


def test_an_empty_file_is_reported_as_no_rows(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"")
    report = validate(tmp_path / "log.csv")
    assert report.rows_read == report.rows_kept == 0
    assert "rows read" in str(report)


def test_user_errors_are_raised(tmp_path):
    with pytest.raises(UnreadableSourceError):
        validate(tmp_path / "missing.jsonl")
    with pytest.raises(InvalidInputError, match="quarantine"):
        validate(ROWS, quarantine="bad.xlsx")


def test_hashed_keys_find_the_same_duplicates_as_the_texts():
    rows = [
        ROW
        | {"feature_id": f"d{i % 7}", "execution_id": f"e{i % 3}", "interaction_id": f"{i % 40}"}
        for i in range(60)
    ]
    expected = int(mark_duplicates(pl.concat(Scan(rows).batches())).sum())
    assert validate(rows).duplicates == expected > 0
