"""The fast reading of an interaction and the rules agree on every record."""

import datetime as dt
import json

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rankloom.datasets import InteractionLog, PreparedRow, Recorded, RowFault, parse_interaction
from rankloom.datasets.log.prepare import Preparer
from rankloom.errors import InvalidInputError

PREPARER = Preparer("n", None, ("own type", 'quo"ted'))
TYPES = ("own type", 'quo"ted')
FAR = dt.datetime.max.replace(tzinfo=dt.UTC)
ids = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "a", "x" * 1_024, "é" * 1_024, "x" * 1_025, "\0", "1"]),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.none(),
    st.booleans(),
    st.lists(st.text(max_size=2), max_size=1),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
whole = st.one_of(
    st.integers(-2, 5),
    st.sampled_from([2**31 - 1, 2**31, 10**30, 1.0, 1.5, -0.0, "1", None, True, [], 1e300]),
)
times = st.one_of(
    st.datetimes().map(lambda t: t.isoformat()),
    st.datetimes().map(lambda t: t.isoformat() + "Z"),
    st.sampled_from(
        [
            *("", None, "2026-01-31", "2026-01-31T12:00", "2026-01-31 12:00:00+02", "yesterday"),
            *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01", 5, True),
            *("2026-01-31T12:00:60Z", "2026-01-31T12:00:00.1234567Z", "2026-01-31t12:00:00z"),
        ]
    ),
)
names = st.sampled_from(
    ["click", "view", "zero_results", "own type", 'quo"ted', "clik", "", None, 5]
)
records = st.fixed_dictionaries(
    {},
    optional={
        "feature_id": ids,
        "document_id": ids,
        "interaction_type": st.lists(names, max_size=3) | st.sampled_from(["click", None, {}]),
        "position": whole,
        "metadata": st.dictionaries(st.text(max_size=4), values, max_size=3)
        | values
        | st.sampled_from(['{"a": 1}', "{}", "[]", "", "{" * 70]),
        "user_id": ids,
        "session_id": ids,
        "execution_id": ids,
        "retriever_id": ids,
        "query_snapshot": values | st.sampled_from(["", '{"a":1}', "[" * 70, "[" * 5]),
        "document_score": st.one_of(st.floats(), st.integers(-(10**400), 10**400), ids),
        "result_set_size": whole,
        "feature_uri": ids,
        "interaction_id": ids,
        "occurred_at": times,
        "timestamp": times | values,
        "deduplicated": values,
        "warning": values,
        "more": values,
    },
)
likely = st.fixed_dictionaries(
    {
        "feature_id": st.text(min_size=1, max_size=5),
        "interaction_type": st.lists(st.sampled_from(["click", "view"]), min_size=1, max_size=2),
        "position": st.integers(0, 9),
    },
)


PLAIN = {"feature_id": "d", "interaction_type": ["click"], "position": 0}


def in_json(record):
    """Return a record as JSON; NaN and infinities are written as Python writes them."""
    try:
        return json.dumps(record).encode()
    except ValueError:  # an integer of too many digits to print
        return b"5"


def by_the_rules(raw):
    fields = msgspec.json.decode(raw)
    for name in ("deduplicated", "warning"):
        fields.pop(name, None)
    timestamp = fields.pop("timestamp", None)
    record = parse_interaction(msgspec.json.encode(fields), types=TYPES)
    if record.occurred_at is None:
        record.occurred_at = time_of(timestamp)
    return record


def time_of(timestamp):
    try:
        return parse_interaction(PLAIN | {"occurred_at": timestamp}).occurred_at
    except InvalidInputError:
        return None


def answered(row):
    """Return what the log would answer, without what the log sets."""
    answer = row.interaction(Recorded("created", row.interaction_id, FAR))
    answer.timestamp = answer.warning = None
    return answer


@settings(max_examples=150, deadline=None)
@given(st.one_of(records, st.builds(lambda a, b: a | b, records, likely)))
@example(
    {"feature_id": "a", "interaction_type": ["click"], "position": 0, "metadata": {"a": 2**70}}
)
def test_both_ways_agree_whether_a_record_is_taken_and_on_its_values(record):
    raw = in_json(record)
    fast = PREPARER.prepare(raw, backfill=False)
    slow = PREPARER._by_the_rules(raw, None, backfill=False)
    assert fast == slow
    if isinstance(fast, RowFault):
        with pytest.raises(ValueError):  # noqa: PT011 - ours, or that of the JSON
            by_the_rules(raw)
        return
    assert isinstance(fast, PreparedRow)
    assert answered(fast) == by_the_rules(raw)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(records, st.builds(lambda a, b: a | b, records, likely)), min_size=1, max_size=6
    )
)
def test_a_batch_is_judged_row_by_row(rows):
    raws = [in_json(record) for record in rows]
    body = b"[" + b", ".join(raws) + b"]"
    single = [PREPARER.prepare(raw, backfill=True) for raw in raws]
    try:
        batch = PREPARER.prepare_batch(body, 1_000)
    except InvalidInputError:
        # What is no JSON, such as NaN, has no rows.
        with pytest.raises(msgspec.MsgspecError):
            msgspec.json.decode(body, type=list[msgspec.Raw])
        return
    assert batch == single
    assert PREPARER.prepare_batch(b' {"interactions":' + body + b"}", 1_000) == single


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | values.map(in_json))
def test_anything_else_is_a_fault_and_never_another_error(raw):
    assert isinstance(PREPARER.prepare(raw, backfill=False), RowFault)
    try:
        rows = PREPARER.prepare_batch(raw, 10)
    except InvalidInputError:
        return
    assert all(isinstance(each, RowFault) for each in rows)


@given(records)
def test_a_mapping_is_judged_or_taken_but_never_another_error(record):
    assert isinstance(PREPARER.prepare(record, backfill=False), RowFault | PreparedRow)


@given(st.sampled_from(["a", "b"]), st.permutations(["click", "view", "dwell"]), st.booleans())
def test_the_signature_is_that_of_the_set_of_types(document, types, more):
    row = {"feature_id": document, "interaction_type": types, "position": 0, "execution_id": "e"}
    more_types = types + types[:1] if more else types
    first = PREPARER.prepare(row, backfill=False).signature
    assert (
        PREPARER.prepare(row | {"interaction_type": more_types}, backfill=True).signature == first
    )
    for change in ({"execution_id": "f"}, {"interaction_type": types[:2]}, {"retriever_id": "r"}):
        assert PREPARER.prepare(row | change, backfill=False).signature != first
    assert Preparer("m", None, ()).prepare(row, backfill=False).signature != first


@given(st.none() | times, st.none() | times | values)
def test_a_timestamp_is_the_events_time_or_named_in_the_warning(occurred_at, timestamp):
    row = PREPARER.prepare(
        PLAIN | {"occurred_at": occurred_at, "timestamp": timestamp}, backfill=False
    )
    try:
        own = parse_interaction(PLAIN | {"occurred_at": occurred_at}).occurred_at
    except InvalidInputError:
        assert row.field == "occurred_at"
        return
    stored = row.interaction(Recorded("created", "i", FAR))
    given = time_of(timestamp)
    assert stored.occurred_at == (own or given)
    assert row.live is (stored.occurred_at is None)
    used = timestamp in (None, "") or (given is not None and given == stored.occurred_at)
    left_out = stored.warning.replace("timestamp (in the future", "")
    assert ("timestamp (" in left_out) is not used


def test_ordinary_records_take_the_fast_way(monkeypatch):
    """Else the agreement of both ways would say nothing."""
    monkeypatch.setattr(Preparer, "_by_the_rules", lambda *_, **__: pytest.fail("the slow way"))
    record = {
        "document_id": "d",
        "interaction_type": ["click", 'quo"ted'],
        "position": 3,
        "metadata": {"features": {"text": {"score": 0.5}}, "deep": [[[1]]]},
        "query_snapshot": {"q": ["x"]},
        "occurred_at": "2026-01-31T12:00:00+02:00",
        "document_score": 1,
        "timestamp": "never",
    }
    raw = json.dumps(record).encode()
    rows = [PREPARER.prepare(raw, backfill=True), *PREPARER.prepare_batch(b"[%s]" % raw, 1)]
    assert [row.values[0] for row in rows] == ["d", "d"]


@pytest.mark.parametrize("name", ["execution_id", "user_id", "session_id", "feature_uri"])
def test_a_word_for_a_missing_id_is_not_stored_and_the_warning_says_so(name, tmp_path):
    row = {"feature_id": "a", "interaction_type": ["click"], "position": 0, name: "NULL"}
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as log:
        for raw in (row, json.dumps(row).encode()):
            stored = log.record(raw)
            assert getattr(stored, name) is None
            assert f"{name} ('NULL' means missing)" in stored.warning


def test_a_time_in_the_future_is_now_and_the_warning_says_so(tmp_path):
    row = {"feature_id": "a", "interaction_type": ["click"], "position": 0, "feature_uri": "u"}
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as log:
        for name in ("occurred_at", "timestamp"):
            for raw in ({**row, name: "2236-01-01"}, json.dumps({**row, name: "9999-12-31"})):
                stored = log.record(raw)
                assert stored.occurred_at == stored.timestamp
                assert f"{name} (in the future" in stored.warning
        assert log.record({**row, "occurred_at": "2026-01-01"}).warning is None
