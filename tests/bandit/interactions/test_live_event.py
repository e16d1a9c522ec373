"""A live event is read by the rules of the record, as files and dicts are."""

import datetime as dt
from uuid import UUID

import pytest

from rankloom.bandit.base.rewards import RewardTable
from rankloom.bandit.evidence.evidence import Evidence
from rankloom.bandit.interactions.live_event import read_event
from rankloom.errors import InvalidInputError

ROW = {
    "feature_id": "d",
    "execution_id": "e",
    "feature_uri": "text",
    "user_id": "u",
    "session_id": "s",
    "interaction_type": ["impression"],
    "position": 0,
    "occurred_at": "2026-01-31T12:00:00Z",
}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interaction_type": ["clik"]}, "unknown type.*Did you mean 'click'"),
        ({"interaction_type": []}, "interaction_type: missing"),
        ({"interaction_type": [None]}, "interaction_type: .*null"),
        ({"position": -1}, "position: expected a whole number from 0 on, got -1"),
        ({"position": 1.5}, "position"),
        ({"feature_id": None}, "feature_id: missing"),
        ({"feature_id": "NULL"}, "feature_id: missing"),
        ({"document_id": "other"}, "feature_id and its alias document_id differ"),
        ({"user_id": ["u"]}, "user_id: expected text"),
        ({"user_id": 2.0**53}, "user_id: a float of 2\\^53 or more"),
        ({"timestamp": "yesterday"}, "timestamp: not an ISO 8601 time"),
        ({"occurred_at": 1_700_000_000}, "occurred_at: a number; give time_unit"),
        ({"metadata": "[1]"}, "metadata: expected an object"),
    ],
)
def test_a_bad_live_event_is_refused_by_field(fields, message):
    row = {"feature_id": "d", "interaction_type": ["impression"], "position": 0}
    assert read_event(row, RewardTable(), (), 7).time == 7
    with pytest.raises(InvalidInputError, match=message):
        read_event({**row, **fields}, RewardTable(), (), 7)


@pytest.mark.parametrize(
    "fields",
    [
        {"interaction_type": "click"},
        {"interaction_type": "CLICK"},
        {"interaction_type": "impression|add to cart"},
        {"interaction_type": "['impression', 'click']"},
        {"user_id": "NULL"},
        {"user_id": r"\N", "session_id": "nan"},
        {"user_id": 7.0},
        {"user_id": 7},
        {"user_id": UUID(int=7)},
        {"user_id": b"u"},
        {"feature_uri": "undefined"},
        {"feature_id": None, "document_id": "d"},
        {"occurred_at": "2026-01-31 12:00:00"},
        {"occurred_at": "2026/01/31 13:00 +01"},
        {"occurred_at": "2026-01-31T12:00:00,123456789 UTC"},
        {"occurred_at": "20260131T120000Z"},
        {"occurred_at": dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)},
        {"occurred_at": None, "timestamp": "2026-01-31"},
        {"metadata": '{"features": {"text": {"score": 0.5}}}'},
    ],
)
def test_a_live_event_is_read_as_the_same_dict_in_a_batch_is(fields):
    row = {**ROW, **fields}
    live, batch = (Evidence(["text"], source="a") for _ in range(2))
    given = row if row["occurred_at"] else {**row, "timestamp": None, "occurred_at": "2026-01-31"}
    live.observe(given)
    batch.update([row])
    assert live.summary.open_units == 1
    assert live.to_bytes() == batch.to_bytes()
