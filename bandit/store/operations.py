"""What happens to a stored state: each function is one transaction's reads and its writes."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..._shared.digests import with_checksum
from ..._shared.ids import stable_id
from ...errors import OvertakenError
from ..evidence.reports import MergeReport
from .replica import ReadPosition, StateMove, StoreChanges
from .serialization import (
    StoredSettings,
    assemble,
    closed_bytes,
    fold_stored,
    read_query_rows,
    read_users,
    sum_rows,
)
from .transaction import Writes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ..evidence.decayed_sums import DecayedSums
    from ..evidence.evidence import Evidence
    from ..units.stored_rows import StoredUnit
    from ..units.user_resets import UserReset
    from .log_position import LogPosition
    from .transaction import Transaction

MAX_TRANSACTION_UNITS: Final = 10_000
"""Units of one transaction, so that no writer waits long for another."""


def read_settings(t: Transaction) -> StoredSettings | None:
    """Return the settings, None where nothing is stored."""
    return t.settings()


def read_progress(t: Transaction) -> tuple[LogPosition | None, int]:
    """Return how far a log has been followed, and the number of the last change but of units."""
    return t.log_position(), t.version()


def changes_since(t: Transaction, position: ReadPosition | None) -> StoreChanges | None:
    """Return what changed since a state was read; None where nothing is stored."""
    settings = t.settings()
    if settings is None:
        return None
    now = position_of(t, settings)
    units = None
    if position is not None and position[:2] == now[:2]:
        units = t.units_since(position.cursor) if now.cursor > position.cursor else []
    if position is None or units is None:
        whole = assemble(
            settings, t.closed(), t.users(), t.resets(), t.all_units(), _queries(t, settings)
        )
        return StoreChanges(settings, now, whole, {}, [])
    resets = {} if now.version == position.version else t.resets()
    return StoreChanges(settings, now, None, resets, units)


def position_of(t: Transaction, settings: StoredSettings) -> ReadPosition:
    """Return how far the state is that is read."""
    return ReadPosition(settings.source, settings.generation, t.version(), t.cursor())


def move_by(t: Transaction, settings: StoredSettings, writes: Writes) -> StateMove:
    """Return what is about to happen to a state with these settings."""
    before = position_of(t, settings)
    generation = (writes.settings or settings).generation
    return StateMove(before, before._replace(generation=generation, cursor=t.cursor_after(writes)))


def settings_with(t: Transaction, evidence: Evidence, writes: Writes) -> StoredSettings:
    """Return the settings with the evidence's names; those of the evidence where none are stored.

    Raises
    ------
    StateMismatchError
        If the evidence was folded with other settings.
    """
    settings = t.settings()
    if settings is not None:
        settings.identity.check(evidence.identity)
        with_names = settings.with_names(evidence.arms, evidence.segments)
        writes.settings = None if with_names is settings else with_names
        return with_names
    source, most = uuid.uuid4().hex, evidence.max_users
    settings = StoredSettings(
        evidence.identity,
        source,
        evidence.arms,
        evidence.segments,
        max_users=most,
        max_queries=evidence.max_queries,
    )
    writes.settings, writes.closed = settings, closed_bytes(settings.empty_evidence())
    return settings


def apply(
    t: Transaction,
    evidence: Evidence,
    rows: list[StoredUnit],
    log_position: LogPosition | None = None,
    expected: LogPosition | None = None,
    dropped: Collection[bytes] = (),
) -> tuple[tuple[MergeReport, StateMove], Writes | None]:
    """Forget some units, fold those of an evidence, and move the log position.

    Returns what became of the units, and of the position of the state.
    """
    writes = Writes()
    settings = settings_with(t, evidence, writes)
    if log_position is not None:
        writes.log_position = moved_position(t, log_position, expected)
    # A row before the cut-off may be in the closed sums already.
    accepted = [row for row in rows if row.time >= settings.compacted_before]
    given = {row.key: with_checksum(row.value) for row in accepted}
    stored = t.units(list(dict.fromkeys([*given, *dropped])))
    for key in dropped:
        if stored.pop(key, None) is not None and key not in given:
            writes.units[key] = None
    if dropped:
        # Replicas follow unit by unit by folding, and folding takes nothing away.
        writes.settings = replace(settings, generation=settings.generation + 1)
    removed = len(writes.units)
    writes.units.update({key: value for key, value in given.items() if key not in stored})
    opened = len(writes.units) - removed
    changing = [key for key, value in stored.items() if value != given[key]]
    if changing:
        both = [stored[key] for key in changing], [given[key] for key in changing]
        folded = _folded(settings, *both)
        writes.units.update({k: value for k, value in folded.items() if value != stored[k]})
    changed = len(writes.units) - removed - opened
    report = MergeReport(opened, changed, len(rows) - len(accepted), 0)
    is_any = writes.units or writes.settings or writes.log_position
    return (report, move_by(t, settings, writes)), writes if is_any else None


def moved_position(
    t: Transaction, position: LogPosition, expected: LogPosition | None
) -> LogPosition:
    """Return the log position to write: the farther of the stored one and this one.

    Raises
    ------
    StateMismatchError
        If the stored position is of another log.
    OvertakenError
        If another process moved the position away from the expected one.
    """
    stored = t.log_position()
    moved = position.max_with(stored)
    begins = stored is None and expected is not None and not expected.row
    if expected is not None and stored != expected and not begins:
        msg = (
            f"log position: it is {stored}, expected {expected}; another process follows the log "
            "too. Read the position again and go on from there"
        )
        raise OvertakenError(msg)
    return moved


def _folded(settings: StoredSettings, *batches: Iterable[bytes]) -> dict[bytes, bytes | None]:
    evidence = settings.empty_evidence()
    for batch in batches:
        fold_stored(evidence.state, batch)
    return stored_units(evidence)


def stored_units(evidence: Evidence) -> dict[bytes, bytes | None]:
    """Return open units as a store keeps them."""
    return {row.key: with_checksum(row.value) for row in evidence.unit_rows()}


def move_cutoff(t: Transaction, time: int) -> tuple[bool, Writes | None]:
    """Refuse rows before a time from now on; the cut-off never moves back."""
    settings = t.settings()
    if settings is None or time <= settings.compacted_before:
        return settings is not None, None
    return True, Writes(settings=replace(settings, compacted_before=time))


def close_some(t: Transaction) -> tuple[int, Writes | None]:
    """Turn some units before the cut-off into closed sums, and return how many."""
    settings = t.settings()
    if settings is None:
        return 0, None
    old = t.units_before(settings.compacted_before, MAX_TRANSACTION_UNITS)
    if not old:
        return 0, None
    evidence = assemble(settings, t.closed(), {}, t.resets(), old.values(), {})
    state = evidence.state
    state.compact(settings.compacted_before, None)
    added, queries = state.closed.tables.users, state.closed.tables.queries
    before = read_users(t.users(added.keys.tolist()), len(settings.arms))
    stored = _queries(t, settings, queries.keys.tolist())
    queries_before = read_query_rows(stored, len(settings.arms))
    writes = Writes(
        settings=replace(settings, generation=settings.generation + 1),
        closed=closed_bytes(evidence),
        units=dict.fromkeys(old),
        users={**sum_rows(before.add(added, settings.identity.half_life_us))},
        queries={**sum_rows(queries_before.add(queries, settings.identity.half_life_us))},
    )
    return len(old), writes


def set_limits(t: Transaction, /, **limits: int | None) -> tuple[bool, Writes | None]:
    """Change the most users or queries with closed sums; return whether anything is stored."""
    settings = t.settings()
    if settings is None or all(getattr(settings, name) == most for name, most in limits.items()):
        return settings is not None, None
    return True, Writes(settings=replace(settings, **limits))  # type: ignore[arg-type]


def cap_contexts(t: Transaction) -> tuple[int, Writes | None]:
    """Drop users and queries with the oldest sums beyond the most there may be; return how many."""
    settings = t.settings()
    if settings is None:
        return 0, None
    users = {} if settings.max_users is None else t.users()
    queries = t.queries()
    if len(users) <= (settings.max_users or 0) and len(queries) <= settings.max_queries:
        return 0, None
    evidence = assemble(settings, t.closed(), users, {}, (), queries)
    state = evidence.state
    state.closed = state.closed.capped(settings.max_users, settings.max_queries)
    writes = Writes(
        closed=closed_bytes(evidence),
        users=dict.fromkeys(_gone(users, state.closed.tables.users)),
        queries=dict.fromkeys(_gone(queries, state.closed.tables.queries)),
        settings=replace(settings, generation=settings.generation + 1),
    )
    return len(writes.users) + len(writes.queries), writes


def _gone(rows: Mapping[int, bytes], left: DecayedSums) -> set[int]:
    return set(rows) - set(left.keys.tolist())


def _queries(
    t: Transaction, settings: StoredSettings, keys: Sequence[int] | None = None
) -> dict[int, bytes]:
    """Return closed sums by query; files of before there were any are not searched for them."""
    return t.queries(keys) if settings.max_queries else {}


def merge(t: Transaction, other: Evidence) -> tuple[MergeReport, Writes | None]:
    """Take a shard in, its closed sums too."""
    writes = Writes()
    settings = settings_with(t, other, writes)
    new = t.settings() is None
    users, resets = ({}, {}) if new else (t.users(), t.resets())
    units, queries = ([], {}) if new else (t.all_units(), _queries(t, settings))
    evidence = assemble(settings, writes.closed or t.closed(), users, resets, units, queries)
    before = stored_units(evidence)
    report = evidence.merge(other)
    state = evidence.state
    units_after = stored_units(evidence)
    writes.closed = closed_bytes(evidence)
    writes.settings = replace(
        settings.with_names(evidence.arms, evidence.segments),
        compacted_before=state.closed.compacted_before,
        generation=settings.generation + 1,
    )
    writes.units = {k: value for k, value in units_after.items() if before.get(k) != value}
    writes.users = _changed_rows(users, state.closed.tables.users)
    writes.queries = _changed_rows(queries, state.closed.tables.queries)
    writes.resets = {u: r for u, r in state.resets.by_user.items() if resets.get(u) != r}
    return report, writes


def _changed_rows(before: Mapping[int, bytes], after: DecayedSums) -> dict[int, bytes | None]:
    rows = sum_rows(after)
    changed: dict[int, bytes | None] = dict.fromkeys(before.keys() - rows.keys())
    changed.update({key: row for key, row in rows.items() if before.get(key) != row})
    return changed


def reset_user(t: Transaction, user: int, reset: UserReset) -> tuple[bool, Writes | None]:
    """Reset a user unless a later reset is stored; return whether anything is stored at all."""
    if t.settings() is None:
        return False, None
    stored = t.user(user)
    if stored.reset is not None and reset <= stored.reset:
        return True, None
    return True, Writes(users={user: None}, resets={user: reset})


def forget_user(t: Transaction, user_id: str) -> tuple[tuple[int, list[StateMove]], Writes | None]:
    """Take a user's name and sessions off the open units.

    Returns how many there were, and what became of the position of the state.
    """
    settings = t.settings()
    units = [] if settings is None else t.user(stable_id(user_id)).units
    if settings is None or not units:
        return (0, []), None
    evidence = assemble(settings, None, {}, {}, units, {})
    evidence.state.forget(user_id)
    writes = Writes(settings=replace(settings, generation=settings.generation + 1))
    writes.units = stored_units(evidence)
    return (len(units), [move_by(t, settings, writes)]), writes


def remove_arm(t: Transaction, feature_uri: str) -> tuple[bool, Writes | None]:
    """Forget a channel and its closed sums."""
    settings = t.settings()
    if settings is None:
        return False, None
    evidence = assemble(settings, t.closed(), t.users(), {}, (), _queries(t, settings))
    evidence.remove_arm(feature_uri)
    writes = Writes(closed=closed_bytes(evidence))
    writes.users = {**sum_rows(evidence.state.closed.tables.users)}
    writes.queries = {**sum_rows(evidence.state.closed.tables.queries)}
    writes.settings = replace(settings, arms=evidence.arms, generation=settings.generation + 1)
    return True, writes
