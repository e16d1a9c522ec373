"""Stores of fusion state that several processes share: SQLite (embedded) and Redis (a server)."""

from __future__ import annotations

import random
import re
import time as clock
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from ..errors import InvalidInputError, StoreError
from . import _store_work as work
from ._account import MergeReport
from ._decay import microseconds, moment_of
from ._epochs import NEVER, Epoch
from ._ids import stable_id
from ._replica import Replica

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from ._context_keys import Context
    from ._mark import Mark
    from ._session_sums import SessionSums
    from ._store_transaction import Transaction, Writes
    from ._sums import Sums
    from .evidence import Evidence

T = TypeVar("T")
_ATTEMPTS: Final = 1_000
_FORMS: Final = (
    "sqlite:///relative.db, sqlite:////absolute/path.db, redis://host:port/db, "
    "rediss://host:port/db or unix:///path/of/redis.sock?db=0"
)


class Store(ABC):
    """A state of evidence, kept under a namespace and a retriever, that several processes write.

    Open units are rows by (execution, document) that fold by maximum, so a batch may be sent any
    number of times, in any order and by any process, and counts once. Closed sums change only in
    `compact`, in the very transaction that deletes the units which they come from. The log of
    interactions stays the truth: what a store loses is learnt again from it.

    Get one from `open_store`. Calls may come from several threads.
    """

    def __init__(self, url: str, namespace: str, retriever_id: str) -> None:
        self.url, self.namespace, self.retriever_id = url, namespace, retriever_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url} {self.namespace!r} {self.retriever_id!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _transaction(self, *, write: bool) -> AbstractContextManager[Transaction]:
        """Return a consistent look at the state."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; the next call opens it again."""

    @abstractmethod
    def clear(self, *, keep_wishes: bool = False) -> None:
        """Forget everything under this namespace and retriever, snapshots and the mark too.

        Parameters
        ----------
        keep_wishes : bool
            Keep what users wished (`opt_out`, `reset_user`) and the newest snapshot, for the state
            to be learnt again: who serves from the store goes on by that snapshot meanwhile.
        """

    @abstractmethod
    def put_snapshot(self, snapshot_id: str, text: str) -> None:
        """Keep a snapshot of weights, as the newest one; the newest 20 are kept."""

    @abstractmethod
    def get_snapshot(self, snapshot_id: str | None = None) -> str | None:
        """Return a snapshot, the newest one for None; None where there is none."""

    def load(self) -> Evidence | None:
        """Return everything as evidence in memory, None where nothing is stored.

        Raises
        ------
        StoreError
            If the store cannot be reached.
        IntegrityError
            If what is stored is damaged.
        """
        found = self._read(lambda t: work.news(t, None))
        return None if found is None else found.evidence

    def follow(self) -> Replica:
        """Return everything as evidence in memory that `Replica.refresh` brings up to date.

        Where many processes serve one state, each follows it: what is read then is what changed.
        """
        replica = Replica(lambda seen: self._read(lambda t: work.news(t, seen)))
        replica.refresh()
        return replica

    def fresh(self, source: str | None = None) -> Evidence | None:
        """Return an empty evidence with the stored settings, to fold rows into for `apply`.

        Cheap, whatever is stored: only the settings are read. None where nothing is stored.
        """
        head = self._read(lambda t: t.head())
        return None if head is None else head.empty_evidence().fresh(source)

    def apply(
        self,
        evidence: Evidence,
        *,
        mark: Mark | None = None,
        after: Mark | None = None,
        dropped: Collection[bytes] = (),
    ) -> MergeReport:
        """Fold the open units of a batch; doing so again changes nothing.

        The first batch makes the stored state and gives it its settings. At most 10,000 units are
        written in one transaction, each whole or not at all; where one fails, those before it
        stay, and the same call may simply be made again.

        Parameters
        ----------
        evidence : Evidence
            Folded from the rows of the batch only, as by `fresh`; without closed units.
        mark : Mark, optional
            How far the log has been followed with this batch; written in the transaction of the
            last units. A mark never goes back.
        after : Mark, optional
            Where the mark must stand for the batch to count.
        dropped : collection of bytes
            Keys of open units to forget before the batch is folded.

        Returns
        -------
        MergeReport
            Units opened and changed; units refused because the store is closed up to a later time.

        Raises
        ------
        StateMismatchError
            If the store was learnt with other settings, or from another log.
        OvertakenError
            If the mark stands elsewhere than at `after`; then nothing was written.
        StoreError
            If the store cannot be reached.
        """
        if evidence.account.closed_units:
            msg = "evidence: it holds closed sums, which `apply` would count twice; use `merge`"
            raise InvalidInputError(msg)
        rows = evidence.unit_rows()
        total = MergeReport(0, 0, 0, 0)
        for start in range(0, max(len(rows), 1), work.SLICE):
            part = rows[start : start + work.SLICE]
            last = start + work.SLICE >= len(rows)
            moved = (mark, after, dropped) if last else (None, None, ())
            done = self._transact(
                lambda t, part=part, moved=moved: work.apply(t, evidence, part, *moved)  # type: ignore[misc]
            )
            total = MergeReport(*(a + b for a, b in zip(total, done, strict=True)))
        return total

    def mark(self) -> Mark | None:
        """Return how far the state has followed a log, None where it has followed none."""
        return self.progress()[0]

    def progress(self) -> tuple[Mark | None, int]:
        """Return `mark`, and a number that grows with every change of anything but units."""
        return self._read(lambda t: (t.mark(), t.version()))

    def merge(self, evidence: Evidence) -> MergeReport:
        """Take in a shard that holds closed sums; doing so again changes nothing.

        Raises
        ------
        StateMismatchError
            As `Evidence.merge`.
        """
        return self._transact(lambda t: work.merge(t, evidence))

    def compact(self, before: dt.datetime | int) -> int:
        """Close the units first shown before a time, and refuse rows before it from now on.

        Others may write meanwhile, and may compact too. A time that precedes an earlier one moves
        nothing back. What a killed process has left undone, the next call does.

        Returns
        -------
        int
            Units that this call closed.
        """
        line = microseconds(before, "before")
        self._transact(lambda t: work.move_line(t, line))
        total = 0
        while done := self._transact(work.close_slice):
            total += done
        self._transact(work.cap_users)
        return total

    def user_sums(self, user_id: str, *, time: dt.datetime | int | None = None) -> Sums | None:
        """Return the sums of one user as they are now, reading that user's rows only.

        Parameters
        ----------
        user_id : str
        time : datetime, or int in microseconds, optional
            Reference time of the decay, that of the sums of the parents; the clock's time if None.

        Returns
        -------
        Sums or None
            One row; all 0 for a user of whom nothing is known. None where nothing is stored.
        """
        evidence = self._read(lambda t: work.user_evidence(t, stable_id(user_id)))
        if evidence is None:
            return None
        return evidence.sums([("user", user_id)], time=moment_of(time))

    def session_sums(
        self,
        session_id: str,
        *,
        now: dt.datetime | int | None = None,
        contexts: Sequence[Context] = (),
        time: dt.datetime | int | None = None,
        cursor: int | None = None,
    ) -> SessionSums | None:
        """Return what one session says of itself now; see `Evidence.session_sums`.

        Parameters
        ----------
        session_id, now, contexts, time
            As there.
        cursor : int, optional
            `cursor` of the store when the sums of `contexts` were read: units changed since are
            taken as not in them. All are taken as in them if None.
        """
        evidence = self._read(lambda t: work.session_evidence(t, stable_id(session_id)))
        if evidence is None:
            return None
        settings: Any = {"contexts": contexts, "time": time, "revision": cursor}
        return evidence.session_sums(session_id, now=now, **settings)

    def cursor(self) -> int:
        """Return a number that grows with every change of a unit."""
        return self._read(lambda t: 0 if t.head() is None else t.cursor())

    def reset_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Count for this user only what is first shown from now (or `at`) on."""
        self._wish(user_id, at)

    def opt_out(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Keep no sums for this user until `opt_in`; the global ones still learn."""
        self._wish(user_id, at, since=NEVER)

    def opt_in(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Keep sums for this user again, from now (or `at`) on."""
        self._wish(user_id, at)

    def delete_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> int:
        """Reset a user and take user and session off the open units; return how many there were.

        A resend of the rows names the user again, so delete them from the log first.
        """
        self._wish(user_id, at)
        return self._transact(lambda t: work.forget(t, user_id))

    def remove_arm(self, feature_uri: str) -> None:
        """Forget a channel and its closed sums; a batch that knows it brings its name back."""
        self._transact(lambda t: work.remove_arm(t, feature_uri))

    def _wish(self, user_id: str, at: dt.datetime | int | None, since: int | None = None) -> None:
        moment = moment_of(at)
        epoch = Epoch(moment, moment if since is None else since)
        if not self._transact(lambda t: work.wish(t, stable_id(user_id), epoch)):
            msg = f"{self!r}: nothing is stored yet, so a user's wish has nowhere to stand"
            raise StoreError(msg)

    def _read(self, look: Callable[[Transaction], T]) -> T:
        return self._transact(lambda t: (look(t), None), write=False)

    def _transact(
        self, step: Callable[[Transaction], tuple[T, Writes | None]], *, write: bool = True
    ) -> T:
        for attempt in range(_ATTEMPTS):
            with self._transaction(write=write) as transaction:
                result, writes = step(transaction)
                if transaction.commit(writes):
                    return result
            # Somebody else was first; each such loss is another's progress.
            clock.sleep(random.uniform(0, 0.002) * min(attempt, 50))  # noqa: S311 - no cryptography
        msg = f"{self!r}: others changed what was read, {_ATTEMPTS} times; try again later"
        raise StoreError(msg)


def open_store(
    url: str, *, namespace: str = "default", retriever_id: str = "default", timeout: float = 30.0
) -> Store:
    """Open a store by its URL; nothing is written before the first `apply`.

    Parameters
    ----------
    url : str
        ``sqlite:///relative.db``, ``sqlite:////absolute/path.db``, ``redis://host:port/db``,
        ``rediss://host:port/db`` (TLS) or ``unix:///path/of/redis.sock?db=0``. Redis needs the
        extra ``rankloom[redis]``.
    namespace, retriever_id : str
        What the state is kept under; states of different names share nothing.
    timeout : float
        Seconds to wait for another writer (SQLite) or an answer (Redis).

    Returns
    -------
    Store

    Raises
    ------
    InvalidInputError
        If the URL has none of these forms, or a name is empty.
    StoreError
        If redis-py is missing.

    Examples
    --------
    >>> import tempfile
    >>> from rankloom.bandit import Evidence
    >>> row = {"execution_id": "e", "feature_id": "d", "interaction_type": ["impression"],
    ...        "position": 0, "feature_uri": "text", "timestamp": "2026-01-31T12:00:00Z"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_store(f"sqlite:///{folder}/fusion.db") as store:
    ...         batch = Evidence(["text", "image"])
    ...         _ = batch.update([row])
    ...         store.apply(batch).units_opened, store.apply(batch).units_opened
    ...         store.load().sums().N.tolist()
    (1, 0)
    [[1.0, 0.0]]
    """
    for name, value in (("namespace", namespace), ("retriever_id", retriever_id)):
        if not isinstance(value, str) or not value:
            msg = f"{name}: expected a text that is not empty, got {value!r}"
            raise InvalidInputError(msg)
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout > 0:
        msg = f"timeout: expected seconds above 0, got {timeout!r}"
        raise InvalidInputError(msg)
    scheme, _, rest = str(url).partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/"):
        from ._sqlite_store import SqliteStore

        return SqliteStore(url, namespace, retriever_id, path=rest[1:], timeout=timeout)
    if scheme in {"redis", "rediss", "unix"}:
        parts = urlsplit(url)
        path_is_right = scheme == "unix" or parts.path.strip("/").isdigit() or not parts.path[1:]
        if path_is_right and (parts.path.strip("/") if scheme == "unix" else parts.hostname):
            from ._redis_store import RedisStore

            return RedisStore(
                _without_password(url), namespace, retriever_id, address=url, timeout=timeout
            )
    msg = f"url: expected {_FORMS}, got {_without_password(str(url))!r}"
    raise InvalidInputError(msg)


def _without_password(url: str) -> str:
    """Return a URL as messages may show it."""
    return re.sub(r"(://[^/@]*?):[^/@]*@", r"\1:***@", url)
