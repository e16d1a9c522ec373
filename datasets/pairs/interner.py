"""Text ids to dense integer codes, batch by batch, without making a Python object per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING = -1
"""The code of a null."""

_START_SLOTS = 1 << 10


class Interner:
    """Dense int32 codes for the distinct texts of a column, in order of first appearance.

    polars hashes each text to 64 bits; an open-addressing table turns hashes into codes, and only
    the text of a new hash is stored. Hashes are used within one load only: polars may change them
    between versions. With m distinct texts two of them share a hash with probability below
    m^2 / 2^65 (1e-6 for six million).

    Examples
    --------
    >>> import polars as pl
    >>> ids = Interner()
    >>> ids.add(pl.Series(["b", "a", None, "b"])).tolist()
    [0, 1, -1, 0]
    >>> ids.add(pl.Series(["c", "a"])).tolist()
    [2, 1]
    >>> ids.texts().to_list()
    ['b', 'a', 'c']
    """

    def __init__(self) -> None:
        self._table = np.zeros((_START_SLOTS, 2), np.uint64)
        self._texts: list[pl.Series] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, values: pl.Series, codes: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """Return the code of every value; `MISSING` for null.

        Parameters
        ----------
        values : polars.Series of String, length n
        codes : ndarray of int32, shape (n,), optional
            Filled and returned, instead of a new array.
        """
        if codes is None:
            codes = np.empty(len(values), np.int32)
        if values.null_count() == len(values):
            codes[:] = MISSING
            return codes
        hashes = values.hash().to_numpy()
        valid = values.is_not_null().to_numpy() if values.null_count() else np.ones(0, np.bool_)
        done, known = 0, self._size
        firsts: list[NDArray[np.int64]] = []
        while done < len(values):
            new = np.empty(min(len(self._table) // 2 - known, len(values) - done), np.int64)
            before = known
            done, known = _intern(hashes, valid, self._table, codes, new, done, known)
            firsts.append(new[: known - before])
            if done < len(values):
                self._table = _grow(self._table)
        self._texts.append(_copied(values.gather(np.concatenate(firsts))))
        self._size = known
        return codes

    def texts(self) -> pl.Series:
        """Return the distinct texts in the order of their codes."""
        if not self._texts:
            return pl.Series(dtype=pl.String)
        return pl.concat(self._texts, rechunk=True)


def _copied(texts: pl.Series) -> pl.Series:
    """Copy texts out of the buffers of the batch, which a gathered few would keep in memory."""
    return texts + ""


# A slot of the table holds a hash and its code + 1 (0: empty) side by side: a look-up of one of
# millions of texts waits for memory once, not twice.


@kernel
def _intern(
    hashes: NDArray[np.uint64],
    valid: NDArray[np.bool_],
    table: NDArray[np.uint64],
    codes: NDArray[np.int32],
    new: NDArray[np.int64],
    start: int,
    known: int,
) -> tuple[int, int]:
    """Code rows from `start` until all are done or the table is half full."""
    last = np.uint64(len(table) - 1)
    first = known
    for i in range(start, len(hashes)):
        if len(valid) and not valid[i]:
            codes[i] = -1
            continue
        key = hashes[i]
        slot = _first_slot(key) & last
        while table[slot, 1] and table[slot, 0] != key:
            slot = (slot + np.uint64(1)) & last
        if not table[slot, 1]:
            if known - first == len(new):
                return i, known
            table[slot, 0] = key
            table[slot, 1] = np.uint64(known + 1)
            new[known - first] = i
            known += 1
        codes[i] = np.int32(np.int64(table[slot, 1]) - 1)
    return len(hashes), known


@kernel
def _grow(table: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Move a table into one of twice the size."""
    larger = np.zeros((len(table) * 2, 2), np.uint64)
    last = np.uint64(len(larger) - 1)
    for i in range(len(table)):
        if table[i, 1]:
            slot = _first_slot(table[i, 0]) & last
            while larger[slot, 1]:
                slot = (slot + np.uint64(1)) & last
            larger[slot, 0] = table[i, 0]
            larger[slot, 1] = table[i, 1]
    return larger


@kernel
def _first_slot(key: np.uint64) -> np.uint64:
    """Return where the search for a hash begins, before it is cut to the table's size."""
    return np.uint64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20))
