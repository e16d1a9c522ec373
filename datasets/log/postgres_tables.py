"""The tables of an interaction log in PostgreSQL, each step of their history, and their months."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from ..._shared.postgres import EVERYWHERE, OWN_NAME, migrate, own_rows_only

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..._shared.postgres import PostgresCursor

FIRST_MONTHS: Final = 24
"""Months before that of the log's making that have a partition each; older rows share one."""

_OLDEST: Final = "interactions_before"
_OWN: Final = f"namespace = (SELECT n.id FROM namespaces AS n WHERE n.name = {OWN_NAME})"  # noqa: S608
_TEXT: Final = 'text COLLATE "C"'
_INDEXES: Final = (
    # Ids are unique in a namespace: writers look, one after the other. That of a partitioned table
    # has to hold the time too.
    "CREATE UNIQUE INDEX by_id ON interactions (namespace, interaction_id, event_time)",
    "CREATE INDEX by_namespace ON interactions (namespace, seq, retriever)",
    """CREATE INDEX by_execution ON interactions (namespace, execution_id, signature, event_time)
        WHERE execution_id IS NOT NULL""",
    """CREATE INDEX by_session ON interactions (namespace, session_id)
        WHERE session_id IS NOT NULL""",
    "CREATE INDEX by_user ON interactions (namespace, user_id) WHERE user_id IS NOT NULL",
    "CREATE INDEX deletions_by_namespace ON deletions (namespace, number)",
)
STEPS: Final = (
    (
        "CREATE TABLE log_meta (key text PRIMARY KEY, value text NOT NULL)",
        # `seq`, `clock` and `deletion` were given last: none of them is given again.
        f"""CREATE TABLE namespaces (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name {_TEXT} NOT NULL UNIQUE,
            seq bigint NOT NULL DEFAULT 0, clock bigint NOT NULL DEFAULT 0,
            deletion bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50)""",
        f"""CREATE TABLE retrievers (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, namespace integer NOT NULL,
            name {_TEXT} NOT NULL, UNIQUE (namespace, name))""",
        f"""CREATE TABLE interactions (
            seq bigint NOT NULL, event_time bigint NOT NULL, occurred_at bigint,
            "timestamp" bigint NOT NULL, signature bigint, document_score float8,
            namespace integer NOT NULL, retriever integer NOT NULL, "position" integer NOT NULL,
            result_set_size integer, live smallint NOT NULL, snapshot_is_text smallint NOT NULL,
            interaction_id {_TEXT} NOT NULL, feature_id {_TEXT} NOT NULL,
            interaction_type {_TEXT} NOT NULL, metadata {_TEXT}, user_id {_TEXT},
            session_id {_TEXT}, execution_id {_TEXT}, query_snapshot {_TEXT},
            feature_uri {_TEXT}, unknown_keys {_TEXT}) PARTITION BY RANGE (event_time)""",
        f"""CREATE TABLE deletions (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, namespace integer NOT NULL,
            retriever integer, execution_id {_TEXT}, feature_id {_TEXT}, user_id {_TEXT},
            live smallint, event_time bigint, session_id {_TEXT}, query_digest {_TEXT},
            deleted_at bigint NOT NULL)""",
        # How retrievers learn, and who changed it, as the service has it.
        f"""CREATE TABLE fusion_retrievers (
            namespace {_TEXT} NOT NULL, retriever_id {_TEXT} NOT NULL, settings {_TEXT} NOT NULL,
            PRIMARY KEY (namespace, retriever_id))""",
        f"""CREATE TABLE fusion_changes (
            namespace {_TEXT} NOT NULL, retriever_id {_TEXT} NOT NULL, number bigint NOT NULL,
            "time" {_TEXT} NOT NULL, author {_TEXT} NOT NULL, action {_TEXT} NOT NULL,
            value_before {_TEXT} NOT NULL, value_after {_TEXT} NOT NULL,
            PRIMARY KEY (namespace, retriever_id, number))""",
        *_INDEXES,
        *own_rows_only("namespaces", f"name = {OWN_NAME} OR {EVERYWHERE}"),
        *own_rows_only("fusion_retrievers", f"namespace = {OWN_NAME} OR {EVERYWHERE}"),
        *own_rows_only("fusion_changes", f"namespace = {OWN_NAME}"),
        *own_rows_only("retrievers", _OWN),
        *own_rows_only("interactions", _OWN),
        *own_rows_only("deletions", _OWN),
    ),
)
"""What makes the tables of each version from those of the version before."""


def open_tables(cursor: PostgresCursor, url: str) -> None:
    """Make the tables where there are none, or bring them to this version."""
    migrate(cursor, "log_meta", STEPS, url)
    found = cursor.execute("SELECT 1 FROM log_meta WHERE key = 'log_id'").fetchone()
    if found is None:
        cursor.execute("INSERT INTO log_meta VALUES ('log_id', ?)", (str(uuid4()),))
        first = this_month() - FIRST_MONTHS
        cursor.execute("INSERT INTO log_meta VALUES ('first_month', ?)", (str(first),))
        _attach(cursor, _OLDEST, "MINVALUE", str(_begin(first)))


def month_of(moment: int) -> int:
    """Return the number of the month of a time in microseconds, counted from the year 0.

    Examples
    --------
    >>> month_of(0) == 1970 * 12, month_of(31 * 86_400_000_000) - month_of(0)
    (True, 1)
    """
    day = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=moment)
    return 12 * day.year + day.month - 1


def this_month() -> int:
    """Return the number of the month that it is."""
    return month_of(time.time_ns() // 1_000)


def make_months(cursor: PostgresCursor, months: Iterable[int]) -> None:
    """Make the partitions of some months that have none."""
    cursor.lock("tables", _schema(cursor))
    first = _first_month(cursor)
    for month in sorted({month for month in months if month >= first}):
        name = _name(month)
        found = cursor.execute("SELECT to_regclass(?) IS NULL", (name,)).fetchone()
        if found is not None and found[0]:
            _attach(cursor, name, str(_begin(month)), str(_begin(month + 1)))


def drop_before(cursor: PostgresCursor, moment: int) -> int:
    """Drop the partitions whose rows are all from before a time; return how many rows they held."""
    cursor.lock("tables", _schema(cursor))
    first, total = _first_month(cursor), 0
    names = cursor.execute(
        "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = to_regclass('interactions')"
    ).fetchall()
    for (name,) in names:
        month = first - 1 if name == _OLDEST else int(name.rpartition("_")[2])
        if _begin(month + 1) > moment:
            continue
        total += _count(cursor, name)
        if name == _OLDEST:
            cursor.execute(f"TRUNCATE {name}")
        else:
            cursor.execute(f"DROP TABLE {name}")
    return total


def _count(cursor: PostgresCursor, name: str) -> int:
    """Return how many rows of all namespaces a partition holds, by the names it shows each."""
    total = 0
    cursor.within(None)
    spaces = cursor.execute("SELECT name FROM namespaces").fetchall()
    for (space,) in spaces:
        cursor.within(space)
        row = cursor.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608
        total += 0 if row is None else int(row[0])
    cursor.within(None)
    return total


def _attach(cursor: PostgresCursor, name: str, begin: str, end: str) -> None:
    # A table that is attached later keeps nobody from reading and writing the others meanwhile.
    cursor.execute(f"CREATE TABLE {name} (LIKE interactions INCLUDING ALL)")
    for statement in own_rows_only(name, _OWN):
        cursor.execute(statement)
    cursor.execute(
        f"ALTER TABLE interactions ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})"
    )


def _first_month(cursor: PostgresCursor) -> int:
    row = cursor.execute("SELECT value FROM log_meta WHERE key = 'first_month'").fetchone()
    return 0 if row is None else int(row[0])


def _schema(cursor: PostgresCursor) -> str:
    row = cursor.execute("SELECT current_schema()").fetchone()
    return "" if row is None else str(row[0])


def _name(month: int) -> str:
    return f"interactions_{month}"


def _begin(month: int) -> int:
    """Return when a month begins, in microseconds."""
    begin = dt.datetime(month // 12, month % 12 + 1, 1, tzinfo=dt.UTC)
    return (begin - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
