"""What learned state asks a log for: rows by execution and session, and who was deleted where."""

import pytest

from rankloom import InteractionLog
from rankloom.datasets.record.query_keys import query_digest


@pytest.fixture(params=["sqlite", "postgres"])
def log(request, tmp_path):
    url = f"sqlite:///{tmp_path}/log.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    with InteractionLog(url, retriever_id="r") as opened:
        yield opened


def row(document, **fields):
    return {"feature_id": document, "interaction_type": ["click"], "position": 0, **fields}


def documents(frame):
    return sorted(frame["feature_id"].to_list())


def test_rows_come_by_execution_and_by_session_where_none_is_named(log):
    rows = [
        row("a", execution_id="e1", session_id="s1"),
        row("b", execution_id="e2", session_id="s1"),
        row("c", session_id="s1", query_snapshot="q"),
        row("d", session_id="s2"),
        row("e"),
    ]
    log.record_batch(rows)
    log.within("default", "other").record_batch(rows)
    log.within("other", "r").record_batch(rows)
    assert documents(log.rows_of(executions=["e1", "absent"])) == ["a"]
    assert documents(log.rows_of(sessions=["s1"])) == ["c"]
    assert documents(log.rows_of(executions=["e2"], sessions=["s1", "s2"])) == ["b", "c", "d"]
    assert documents(log.within("default").rows_of(executions=["e1"])) == ["a", "a"]
    nothing = log.rows_of()
    assert nothing.is_empty()
    assert nothing.columns == log.rows_after(0).frame.columns


def test_more_executions_than_one_statement_takes(log):
    log.record_batch([row("d", execution_id=f"e{i}") for i in range(1_203)])
    assert log.rows_of(executions=[f"e{i}" for i in range(1_203)]).height == 1_203


def test_namespaces_are_listed_whatever_the_view_sees(log):
    assert log.namespaces() == []
    for name in ("b", "a"):
        log.within(name).record(row("d"))
    assert sorted(log.within("a", "r").namespaces()) == ["a", "b"]


@pytest.mark.parametrize("by_user", [False, True])
def test_a_deleted_row_without_execution_leaves_what_stood_in_for_it(log, by_user):
    """The query itself is gone; its digest is that of the execution's name."""
    fields = {"session_id": "s", "user_id": "u", "query_snapshot": {"q": "Red  Shoes"}}
    plain, named = log.record(row("a", **fields)), log.record(row("b", execution_id="e", **fields))
    if by_user:
        log.delete_user("u")
    else:
        log.delete(plain.interaction_id)
        log.delete(named.interaction_id)
    notes = [each for each in log.deletions_after(0) if each.feature_id is not None]
    first, second = sorted(notes, key=lambda each: each.feature_id)
    assert (first.execution_id, first.session_id) == (None, "s")
    assert first.query_digest == query_digest('{"q": "red shoes"}')
    assert first.event_time == plain.timestamp
    assert (second.execution_id, second.session_id, second.query_digest) == ("e", None, None)
