"""What every source of raw rows looks like: blocks of rows, and what is known before reading."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import polars as pl

from ...errors import UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

BATCH_ROWS: Final = 500_000
"""Rows of a batch at most: enough for polars to be fast, few enough for the memory."""


@dataclass(frozen=True)
class Block:
    """Raw rows of one source.

    Attributes
    ----------
    frame : DataFrame
        Rows that could be read.
    numbers : ndarray of int64, or int
        Row number of every row of `frame`, or of the first one.
    refused : DataFrame or None
        Rows that could not be read, with the columns of `FAULT_SCHEMA`.
    """

    frame: pl.DataFrame
    numbers: NDArray[np.int64] | int
    refused: pl.DataFrame | None = None


@dataclass(frozen=True)
class Values:
    """Rows of one source as Python values, with all their keys.

    Attributes
    ----------
    rows : sequence of mapping
        Rows that could be read.
    numbers : ndarray of int64
        Row number of each of them.
    refused : DataFrame or None
        Rows that could not be read, with the columns of `FAULT_SCHEMA`.
    """

    rows: Sequence[Mapping[str, Any]]
    numbers: NDArray[np.int64]
    refused: pl.DataFrame | None = None


class Source(Protocol):
    """Anything that raw rows come from.

    Attributes
    ----------
    name : str
        For messages and the quarantine.
    unit : str
        What a row number counts: "row" (from 0) or "line" (from 1).
    text : bool
        Whether every column is text that must be parsed.
    rows : int or None
        Number of rows; None if unknown before reading.
    """

    name: str
    unit: str
    text: bool
    rows: int | None

    @property
    def schema(self) -> Mapping[str, pl.DataType] | None:
        """Return the raw columns; None if unknown before reading (JSON lines)."""
        ...

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether any row has a value in any of the columns; see `blocks`."""
        ...

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield the raw rows with the given columns.

        Parameters
        ----------
        columns : dict of str to str
            Raw column -> field of the interaction that it holds, which gives its type where the
            source has none.
        """
        ...


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what polars and the system raise while reading into `UnreadableSourceError`."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        msg = f"{name}: cannot be read: {reason[0][:300]}"
        raise UnreadableSourceError(msg) from error
