"""The bilinear model q' (I + A) d, fitted to triplets by a pairwise logistic loss.

A triplet of a query q, a positive p and a negative n has the margin q' (I + A) (p - n). The loss is

    sum_i w_i log(1 + exp(-a t margin_i))  +  ridge / 2 |B|^2,   A = B / (a t s)

over a and B, with weights that sum up to 1, t the inverse of the standard deviation that the
margins have under the identity, and s^2 the mean of |q|^2 |p - n|^2: so a ridge means the same for
embeddings of any length, and a scale of the scores costs nothing. With a rank, B = U V', and
|U|^2 + |V|^2, twice the least of which is the nuclear norm of B (Srebro, Rennie and Jaakkola,
"Maximum-Margin Matrix Factorization", NIPS 2004), takes the place of |B|^2. It is minimised by
L-BFGS.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from scipy import optimize, sparse, special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Floats32 = NDArray[np.float32]
    Integers = NDArray[np.int64]

MAX_ITERATIONS: Final = 100

_ROWS: Final = 1 << 14
_START: Final = 0.1
_LEAST: Final = 0.01
"""a: embeddings that say less of the clicks than this give way to what is learnt."""


@dataclass(frozen=True)
class TripletVectors:
    """Triplets as rows of arrays of vectors.

    Attributes
    ----------
    queries : ndarray of float32, shape (q, d)
    documents : ndarray of float32, shape (m, d)
    query, positive, negative : ndarray of int64, shape (n,)
        Rows of these.
    weight : ndarray of float64, shape (n,)
    """

    queries: Floats32
    documents: Floats32
    query: Integers
    positive: Integers
    negative: Integers
    weight: Floats

    def __len__(self) -> int:
        return len(self.query)

    def take(self, which: NDArray[np.bool_]) -> TripletVectors:
        """Return some of the triplets."""
        return TripletVectors(
            self.queries,
            self.documents,
            self.query[which],
            self.positive[which],
            self.negative[which],
            self.weight[which],
        )

    @cached_property
    def scale(self) -> tuple[float, float]:
        """T and s."""
        spread = float(self.margins(self.queries).std())
        squares = 0.0
        for rows in self._blocks():
            lengths = np.square(self._differences(rows)).sum(axis=1)
            squares += float(lengths @ np.square(self.queries[self.query[rows]]).sum(axis=1))
        return (1 / spread if spread > 0 else 1.0), max((squares / len(self)) ** 0.5, 1e-12)

    def margins(self, mapped: Floats32) -> Floats:
        """Return x' (p - n) of every triplet, x the row of its query in `mapped`, shape (q, d)."""
        found = np.empty(len(self))
        for rows in self._blocks():
            left = mapped[self.query[rows]]
            found[rows] = np.einsum("ij,ij->i", left, self._differences(rows))
        return found

    def gradient(self, slope: Floats) -> Floats32:
        """Return the sum of slope_i q_i (p_i - n_i)'; shape (d, d)."""
        ones = np.concatenate([slope, -slope]).astype(np.float32)
        place = (np.tile(self.query, 2), np.concatenate([self.positive, self.negative]))
        shape = (len(self.queries), len(self.documents))
        directions = sparse.csr_array((ones, place), shape) @ self.documents
        return np.asarray(self.queries.T @ directions)

    def _differences(self, rows: slice) -> Floats32:
        return np.asarray(self.documents[self.positive[rows]] - self.documents[self.negative[rows]])

    def _blocks(self) -> list[slice]:
        return [slice(start, start + _ROWS) for start in range(0, len(self), _ROWS)]


class Solution(NamedTuple):
    """The parameters of the loss."""

    a: float
    b: Floats  # shape (d, d)


@dataclass(frozen=True)
class PairwiseLoss:
    """The loss as a function of a and B, in the scale of given triplets."""

    triplets: TripletVectors
    scale: tuple[float, float]

    @cached_property
    def _base(self) -> Floats:
        return self.scale[0] * self.triplets.margins(self.triplets.queries)

    @cached_property
    def _weight(self) -> Floats:
        return np.asarray(self.triplets.weight / self.triplets.weight.sum())

    @property
    def dimensions(self) -> int:
        """D."""
        return int(self.triplets.queries.shape[1])

    def value(self, at: Solution) -> float:
        """Return the loss without a ridge."""
        return float(self._weight @ np.logaddexp(0, -self._margins(at)))

    def value_and_gradient(self, at: Solution) -> tuple[float, Solution]:
        """Return the loss without a ridge, and its gradient."""
        margins = self._margins(at)
        slope = -self._weight * special.expit(-margins)
        of_b = self.triplets.gradient(slope / self.scale[1]).astype(np.float64)
        value = float(self._weight @ np.logaddexp(0, -margins))
        return value, Solution(float(slope @ self._base), of_b)

    def map_of(self, at: Solution) -> Floats32:
        """Return W = I + B / (a t s)."""
        change = at.b / (at.a * self.scale[0] * self.scale[1])
        return np.asarray(np.eye(self.dimensions) + change, np.float32)

    def _margins(self, at: Solution) -> Floats:
        if not at.b.any():
            return np.asarray(at.a * self._base)
        mapped = self.triplets.queries @ at.b.astype(np.float32)
        return np.asarray(at.a * self._base + self.triplets.margins(mapped) / self.scale[1])


def fit_map(
    loss: PairwiseLoss, ridge: float, rank: int | None, start: Solution | None = None
) -> Solution:
    """Return the solution of the least loss with a ridge; B = 0 for an infinite one.

    `start`: where to begin.
    """
    d = loss.dimensions
    begin = Solution(1.0, np.zeros((d, d))) if start is None else start
    if np.isinf(ridge):
        return _fit_scale(loss, begin)
    return _fit_full(loss, ridge, begin) if rank is None else _fit_factors(loss, ridge, rank, begin)


def _fit_scale(loss: PairwiseLoss, start: Solution) -> Solution:
    nothing = np.zeros_like(start.b)

    def objective(flat: Floats) -> tuple[float, Floats]:
        value, gradient = loss.value_and_gradient(Solution(float(flat[0]), nothing))
        return value, np.array([gradient.a])

    return Solution(float(_minimised(objective, np.array([start.a]))[0]), nothing)


def _fit_full(loss: PairwiseLoss, ridge: float, start: Solution) -> Solution:
    shape = start.b.shape

    def objective(flat: Floats) -> tuple[float, Floats]:
        b = flat[1:]
        value, gradient = loss.value_and_gradient(Solution(float(flat[0]), b.reshape(shape)))
        slopes = np.append(gradient.a, gradient.b.ravel() + ridge * b)
        return value + ridge / 2 * float(b @ b), slopes

    found = _minimised(objective, np.append(start.a, start.b.ravel()))
    return Solution(float(found[0]), found[1:].reshape(shape))


def _fit_factors(loss: PairwiseLoss, ridge: float, rank: int, start: Solution) -> Solution:
    steep = start.b
    if np.linalg.norm(steep) < _START / 10:
        # U = V = 0 is a saddle point: begin along the steepest descent instead.
        steep = -loss.value_and_gradient(start)[1].b
        steep *= _START / max(float(np.linalg.norm(steep)), 1e-12)
    left, size, right = np.linalg.svd(steep)
    root = np.sqrt(size[:rank])
    shape = (2, len(steep), len(root))
    factors = np.stack([left[:, :rank] * root, right[:rank].T * root])

    def objective(flat: Floats) -> tuple[float, Floats]:
        u, v = flat[1:].reshape(shape)
        value, gradient = loss.value_and_gradient(Solution(float(flat[0]), u @ v.T))
        slopes = np.stack([gradient.b @ v, gradient.b.T @ u]).ravel() + ridge * flat[1:]
        return value + ridge / 2 * float(flat[1:] @ flat[1:]), np.append(gradient.a, slopes)

    found = _minimised(objective, np.append(start.a, factors.ravel()))
    u, v = found[1:].reshape(shape)
    return Solution(float(found[0]), u @ v.T)


def _minimised(objective: Any, start: Floats) -> Floats:
    # Single precision in the products bounds what a smaller tolerance could gain.
    options: Any = {"maxiter": MAX_ITERATIONS, "ftol": 1e-7, "gtol": 1e-6}
    lowest = np.full(len(start), -np.inf)
    lowest[0] = _LEAST
    bounds = optimize.Bounds(lowest, np.inf)
    found = optimize.minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return np.asarray(found.x)
