"""Large arrays whose memory is allocated as it is written."""

from __future__ import annotations

import math
import mmap
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def lazy_zeros(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array of zeros that costs addresses until it is written, and never huge pages.

    For arrays from 4 MB on `numpy.empty` asks the system for huge pages, and a system whose
    memory is fragmented compacts it first: up to a third of the time of a load of ten million
    rows.
    """
    size = math.prod(shape)
    length = max(size * np.dtype(dtype).itemsize, 1)
    # Anonymous maps are shared with child processes by default; Windows has no flags.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if os.name == "posix" else {}
    memory = mmap.mmap(-1, length, **private)
    return np.frombuffer(memory, dtype, count=size).reshape(shape)


class GrowingArray:
    """An array that is filled batch by batch; `reserve` makes it one allocation.

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
        self._array = lazy_zeros((0, *self._shape), dtype)
        self._used = 0

    def reserve(self, more: int) -> None:
        """Allocate memory for so many further rows."""
        needed = self._used + more
        if needed > len(self._array):
            larger = lazy_zeros((needed, *self._shape), self._array.dtype)
            larger[: self._used] = self.filled()
            self._array = larger

    def extend(self, values: NDArray[Any]) -> None:
        """Append rows."""
        self.claim(len(values))[:] = values

    def claim(self, rows: int) -> NDArray[Any]:
        """Append rows to be filled by the caller and return them."""
        if self._used + rows > len(self._array):
            self.reserve(max(rows, self._used))
        self._used += rows
        return self._array[self._used - rows : self._used]

    def filled(self) -> NDArray[Any]:
        """Return what was appended, without a copy."""
        return self._array[: self._used]
