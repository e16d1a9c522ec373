"""The weights that are judged, and those they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError
from ._channel_weights import checked_weights
from ._decay import as_datetime
from .fusion_bandit import FusionBandit
from .weights import FusionWeights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._replay_log import LoggedLists

    Floats = NDArray[np.float64]


def is_served(baseline: Any) -> bool:
    """Return whether the baseline is what was served."""
    if isinstance(baseline, str) and baseline != "served":
        msg = f"baseline: expected 'served' or weights, got {baseline!r}"
        raise InvalidInputError(msg)
    return isinstance(baseline, str)


def frozen(weights: Any) -> Mapping[str, float] | FusionWeights:
    """Return a mapping or a snapshot."""
    if isinstance(weights, Mapping):
        return checked_weights(weights, list(weights), "candidate")
    found = weights.snapshot() if isinstance(weights, FusionBandit) else weights
    if not isinstance(found, FusionWeights):
        got = type(weights).__name__
        msg = f"candidate, baseline: expected weights by feature_uri or FusionWeights, got {got}"
        raise InvalidInputError(msg)
    return found


def arms_of(*sides: Any) -> tuple[str, ...]:
    """Return the channels that all sides weigh."""
    given = [each for each in sides if each is not None]
    known = [tuple(each if isinstance(each, Mapping) else each.feature_uris) for each in given]
    if len({frozenset(arms) for arms in known}) > 1:
        msg = f"baseline: expected weights of {sorted(known[0])}, got {sorted(known[1])}"
        raise InvalidInputError(msg)
    return known[0]


def segment_by_of(*sides: Any) -> tuple[str, ...]:
    """Return the fields of the segments, the same on all sides that have any."""
    known = {each.segment_by for each in sides if isinstance(each, FusionWeights)} - {()}
    if len(known) > 1:
        msg = f"baseline: its segments differ from the candidate's: {sorted(known)}"
        raise InvalidInputError(msg)
    return next(iter(known), ())


def by_segment(weights: Mapping[str, float] | FusionWeights, log: LoggedLists) -> Floats:
    """Return weights by segment, scaled to the sum 1; the last row is for lists without one."""
    if isinstance(weights, Mapping):
        rows = [weights] * (len(log.segments) + 1)
    else:
        own = log.segments if weights.segment_by else [None] * len(log.segments)
        rows = [*(weights.mean(segment=each) for each in own), weights.mean()]
    table = np.array([[row[arm] for arm in log.arms] for row in rows], np.float64)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def leave_out_own(
    log: LoggedLists, candidate: Mapping[str, float] | FusionWeights, *, later: bool
) -> tuple[LoggedLists, int]:
    """Leave out the candidate's own evidence, or count it."""
    if isinstance(candidate, Mapping):
        return log, 0
    known = int((log.time <= candidate.time).sum())
    if not known or not later:
        return log, known
    if known == log.executions:
        msg = (
            f"log: no list is later than the candidate's evidence, which ends at "
            f"{as_datetime(candidate.time):%Y-%m-%d %H:%M:%S}. Give later interactions, or look at "
            "these all the same with later=False (`rankloom replay --all`)"
        )
        raise InvalidInputError(msg)
    return log.keep(log.time > candidate.time, "up to the candidate's evidence"), 0
