"""Text ids to dense integer codes, batch by batch, without making a Python object per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from .._jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING = -1
"""The code of a null."""

_EMPTY = np.int32(-1)
_START_SLOTS = 1 << 10


class Interner:
    """Dense int32 codes for the distinct texts of a column, in order of first appearance.

    The engine hashes each text to 64 bits; an open-addressing table turns hashes into codes, and
    only the text of a newly seen hash is kept. The hash lives within one load: polars may change
    it between versions. With m distinct texts two of them share a hash with probability below
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
        self._keys = np.zeros(_START_SLOTS, np.uint64)
        self._codes = np.full(_START_SLOTS, _EMPTY, np.int32)
        self._texts: list[pl.Series] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, values: pl.Series) -> NDArray[np.int32]:
        """Return the code of every value; `MISSING` for null.

        Parameters
        ----------
        values : polars.Series of String, length n
        """
        if values.null_count() == len(values):
            return np.full(len(values), MISSING, np.int32)
        hashes = values.hash().to_numpy()
        valid = values.is_not_null().to_numpy() if values.null_count() else np.ones(0, np.bool_)
        codes = np.empty(len(values), np.int32)
        done, known = 0, self._size
        firsts: list[NDArray[np.int64]] = []
        while done < len(values):
            new = np.empty(len(self._keys) // 2 - known, np.int64)
            before = known
            done, known = _intern(hashes, valid, self._keys, self._codes, codes, new, done, known)
            firsts.append(new[: known - before])
            if done < len(values):
                self._keys, self._codes = _grow(self._keys, self._codes)
        self._texts.append(values.gather(np.concatenate(firsts)))
        self._size = known
        return codes

    def texts(self) -> pl.Series:
        """Return the distinct texts in the order of their codes."""
        if not self._texts:
            return pl.Series(dtype=pl.String)
        return pl.concat(self._texts, rechunk=True)


@kernel
def _intern(
    hashes: NDArray[np.uint64],
    valid: NDArray[np.bool_],
    keys: NDArray[np.uint64],
    table: NDArray[np.int32],
    codes: NDArray[np.int32],
    new: NDArray[np.int64],
    start: int,
    known: int,
) -> tuple[int, int]:
    """Code rows from `start` until all are done or the table is half full."""
    mask = np.uint64(len(keys) - 1)
    first = known
    for i in range(start, len(hashes)):
        if len(valid) and not valid[i]:
            codes[i] = -1
            continue
        key = hashes[i]
        if i > start and hashes[i - 1] == key and codes[i - 1] >= 0:
            codes[i] = codes[i - 1]
            continue
        slot = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
        while table[slot] >= 0 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            if known - first == len(new):
                return i, known
            keys[slot] = key
            table[slot] = known
            new[known - first] = i
            known += 1
        codes[i] = table[slot]
    return len(hashes), known


@kernel
def _grow(
    keys: NDArray[np.uint64], table: NDArray[np.int32]
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Move a table into one of four times the size."""
    new_keys = np.zeros(len(keys) * 4, np.uint64)
    new_table = np.full(len(keys) * 4, np.int32(-1), np.int32)
    mask = np.uint64(len(new_keys) - 1)
    for i in range(len(keys)):
        if table[i] >= 0:
            slot = (keys[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
            while new_table[slot] >= 0:
                slot = (slot + np.uint64(1)) & mask
            new_keys[slot] = keys[i]
            new_table[slot] = table[i]
    return new_keys, new_table
