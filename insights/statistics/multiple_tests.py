"""p-values of several tests, adjusted for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from .false_discoveries import adjusted_p_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Adjustment: TypeAlias = Literal["holm", "fdr", "none"]
ADJUSTMENTS: Final = ("holm", "fdr", "none")


def adjusted(p: ArrayLike, method: Adjustment) -> Floats:
    """Return adjusted p-values; NaN stays and is no test.

    `method`: "holm": the chance of any false discovery is at most alpha among those with an
    adjusted p of at most alpha (Holm 1979). "fdr": the expected share of false ones among the
    discoveries is (Benjamini and Hochberg 1995). "none": as they are.

    >>> adjusted([0.01, 0.04, 0.03], "holm").round(4).tolist()
    [0.03, 0.06, 0.06]
    >>> adjusted([0.01, 0.04, 0.03], "fdr").round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    values = np.asarray(p, dtype=np.float64)
    if method == "fdr":
        return adjusted_p_values(values)
    result = values.copy()
    if method == "holm":
        known = ~np.isnan(values)
        result[known] = _holm(values[known])
    return result


def _holm(p: Floats) -> Floats:
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty(len(p))
    result[order] = np.minimum(steps, 1.0)
    return result
