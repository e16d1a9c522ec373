"""How a bandit learns: into its evidence, and into the store behind it."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InvalidInputError
from .base.timestamps import moment_of
from .interactions.live_event import read_event
from .sessions.session_units import SESSION_LENGTH
from .units.array_memory import BeyondMemory

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from ..datasets.record.mapping import InputMapping
    from .evidence.evidence import Evidence
    from .evidence.reports import MergeReport
    from .interactions.update_report import UpdateReport
    from .store.log_position import LogPosition
    from .store.replica import Replica, StateMove
    from .store.store import Store
    from .units.user_resets import UserReset


class Learner:
    """Evidence, the store behind it, and the lock that both change under.

    Safe to use from several threads. With a store each change goes there first: where the store is
    away, nothing is learnt, and the same call can be made again. Parameters and errors of the
    methods are those of `FusionBandit`.

    `max_queries`: that of the evidence, None where the store's is to stay. `store`: what it holds
    takes the place of the evidence. `evidence`: everything learnt, as sums.
    Another one takes its place when the store is read anew. `left_out`: rows that were left out, by
    the names of `UpdateReport`.
    """

    def __init__(
        self, evidence: Evidence, store: Store | None = None, *, max_queries: int | None = 0
    ) -> None:
        self._lock = threading.RLock()
        self._max_queries = max_queries
        self.evidence, self.store = evidence, store
        if store is not None:
            evidence.state.units.memory = BeyondMemory()
        self.left_out: Counter[str] = Counter()
        self._is_compiled = False
        self._replica = None if store is None else self._follow(store)
        self._adopt(evidence.arms)

    def locked(self) -> AbstractContextManager[object]:
        """Return a context in which the evidence does not change."""
        return self._lock

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Keep the evidence from changing, or give False where it is changing just now."""
        is_free = self._lock.acquire(blocking=False)
        try:
            yield is_free
        finally:
            if is_free:
                self._lock.release()

    def update(
        self,
        interactions: Any,
        *,
        impressions: Any = None,
        mapping: InputMapping | None = None,
        on_error: Literal["quarantine", "raise"] = "quarantine",
    ) -> UpdateReport:
        """Learn from many interactions."""
        with self._lock:
            into = self.evidence if self.store is None else self.fresh()
            report = into.update(
                interactions,
                impressions=impressions,
                mapping=mapping,
                on_error=on_error,
                shown_before=self.evidence.state,
            )
            if self.store is not None:
                report = self._learn(into, report)
            self.left_out.update(report.left_out())
        return report

    def learn(self, batch: Evidence, report: UpdateReport) -> UpdateReport:
        """Learn what was folded elsewhere from interactions, as `fresh` began it.

        `report`: what became of the interactions; returned with what they changed here.
        """
        with self._lock:
            report = self._learn(batch, report)
            self.left_out.update(report.left_out())
        return report

    def _learn(self, batch: Evidence, report: UpdateReport) -> UpdateReport:
        moves = [] if self.store is None else self.store.apply_with_moves(batch)[1]
        folded = self.evidence.state.fold_open(batch.state)
        self._skip(moves)
        return replace(
            report,
            units_opened=folded.units_opened,
            rows_changing=folded.units_changed,
            units_without_exposure=self.evidence.summary.units_without_exposure,
        )

    def observe(
        self, event: Mapping[str, Any] | Any, *, now: dt.datetime | int | None = None
    ) -> UpdateReport:
        """Learn one interaction as it happens."""
        moment = moment_of(now)
        state = self.evidence.state
        with_query = state.max_queries > 0
        live = read_event(
            event, state.rewards, state.identity.segment_by, moment, with_query=with_query
        )
        if not self._is_compiled:
            # Before the lock is taken: requests for weights must not wait for the compiler.
            self.evidence.fresh().state.observe(live)
            self._is_compiled = True
        with self._lock:
            state = self.evidence.state
            live = state.placed(live)
            moves: list[StateMove] = []
            if self.store is not None:
                batch = self.fresh()
                batch.state.observe(live)
                moves = self.store.apply_with_moves(batch)[1]
            state.sessions.end_before(moment - 2 * SESSION_LENGTH)
            report = state.observe(live)
            self._skip(moves)
            self.left_out.update(report.left_out())
        return report

    def take_in(
        self,
        batch: Evidence,
        *,
        log_position: LogPosition,
        expected: LogPosition,
        dropped: Collection[bytes] = (),
    ) -> MergeReport:
        """Learn a batch of a log that was folded by itself, and move the log position with it.

        `batch`: open units only, as `fresh` began it. `log_position`, `expected`, `dropped`: as of
        `Store.apply`. Raises OvertakenError if the log position is not the expected one; then
        nothing was learnt. Raises StoreError if the store is away: then nothing was learnt, and the
        same call can be made again.
        """
        if self.store is None or self._replica is None:
            msg = "store: got None; open the bandit over a store, which keeps the log position"
            raise InvalidInputError(msg)
        # The store locks by itself; requests must not wait for its disk.
        moves = self.store.apply_with_moves(
            batch, log_position=log_position, expected=expected, dropped=dropped
        )[1]
        with self._lock:
            state = self.evidence.state
            report = state.fold_open(batch.state, dropped)
            self._skip(moves)
            state.sessions.end_before(moment_of(None) - 2 * SESSION_LENGTH)
            state.units.give_back()
        return report

    def merge(self, other: Evidence) -> MergeReport:
        """Take in evidence from elsewhere; doing so again changes nothing."""
        with self._lock:
            self.evidence.identity.check(other.identity)
            if self.store is not None:
                self.store.merge(other)
            return self.evidence.merge(other)

    def compact(self, before: dt.datetime | int) -> int:
        """Close the units first shown before a time; return how many this call closed."""
        with self._lock:
            if self.store is None:
                return self.evidence.compact(before)
            closed = self.store.compact(before)
            self.refresh()
            return closed

    def refresh(self) -> None:
        """Take in what other processes wrote into the store."""
        with self._lock:
            if self._replica is not None:
                arms = self.evidence.arms
                self._replica.refresh()
                self._adopt(arms)
            self.evidence.state.outdate()

    def add_arm(self, *feature_uris: str) -> None:
        """Make channels known."""
        with self._lock:
            self.evidence.add_arm(*feature_uris)

    def remove_arm(self, feature_uri: str) -> None:
        """Forget a channel and its sums."""
        with self._lock:
            self.evidence.remove_arm(feature_uri)
            if self.store is not None:
                self.store.remove_arm(feature_uri)

    def reset(self, user_id: str, reset: UserReset) -> None:
        """Count for a user only what is first shown since a reset."""
        with self._lock:
            if self.store is not None:
                self._ensure_stored(self.store)
                self.store.reset(user_id, reset)
            self.evidence.state.reset(user_id, reset)

    def delete_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> int:
        """Reset a user and take the name off the open units; return how many there were."""
        moment = moment_of(at)
        with self._lock:
            moves: list[StateMove] = []
            if self.store is not None:
                self._ensure_stored(self.store)
                moves = self.store.delete_user_with_moves(user_id, at=moment)[1]
            named = self.evidence.delete_user(user_id, at=moment)
            self._skip(moves)
            return named

    def fresh(self) -> Evidence:
        """Return an empty state for the next batch, which infers executions as the whole does."""
        batch = self.evidence.fresh()
        batch.state.inferred_executions = self.evidence.state.inferred_executions
        return batch

    def _skip(self, moves: Iterable[StateMove]) -> None:
        """Read nothing from the store again that was written, and has happened here too."""
        if self._replica is not None:
            self._replica.skip(moves)

    def _ensure_stored(self, store: Store) -> None:
        """Make a stored state where there is none: a reset is a part of one."""
        store.apply(self.evidence.fresh())

    def _follow(self, store: Store) -> Replica:
        """Follow a store, which gets the limits that we have, or gives us its own."""
        replica, ours = store.follow(), self.evidence
        theirs = replica.evidence
        if theirs is None:
            return replica
        if ours.max_users is None:
            ours.max_users = theirs.max_users
        if self._max_queries is None:
            ours.max_queries = theirs.max_queries
        if ours.max_users != theirs.max_users:
            store.set_max_users(ours.max_users)
        if ours.max_queries != theirs.max_queries:
            store.set_max_queries(ours.max_queries)
        replica.refresh()
        return replica

    def _adopt(self, arms: tuple[str, ...]) -> None:
        """Go on with what the store holds, with these channels: other processes may have more."""
        stored, before = None if self._replica is None else self._replica.evidence, self.evidence
        if stored is None:
            return
        before.identity.check(stored.identity)
        stored.add_arm(*arms)
        for arm in set(stored.arms) - set(arms):
            stored.remove_arm(arm)
        stored.max_users = before.max_users
        if self._max_queries is not None:
            stored.max_queries = before.max_queries
        if stored is not before:
            stored.state.inferred_executions = before.state.inferred_executions
            stored.state.follow(before.state)
        self.evidence = stored
