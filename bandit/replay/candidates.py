"""The weights to evaluate, and those that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.ids import stable_id, stable_ids
from ...errors import InvalidInputError
from ..base.channels import checked_weights
from ..base.timestamps import as_datetime
from ..fusion_bandit import FusionBandit
from ..serving.fusion_weights import FusionWeights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .logged_lists import LoggedLists

    Floats = NDArray[np.float64]


def is_served(baseline: Any) -> bool:
    """Return whether the baseline is what was served."""
    if isinstance(baseline, str) and baseline != "served":
        msg = f"baseline: expected 'served' or weights, got {baseline!r}"
        raise InvalidInputError(msg)
    return isinstance(baseline, str)


def fixed_weights(weights: Any) -> Mapping[str, float] | FusionWeights:
    """Return a mapping or a snapshot."""
    if isinstance(weights, Mapping):
        return checked_weights(weights, list(weights), "candidate")
    fixed = weights.snapshot() if isinstance(weights, FusionBandit) else weights
    if not isinstance(fixed, FusionWeights):
        got = type(weights).__name__
        msg = f"candidate, baseline: expected weights by feature_uri or FusionWeights, got {got}"
        raise InvalidInputError(msg)
    return fixed


def arms_of(candidate: Any, baseline: Any) -> tuple[str, ...]:
    """Return the channels, which candidate and baseline must share."""
    given = [weights for weights in (candidate, baseline) if weights is not None]
    arms = [tuple(each if isinstance(each, Mapping) else each.feature_uris) for each in given]
    if len({frozenset(each) for each in arms}) > 1:
        msg = f"baseline: expected weights of {sorted(arms[0])}, got {sorted(arms[1])}"
        raise InvalidInputError(msg)
    return arms[0]


def segment_by_of(candidate: Any, baseline: Any) -> tuple[str, ...]:
    """Return the fields of the segments, the same for both where both have some."""
    snapshots = [each for each in (candidate, baseline) if isinstance(each, FusionWeights)]
    fields = {snapshot.segment_by for snapshot in snapshots} - {()}
    if len(fields) > 1:
        msg = f"baseline: its segments differ from the candidate's: {sorted(fields)}"
        raise InvalidInputError(msg)
    return next(iter(fields), ())


def by_segment(weights: Mapping[str, float] | FusionWeights, log: LoggedLists) -> Floats:
    """Return weights by segment, scaled to the sum 1; the last row is for lists without one."""
    if isinstance(weights, Mapping):
        rows = [weights] * (len(log.segments) + 1)
    else:
        segments = log.segments if weights.segment_by else [None] * len(log.segments)
        rows = [*(weights.mean(segment=segment) for segment in segments), weights.mean()]
    table = np.array([[row[arm] for arm in log.arms] for row in rows], np.float64)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def by_list(
    weights: Mapping[str, float] | FusionWeights,
    log: LoggedLists,
    segment: NDArray[np.int64],
    query: NDArray[np.int64],
) -> Floats:
    """Return the weights of some lists by the codes of their segments and queries.

    A query has weights of its own where the evidence of the candidate knows it; `later` leaves the
    lists out that this evidence is made of.
    """
    table = by_segment(weights, log)[segment]
    if isinstance(weights, Mapping) or weights.queries is None:
        return table
    known = np.isin(stable_ids(log.queries), weights.queries.sums.keys)[query]
    pairs, row = np.unique(np.stack([segment, query], axis=1)[known], axis=0, return_inverse=True)
    own = [_of_query(weights, log, *pair) for pair in pairs.tolist()]
    if own:
        table[known] = np.array(own)[row.reshape(-1)]
    return table


def _of_query(weights: FusionWeights, log: LoggedLists, segment: int, query: int) -> list[float]:
    values = log.segments[segment] if segment >= 0 and weights.segment_by else None
    sums = None if weights.queries is None else weights.queries.at(stable_id(log.queries[query]))
    row = weights.mean(segment=values, query=sums)
    return [row[arm] / sum(row.values()) for arm in log.arms]


def without_own_evidence(
    log: LoggedLists, candidate: Mapping[str, float] | FusionWeights, *, later: bool
) -> tuple[LoggedLists, int]:
    """Leave out the lists that the candidate has learnt from; with `later` off, count them."""
    if isinstance(candidate, Mapping):
        return log, 0
    own = int((log.time <= candidate.time).sum())
    if not own or not later:
        return log, own
    if own == log.executions:
        msg = (
            f"log: no list is later than the candidate's evidence, which ends at "
            f"{as_datetime(candidate.time):%Y-%m-%d %H:%M:%S}. Give later interactions, or use "
            "these with later=False (`rankloom replay --all`)"
        )
        raise InvalidInputError(msg)
    return log.select(log.time > candidate.time, "up to the candidate's evidence"), 0
