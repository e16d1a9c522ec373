"""Differences between two groups within strata, such as queries, at the same mix of strata."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .clustered_means import Estimate, estimate_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

MIN_OBSERVATIONS = 2
"""Observations that a stratum needs in both groups; one alone has no error."""


class Standardised(NamedTuple):
    """A difference at the same mix of strata.

    `difference`, `relative`: of the group to the baseline; NaN without common strata.
    `baseline`: its mean at that mix.
    `share`: of the observations of both groups that lie in common strata.
    `strata`: how many are common.
    """

    difference: Estimate
    relative: Estimate
    baseline: float
    share: float
    strata: int


def standardised_difference(
    values: Floats, treated: NDArray[np.bool_], stratum: Codes, cluster: Codes
) -> Standardised:
    """Return the difference of two groups in the strata that they share.

        sum_q w_q (m_q1 - m_q0),  w_q = n_q / sum n_q,

    with means m of a stratum and n_q its observations in both groups (direct standardisation,
    or post-stratification: Holt and Smith 1979). Strata with fewer than two observations in either
    group are left out. The error allows for the means and for the weights; an observation's
    influence is its effect on its stratum's mean when it is left out.

    `values`, shape (n,): without NaN. `treated`, shape (n,): in the group, else in the baseline.
    `stratum`, `cluster`, shape (n,): codes, `cluster` without gaps.

    >>> treated = np.array([False, False, True, True] * 2)
    >>> stratum = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> values = np.array([1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 6.0, 6.0])
    >>> standardised_difference(values, treated, stratum, np.arange(8)).difference.value
    1.0
    """
    _, code = np.unique(stratum, return_inverse=True)
    key = code * 2 + treated
    sizes = np.bincount(key, minlength=2 * (int(code.max(initial=-1)) + 1)).reshape(-1, 2)
    common = sizes.min(axis=1, initial=MIN_OBSERVATIONS) >= MIN_OBSERVATIONS
    used = common[code]
    if not used.any():
        none = Estimate(float("nan"), float("nan"), 1.0)
        return Standardised(none, none, float("nan"), 0.0, 0)
    total = np.bincount(key, weights=values, minlength=sizes.size).reshape(-1, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = total / sizes
    weight = np.where(common, sizes.sum(axis=1), 0).astype(np.float64)
    n = weight.sum()
    weight /= n
    sides = weight @ np.where(common[:, None], means, 0.0)
    side, at = treated[used].astype(np.int64), code[used]
    size = sizes[at, side]
    effect = weight[at] * (values[used] - means[at, side]) / (size - 1)
    # Each side's own influence: through its stratum's mean, and through the weight of the stratum.
    influence = np.stack([np.where(side == arm, effect, 0.0) for arm in (0, 1)])
    influence += (means[at].T - sides[:, None]) / n
    by_cluster: Floats = np.array(
        [np.bincount(cluster[used], weights=each) for each in influence], np.float64
    )
    counts = np.bincount(cluster[used]).astype(np.float64)
    difference = float(sides[1] - sides[0])
    return Standardised(
        estimate_of(difference, by_cluster[1] - by_cluster[0], counts),
        _relative(sides, by_cluster, counts),
        float(sides[0]),
        float(used.mean()),
        int(common.sum()),
    )


def _relative(sides: Floats, influence: Floats, counts: Floats) -> Estimate:
    if not sides[0] > 0:
        return Estimate(float("nan"), float("nan"), 1.0)
    ratio = sides[1] / sides[0]
    return estimate_of(float(ratio - 1.0), (influence[1] - ratio * influence[0]) / sides[0], counts)
