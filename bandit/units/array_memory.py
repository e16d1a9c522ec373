"""Where arrays of what is learnt lie: in memory, and beyond a size in files without a name."""

from __future__ import annotations

import errno
import logging
import mmap
import os
import tempfile
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from ...errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

logger = logging.getLogger("rankloom")

LARGEST_IN_MEMORY: Final = 2**20
"""Bytes from which on an array lies on disk: records of 11,900 units, an index of 65,000."""

TOUCHED_AT_MOST: Final = 512
"""Rows that are folded before pages are given back: each may have read three of 4 kB."""

_FULL: Final = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


class ArrayMemory(Protocol):
    """Makes the arrays of units and of sums of users."""

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of zeros."""
        ...

    def note_touched(self, rows: int, *arrays: NDArray[Any]) -> None:
        """Note that so many rows were folded into arrays."""
        ...

    def give_back(self, *arrays: NDArray[Any]) -> None:
        """Let go of what was read or written of arrays, as far as it lies on disk too."""
        ...


class InMemory:
    """Arrays in memory."""

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of zeros."""
        return np.zeros(shape, dtype)

    def note_touched(self, rows: int, *arrays: NDArray[Any]) -> None:
        """Do nothing."""

    def give_back(self, *arrays: NDArray[Any]) -> None:
        """Do nothing."""


class BeyondMemory:
    """Arrays in memory up to a size, larger ones in mapped files of the folder `TMPDIR`.

    The files have no name: they end with the process, however that ends. Space for all of an array
    is taken when it is made, so that a full disk is an error here and not a crash later. Pages that
    were read or written are given back now and then; the system writes them when it likes to, for
    the store has the evidence too. Where no file can be made, all stays in memory, and a log line
    says so.

    `largest`: bytes of an array in memory.
    """

    def __init__(self, largest: int = LARGEST_IN_MEMORY) -> None:
        self._largest, self._touched = largest, 0

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of zeros.

        Raises
        ------
        StoreError
            If the disk is full.
        """
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size <= self._largest:
            return np.zeros(shape, dtype)
        try:
            return np.frombuffer(_mapped(size), dtype).reshape(shape)
        except OSError as error:
            if error.errno not in _FULL:
                _warn_once(error.strerror or str(error))
                return np.zeros(shape, dtype)
            msg = (
                f"no space left in {tempfile.gettempdir()!r} for {size / 1e6:.0f} MB of evidence, "
                "which is not kept in memory. Free space, or set TMPDIR to a folder on another disk"
            )
            raise StoreError(msg) from error

    def note_touched(self, rows: int, *arrays: NDArray[Any]) -> None:
        """Note that so many rows were folded into arrays, and give pages back if it is time."""
        self._touched += rows
        if self._touched >= TOUCHED_AT_MOST:
            self._touched = 0
            self.give_back(*arrays)

    def give_back(self, *arrays: NDArray[Any]) -> None:
        """Unmap pages of mapped arrays; what was written to them stays with their files."""
        for array in arrays:
            base: Any = array
            while isinstance(base, np.ndarray | memoryview):
                base = base.base if isinstance(base, np.ndarray) else base.obj
            if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                base.madvise(mmap.MADV_DONTNEED)


@cache
def _warn_once(reason: str) -> None:
    logger.warning(
        "Evidence that is to lie on disk stays in memory, for no temporary file can be made "
        "(%s); set TMPDIR to a writable folder",
        reason,
    )


def _mapped(size: int) -> mmap.mmap:
    with tempfile.TemporaryFile(prefix="rankloom-evidence-") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return mmap.mmap(file.fileno(), size)
