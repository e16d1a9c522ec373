"""Texts as integer codes: in alphabetical order, or by their place among distinct texts."""

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


def index_among(texts: pl.Series, distinct: pl.Series) -> NDArray[np.int64]:
    """Return the index of every text among distinct ones, -1 where it is not there.

    Examples
    --------
    >>> index_among(pl.Series(["b", "z", "a"]), pl.Series(["a", "b"])).tolist()
    [1, -1, 0]
    """
    known = pl.DataFrame({"text": distinct.cast(pl.String)}).with_row_index("index")
    chosen = pl.DataFrame({"text": texts.cast(pl.String)})
    found = chosen.join(known, on="text", how="left", maintain_order="left")
    return found["index"].cast(pl.Int64).fill_null(-1).to_numpy()


def ranks(distinct: pl.Series) -> NDArray[np.int32]:
    """Return the alphabetical rank of each of a series of distinct texts."""
    return inverse(distinct.arg_sort().to_numpy())


def inverse(order: NDArray[Any]) -> NDArray[np.int32]:
    """Return the index of every element in a permutation."""
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank


def recode(codes: NDArray[np.int32], new: NDArray[np.int32]) -> NDArray[np.int32]:
    """Replace every code by its new one, keeping -1."""
    # -1 indexes the last element, so that what is appended stays -1.
    return np.append(new, np.int32(-1)).astype(np.int32)[codes]
