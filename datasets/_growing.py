"""An array that grows at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


class GrowingArray:
    """An array that is filled batch by batch.

    `reserve` with the number of rows to come makes it one allocation: numpy asks for huge pages
    for large new arrays, which `ndarray.resize` gives up, and on which the grouping that follows
    runs twice as fast. Room that is reserved and not used costs addresses, not memory.

    Examples
    --------
    >>> numbers = GrowingArray(np.int32)
    >>> numbers.extend(np.arange(3))
    >>> numbers.extend(np.arange(2))
    >>> numbers.filled().tolist()
    [0, 1, 2, 0, 1]
    """

    def __init__(self, dtype: DTypeLike, *, columns: int | None = None) -> None:
        self._shape = () if columns is None else (columns,)
        self._room: NDArray[Any] = np.empty((0, *self._shape), dtype)
        self._used = 0

    def reserve(self, more: int) -> None:
        """Make room for so many further rows."""
        needed = self._used + more
        if needed > len(self._room):
            room = np.empty((needed, *self._shape), self._room.dtype)
            room[: self._used] = self.filled()
            self._room = room

    def extend(self, values: NDArray[Any]) -> None:
        """Append rows."""
        self.claim(len(values))[:] = values

    def claim(self, rows: int) -> NDArray[Any]:
        """Append rows to be filled by the caller and return them."""
        if self._used + rows > len(self._room):
            self.reserve(max(rows, self._used))
        self._used += rows
        return self._room[self._used - rows : self._used]

    def filled(self) -> NDArray[Any]:
        """Return what was appended, without a copy."""
        return self._room[: self._used]
