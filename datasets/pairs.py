"""Interactions to training pairs: `load_pairs`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ..errors import InvalidInputError, NoExposuresError, did_you_mean
from ._codes import ranks
from ._executions import Executions, find_executions
from ._grouping import NO_TIME, FoldCounts, PairColumns, RowColumns, SignalMasks, group_pairs
from ._quarantine import Quarantine, check_format
from ._rows import CARRIED, LogRows, RowReader
from .confounding import confounded_features
from .features import impression_features, join_features, read_feature_table
from .reports import LoadReport
from .signals import SignalTable
from .training_pairs import TrainingPairs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

BUILTIN_FEATURES: Final = CARRIED
"""Features that the log itself holds."""

_DAY: Final = 86_400_000_000


def load_pairs(
    source: Any,
    *,
    features: Any = None,
    impressions: Any = None,
    builtin_features: Sequence[str] = BUILTIN_FEATURES,
    context: Sequence[str] = (),
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
    half_life: float | None = None,
    now: datetime | None = None,
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
        Numeric columns keyed by ``feature_id``, or by ``execution_id`` and ``feature_id``. What is
        absent is NaN.
    impressions : path or table, optional
        What was shown, where the interactions do not say: ``execution_id``, ``feature_id``,
        ``position``, and possibly ``document_score``, a time, and further numeric columns, which
        become features.
    builtin_features : sequence of str
        Which of the log's own columns become features; those that are nowhere filled do not.
    context : sequence of str
        Columns or metadata fields that describe an execution, such as ``"device"``.
    grades : mapping of str to int, optional
        Interaction type -> grade from 0 to 30, over the defaults; new names are new types.
    query_key : callable or str, optional
        Function from the parsed query snapshot to a query id, or the name of a column that holds
        the id; `canonical_query` if None.
    half_life : float, optional
        Days after which an execution weighs half: weight = 2^(-age / half_life).
    now : datetime, optional
        Where age is counted from; the log's last event if None. Naive means UTC.
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
    _check_numbers(half_life, now)
    if quarantine is not None:
        check_format(quarantine)
    # Read first: a wrong table should not cost the time that the log takes.
    own_features = None if features is None else read_feature_table(features)
    shown_features = None if impressions is None else impression_features(impressions)
    signals = SignalTable(grades)
    reader = RowReader(signals, context, query_key if isinstance(query_key, str) else None)
    reader.read(source, on_error=on_error)
    if impressions is not None:
        reader.read(impressions, on_error=on_error, default_types=["impression"])
    refused = Quarantine()
    for scan in reader.scans:
        refused.extend(scan.quarantine)
    if quarantine is not None:
        refused.write(quarantine)
    rows = reader.finish()
    report = _report_of_rows(reader, rows, refused)
    _check_rows(rows, report, context)
    executions = find_executions(rows, context=context, query_key=query_key)
    chosen = [name for name in builtin_features if rows.filled[name]]
    folded, counts = _fold(rows, executions, signals, chosen)
    _complete(report, folded, counts, executions)
    age_from = _microseconds(now) if now else int(rows.time.max())
    recency = _recency(executions.first_time[folded.group > 0], age_from, half_life)
    documents = rows.texts["feature_id"].sort()
    pairs = _assemble(folded, executions, documents, chosen, recency, report)
    if "feature_uri" in chosen:
        pairs.categories["feature_uri"] = tuple(rows.texts["feature_uri"].sort())
    del rows, folded
    if shown_features is not None:
        pairs = join_features(pairs, shown_features, "impressions")
    if own_features is not None:
        pairs = join_features(pairs, own_features, "features")
    report.confounded = confounded_features(pairs)
    return pairs


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


def _check_numbers(half_life: Any, now: Any) -> None:
    number = isinstance(half_life, int | float | np.integer | np.floating)
    if half_life is not None and not (number and half_life > 0 and np.isfinite(half_life)):
        msg = f"half_life: expected a positive number of days, got {half_life!r}"
        raise InvalidInputError(msg)
    if now is not None and not isinstance(now, datetime):
        msg = f"now: expected a datetime such as datetime(2026, 1, 31, tzinfo=UTC), got {now!r}"
        raise InvalidInputError(msg)


def _report_of_rows(reader: RowReader, rows: LogRows, refused: Quarantine) -> LoadReport:
    return LoadReport(
        rows_read=sum(scan.rows_read for scan in reader.scans),
        rows_kept=len(rows),
        quarantined=refused.rows,
        quarantine_reasons=dict(refused.reasons),
        coverage={name: count / max(len(rows), 1) for name, count in rows.filled.items()},
    )


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
        stand_ins_from=executions.stand_ins_from,
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
    dropped = {
        "only clicked documents were logged": counts.clicks_only,
        "only list-level interactions": counts.list_level_only,
    }
    report.executions_dropped = {reason: count for reason, count in dropped.items() if count}
    if counts.clicks_only and folded.clicked.all():
        raise NoExposuresError(_NO_EXPOSURES)
    if not len(folded.document):
        msg = (
            f"source: no pair could be made: {report.rows_without_execution} rows name no "
            "execution (execution_id, or session_id with query_snapshot), "
            f"{counts.list_level_rows} rows speak of the list only"
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
    weight = np.ones(len(age)) if half_life is None else np.exp2(-age / half_life)
    return age.astype(np.float32), weight.astype(np.float32)


def _microseconds(now: datetime) -> int:
    aware = now if now.tzinfo else now.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)
