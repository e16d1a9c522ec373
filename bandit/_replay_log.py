"""A log made ready for replay: what was shown, what came of it, and the weights behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..datasets._executions import Executions, find_executions
from ..datasets.signals import SignalTable
from ..errors import InvalidInputError
from ._reading import ScoreReader, ScoreRows
from .rewards import RewardTable, is_display, speaks_of_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..datasets._rows import LogRows

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_CLUSTERS: Final = {"user_id": "user", "session_id": "session"}
_LATE: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class LoggedLists:
    """Lists that were shown, with the channels' scores of all their documents.

    Attributes
    ----------
    arms : tuple of str
    execution, document, position : ndarray of int64, shape (n,)
        One row for each document of each execution, in order of execution and position. Documents
        are numbered in the alphabetical order of their ids, which breaks ties.
    gain : ndarray of float64, shape (n,)
        Reward, scaled so that the highest is 1: the highest positive one less the highest negative
        one of the document's interactions.
    clicked : ndarray of bool, shape (n,)
        Whether there was a positive reward.
    x : ndarray of float64, shape (n, arms)
        Scores as fused, 0 where a channel missed the document.
    weights : ndarray of float64, shape (e, arms)
        Weights that were served, with the sum 1; NaN where they were not logged.
    time : ndarray of int64, shape (e,)
        First display, in microseconds.
    query, segment, cluster, session : ndarray of int64, shape (e,)
        Codes; -1 where there is no segment.
    segments : list of tuple of str
    truncated : ndarray of bool, shape (e,)
        Whether more documents were found than shown, as far as result_set_size tells.
    policy : ndarray of int64, shape (e,)
        Code, -1 where none was logged.
    policies : list of str
    clustered_by : str
        What clusters are, in words.
    left_out : dict of str to int
        Executions that cannot be replayed, by reason.
    """

    arms: tuple[str, ...]
    execution: Integers
    document: Integers
    position: Integers
    gain: Floats
    clicked: NDArray[np.bool_]
    x: Floats
    weights: Floats
    time: Integers
    query: Integers
    segment: Integers
    cluster: Integers
    session: Integers
    segments: list[tuple[str, ...]]
    truncated: NDArray[np.bool_]
    policy: Integers
    policies: list[str]
    clustered_by: str
    left_out: dict[str, int]

    @property
    def executions(self) -> int:
        """Number of lists."""
        return len(self.query)

    @property
    def weighted(self) -> NDArray[np.bool_]:
        """Whether the served weights of each list are known; shape (e,)."""
        return np.asarray(~np.isnan(self.weights).any(axis=1))

    def keep(self, chosen: NDArray[np.bool_], reason: str) -> LoggedLists:
        """Return some of the lists, and count the others under a reason."""
        gone = int((~chosen).sum())
        if not gone:
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
            left_out={**self.left_out, reason: self.left_out.get(reason, 0) + gone},
        )


def read_lists(
    source: Any,
    arms: Sequence[str],
    *,
    rewards: Mapping[str, float] | None = None,
    segment_by: Sequence[str] = (),
    retriever_id: str | None = None,
) -> LoggedLists:
    """Read whatever `scan` reads.

    Raises
    ------
    InvalidInputError
        If there is no list whose documents all have scores as fused.
    """
    table = RewardTable(rewards)
    context = ("user_id", "session_id", "retriever_id", *segment_by)
    reader = _Reader(SignalTable.with_types(table.own_types), context)
    reader.scores = ScoreRows(arms)
    reader.read(source, on_error="quarantine")
    rows = reader.finish()
    executions = find_executions(rows, context=("user_id", "session_id", *segment_by))
    units = _units(rows, executions, reader, table, _own(rows, retriever_id))
    return _lists(executions, reader, units, segment_by)


class _Reader(ScoreReader):
    """Rows with the scores, weights and policies that their metadata hold."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.policy: list[int] = []
        self.policies: dict[str, int] = {}

    def _also(self, fields: Mapping[str, Any]) -> None:
        self.policy.append(self._policy_of(fields))

    def _policy_of(self, fields: Mapping[str, Any]) -> int:
        fusion = fields.get("fusion")
        name = fusion.get("policy") if isinstance(fusion, dict) else None
        return -1 if name is None else self.policies.setdefault(str(name), len(self.policies))


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


def _own(rows: LogRows, retriever_id: str | None) -> NDArray[np.bool_]:
    if retriever_id is None:
        return np.ones(len(rows), np.bool_)
    texts = rows.texts["retriever_id"].to_list()
    own = texts.index(retriever_id) if retriever_id in texts else -1
    return np.isin(rows.codes["retriever_id"], [own, -1])


def _units(
    rows: LogRows,
    executions: Executions,
    reader: _Reader,
    table: RewardTable,
    own: NDArray[np.bool_],
) -> _Units:
    """Fold rows by maximum, as evidence does; without a display there is no unit."""
    masks, kind = np.unique(rows.types, return_inverse=True)
    names = [
        [name for bit, name in enumerate(reader.signals.vocabulary) if int(mask) >> bit & 1]
        for mask in masks
    ]
    levels = np.array([table.levels(each) for each in names]).reshape(-1, 2)[kind]
    display = np.array([is_display(each) for each in names], np.bool_)[kind]
    about = np.array([speaks_of_document(each) for each in names], np.bool_)[kind]
    used = np.flatnonzero(own & about & (executions.of_row >= 0))
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
    scored = np.concatenate(reader.scored)[used][order] if reader.scored else order
    plus, minus = (_folded(levels[used, side][order], start) for side in (0, 1))
    positive, negative = np.array(table.positive), np.array(table.negative)
    units = _Units(
        execution[first],
        named[first],
        position[first],
        positive[plus] - negative[minus],
        plus > 0,
        _folded(scored, start),
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
    reader: _Reader,
    units: _Units,
    segment_by: Sequence[str],
) -> LoggedLists:
    shown, execution = np.unique(units.execution, return_inverse=True)
    length = np.bincount(execution, minlength=len(shown))
    has = np.bincount(execution, weights=units.scored >= 0, minlength=len(shown)) == length
    if not has.any():
        msg = (
            f"log: none of {len(shown):,} lists has the channels' scores of all its documents; log "
            "them as metadata.features = {feature_uri: {'score': ...}}, as `Fused.metadata` writes"
        )
        raise InvalidInputError(msg)
    scores, weights = reader.scores.matrices()
    policy = np.array(reader.policy, np.int64)
    at = np.zeros(len(shown), np.int64)
    at[execution] = units.scored  # any row of the list: its weights were served once
    cluster, by = _clusters(executions, shown)
    session, _ = _clusters(executions, shown, ("session_id",))
    segment, segments = _segments(executions, shown, segment_by)
    size = np.full(len(shown), np.nan)
    size[execution] = units.size
    found = LoggedLists(
        arms=reader.scores.arms,
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
        truncated=~(size <= length),
        policy=policy[at],
        policies=list(reader.policies),
        clustered_by=by,
        left_out={},
    )
    return found.keep(has, "a document without scores as fused")


def _shares(weights: Floats) -> Floats:
    """Scale to the sum 1; what is no set of weights becomes NaN."""
    total = weights.sum(axis=1, keepdims=True)
    sound = (weights >= 0).all(axis=1, keepdims=True) & (total > 0)
    return np.where(sound, weights / np.where(sound, total, 1.0), np.nan)


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
