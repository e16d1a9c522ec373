"""Distinct texts as integer codes, in alphabetical order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray


def alphabetical_codes(texts: pl.Series) -> tuple[NDArray[np.int32], pl.Series]:
    """Return the code of every text and the distinct texts that the codes index.

    Examples
    --------
    >>> codes, distinct = alphabetical_codes(pl.Series(["b", "a", "b"]))
    >>> codes.tolist(), distinct.to_list()
    ([1, 0, 1], ['a', 'b'])
    """
    distinct = texts.unique().sort()
    if texts.is_empty():
        return np.empty(0, np.int32), distinct
    codes = texts.cast(pl.Enum(distinct)).to_physical().cast(pl.Int32).to_numpy()
    return codes, distinct


def ranks(distinct: pl.Series) -> NDArray[np.int32]:
    """Return the alphabetical rank of each of a series of distinct texts."""
    return inverse(distinct.arg_sort().to_numpy())


def inverse(order: NDArray[Any]) -> NDArray[np.int32]:
    """Return the place of every element in a permutation."""
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank


def recode(codes: NDArray[np.int32], new: NDArray[np.int32]) -> NDArray[np.int32]:
    """Replace every code by its new one, keeping -1: the value appended is what -1 indexes."""
    return np.append(new, np.int32(-1)).astype(np.int32)[codes]
