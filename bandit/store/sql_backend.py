"""What a backend does in SQL, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .backend import Backend
from .sql_transaction import SqlTransaction, delete_empty_queries, read_queries, write_queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from .transaction import Transaction


class SqlBackend(Backend):
    """Keeps states in tables of the same names and columns."""

    transaction_type: type[SqlTransaction] = SqlTransaction

    @abstractmethod
    def cursor(self, *, write: bool) -> AbstractContextManager[tuple[Any, int]]:
        """Run a transaction: whole at the end, undone by any error.

        Gives a cursor that takes question marks, and the number of the state, -1 for none. With
        `write` there is one, and nobody else writes it meanwhile.
        """

    def clear(self, *, keep_resets: bool) -> None:
        """Remove the state and its snapshots, or all but the resets and the snapshots."""
        with self.cursor(write=True) as (cursor, state):
            cursor.execute("DELETE FROM fusion_units WHERE state = ?", (state,))
            if not keep_resets:
                cursor.execute("DELETE FROM fusion_snapshots WHERE state = ?", (state,))
            else:
                cursor.execute("UPDATE fusion_users SET sums = NULL WHERE state = ?", (state,))
            cursor.execute(
                "DELETE FROM fusion_users WHERE state = ? AND (wish IS NULL OR NOT ?)",
                (state, keep_resets),
            )
            kept = "served" if keep_resets else "NULL"
            cursor.execute(
                f"UPDATE fusion_queries SET closed = NULL, served = {kept} WHERE state = ?",  # noqa: S608
                (state,),
            )
            delete_empty_queries(cursor, state)
            cursor.execute(
                "UPDATE fusion_states SET head = NULL, closed = NULL, mark = NULL, "
                "version = version + 1 WHERE id = ?",
                (state,),
            )

    def put_snapshot(self, snapshot_id: str, text: str, note: str, dropped: Sequence[str]) -> None:
        """Keep a snapshot as the newest, and what is noted of it; remove some others."""
        with self.cursor(write=True) as (cursor, state):
            cursor.executemany(
                "DELETE FROM fusion_snapshots WHERE state = ? AND id = ?",
                [(state, each) for each in (snapshot_id, *dropped)],
            )
            cursor.execute(
                "INSERT INTO fusion_snapshots (state, id, text, note) VALUES (?, ?, ?, ?)",
                (state, snapshot_id, text, note),
            )

    def snapshot_notes(self) -> dict[str, str]:
        """Return what is noted of every snapshot by its name, the newest first; "" is nothing."""
        with self.cursor(write=False) as (cursor, state):
            rows = cursor.execute(
                "SELECT id, note FROM fusion_snapshots WHERE state = ? ORDER BY number DESC",
                (state,),
            )
            return {name: note or "" for name, note in rows}

    def served_queries(self) -> dict[int, bytes]:
        """Return the sums by query that were published last."""
        with self.cursor(write=False) as (cursor, state):
            return read_queries(cursor, state, "served")

    def put_served_queries(self, rows: Mapping[int, bytes | None]) -> None:
        """Replace some of these sums; None removes one."""
        with self.cursor(write=True) as (cursor, state):
            write_queries(cursor, state, "served", rows)

    def get_snapshot(self, snapshot_id: str | None) -> str | None:
        """Return a snapshot, the newest one for None; None where there is none."""
        with self.cursor(write=False) as (cursor, state):
            named = "" if snapshot_id is None else "AND id = ? "
            row = cursor.execute(
                f"SELECT text FROM fusion_snapshots WHERE state = ? {named}"  # noqa: S608
                "ORDER BY number DESC LIMIT 1",
                (state,) if snapshot_id is None else (state, snapshot_id),
            ).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Transaction]:
        """Return a transaction; errors of the database leave it as `StoreError`."""
        with self.cursor(write=write) as (cursor, state):
            yield self.transaction_type(cursor, state)
