"""What a store keeps, as bytes with a checksum, and the evidence that they make together."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import IntegrityError
from ._contexts import DecayedSums
from ._credit import BLOCKS
from ._decay import NO_TIME
from ._epochs import Epoch, Epochs
from ._state import State
from ._wire import HEAD, unit_batch
from .evidence import Evidence
from .identity import Identity
from .rewards import DEFAULT_REWARDS, RewardTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._context_keys import Context

_FIELDS: Final[Any] = HEAD.fields
OFFSETS: Final[dict[str, int]] = {name: int(at) for name, (_, at) in _FIELDS.items()}
"""Where the fields of a unit begin."""

_CHECKSUM: Final = 4
_TIME: Final = 8


@dataclass(frozen=True)
class Head:
    """Settings and names of a stored state; small, and read with every access.

    Attributes
    ----------
    identity : Identity
    source : str
        Name of the stored state among shards.
    arms, segments : tuple
        Names, in the order of their codes; new ones are appended.
    line : int
        Rows before this time are refused.
    max_users : int or None
    generation : int
        Grows with what cannot be followed unit by unit: compaction, deletion, merge.
    """

    identity: Identity
    source: str
    arms: tuple[str, ...]
    segments: tuple[Context, ...] = ()
    line: int = NO_TIME
    max_users: int | None = None
    generation: int = 0

    def to_bytes(self) -> bytes:
        """Return the head as sealed JSON."""
        fields = {**vars(self), "identity": self.identity.as_json()}
        return seal(json.dumps(fields, separators=(",", ":")).encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Return the head that `to_bytes` gave."""
        try:
            fields = json.loads(unseal(data, "the settings"))
            fields["identity"] = Identity.from_json(fields["identity"])
            fields["segments"] = tuple(tuple(values) for values in fields["segments"])
            return cls(**{**fields, "arms": tuple(fields["arms"])})
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the stored settings are not those that this version writes: {error!r}"
            raise IntegrityError(msg) from error

    def with_names(self, arms: Iterable[str], segments: Iterable[Context]) -> Head:
        """Return the head with new names appended; itself where there are none."""
        more_arms = tuple(dict.fromkeys([*self.arms, *arms]))
        more_segments = tuple(dict.fromkeys([*self.segments, *segments]))
        if len(more_arms) == len(self.arms) and len(more_segments) == len(self.segments):
            return self
        return replace(self, arms=more_arms, segments=more_segments)

    def empty_evidence(self) -> Evidence:
        """Return a state with these settings and no evidence."""
        # A type with no reward left is told apart from one that has the default.
        rewards = dict.fromkeys(DEFAULT_REWARDS, 0.0) | dict(self.identity.rewards)
        state = State(self.identity, RewardTable(rewards), self.arms, self.source)
        state.segments.add(self.segments)
        state.closed = replace(state.closed, line=self.line)
        return Evidence._of(state, self.max_users)  # noqa: SLF001 - our own


def seal(data: bytes) -> bytes:
    """Return bytes with their checksum."""
    return data + zlib.crc32(data).to_bytes(_CHECKSUM, "little")


def unseal(data: bytes, what: str) -> bytes:
    """Return the bytes that `seal` got.

    Raises
    ------
    IntegrityError
        If they do not match their checksum.
    """
    body = data[:-_CHECKSUM]
    if zlib.crc32(body).to_bytes(_CHECKSUM, "little") != data[-_CHECKSUM:]:
        msg = (
            f"{what} in the store do not match their checksum: they are damaged. Restore a copy "
            "of the store, or clear it and learn the state again from the log"
        )
        raise IntegrityError(msg)
    return body


def fold_stored(state: State, units: Iterable[bytes]) -> None:
    """Fold sealed units, those before the compaction line too: the store decided on them."""
    values = [unseal(sealed, "units") for sealed in units]
    batch = unit_batch(values, state.arms, state.segments)
    state.fold_noted(batch, state.arms.names, state.segments.names, NO_TIME)


def assemble(
    head: Head,
    closed: bytes | None,
    users: Mapping[int, bytes],
    wishes: Mapping[int, Epoch],
    units: Iterable[bytes],
) -> Evidence:
    """Return the evidence that the parts of a store make; without `closed`, that of users only."""
    if closed is None:
        evidence = head.empty_evidence()
    else:
        evidence = Evidence.from_bytes(closed)
        evidence.add_arm(*head.arms)
    state = evidence._state  # noqa: SLF001 - our own
    state.segments.add(head.segments)
    tables = state.closed.tables._replace(users=read_users(users, len(head.arms)))
    state.closed = replace(state.closed, tables=tables, line=head.line)
    state.epochs = Epochs(dict(wishes))
    fold_stored(state, units)
    return evidence


def catch_up(
    evidence: Evidence, head: Head, wishes: Mapping[int, Epoch], units: Iterable[bytes]
) -> None:
    """Fold what changed in a store since the evidence was read from it."""
    state = evidence._state  # noqa: SLF001 - our own
    evidence.add_arm(*head.arms)
    state.segments.add(head.segments)
    state.closed = replace(state.closed, line=head.line)
    later = [user for user, wish in wishes.items() if state.epochs.set(user, wish)]
    state.closed = state.closed.without_users(np.array(later, np.uint64))
    fold_stored(state, units)


def closed_bytes(evidence: Evidence) -> bytes:
    """Return the closed sums of the global context and the segments; users are rows."""
    state = evidence._state  # noqa: SLF001 - our own
    bare = State(state.identity, state.rewards, state.arms.names, state.source)
    bare.segments = state.segments
    none = DecayedSums.empty(BLOCKS * len(state.arms), 3 * len(state.arms))
    bare.closed = replace(state.closed, tables=state.closed.tables._replace(users=none))
    return Evidence._of(bare, evidence.max_users).to_bytes()  # noqa: SLF001 - our own


def user_rows(users: DecayedSums) -> dict[int, bytes]:
    """Return users' sums as rows: time, then values."""
    times, values = users.times.astype("<i8"), users.values.astype("<f8")
    rows = zip(users.keys.tolist(), times, values, strict=True)
    return {user: seal(time.tobytes() + value.tobytes()) for user, time, value in rows}


def read_users(rows: Mapping[int, bytes], arms: int) -> DecayedSums:
    """Return the sums that `user_rows` gave, for as many arms as there are now."""
    keys = np.array(sorted(rows), np.uint64)
    times = np.zeros(len(keys), np.int64)
    values = np.zeros((len(keys), BLOCKS, arms))
    bodies = [unseal(rows[user], "sums of users") for user in keys.tolist()]
    sizes = np.array([len(body) for body in bodies], np.int64)
    for size in np.unique(sizes).tolist():
        # Rows that were written before arms were added are shorter.
        of_size = np.flatnonzero(sizes == size)
        known = (size - _TIME) // (8 * BLOCKS)
        if known > arms or size != _TIME + 8 * BLOCKS * known:
            msg = f"sums of users in the store have {size} bytes, which does not fit {arms} arms"
            raise IntegrityError(msg)
        raw = np.frombuffer(b"".join([bodies[i] for i in of_size]), np.uint8).reshape(-1, size)
        times[of_size] = raw[:, :_TIME].copy().view("<i8")[:, 0]
        numbers = raw[:, _TIME:].copy().view("<f8")
        values[of_size, :, :known] = numbers.reshape(len(of_size), BLOCKS, known)
    return DecayedSums(keys, times, values.reshape(len(keys), BLOCKS * arms), squared=3 * arms)


def wish_bytes(wish: Epoch) -> bytes:
    """Return a user's wish as a row."""
    return seal(np.array(wish, "<i8").tobytes())


def read_wish(row: bytes) -> Epoch:
    """Return the wish that `wish_bytes` gave."""
    decided, since = np.frombuffer(unseal(row, "users' wishes"), "<i8").tolist()
    return Epoch(decided, since)
