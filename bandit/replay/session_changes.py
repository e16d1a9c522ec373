"""What other weights would have done to the sessions with a click: their lists reordered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.clustered import ClusteredErrors
from .pools import ranks_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .logged_lists import LoggedLists

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class SessionChanges:
    """What reordering the shown lists does to the sessions with a click."""

    # Sessions by the sign of their difference: the sum over clicked documents of reward, over
    # examination, times the change of 1 / log2(rank + 1). The counts favour the order that was
    # shown, for people click what they see; the difference's mean does not.
    improved: int
    degraded: int
    unchanged: int
    difference: float  # its mean over sessions
    p: float  # two-sided, of the paired t-test that the mean is 0; users are the clusters
    # Mean rank (1 is the top) of clicked documents. It favours the order that was shown.
    mean_rank: float
    mean_rank_before: float
    corrected_rank: float  # the same with every click over its examination, which removes that bias
    corrected_rank_before: float


def session_changes(
    log: LoggedLists, examination: Floats, after: Floats, before: Floats | None
) -> SessionChanges:
    """Reorder every shown list.

    `after`, `before`, shape (e, arms): weights of every list; before None: the order that was
    shown. `examination` has shape (n,).
    """
    ranks = _ranks(log, after)
    old = log.position if before is None else _ranks(log, before)
    clicked = log.clicked
    change = 1.0 / np.log2(ranks + 2.0) - 1.0 / np.log2(old + 2.0)
    value = np.where(clicked, np.maximum(log.gain, 0.0) / examination * change, 0.0)
    session, of_list = np.unique(log.session, return_inverse=True)
    of_row = of_list[log.execution]
    active = np.bincount(of_row, weights=clicked, minlength=len(session)) > 0
    total = np.bincount(of_row, weights=value, minlength=len(session))[active].astype(np.float64)
    # A session without a user of its own is its own cluster.
    cluster = np.zeros(len(session), np.int64)
    cluster[of_list] = log.cluster
    errors = ClusteredErrors(cluster[active])
    mean = float(total.mean()) if len(total) else 0.0
    p = float("nan")
    if errors.count > 1:
        p = errors.p_value(mean, errors.standard_error(total - mean))
    weight = 1.0 / examination[clicked]
    return SessionChanges(
        improved=int((total > _ROUNDING).sum()),
        degraded=int((total < -_ROUNDING).sum()),
        unchanged=int((np.abs(total) <= _ROUNDING).sum()),
        difference=mean,
        p=p,
        mean_rank=_mean(ranks[clicked] + 1.0),
        mean_rank_before=_mean(old[clicked] + 1.0),
        corrected_rank=_mean(ranks[clicked] + 1.0, weight),
        corrected_rank_before=_mean(old[clicked] + 1.0, weight),
    )


def _ranks(log: LoggedLists, weights: Floats) -> Integers:
    scores = (log.x * weights[log.execution]).sum(axis=1)
    return ranks_within(log.execution, scores, log.document)


def _mean(values: NDArray[np.floating[Any]], weight: Floats | None = None) -> float:
    return float(np.average(values, weights=weight)) if len(values) else float("nan")
