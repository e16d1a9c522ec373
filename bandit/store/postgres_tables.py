"""The tables of fusion state in PostgreSQL, each step of their history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..._shared.postgres import OWN_NAME, migrate, own_rows_only

if TYPE_CHECKING:
    from ..._shared.postgres import PostgresCursor

_TEXT: Final = 'text COLLATE "C"'
_OWN: Final = f"namespace {_TEXT} NOT NULL DEFAULT {OWN_NAME}"
_TABLES: Final = (
    *("fusion_states", "fusion_units", "fusion_users", "fusion_queries", "fusion_snapshots"),
)
# The names are those of SQLite's tables: `head` are the settings, `mark` is the log position, a
# `wish` is a reset.
STEPS: Final = (
    (
        "CREATE TABLE fusion_meta (key text PRIMARY KEY, value text NOT NULL)",
        f"""CREATE TABLE fusion_states (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {_OWN},
            retriever_id {_TEXT} NOT NULL, version bigint NOT NULL DEFAULT 0,
            change bigint NOT NULL DEFAULT 0, head bytea, closed bytea, mark text,
            UNIQUE (namespace, retriever_id)) WITH (fillfactor = 50)""",
        f"""CREATE TABLE fusion_units (
            state integer NOT NULL, {_OWN}, key bytea NOT NULL, time bigint NOT NULL,
            "user" bigint NOT NULL, session bigint NOT NULL, change bigint NOT NULL,
            value bytea NOT NULL, PRIMARY KEY (state, key))""",
        "CREATE INDEX fusion_units_by_time ON fusion_units (state, time)",
        "CREATE INDEX fusion_units_by_change ON fusion_units (state, change)",
        'CREATE INDEX fusion_units_by_user ON fusion_units (state, "user") WHERE "user" <> 0',
        "CREATE INDEX fusion_units_by_session ON fusion_units (state, session) WHERE session <> 0",
        f"""CREATE TABLE fusion_users (
            state integer NOT NULL, {_OWN}, "user" bigint NOT NULL, sums bytea, wish bytea,
            PRIMARY KEY (state, "user"))""",
        f"""CREATE TABLE fusion_queries (
            state integer NOT NULL, {_OWN}, query bigint NOT NULL, closed bytea, served bytea,
            PRIMARY KEY (state, query))""",
        f"""CREATE TABLE fusion_snapshots (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state integer NOT NULL,
            {_OWN}, id text NOT NULL, text text NOT NULL, note text, UNIQUE (state, id))""",
        *[sql for table in _TABLES for sql in own_rows_only(table, f"namespace = {OWN_NAME}")],
    ),
    (
        f"""CREATE TABLE fusion_current (
            state integer PRIMARY KEY, {_OWN}, id text NOT NULL, generation bigint NOT NULL,
            text text NOT NULL)""",
        *own_rows_only("fusion_current", f"namespace = {OWN_NAME}"),
    ),
)
"""What makes the tables of each version from those of the version before."""


def open_tables(cursor: PostgresCursor, url: str) -> None:
    """Make the tables where there are none, or bring them to this version."""
    migrate(cursor, "fusion_meta", STEPS, url)
