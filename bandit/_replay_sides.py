"""What stands beside the estimates: sessions, and what each policy's own lists brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._replay_estimates import Spread
from ._replay_pools import ranks_within
from ._replay_report import PolicyRecord, SessionChanges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._replay_log import LoggedLists

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_ROUNDING = 1e-12


def session_changes(
    log: LoggedLists, examination: Floats, after: Floats, before: Floats | None
) -> SessionChanges:
    """Reorder every shown list.

    Parameters
    ----------
    log : LoggedLists
    examination : ndarray of float64, shape (n,)
    after, before : ndarray of float64, shape (e, arms)
        Weights of every list; before None: the order that was shown.
    """
    ranks = _ranks(log, after)
    old = log.position if before is None else _ranks(log, before)
    clicked = log.clicked
    change = 1.0 / np.log2(ranks + 2.0) - 1.0 / np.log2(old + 2.0)
    worth = np.where(clicked, np.maximum(log.gain, 0.0) / examination * change, 0.0)
    session, of_list = np.unique(log.session, return_inverse=True)
    of_row = of_list[log.execution]
    active = np.bincount(of_row, weights=clicked, minlength=len(session)) > 0
    total = np.bincount(of_row, weights=worth, minlength=len(session))[active].astype(np.float64)
    # A session without a user of its own is its own cluster.
    cluster = np.zeros(len(session), np.int64)
    cluster[of_list] = log.cluster
    spread = Spread(cluster[active])
    mean = float(total.mean()) if len(total) else 0.0
    p = spread.p_value(mean, spread.error(total - mean)) if spread.count > 1 else float("nan")
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


def policy_records(log: LoggedLists, reach: float) -> list[PolicyRecord]:
    """Return what the lists of every logged policy brought, and how they differ.

    The reference is "control", else "production", else there is none. Users (else sessions, else
    executions) are assigned to policies by a hash, so differences of means need no model.
    """
    rewards = np.bincount(log.execution, weights=log.gain, minlength=log.executions)
    clicks = np.bincount(log.execution, weights=log.clicked, minlength=log.executions)
    reward = np.asarray(rewards, np.float64)
    known = [(name, log.policy == code) for code, name in enumerate(log.policies)]
    known = [(name, own) for name, own in known if own.any()]
    lists = dict(known)
    reference = next((name for name in ("control", "production") if name in lists), None)
    records = []
    for name, own in sorted(known, key=lambda pair: -int(pair[1].sum())):
        record = (name, int(own.sum()), float(reward[own].mean()), float(clicks[own].mean()))
        if reference is None or name == reference:
            records.append(PolicyRecord(*record))
            continue
        difference, error = _difference(reward, own, lists[reference], log.cluster)
        interval = (difference - reach * error, difference + reach * error)
        records.append(PolicyRecord(*record, difference, interval, reference))
    return records


def _difference(
    values: Floats, one: NDArray[np.bool_], other: NDArray[np.bool_], cluster: Integers
) -> tuple[float, float]:
    """Return a difference of two means and its standard error, clusters whole."""
    means = [float(values[own].mean()) for own in (one, other)]
    influence = np.zeros(len(values))
    for sign, own, mean in zip((1.0, -1.0), (one, other), means, strict=True):
        influence[own] += sign * (values[own] - mean) * len(values) / own.sum()
    return means[0] - means[1], Spread(cluster).error(influence)


def _ranks(log: LoggedLists, weights: Floats) -> Integers:
    scores = (log.x * weights[log.execution]).sum(axis=1)
    return ranks_within(log.execution, scores, log.document)


def _mean(values: NDArray[np.floating[Any]], weight: Floats | None = None) -> float:
    return float(np.average(values, weights=weight)) if len(values) else float("nan")
