"""Lists of interaction types to bitmasks, in the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from .._jit import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MISSING, NULL, UNKNOWN = 1, 2, 3
"""Why a row has no mask; 0 where it has one."""

_JSON_LIST: Final = r'^\s*\[\s*("[^"\\]*"\s*(,\s*"[^"\\]*"\s*)*)?\]\s*$'


def split_types(texts: pl.Series) -> pl.Series:
    """Return lists of names from texts: ``click|view`` or a JSON list of names.

    Examples
    --------
    >>> split_types(pl.Series(["click|view", '["click", "view"]'])).to_list()
    [['click', 'view'], ['click', 'view']]
    """
    # A log holds few distinct texts, so each is split once.
    distinct = texts.unique().sort()
    is_list = distinct.str.contains(_JSON_LIST)
    names = distinct.str.extract_all(r'"[^"]*"').list.eval(pl.element().str.strip_chars('"'))
    split = distinct.str.split("|").list.eval(pl.element().str.strip_chars())
    lists = names.zip_with(is_list.fill_null(value=False), split)
    lists = lists.set(distinct == "", None) if (distinct == "").any() else lists
    return lists.gather(distinct.search_sorted(texts)) if len(texts) else lists


def type_masks(
    lists: pl.Series,
    vocabulary: Sequence[str],
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Return the bitmask over the vocabulary, and the status, of every list.

    Parameters
    ----------
    lists : Series of List(String)
    vocabulary : sequence of str
        Bit index -> name.
    """
    lengths = lists.list.len().fill_null(0).to_numpy()
    names = lists.explode(empty_as_null=False, keep_nulls=False)
    blank = names.is_null() | (names.str.len_bytes() == 0)
    return _fold(
        lengths,
        names.hash().to_numpy(),
        blank.to_numpy() if blank.any() else _NONE,
        pl.Series(vocabulary, dtype=pl.String).hash().to_numpy(),
    )


_NONE: Final = np.empty(0, np.bool_)


@kernel
def _fold(
    lengths: NDArray[np.uint32],
    names: NDArray[np.uint64],
    blank: NDArray[np.bool_],
    vocabulary: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Fold the hashed names of every row into its mask and its status.

    Comparing 64-bit hashes with those of the vocabulary is several times as fast as casting every
    name to an enumeration; a name that shares a hash with one of the few known ones has a
    probability of 1e-18.
    """
    masks = np.zeros(len(lengths), np.uint64)
    status = np.zeros(len(lengths), np.uint8)
    at, last = 0, 0
    for row in range(len(lengths)):
        if lengths[row] == 0:
            status[row] = MISSING
        for _ in range(lengths[row]):
            name = names[at]
            if len(blank) and blank[at]:
                status[row] = max(status[row], NULL)
            else:
                if name != vocabulary[last]:
                    last = 0
                    while last < len(vocabulary) and vocabulary[last] != name:
                        last += 1
                if last < len(vocabulary):
                    masks[row] |= np.uint64(1) << np.uint64(last)
                else:
                    last = 0
                    status[row] = max(status[row], UNKNOWN)
            at += 1
    return masks, status
