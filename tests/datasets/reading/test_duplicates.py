import datetime as dt
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.datasets import InteractionLog, Scan, load_pairs, mark_duplicates
from rankloom.errors import InvalidInputError

START = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)


def _batch(rows):
    full = [
        {"feature_id": "a", "execution_id": "e", "interaction_type": ["click"], "position": 0}
        | {**row, "occurred_at": START + dt.timedelta(seconds=row.get("at", 0))}
        for row in rows
    ]
    return pl.concat(Scan(full).batches())


def _marked(*rows):
    return mark_duplicates(_batch(rows)).to_list()


def test_the_window_counts_from_the_last_row_that_was_kept():
    """At 0, 4 and 8 minutes: the second repeats the first, the third is new."""
    assert _marked({"at": 0}, {"at": 240}, {"at": 480}) == [False, True, False]
    assert _marked({"at": 0}, {"at": 300}, {"at": 301}) == [False, True, False]


def test_event_time_decides_and_not_the_order_of_rows():
    assert _marked({"at": 480}, {"at": 240}, {"at": 0}) == [False, True, False]


def test_ties_go_to_the_lowest_interaction_id():
    assert _marked({"interaction_id": "b"}, {"interaction_id": "a"}, {}) == [True, False, True]


def test_the_set_of_types_counts_and_not_its_order():
    rows = [{"interaction_type": t} for t in (["click", "dwell"], ["dwell", "click"], ["click"])]
    assert _marked(*rows) == [False, True, False]


@pytest.mark.parametrize(
    "other", [{"feature_id": "b"}, {"execution_id": "f"}, {"interaction_type": ["view"]}]
)
def test_another_document_execution_or_type_is_no_repeat(other):
    assert _marked({}, other) == [False, False]


def test_rows_without_an_execution_are_no_duplicates():
    assert _marked({"execution_id": None}, {"execution_id": None}) == [False, False]


def test_a_repeated_interaction_id_is_a_duplicate_whatever_else_it_says():
    rows = [
        {"interaction_id": "i", "at": 900, "feature_id": "b"},
        {"interaction_id": "i", "execution_id": None},
    ]
    assert _marked(*rows) == [True, False]


def test_a_resent_row_does_not_shift_the_window():
    rows = [
        {"at": 0, "interaction_id": "i"},
        {"at": 400, "interaction_id": "i"},
        {"at": 500, "interaction_id": "j"},
    ]
    assert _marked(*rows) == [False, True, False]


def test_rows_without_times_are_no_duplicates():
    row = {"feature_id": "a", "execution_id": "e", "interaction_type": ["click"], "position": 0}
    (batch,) = Scan([row, row]).batches()
    assert mark_duplicates(batch).to_list() == [False, False]


def test_no_rows_have_no_duplicates():
    empty = _batch([{}]).clear()
    assert mark_duplicates(empty).to_list() == []


def test_a_missing_column_is_named():
    with pytest.raises(InvalidInputError, match="type_mask"):
        mark_duplicates(_batch([{}]).drop("type_mask"))


def _by_hand(rows):
    """The rule as a loop over dicts."""
    order = sorted(
        range(len(rows)),
        key=lambda i: (
            rows[i]["at"],
            rows[i]["interaction_id"] is None,
            rows[i]["interaction_id"] or "",
            i,
        ),
    )
    ids, last, duplicate = set(), {}, [False] * len(rows)
    for i in order:
        row = rows[i]
        key = (row["execution_id"], row["feature_id"])
        if row["interaction_id"] in ids:
            duplicate[i] = True
            continue
        if row["interaction_id"] is not None:
            ids.add(row["interaction_id"])
        if row["execution_id"] is None:
            continue
        if key in last and row["at"] - last[key] <= 300:
            duplicate[i] = True
        else:
            last[key] = row["at"]
    return duplicate


rows_of_any_kind = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.sampled_from([0, 100, 200, 299, 300, 301, 500, 601, 900]),
            "execution_id": st.sampled_from(["e", "f", None]),
            "feature_id": st.sampled_from(["a", "b"]),
            "interaction_id": st.sampled_from([None, None, "i", "j", "k"]),
        }
    ),
    min_size=1,
    max_size=12,
)


@given(rows_of_any_kind)
def test_the_rule_equals_a_loop_by_hand(rows):
    assert _marked(*rows) == _by_hand(rows)


@settings(max_examples=20)
@given(rows_of_any_kind)
def test_frames_the_loader_and_the_log_agree(rows):
    """Interaction ids are left out: a log does not store one twice, whatever the time."""
    rows = sorted(({**row, "interaction_id": None} for row in rows), key=lambda row: row["at"])
    batch = _batch([*rows, {"feature_id": "z", "interaction_type": ["impression"]}])
    marked = mark_duplicates(batch).to_list()
    assert load_pairs(batch).report.duplicates == sum(marked)
    with TemporaryDirectory() as folder, InteractionLog(f"sqlite:///{folder}/log.db") as log:
        stored = log.record_batch(batch.drop("type_mask", "event_time").to_dicts())
    assert [each.status == "deduplicated" for each in stored.results] == marked
