"""A log made ready for replay: shown lists, their rewards, and the weights that were served."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...datasets.pairs.executions import Executions, find_executions
from ...datasets.pairs.placement import place_rows
from ...datasets.pairs.row_reader import RowReader
from ...datasets.reading.scan import check_mapped
from ...datasets.record.signals import SignalTable
from ...errors import InvalidInputError
from ..base.rewards import RewardTable, is_display, is_document_level
from ..interactions.source_reader import MetadataScores, of_retriever

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ...datasets.pairs.row_reader import LogRows
    from ...datasets.record.mapping import InputMapping

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_CLUSTERS: Final = {"user_id": "user", "session_id": "session"}
_LATE: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class LoggedLists:
    """Lists that were shown, with the channels' scores of all their documents."""

    arms: tuple[str, ...]
    # shape (n,): one row for each document of each execution, in order of execution and position.
    # Documents are numbered in the alphabetical order of their ids, which breaks ties.
    execution: Integers
    document: Integers  # shape (n,)
    position: Integers  # shape (n,)
    # shape (n,): reward, scaled so that the highest is 1: the highest positive one less the highest
    # negative one of the document's interactions
    gain: Floats
    clicked: NDArray[np.bool_]  # shape (n,): whether there was a positive reward
    x: Floats  # shape (n, arms): scores as fused, 0 where a channel missed the document
    # shape (e, arms): weights that were served, with the sum 1; NaN where they were not logged
    weights: Floats
    time: Integers  # shape (e,): first display, in microseconds
    query: Integers  # shape (e,): codes; -1 where there is no segment
    segment: Integers  # shape (e,)
    cluster: Integers  # shape (e,)
    session: Integers  # shape (e,)
    segments: list[tuple[str, ...]]
    queries: list[str]  # texts that equal queries share, by code
    # shape (e,): whether more documents were found than shown, as far as result_set_size says
    truncated: NDArray[np.bool_]
    policy: Integers  # shape (e,): code, -1 where none was logged
    policies: list[str]
    clustered_by: str  # what the clusters are, such as "user, else session"
    left_out: dict[str, int]  # executions that cannot be replayed, by reason

    @property
    def executions(self) -> int:
        """Number of lists."""
        return len(self.query)

    @property
    def weighted(self) -> NDArray[np.bool_]:
        """Whether the served weights of each list are known; shape (e,)."""
        return np.asarray(~np.isnan(self.weights).any(axis=1))

    def select(self, chosen: NDArray[np.bool_], reason: str) -> LoggedLists:
        """Return some of the lists, and count the others under a reason."""
        left_out = int((~chosen).sum())
        if not left_out:
            return self
        rows = chosen[self.execution]
        of_row = ["document", "position", "gain", "clicked", "x"]
        of_list = ["weights", "time", "query", "segment", "cluster", "session", "policy"]
        of_list.append("truncated")
        return replace(
            self,
            execution=(np.cumsum(chosen) - 1)[self.execution[rows]],
            **{name: getattr(self, name)[rows] for name in of_row},
            **{name: getattr(self, name)[chosen] for name in of_list},
            left_out={**self.left_out, reason: self.left_out.get(reason, 0) + left_out},
        )


def read_lists(
    source: Any,
    arms: Sequence[str],
    *,
    rewards: Mapping[str, float] | None = None,
    segment_by: Sequence[str] = (),
    retriever_id: str | None = None,
    mapping: InputMapping | None = None,
) -> LoggedLists:
    """Read whatever `scan` reads.

    Raises InvalidInputError if there is no list whose documents all have scores as fused.
    """
    table = RewardTable(rewards)
    context = ("user_id", "session_id", "retriever_id", *segment_by)
    scores = MetadataScores(arms)
    signals = SignalTable.with_types(table.own_types)
    reader = RowReader(signals, context, on_batch=scores.add, mapping=mapping)
    reader.read(source, on_error="quarantine", positions="some")
    check_mapped(*reader.scans)
    placed = place_rows(reader, reader.finish(), advice=False)
    rows = placed.rows
    scores.select(placed.kept)
    executions = find_executions(rows, context=("user_id", "session_id", *segment_by))
    used = of_retriever(rows, retriever_id)
    units = _units(rows, executions, scores.scored, reader.signals, table, used)
    return _lists(executions, scores, units, segment_by)


@dataclass(frozen=True)
class _Units:
    """Documents of executions, folded; `scored` is their row of scores, -1 without."""

    execution: Integers
    document: Integers
    position: Integers
    gain: Floats
    clicked: NDArray[np.bool_]
    scored: Integers
    size: Floats


def _units(
    rows: LogRows,
    executions: Executions,
    scored: NDArray[np.int32],
    signals: SignalTable,
    table: RewardTable,
    chosen: NDArray[np.bool_] | None,
) -> _Units:
    """Fold rows by maximum, as evidence does; without a display there is no unit."""
    masks, kind = np.unique(rows.types, return_inverse=True)
    names = [signals.names(int(mask)) for mask in masks]
    levels = np.array([table.levels(each) for each in names]).reshape(-1, 2)[kind]
    display = np.array([is_display(each) for each in names], np.bool_)[kind]
    about_document = np.array([is_document_level(each) for each in names], np.bool_)[kind]
    is_used = about_document & (executions.of_row >= 0)
    used = np.flatnonzero(is_used if chosen is None else is_used & chosen)
    document = rows.texts["feature_id"].rank("dense").to_numpy().astype(np.int64) - 1
    execution = executions.rank[executions.of_row[used]].astype(np.int64)
    named = document[rows.codes["feature_id"][used]]
    late = np.where(display[used], rows.time[used], _LATE)
    position = rows.position[used].astype(np.int64)
    order = np.lexsort((position, late, ~display[used], named, execution))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(execution[order]) != 0) | (np.diff(named[order]) != 0)
    start = np.flatnonzero(new)
    first = order[start]
    plus, minus = (_folded(levels[used, side][order], start) for side in (0, 1))
    positive, negative = np.array(table.positive), np.array(table.negative)
    units = _Units(
        execution[first],
        named[first],
        position[first],
        positive[plus] - negative[minus],
        plus > 0,
        _folded(scored[used][order], start),
        rows.carried[used[first], 2],
    )
    shown = display[used[first]]
    ordered = np.flatnonzero(shown)
    ordered = ordered[np.lexsort((units.position[ordered], units.execution[ordered]))]
    return _Units(*(getattr(units, name)[ordered] for name in _Units.__dataclass_fields__))


def _folded(values: NDArray[Any], start: Integers) -> Integers:
    if not len(start):
        return np.empty(0, np.int64)
    return np.asarray(np.maximum.reduceat(values, start), np.int64)


def _lists(
    executions: Executions,
    logged: MetadataScores,
    units: _Units,
    segment_by: Sequence[str],
) -> LoggedLists:
    shown, execution = np.unique(units.execution, return_inverse=True)
    length = np.bincount(execution, minlength=len(shown))
    scored = np.bincount(execution, weights=units.scored >= 0, minlength=len(shown))
    has_scores = scored == length
    if not has_scores.any():
        msg = (
            f"log: none of {len(shown):,} lists has the channels' scores of all its documents; log "
            "them as metadata.features = {feature_uri: {'score': ...}}, as `Fused.metadata` writes"
        )
        raise InvalidInputError(msg)
    scores, weights = logged.matrix.matrices()
    policy = np.array(logged.policy, np.int64)
    at = np.zeros(len(shown), np.int64)
    at[execution] = units.scored  # any row of the list: its weights were served once
    cluster, by = _clusters(executions, shown)
    session, _ = _clusters(executions, shown, ("session_id",))
    segment, segments = _segments(executions, shown, segment_by)
    size = np.full(len(shown), np.nan)
    size[execution] = units.size
    lists = LoggedLists(
        arms=logged.matrix.arms,
        execution=execution.astype(np.int64),
        document=units.document,
        position=units.position,
        gain=units.gain,
        clicked=units.clicked,
        x=np.nan_to_num(scores[units.scored]),
        weights=_shares(weights[at]),
        time=executions.first_time[shown],
        query=executions.query_code[shown].astype(np.int64),
        segment=segment,
        cluster=cluster,
        session=session,
        segments=segments,
        queries=executions.queries.to_list(),
        truncated=~(size <= length),
        policy=policy[at],
        policies=logged.policies,
        clustered_by=by,
        left_out={},
    )
    return lists.select(has_scores, "a document without scores as fused")


def _shares(weights: Floats) -> Floats:
    """Scale to the sum 1; what is no set of weights becomes NaN."""
    total = weights.sum(axis=1, keepdims=True)
    valid = (weights >= 0).all(axis=1, keepdims=True) & (total > 0)
    return np.where(valid, weights / np.where(valid, total, 1.0), np.nan)


def _clusters(
    executions: Executions, shown: Integers, names: Sequence[str] = tuple(_CLUSTERS)
) -> tuple[Integers, str]:
    """Return codes of the users, else the sessions, else the executions, and what they are."""
    import polars as pl

    parts, words = [], []
    for name in names:
        column = executions.context[name].gather(shown)
        if column.null_count() < len(column):
            parts.append(pl.lit(f"{name}:") + column)
            words.append(_CLUSTERS[name])
        if not column.null_count():
            break
    else:
        parts.append(pl.lit("execution:") + executions.ids.gather(shown))
        words.append("execution")
    code = pl.select(pl.coalesce(*parts).rank("dense")).to_series().to_numpy()
    return code.astype(np.int64) - 1, ", else ".join(words)


def _segments(
    executions: Executions, shown: Integers, segment_by: Sequence[str]
) -> tuple[Integers, list[tuple[str, ...]]]:
    if not segment_by:
        return np.full(len(shown), -1, np.int64), []
    columns = [executions.context[name].gather(shown).to_list() for name in segment_by]
    codes: dict[tuple[str, ...], int] = {}
    of_list = [
        -1 if None in values else codes.setdefault(values, len(codes))
        for values in zip(*columns, strict=True)
    ]
    return np.array(of_list, np.int64), list(codes)
