"""The interaction log: a database that several processes write; learned state follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..._shared.checks import checked_number
from ...errors import InvalidInputError
from ..record.mapping import InputMapping
from ..record.signals import checked_types
from ..record.times import microseconds
from .answers import BatchReport, Page, Recorded, RowFault
from .database import open_database
from .delete import delete_interaction, delete_user, expire
from .frames import write_parquet
from .parameters import MAX_CHUNK, MAX_NUMBER, checked_text
from .prepare import Preparer
from .view import LogView

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Self

    import polars as pl

    from ..record.interaction import Interaction
    from ..record.mapping import TimeUnit
    from .answers import Deletion, LogChunk, LogHistory
    from .database import LogDatabase
    from .source import LogSource
    from .stored_row import PreparedRow
    from .writer import OnCommitted

_PART: Final = 1_000
_CHUNK: Final = 50_000


class InteractionLog:
    """Interactions stored by namespace and retriever in an SQLite file, or in PostgreSQL.

    A call that returns has committed: its rows survive the death of the process and of the
    machine. Rows that several threads send at the same time share one commit. Several processes
    may write the same log: a file from one machine, on a disk of its own, PostgreSQL from many.
    Calls may come from any thread.

    Parameters
    ----------
    url : str
        ``sqlite:///relative.db`` or ``sqlite:////absolute/path.db``, or
        ``postgresql://user:password@host/database?schema=NAME`` with the extra
        ``rankloom[postgres]``; file or tables are made at the first use.
    namespace : str
        Namespaces share nothing.
    retriever_id : str, optional
        Rows without a retriever get this one, rows that name another are refused, and only its
        rows are returned. All retrievers of the namespace if None.
    columns : mapping of str to str, optional
        Field of the interaction -> key of the records that are given, where their names differ.
    types : mapping of str to str, or iterable of str
        Type in the records -> interaction type; or names of types in addition to the built-in ones.
    position_base : {0, 1}
        Position of the first result in the records.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of times that are numbers, counted since 1970; without one they are refused.
    timeout : float
        Seconds to wait for another process that writes.

    Raises
    ------
    InvalidInputError
        If the URL has another form or a name is empty.

    Notes
    -----
    A duplicate - same retriever, execution_id, feature_id and set of types within 5 minutes, in
    event time, of a stored row - is not stored. A repeated ``interaction_id`` changes nothing and
    answers the stored record. A future ``occurred_at`` becomes the time of recording.
    The stored ``timestamp`` is set by the log and rises with every commit; a sender's is read as
    ``occurred_at``.

    Examples
    --------
    >>> import tempfile
    >>> row = {"feature_id": "d1", "interaction_type": ["click"], "position": 0,
    ...        "execution_id": "e1", "feature_uri": "text"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with InteractionLog(f"sqlite:///{folder}/log.db") as log:
    ...         stored = log.record(row)
    ...         again = log.record(row)
    ...         found = log.find({"execution_id": "e1"})
    >>> again.deduplicated, found.items == [stored]
    (True, True)
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "default",
        retriever_id: str | None = None,
        columns: Mapping[str, str] | None = None,
        types: Mapping[str, str] | Iterable[str] = (),
        position_base: int = 0,
        time_unit: TimeUnit | None = None,
        timeout: float = 30.0,
    ) -> None:
        checked_number("timeout", timeout, 0, between=True)
        self._mapping = InputMapping.of(columns, types, position_base, time_unit)
        self._types = tuple(checked_types(types.values() if isinstance(types, Mapping) else types))
        self._look(open_database(url, timeout), namespace, retriever_id)

    def _look(self, file: LogDatabase, namespace: str, retriever_id: str | None) -> None:
        checked_text("namespace", namespace)
        if retriever_id is not None:
            checked_text("retriever_id", retriever_id)
        self.url, self.namespace, self.retriever_id = file.url, namespace, retriever_id
        self._file = file
        self._view = LogView(file, namespace, retriever_id)
        self._preparer = Preparer(namespace, retriever_id, self._types, self._mapping)

    def __repr__(self) -> str:
        return f"<InteractionLog {self.url} {self.namespace!r} {self.retriever_id!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log_id(self) -> str:
        """Return the id that was made with the log: a UUID."""
        return self._file.log_id

    @property
    def last_row(self) -> int:
        """Return the highest number that any row was given; 0 for none.

        Numbers are those of the file, or in PostgreSQL those of the namespace.
        """
        return self._view.last_seq()

    @property
    def last_deletion(self) -> int:
        """Return the number of this view's last deletion; 0 for none."""
        return self._view.last_deletion()

    def history(self, row: int, deletion: int) -> LogHistory:
        """Return what the log holds up to the numbers of a row and of a deletion."""
        return self._view.history(row, deletion)

    @property
    def waiting(self) -> int:
        """Return how many rows this process has yet to commit."""
        return self._file.writer.waiting

    def within(self, namespace: str, retriever_id: str | None = None) -> InteractionLog:
        """Return the log of another namespace or retriever; it shares the file and the writer."""
        view = object.__new__(InteractionLog)
        view._types, view._mapping = self._types, self._mapping
        view._look(self._file, namespace, retriever_id)
        return view

    def close(self) -> None:
        """Write out what waits and close the file for every view; the next call opens it again."""
        self._file.close()

    def check(self) -> None:
        """Raise unless the file is whole, a log, and can be written now; reads all of it.

        Raises
        ------
        IntegrityError
            If the file is damaged.
        InvalidInputError
            If it is an SQLite file of something else.
        StoreError
            If it is locked, full, read-only, or of another format.
        """
        self._file.check()

    def record(self, interaction: Mapping[str, Any] | bytes | str | Interaction) -> Interaction:
        """Store one interaction and return the record, once it is committed.

        Parameters
        ----------
        interaction : mapping, JSON as bytes or str, or Interaction
            ``timestamp`` is taken as ``occurred_at`` where that is absent: the row is about the
            past. If it is no time, or ``occurred_at`` is another, ``warning`` says that it was
            left out. ``deduplicated`` and ``warning`` are the log's to set and are ignored.

        Returns
        -------
        Interaction
            The stored record, the one that has the ``interaction_id`` already, or, for a
            duplicate, one with ``deduplicated`` and without an id.

        Raises
        ------
        InvalidInputError
            Names the field, the value and what was expected.
        StoreBusyError
            If too much waits to be written.
        StoreError
            If the log could not be written; nothing is stored then.
        """
        row = self.prepare(interaction)
        if isinstance(row, RowFault):
            raise InvalidInputError(str(row))
        return self.answer(row, self.submit([row]).result()[0])

    def answer(self, row: PreparedRow, recorded: Recorded) -> Interaction:
        """Return the record that answers a prepared row, given its receipt."""
        if recorded.status == "existing" and recorded.interaction_id is not None:
            stored = LogView(self._file, self.namespace, None).get(recorded.interaction_id)
            if stored is not None:
                return stored
        return row.interaction(recorded)

    def record_batch(
        self, interactions: bytes | Iterable[Mapping[str, Any] | bytes | str | Interaction]
    ) -> BatchReport:
        """Store interactions of the past; rows that break a rule fail alone.

        Parameters
        ----------
        interactions : bytes, or iterable of what `record` takes
            Bytes hold a JSON array, or ``{"interactions": [...]}``. At most 1,000 rows share one
            transaction; where one fails with an error, those before it stay, and the same call
            may be made again.

        Returns
        -------
        BatchReport
            What became of every row, in their order.

        Raises
        ------
        InvalidInputError
            If the bytes are no such JSON.
        StoreError
            As `record`.
        """
        body = interactions if isinstance(interactions, bytes) else list(interactions)
        if not body and not isinstance(body, bytes):
            return BatchReport()
        rows = self.prepare_batch(body, limit=1 << 40)
        results: list[Recorded | RowFault] = []
        for start in range(0, len(rows), _PART):
            part = rows[start : start + _PART]
            good = [row for row in part if not isinstance(row, RowFault)]
            receipts = iter(self.submit(good).result() if good else ())
            results += [row if isinstance(row, RowFault) else next(receipts) for row in part]
        return BatchReport.of(results)

    def prepare(
        self,
        interaction: Mapping[str, Any] | bytes | str | Interaction,
        *,
        backfill: bool = False,
        idempotency_key: str | None = None,
    ) -> PreparedRow | RowFault:
        """Return a row for `submit`, or why the interaction is refused; nothing is stored.

        Parameters
        ----------
        interaction : as for `record`
        backfill : bool
            Whether it is about the past: the row is not live.
        idempotency_key : str, optional
            Gives the ``interaction_id`` where the sender gives none.
        """
        return self._preparer.prepare(
            interaction, backfill=backfill, idempotency_key=idempotency_key
        )

    def prepare_batch(
        self,
        interactions: bytes | Sequence[Mapping[str, Any] | bytes | str | Interaction],
        *,
        limit: int = 1_000,
    ) -> list[PreparedRow | RowFault]:
        """Return rows of the past for `submit`, each or why it is refused; nothing is stored.

        Raises
        ------
        InvalidInputError
            If bytes are no JSON array and no ``{"interactions": [...]}``, or there are none or
            more than `limit`.
        """
        return self._preparer.prepare_batch(interactions, limit)

    def submit(self, rows: Sequence[PreparedRow]) -> Future[list[Recorded]]:
        """Queue rows for the next commit; the future's result means that they are committed.

        The rows of one call are stored together or, if the future has an error, not at all.

        Raises
        ------
        StoreBusyError
            At once, if too much waits already.
        """
        return self._file.writer.submit(rows)

    def send(self, rows: Sequence[PreparedRow], on_committed: OnCommitted) -> None:
        """Queue rows as `submit` does, and let the writer's thread call when they are committed.

        Parameters
        ----------
        rows : sequence of PreparedRow
        on_committed : callable
            Called with the receipts and None, or with None and the error; it must be quick.

        Raises
        ------
        StoreBusyError
            As of `submit`.
        """
        self._file.writer.send(rows, on_committed)

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call something in the writer's thread after every commit of rows by this process.

        It must be quick and must not wait for the log to write, for instance set an event.
        """
        self._file.writer.callbacks.append(callback)

    @property
    def connections(self) -> LogDatabase:
        """The log's database, for tables of one's own beside those of the log."""
        return self._file

    def is_known(self) -> bool:
        """Return whether the log was ever given a row of this namespace and retriever."""
        return self._view.is_known()

    def get(self, interaction_id: str) -> Interaction | None:
        """Return a stored interaction, None where there is none of this id."""
        return self._view.get(checked_text("interaction_id", interaction_id))

    def delete(self, interaction_id: str) -> bool:
        """Delete an interaction; return whether there was one. Doing so again changes nothing."""
        return delete_interaction(self._view, checked_text("interaction_id", interaction_id))

    def delete_user(self, user_id: str) -> int:
        """Delete every interaction of a user; return how many there were."""
        return delete_user(self._view, checked_text("user_id", user_id))

    def expire(self, before: dt.datetime) -> int:
        """Delete what happened before a time, in slices; return how many rows.

        Notes of deletions from before that time go too.
        """
        return expire(self._view, microseconds(before))

    def expire_everywhere(self, before: dt.datetime) -> int:
        """Do as `expire` in every namespace; return how many rows.

        In PostgreSQL months that lie before the time are dropped as a whole.
        """
        total = self._file.drop_before(microseconds(before))
        return total + sum(self.within(name).expire(before) for name in self.namespaces())

    def find(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        sort: tuple[str, str] = ("timestamp", "desc"),
        cursor: str | None = None,
        offset: int = 0,
        limit: int = 100,
        include_total: bool = False,
    ) -> Page:
        """Return a page of the interactions that match.

        Parameters
        ----------
        filters : mapping, optional
            Conditions that must all hold: ``{"execution_id": "e"}``, ``{"position": {"lte": 5}}``,
            or ``{"AND": [...]}``, ``{"OR": [...]}`` and ``{"NOT": [...]}`` (none may hold) of such
            mappings and of ``{"field": "position", "operator": "lte", "value": 5}``. Fields are
            the record's own and ``metadata.KEY``; operators eq, ne, gt, gte, lt, lte, in, nin,
            exists, is_null, contains and starts_with. An absent field fails every comparison, and
            so passes ne and nin. ``interaction_type`` is compared with every type of the row.
            contains and starts_with leave the case of A to Z aside unless ``"case_sensitive"`` is
            true; everything else is exact.
        sort : tuple of str
            A field and "asc" or "desc"; absent values come last.
        cursor : str, optional
            `Page.next_cursor` of the page before, of the same search.
        offset : int
            Matches to skip, up to 10,000; only without a cursor.
        limit : int
            Matches of a page, 1 to 1,000; large ones end it earlier, with a cursor.
        include_total : bool
            Whether to count all matches too.

        Raises
        ------
        InvalidInputError
            If a filter, sort, cursor or number is wrong, or the search takes more than 5 s.
        """
        return self._view.find(
            filters,
            sort=sort,
            cursor=cursor,
            offset=offset,
            limit=limit,
            include_total=include_total,
        )

    def scan(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in canonical columns, in the order in which they were stored.

        Rows recorded meanwhile are left out. `load_pairs` and `FusionBandit.update` take a log
        as it is.
        """
        for frame in self.numbered_frames():
            yield frame.drop("live", "seq")

    def as_source(self) -> LogSource:
        """Return the log as `Scan` and `load_pairs` read it: each row numbered as in the log."""
        from .source import LogSource

        return LogSource(self.url, self.numbered_frames)

    def numbered_frames(self) -> Iterator[pl.DataFrame]:
        """Yield the frames of `scan` with ``live`` and ``seq``."""
        last, seq = self.last_row, 0
        while seq < last:
            chunk = self._view.rows_after(seq, _CHUNK, last)
            seq = chunk.last
            if chunk.frame.height:
                yield chunk.frame

    def to_parquet(self, path: str | Path) -> int:
        """Write all rows in canonical columns to a Parquet file; return how many.

        The file is there whole or not at all. `scan` and `load_pairs` read it.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        return write_parquet(self.scan(), path)

    def rows_after(self, seq: int, *, limit: int = 2_000) -> LogChunk:
        """Return the next rows after a number, in the order in which they were stored."""
        checked_number("seq", seq, 0, MAX_NUMBER, whole=True)
        checked_number("limit", limit, 1, MAX_CHUNK, whole=True)
        return self._view.rows_after(seq, limit)

    def rows_of(
        self, *, executions: Sequence[str] = (), sessions: Sequence[str] = ()
    ) -> pl.DataFrame:
        """Return all rows of some executions, and those of some sessions that name no execution.

        Canonical columns, ``live`` and ``seq``, as of `rows_after`, for state that derives an
        execution again.
        """
        return self._view.rows_of(executions, sessions)

    def live_rows_of(
        self, sessions: Sequence[str], *, after: int, since: dt.datetime
    ) -> list[tuple[int, Interaction]]:
        """Return what some sessions did after a number, recorded singly, with the rows' numbers.

        For a process that serves a session whose clicks another has recorded.

        Parameters
        ----------
        sessions : sequence of str
            At most some hundreds.
        after : int
        since : datetime
            Rows from before are left out.
        """
        return self._view.live_rows_of(sessions, after, microseconds(since))

    def namespaces(self) -> list[str]:
        """Return all namespaces of the log, whatever this view sees."""
        return self._view.namespaces()

    def deletions_after(self, number: int, *, limit: int = 2_000) -> list[Deletion]:
        """Return the next deletions after a number, so that learned state can follow."""
        checked_number("number", number, 0, MAX_NUMBER, whole=True)
        checked_number("limit", limit, 1, MAX_CHUNK, whole=True)
        return self._view.deletions_after(number, limit)
