"""The parts of a state of evidence, and the operations that keep them consistent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ._account import Account, MergeReport
from ._closed import Closed
from ._credit import UnitBatch
from ._decay import NO_TIME, as_datetime
from ._epochs import Epoch, Epochs
from ._event import LiveEvent, StandIns
from ._event_rows import score_rows, unit_row
from ._ids import stable_id
from ._names import Names
from ._session_sums import Meaning, SessionSums, session_sums
from ._session_units import SessionUnits
from ._sessions import LiveSessions
from ._tables import KINDS, Tables, make_sums, tables_of
from ._units import Units
from ._update_report import UpdateReport
from ._wire import unit_batch
from .rewards import speaks_of_document

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from ._columns import EventColumns
    from ._context_keys import Context
    from ._sums import Sums
    from .identity import Identity
    from .rewards import RewardTable


class State:
    """Open units, closed sums, users' wishes and live sessions of one `Evidence`."""

    def __init__(
        self, identity: Identity, rewards: RewardTable, arms: Sequence[str], source: str
    ) -> None:
        self.identity, self.rewards, self.source = identity, rewards, source
        self.arms: Names[str] = Names(arms)
        self.segments = Names[tuple[str, ...]]()
        self.units = Units(self.arms, self.segments)
        self.closed = Closed(Tables.empty(len(self.arms)), ledger={source: 0})
        self.epochs = Epochs()
        self.sessions = LiveSessions()
        self.revision = 0
        self._stand_ins = StandIns()
        self._cached: tuple[int, Tables, set[str]] = (-1, self.closed.tables, set())

    def changed(self) -> None:
        """Note that the evidence is another now."""
        self.revision += 1
        self.sessions.note_changes(self.units, self.revision)

    def tables(self, *kinds: str) -> Tables:
        """Return the sums of everything, open and closed; computed once per revision."""
        if self._cached[0] != self.revision:
            self._cached = self.revision, self.closed.tables, set()
        _, tables, known = self._cached
        missing = set(kinds) - known
        if missing:
            opened = self.sum(batch_of(self.units), missing)
            tables = tables.add(opened, self.identity.half_life_us, missing)
            self._cached = self.revision, tables, known | missing
        return tables

    def sum(self, batch: UnitBatch, kinds: Collection[str] = KINDS) -> Tables:
        """Return the sums of some units."""
        settings = self.identity, self.rewards, self.segments.ids, len(self.arms), self.epochs
        return tables_of(batch, *settings, kinds)

    def read(
        self,
        keys: NDArray[np.uint64],
        is_user: NDArray[np.bool_],
        contexts: Sequence[Context] | None,
        time: int,
    ) -> Sums:
        """Look contexts up in the sums of everything."""
        return make_sums(
            self.tables(*_kinds(is_user)),
            keys,
            is_user,
            arms=tuple(self.arms.names),
            contexts=None if contexts is None else tuple(tuple(each) for each in contexts),
            time=time,
            half_life_us=self.identity.half_life_us,
        )

    def session_sums(
        self,
        session: SessionUnits,
        *,
        since: int,
        time: int,
        contexts: Sequence[Context] = (),
        revision: int | None = None,
    ) -> SessionSums:
        """Return what one session says, and what of it is counted in some contexts.

        Needs no lock: nothing is read but the session, as it was found, and users' wishes.
        """
        return session_sums(
            session,
            Meaning(self.identity, self.rewards, self.epochs),
            since=since,
            contexts=contexts,
            time=time,
            revision=revision,
        )

    def session(self, session: int, arms: tuple[str, ...] | None = None) -> SessionUnits:
        """Return what is known of a session now, for these arms or those of now; needs no lock."""
        names = tuple(self.arms.names) if arms is None else arms
        found = self.sessions.of(session)
        return SessionUnits.empty(names) if found is None else found.for_arms(names)

    def fold(self, columns: EventColumns) -> UpdateReport:
        """Fold columns into units."""
        from . import _unit_kernels as kernels
        from ._encoding import encode

        encoded = encode(columns, self.arms, self.segments, self.rewards)
        counts = self.units.fold(
            encoded.rows, encoded.scores, encoded.contributions, line=self.closed.line
        )
        self.changed()
        return UpdateReport(
            rows=len(columns),
            units_opened=int(counts[kernels.OPENED]),
            rows_changing=int(counts[kernels.CHANGED]),
            list_level=int(counts[kernels.LIST_LEVEL]),
            without_execution=int(counts[kernels.NO_EXECUTION]),
            without_time=int(counts[kernels.WITHOUT_TIME]),
            before_compaction=int(counts[kernels.REFUSED]),
            without_feature_uri=int(counts[kernels.NO_CHANNEL]),
            unknown_feature_uri=int(counts[kernels.UNKNOWN_CHANNEL]),
            bad_scores=encoded.bad_scores,
            unknown_scores=encoded.unknown_scores,
            units_without_exposure=self.units.unexposed,
        )

    def observe(self, event: LiveEvent) -> UpdateReport:
        """Fold one event, or say why not."""
        reason = self._left_out(event)
        execution = event.execution or self._stand_ins.name(event)
        if reason is not None or execution is None:
            counted: dict[str, Any] = {reason or "without_execution": 1}
            return UpdateReport(rows=1, units_without_exposure=self.units.unexposed, **counted)
        if event.segment is not None:
            self.segments.add([event.segment])
        row = unit_row(event, execution, self.arms, self.segments, self.rewards)
        scores, contributions, bad, unknown = score_rows(event, self.arms)
        before = self.units.session_of(row.execution, row.document)
        at, opened, changed = self.units.fold_one(row, scores, contributions)
        if opened or changed:
            self.revision += 1
            self.sessions.note(self.units, at, before, self.revision)
        return UpdateReport(
            rows=1,
            units_opened=int(opened),
            rows_changing=int(changed),
            without_feature_uri=int(event.feature_uri is None),
            unknown_feature_uri=int(event.feature_uri is not None and row.arm < 0),
            bad_scores=bad,
            unknown_scores=unknown,
            units_without_exposure=self.units.unexposed,
        )

    def account(self) -> Account:
        """Count what there is."""
        closed = self.closed
        return Account(
            open_units=len(self.units),
            closed_units=closed.units,
            units_without_exposure=self.units.unexposed + closed.unexposed,
            users=len(closed.tables.users),
            users_dropped=closed.users_dropped,
            compacted_before=None if closed.line == NO_TIME else as_datetime(closed.line),
            closed_nbytes=closed.tables.nbytes,
        )

    def compact(self, line: int, max_users: int | None) -> int:
        """Close the units first shown before a time and return how many there were."""
        old = self.units.records["time"] < line
        closing = self.units.take(old)
        ledger = dict(self.closed.ledger)
        ledger[self.source] = ledger.get(self.source, 0) + (len(closing) > 0)
        added = self.sum(batch_of(closing))
        self.closed = replace(
            self.closed,
            tables=self.closed.tables.add(added, self.identity.half_life_us),
            line=line,
            units=self.closed.units + len(closing),
            unexposed=self.closed.unexposed + closing.unexposed,
            ledger=ledger,
        ).capped(max_users)
        self.units = self.units.take(~old)
        self.sessions.forget(closing.records)
        self.revision += 1
        return len(closing)

    def merge(self, other: State, max_users: int | None) -> MergeReport:
        """Take in another state of the same identity."""
        ours, theirs = self.closed, other.closed
        ours.check(theirs)
        known = not (ours.ledger.keys() - {self.source}).isdisjoint(theirs.ledger)
        tables = theirs.tables.realigned(
            *self._places_of(other.arms),
        )
        closed = ours.without_users(other.epochs.newer_than(self.epochs)).merge(
            replace(theirs, tables=tables).without_users(self.epochs.newer_than(other.epochs)),
            self.identity.half_life_us,
        )
        self.closed = closed.capped(max_users)
        batch, line = batch_of(other.units), ours.line if known else NO_TIME
        folded = self.fold_units(batch, other.arms.names, other.segments.names, line)
        for user, wish in other.epochs.wishes.items():
            self.epochs.set(user, wish)
        self.changed()
        self.sessions.note_recent(self.units, self.revision)
        return MergeReport(*folded, closed.units - ours.units)

    def fold_units(
        self, batch: UnitBatch, arms: Sequence[str], segments: Sequence[tuple[str, ...]], line: int
    ) -> tuple[int, int, int]:
        """Fold units in the codes of other names; return how many opened, changed, refused."""
        from . import _unit_kernels as kernels
        from ._encoding import encode_units

        encoded = encode_units(batch, self.units, arms, segments)
        counts = self.units.fold(encoded.rows, encoded.scores, encoded.contributions, line=line)
        chosen = counts[[kernels.OPENED, kernels.CHANGED, kernels.REFUSED]]
        opened, changed, refused = chosen.tolist()
        return opened, changed, refused

    def add_arms(self, names: Sequence[str]) -> None:
        """Make channels known."""
        before = np.arange(len(self.arms), dtype=np.int32)
        self.arms.add(names)
        if len(self.arms) > len(before):
            tables = self.closed.tables.realigned(before, len(self.arms))
            self.closed = replace(self.closed, tables=tables)
            self.units.widen()
            self.revision += 1

    def keep_arms(self, names: Sequence[str]) -> None:
        """Forget the other channels."""
        kept = Names(names)
        codes = kept.codes(self.arms.names)
        tables = self.closed.tables.realigned(codes, len(kept))
        self.closed = replace(self.closed, tables=tables)
        self.arms = kept
        self.units = self.units.renamed(kept, codes)
        self.sessions.rebuild(self.units, self.revision)
        self.revision += 1

    def fresh(self, source: str) -> State:
        """Return an empty state with the same settings, wishes and line."""
        made = State(self.identity, self.rewards, self.arms.names, source)
        made.closed = replace(made.closed, line=self.closed.line)
        made.epochs = Epochs(self.epochs.wishes)
        return made

    def still(self) -> State:
        """Return a copy to read sums from, while rows go on being folded into this one."""
        made = self.fresh(self.source)
        made.segments.add(self.segments.names)
        made.units = self.units.still(made.arms, made.segments)
        made.closed, made.revision = self.closed, self.revision
        made._cached = self._cached  # noqa: SLF001 - our own
        return made

    def follow(self, before: State) -> None:
        """Take the place of a state: its sessions and its revisions go on in this one.

        A posterior of the other state is asked for its sessions still. Neither those nor what the
        posterior has seen of them may seem to be gone, or to be new.
        """
        self.revision = max(self.revision, before.revision) + 1
        if before.arms.names == self.arms.names:
            self.sessions = before.sessions
            self.sessions.note_changes(self.units, self.revision)
            self.sessions.note_recent(self.units, self.revision)

    def wish(self, user_id: str, epoch: Epoch) -> None:
        """Follow a user's wish unless a later one is known."""
        user = stable_id(user_id)
        if self.epochs.set(user, epoch):
            self.closed = self.closed.without_users(np.array([user], np.uint64))
            self.revision += 1

    def forget(self, user_id: str) -> int:
        """Take a user's name and sessions off the open units."""
        user = stable_id(user_id)
        self.sessions.forget(self.units.records[self.units.records["user"] == user])
        self.revision += 1
        return self.units.forget(user)

    def _places_of(self, arms: Names[str]) -> tuple[NDArray[np.int32], int]:
        self.add_arms(arms.names)
        return self.arms.codes(arms.names), len(self.arms)

    def fold_values(
        self, values: Iterable[bytes], segments: Sequence[tuple[str, ...]]
    ) -> MergeReport:
        """Fold units as a store keeps them."""
        self.segments.add(segments)
        batch = unit_batch(values, self.arms, self.segments)
        return self._fold_batch(batch, self.arms.names, self.segments.names)

    def fold_open(self, other: State, dropped: Collection[bytes] = ()) -> MergeReport:
        """Fold the open units of another state, as from a store that holds them.

        Units of the keys that are `dropped` are forgotten first: the batch holds what is left of
        them. Sessions see both as one change.
        """
        batch = batch_of(other.units)
        return self._fold_batch(batch, other.arms.names, other.segments.names, dropped)

    def _fold_batch(
        self,
        batch: UnitBatch,
        arms: Sequence[str],
        segments: Sequence[tuple[str, ...]],
        dropped: Collection[bytes] = (),
    ) -> MergeReport:
        folded = self.fold_noted(batch, arms, segments, self.closed.line, dropped)
        return MergeReport(*folded, 0)

    def fold_noted(
        self,
        batch: UnitBatch,
        arms: Sequence[str],
        segments: Sequence[tuple[str, ...]],
        line: int,
        dropped: Collection[bytes] = (),
    ) -> tuple[int, int, int]:
        """Fold units as `fold_units`, and let their sessions know."""
        before = self.units.sessions_of(batch.records)
        gone = self._take_out(dropped)
        opened, changed, refused = self.fold_units(batch, arms, segments, line)
        self.revision += 1
        gone = gone[self.units.find_all(gone["execution"], gone["document"]) < 0]
        if opened or changed or len(gone):
            before = np.concatenate([before, gone["session"]])
            records = np.concatenate([batch.records, gone])
            self.sessions.note_folded(self.units, records, before, self.revision)
        return opened, changed, refused

    def _take_out(self, keys: Collection[bytes]) -> NDArray[np.void]:
        """Take units out by the keys of a store, and return them; their sessions know them yet."""
        pairs = np.frombuffer(b"".join(keys), ">u8").reshape(-1, 2).astype(np.uint64)
        at = self.units.find_all(pairs[:, 0], pairs[:, 1])
        kept = np.ones(len(self.units), np.bool_)
        kept[at[at >= 0]] = False
        gone = self.units.records[~kept]
        if len(gone):
            self.units = self.units.take(kept)
        return gone

    def _left_out(self, event: LiveEvent) -> str | None:
        """Return the field of the report that counts why an event is left out."""
        wanted = self.identity.retriever_id
        if wanted is not None and event.retriever not in {None, wanted}:
            return "other_retriever"
        if not speaks_of_document(event.types):
            return "list_level"
        if event.time < self.closed.line:
            return "before_compaction"
        return None


def batch_of(units: Units) -> UnitBatch:
    """Return all units of a store of units."""
    return UnitBatch(units.records, units.scores, units.contributions)


def _kinds(is_user: NDArray[np.bool_]) -> list[str]:
    """Return the kinds of tables that contexts are looked up in."""
    of_users = ["users"] if is_user.any() else []
    return of_users if is_user.all() else [*of_users, "groups", "linear"]
