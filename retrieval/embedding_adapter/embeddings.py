"""Embeddings with ids: checked once, and looked up by id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...datasets.pairs.text_codes import index_among
from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class Embeddings:
    """Vectors by id.

    Attributes
    ----------
    ids : polars.Series of String, length n
    vectors : ndarray of float32, shape (n, d)
    """

    ids: pl.Series
    vectors: Floats32

    def index(self, ids: pl.Series) -> NDArray[np.int64]:
        """Return the row of every id, -1 where it has none."""
        return index_among(ids, self.ids)


def read_embeddings(name: str, given: Any) -> Embeddings:
    """Return embeddings given as (ids, array of shape (n, d)), each id once.

    Raises InvalidInputError by the parameter's `name`.

    Examples
    --------
    >>> read_embeddings("documents", ([5, 7], [[1, 0], [0, 1]])).ids.to_list()
    ['5', '7']
    """
    if not isinstance(given, tuple | list) or len(given) != 2:
        msg = f"{name}: expected two values, ids and an array (n, d), got {type(given).__name__}"
        raise InvalidInputError(msg)
    vectors = checked_vectors(name, given[1])
    try:
        ids = pl.Series(list(given[0]))
    except TypeError as error:
        msg = f"{name}: expected ids that are all text or all whole numbers: {error}"
        raise InvalidInputError(msg) from error
    if ids.dtype.is_integer():
        ids = ids.cast(pl.String)
    if len(ids) != len(vectors) or ids.dtype != pl.String or ids.null_count():
        msg = (
            f"{name}: expected an id, text or a whole number, for each of {len(vectors):,} rows, "
            f"got {len(ids):,} of type {ids.dtype}, {ids.null_count():,} of them null"
        )
        raise InvalidInputError(msg)
    repeated = ids.filter(ids.is_duplicated())
    if len(repeated):
        msg = f"{name}: the id {repeated[0]!r} occurs more than once; keep one row of it"
        raise InvalidInputError(msg)
    return Embeddings(ids, vectors)


def checked_vectors(name: str, given: Any, width: int | None = None) -> Floats32:
    """Return finite vectors as float32 of shape (n, d), or raise InvalidInputError."""
    try:
        vectors = np.ascontiguousarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        msg = f"{name}: expected numbers of shape (n, d): {error}"
        raise InvalidInputError(msg) from error
    if vectors.ndim != 2 or not vectors.shape[1] or width not in (None, vectors.shape[-1]):
        expected = "d" if width is None else width
        msg = f"{name}: expected an array of shape (n, {expected}), got {vectors.shape}"
        raise InvalidInputError(msg)
    if not np.isfinite(vectors).all():
        at = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        msg = f"{name}: expected finite numbers, row {at} has others"
        raise InvalidInputError(msg)
    return vectors
