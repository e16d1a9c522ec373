"""The arrays that the compiled fold works on: rows as they come, units as they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._unit import UNIT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DOCUMENT_LEVEL: Final = 4
"""Flag of a set of types: it speaks of a document, not only of the list."""


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
    segment: NDArray[np.int32]
    own_segment: NDArray[np.int32]
    arm: NDArray[np.int32]
    own_arm: NDArray[np.int16]
    types: NDArray[np.int32]
    plus: NDArray[np.uint8]
    minus: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    time: NDArray[np.int64]
    arm_time: NDArray[np.int64]
    position: NDArray[np.int32]
    scored: NDArray[np.int32]


class UnitCells(NamedTuple):
    """Unit records as rows of numbers of one width: all fields behind few addresses.

    A strided view of each field would take a register of its own, and there are not that many.
    """

    ids: NDArray[np.uint64]
    times: NDArray[np.int64]
    codes: NDArray[np.int32]
    shorts: NDArray[np.int16]
    small: NDArray[np.uint8]


class UnitStore(NamedTuple):
    """The arrays of the state that rows are folded into."""

    table: NDArray[np.uint64]
    units: UnitCells
    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]
    segment_ids: NDArray[np.uint64]
    arm_ids: NDArray[np.uint64]


def _column(name: str) -> int:
    """Return where a field stands in a row of numbers of its width."""
    dtype, offset = UNIT.fields[name][:2]  # type: ignore[index]
    return int(offset) // dtype.itemsize


EXECUTION: Final = _column("execution")
DOCUMENT: Final = _column("document")
USER: Final = _column("user")
SESSION: Final = _column("session")
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

    return UnitCells(cells("u8"), cells("i8"), cells("i4"), cells("i2"), cells("u1"))
