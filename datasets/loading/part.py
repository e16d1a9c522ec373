"""A part of a log as pairs: whole executions, folded apart from all others.

A part names everything by codes of its own, so that parts may be made anywhere and in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from ..pairs.executions import find_executions
from ..pairs.fold import CARRIED, NO_TIME, PairColumns, RowColumns, SignalMasks, group_pairs
from ..pairs.placement import place_rows
from ..pairs.text_codes import ranks
from ..quality.positions import PositionCounts
from .ids_met import IdsMet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from ..pairs.executions import Executions
    from ..pairs.placement import UnplacedRows
    from ..pairs.row_reader import LogRows
    from .settings import LoadSettings
    from .shared_texts import SharedTexts

CHANNEL: Final = "feature_uri"


@dataclass(frozen=True)
class PartCounts:
    """What a part holds and what became of its rows; parts add up.

    Attributes
    ----------
    rows, positive : int
        Rows with a position; those of a type with a grade.
    placed, attributed, refused : int
        See `PlacedRows`.
    duplicates, list_level_rows, position_conflicts, clicks_only, list_level_only : int
        See `FoldCounts`.
    rows_without_execution, rows_given_query : int
    """

    rows: int = 0
    positive: int = 0
    placed: int = 0
    attributed: int = 0
    refused: int = 0
    duplicates: int = 0
    list_level_rows: int = 0
    position_conflicts: int = 0
    clicks_only: int = 0
    list_level_only: int = 0
    rows_without_execution: int = 0
    rows_given_query: int = 0

    def __add__(self, other: PartCounts) -> PartCounts:
        """Return the counts of both parts."""
        return PartCounts(
            *(getattr(self, each.name) + getattr(other, each.name) for each in fields(PartCounts))
        )


@dataclass(frozen=True, eq=False)
class Part:
    """Pairs of whole executions with the texts of their codes; e executions, n pairs.

    Attributes
    ----------
    ids : Series of String, length e
        Executions by time, then by id.
    first_time : ndarray of int64, shape (e,)
        Microseconds, `NO_TIME` where no row has a time.
    query : ndarray of int32, shape (e,)
        Index into `queries`; -1 where no row names a query.
    user : ndarray of int32, shape (e,)
        Index into `users`; -1 where no row names one.
    context : dict of str to Series of String, length e
    pairs : PairColumns
        `group` has a value for every execution, 0 where it makes no pairs. Documents are indices
        into `documents`, and channels, in the column of `features`, into `channels`.
    features : tuple of str
        Columns of `pairs.X`.
    documents, queries, channels : Series of String
        Distinct and sorted.
    users : Series of String
        Distinct.
    latest : int
        Time of the last row, in microseconds.
    counts : PartCounts
    positions : PositionCounts
    met : IdsMet or None
        Where impressions were given.
    used : dict of str to ndarray of uint8
        Which of the shared documents, queries and channels the rows name, as packed bits; empty
        where the texts are those of this part.
    """

    ids: pl.Series
    first_time: NDArray[np.int64]
    query: NDArray[np.int32]
    user: NDArray[np.int32]
    context: dict[str, pl.Series]
    pairs: PairColumns
    features: tuple[str, ...]
    documents: pl.Series
    queries: pl.Series
    channels: pl.Series
    users: pl.Series
    latest: int
    counts: PartCounts
    positions: PositionCounts
    met: IdsMet | None
    used: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Pair with which each execution starts, and their number; shape (e + 1,)."""
        return np.concatenate([[0], np.cumsum(self.pairs.group, dtype=np.int64)])

    def columns(self, start: int, end: int, names: Sequence[str]) -> list[NDArray[np.generic]]:
        """Return the named fields of `PairColumns` of pairs from `start` to before `end`."""
        return [getattr(self.pairs, name)[start:end] for name in names]

    def texts(self, name: str, start: int, end: int) -> pl.Series:
        """Return ``"execution_id"`` or a column of context of executions from `start` on."""
        values = self.ids if name == "execution_id" else self.context[name]
        return values[start:end]


def build_part(
    rows: LogRows,
    settings: LoadSettings,
    reader: UnplacedRows,
    features: Sequence[str] | None = None,
    shared: SharedTexts | None = None,
) -> Part:
    """Fold rows, all that there are of their executions, into a part.

    `rows` are changed. `reader` takes back rows for which no position is found. `features`: the
    log's own columns that become features; None: those that are filled in these rows. `shared`:
    the sorted texts that the codes of these rows index, where parts have them in common.
    """
    met = IdsMet.of(rows) if settings.has_impressions else None
    placed = place_rows(reader, rows, query_key=settings.query_key, window=settings.window)
    rows = placed.rows
    if features is None:
        features = [name for name in settings.builtin_features if rows.filled[name]]
    executions = find_executions(rows, context=settings.context, query_key=settings.query_key)
    pairs, folded = group_pairs(_row_columns(rows, executions, features), _masks(settings))
    own = executions.query_code >= executions.own_queries_from
    return Part(
        ids=executions.ids,
        first_time=executions.first_time,
        query=np.where(own, np.int32(-1), executions.query_code),
        user=executions.user,
        context=executions.context,
        pairs=pairs,
        features=tuple(features),
        documents=shared["feature_id"] if shared else rows.texts["feature_id"].sort(),
        queries=shared[settings.query_text]
        if shared
        else executions.queries[: executions.own_queries_from],
        channels=shared[CHANNEL] if shared else rows.texts[CHANNEL].sort(),
        users=rows.texts["user_id"],
        latest=int(rows.time.max(initial=NO_TIME)),
        counts=PartCounts(
            rows=len(rows),
            positive=int(np.count_nonzero(rows.types & settings.signals.positive)),
            placed=placed.placed,
            attributed=placed.attributed,
            refused=placed.refused,
            **folded._asdict(),
            rows_without_execution=int((executions.of_row < 0).sum()),
            rows_given_query=executions.rows_given_query,
        ),
        positions=PositionCounts.of(pairs.group, pairs.position),
        met=met,
        used={} if shared is None else _used(rows, settings.query_text),
    )


def _used(rows: LogRows, query_text: str) -> dict[str, NDArray[np.uint8]]:
    used = {}
    columns = {"documents": "feature_id", "queries": query_text, "channels": CHANNEL}
    for name, column in columns.items():
        named = np.zeros(len(rows.texts[column]), np.bool_)
        named[rows.codes[column][rows.codes[column] >= 0]] = True
        used[name] = np.packbits(named)
    return used


def _row_columns(rows: LogRows, executions: Executions, features: Sequence[str]) -> RowColumns:
    return RowColumns(
        execution=executions.of_row,
        document=rows.codes["feature_id"],
        types=rows.types,
        time=rows.time,
        position=rows.position,
        carried=rows.carried,
        execution_rank=executions.rank,
        document_rank=ranks(rows.texts["feature_id"]),
        inferred_from=executions.inferred_from,
        features=np.array([CARRIED.index(name) for name in features], np.int64),
        channel_rank=ranks(rows.texts[CHANNEL]).astype(np.float64),
    )


def _masks(settings: LoadSettings) -> SignalMasks:
    signals = settings.signals
    return SignalMasks(
        signals.grade.copy(),
        signals.list_level,
        signals.negative,
        signals.impression,
        signals.return_to_results,
    )
