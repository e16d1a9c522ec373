"""What the lists of each policy brought, compared without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.clustered import ClusteredErrors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .logged_lists import LoggedLists

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class PolicyRecord:
    """What lists of one policy brought, without any model: users are assigned by a hash."""

    policy: str
    lists: int
    reward: float  # mean sum of rewards of a list
    clicks: float  # mean number of documents with a positive reward
    difference: float | None = None  # of the reward, to that of the reference policy
    interval: tuple[float, float] | None = None
    reference: str | None = None


def policy_records(log: LoggedLists, t_quantile: float) -> list[PolicyRecord]:
    """Return what the lists of every logged policy brought, and how they differ.

    The reference is "control", else "production", else there is none. Users (else sessions, else
    executions) are assigned to policies by a hash, so differences of means need no model.

    `t_quantile`: standard errors from a difference to the ends of its interval.
    """
    rewards = np.bincount(log.execution, weights=log.gain, minlength=log.executions)
    clicks = np.bincount(log.execution, weights=log.clicked, minlength=log.executions)
    reward = np.asarray(rewards, np.float64)
    masks = {name: log.policy == code for code, name in enumerate(log.policies)}
    lists = {name: mask for name, mask in masks.items() if mask.any()}
    reference = next((name for name in ("control", "production") if name in lists), None)
    records = []
    for name, own in sorted(lists.items(), key=lambda pair: -int(pair[1].sum())):
        record = (name, int(own.sum()), float(reward[own].mean()), float(clicks[own].mean()))
        if reference is None or name == reference:
            records.append(PolicyRecord(*record))
            continue
        difference, error = _difference(reward, own, lists[reference], log.cluster)
        interval = (difference - t_quantile * error, difference + t_quantile * error)
        records.append(PolicyRecord(*record, difference, interval, reference))
    return records


def _difference(
    values: Floats, one: NDArray[np.bool_], other: NDArray[np.bool_], cluster: Integers
) -> tuple[float, float]:
    """Return a difference of two means and its standard error, clusters whole."""
    means = [float(values[group].mean()) for group in (one, other)]
    influence = np.zeros(len(values))
    for sign, group, mean in zip((1.0, -1.0), (one, other), means, strict=True):
        influence[group] += sign * (values[group] - mean) * len(values) / group.sum()
    return means[0] - means[1], ClusteredErrors(cluster).standard_error(influence)
