"""Interactions to training pairs: `load_pairs`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ..._shared.checks import checked_number
from ...errors import InvalidInputError, NoExposuresError, did_you_mean
from ..quality.bots import ClickLists, find_bots
from ..quality.notes import RowCounts, quarantine_notes, query_notes, share
from ..quality.positions import PositionCounts, position_notes
from ..reading.displays import attribution_window
from ..reading.open_sources import OpenedSources
from ..reading.quarantine import Quarantine, check_format
from ..reading.scan import check_mapped
from ..record.mapping import InputMapping
from ..record.signals import SignalTable
from ..record.times import microseconds
from .confounding import confounded_features
from .executions import Executions, find_executions
from .features import (
    impression_features,
    join_features,
    read_feature_table,
    without_outcomes,
)
from .fold import CARRIED, NO_TIME, FoldCounts, PairColumns, RowColumns, SignalMasks, group_pairs
from .judgments import join_judgments, read_judgments
from .load_report import LoadReport
from .placement import PlacedRows, place_rows
from .row_reader import LogRows, RowReader
from .text_codes import ranks
from .training_pairs import TrainingPairs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from ..reading.scan import Positions
    from ..record.mapping import TimeUnit

BUILTIN_FEATURES: Final = CARRIED
"""Features that the log itself holds."""

MAX_ABSENT: Final = 0.05
"""Share of the interactions' executions, or documents, that impressions may lack without a note."""

_DAY: Final = 86_400_000_000


def load_pairs(
    source: Any,
    *,
    features: Any = None,
    impressions: Any = None,
    judgments: Any = None,
    builtin_features: Sequence[str] = BUILTIN_FEATURES,
    context: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
    half_life: float | None = None,
    now: datetime | None = None,
    drop_bots: bool = False,
    attribution: str | None = None,
    on_error: Literal["quarantine", "raise"] = "quarantine",
    quarantine: str | Path | None = None,
) -> TrainingPairs:
    """Turn stored interactions into query-document pairs, one per execution and document.

    A pair's rows fold by maximum, so neither their order nor repeats change anything: its grade
    is the highest of its signals (a return to the results takes a plain click back), its position
    that of the earliest event.

    Parameters
    ----------
    source : path, glob, list of paths, table or list of dicts
        Interactions; see `Scan` for what is read.
    features : path or table, optional
        Columns keyed by ``feature_id``, or by ``execution_id`` and ``feature_id``. Text and truth
        values become categorical features, dates and times days since 1970. What is absent is NaN.
    impressions : path or table, optional
        What was shown, where the interactions do not say: ``execution_id``, ``feature_id``,
        ``position``, and possibly ``document_score``, a time, and further columns of numbers, truth
        values or declared categories (Categorical, Enum), which become features. Of all features,
        those that nearly determine the click are outcomes of it: they are left out and reported.
    judgments : path or table, optional
        Grades by people or models: ``query`` (as it is logged; with a `query_key` column, its id),
        ``feature_id``, ``grade`` (higher is better) and possibly ``source``, which names who
        judged. `Ranker` blends them with the clicks, each source as far as it agrees with them.
    builtin_features : sequence of str
        Which of the log's own columns become features; those that are nowhere filled do not.
    context : sequence of str
        Columns or metadata fields that describe an execution, such as ``"device"``.
    columns : mapping of str to str, optional
        Field of the interaction -> column of the tables, where their names differ.
    types : mapping of str to str, optional
        Type in the tables -> interaction type, built-in or named in `grades`.
    position_base : {0, 1}
        Position of the first result in the tables.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of times that are numbers, counted since 1970; without one they are refused.
    grades : mapping of str to int, optional
        Interaction type -> grade from 0 to 30, over the defaults; new names are new types.
    query_key : callable or str, optional
        Function from the parsed query snapshot to a query id, or the name of a column that holds
        the id; `canonical_query` if None.
    half_life : float, optional
        Days after which an execution weighs half: weights are proportional to
        2^(-age / half_life), and 1 in the mean over the executions.
    now : datetime, optional
        Where age is counted from; the log's last event if None. Naive means UTC.
    drop_bots : bool
        Whether to leave out executions that look like those of bots, by the rule stated in
        `rankloom.datasets.quality.bots`. A note says where there are any.
    attribution : str, optional
        A row without a position, such as a late purchase, takes that of its document in its
        execution. One that names no execution is quarantined, or, where this is a duration such as
        ``"12h"`` or ``"7d"``, attributed to its user's last display of the document within that
        time before it. All are counted in the report.
    on_error : {"quarantine", "raise"}
        What happens to a row that breaks a rule of the record.
    quarantine : path, optional
        File (.jsonl, .csv or .parquet) that takes the refused rows with their reasons.

    Returns
    -------
    TrainingPairs
        With the account of every row in its `report`.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    NoExposuresError
        If the log holds no document that was shown and not clicked.
    InvalidInputError
        If a parameter is wrong, or no row makes a pair.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs
    >>> shown = {"execution_id": "e", "interaction_type": ["impression"]}
    >>> rows = [{**shown, "feature_id": d, "position": i} for i, d in enumerate("abc")]
    >>> rows.append({**rows[1], "interaction_type": ["click"]})
    >>> pairs = load_pairs(rows)
    >>> pairs.document_id.to_list(), pairs.y.tolist()
    (['a', 'b', 'c'], [0.0, 1.0, 0.0])
    """
    _check_names(builtin_features, context)
    _check_values(half_life, now, drop_bots, quarantine)
    window = attribution_window(attribution)
    # Read first: a wrong table should not cost the time that the log takes.
    mapping = InputMapping.of(columns, types, position_base, time_unit)
    own_features = None if features is None else read_feature_table(features, mapping=mapping)
    judged = None if judgments is None else read_judgments(judgments, mapping, query_key)
    if impressions is not None:
        impressions = OpenedSources(impressions, "impressions")
    query_column = query_key if isinstance(query_key, str) else None
    used = [*context, query_column or ""]
    shown = None if impressions is None else impression_features(impressions, mapping, used)
    signals = SignalTable(grades)
    clock = datetime.now(UTC)
    reader = RowReader(signals, context, query_column, users=True, mapping=mapping, now=clock)
    positions: Positions = "some" if impressions is None else "optional"
    reader.read(source, on_error=on_error, positions=positions)
    if impressions is not None:
        reader.read(impressions, on_error=on_error, default_types=["impression"])
    check_mapped(*reader.scans)
    rows = reader.finish()
    reader.date_future_rows(rows, microseconds(clock))
    meeting = [] if impressions is None else _meeting_notes(rows)
    placed = place_rows(reader, rows, query_key=query_key, window=window)
    rows = placed.rows
    refused = Quarantine()
    for scan in reader.scans:
        refused.extend(scan.quarantine)
    if quarantine is not None:
        refused.write(quarantine)
    report = _report_of_rows(reader, placed, refused, signals)
    _check_rows(rows, report, context)
    report.notes += meeting
    executions = find_executions(rows, context=context, query_key=query_key)
    chosen = [name for name in builtin_features if rows.filled[name]]
    folded, counts = _fold(rows, executions, signals, chosen)
    folded = _judge_bots(folded, executions, report, drop=drop_bots)
    _complete(report, folded, counts, executions)
    age_from = microseconds(now) if now else int(rows.time.max())
    recency = _recency(executions.first_time[folded.group > 0], age_from, half_life)
    documents = rows.texts["feature_id"].sort()
    pairs = _assemble(folded, executions, documents, chosen, recency, report)
    if "feature_uri" in chosen:
        pairs.categories["feature_uri"] = tuple(rows.texts["feature_uri"].sort())
    del rows, placed, folded
    for table, parameter in ((shown, "impressions"), (own_features, "features")):
        if table is not None:
            pairs = join_features(pairs, table, parameter)
    pairs = without_outcomes(pairs)
    report.notes += [f"{name!r} left out: {why}" for name, why in report.features_left_out.items()]
    report.confounded = confounded_features(pairs)
    return pairs if judged is None else join_judgments(pairs, judged, own_features)


def _check_names(builtin_features: Sequence[str], context: Sequence[str]) -> None:
    for name, value in (("builtin_features", builtin_features), ("context", context)):
        if isinstance(value, str):
            msg = f"{name}: expected a sequence of names such as ({value!r},), got {value!r}"
            raise InvalidInputError(msg)
    for name in builtin_features:
        if name not in BUILTIN_FEATURES:
            msg = (
                f"builtin_features: expected names out of {list(BUILTIN_FEATURES)}, got {name!r}."
                f"{did_you_mean(name, BUILTIN_FEATURES)}"
            )
            raise InvalidInputError(msg)


def _check_values(half_life: Any, now: Any, drop_bots: Any, quarantine: Any) -> None:
    if half_life is not None:
        checked_number("half_life", half_life, 0, between=True)
    if now is not None and not isinstance(now, datetime):
        msg = f"now: expected a datetime such as datetime(2026, 1, 31, tzinfo=UTC), got {now!r}"
        raise InvalidInputError(msg)
    if not isinstance(drop_bots, bool):
        msg = f"drop_bots: expected True or False, got {drop_bots!r}"
        raise InvalidInputError(msg)
    if quarantine is not None:
        check_format(quarantine)


def _report_of_rows(
    reader: RowReader, placed: PlacedRows, refused: Quarantine, signals: SignalTable
) -> LoadReport:
    rows = placed.rows
    report = LoadReport(
        rows_read=sum(scan.rows_read for scan in reader.scans),
        rows_kept=len(rows),
        quarantined=refused.rows,
        quarantine_reasons=dict(refused.reasons),
        rows_placed=placed.placed,
        rows_attributed=placed.attributed,
        rows_unplaced=placed.refused,
        coverage={name: count / max(len(rows), 1) for name, count in rows.filled.items()},
    )
    report.notes += [note for scan in reader.scans for note in scan.notes]
    if refused.rows:
        counts = RowCounts(
            report.rows_read,
            report.quarantined,
            positive_kept=int(np.count_nonzero(rows.types & signals.positive)),
            positive_quarantined=sum(scan.refused_of(signals.positive) for scan in reader.scans),
            untyped=sum(scan.refused_untyped for scan in reader.scans),
            reasons=report.quarantine_reasons,
        )
        report.notes += quarantine_notes(counts)
    return report


def _meeting_notes(rows: LogRows) -> list[str]:
    """Return what to say of ids of the interactions that the impressions do not have."""
    notes = []
    for name, noun in (("execution_id", "executions"), ("feature_id", "documents")):
        texts = rows.texts[name]
        logged, shown = (
            np.unique(codes[codes >= 0]) for codes in np.split(rows.codes[name], [rows.shown_from])
        )
        absent = np.setdiff1d(logged, shown, assume_unique=True)
        if len(shown) and len(absent) > MAX_ABSENT * len(logged):
            part = share(len(absent), len(logged), f"{noun} of the interactions")
            notes.append(
                f"impressions: {part} do not occur in the impressions, such as "
                f"{texts[int(absent[0])]!r}, while these have {noun} such as "
                f"{texts[int(shown[0])]!r}. If the same ids are written in two ways, align them"
            )
    return notes


def _check_rows(rows: LogRows, report: LoadReport, context: Sequence[str]) -> None:
    if not len(rows):
        reasons = "; ".join(list(report.quarantine_reasons)[:3])
        msg = f"source: no valid interaction among {report.rows_read} rows read" + (
            f" ({reasons}). Give quarantine=PATH to see all of them" if reasons else ""
        )
        raise InvalidInputError(msg)
    for name in context:
        if rows.texts[name].is_empty():
            msg = (
                f"context: {name!r} is neither a column nor a field of metadata in any row; "
                "check the name, or leave it out"
            )
            raise InvalidInputError(msg)


def _fold(
    rows: LogRows,
    executions: Executions,
    signals: SignalTable,
    features: Sequence[str],
) -> tuple[PairColumns, FoldCounts]:
    """Group rows into pairs."""
    columns = RowColumns(
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
        channel_rank=ranks(rows.texts["feature_uri"]).astype(np.float64),
    )
    masks = SignalMasks(
        signals.grade.copy(),
        signals.list_level,
        signals.negative,
        signals.impression,
        signals.return_to_results,
    )
    return group_pairs(columns, masks)


def _judge_bots(
    folded: PairColumns, executions: Executions, report: LoadReport, *, drop: bool
) -> PairColumns:
    """Report executions that look like those of bots; return the pairs, if asked without theirs."""
    lists = ClickLists(folded.group, folded.position, folded.clicked, executions.user)
    bots = find_bots(lists)
    report.bot_executions, report.bot_users = int(bots.lists.sum()), bots.users
    report.notes += bots.notes(dropped=drop)
    if not drop or not report.bot_executions:
        return folded
    report.executions_dropped["likely bots"] = report.bot_executions
    rows = ~np.repeat(bots.lists, folded.group)
    group = np.where(bots.lists, 0, folded.group)
    return PairColumns._make([group, *(column[rows] for column in folded[1:])])


def _complete(
    report: LoadReport, folded: PairColumns, counts: FoldCounts, executions: Executions
) -> None:
    """Add to the report what the grouping found, and refuse logs that cannot be debiased."""
    report.duplicates = counts.duplicates
    report.rows_kept -= counts.duplicates
    report.list_level_rows = counts.list_level_rows
    report.rows_without_execution = int((executions.of_row < 0).sum())
    report.executions = int((folded.group > 0).sum())
    report.position_conflicts = counts.position_conflicts
    report.rows_given_query = executions.rows_given_query
    own_query = executions.query_code >= executions.own_queries_from
    report.executions_without_query = int((own_query & (folded.group > 0)).sum())
    report.notes += position_notes(PositionCounts.of(folded.group, folded.position))
    report.notes += query_notes(report.executions_without_query, report.executions)
    dropped = {
        "only clicked documents were logged": counts.clicks_only,
        "only list-level interactions": counts.list_level_only,
    }
    report.executions_dropped |= {reason: count for reason, count in dropped.items() if count}
    if counts.clicks_only and folded.clicked.all():
        raise NoExposuresError(_NO_EXPOSURES)
    if not len(folded.document):
        msg = (
            f"source: no pair could be made: {report.rows_without_execution} rows name no "
            "execution (execution_id, or session_id with query_snapshot), "
            f"{counts.list_level_rows} rows describe the list only"
        )
        raise InvalidInputError(msg)
    if folded.clicked.all():
        raise NoExposuresError(_NO_EXPOSURES)


_NO_EXPOSURES: Final = (
    "source: every document in the log was clicked, so nothing says what was shown and passed "
    "over. Log an interaction of type 'impression' for every shown document, or give "
    "impressions=TABLE with execution_id, feature_id and position"
)


def _assemble(
    folded: PairColumns,
    executions: Executions,
    documents: pl.Series,
    features: Sequence[str],
    recency: tuple[NDArray[np.float32], NDArray[np.float32]],
    report: LoadReport,
) -> TrainingPairs:
    kept = np.flatnonzero(folded.group)
    group, first = folded.group[kept], executions.first_time[kept]
    age, weight = recency
    return TrainingPairs(
        X=folded.X,
        y=folded.grade,
        clicked=folded.clicked,
        negative=folded.negative,
        group=group,
        position=folded.position,
        document_score=folded.score,
        age_days=np.repeat(age, group),
        weight=np.repeat(weight, group),
        time=np.where(first == NO_TIME, np.iinfo(np.int64).min, first).view("datetime64[us]"),
        execution_id=executions.ids.gather(kept),
        query_code=executions.query_code[kept],
        queries=executions.queries,
        document_code=folded.document,
        documents=documents,
        feature_names=tuple(features),
        context={name: values.gather(kept) for name, values in executions.context.items()},
        report=report,
    )


def _recency(
    first_time: NDArray[np.int64], age_from: int, half_life: float | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return age in days and weight of every execution; its age is that of its first event."""
    unknown = first_time == NO_TIME
    if half_life is not None and unknown.any():
        msg = (
            f"half_life: {int(unknown.sum())} of {len(unknown)} executions have no time, so they "
            "have no age. Add occurred_at or timestamp (to the impressions table too), or leave "
            "half_life out"
        )
        raise InvalidInputError(msg)
    age = np.where(unknown, np.nan, np.maximum(age_from - first_time, 0) / _DAY)
    if half_life is None:
        return age.astype(np.float32), np.ones(len(age), np.float32)
    # From the newest execution: 2^(-age) of a log that ended long ago would be 0 in float32.
    weight = np.exp2((age.min(initial=np.inf) - age) / half_life)
    return age.astype(np.float32), (weight / weight.mean()).astype(np.float32)
