"""Any source of interactions as dictionary-encoded columns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np

from ..datasets._executions import Executions, find_executions
from ..datasets._quarantine import Quarantine
from ..datasets._rows import LogRows, RowReader
from ..datasets.signals import SignalTable
from ..errors import InvalidInputError
from ._columns import EventColumns
from ._decay import NO_TIME
from ._event import scores_of, usable, weights_of
from ._ids import stable_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from ._update_report import UpdateReport
    from .identity import Identity
    from .rewards import RewardTable


class ReadRows(NamedTuple):
    """Columns, and what was left out before there were any."""

    columns: EventColumns
    rows_read: int
    other_retriever: int
    bad_scores: int
    unknown_scores: int
    refused: Quarantine

    def reported(self, report: UpdateReport) -> UpdateReport:
        """Return the report of the fold of these columns with what was left out before it."""
        return replace(
            report,
            rows=self.rows_read,
            other_retriever=self.other_retriever,
            bad_scores=self.bad_scores,
            unknown_scores=self.unknown_scores,
            quarantined=self.refused.rows,
            quarantine_reasons=dict(self.refused.reasons),
        )


def read_columns(
    source: Any,
    arms: Sequence[str],
    identity: Identity,
    rewards: RewardTable,
    *,
    impressions: Any = None,
    on_error: Literal["quarantine", "raise"] = "quarantine",
) -> ReadRows:
    """Read everything that a source holds."""
    signals = SignalTable.with_types(rewards.own_types)
    reader = ScoreReader(signals, ("user_id", "session_id", "retriever_id", *identity.segment_by))
    reader.scores = ScoreRows(arms)
    reader.read(source, on_error=on_error)
    if impressions is not None:
        reader.read(impressions, on_error=on_error, default_types=["impression"])
    refused = Quarantine()
    for scan in reader.scans:
        refused.extend(scan.quarantine)
    rows = reader.finish()
    if len(rows) and not (rows.time != NO_TIME).any():
        msg = (
            "interactions: no row has a time, and evidence fades with time. Give occurred_at, or "
            "timestamp, with every interaction"
        )
        raise InvalidInputError(msg)
    columns = _columns(rows, find_executions(rows), reader, identity.segment_by)
    kept = _of_retriever(rows, identity.retriever_id)
    return ReadRows(
        columns if kept is None else _subset(columns, kept),
        rows_read=sum(scan.rows_read for scan in reader.scans),
        other_retriever=0 if kept is None else len(rows) - len(kept),
        bad_scores=reader.scores.bad,
        unknown_scores=reader.scores.unknown,
        refused=refused,
    )


class ScoreRows:
    """Per-channel scores and served weights of the rows that have them."""

    def __init__(self, arms: Sequence[str]) -> None:
        self.arms = tuple(arms)
        self._codes = {uri: i for i, uri in enumerate(arms)}
        self._missing = [math.nan] * len(self.arms)
        self._scores: list[list[float]] = []
        self._weights: list[list[float]] = []
        self.bad = self.unknown = 0

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, scores: Mapping[str, Any], weights: Mapping[str, Any] | None) -> None:
        """Append one row."""
        self._scores.append(self._row(scores, unknown=True))
        self._weights.append(self._row(weights, unknown=False) if weights else self._missing)

    def matrices(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return scores and weights, shape (rows, arms) each; NaN where missing."""
        shape = (len(self._scores), len(self.arms))
        return np.array(self._scores).reshape(shape), np.array(self._weights).reshape(shape)

    def _row(self, values: Mapping[str, Any], *, unknown: bool) -> list[float]:
        row = self._missing.copy()
        for uri, value in values.items():
            at = self._codes.get(uri)
            if at is None:
                self.unknown += unknown
                continue
            row[at] = usable(value)
            self.bad += math.isnan(row[at])
        return row


class ScoreReader(RowReader):
    """Rows with the scores that their metadata hold; `_also` may note more of such a row."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.scores = ScoreRows(())
        self.scored: list[NDArray[np.int32]] = []

    def _add(self, batch: pl.DataFrame, own_context: set[str]) -> None:
        super()._add(batch, own_context)
        codes = np.full(len(batch), -1, np.int32)
        metadata = batch["metadata"]
        told = metadata.str.contains('"features"', literal=True).fill_null(value=False)
        chosen = np.flatnonzero(told.to_numpy())
        for row, text in zip(chosen.tolist(), metadata.gather(chosen).to_list(), strict=True):
            fields = msgspec.json.decode(text)
            scores = scores_of(fields.get("features"))
            if scores is not None:
                codes[row] = len(self.scores)
                self.scores.add(scores, weights_of(fields))
                self._also(fields)
        self.scored.append(codes)

    def _also(self, fields: Mapping[str, Any]) -> None:
        """Note what else the metadata of a row with scores say."""


def _columns(
    rows: LogRows,
    executions: Executions,
    reader: ScoreReader,
    segment_by: tuple[str, ...],
) -> EventColumns:
    masks = np.unique(rows.types)
    segment, segments = _segments(rows, segment_by)
    return EventColumns(
        execution=executions.of_row,
        executions=stable_ids(executions.ids.to_list())[executions.rank],
        document=rows.codes["feature_id"],
        documents=stable_ids(rows.texts["feature_id"].to_list()),
        types=np.searchsorted(masks, rows.types).astype(np.int32),
        type_sets=[_names(int(mask), reader.signals) for mask in masks],
        time=rows.time,
        position=rows.position,
        feature_uri=rows.codes["feature_uri"],
        feature_uris=rows.texts["feature_uri"].to_list(),
        user=rows.codes["user_id"],
        users=stable_ids(rows.texts["user_id"].to_list()),
        session=rows.codes["session_id"],
        sessions=stable_ids(rows.texts["session_id"].to_list()),
        segment=segment,
        segments=segments,
        **_score_columns(reader),
    )


def _score_columns(reader: ScoreReader) -> dict[str, Any]:
    if not len(reader.scores):
        return {}
    scores, weights = reader.scores.matrices()
    return {
        "scores": scores,
        "weights": weights,
        "scored": np.concatenate(reader.scored),
        "score_uris": reader.scores.arms,
    }


def _names(mask: int, signals: SignalTable) -> list[str]:
    return [name for bit, name in enumerate(signals.vocabulary) if mask >> bit & 1]


def _segments(
    rows: LogRows, segment_by: tuple[str, ...]
) -> tuple[NDArray[np.int32] | None, list[tuple[str, ...]]]:
    """Return the segment of every row, -1 where a value is missing, and the segments."""
    if not segment_by:
        return None, []
    codes = np.stack([rows.codes[name] for name in segment_by], axis=1)
    known = (codes >= 0).all(axis=1)
    distinct, inverse = np.unique(codes[known], axis=0, return_inverse=True)
    segment = np.full(len(codes), -1, np.int32)
    segment[known] = inverse.ravel()
    texts = [rows.texts[name].to_list() for name in segment_by]
    return segment, [tuple(t[c] for t, c in zip(texts, row, strict=True)) for row in distinct]


def _of_retriever(rows: LogRows, retriever_id: str | None) -> NDArray[np.int64] | None:
    """Return the rows of one retriever; those that name none are its own."""
    if retriever_id is None:
        return None
    texts = rows.texts["retriever_id"].to_list()
    own = texts.index(retriever_id) if retriever_id in texts else -1
    return np.flatnonzero(np.isin(rows.codes["retriever_id"], [own, -1]))


def _subset(columns: EventColumns, kept: NDArray[np.int64]) -> EventColumns:
    """Return some rows; the dictionaries stay."""
    names = ["execution", "document", "types", "time", "position", "feature_uri"]
    names += ["user", "session", "segment", "scored", "live"]
    changed = {name: getattr(columns, name) for name in names}
    return replace(columns, **{n: c[kept] for n, c in changed.items() if c is not None})
