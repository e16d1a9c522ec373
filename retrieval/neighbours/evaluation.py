"""Recommendations judged on what users engaged with later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from scipy import sparse

from ..._shared.checks import checked_number
from ..._shared.clustered import ClusteredErrors
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from .interactions import Interactions

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Recommend = Callable[[Rows, int], NDArray[np.int32]]

_USERS_PER_BLOCK: Final = 16_384


class Interval(NamedTuple):
    """A mean over users with its confidence limits."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class RecommendationReport:
    """Quality of recommendations on held-out engagement.

    Attributes
    ----------
    k : int
    recall, ndcg : Interval
        Means over users at the cut-off k, with limits by Student's t: users are independent.
    users : int
        Users that were judged.
    users_unknown : int
        Users of the held-out part that the model does not know.
    users_without_new : int
        Known ones who engaged with no known document that is new to them.
    """

    k: int
    recall: Interval
    ndcg: Interval
    users: int
    users_unknown: int
    users_without_new: int

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        intervals = {name: getattr(self, name)._asdict() for name in ("recall", "ndcg")}
        return asdict(self) | intervals

    def __str__(self) -> str:
        """Show both metrics with their intervals."""
        lines = [f"{self.users:,} users"]
        for name, found in (("recall", self.recall), ("NDCG", self.ndcg)):
            limits = f"[{found.low:.4f}, {found.high:.4f}]"
            lines.append(f"{name}@{self.k} {found.mean:.4f} {limits}")
        return ", ".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each metric: ``metric``, ``k``, ``mean``, ``lower``, ``upper``."""
        import polars as pl

        rows = [(name, self.k, *getattr(self, name)) for name in ("recall", "ndcg")]
        return pl.DataFrame(rows, ["metric", "k", "mean", "lower", "upper"], orient="row")

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        rows = [
            (f"{name}@{self.k}", found.mean, f"{found.low:.4f} to {found.high:.4f}")
            for name, found in (("recall", self.recall), ("NDCG", self.ndcg))
        ]
        return Summary(
            f"RecommendationReport: {self.users:,} users",
            [Table.of(["", "mean", "interval"], rows)],
            [f"{self.users_unknown:,} users unknown, {self.users_without_new:,} with nothing new"],
        )


def evaluate_recommendations(
    known: Interactions,
    recommend: Recommend,
    held_out: Any,
    *,
    k: int,
    confidence: float,
    binary: bool,
) -> RecommendationReport:
    """Judge recommendations of new documents by what users engaged with later.

    `recommend`: from rows of users and k to columns, shape (users, k), best first, -1 where there
    are fewer.
    """
    checked_number("k", k, 1, whole=True)
    checked_number("confidence", confidence, 0, 1, between=True)
    rows, later, unknown = known.aligned(Interactions.of(held_out, "held_out"))
    later = _new(later, known.engagement[rows])
    judged = np.diff(later.indptr) > 0
    if not judged.any():
        msg = "held_out: no user engaged with a document that the model knows and the user did not"
        raise InvalidInputError(msg)
    rows, later = rows[judged], later[judged]
    if binary:
        later.data[:] = 1.0
    values = [
        _metrics(recommend(rows[part], k), later[part], k)
        for part in (
            slice(start, start + _USERS_PER_BLOCK)
            for start in range(0, len(rows), _USERS_PER_BLOCK)
        )
    ]
    recall, ndcg = np.concatenate(values, axis=1)
    return RecommendationReport(
        k,
        _interval(recall, confidence),
        _interval(ndcg, confidence),
        len(rows),
        int(unknown),
        int((~judged).sum()),
    )


def _new(later: sparse.csr_matrix, before: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return later engagement with documents that are new to the user."""
    new = sparse.csr_matrix(later - later.multiply(before > 0))
    new.eliminate_zeros()
    return new


def _metrics(
    columns: NDArray[np.int32], later: sparse.csr_matrix, k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return recall and NDCG of each user."""
    n_users, width = columns.shape
    users = np.repeat(np.arange(n_users), width)
    # A column of -1 is the last one: its gain is taken away below.
    gain = np.asarray(later[users, columns.ravel()]).reshape(n_users, width).astype(np.float64)
    gain[columns < 0] = 0.0
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    best = _best_gains(later, k)
    recall = gain.sum(axis=1) / best.sum(axis=1)
    ndcg = gain @ discount[:width] / (best @ discount)
    return recall, ndcg


def _best_gains(later: sparse.csr_matrix, k: int) -> NDArray[np.float64]:
    """Return the k highest gains of each user, 0 where there are fewer; shape (users, k)."""
    user = np.repeat(np.arange(later.shape[0]), np.diff(later.indptr))
    order = np.lexsort((-later.data, user))
    place = np.arange(later.nnz) - later.indptr[:-1][user]
    best = np.zeros((later.shape[0], k))
    kept = place < k
    best[user[kept], place[kept]] = later.data[order][kept]
    return best


def _interval(values: NDArray[np.float64], confidence: float) -> Interval:
    errors, mean = ClusteredErrors(np.arange(len(values))), float(values.mean())
    half = errors.t_quantile(0.5 + confidence / 2) * errors.standard_error(values - mean)
    return Interval(mean, mean - half, mean + half)
