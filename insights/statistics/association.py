"""Whether two classifications of the same observations go together, and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]

MIN_EXPECTED: Final = 5.0


class Association(NamedTuple):
    """How two classifications go together.

    `p`: of the chi-squared test of independence; NaN where there is nothing to compare.
    `strength`: Cramer's V without its bias (Bergsma, "A Bias-correction for Cramer's V and
    Tschuprow's T", 2013): 0 for independent ones, 1 where one determines the other.
    """

    p: float
    strength: float


def association(row: Codes, column: Codes) -> Association:
    """Return how rows and columns of a contingency table go together.

    `row`, `column`, shape (n,): classes of independent observations, -1 to leave one out. Rows that
    are too rare for the test (less than 5 expected in some column) are pooled.

    >>> rng = np.random.default_rng(0)
    >>> row, column = rng.integers(0, 3, (2, 1000))
    >>> association(row, column).strength < 0.05 < association(row, row).strength
    True
    """
    from scipy import stats

    counts = _pooled(_counts(row, column))
    if min(counts.shape) < 2:
        return Association(float("nan"), 0.0)
    chi_squared, p, _, _ = stats.chi2_contingency(counts, correction=False)
    rows, columns = counts.shape
    n = counts.sum()
    phi = max(float(chi_squared) / n - (rows - 1) * (columns - 1) / (n - 1), 0.0)
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return Association(float(p), float(np.sqrt(phi / least)) if least > 0 else 0.0)


def _counts(row: Codes, column: Codes) -> NDArray[np.float64]:
    known = (row >= 0) & (column >= 0)
    if not known.any():
        return np.zeros((0, 0))
    _, row = np.unique(row[known], return_inverse=True)
    _, column = np.unique(column[known], return_inverse=True)
    width = int(column.max()) + 1
    flat = np.bincount(row * width + column, minlength=(int(row.max()) + 1) * width)
    counts: NDArray[np.float64] = flat.reshape(-1, width).astype(np.float64)
    return counts


def _pooled(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pool the rows that expect too few in the rarest column, and leave them out if still few."""
    if not counts.size:
        return counts
    least = counts.sum(axis=0).min() / counts.sum()
    rare = counts.sum(axis=1) * least < MIN_EXPECTED
    pooled = counts[rare].sum(axis=0, keepdims=True)
    if pooled.sum() * least < MIN_EXPECTED:
        return np.asarray(counts[~rare])
    return np.vstack([counts[~rare], pooled])
