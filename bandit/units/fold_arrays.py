"""The arrays that the compiled fold works on: rows as they come, units as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from .record import UNIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .record import UnitRow

DOCUMENT_LEVEL: Final = 4
"""Flag of a set of types: it concerns a document, not only the list."""


class FoldCounts(NamedTuple):
    """What one fold did.

    Attributes
    ----------
    opened, changed : int
        Units that are new, and rows that changed a unit of before.
    list_level, without_execution, without_time, refused : int
        Rows left out.
    without_channel, unknown_channel : int
        Rows that were folded, but for their channel.
    unexposed : int
        By how much the number of units without a display changed.
    """

    opened: int
    changed: int
    list_level: int
    without_execution: int
    without_time: int
    refused: int
    without_channel: int
    unknown_channel: int
    unexposed: int


class RowArrays(NamedTuple):
    """Rows as flat arrays; every code indexes the array that follows it, -1 is missing."""

    execution: NDArray[np.int32]
    execution_ids: NDArray[np.uint64]
    document: NDArray[np.int32]
    document_ids: NDArray[np.uint64]
    user: NDArray[np.int32]
    user_ids: NDArray[np.uint64]
    session: NDArray[np.int32]
    session_ids: NDArray[np.uint64]
    query: NDArray[np.int32]
    query_ids: NDArray[np.uint64]
    segment: NDArray[np.int32]
    own_segment: NDArray[np.int32]
    arm: NDArray[np.int32]
    own_arm: NDArray[np.int32]
    types: NDArray[np.int32]
    plus: NDArray[np.uint8]
    minus: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    time: NDArray[np.int64]
    arm_time: NDArray[np.int64]
    position: NDArray[np.int32]
    scored: NDArray[np.int32]

    def keys(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the executions and documents of the rows that have both."""
        has = self.execution >= 0
        return self.execution_ids[self.execution[has]], self.document_ids[self.document[has]]


class SingleRow:
    """One row as arrays of length 1 that are made once and written over.

    Attributes
    ----------
    arrays : RowArrays
    """

    def __init__(self) -> None:
        self._record = np.zeros(1, UNIT)
        code, record = np.zeros(1, np.int32), self._record
        self.arrays = RowArrays(
            execution=code,
            execution_ids=record["execution"],
            document=code,
            document_ids=record["document"],
            user=code,
            user_ids=record["user"],
            session=code,
            session_ids=record["session"],
            query=code,
            query_ids=record["query"],
            segment=code,
            own_segment=record["segment"],
            arm=code,
            own_arm=record["arm"],
            types=code,
            plus=record["plus"],
            minus=record["minus"],
            flags=record["flags"],
            time=record["time"],
            arm_time=record["arm_time"],
            position=record["position"],
            scored=record["scored"],
        )

    def write(self, row: UnitRow, *, scored: bool) -> None:
        """Put a row into the arrays; its scores are row 0 of theirs where it has some."""
        self._record[0] = (
            *(row.execution, row.document, row.user, row.session, row.query),
            *(
                row.time,
                row.time,
                row.position,
                row.segment,
                0 if scored else -1,
                row.arm,
                row.plus,
                row.minus,
            ),
            row.flags | DOCUMENT_LEVEL,
        )


class UnitCells(NamedTuple):
    """Unit records as rows of numbers of one width: all fields behind few addresses.

    A strided view of each field would take a register of its own, and there are not that many.
    """

    ids: NDArray[np.uint64]
    times: NDArray[np.int64]
    codes: NDArray[np.int32]
    small: NDArray[np.uint8]


class OtherChannels(NamedTuple):
    """Rows that name other channels than their unit, which the compiled fold only notes.

    Attributes
    ----------
    unit : ndarray of int64
    arm : ndarray of int32
        Code of `channel_sets`.
    changed : ndarray of bool
        Whether the row has changed its unit otherwise.
    """

    unit: NDArray[np.int64]
    arm: NDArray[np.int32]
    changed: NDArray[np.bool_]


class UnitStore(NamedTuple):
    """The arrays of the state that rows are folded into."""

    slots: NDArray[np.uint64]
    units: UnitCells
    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]
    segment_ids: NDArray[np.uint64]


def _column(name: str) -> int:
    """Return the column of a field in a row of numbers of its width."""
    dtype, offset = UNIT.fields[name][:2]  # type: ignore[index]
    return int(offset) // dtype.itemsize


EXECUTION: Final = _column("execution")
DOCUMENT: Final = _column("document")
USER: Final = _column("user")
SESSION: Final = _column("session")
QUERY: Final = _column("query")
TIME: Final = _column("time")
ARM_TIME: Final = _column("arm_time")
POSITION: Final = _column("position")
SEGMENT: Final = _column("segment")
SCORED: Final = _column("scored")
ARM: Final = _column("arm")
PLUS: Final = _column("plus")
MINUS: Final = _column("minus")
FLAGS: Final = _column("flags")


def cells_of(records: NDArray[np.void]) -> UnitCells:
    """Return views of contiguous records."""

    def cells(width: str) -> NDArray[Any]:
        numbers = records.view(width)
        return numbers.reshape(len(records), UNIT.itemsize // numbers.itemsize)

    return UnitCells(cells("u8"), cells("i8"), cells("i4"), cells("u1"))
