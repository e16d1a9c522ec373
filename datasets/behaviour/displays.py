"""A log as displays: which document was shown and clicked when, for which query, to which user."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import InvalidInputError, NoExposuresError
from ..pairs.executions import Executions, find_executions
from ..pairs.fold import NO_TIME, first_times
from ..pairs.placement import place_rows
from ..pairs.row_reader import SNAPSHOT, RowReader
from ..pairs.text_codes import ranks, recode
from ..pairs.training_pairs import TrainingPairs
from ..position_bias.examination import examination_of
from ..reading.scan import check_mapped
from .by_key import by_key
from .fold_displays import NEVER, DisplayColumns, EventRows, fold_displays

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from ..pairs.row_reader import LogRows
    from ..record.mapping import InputMapping
    from ..record.signals import SignalTable

logger = logging.getLogger("rankloom")


class Key(NamedTuple):
    """One of the ids that evidence is counted by."""

    codes: NDArray[np.int32]  # shape (n,): of every display, -1 where missing
    texts: pl.Series  # the text of every code
    known_at: NDArray[np.int64] | None = None  # shape (n,): when a row named it; None: at once


@dataclass(frozen=True)
class Displays:
    """Documents that executions showed: n displays of e executions, which are in order of time.

    Attributes
    ----------
    executions : Executions
    columns : DisplayColumns
        Documents and categories as codes.
    execution : ndarray of int32, shape (n,)
        Index of the execution.
    documents : polars.Series of String
        The text of every code.
    keys : dict of str to Key
        What evidence is counted by: feature_id, query_id, and user_id and category where known.
    """

    executions: Executions
    columns: DisplayColumns
    execution: NDArray[np.int32]
    documents: pl.Series
    keys: dict[str, Key]

    def __len__(self) -> int:
        return len(self.execution)

    def pairs(self) -> TrainingPairs:
        """Return the displays as pairs without features, for an examination curve."""
        columns, executions = self.columns, self.executions
        n, kept = len(self), np.flatnonzero(columns.group)
        clicked = columns.clicked_at != NEVER
        return TrainingPairs(
            X=np.empty((n, 0), np.float32),
            y=clicked.astype(np.float32),
            clicked=clicked,
            negative=np.zeros(n, np.bool_),
            group=columns.group[kept],
            position=columns.position,
            document_score=np.full(n, np.nan),
            age_days=np.full(n, np.nan, np.float32),
            weight=np.ones(n, np.float32),
            time=executions.first_time[kept].view("datetime64[us]"),
            execution_id=executions.ids.gather(kept),
            query_code=executions.query_code[kept],
            queries=executions.queries,
            document_code=columns.document,
            documents=self.documents,
            feature_names=(),
            context={name: values.gather(kept) for name, values in executions.context.items()},
        )

    def examination(self, given: Any, caller: str) -> NDArray[np.float64]:
        """Return the examination of every display; see `examination_of`."""
        exposed = self.columns.exposed[self.columns.group > 0]
        return examination_of(self.pairs(), given, caller=caller, exposed=exposed)


def read_displays(
    source: Any,
    impressions: Any,
    *,
    signals: SignalTable,
    mapping: InputMapping,
    query_key: Callable[[Any], str] | str | None,
    category: str | None,
    context: Sequence[str],
    caller: str,
) -> Displays:
    """Read a log as `load_pairs` does.

    `caller`: the function that log lines name.
    `category`: a column or metadata field that names a display's category. `context`: columns that
    describe an execution. A row without a time, such as an impression, happened when its execution
    began.
    """
    column = query_key if isinstance(query_key, str) else None
    wanted = [*context, *([category] if category and category not in context else [])]
    reader = RowReader(signals, wanted, column, users=True, mapping=mapping)
    reader.read(
        source, on_error="quarantine", positions="some" if impressions is None else "optional"
    )
    if impressions is not None:
        reader.read(impressions, on_error="quarantine", default_types=["impression"])
    check_mapped(*reader.scans)
    rows = reader.finish()
    own_position = rows.position >= 0
    found = place_rows(reader, rows, query_key=query_key)
    rows = found.rows
    placed = own_position if found.kept is None else own_position[found.kept]
    _report_refused(sum(scan.quarantine.rows for scan in reader.scans), caller)
    _check_rows(rows, category)
    executions = find_executions(rows, context=context, query_key=query_key)
    time = _times(rows, executions)
    columns = _fold(rows, executions, time, placed, signals, category)
    execution = np.repeat(np.arange(len(executions.ids), dtype=np.int32), columns.group)
    named = {"query_id": rows.codes[column or SNAPSHOT] >= 0}
    codes = {"query_id": (executions.query_code, executions.queries)}
    if rows.user.any():
        named["user_id"] = rows.user > 0
        codes["user_id"] = (executions.user, rows.texts["user_id"])
    keys = {"feature_id": Key(columns.document, rows.texts["feature_id"])}
    since = _known_since(rows, executions, time, placed)
    for name, (code, texts) in codes.items():
        at = _named_at(named[name], executions, since)
        keys[name] = Key(code[execution], texts, None if at is None else at[execution])
    if category:
        keys["category"] = Key(columns.category, rows.texts[category], columns.category_at)
    return Displays(executions, columns, execution, rows.texts["feature_id"], keys)


def _known_since(
    rows: LogRows, executions: Executions, time: NDArray[np.int64], placed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return since when every row is known to belong to its execution.

    A row without a position of its own is refused until its document was shown.
    """
    late = np.flatnonzero(~placed & (executions.of_row >= 0))
    if not len(late):
        return time
    display = executions.of_row.astype(np.int64) * (int(rows.codes["feature_id"].max()) + 1)
    display += rows.codes["feature_id"]
    own = np.flatnonzero(placed & (executions.of_row >= 0))
    own = own[np.lexsort((time[own], display[own]))]
    first = own[np.searchsorted(display[own], display[late])]
    since = time.copy()
    since[late] = np.maximum(time[late], time[first])
    return since


def _named_at(
    named: NDArray[np.bool_], executions: Executions, time: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Return when the first of each execution's `named` rows came; None: always with the first."""
    if named.all():
        return None
    of_row = np.where(named, executions.of_row, np.int32(-1))
    order = np.argsort(executions.rank)
    at = first_times(of_row, time, len(order))[order]
    return at if (at > executions.first_time).any() else None


def _report_refused(refused: int, caller: str) -> None:
    if refused:
        logger.warning(
            "%s: %d rows break a rule of the record and were left out; "
            "load_pairs(source, quarantine=PATH) writes them with their reasons.",
            caller,
            refused,
        )


def _check_rows(rows: LogRows, category: str | None) -> None:
    if not len(rows):
        msg = "source: no valid interaction; load_pairs(source, quarantine=PATH) says why"
        raise InvalidInputError(msg)
    if category is not None and rows.texts[category].is_empty():
        msg = (
            f"category: {category!r} is neither a column nor a field of metadata in any row; "
            "check the name, or give documents=TABLE that has it"
        )
        raise InvalidInputError(msg)


def _times(rows: LogRows, executions: Executions) -> NDArray[np.int64]:
    """Return the time of every row; rows without one get that of their execution's first event."""
    unknown = executions.first_time == NO_TIME
    if unknown.any():
        msg = (
            f"source: {int(unknown.sum())} of {len(unknown)} executions have no time, so nothing "
            "says what came before them. Add occurred_at or timestamp (to the impressions table "
            "too)"
        )
        raise InvalidInputError(msg)
    without = np.flatnonzero((rows.time == NO_TIME) & (executions.of_row >= 0))
    if not len(without):
        return rows.time
    time = rows.time.copy()
    time[without] = executions.first_time[executions.rank[executions.of_row[without]]]
    return time


def _fold(
    rows: LogRows,
    executions: Executions,
    time: NDArray[np.int64],
    placed: NDArray[np.bool_],
    signals: SignalTable,
    category: str | None,
) -> DisplayColumns:
    of_document = np.flatnonzero(rows.types & signals.implies_shown)
    execution = recode(executions.of_row, executions.rank)
    starts, by_execution = by_key(execution, of_document, len(executions.ids))
    n = len(by_execution)
    columns = DisplayColumns(
        document=np.empty(n, np.int32),
        position=np.empty(n, np.int32),
        shown_at=np.empty(n, np.int64),
        clicked_at=np.empty(n, np.int64),
        category=np.empty(n, np.int32),
        category_at=np.empty(n, np.int64),
        group=np.empty(len(executions.ids), np.int32),
        exposed=np.empty(len(executions.ids), np.bool_),
    )
    events = EventRows(
        by_execution=by_execution,
        starts=starts,
        document=rows.codes["feature_id"],
        document_rank=ranks(rows.texts["feature_id"]),
        time=time,
        position=rows.position,
        placed=placed,
        clicked=(rows.types & signals.positive) != 0,
        impression=(rows.types & signals.impression) != 0,
        category=rows.codes[category] if category else np.empty(0, np.int32),
        category_rank=ranks(rows.texts[category]) if category else np.empty(0, np.int32),
    )
    made = fold_displays(events, columns)
    if not columns.exposed.any():
        msg = (
            "source: every document in the log was clicked, so nothing says what was shown and "
            "passed over. Log an impression for every shown document, or give impressions=TABLE"
        )
        raise NoExposuresError(msg)
    return columns.first(made)
