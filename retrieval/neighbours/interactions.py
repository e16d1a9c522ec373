"""What neighbours are found from: who engaged with what, and the ids of rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from scipy import sparse

from ...datasets.pairs.text_codes import index_among
from ...errors import InvalidInputError
from ..engagement.matrix import EngagementMatrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ids:
    """Ids of the rows or columns of a matrix; without names, their numbers.

    Attributes
    ----------
    name : str
        "user_id" or "feature_id".
    size : int
    texts : polars.Series of String, or None
    """

    name: str
    size: int
    texts: pl.Series | None = None

    def code(self, given: Any) -> int:
        """Return the row or column of an id. Raises InvalidInputError if there is none."""
        code = int(self.codes([given])[0])
        if code < 0:
            what = "an id of the matrix" if self.texts is not None else f"0 to {self.size - 1}"
            msg = f"{self.name}: {given!r} is unknown; expected {what}"
            raise InvalidInputError(msg)
        return code

    def codes(self, given: Sequence[Any]) -> NDArray[np.int64]:
        """Return the rows or columns of ids, -1 for unknown ones."""
        if self.texts is not None:
            return index_among(
                pl.Series([str(each) for each in given], dtype=pl.String), self.texts
            )
        whole = all(isinstance(each, int | np.integer) for each in given)
        if not whole:
            msg = f"{self.name}: the model was fitted without ids, so numbers are expected"
            raise InvalidInputError(msg)
        numbers = np.array(given, np.int64)
        return np.where((numbers >= 0) & (numbers < self.size), numbers, -1)

    def of(self, codes: NDArray[Any]) -> pl.Series:
        """Return the ids of rows or columns."""
        if self.texts is None:
            return pl.Series(self.name, codes, pl.Int64)
        return self.texts.gather(codes).alias(self.name)

    def ranked(self, columns: NDArray[np.int32], scores: NDArray[np.float32]) -> pl.DataFrame:
        """Return ids with their scores; columns of -1 are left out."""
        found = columns >= 0
        return pl.DataFrame([self.of(columns[found]), pl.Series("score", scores[found])])


@dataclass(frozen=True)
class Interactions:
    """Users x documents with ids.

    Attributes
    ----------
    engagement : scipy.sparse.csr_matrix of float32, shape (users, documents)
        Without entries that are 0.
    users, documents : Ids
    """

    engagement: sparse.csr_matrix
    users: Ids
    documents: Ids

    @classmethod
    def of(cls, given: Any, parameter: str = "engagement") -> Self:
        """Return an `EngagementMatrix` or a sparse matrix, users x documents, as interactions."""
        if isinstance(given, cls):
            return given
        if isinstance(given, EngagementMatrix):
            users = Ids("user_id", given.shape[0], given.user_ids)
            documents = Ids("feature_id", given.shape[1], given.document_ids)
            return cls(_checked(given.engagement, parameter), users, documents)
        if not sparse.issparse(given):
            msg = (
                f"{parameter}: expected an EngagementMatrix or a SciPy sparse matrix of users x "
                f"documents, got {type(given).__name__}"
            )
            raise InvalidInputError(msg)
        matrix = _checked(given, parameter)
        users, documents = (
            Ids(name, size)
            for name, size in zip(("user_id", "feature_id"), matrix.shape, strict=True)
        )
        return cls(matrix, users, documents)

    def history(self, who: Any) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
        """Return what a user engaged with, and the user's row.

        `who`: a user's id, or a sequence of documents; these count 1 each, and the row is -1.
        """
        if isinstance(who, str | int | np.integer):
            code = self.users.code(who)
            return self.engagement[[code]], np.array([code])
        columns = np.unique(self.documents.codes(list(who)))
        columns = columns[columns >= 0].astype(np.int32)
        if not len(columns):
            msg = f"documents: expected at least one that the model knows, got {list(who)[:5]!r}"
            raise InvalidInputError(msg)
        ones = np.ones(len(columns), np.float32)
        shape = (1, self.engagement.shape[1])
        matrix = sparse.csr_matrix((ones, columns, np.array([0, len(columns)])), shape)
        return matrix, np.array([-1])

    def rows(self, users: Sequence[Any] | None) -> NDArray[np.int64]:
        """Return the rows of users; None: all. Raises InvalidInputError for an unknown one."""
        if users is None:
            return np.arange(self.users.size)
        rows = self.users.codes(users)
        for unknown in np.flatnonzero(rows < 0)[:1]:
            self.users.code(users[unknown])
        return rows

    def ranked(
        self, rows: NDArray[np.int64], columns: NDArray[np.int32], scores: NDArray[np.float32]
    ) -> pl.DataFrame:
        """Return ids of users and documents with their scores; columns of -1 are left out."""
        users = np.repeat(rows, (columns >= 0).sum(axis=1))
        return self.documents.ranked(columns, scores).insert_column(0, self.users.of(users))

    def aligned(self, other: Interactions) -> tuple[NDArray[np.int64], sparse.csr_matrix, int]:
        """Return other interactions with the users and documents that are known here.

        Returns the users' rows here; their engagement with known documents; and how many of the
        others' users are unknown.
        """
        if (self.users.texts is None) != (other.users.texts is None):
            msg = (
                "held_out: expected an EngagementMatrix where the model was fitted on one, and a "
                "sparse matrix of the same shape where it was fitted on a sparse matrix"
            )
            raise InvalidInputError(msg)
        if self.users.texts is None or other.users.texts is None:
            if self.engagement.shape != other.engagement.shape:
                shapes = self.engagement.shape, other.engagement.shape
                msg = f"held_out: expected a matrix of shape {shapes[0]}, got {shapes[1]}"
                raise InvalidInputError(msg)
            return np.arange(self.users.size), other.engagement, 0
        rows = index_among(other.users.texts, self.users.texts)
        columns = index_among(other.documents.texts, self.documents.texts)  # type: ignore[arg-type]
        entries = other.engagement[rows >= 0].tocoo()
        kept = columns[entries.col] >= 0
        coordinates = (entries.row[kept], columns[entries.col[kept]])
        known = rows[rows >= 0]
        shape = (len(known), self.documents.size)
        return known, sparse.csr_matrix((entries.data[kept], coordinates), shape), sum(rows < 0)


def _checked(matrix: Any, parameter: str) -> sparse.csr_matrix:
    if not matrix.shape[0] or not matrix.nnz:
        msg = f"{parameter}: expected at least one user who engaged with a document, got none"
        raise InvalidInputError(msg)
    if not np.isfinite(matrix.data).all() or matrix.data.min() < 0:
        msg = f"{parameter}: expected finite values of at least 0; keep negatives apart"
        raise InvalidInputError(msg)
    checked = sparse.csr_matrix(matrix, dtype=np.float32)
    if checked.has_canonical_format and checked.data.all():
        return checked
    checked = sparse.csr_matrix(checked, copy=True)
    checked.sum_duplicates()
    checked.eliminate_zeros()
    return checked
