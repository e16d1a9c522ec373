"""What only a server can do wrong: late commits, tenants beside each other, versions, months."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import quote

import psycopg
import pytest

from rankloom import InteractionLog
from rankloom._shared.postgres import PostgresAddress
from rankloom.datasets.log import postgres_tables
from rankloom.datasets.log.postgres_insert import _HELD, insert_group
from rankloom.errors import InvalidInputError, StoreError

HOLD = """
import sys, time
from rankloom import InteractionLog
from rankloom.datasets.log.postgres_insert import insert_group
log = InteractionLog(sys.argv[1])
row = log.prepare({"feature_id": "never", "interaction_type": ["click"], "position": 0})

def hold(cursor):
    insert_group(cursor, [row], log.connections.server.schema)
    print("inserted", flush=True)
    time.sleep(600)

log.record({"feature_id": "first", "interaction_type": ["click"], "position": 0})
log.connections.writer.run(hold, "default")
"""

WAITING = """
SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND NOT l.granted AND a.application_name = %s
"""


@pytest.fixture
def log(postgres_url):
    with InteractionLog(postgres_url) as opened:
        yield opened


@pytest.fixture
def raw(postgres_url):
    """A connection of the same role, by which one may try anything."""
    address = PostgresAddress(postgres_url)
    with psycopg.connect(address.conninfo, autocommit=True) as connection:
        connection.execute(f"SET search_path TO {address.schema}")
        yield connection


def row(document, **fields):
    return {"feature_id": document, "interaction_type": ["click"], "position": 0, **fields}


def documents(log, after=0):
    chunk = log.rows_after(after)
    return chunk.frame["feature_id"].to_list(), chunk.last


def test_who_reads_up_to_a_number_misses_no_row_that_is_committed_late(log, postgres_url):
    """The first writer holds its transaction open; nothing overtakes it."""
    inserted, free = threading.Event(), threading.Event()
    late = log.prepare(row("late"))

    def hold(cursor):
        insert_group(cursor, [late], log.connections.server.schema)
        inserted.set()
        assert free.wait(30)

    log.record(row("first"))
    with InteractionLog(postgres_url) as other:
        holder = threading.Thread(target=log.connections.writer.run, args=(hold, "default"))
        holder.start()
        assert inserted.wait(30)
        after = other.submit([other.prepare(row("after"))])
        others_row = other.within("shop").prepare(row("shop"))
        with InteractionLog(postgres_url) as third:
            # Only the writers of this namespace wait.
            assert third.submit([others_row]).result(30)[0].status == "created"
            assert not after.done()
            found, mark = documents(third)
            assert (found, mark) == (["first"], 1)
            free.set()
            holder.join(30)
            assert after.result(30)[0].seq == 3
            assert documents(third, mark) == (["late", "after"], 3)


def test_what_a_killed_writer_held_open_is_gone_and_hinders_nobody(log, postgres_url):
    command = [sys.executable, "-c", HOLD, postgres_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "inserted\n"
        _, mark = documents(log)
        waiting = log.submit([log.prepare(row("after"))])
        process.send_signal(signal.SIGKILL)
        assert waiting.result(60)[0].seq == mark + 1
    assert documents(log, mark) == (["after"], mark + 1)
    assert documents(log)[0] == ["first", "after"]


def test_who_waits_for_a_writer_sees_its_rows_whatever_the_isolation(log, raw, postgres_url):
    """With one moment for the whole transaction numbers would be given twice."""
    inserted, free = threading.Event(), threading.Event()
    first = log.prepare(row("first", execution_id="e"))

    def hold(cursor):
        insert_group(cursor, [first], log.connections.server.schema)
        inserted.set()
        assert free.wait(30)

    serializable = f"{postgres_url}&options=-c%20default_transaction_isolation%3Dserializable"
    with InteractionLog(serializable) as other:
        other.record(row("zero"))
        holder = threading.Thread(target=log.connections.writer.run, args=(hold, "default"))
        holder.start()
        assert inserted.wait(30)
        rows = [other.prepare(row(name, execution_id="e")) for name in ("first", "b")]
        after = other.submit(rows)
        while not raw.execute(WAITING, (f"rankloom-{os.getpid()}",)).fetchall():
            assert not after.done()
            time.sleep(0.01)
        free.set()
        holder.join(30)
        assert [(each.status, each.seq) for each in after.result(30)] == [
            ("deduplicated", None),
            ("created", 3),
        ]


def test_rows_of_several_namespaces_share_a_transaction(log):
    rows = [log.within(f"n{i % 3}").prepare(row(str(i))) for i in range(90)]
    receipts = log.submit(rows).result(60)
    assert [each.seq for each in receipts] == [i // 3 + 1 for i in range(90)]
    for space in range(3):
        view = log.within(f"n{space}")
        assert documents(view)[0] == [str(i) for i in range(space, 90, 3)]
        assert view.last_row == 30
    assert len({each.interaction_id for each in receipts}) == 90


def test_the_database_hides_other_namespaces_from_every_statement(log, raw):
    for name in ("ours", "theirs"):
        view = log.within(name, "r")
        view.record_batch([row(str(i), user_id="u", execution_id="e") for i in range(30)])
        view.delete_user("u")
        view.record(row("kept"))
    tables = raw.execute(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class AS c "
        "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"
    ).fetchall()
    assert {name for name, is_hidden in tables if not is_hidden} == {"log_meta"}
    names = [name for name, is_hidden in tables if is_hidden]
    assert {"namespaces", "retrievers", "interactions", "deletions"} < set(names)

    def counts():
        queries = [f"SELECT count(*) FROM {name}" for name in names]  # noqa: S608
        return [raw.execute(query).fetchone()[0] for query in queries]

    assert sum(counts()) == 0
    raw.execute("SELECT set_config('rankloom.namespace', 'ours', false)")
    ours = counts()
    assert all(ours[names.index(name)] for name in ("interactions", "deletions", "retrievers"))
    number = raw.execute("SELECT id FROM namespaces").fetchone()[0]
    assert raw.execute("UPDATE interactions SET position = 9").rowcount == 1
    assert raw.execute("DELETE FROM deletions WHERE namespace <> %s", (number,)).rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        raw.execute("INSERT INTO retrievers (namespace, name) VALUES (%s, 'x')", (number + 1,))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        raw.execute("UPDATE interactions SET namespace = %s", (number + 1,))
    assert [each.position for each in log.within("theirs").find().items] == [0]


def test_tables_of_an_earlier_version_are_brought_forward_and_of_a_later_refused(
    log, postgres_url, monkeypatch
):
    log.record(row("a"))
    added = (*postgres_tables.STEPS, ("ALTER TABLE namespaces ADD COLUMN note text",))
    with monkeypatch.context() as newer:
        newer.setattr(postgres_tables, "STEPS", added)
        with InteractionLog(postgres_url) as migrated:
            assert documents(migrated)[0] == ["a"]
            with migrated.connections.reading("default") as cursor:
                assert cursor.execute("SELECT note FROM namespaces").fetchone() == (None,)
    with InteractionLog(postgres_url) as older, pytest.raises(StoreError, match="version 2"):
        older.find()


def test_a_migration_that_fails_leaves_the_version_of_before(log, postgres_url, monkeypatch):
    log.record(row("a"))
    broken = (*postgres_tables.STEPS, ("CREATE TABLE half (a int)", "SELECT * FROM nowhere"))
    with monkeypatch.context() as newer:
        newer.setattr(postgres_tables, "STEPS", broken)
        with InteractionLog(postgres_url) as failing, pytest.raises(StoreError, match="nowhere"):
            failing.find()
    with InteractionLog(postgres_url) as again:
        assert documents(again)[0] == ["a"]
        with again.connections.reading(None) as cursor:
            assert cursor.execute("SELECT to_regclass('half')").fetchone() == (None,)


def test_retention_drops_months_and_what_is_older_than_any(log, raw):
    now = dt.datetime.now(dt.UTC)
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    times = {
        "ancient": dt.datetime(1999, 5, 5, tzinfo=dt.UTC),
        "old": begin - dt.timedelta(days=300),
        "last": begin - dt.timedelta(hours=1),
        "now": now,
    }
    for name in ("a", "b"):
        rows = [row(each, occurred_at=at.isoformat()) for each, at in times.items()]
        assert log.within(name).record_batch(rows).created == 4

    def months():
        found = raw.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'interactions'::regclass"
        )
        return {name for (name,) in found}

    before = months()
    assert log.expire_everywhere(begin - dt.timedelta(hours=2)) == 4
    assert len(before) - len(months()) == 1
    assert "interactions_before" in months()
    assert documents(log.within("a"))[0] == ["last", "now"]
    # Numbers go on, and a month that is gone is made again.
    again = log.within("a").record(row("old", occurred_at=times["old"].isoformat()))
    assert documents(log.within("a"), 4) == (["old"], 5)
    assert log.within("a").get(again.interaction_id) == again
    assert months() == before


def test_a_connection_that_the_server_ends_is_reported_and_replaced(log, raw):
    log.record(row("a"))
    raw.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
        (f"rankloom-{os.getpid()}",),
    )
    with pytest.raises(StoreError, match="send it again"):
        log.record(row("b"))
    log.record(row("c"))
    assert documents(log)[0] == ["a", "c"]


def test_a_lock_that_others_hold_too_long_is_reported(postgres_url):
    with InteractionLog(postgres_url) as log, InteractionLog(postgres_url, timeout=0.2) as other:
        log.record(row("a"))

        def hold(_):
            with pytest.raises(StoreError, match="others hold a lock"):
                other.record(row("b"))

        log.connections.writer.run(hold, "default")
        assert other.record(row("b")).feature_id == "b"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:pass/word@host/db",
        "postgresql://host:port/db",
        "postgresql://host/db?schema=Bad Name",
        "postgresql://host/db?schema=x;drop",
        "postgresql://host/db#secret",
    ],
)
def test_a_url_of_another_form_is_refused_without_its_password(url):
    with pytest.raises(InvalidInputError, match="url") as error:
        InteractionLog(url)
    assert "pass/word" not in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("value", ["a b", "a+b", "-c work_mem=8MB", "50%", "a&b=c"])
def test_options_of_a_url_reach_libpq_as_they_are_given(value):
    for encoded in {quote(value), quote(value, safe="+")}:
        address = PostgresAddress(f"postgresql://host/db?schema=s&options={encoded}")
        assert psycopg.conninfo.conninfo_to_dict(address.conninfo)["options"] == value


def test_no_message_shows_a_password():
    url = "postgresql://me:s3cret@127.0.0.1:1/db?password=s3cret"
    with InteractionLog(url, timeout=2.0) as log, pytest.raises(StoreError) as error:
        log.find()
    assert "s3cret" not in f"{error.value} {log!r}"


def test_which_executions_are_stored_is_looked_up_by_the_index(log, raw):
    """A join with all rows of these minutes took longer the more of them there were."""
    log.record_batch([row("d", execution_id=f"e{number}") for number in range(3_000)])
    raw.execute("SELECT set_config('rankloom.namespace', 'default', false)")
    number = raw.execute("SELECT id FROM namespaces").fetchone()[0]
    wanted = [f"e{number}" for number in range(0, 6_000, 60)]
    now = time.time_ns() // 1_000
    bound = wanted, number, now - 10**8, now + 10**8
    assert raw.execute(_HELD, bound).fetchall() == [(name,) for name in wanted[:50]]
    raw.execute("ANALYZE interactions")
    plan = raw.execute(f"EXPLAIN {_HELD}", bound).fetchall()
    months = f"interactions_{postgres_tables.this_month()} "  # that of next month is empty
    scans = [line for (line,) in plan if "Scan" in line and months in line]
    assert len(scans) == 1
    assert all("Index" in line for line in scans), plan
