"""Texts of a column as codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Coded(NamedTuple):
    """A column of texts: the code of every row, and the text of every code.

    Attributes
    ----------
    codes : ndarray of int32, shape (n,)
        -1 where missing.
    texts : polars.Series of String
        Distinct texts; may hold more than the codes name.

    Examples
    --------
    >>> column = Coded(np.array([1, -1], np.int32), pl.Series(["a", "b"]))
    >>> column.values().to_list(), column.known.tolist()
    (['b', None], [True, False])
    """

    codes: NDArray[np.int32]
    texts: pl.Series

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have a text; shape (n,)."""
        return self.codes >= 0

    @property
    def share(self) -> float:
        """Share of rows that have a text; 0 without rows."""
        return float(np.mean(self.known)) if len(self.codes) else 0.0

    def values(self) -> pl.Series:
        """Return the text of every row, null where missing."""
        return self.of(self.codes)

    def of(self, codes: NDArray[np.integer]) -> pl.Series:
        """Return the text of each of some codes, null for -1."""
        index = pl.Series(codes, dtype=pl.Int64)
        return self.texts.gather(index.set(index < 0, None))

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.integer]) -> Coded:
        """Return some rows; the texts stay."""
        return Coded(self.codes[chosen], self.texts)
