"""Any source of interactions as dictionary-encoded columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
import numpy as np

from ..._shared.ids import stable_ids
from ...datasets.pairs.executions import Executions, find_executions
from ...datasets.pairs.placement import place_rows
from ...datasets.pairs.row_reader import SNAPSHOT, LogRows, RowReader
from ...datasets.pairs.text_codes import recode
from ...datasets.quality.positions import PositionCounts, position_notes
from ...datasets.reading.quarantine import Quarantine
from ...datasets.reading.scan import check_mapped
from ...datasets.record.signals import SignalTable
from ...errors import InvalidInputError
from ..base.timestamps import NO_TIME, as_datetime, moment_of
from .columns import EventColumns
from .logged_scores import ScoreMatrix, scores_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from ...datasets.pairs.placement import PositionsOf
    from ...datasets.reading.scan import Positions
    from ...datasets.record.mapping import InputMapping
    from ..base.identity import Identity
    from ..base.rewards import RewardTable
    from .update_report import UpdateReport


_MIN_LISTS: Final = 20
"""Fewer may well be later pages only."""


class ReadRows(NamedTuple):
    """Columns, and what was left out before there were any.

    `lists`, `lowest`: how many executions there are, and the lowest position, -1 without any row.
    """

    columns: EventColumns
    rows_read: int
    other_retriever: int
    bad_scores: int
    unknown_scores: int
    future_times: int
    rows_placed: int
    refused: Quarantine
    lists: int
    lowest: int
    scan_notes: list[str]

    @property
    def notes(self) -> list[str]:
        """What was read otherwise than written, and what looks wrong about the positions."""
        return [*self.scan_notes, *notes_of_positions(self.lists, self.lowest)]

    def reported(self, report: UpdateReport) -> UpdateReport:
        """Return the report of the fold of these columns with what was left out before it."""
        return replace(
            report,
            rows=self.rows_read,
            other_retriever=self.other_retriever,
            bad_scores=self.bad_scores,
            unknown_scores=self.unknown_scores,
            future_times=self.future_times + report.future_times,
            rows_placed=self.rows_placed,
            quarantined=self.refused.rows,
            quarantine_reasons=dict(self.refused.reasons),
            notes=self.notes,
        )


def read_columns(
    source: Any,
    arms: Sequence[str],
    identity: Identity,
    rewards: RewardTable,
    *,
    impressions: Any = None,
    mapping: InputMapping | None = None,
    on_error: Literal["quarantine", "raise"] = "quarantine",
    now: int | None = None,
    with_queries: bool = False,
    earlier: PositionsOf | None = None,
) -> ReadRows:
    """Read everything that a source holds; times after `now` become it, None: the clock's.

    `with_queries`: say of every row that has a query snapshot which query it is. `earlier`: what
    was shown before, for rows without a position whose display is not in these sources.
    """
    signals = SignalTable.with_types(rewards.own_types)
    context = ("user_id", "session_id", "retriever_id", *identity.segment_by)
    scores, moment = MetadataScores(arms), moment_of(now)
    reader = RowReader(
        signals, context, on_batch=scores.add, mapping=mapping, now=as_datetime(moment)
    )
    positions: Positions = "some" if impressions is None and earlier is None else "optional"
    reader.read(source, on_error=on_error, positions=positions)
    if impressions is not None:
        reader.read(impressions, on_error=on_error, default_types=["impression"])
    check_mapped(*reader.scans)
    placed = place_rows(reader, reader.finish(), advice=False, earlier=earlier)
    rows = placed.rows
    scores.select(placed.kept)
    refused = Quarantine()
    for scan in reader.scans:
        refused.extend(scan.quarantine)
    if len(rows) and not (rows.time != NO_TIME).any():
        msg = (
            "interactions: no row has a time, and evidence decays with time. Give occurred_at, or "
            "timestamp, with every interaction"
        )
        raise InvalidInputError(msg)
    executions = find_executions(rows)
    columns = _columns(rows, executions, scores, signals, identity.segment_by)
    if with_queries:
        columns = replace(
            columns,
            query=recode(rows.codes[SNAPSHOT], executions.query_of_text),
            queries=executions.queries[: executions.own_queries_from].to_list(),
        )
    chosen = of_retriever(rows, identity.retriever_id)
    return ReadRows(
        columns if chosen is None else columns.take(np.flatnonzero(chosen)),
        rows_read=sum(scan.rows_read for scan in reader.scans),
        other_retriever=0 if chosen is None else int((~chosen).sum()),
        bad_scores=scores.matrix.bad,
        unknown_scores=scores.matrix.unknown,
        future_times=sum(scan.rows_of_future for scan in reader.scans),
        rows_placed=placed.placed,
        refused=refused,
        lists=len(executions.ids),
        lowest=int(rows.position.min()) if len(rows) else -1,
        scan_notes=[note for scan in reader.scans for note in scan.notes],
    )


def notes_of_positions(lists: int, lowest: int) -> list[str]:
    """Return a note where no row is at the first position, as where positions count from 1."""
    if lists < _MIN_LISTS:
        return []
    return position_notes(PositionCounts(lists, lowest, 0, 0, 0))


def decoded(metadata: str) -> dict[str, Any]:
    """Return the fields of metadata; none where a table holds text that is no JSON after all."""
    try:
        return dict(msgspec.json.decode(metadata))
    except (ValueError, RecursionError):
        return {}


class MetadataScores:
    """Scores, served weights and policies that the metadata of rows hold, batch by batch.

    Attributes
    ----------
    matrix : ScoreMatrix
        Scores and weights of the rows that have scores.
    policy : list of int
        Index into `policies` of each of these rows, -1 where none was logged.
    policies : list of str
    """

    def __init__(self, arms: Sequence[str]) -> None:
        self.matrix = ScoreMatrix(arms)
        self.policy: list[int] = []
        self.policies: list[str] = []
        self._scored: list[NDArray[np.int32]] = []

    @property
    def scored(self) -> NDArray[np.int32]:
        """Row of `matrix` of every row that was read, -1 where it has no scores."""
        return np.concatenate([np.empty(0, np.int32), *self._scored])

    def select(self, kept: NDArray[np.bool_] | None) -> None:
        """Keep some of the rows that were read; None: all."""
        if kept is not None:
            self._scored = [self.scored[kept]]

    def add(self, batch: pl.DataFrame) -> None:
        """Read the metadata of a batch of rows."""
        scored = np.full(len(batch), -1, np.int32)
        metadata = batch["metadata"]
        # Most metadata hold no scores, and decoding JSON is what costs here.
        candidate = metadata.str.contains('"features"', literal=True).fill_null(value=False)
        chosen = np.flatnonzero(candidate.to_numpy())
        for row, text in zip(chosen.tolist(), metadata.gather(chosen).to_list(), strict=True):
            fields = decoded(text)
            scores = scores_of(fields.get("features"))
            if scores is not None:
                scored[row] = len(self.matrix)
                self.matrix.add(scores, weights_of(fields))
                self.policy.append(self._policy_of(fields))
        self._scored.append(scored)

    def _policy_of(self, fields: Mapping[str, Any]) -> int:
        fusion = fields.get("fusion")
        policy = fusion.get("policy") if isinstance(fusion, dict) else None
        if policy is None:
            return -1
        if str(policy) not in self.policies:
            self.policies.append(str(policy))
        return self.policies.index(str(policy))


def _columns(
    rows: LogRows,
    executions: Executions,
    scores: MetadataScores,
    signals: SignalTable,
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
        type_sets=[signals.names(int(mask)) for mask in masks],
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
        **_score_columns(scores),
    )


def _score_columns(scores: MetadataScores) -> dict[str, Any]:
    if not len(scores.matrix):
        return {}
    values, weights = scores.matrix.matrices()
    return {
        "scores": values,
        "weights": weights,
        "scored": scores.scored,
        "score_uris": scores.matrix.arms,
    }


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


def of_retriever(rows: LogRows, retriever_id: str | None) -> NDArray[np.bool_] | None:
    """Return which rows are of a retriever, or name none; None where all are."""
    texts = rows.texts["retriever_id"].to_list()
    if retriever_id is None or not set(texts) - {retriever_id}:
        return None
    code = texts.index(retriever_id) if retriever_id in texts else -1
    return np.isin(rows.codes["retriever_id"], [code, -1])
