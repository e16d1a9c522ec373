"""One live event in the codes of the state that it is folded into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._event import usable
from ._ids import NO_ID, stable_id
from ._unit import LIVE, SHOWN, UnitRow
from .rewards import is_display

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ._event import LiveEvent
    from ._names import Names
    from .rewards import RewardTable


class ScoreRows(NamedTuple):
    """Scores as fused and contributions by arm, None where there are none, and what was left out.

    Attributes
    ----------
    scores, contributions : ndarray of float64, shape (arms,), or None
    bad, unknown : int
        Scores that are no numbers, and those of channels that are not known.
    """

    scores: NDArray[np.float64] | None
    contributions: NDArray[np.float64] | None
    bad: int
    unknown: int


def unit_row(
    event: LiveEvent,
    execution: str,
    arms: Names[str],
    segments: Names[tuple[str, ...]],
    rewards: RewardTable,
) -> UnitRow:
    """Return what an event says of its unit."""
    plus, minus = rewards.levels(event.types)
    return UnitRow(
        execution=stable_id(execution),
        document=stable_id(event.document),
        user=NO_ID if event.user is None else stable_id(event.user),
        session=NO_ID if event.session is None else stable_id(event.session),
        time=event.time,
        arm_time=event.time,
        position=event.position,
        segment=-1 if event.segment is None else segments.code(event.segment),
        arm=-1 if event.feature_uri is None else arms.code(event.feature_uri),
        plus=plus,
        minus=minus,
        flags=(SHOWN if is_display(event.types) else 0) | (0 if event.backfilled else LIVE),
    )


def score_rows(event: LiveEvent, arms: Names[str]) -> ScoreRows:
    """Return what an event says of the channels' scores."""
    if event.scores is None:
        return ScoreRows(None, None, 0, 0)
    scores, bad, unknown = _by_arm(event.scores, arms)
    weights, bad_weights, _ = _by_arm(event.weights or {}, arms)
    if np.isnan(scores).all():
        return ScoreRows(None, None, bad + bad_weights, unknown)
    return ScoreRows(scores, scores * weights, bad + bad_weights, unknown)


def _by_arm(values: Mapping[str, Any], arms: Names[str]) -> tuple[NDArray[np.float64], int, int]:
    row = np.full(len(arms), np.nan)
    bad = unknown = 0
    for uri, value in values.items():
        at = arms.code(uri)
        if at < 0:
            unknown += 1
            continue
        row[at] = usable(value)
        bad += bool(np.isnan(row[at]))
    return row, bad, unknown
