"""A stored state of evidence that several processes share."""

from __future__ import annotations

import datetime as dt
import random
import time as clock
from typing import TYPE_CHECKING, Concatenate, Final, NoReturn, ParamSpec, TypeVar

from ..._shared.ids import NO_ID, stable_id
from ...errors import InvalidInputError, NotPicklableError, StoreError
from ..base.timestamps import microseconds, moment_of
from ..evidence.evidence import checked_max_queries, checked_max_users
from ..evidence.reports import MergeReport
from ..interactions.live_event import query_key
from ..units.user_resets import NEVER, UserReset
from . import operations
from .personal import personal_sums, read_person
from .replica import Replica
from .serialization import arms_digest, sum_rows
from .snapshot_history import LEARNER, SnapshotHistory, SnapshotRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Self

    from ..evidence.decayed_sums import DecayedSums
    from ..evidence.evidence import Evidence
    from ..interactions.live_event import Query
    from ..sessions.session_sums import PersonalSums
    from .backend import Backend, CurrentWeights
    from .log_position import LogPosition
    from .replica import ReadPosition, StateMove, StoreChanges
    from .snapshot_history import WeightInterval
    from .transaction import Transaction, Writes

P = ParamSpec("P")
T = TypeVar("T")
_MAX_ATTEMPTS: Final = 1_000


class Store:
    """A state of evidence, kept under a namespace and a retriever, that several processes write.

    Open units are rows by (execution, document) that fold by maximum, so a batch may be sent any
    number of times, in any order and by any process, and counts once. Closed sums change only in
    `compact`, in the very transaction that deletes the units which they come from. The log of
    interactions stays the truth: what a store loses is learnt again from it.

    Get one from `open_store`. Calls may come from several threads.

    Attributes
    ----------
    backend : Backend
        The file or the server.
    namespace, retriever_id : str
        What the state is kept under.
    """

    def __init__(self, backend: Backend, namespace: str, retriever_id: str) -> None:
        self.backend, self.namespace, self.retriever_id = backend, namespace, retriever_id

    @property
    def url(self) -> str:
        """Where the state is kept, without a password."""
        return self.backend.url

    def __reduce__(self) -> NoReturn:
        msg = f"{self!r} is neither pickled nor copied; call open_store(url, ...) in every process"
        raise NotPicklableError(msg)

    def __repr__(self) -> str:
        return f"<Store {self.url} {self.namespace!r} {self.retriever_id!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        self.backend.close()

    def clear(self, *, keep_resets: bool = False) -> None:
        """Forget everything under this namespace and retriever, snapshots and log position too.

        Parameters
        ----------
        keep_resets : bool
            Keep users' resets and opt-outs and the snapshots, for the state to be learnt again:
            services that read the store go on by the newest snapshot meanwhile.
        """
        self.backend.clear(keep_resets=keep_resets)

    def put_snapshot(
        self,
        snapshot_id: str,
        text: str,
        *,
        author: str = LEARNER,
        weights: Mapping[str, WeightInterval] | None = None,
    ) -> SnapshotRecord:
        """Keep a snapshot as the newest one, and return what is noted of it.

        The newest 20 are kept, and the last one of each of the newest 24 hours and 30 days in which
        there was one.

        Parameters
        ----------
        snapshot_id, text : str
        author : str
            Who made it.
        weights : mapping of str to WeightInterval, optional
            Of everybody, by channel, for `history`.
        """
        record = SnapshotRecord(snapshot_id, 0, dt.datetime.now(dt.UTC), author, weights or {})
        record, dropped = self.history().put(record)
        self.backend.put_snapshot(snapshot_id, text, record.note, dropped)
        return record

    def put_current(self, current: CurrentWeights) -> None:
        """Keep the weights that every process over this store is to serve; see `Backend`."""
        self.backend.put_current(current)

    def current(self, known: str | None = None) -> CurrentWeights | None:
        """Return these weights, without their text where their name is known already."""
        return self.backend.current(known)

    def history(self) -> SnapshotHistory:
        """Return what is noted of the snapshots that are kept, the newest first."""
        return SnapshotHistory.of(self.backend.snapshot_notes())

    def put_queries(self, sums: DecayedSums, arms: Sequence[str]) -> int:
        """Keep sums by query for services that read them; return how many rows are different.

        Parameters
        ----------
        sums : DecayedSums
            Of all queries that have weights of their own; others are removed.
        arms : sequence of str
            Channels in the order of the sums.
        """
        before, rows = self.backend.served_queries(), sum_rows(sums, arms_digest(tuple(arms)))
        changed: dict[int, bytes | None] = dict.fromkeys(before.keys() - rows.keys())
        changed.update({key: row for key, row in rows.items() if before.get(key) != row})
        if changed:
            self.backend.put_served_queries(changed)
        return len(changed)

    def get_snapshot(self, snapshot_id: str | None = None) -> str | None:
        """Return a snapshot, the newest one for None; None where there is none."""
        return self.backend.get_snapshot(snapshot_id)

    def load(self) -> Evidence | None:
        """Return everything as evidence in memory, None where nothing is stored.

        Raises
        ------
        StoreError
            If the store cannot be reached.
        IntegrityError
            If what is stored is damaged.
        """
        changes = self._changes_since(None)
        return None if changes is None else changes.evidence

    def follow(self) -> Replica:
        """Return everything as evidence in memory that `Replica.refresh` brings up to date.

        Where many processes serve one state, each follows it: what is read then is what changed.
        """
        replica = Replica(self._changes_since)
        replica.refresh()
        return replica

    def fresh(self, source: str | None = None) -> Evidence | None:
        """Return an empty evidence with the stored settings, to fold rows into for `apply`.

        Cheap, whatever is stored: only the settings are read. None where nothing is stored.
        """
        settings = self._read(operations.read_settings)
        return None if settings is None else settings.empty_evidence().fresh(source)

    def apply(
        self,
        evidence: Evidence,
        *,
        log_position: LogPosition | None = None,
        expected: LogPosition | None = None,
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
        log_position : LogPosition, optional
            How far the log has been followed with this batch; written in the transaction of the
            last units. It never goes back.
        expected : LogPosition, optional
            What the stored log position must be for the batch to count.
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
            If the log position is not the expected one; then nothing was written.
        StoreError
            If the store cannot be reached.
        """
        return self.apply_with_moves(
            evidence, log_position=log_position, expected=expected, dropped=dropped
        )[0]

    def apply_with_moves(
        self,
        evidence: Evidence,
        *,
        log_position: LogPosition | None = None,
        expected: LogPosition | None = None,
        dropped: Collection[bytes] = (),
    ) -> tuple[MergeReport, list[StateMove]]:
        """Do as `apply`; return its report, and what became of the position of the state."""
        if evidence.summary.closed_units:
            msg = "evidence: it holds closed sums, which `apply` would count twice; use `merge`"
            raise InvalidInputError(msg)
        rows = evidence.unit_rows()
        total, moves = MergeReport(0, 0, 0, 0), []
        size = operations.MAX_TRANSACTION_UNITS
        for start in range(0, max(len(rows), 1), size):
            part = rows[start : start + size]
            is_last = start + size >= len(rows)
            moved = (log_position, expected, dropped) if is_last else (None, None, ())
            report, move = self._write(operations.apply, evidence, part, *moved)
            total = MergeReport(*(a + b for a, b in zip(total, report, strict=True)))
            moves.append(move)
        return total, moves

    def log_position(self) -> LogPosition | None:
        """Return how far the state has followed a log, None where it has followed none."""
        return self.progress()[0]

    mark = log_position
    """Its name in earlier versions."""

    def progress(self) -> tuple[LogPosition | None, int]:
        """Return `log_position`, and a number that grows with every change but those of units."""
        return self._read(operations.read_progress)

    def merge(self, evidence: Evidence) -> MergeReport:
        """Take in a shard that holds closed sums; doing so again changes nothing.

        Raises
        ------
        StateMismatchError
            As `Evidence.merge`.
        """
        return self._write(operations.merge, evidence)

    def compact(self, before: dt.datetime | int) -> int:
        """Close the units first shown before a time, and refuse rows before it from now on.

        Others may write meanwhile, and may compact too. A time that precedes an earlier one moves
        nothing back. What a killed process has left undone, the next call does.

        Returns
        -------
        int
            Units that this call closed.
        """
        self._write(operations.move_cutoff, microseconds(before, "before"))
        total = 0
        while closed := self._write(operations.close_some):
            total += closed
        self._write(operations.cap_contexts)
        return total

    def set_max_users(self, max_users: int | None) -> None:
        """Change the most users with closed sums; those with the oldest evidence go at once.

        Raises
        ------
        InvalidInputError
            If it is no whole number from 0 on, nor None for no limit.
        StoreError
            If nothing is stored yet.
        """
        self._set_limits(max_users=checked_max_users(max_users))

    def set_max_queries(self, max_queries: int) -> None:
        """Change the most queries with sums of their own; those with the oldest go at once.

        Raises
        ------
        InvalidInputError
            If it is no whole number from 0 on.
        StoreError
            If nothing is stored yet.
        """
        self._set_limits(max_queries=checked_max_queries(max_queries))

    def _set_limits(self, **limits: int | None) -> None:
        if not self._write(operations.set_limits, **limits):
            msg = f"{self!r}: nothing is stored yet; the first batch brings {min(limits)} with it"
            raise StoreError(msg)
        self._write(operations.cap_contexts)

    def personal_sums(
        self,
        user_id: str | None = None,
        session_id: str | None = None,
        *,
        query: Query | None = None,
        arms: Sequence[str] | None = None,
        now: dt.datetime | int | None = None,
        time: dt.datetime | int | None = None,
    ) -> PersonalSums | None:
        """Return what is stored of one user, one session and one query now.

        Their rows are read in one transaction and nothing else is, however much is stored. For user
        and session each unit counts once: the live units of the session's last hour are in its own
        sums only, the user's other units in those of the user; units from before a user's reset are
        in neither.

        Parameters
        ----------
        user_id, session_id : str, optional
        query : str or mapping, optional
            The query as its snapshot is logged.
        arms : sequence of str, optional
            Channels in the order of the sums, 0 for those that are not stored; the stored ones if
            None.
        now : datetime, or int in microseconds, optional
            When the session's hour ends, and what its sums decay to; the clock's time if None.
        time : datetime, or int in microseconds, optional
            Reference time of the user's sums, that of the sums of the parents; `now` if None.

        Returns
        -------
        PersonalSums or None
            The user's sums are 0 where nothing is known of the user, and None where no user is
            named; the session's are None where it has no live unit, and those of the query, which
            are of the last `put_queries`, where it has none for these channels. None where nothing
            is stored.
        """
        user = NO_ID if user_id is None else stable_id(user_id)
        session = NO_ID if session_id is None else stable_id(session_id)
        stored = self._read(read_person, user, session, query_key(query))
        if stored is None:
            return None
        moment = moment_of(now)
        return personal_sums(
            *stored,
            user=user,
            session=session,
            arms=None if arms is None else tuple(arms),
            now=moment,
            time=moment if time is None else microseconds(time),
        )

    def reset_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Count for this user only what is first shown from now (or `at`) on."""
        moment = moment_of(at)
        self.reset(user_id, UserReset(moment, moment))

    def opt_out(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Keep no sums for this user until `opt_in`; the global ones still learn."""
        self.reset(user_id, UserReset(moment_of(at), NEVER))

    def opt_in(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Keep sums for this user again, from now (or `at`) on."""
        self.reset_user(user_id, at=at)

    def delete_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> int:
        """Reset a user and take user and session off the open units; return how many there were.

        A resend of the rows names the user again, so delete them from the log first.
        """
        return self.delete_user_with_moves(user_id, at=at)[0]

    def delete_user_with_moves(
        self, user_id: str, *, at: dt.datetime | int | None = None
    ) -> tuple[int, list[StateMove]]:
        """Do as `delete_user`; return also what became of the position of the state."""
        self.reset_user(user_id, at=at)
        return self._write(operations.forget_user, user_id)

    def remove_arm(self, feature_uri: str) -> None:
        """Forget a channel and its closed sums; a batch that knows it brings its name back."""
        self._write(operations.remove_arm, feature_uri)

    def reset(self, user_id: str, reset: UserReset) -> None:
        """Count for this user only what is first shown since a reset, unless a later one is stored.

        Raises
        ------
        StoreError
            If nothing is stored yet.
        """
        if not self._write(operations.reset_user, stable_id(user_id), reset):
            msg = f"{self!r}: nothing is stored yet, so a user's reset has no place; apply a batch"
            raise StoreError(msg)

    def _changes_since(self, position: ReadPosition | None) -> StoreChanges | None:
        return self._read(operations.changes_since, position)

    def _read(
        self, look: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        def unchanged(transaction: Transaction) -> tuple[T, None]:
            return look(transaction, *args, **kwargs), None

        return self._transact(unchanged, write=False)

    def _write(
        self,
        step: Callable[Concatenate[Transaction, P], tuple[T, Writes | None]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        def changing(transaction: Transaction) -> tuple[T, Writes | None]:
            return step(transaction, *args, **kwargs)

        return self._transact(changing, write=True)

    def _transact(
        self, step: Callable[[Transaction], tuple[T, Writes | None]], *, write: bool
    ) -> T:
        for attempt in range(_MAX_ATTEMPTS):
            with self.backend.transaction(write=write) as transaction:
                result, writes = step(transaction)
                if transaction.commit(writes):
                    return result
            # Another process was first; each such loss is another's progress.
            clock.sleep(random.uniform(0, 0.002) * min(attempt, 50))  # noqa: S311 - no cryptography
        msg = f"{self!r}: others changed what was read, {_MAX_ATTEMPTS} times; try again later"
        raise StoreError(msg)
