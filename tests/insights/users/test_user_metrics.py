"""What a log holds of one user: every row counted, every number that of a plain loop."""

import datetime as dt
import json
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets import InteractionLog, simulate_interactions
from rankloom.errors import InvalidInputError
from rankloom.insights import user_metrics

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def log():
    return simulate_interactions(
        n_executions=400, random_state=2, dirty=0.05, duplicates=0.05, n_users=20
    )


def test_every_row_of_every_user_is_counted(log):
    for user in log["user_id"].unique():
        found = user_metrics(log, user)
        assert found.rows + found.refused_rows == len(log.filter(user_id=user))
        assert found.refused_rows > 0


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "execution_id": st.sampled_from(["e1", "e2", "e3", "e4"]),
            "feature_id": st.sampled_from(["a", "b", "c"]),
            "interaction_type": st.lists(
                st.sampled_from(["impression", "click", "purchase", "query_refinement"]),
                min_size=1,
                max_size=2,
                unique=True,
            ),
            "user_id": st.sampled_from(["u", "u", "v", None]),
            "minute": st.integers(0, 4_000),
        }
    ),
    min_size=1,
    max_size=25,
)


@given(ROWS)
def test_every_number_is_that_of_a_plain_loop(drawn):
    owner = {"e1": "s1", "e2": "s1", "e3": "s2", "e4": "s3"}
    rows = [
        {
            **{name: value for name, value in row.items() if name != "minute"},
            "position": "abc".index(row["feature_id"]),
            "session_id": owner[row["execution_id"]],
            "query_snapshot": f"query of {owner[row['execution_id']]}",
            "retriever_id": "r",
            "occurred_at": START + dt.timedelta(minutes=row["minute"]),
        }
        for row in drawn
    ]
    if not any(row["user_id"] for row in rows):
        with pytest.raises(InvalidInputError, match="no row names a user"):
            user_metrics(rows, "u")
        return
    named = [row for row in rows if row["user_id"] == "u"]
    sessions = {row["session_id"] for row in named}
    linked = [row for row in rows if row["user_id"] is None and row["session_id"] in sessions]
    kept = named + linked
    found = user_metrics(rows, "u")
    assert (found.rows, found.linked_rows, found.refused_rows) == (len(named), len(linked), 0)
    assert found.searches == len({row["execution_id"] for row in kept})
    assert found.sessions == len({row["session_id"] for row in kept})
    if not kept:
        assert found.first_seen is None
        assert "no valid row of this user" in found.notes[0]
        return
    times = [row["occurred_at"].replace(tzinfo=None) for row in kept]
    assert (found.first_seen, found.last_seen) == (min(times), max(times))
    counted = Counter(name for row in kept for name in row["interaction_type"])
    assert dict(found.types.select("type", "rows").rows()) == counted
    by_day = Counter(time.date() for time in times)
    assert dict(found.days.select("day", "rows").rows()) == by_day
    shown, grades = set(), {}
    for row in kept:
        types = set(row["interaction_type"]) - {"query_refinement"}
        if not types:
            continue
        display = (row["execution_id"], row["feature_id"])
        shown.add(display)
        own = 4 if "purchase" in types else int("click" in types)
        grades[display] = max(grades.get(display, 0), own)
    assert found.shown == len(shown)
    assert found.engaged == sum(grade >= 1 for grade in grades.values())
    documents = Counter(document for _, document in shown)
    assert dict(found.documents.select("feature_id", "shown").rows()) == documents
    best = {
        document: max(grade for (_, own), grade in grades.items() if own == document)
        for document in documents
    }
    assert dict(found.documents.select("feature_id", "grade").rows()) == best
    assert found.retrievers["searches"].to_list() == [found.searches]
    assert found.queries["searches"].sum() == found.searches
    fields = dict(found.fields.select("field", "rows").rows())
    assert fields["feature_id"] == len(kept)
    assert fields.get("user_id", 0) == len(named)


def test_the_kind_of_source_changes_nothing(log, tmp_path):
    # JSON has no infinite numbers, so that their rows would not be refused.
    log = log.filter(pl.col("document_score").is_infinite().fill_null(value=False).not_())
    user = log["user_id"][0]
    expected = user_metrics(log, user)
    log.write_parquet(tmp_path / "log.parquet")
    log.write_ndjson(tmp_path / "log.jsonl")
    for path in (tmp_path / "log.parquet", tmp_path / "log.jsonl"):
        found = user_metrics(path, user)
        assert found.to_dict() == expected.to_dict()
    assert user_metrics(log.to_arrow(), user).to_dict() == expected.to_dict()


def test_a_log_and_its_deletion(tmp_path):
    row = {"feature_id": "a", "execution_id": "e", "position": 0, "interaction_type": ["click"]}
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as log:
        for user in ("u", "u", "v"):
            log.record(
                {**row, "user_id": user, "execution_id": f"e-{user}-{len(log.find().items)}"}
            )
        assert user_metrics(log, "u").rows == 2
        log.delete_user("u")
        gone = user_metrics(log, "u")
    assert (gone.rows, gone.searches) == (0, 0)


def test_impressions_of_the_users_searches_are_found():
    clicks = [
        {"feature_id": "a", "execution_id": "e1", "interaction_type": ["click"], "user_id": "u"},
        {"feature_id": "a", "execution_id": "e2", "interaction_type": ["click"], "user_id": "v"},
    ]
    shown = [
        {"execution_id": execution, "feature_id": document, "position": position}
        for execution in ("e1", "e2")
        for position, document in enumerate("ab")
    ]
    found = user_metrics(clicks, "u", impressions=shown)
    assert (found.rows, found.impression_rows, found.shown, found.engaged) == (1, 2, 2, 1)


def test_columns_of_other_names_and_unreadable_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    good = {"feature_id": "a", "execution_id": "e", "position": 0, "interaction_type": ["click"]}
    bad = {**good, "who": 7, "position": -1}
    lines = [json.dumps({**good, "who": 7}), json.dumps(bad), "{not json"]
    path.write_text("\n".join(lines))
    found = user_metrics(path, "7", columns={"user_id": "who"})
    assert (found.rows, found.refused_rows) == (1, 1)
    assert "1 rows of the log cannot be read at all" in " ".join(found.notes)


def test_rows_without_a_search_are_counted_all_the_same():
    rows = [{"feature_id": "a", "position": 0, "interaction_type": ["click"], "user_id": "u"}]
    found = user_metrics(rows, "u")
    assert (found.rows, found.searches) == (1, 0)
    assert "log execution_id" in " ".join(found.notes)
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert repr(found).startswith("user u: 1 rows")


@pytest.mark.parametrize("user", ["", None, 7])
def test_a_user_is_a_text(user, log):
    with pytest.raises(InvalidInputError, match="user_id: expected a non-empty text"):
        user_metrics(log, user)
