"""What a store keeps, as bytes with a checksum, and the evidence that they make together."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.digests import with_checksum, without_checksum, without_checksums
from ...errors import IntegrityError
from ..base.identity import Identity
from ..base.ids import segment_id
from ..base.timestamps import NO_TIME
from ..evidence.decayed_sums import DecayedSums
from ..evidence.evidence import Evidence
from ..evidence.query_sums import layout, realigned_queries
from ..evidence.state import EvidenceState
from ..evidence.sum_tables import SumTables, realigned_beta
from ..units.array_memory import BeyondMemory
from ..units.stored_rows import HEAD, unit_batch
from ..units.user_resets import UserReset, UserResets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from ..base.contexts import Context

_FIELDS: Final[Any] = HEAD.fields
OFFSETS: Final[dict[str, int]] = {name: int(at) for name, (_, at) in _FIELDS.items()}
"""Where the fields of a unit begin."""

READ_AT_ONCE: Final = 50_000
"""Units that are read at once where a whole state is: as objects they take five times the space."""

_TIME_BYTES: Final = 8
_REMEDY: Final = "restore a copy of the store, or clear it and learn the state again from the log"


@dataclass(frozen=True)
class StoredSettings:
    """Settings and names of a stored state; small, and read with every access.

    Attributes
    ----------
    identity : Identity
    source : str
        Name of the stored state among shards.
    arms, segments : tuple
        Names, in the order of their codes; new ones are appended.
    compacted_before : int
        Rows before this time are refused.
    max_users : int or None
    max_queries : int
    generation : int
        Grows with what cannot be followed unit by unit: compaction, deletion, merge.
    """

    identity: Identity
    source: str
    arms: tuple[str, ...]
    segments: tuple[Context, ...] = ()
    compacted_before: int = NO_TIME
    max_users: int | None = None
    generation: int = 0
    max_queries: int = 0

    def to_bytes(self) -> bytes:
        """Return the settings as JSON with a checksum."""
        fields = {**vars(self), "identity": self.identity.as_json()}
        # The stored name is that of the first version.
        fields["line"] = fields.pop("compacted_before")
        if not self.max_queries:
            del fields["max_queries"]  # earlier versions read a state without queries
        return with_checksum(json.dumps(fields, separators=(",", ":")).encode())

    @classmethod
    @lru_cache(maxsize=64)
    def from_bytes(cls, data: bytes) -> StoredSettings:
        """Return the settings that `to_bytes` gave."""
        text = without_checksum(data, "the stored settings", _REMEDY)
        try:
            fields = json.loads(text)
            fields["identity"] = Identity.from_json(fields["identity"])
            fields["segments"] = tuple(tuple(values) for values in fields["segments"])
            fields["compacted_before"] = fields.pop("line")
            return cls(**{**fields, "arms": tuple(fields["arms"])})
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the stored settings are not those that this version reads: {error!r}; {_REMEDY}"
            raise IntegrityError(msg) from error

    def with_names(self, arms: Iterable[str], segments: Iterable[Context]) -> StoredSettings:
        """Return the settings with new names appended; itself where there are none."""
        more_arms = tuple(dict.fromkeys([*self.arms, *arms]))
        more_segments = tuple(dict.fromkeys([*self.segments, *segments]))
        if len(more_arms) == len(self.arms) and len(more_segments) == len(self.segments):
            return self
        return replace(self, arms=more_arms, segments=more_segments)

    def empty_evidence(self) -> Evidence:
        """Return a state with these settings and no evidence."""
        rewards = self.identity.reward_table()
        state = EvidenceState(self.identity, rewards, self.arms, self.source, self.max_queries)
        state.segments.add(self.segments)
        state.closed = replace(state.closed, compacted_before=self.compacted_before)
        return Evidence.of_state(state, self.max_users)


def fold_stored(state: EvidenceState, units: Iterable[bytes]) -> None:
    """Fold stored units, those before the cut-off too: the store has accepted them."""
    values = checked_units(units)
    batch = unit_batch(values, state.arms, state.segments)
    state.fold_units(batch, state.arms.names, state.segments.names, NO_TIME)


def assemble(
    settings: StoredSettings,
    closed: bytes | None,
    users: Mapping[int, bytes],
    resets: Mapping[int, UserReset],
    units: Iterable[bytes],
    queries: Mapping[int, bytes],
) -> Evidence:
    """Return the evidence that the parts of a store make.

    Without `closed` that of users and queries only.
    """
    if closed is None:
        evidence = settings.empty_evidence()
    else:
        evidence = Evidence.from_bytes(closed)
        evidence.max_users = settings.max_users
        evidence.add_arm(*settings.arms)
    state = evidence.state
    state.segments.add(settings.segments)
    state.max_queries = settings.max_queries
    tables = state.closed.tables._replace(
        users=read_users(users, len(settings.arms)),
        queries=read_query_rows(queries, len(settings.arms)),
    )
    state.closed = replace(state.closed, tables=tables, compacted_before=settings.compacted_before)
    state.resets = UserResets(resets)
    state.units.memory = BeyondMemory()
    rows = iter(units)
    while part := list(islice(rows, READ_AT_ONCE)):
        fold_stored(state, part)
    return evidence


def catch_up(
    evidence: Evidence,
    settings: StoredSettings,
    resets: Mapping[int, UserReset],
    units: Iterable[bytes],
) -> None:
    """Fold what changed in a store since the evidence was read from it."""
    state = evidence.state
    evidence.max_users, evidence.max_queries = settings.max_users, settings.max_queries
    evidence.add_arm(*settings.arms)
    state.segments.add(settings.segments)
    state.closed = replace(state.closed, compacted_before=settings.compacted_before)
    later = [user for user, reset in resets.items() if state.resets.set(user, reset)]
    if later:
        state.closed = state.closed.without_users(np.array(later, np.uint64))
        state.changed()
    fold_stored(state, units)


def closed_bytes(evidence: Evidence) -> bytes:
    """Return the closed sums of the global context and the segments; users, queries are rows."""
    state = evidence.state
    names, most = state.arms.names, state.max_queries
    bare = EvidenceState(state.identity, state.rewards, names, state.source, most)
    bare.segments = state.segments
    none = SumTables.empty(len(names))
    tables = state.closed.tables._replace(users=none.users, queries=none.queries)
    bare.closed = replace(state.closed, tables=tables)
    return Evidence.of_state(bare, evidence.max_users).to_bytes()


def sum_rows(sums: DecayedSums, head: bytes = b"") -> dict[int, bytes]:
    """Return the sums of users or queries as rows: the head, the time, the values."""
    times, values = sums.times.astype("<i8"), sums.values.astype("<f8")
    rows = zip(sums.keys.tolist(), times, values, strict=True)
    return {
        key: with_checksum(head + time.tobytes() + value.tobytes()) for key, time, value in rows
    }


def read_users(rows: Mapping[int, bytes], arms: int) -> DecayedSums:
    """Return the sums of users that `sum_rows` gave, for as many arms as there are now."""
    return _read_rows(rows, arms, "users", lambda n: SumTables.empty(n).users, realigned_beta)


def read_query_rows(rows: Mapping[int, bytes], arms: int) -> DecayedSums:
    """Return the sums of queries that `sum_rows` gave, for as many arms as there are now."""
    return _read_rows(rows, arms, "queries", lambda n: layout(n).empty(), realigned_queries)


def _read_rows(
    rows: Mapping[int, bytes],
    arms: int,
    what: str,
    empty: Callable[[int], DecayedSums],
    realigned: Callable[[DecayedSums, NDArray[np.int32], int], DecayedSums],
) -> DecayedSums:
    """Return sums by context; rows that were written before arms were added are shorter."""
    target, keys = empty(arms), np.array(sorted(rows), np.uint64)
    times = np.zeros(len(keys), np.int64)
    values = np.zeros((len(keys), target.values.shape[1]))
    sums = [rows[key] for key in keys.tolist()]
    bodies = without_checksums(sums, f"sums of {what} in the store", _REMEDY)
    sizes = np.array([len(body) for body in bodies], np.int64)
    for size in np.unique(sizes).tolist():
        of_size, width = np.flatnonzero(sizes == size), (size - _TIME_BYTES) / 8
        fitting = (n for n in range(arms, 0, -1) if empty(n).values.shape[1] == width)
        known = next(fitting, None)
        if known is None:
            msg = f"sums of {what} in the store have {size} bytes, which does not fit {arms} arms"
            raise IntegrityError(msg)
        raw = np.frombuffer(b"".join([bodies[i] for i in of_size]), np.uint8).reshape(-1, size)
        times[of_size] = raw[:, :_TIME_BYTES].copy().view("<i8")[:, 0]
        numbers = raw[:, _TIME_BYTES:].copy().view("<f8")
        part = DecayedSums(keys[of_size], times[of_size], numbers, empty(known).squared)
        if known < arms:
            part = realigned(part, np.arange(known, dtype=np.int32), arms)
        values[of_size] = part.values
    return DecayedSums(keys, times, values, target.squared)


def served_row(row: bytes, arms: tuple[str, ...]) -> DecayedSums | None:
    """Return a query's sums as they were published; None where those are of other channels."""
    body = without_checksum(row, "a query's sums in the store", _REMEDY)
    head, places = arms_digest(arms), layout(len(arms))
    numbers = body[len(head) + _TIME_BYTES :]
    if not body.startswith(head) or len(numbers) != 8 * places.width:
        return None
    time = np.frombuffer(body, "<i8", 1, len(head)).astype(np.int64)
    values = np.frombuffer(numbers, "<f8").reshape(1, -1)
    return DecayedSums(np.zeros(1, np.uint64), time, values, places.squared)


@lru_cache(maxsize=64)
def arms_digest(arms: tuple[str, ...]) -> bytes:
    """Return 8 bytes for some channels in their order."""
    return segment_id(arms).to_bytes(8, "little")


def reset_bytes(reset: UserReset) -> bytes:
    """Return a user's reset as a row."""
    return with_checksum(np.array(reset, "<i8").tobytes())


def read_reset(row: bytes) -> UserReset:
    """Return the reset that `reset_bytes` gave."""
    decided, since = np.frombuffer(without_checksum(row, "a stored reset", _REMEDY), "<i8").tolist()
    return UserReset(decided, since)


def checked_units(rows: Iterable[bytes]) -> list[bytes]:
    """Return stored units without their checksums.

    Raises
    ------
    IntegrityError
        If one of them is damaged.
    """
    return without_checksums(rows, "a stored unit", _REMEDY)
