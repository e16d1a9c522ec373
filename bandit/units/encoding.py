"""Columns, units and live events in the codes of a state, as the fold takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..._shared.ids import NO_ID, stable_id
from ..base.rewards import is_display, is_document_level
from ..interactions.columns import EventColumns, ids_of
from ..interactions.live_event import check_type
from ..interactions.logged_scores import MAX_SCORE
from .channel_sets import recoded
from .fold_arrays import DOCUMENT_LEVEL, RowArrays
from .record import LIVE, SHOWN, UnitRow
from .unit_table import realigned

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from ..base.code_table import CodeTable
    from ..base.rewards import RewardTable
    from ..interactions.live_event import LiveEvent
    from .record import UnitBatch
    from .unit_table import UnitTable

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
    arms: CodeTable[str],
    segments: CodeTable[tuple[str, ...]],
    rewards: RewardTable,
) -> Encoded:
    """Translate dictionaries, once per entry; the rows stay as they are."""
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
        query=_or_missing(columns.query, len(columns)),
        query_ids=ids_of(columns.queries),
        segment=_or_missing(columns.segment, len(columns)),
        own_segment=segments.codes(columns.segments),
        arm=_or_missing(columns.feature_uri, len(columns)),
        own_arm=arms.codes(columns.feature_uris),
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
    table: UnitTable,
    arms: Sequence[str],
    segments: Sequence[tuple[str, ...]],
) -> Encoded:
    """Translate units, each of which becomes one row, from the codes of other names."""
    records = batch.records
    table.segments.add(segments)
    each = np.arange(len(records), dtype=np.int32)
    arm_map = table.arms.codes(arms)

    def column(name: str) -> NDArray[Any]:
        return np.ascontiguousarray(records[name])

    def codes(name: str) -> NDArray[np.int32]:
        return np.where(column(name) == 0, -1, each).astype(np.int32)

    return Encoded(
        RowArrays(
            execution=each,
            execution_ids=column("execution"),
            document=each,
            document_ids=column("document"),
            user=codes("user"),
            user_ids=column("user"),
            session=codes("session"),
            session_ids=column("session"),
            query=codes("query"),
            query_ids=column("query"),
            segment=column("segment"),
            own_segment=table.segments.codes(segments),
            arm=each,
            own_arm=recoded(column("arm"), arm_map),
            types=each,
            plus=column("plus"),
            minus=column("minus"),
            flags=column("flags") | np.uint8(DOCUMENT_LEVEL),
            time=column("time"),
            arm_time=column("arm_time"),
            position=column("position"),
            scored=column("scored"),
        ),
        realigned(batch.scores, arm_map, len(table.arms)),
        realigned(batch.contributions, arm_map, len(table.arms)),
    )


def encode_event(
    event: LiveEvent,
    execution: str,
    arms: CodeTable[str],
    segments: CodeTable[tuple[str, ...]],
    rewards: RewardTable,
    *,
    with_query: bool = False,
) -> UnitRow:
    """Translate one live event, whose segment is known."""
    plus, minus = rewards.levels(event.types)
    return UnitRow(
        execution=stable_id(execution),
        document=stable_id(event.document),
        user=NO_ID if event.user is None else stable_id(event.user),
        session=NO_ID if event.session is None else stable_id(event.session),
        query=NO_ID if not with_query or event.query is None else stable_id(event.query),
        time=event.time,
        position=event.position,
        segment=-1 if event.segment is None else segments.code(event.segment),
        arm=-1 if event.feature_uri is None else arms.code(event.feature_uri),
        plus=plus,
        minus=minus,
        flags=(SHOWN if is_display(event.types) else 0) | (0 if event.backfilled else LIVE),
    )


def _scores(
    columns: EventColumns, arms: CodeTable[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int, int]:
    if columns.scores is None:
        none = np.empty((0, len(arms)))
        return none, none, 0, 0
    codes = arms.codes(columns.score_uris or ())
    given = columns.scores, columns.weights
    bad = sum(int((np.abs(values) > MAX_SCORE).sum()) for values in given if values is not None)
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
    return np.where(np.abs(values) > MAX_SCORE, np.nan, values)


def _scored(columns: EventColumns, scores: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return every row's scores, -1 where no arm has any."""
    if columns.scores is None:
        return _NONE
    row = np.arange(len(columns), dtype=np.int32) if columns.scored is None else columns.scored
    has_scores = np.append(~np.isnan(scores).all(axis=1), False)  # -1 leads to the last one
    return np.where(has_scores[row], row, -1).astype(np.int32)


def _or_missing(codes: NDArray[np.int32] | None, rows: int) -> NDArray[np.int32]:
    return np.full(rows, -1, np.int32) if codes is None else codes


def _flags(types: Collection[str]) -> int:
    document_level = DOCUMENT_LEVEL if is_document_level(types) else 0
    return (SHOWN if is_display(types) else 0) | document_level
