"""What happens to a stored state: each function is one transaction's reads and its writes."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from ._account import MergeReport
from ._ids import NO_ID, stable_id
from ._mark import OvertakenError
from ._store_transaction import Writes
from ._store_wire import (
    Head,
    assemble,
    closed_bytes,
    fold_stored,
    read_users,
    seal,
    user_rows,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ._epochs import Epoch
    from ._mark import Mark
    from ._store_transaction import Transaction
    from ._wire import StoredUnit
    from .evidence import Evidence

SLICE: Final = 10_000
"""Most units of one transaction, so that no writer waits long for another."""


class Seen(NamedTuple):
    """How far a stored state was read; `source` and `generation` tell whether it is the same."""

    source: str
    generation: int
    version: int
    cursor: int


class News(NamedTuple):
    """Everything, where `evidence` is there; else what changed since."""

    head: Head
    seen: Seen
    evidence: Evidence | None
    wishes: Mapping[int, Epoch]
    units: list[bytes]


def news(t: Transaction, seen: Seen | None) -> News | None:
    """Return what changed since a state was read; None where nothing is stored."""
    head = t.head()
    if head is None:
        return None
    now = Seen(head.source, head.generation, t.version(), t.cursor())
    units = None
    if seen is not None and seen[:2] == now[:2]:
        units = t.units_since(seen.cursor) if now.cursor > seen.cursor else []
    if seen is None or units is None:
        whole = assemble(head, t.closed(), t.users(), t.wishes(), t.all_units())
        return News(head, now, whole, {}, [])
    wishes = {} if now.version == seen.version else t.wishes()
    return News(head, now, None, wishes, units)


def opened(t: Transaction, evidence: Evidence, writes: Writes) -> Head:
    """Return the settings with the evidence's names; those of the evidence where none are stored.

    Raises
    ------
    StateMismatchError
        If the evidence was folded with other settings.
    """
    head = t.head()
    if head is not None:
        head.identity.check(evidence.identity)
        named = head.with_names(evidence.arms, evidence.segments)
        writes.head = None if named is head else named
        return named
    source, most = uuid.uuid4().hex, evidence.max_users
    head = Head(evidence.identity, source, evidence.arms, evidence.segments, max_users=most)
    writes.head, writes.closed = head, closed_bytes(head.empty_evidence())
    return head


def apply(
    t: Transaction,
    evidence: Evidence,
    rows: list[StoredUnit],
    mark: Mark | None = None,
    after: Mark | None = None,
    dropped: Collection[bytes] = (),
) -> tuple[MergeReport, Writes | None]:
    """Forget some units, fold those of an evidence, and move the mark of the log."""
    writes = Writes()
    head = opened(t, evidence, writes)
    if mark is not None:
        writes.mark = moved_mark(t, mark, after)
    # A row before the line may be in the closed sums already.
    taken = {row.key: seal(row.value) for row in rows if row.time >= head.line}
    known = t.units(list(dict.fromkeys([*taken, *dropped])))
    for key in dropped:
        if known.pop(key, None) is not None and key not in taken:
            writes.units[key] = None
    if dropped:
        # Those who follow unit by unit fold, and folding takes nothing away.
        writes.head = replace(head, generation=head.generation + 1)
    gone = len(writes.units)
    writes.units.update({key: value for key, value in taken.items() if key not in known})
    new = len(writes.units) - gone
    both = [key for key, value in known.items() if value != taken[key]]
    if both:
        folded = _folded(head, [known[key] for key in both], [taken[key] for key in both])
        writes.units.update({k: value for k, value in folded.items() if value != known[k]})
    refused = sum(row.time < head.line for row in rows)
    report = MergeReport(new, len(writes.units) - new, refused, 0)
    return report, writes if writes.units or writes.head or writes.mark else None


def moved_mark(t: Transaction, mark: Mark, after: Mark | None) -> Mark:
    """Return the mark to write; one that was overtaken stays where it is.

    Raises
    ------
    StateMismatchError
        If the stored mark is of another log.
    OvertakenError
        If another process moved the mark away from `after`.
    """
    stored = t.mark()
    moved = mark.joined(stored)
    begins = stored is None and after is not None and not after.row
    if after is not None and stored != after and not begins:
        msg = f"mark: it stands at {stored}, expected {after}; another process follows the log too"
        raise OvertakenError(msg)
    return moved


def _folded(head: Head, *batches: Iterable[bytes]) -> dict[bytes, bytes | None]:
    state = head.empty_evidence()
    for batch in batches:
        fold_stored(state._state, batch)  # noqa: SLF001 - our own
    return sealed_units(state)


def sealed_units(evidence: Evidence) -> dict[bytes, bytes | None]:
    """Return open units as a store keeps them."""
    return {row.key: seal(row.value) for row in evidence.unit_rows()}


def move_line(t: Transaction, line: int) -> tuple[bool, Writes | None]:
    """Refuse rows before a time from now on; a line never moves back."""
    head = t.head()
    if head is None or line <= head.line:
        return head is not None, None
    return True, Writes(head=replace(head, line=line))


def close_slice(t: Transaction) -> tuple[int, Writes | None]:
    """Turn some units before the line into closed sums, and return how many."""
    head = t.head()
    old = {} if head is None else t.units_before(head.line, SLICE)
    if head is None or not old:
        return 0, None
    evidence = assemble(head, t.closed(), {}, t.wishes(), old.values())
    state = evidence._state  # noqa: SLF001 - our own
    state.compact(head.line, None)
    added = state.closed.tables.users
    before = read_users(t.users(added.keys.tolist()), len(head.arms))
    writes = Writes(
        head=replace(head, generation=head.generation + 1),
        closed=closed_bytes(evidence),
        units=dict.fromkeys(old),
        users={**user_rows(before.add(added, head.identity.half_life_us))},
    )
    return len(old), writes


def cap_users(t: Transaction) -> tuple[int, Writes | None]:
    """Drop the users with the oldest sums beyond the most there may be."""
    head = t.head()
    if head is None or head.max_users is None:
        return 0, None
    rows = t.users()
    if len(rows) <= head.max_users:
        return 0, None
    evidence = assemble(head, t.closed(), rows, {}, ())
    state = evidence._state  # noqa: SLF001 - our own
    state.closed = state.closed.capped(head.max_users)
    kept = set(state.closed.tables.users.keys.tolist())
    dropped = [user for user in rows if user not in kept]
    writes = Writes(closed=closed_bytes(evidence), users=dict.fromkeys(dropped))
    writes.head = replace(head, generation=head.generation + 1)
    return len(dropped), writes


def merge(t: Transaction, other: Evidence) -> tuple[MergeReport, Writes | None]:
    """Take a shard in, its closed sums too."""
    writes = Writes()
    head = opened(t, other, writes)
    new = t.head() is None
    rows, wishes = ({}, {}) if new else (t.users(), t.wishes())
    units = [] if new else t.all_units()
    closed = writes.closed or t.closed()
    evidence = assemble(head, closed, rows, wishes, units)
    before = sealed_units(evidence)
    report = evidence.merge(other)
    state = evidence._state  # noqa: SLF001 - our own
    after_units, after_users = sealed_units(evidence), user_rows(state.closed.tables.users)
    made = state.closed
    writes.closed = closed_bytes(evidence)
    writes.head = replace(
        head.with_names(evidence.arms, evidence.segments),
        line=made.line,
        generation=head.generation + 1,
    )
    writes.units = {k: value for k, value in after_units.items() if before.get(k) != value}
    writes.users = dict.fromkeys(rows.keys() - after_users.keys())
    writes.users.update({u: row for u, row in after_users.items() if rows.get(u) != row})
    writes.wishes = {u: w for u, w in state.epochs.wishes.items() if wishes.get(u) != w}
    return report, writes


def wish(t: Transaction, user: int, epoch: Epoch) -> tuple[bool, Writes | None]:
    """Follow a user's wish unless a later one is known; return whether anything is stored."""
    head = t.head()
    if head is None:
        return False, None
    known = t.user(user)
    if known.wish is not None and epoch <= known.wish:
        return True, None
    return True, Writes(users={user: None}, wishes={user: epoch})


def forget(t: Transaction, user_id: str) -> tuple[int, Writes | None]:
    """Take a user's name and sessions off the open units."""
    head = t.head()
    units = [] if head is None else t.user(stable_id(user_id)).units
    if head is None or not units:
        return 0, None
    evidence = assemble(head, None, {}, {}, units)
    evidence._state.forget(user_id)  # noqa: SLF001 - our own
    writes = Writes(head=replace(head, generation=head.generation + 1))
    writes.units = sealed_units(evidence)
    return len(units), writes


def remove_arm(t: Transaction, feature_uri: str) -> tuple[bool, Writes | None]:
    """Forget a channel and its closed sums."""
    head = t.head()
    if head is None:
        return False, None
    evidence = assemble(head, t.closed(), t.users(), {}, ())
    evidence.remove_arm(feature_uri)
    writes = Writes(closed=closed_bytes(evidence))
    writes.users = {**user_rows(evidence._state.closed.tables.users)}  # noqa: SLF001 - our own
    writes.head = replace(head, arms=evidence.arms, generation=head.generation + 1)
    return True, writes


def user_evidence(t: Transaction, user: int) -> Evidence | None:
    """Return the evidence of one user only."""
    head = t.head()
    if head is None or user == NO_ID:
        return None
    part = t.user(user)
    closed = {} if part.closed is None else {user: part.closed}
    wishes = {} if part.wish is None else {user: part.wish}
    return assemble(head, None, closed, wishes, part.units)


def session_evidence(t: Transaction, session: int) -> Evidence | None:
    """Return the live units of one session only; each at the revision of its last change."""
    head = t.head()
    if head is None:
        return None
    evidence = head.empty_evidence()
    state = evidence._state  # noqa: SLF001 - our own
    for change, unit in sorted(t.session_units(session)):
        state.revision = change - 1
        fold_stored(state, [unit])
    return evidence
