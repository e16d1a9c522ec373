"""Columns in the codes of a state: what the fold takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._columns import EventColumns, ids_of
from ._event import MOST_SCORE, check_type
from ._unit import LIVE, SHOWN
from ._unit_arrays import DOCUMENT_LEVEL, RowArrays
from ._units import realigned
from .rewards import is_display, speaks_of_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._credit import UnitBatch
    from ._names import Names
    from ._units import Units
    from .rewards import RewardTable

_NONE = np.empty(0, np.int32)


class Encoded(NamedTuple):
    """Rows, the scores that they refer to, and the scores that were left out."""

    rows: RowArrays
    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]
    bad_scores: int = 0
    unknown_scores: int = 0


def encode(
    columns: EventColumns,
    arms: Names[str],
    segments: Names[tuple[str, ...]],
    rewards: RewardTable,
) -> Encoded:
    """Translate dictionaries, once per entry, and leave the rows as they are."""
    for names in columns.type_sets:
        for name in names:
            check_type(name, rewards)
    levels = [rewards.levels(names) for names in columns.type_sets]
    flags = [_flags(names) for names in columns.type_sets]
    types = columns.types
    if columns.live is not None:
        # Every set of types has a twin that is live.
        types = types + len(flags) * columns.live.astype(np.int32)
        levels, flags = 2 * levels, flags + [each | LIVE for each in flags]
    segments.add(columns.segments)
    scores, contributions, bad, unknown = _scores(columns, arms)
    rows = RowArrays(
        execution=columns.execution,
        execution_ids=ids_of(columns.executions),
        document=columns.document,
        document_ids=ids_of(columns.documents),
        user=_or_missing(columns.user, len(columns)),
        user_ids=ids_of(columns.users),
        session=_or_missing(columns.session, len(columns)),
        session_ids=ids_of(columns.sessions),
        segment=_or_missing(columns.segment, len(columns)),
        own_segment=segments.codes(columns.segments),
        arm=_or_missing(columns.feature_uri, len(columns)),
        own_arm=arms.codes(columns.feature_uris).astype(np.int16),
        types=types,
        plus=np.array([plus for plus, _ in levels], np.uint8),
        minus=np.array([minus for _, minus in levels], np.uint8),
        flags=np.array(flags, np.uint8),
        time=columns.time,
        arm_time=columns.time,
        position=columns.position,
        scored=_scored(columns, scores),
    )
    return Encoded(rows, scores, contributions, bad, unknown)


def encode_units(
    batch: UnitBatch,
    ours: Units,
    arms: Sequence[str],
    segments: Sequence[tuple[str, ...]],
) -> Encoded:
    """Translate units, each of which becomes one row, from the codes of other names."""
    records = batch.records
    ours.segments.add(segments)
    own = np.arange(len(records), dtype=np.int32)
    arm_map = ours.arms.codes(arms)

    def column(name: str) -> NDArray[Any]:
        return np.ascontiguousarray(records[name])

    def codes(name: str) -> NDArray[np.int32]:
        return np.where(column(name) == 0, -1, own).astype(np.int32)

    return Encoded(
        RowArrays(
            execution=own,
            execution_ids=column("execution"),
            document=own,
            document_ids=column("document"),
            user=codes("user"),
            user_ids=column("user"),
            session=codes("session"),
            session_ids=column("session"),
            segment=column("segment"),
            own_segment=ours.segments.codes(segments),
            arm=column("arm").astype(np.int32),
            own_arm=arm_map.astype(np.int16),
            types=own,
            plus=column("plus"),
            minus=column("minus"),
            flags=column("flags") | np.uint8(DOCUMENT_LEVEL),
            time=column("time"),
            arm_time=column("arm_time"),
            position=column("position"),
            scored=column("scored"),
        ),
        realigned(batch.scores, arm_map, len(ours.arms)),
        realigned(batch.contributions, arm_map, len(ours.arms)),
    )


def _scores(
    columns: EventColumns, arms: Names[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int, int]:
    if columns.scores is None:
        none = np.empty((0, len(arms)))
        return none, none, 0, 0
    codes = arms.codes(columns.score_uris or ())
    given = columns.scores, columns.weights
    bad = sum(int((np.abs(values) > MOST_SCORE).sum()) for values in given if values is not None)
    unknown = int((~np.isnan(columns.scores[:, codes < 0])).sum())
    scores = _usable(columns.scores)
    contributions = np.full_like(scores, np.nan)
    if columns.weights is not None:
        contributions = _usable(columns.weights) * scores
    return (
        realigned(scores, codes, len(arms)),
        realigned(contributions, codes, len(arms)),
        bad,
        unknown,
    )


def _usable(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.abs(values) > MOST_SCORE, np.nan, values)


def _scored(columns: EventColumns, scores: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return every row's scores, -1 where no arm has any."""
    if columns.scores is None:
        return _NONE
    row = np.arange(len(columns), dtype=np.int32) if columns.scored is None else columns.scored
    told = np.append(~np.isnan(scores).all(axis=1), False)
    return np.where(told[row], row, -1).astype(np.int32)


def _or_missing(codes: NDArray[np.int32] | None, rows: int) -> NDArray[np.int32]:
    return np.full(rows, -1, np.int32) if codes is None else codes


def _flags(types: object) -> int:
    names = set(types)  # type: ignore[call-overload]
    return (SHOWN if is_display(names) else 0) | (
        DOCUMENT_LEVEL if speaks_of_document(names) else 0
    )
