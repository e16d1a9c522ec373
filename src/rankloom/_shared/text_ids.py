"""`stable_ids` of columns of text, compiled: twice as fast as through Python's strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .ids import NO_ID
from .jit import kernel

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

_START: Final = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)
_ORDER: Final = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    dtype=np.int64,
)
_BLOCK: Final = 128
# Of an unkeyed digest of 8 bytes (RFC 7693, section 2.5).
_PARAMETERS: Final = np.uint64(0x01010008)


def stable_ids_of(texts: pl.Series) -> Words:
    """Return `stable_id` of every text of a column without nulls; shape (n,).

    >>> import polars as pl
    >>> hex(stable_ids_of(pl.Series(["u1"]))[0])
    '0xd56a4e3f684d9992'
    """
    import polars as pl

    if texts.is_empty():
        return np.zeros(0, dtype=np.uint64)
    column: Any = texts.cast(pl.String).rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = column.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[column.offset :][: len(column) + 1]
    letters = np.zeros(0, np.uint8) if content is None else np.frombuffer(content, dtype=np.uint8)
    ids = np.empty(len(column), dtype=np.uint64)
    _hash_texts(bounds, letters, _START, _ORDER, ids)
    ids[ids == NO_ID] = 1
    return ids


@kernel
def _hash_texts(
    bounds: NDArray[np.int64],
    letters: NDArray[np.uint8],
    start: Words,
    order: NDArray[np.int64],
    ids: Words,
) -> None:
    """Fill in the blake2b-64 of texts; text i is ``letters[bounds[i] : bounds[i + 1]]``."""
    state, message, work = np.empty(8, np.uint64), np.empty(16, np.uint64), np.empty(16, np.uint64)
    for text in range(len(ids)):
        begin, end = bounds[text], bounds[text + 1]
        state[:] = start
        state[0] ^= _PARAMETERS
        done = begin
        while True:
            size = min(end - done, _BLOCK)
            _read_block(letters, done, size, message)
            done += size
            _compress(state, message, work, np.uint64(done - begin), done == end, order, start)
            if done == end:
                break
        ids[text] = state[0]


@kernel
def _read_block(letters: NDArray[np.uint8], begin: int, size: int, message: Words) -> None:
    """Read up to 128 bytes as sixteen little-endian words, filled up with zeros."""
    for word in range(16):
        value = np.uint64(0)
        for byte in range(min(max(size - 8 * word, 0), 8)):
            value |= np.uint64(letters[begin + 8 * word + byte]) << np.uint64(8 * byte)
        message[word] = value


@kernel
def _compress(
    state: Words,
    message: Words,
    work: Words,
    length: np.uint64,
    final: bool,  # noqa: FBT001 - kernels take no keywords
    order: NDArray[np.int64],
    start: Words,
) -> None:
    """Mix a block into the state: F of RFC 7693, section 3.2; `length`: bytes so far."""
    work[:8] = state
    work[8:] = start
    work[12] ^= length
    if final:
        work[14] = ~work[14]
    for turn in range(12):
        at = order[turn]
        for i in range(4):
            x, y = message[int(at[2 * i])], message[int(at[2 * i + 1])]
            _mix(work, i, 4 + i, 8 + i, 12 + i, x, y)
        for i in range(4):
            x, y = message[int(at[8 + 2 * i])], message[int(at[9 + 2 * i])]
            _mix(work, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, x, y)
    for i in range(8):
        state[i] ^= work[i] ^ work[i + 8]


@kernel
def _mix(v: Words, a: int, b: int, c: int, d: int, x: np.uint64, y: np.uint64) -> None:
    """G of RFC 7693, section 3.1."""
    v[a] = v[a] + v[b] + x
    v[d] = _rotated(v[d] ^ v[a], np.uint64(32))
    v[c] = v[c] + v[d]
    v[b] = _rotated(v[b] ^ v[c], np.uint64(24))
    v[a] = v[a] + v[b] + y
    v[d] = _rotated(v[d] ^ v[a], np.uint64(16))
    v[c] = v[c] + v[d]
    v[b] = _rotated(v[b] ^ v[c], np.uint64(63))


@kernel
def _rotated(value: np.uint64, bits: np.uint64) -> np.uint64:
    return (value >> bits) | (value << (np.uint64(64) - bits))
