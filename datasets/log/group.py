"""What becomes of a group of rows: the rule for duplicates, ids, numbers and times."""

from __future__ import annotations

import os
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from ..record.interaction import DUPLICATE_WINDOW
from ..record.times import moment
from .answers import Recorded
from .stored_row import VALUE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .stored_row import PreparedRow

MAX_GROUP: Final = 8_192
"""Rows of one transaction: an id's counter has 14 bits."""

COLUMNS: Final = (
    *("seq", "namespace", "retriever", "interaction_id", "event_time", "occurred_at"),
    *("timestamp", "live", "signature", *VALUE_COLUMNS),
)
"""Columns of the table of rows, in the order of `Group.inserted`."""

Scope = tuple[int, int]
"""Numbers of a row's namespace and retriever."""

StoredTimes = dict[int, list[tuple[int, str]]]
"""By signature, the event times and ids of stored rows."""


class Group:
    """Decides row by row what becomes of it, knowing what is stored and what came before it.

    Parameters
    ----------
    existing : mapping
        Number of a namespace and id -> receipt of the stored row, of the ids that the rows bring;
        rows of the group join it.
    stored : StoredTimes
        The stored rows that a row of the group may repeat; rows of the group join it.
    ids : list of str
        As `rising_ids` makes them, one for each row.
    seq : int
        The last number that was given.
    now : int
        When the rows are recorded, in microseconds.

    Attributes
    ----------
    inserted : list of tuple
        Rows to store, of `COLUMNS`.
    """

    def __init__(
        self,
        existing: dict[tuple[int, str], Recorded],
        stored: StoredTimes,
        ids: list[str],
        seq: int,
        now: int,
    ) -> None:
        self.existing, self.stored, self._ids = existing, stored, ids
        self._now, self.seq = now, seq
        self._timestamp = moment(now)
        self.inserted: list[tuple[Any, ...]] = []

    def take(self, row: PreparedRow, scope: Scope) -> Recorded:
        """Return a row's receipt; one that is to be stored joins `inserted`."""
        given, occurred, now = row.interaction_id, row.occurred_at, self._now
        if given is not None and (scope[0], given) in self.existing:
            return self.existing[scope[0], given]
        if occurred is not None and occurred > now:
            occurred = now
        event = now if occurred is None else occurred
        own, signature = given or self._ids.pop(), row.signature
        if signature is not None:
            kept_id = _repeated(self.stored, signature, event, own)
            if kept_id is not None:
                return Recorded("deduplicated", None, self._timestamp, kept_id)
        self.seq = seq = self.seq + 1
        head = (seq, *scope, own, event, occurred, now, int(row.live), signature)
        self.inserted.append(head + row.values)
        if given is not None:
            self.existing[scope[0], given] = Recorded("existing", own, self._timestamp, None, seq)
        return Recorded("created", own, self._timestamp, None, seq)


def recording_time(clock: int) -> int:
    """Return when rows are recorded that come now: later than the last ones.

    `clock`: when those were recorded, in microseconds.
    """
    return max(time_ns() // 1_000, clock + 1)


def event_times(rows: Iterable[PreparedRow], now: int) -> list[int]:
    """Return when the events of rows happened: not in the future."""
    return [
        now if row.occurred_at is None or row.occurred_at > now else row.occurred_at for row in rows
    ]


def rising_ids(now: int, size: int) -> list[str]:
    """Return ids in the layout of UUID version 7, highest first; later groups' are higher."""
    milliseconds, rest = divmod(now, 1_000)
    stamp = f"{milliseconds:012x}"
    prefix = f"{stamp[:8]}-{stamp[8:]}-7{rest * 4:03x}-"
    random = os.urandom(6 * size).hex()
    return [
        f"{prefix}{0x8000 | count:04x}-{random[12 * count : 12 * count + 12]}"
        for count in range(size - 1, -1, -1)
    ]


def _repeated(stored: StoredTimes, signature: int, event: int, own: str) -> str | None:
    """Return the id of the stored row that this one repeats; None for a new one, which is noted."""
    same = stored.setdefault(signature, [])
    for other, kept_id in same:
        if abs(event - other) <= DUPLICATE_WINDOW:
            return kept_id
    same.append((event, own))
    return None
