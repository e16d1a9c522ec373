import datetime as dt

import msgspec
import polars as pl
import pytest

from rankloom.datasets import (
    Interaction,
    InteractionType,
    canonical_schema,
    parse_interaction,
)
from rankloom.datasets.record.interaction import (
    ID_COLUMNS,
    LIST_LEVEL_TYPES,
    TIME_COLUMNS,
)
from rankloom.errors import InvalidInputError

GOOD = {"feature_id": "a", "interaction_type": ["click"], "position": 0}


def test_a_record_keeps_every_field():
    record = parse_interaction(
        GOOD
        | {
            "document_id": "a",
            "metadata": {"device": "phone"},
            "user_id": 7,
            "session_id": "s",
            "execution_id": "e",
            "retriever_id": "r",
            "query_snapshot": {"text": "shoes"},
            "document_score": 1,
            "result_set_size": 10.0,
            "feature_uri": "m://x",
            "occurred_at": dt.datetime(2026, 1, 31, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            "timestamp": "2026-01-31T12:00:00",
            "interaction_id": "i",
            "unknown": "ignored",
        }
    )
    assert record == Interaction(
        feature_id="a",
        interaction_type=["click"],
        position=0,
        metadata={"device": "phone"},
        user_id="7",
        session_id="s",
        execution_id="e",
        retriever_id="r",
        query_snapshot={"text": "shoes"},
        document_score=1.0,
        result_set_size=10,
        feature_uri="m://x",
        occurred_at=dt.datetime(2026, 1, 31, 10, tzinfo=dt.UTC),
        timestamp=dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC),
        interaction_id="i",
    )


@pytest.mark.parametrize(
    "form", [dict, msgspec.json.encode, lambda r: msgspec.json.encode(r).decode()]
)
def test_a_dict_and_its_json_are_the_same_record(form):
    assert parse_interaction(form(GOOD)) == Interaction(**GOOD)


def test_a_record_survives_json():
    record = parse_interaction(GOOD | {"occurred_at": "2026-01-31T12:00:00.000001+02:00"})
    assert parse_interaction(msgspec.json.encode(record)) == record


def test_metadata_may_be_json_text():
    assert parse_interaction(GOOD | {"metadata": '{"a": 1}'}).metadata == {"a": 1}
    with pytest.raises(InvalidInputError, match="metadata: not a JSON object"):
        parse_interaction(GOOD | {"metadata": "{not json}"})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (GOOD | {"position": -1}, r"position: negative.*-1"),
        (GOOD | {"position": "0"}, r"position: not a whole number.*0"),
        (GOOD | {"interaction_type": ["clik"]}, r"interaction_type: unknown type.*clik"),
        (GOOD | {"interaction_type": [["click"]]}, r"interaction_type: unknown type"),
        (GOOD | {"document_score": float("inf")}, r"document_score: not finite.*inf"),
        (GOOD | {"document_score": -(10**400)}, r"document_score: not finite"),
        (GOOD | {"user_id": {"a": 1}}, r"user_id: expected text"),
        (GOOD | {"feature_id": "NULL"}, r"feature_id: missing.*NULL"),
        (GOOD | {"occurred_at": "0001-01-01T00:00:00+10:00"}, r"occurred_at: outside the years"),
        ({}, r"interaction_type: missing"),
        (b"", r"interaction: not valid JSON"),
        (b"[]", r"interaction: the line is not a JSON object"),
        ("\ud800", r"interaction: not valid UTF-8"),
        (b"[" * 5_000, r"interaction: nested more than 64 deep"),
        (b'{"a":"' + b"x" * 9_000_000, r"interaction: the line is longer than"),
        (5, r"interaction: expected a dict or an Interaction.*5"),
        ({"feature_id": object()}, r"interaction: cannot be written as JSON.*object"),
    ],
)
def test_a_refusal_names_field_value_and_expectation(record, message):
    with pytest.raises(InvalidInputError, match=message):
        parse_interaction(record)


def test_a_dict_within_itself_is_refused():
    record = dict(GOOD)
    record["metadata"] = record
    with pytest.raises(InvalidInputError, match="nested more than 64 deep"):
        parse_interaction(record)


def test_types_of_the_users_own_are_known_once_named():
    record = GOOD | {"interaction_type": ["save"]}
    assert parse_interaction(record, types=["save"]).interaction_type == ["save"]
    with pytest.raises(InvalidInputError, match="at most 64"):
        parse_interaction(record, types=[f"t{i}" for i in range(60)])
    with pytest.raises(InvalidInputError, match=r"\['save'\]"):
        parse_interaction(record, types="save")


def test_the_order_of_the_types_never_changes():
    """Stored bitmasks depend on it."""
    assert list(InteractionType) == [
        "impression",
        "view",
        "click",
        "dwell",
        "positive_feedback",
        "negative_feedback",
        "purchase",
        "add_to_cart",
        "wishlist",
        "long_view",
        "share",
        "bookmark",
        "query_refinement",
        "zero_results",
        "filter_toggle",
        "skip",
        "return_to_results",
    ]
    assert {"query_refinement", "zero_results", "filter_toggle"} == LIST_LEVEL_TYPES


def test_the_canonical_columns_are_fields_of_the_record():
    schema = canonical_schema()
    assert set(schema) <= set(Interaction.__struct_fields__)
    assert all(schema[name] == pl.String for name in ID_COLUMNS)
    assert all(schema[name] == pl.Datetime("us") for name in TIME_COLUMNS)
