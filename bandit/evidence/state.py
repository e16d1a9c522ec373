"""The parts of a state of evidence, and the operations that keep them consistent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.ids import NO_ID, stable_id, stable_ids
from ...errors import InvalidInputError
from ..base.code_table import CodeTable
from ..base.rewards import is_document_level
from ..base.timestamps import NO_TIME, as_datetime
from ..interactions.inferred_executions import InferredExecutions
from ..interactions.logged_scores import ScoreMatrix
from ..interactions.update_report import UpdateReport
from ..sessions.live_sessions import LiveSessions
from ..sessions.session_sums import CountingRules
from ..units.encoding import encode, encode_event, encode_units
from ..units.record import SHOWN
from ..units.stored_rows import unit_batch
from ..units.unit_table import UnitTable
from ..units.user_resets import UserReset, UserResets
from .closed_sums import ClosedSums
from .reports import EvidenceSummary, MergeReport
from .running_sums import FrozenSums, RunningSums
from .sum_tables import KINDS, SumTables, tables_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Any

    import polars as pl
    from numpy.typing import NDArray

    from ..base.contexts import Context
    from ..base.identity import Identity
    from ..base.rewards import RewardTable
    from ..base.sums import Sums
    from ..interactions.columns import EventColumns
    from ..interactions.live_event import LiveEvent
    from ..units.encoding import Encoded
    from ..units.fold_arrays import FoldCounts
    from ..units.record import UnitBatch
    from .current_sums import CurrentSums
    from .decayed_sums import DecayedSums


class EvidenceState:
    """Open units, closed sums, users' resets and live sessions of one `Evidence`."""

    def __init__(
        self,
        identity: Identity,
        rewards: RewardTable,
        arms: Sequence[str],
        source: str,
        max_queries: int = 0,
    ) -> None:
        self.identity, self.rewards, self.source = identity, rewards, source
        self.max_queries = max_queries
        self.arms: CodeTable[str] = CodeTable(arms)
        self.segments = CodeTable[tuple[str, ...]]()
        self.units = UnitTable(self.arms, self.segments)
        self.closed = ClosedSums(SumTables.empty(len(self.arms)), ledger={source: 0})
        self.resets = UserResets()
        self.sessions = LiveSessions()
        self.revision = 0
        self.inferred_executions = InferredExecutions()
        self._running: RunningSums | None = None
        self.frozen: FrozenSums | None = None

    def changed(self, units: int | None = None) -> None:
        """Note a change of so many units, of all that there are for None."""
        if units is None:
            self._running = None
            self.outdate()
        else:
            self.revision += max(units, 1)

    def outdate(self) -> None:
        """Let what was computed count as older than all of this, though no sum changes."""
        self.revision += max(len(self.units) + len(self.closed.tables.users), 1)

    @property
    def running(self) -> RunningSums:
        """Sums of everything, in which changes of units are to be noted."""
        sums = self._running
        if sums is None or sums.closed is not self.closed.tables:
            settings = self.identity.half_life_us, self.max_queries, self.units.memory
            sums = self._running = RunningSums(self.closed.tables, self.sum, *settings)
        return sums

    def tables(self, *kinds: str) -> CurrentSums:
        """Return the sums of everything, open and closed, up to date for the kinds requested."""
        if self.frozen is not None:
            return self.frozen.tables(kinds)
        return self.running.tables(self.units, kinds)

    def add_up(self) -> bool:
        """Do a part of the sums that a posterior needs; return whether the rest is little."""
        return self.running.step(self.units, self._kinds_of_posterior())

    def _kinds_of_posterior(self) -> Collection[str]:
        return KINDS if self.max_queries else set(KINDS) - {"queries"}

    def sum(
        self, batch: UnitBatch, kinds: Collection[str] = KINDS, max_queries: int | None = None
    ) -> SumTables:
        """Return the sums of some units, of at most so many queries; None: as many as may be."""
        settings = self.identity, self.rewards, self.segments.ids, len(self.arms), self.resets
        most = self.max_queries if not self.max_queries or max_queries is None else max_queries
        return tables_of(batch, *settings, kinds, max_queries=most)

    def read(
        self,
        keys: NDArray[np.uint64],
        is_user: NDArray[np.bool_],
        contexts: Sequence[Context] | None,
        time: int,
    ) -> Sums:
        """Look contexts up in the sums of everything."""
        return self.tables(*_kinds(is_user)).read(
            keys,
            is_user,
            arms=tuple(self.arms.names),
            contexts=None if contexts is None else tuple(tuple(each) for each in contexts),
            time=time,
            half_life_us=self.identity.half_life_us,
        )

    def queries(self) -> DecayedSums:
        """Return the sums of the queries with the newest evidence, open and closed."""
        return self.tables("queries").queries.newest(self.max_queries)

    @property
    def rules(self) -> CountingRules:
        """What units are worth, and from when on they count for their users."""
        return CountingRules(self.identity, self.rewards, self.resets)

    def fold(self, columns: EventColumns, now: int) -> UpdateReport:
        """Fold columns into units; times after `now` count as of then."""
        columns, future_times = columns.until(now)
        encoded = encode(columns, self.arms, self.segments, self.rewards)
        counts = self._fold_rows(encoded, self.closed.compacted_before)
        self.changed(counts.opened + counts.changed)
        self.sessions.refresh(self.units)
        return UpdateReport(
            rows=len(columns),
            units_opened=counts.opened,
            rows_changing=counts.changed,
            list_level=counts.list_level,
            without_execution=counts.without_execution,
            without_time=counts.without_time,
            before_compaction=counts.refused,
            without_feature_uri=counts.without_channel,
            unknown_feature_uri=counts.unknown_channel,
            bad_scores=encoded.bad_scores,
            unknown_scores=encoded.unknown_scores,
            future_times=future_times,
            units_without_exposure=self.units.unexposed,
        )

    def positions_of(self, executions: pl.Series, documents: pl.Series) -> NDArray[np.int32]:
        """Return the positions at which executions showed documents, -1 where no unit is open."""
        keys = (stable_ids(each.to_list()) for each in (executions, documents))
        at = self.units.find_all(*keys)
        return np.where(at < 0, np.int32(-1), self.units.records["position"][at])

    def placed(self, event: LiveEvent) -> LiveEvent:
        """Return an event with the position of its open unit where it has none of its own.

        Raises InvalidInputError if it has none and no unit is open.
        """
        if event.position >= 0 or not is_document_level(event.types):
            return event
        at = -1
        if event.execution is not None:
            at = self.units.find(stable_id(event.execution), stable_id(event.document))
        if at < 0:
            msg = (
                f"position: missing, and no open unit shows document {event.document!r} in "
                f"execution {event.execution!r}; give the position, from 0 on"
            )
            raise InvalidInputError(msg)
        return event._replace(position=int(self.units.records["position"][at]))

    def observe(self, event: LiveEvent) -> UpdateReport:
        """Fold one event, or count why not."""
        reason = self._left_out(event)
        execution = event.execution or self.inferred_executions.execution_of(event)
        if reason is not None or execution is None:
            counted: dict[str, Any] = {reason or "without_execution": 1}
            return UpdateReport(rows=1, units_without_exposure=self.units.unexposed, **counted)
        if event.segment is not None:
            self.segments.add([event.segment])
        row = encode_event(
            event,
            execution,
            self.arms,
            self.segments,
            self.rewards,
            with_query=self.max_queries > 0,
        )
        scores, contributions, bad, unknown = None, None, 0, 0
        if event.scores is not None:
            logged = ScoreMatrix(self.arms.names)
            logged.add(event.scores, event.weights)
            scores, weights = logged.matrices()
            contributions, bad, unknown = scores * weights, logged.bad, logged.unknown
        at = self.units.find(row.execution, row.document)
        before = NO_ID if at < 0 else int(self.units.records["session"][at])
        if self._running is not None:
            self.running.note(self.units, [at])
        at, opened, changed = self.units.fold_one(row, scores, contributions)
        if opened or changed:
            self.changed(1)
            self.sessions.note(self.units, at, before)
        return UpdateReport(
            rows=1,
            units_opened=int(opened),
            rows_changing=int(changed),
            without_feature_uri=int(event.feature_uri is None),
            unknown_feature_uri=int(event.feature_uri is not None and row.arm < 0),
            bad_scores=bad,
            unknown_scores=unknown,
            future_times=int(event.is_future),
            units_without_exposure=self.units.unexposed,
        )

    def summary(self) -> EvidenceSummary:
        """Return counts of everything."""
        closed, before = self.closed, self.closed.compacted_before
        return EvidenceSummary(
            open_units=len(self.units),
            closed_units=closed.units,
            units_without_exposure=self.units.unexposed + closed.unexposed,
            users=len(closed.tables.users),
            users_dropped=closed.users_dropped,
            compacted_before=None if before == NO_TIME else as_datetime(before),
            closed_nbytes=closed.tables.nbytes,
            queries=len(closed.tables.queries),
            queries_dropped=closed.queries_dropped,
        )

    def compact(self, before: int, max_users: int | None) -> int:
        """Close the units first shown before a time and return how many there were."""
        old = self.units.records["time"] < before
        closing = self.units.take(old)
        ledger = dict(self.closed.ledger)
        ledger[self.source] = ledger.get(self.source, 0) + (len(closing) > 0)
        added = self.sum(closing.batch)
        # Those that are not even added are dropped too.
        named = np.unique(closing.records["query"][(closing.records["flags"] & SHOWN) != 0])
        present = (added.queries.keys, self.closed.tables.queries.keys, [np.uint64(NO_ID)])
        never_added = np.setdiff1d(named, np.concatenate(present)) if self.max_queries else ()
        self.closed = replace(
            self.closed,
            tables=self.closed.tables.add(added, self.identity.half_life_us),
            compacted_before=before,
            units=self.closed.units + len(closing),
            unexposed=self.closed.unexposed + closing.unexposed,
            queries_dropped=self.closed.queries_dropped + len(never_added),
            ledger=ledger,
        ).capped(max_users, self.max_queries)
        self.units = self.units.take(~old)
        self.sessions.forget(closing.records)
        self.changed()
        return len(closing)

    def merge(self, other: EvidenceState, max_users: int | None) -> MergeReport:
        """Take in another state of the same identity."""
        self.closed.check(other.closed)
        self.add_arms(other.arms.names)
        ours, theirs = self.closed, other.closed
        merged_before = not (ours.ledger.keys() - {self.source}).isdisjoint(theirs.ledger)
        tables = theirs.tables.realigned(self.arms.codes(other.arms.names), len(self.arms))
        closed = ours.without_users(other.resets.newer_than(self.resets)).merge(
            replace(theirs, tables=tables).without_users(self.resets.newer_than(other.resets)),
            self.identity.half_life_us,
        )
        self.closed = closed.capped(max_users, self.max_queries)
        # Late units of a source that was merged before may be in the closed sums already.
        refuse_before = ours.compacted_before if merged_before else NO_TIME
        folded = self._fold_units(
            other.units.batch, other.arms.names, other.segments.names, refuse_before
        )
        for user, reset in other.resets.by_user.items():
            self.resets.set(user, reset)
        self.changed()
        self.sessions.refresh(self.units)
        self.sessions.note_recent(self.units)
        return MergeReport(*folded, closed.units - ours.units)

    def add_arms(self, names: Sequence[str]) -> None:
        """Add channels."""
        before = np.arange(len(self.arms), dtype=np.int32)
        self.arms.add(names)
        if len(self.arms) > len(before):
            tables = self.closed.tables.realigned(before, len(self.arms))
            self.closed = replace(self.closed, tables=tables)
            self.units.widen()
            self.sessions.rebuild(self.units)
            self.changed()

    def keep_arms(self, names: Sequence[str]) -> None:
        """Remove the other channels."""
        arms = CodeTable(names)
        codes = arms.codes(self.arms.names)
        tables = self.closed.tables.realigned(codes, len(arms))
        self.closed = replace(self.closed, tables=tables)
        self.arms = arms
        self.units = self.units.for_arms(arms, codes)
        self.sessions.rebuild(self.units)
        self.changed()

    def fresh(self, source: str) -> EvidenceState:
        """Return an empty state with the same settings, resets and compaction cut-off."""
        made = EvidenceState(self.identity, self.rewards, self.arms.names, source, self.max_queries)
        made.closed = replace(made.closed, compacted_before=self.closed.compacted_before)
        made.resets = UserResets(self.resets.by_user)
        return made

    def reading_copy(self) -> EvidenceState:
        """Return a copy to read sums from, while rows go on being folded into this one."""
        made = self.fresh(self.source)
        made.segments.add(self.segments.names)
        made.units = self.units  # to be counted only
        made.closed, made.revision = self.closed, self.revision
        made.sessions = self.sessions.reading_copy()
        made.frozen = self.running.frozen(self.units, self._kinds_of_posterior())
        return made

    def follow(self, before: EvidenceState) -> None:
        """Take the place of a state: its revisions go on in this one, as a change of all units."""
        self.revision = max(self.revision, before.revision)
        self.changed()

    def reset(self, user_id: str, reset: UserReset) -> None:
        """Reset a user unless a later reset is known."""
        user = stable_id(user_id)
        if self.resets.set(user, reset):
            self.closed = self.closed.without_users(np.array([user], np.uint64))
            self.changed()

    def forget(self, user_id: str) -> int:
        """Take a user's name and sessions off the open units."""
        user = stable_id(user_id)
        self.sessions.forget(self.units.records[self.units.records["user"] == user])
        self.changed()
        return self.units.forget(user)

    def fold_values(
        self, values: Iterable[bytes], segments: Sequence[tuple[str, ...]]
    ) -> MergeReport:
        """Fold units as a store keeps them."""
        self.segments.add(segments)
        batch = unit_batch(values, self.arms, self.segments)
        names = self.arms.names, self.segments.names
        return MergeReport(*self.fold_units(batch, *names, self.closed.compacted_before), 0)

    def fold_open(self, other: EvidenceState, dropped: Collection[bytes] = ()) -> MergeReport:
        """Fold the open units of another state, as from a store that holds them.

        Units of the keys that are `dropped` are removed first: `other` holds what remains of them.
        For sessions both are one change.
        """
        names = other.arms.names, other.segments.names
        cutoff = self.closed.compacted_before
        return MergeReport(*self.fold_units(other.units.batch, *names, cutoff, dropped), 0)

    def fold_units(
        self,
        batch: UnitBatch,
        arms: Sequence[str],
        segments: Sequence[tuple[str, ...]],
        refuse_before: int,
        dropped: Collection[bytes] = (),
    ) -> tuple[int, int, int]:
        """Fold units in the codes of other names; return how many opened, changed, refused."""
        before = self.units.sessions_of(batch.records)
        removed = self._take_out(dropped)
        opened, changed, refused = self._fold_units(batch, arms, segments, refuse_before)
        # What the batch brought back was changed, not removed.
        removed = removed[self.units.find_all(removed["execution"], removed["document"]) < 0]
        self.changed(opened + changed + len(removed))
        if opened or changed or len(removed):
            before = np.concatenate([before, removed["session"]])
            records = np.concatenate([batch.records, removed])
            self.sessions.note_folded(self.units, records, before)
        return opened, changed, refused

    def _fold_units(
        self,
        batch: UnitBatch,
        arms: Sequence[str],
        segments: Sequence[tuple[str, ...]],
        refuse_before: int,
    ) -> tuple[int, int, int]:
        """Fold units as `fold_units`, without a change of sessions."""
        encoded = encode_units(batch, self.units, arms, segments)
        counts = self._fold_rows(encoded, refuse_before)
        return counts.opened, counts.changed, counts.refused

    def _fold_rows(self, encoded: Encoded, refuse_before: int) -> FoldCounts:
        """Fold rows, and let the sums know what the units were before."""
        if self._running is not None:
            self.running.note_rows(self.units, encoded.rows)
        rows, scores, contributions = encoded[:3]
        return self.units.fold(rows, scores, contributions, refuse_before=refuse_before)

    def _take_out(self, keys: Collection[bytes]) -> NDArray[np.void]:
        """Remove units by the keys of a store, and return them; they stay in their sessions."""
        pairs = np.frombuffer(b"".join(keys), ">u8").reshape(-1, 2).astype(np.uint64)
        at = self.units.find_all(pairs[:, 0], pairs[:, 1])
        stays = np.ones(len(self.units), np.bool_)
        stays[at[at >= 0]] = False
        removed = self.units.records[~stays]
        if len(removed):
            self.units = self.units.take(stays)
            self._running = None
        return removed

    def _left_out(self, event: LiveEvent) -> str | None:
        """Return the field of the report that counts why an event is left out."""
        retriever = self.identity.retriever_id
        if retriever is not None and event.retriever not in {None, retriever}:
            return "other_retriever"
        if not is_document_level(event.types):
            return "list_level"
        if event.time < self.closed.compacted_before:
            return "before_compaction"
        return None


def _kinds(is_user: NDArray[np.bool_]) -> list[str]:
    """Return the kinds of tables that contexts are looked up in."""
    of_users = ["users"] if is_user.any() else []
    return of_users if is_user.all() else [*of_users, "groups", "linear"]
