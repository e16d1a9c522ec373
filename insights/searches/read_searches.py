"""A log read as searches: `read_searches`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ...datasets.behaviour.by_key import by_key
from ...datasets.pairs.executions import find_executions
from ...datasets.pairs.features import read_feature_table
from ...datasets.pairs.fold import CARRIED, NO_TIME, earliest_values
from ...datasets.pairs.placement import place_rows
from ...datasets.pairs.row_reader import RowReader
from ...datasets.pairs.text_codes import ranks, recode
from ...datasets.position_bias.examination import fitted_bias
from ...datasets.quality.bots import ClickLists, find_bots
from ...datasets.reading.displays import attribution_window
from ...datasets.reading.quarantine import Quarantine, check_format
from ...datasets.reading.scan import check_mapped
from ...datasets.record.mapping import InputMapping
from ...datasets.record.signals import SignalTable
from ...datasets.record.times import microseconds
from ...errors import InvalidInputError, NotIdentifiableError, did_you_mean
from .coded import Coded
from .fold_searches import (
    DocumentRows,
    FoldedDisplays,
    earliest_numbers,
    fold_displays,
    union_of_types,
)
from .search_report import MISSING_ADVICE, SearchReport
from .searches import Displays, Searches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from ...datasets.pairs.executions import Executions
    from ...datasets.pairs.features import FeatureTable
    from ...datasets.pairs.placement import PlacedRows
    from ...datasets.pairs.row_reader import LogRows
    from ...datasets.position_bias.estimator import PositionBias
    from ...datasets.record.mapping import TimeUnit

OWN_COLUMNS = ("session_id", "retriever_id")


class ReadOptions(TypedDict, total=False):
    """What all insights pass on to `read_searches`, which describes it."""

    impressions: Any
    features: Any
    context: Sequence[str]
    display_context: Sequence[str]
    examination: ArrayLike | PositionBias | str
    columns: Mapping[str, str] | None
    types: Mapping[str, str] | None
    position_base: int
    time_unit: TimeUnit | None
    grades: Mapping[str, int] | None
    query_key: Callable[[Any], str] | str | None
    drop_bots: bool
    attribution: str | None
    quarantine: str | Path | None


def as_searches(source: Any, options: ReadOptions) -> Searches:
    """Return the searches of a source; those that were read already as they are.

    Raises
    ------
    InvalidInputError
        If options are given for searches that were read already.
    """
    if not isinstance(source, Searches):
        return read_searches(source, **options)
    if options:
        msg = (
            f"{', '.join(options)}: the source was read already; give these to read_searches, "
            "which returned it"
        )
        raise InvalidInputError(msg)
    return source


def read_searches(
    source: Any,
    *,
    impressions: Any = None,
    features: Any = None,
    context: Sequence[str] = (),
    display_context: Sequence[str] = (),
    examination: ArrayLike | PositionBias | str = "auto",
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
    drop_bots: bool = False,
    attribution: str | None = None,
    quarantine: str | Path | None = None,
) -> Searches:
    """Read a log as searches, which all insights take instead of a source.

    Unlike `load_pairs` it keeps searches of which only list-level events were logged (zero
    results, refinements, filters), and needs neither users, sessions, retrievers, times nor
    impressions: the report says what is missing and how to log it.

    Parameters
    ----------
    source, impressions, features, columns, types, position_base, time_unit, grades, query_key
        As for `load_pairs`; a list-level row needs no position.
    context : sequence of str
        Columns or metadata fields to keep, of each search the earliest.
    display_context : sequence of str
        The same of each document that a search showed, such as which retriever gave it.
    examination : array-like of shape (positions,), PositionBias or "auto"
        Probability of examination at each position, relative to the first. "auto": the log's own
        curve, with the features where these are given.
    drop_bots, attribution, quarantine
        As for `load_pairs`.

    Returns
    -------
    Searches

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If a parameter is wrong, or no row belongs to a search.

    Examples
    --------
    >>> from rankloom.insights import read_searches
    >>> row = {"execution_id": "e1", "query_snapshot": "Red shoes", "position": 0}
    >>> rows = [
    ...     {**row, "feature_id": "a", "interaction_type": ["impression"]},
    ...     {**row, "feature_id": "-", "interaction_type": ["query_refinement"]},
    ... ]
    >>> searches = read_searches(rows)
    >>> searches.query.values().to_list(), searches.shown.tolist(), searches.refined.tolist()
    (['"red shoes"'], [1], [True])
    >>> searches.report.missing["session"]
    'which query followed which in a visit is unknown: log session_id, one value for each visit'
    """
    wanted = _wanted_columns(context, examination)
    of_displays = _own_names("display_context", display_context)
    window = attribution_window(attribution)
    if quarantine is not None:
        check_format(quarantine)
    mapping = InputMapping.of(columns, types, position_base, time_unit)
    table = None if features is None else read_feature_table(features, mapping=mapping)
    signals, clock = SignalTable(grades), datetime.now(UTC)
    named = query_key if isinstance(query_key, str) else None
    kept = tuple(dict.fromkeys((*OWN_COLUMNS, *wanted, *of_displays)))
    reader = RowReader(signals, kept, named, users=True, mapping=mapping, now=clock)
    reader.read(source, on_error="quarantine", positions="optional")
    if impressions is not None:
        reader.read(impressions, on_error="quarantine", default_types=["impression"])
    check_mapped(*reader.scans)
    rows = reader.finish()
    reader.date_future_rows(rows, microseconds(clock))
    placed = place_rows(reader, rows, query_key=query_key, window=window, keeps_list_level=True)
    refused = Quarantine()
    for scan in reader.scans:
        refused.extend(scan.quarantine)
    if quarantine is not None:
        refused.write(quarantine)
    _check_rows(placed.rows, reader, refused, [*wanted, *of_displays])
    executions = find_executions(placed.rows, query_key=query_key)
    report = _report_of_rows(reader, placed, refused, executions)
    searches = _assemble(placed.rows, executions, signals, (wanted, of_displays), table, report)
    searches = _judge_bots(searches, drop=drop_bots)
    _describe(searches)
    return _examined(searches, None if _is_auto(examination) else examination)


def _is_auto(examination: Any) -> bool:
    return isinstance(examination, str)


def _wanted_columns(context: Any, examination: Any) -> list[str]:
    own = _own_names("context", context)
    if _is_auto(examination) and examination != "auto":
        msg = (
            "examination: expected 'auto', one number for each position or a PositionBias, got "
            f"{examination!r}.{did_you_mean(examination, ['auto'])}"
        )
        raise InvalidInputError(msg)
    by: str | None = getattr(examination, "by", None)
    names: dict[str, None] = dict.fromkeys([*own, *([by] if by else [])])
    return [name for name in names if name not in OWN_COLUMNS and name != "user_id"]


def _own_names(parameter: str, names: Any) -> list[str]:
    if isinstance(names, str):
        msg = f"{parameter}: expected a sequence of names such as ({names!r},), got {names!r}"
        raise InvalidInputError(msg)
    return list(names)


def _check_rows(
    rows: LogRows, reader: RowReader, refused: Quarantine, context: Sequence[str]
) -> None:
    if not len(rows):
        reasons = list(refused.reasons)
        read = sum(scan.rows_read for scan in reader.scans)
        msg = f"source: no valid interaction among {read} rows read" + (
            f" ({'; '.join(reasons[:3])}). `rankloom validate FILE` lists them" if reasons else ""
        )
        raise InvalidInputError(msg)
    for name in context:
        if rows.texts[name].is_empty():
            msg = (
                f"context: {name!r} is neither a column nor a field of metadata in any row; "
                "check the name, or leave it out"
            )
            raise InvalidInputError(msg)


def _report_of_rows(
    reader: RowReader, placed: PlacedRows, refused: Quarantine, executions: Executions
) -> SearchReport:
    """Count rows that are in no search; refuse a log without a search."""
    without = int(np.count_nonzero(executions.of_row < 0))
    if without == len(placed.rows):
        msg = (
            f"source: none of {without:,} rows names its search. Log execution_id, one value for "
            "each result list that was shown, or session_id with query_snapshot"
        )
        raise InvalidInputError(msg)
    left_out = {
        "quarantined": refused.rows,
        "neither execution_id, nor session_id with a query": without,
    }
    notes = [note for scan in reader.scans for note in scan.notes]
    if placed.attributed:
        notes.append(f"{placed.attributed:,} rows were attributed to their user's last display")
    return SearchReport(
        rows_read=sum(scan.rows_read for scan in reader.scans),
        left_out={reason: count for reason, count in left_out.items() if count},
        quarantine_reasons=dict(refused.reasons),
        notes=notes,
    )


def _assemble(
    rows: LogRows,
    executions: Executions,
    signals: SignalTable,
    wanted: tuple[Sequence[str], Sequence[str]],
    features: FeatureTable | None,
    report: SearchReport,
) -> Searches:
    """Put searches together; `wanted`: context of the searches and of their displays."""
    context, of_displays = wanted
    of_search = recode(executions.of_row, executions.rank)
    n = len(executions.ids)
    folded = _fold(rows, of_search, n, signals)
    named = executions.query_code < executions.own_queries_from
    search = np.repeat(np.arange(n, dtype=np.int32), folded.group)
    first = executions.first_time
    sizes = rows.carried[:, CARRIED.index("result_set_size")]
    unknown = np.iinfo(np.int64).min  # NaT
    return Searches(
        execution_id=executions.ids,
        query=Coded(
            np.where(named, executions.query_code, np.int32(-1)),
            executions.queries.head(executions.own_queries_from),
        ),
        user=Coded(executions.user, rows.texts["user_id"]),
        session=_earliest(rows, of_search, n, "session_id"),
        retriever=_earliest(rows, of_search, n, "retriever_id"),
        time=np.where(first == NO_TIME, unknown, first).view("datetime64[us]"),
        types=union_of_types(of_search, rows.types, signals.list_level, n),
        result_set_size=earliest_numbers(of_search, rows.time, sizes, n),
        shown=folded.group,
        exposed=_exposed(folded, search, signals, n),
        context={name: _earliest(rows, of_search, n, name) for name in context},
        displays=Displays(
            search=search,
            document=Coded(folded.document, rows.texts["feature_id"]),
            position=folded.position,
            types=folded.types,
            score=folded.score,
            examination=None,
            signals=signals,
            context=_of_displays(rows, of_search, search, folded, of_displays),
        ),
        bias=None,
        examination_unknown=None,
        features=features,
        report=report,
    )


def _earliest(rows: LogRows, of_search: NDArray[np.int32], n: int, name: str) -> Coded:
    """Return the text of each search's earliest row that has one."""
    codes, texts = rows.codes[name], rows.texts[name]
    if texts.is_empty():
        return Coded(np.full(n, -1, np.int32), texts)
    return Coded(earliest_values(of_search, rows.time, codes, ranks(texts), n), texts)


def _of_displays(
    rows: LogRows,
    of_search: NDArray[np.int32],
    search: NDArray[np.int32],
    folded: FoldedDisplays,
    names: Sequence[str],
) -> dict[str, Coded]:
    """Return the text of the earliest row of each display that has one."""
    if not names or not len(search):
        return {name: Coded(np.empty(0, np.int32), rows.texts[name]) for name in names}
    documents = len(rows.texts["feature_id"])
    display = search.astype(np.int64) * documents + folded.document
    key = of_search.astype(np.int64) * documents + rows.codes["feature_id"]
    order = np.argsort(display)
    place = np.minimum(np.searchsorted(display, key, sorter=order), len(display) - 1)
    found = order[place].astype(np.int32)
    of_display = np.where((display[found] == key) & (of_search >= 0), found, np.int32(-1))
    return {name: _earliest(rows, of_display, len(display), name) for name in names}


def _fold(
    rows: LogRows, of_search: NDArray[np.int32], n: int, signals: SignalTable
) -> FoldedDisplays:
    about_documents = np.flatnonzero(rows.types & signals.implies_shown)
    starts, by_execution = by_key(of_search, about_documents, n)
    m = len(by_execution)
    displays = FoldedDisplays(
        document=np.empty(m, np.int32),
        position=np.empty(m, np.int32),
        types=np.empty(m, np.uint64),
        score=np.empty(m, np.float64),
        group=np.empty(n, np.int32),
    )
    events = DocumentRows(
        by_execution=by_execution,
        starts=starts,
        document=rows.codes["feature_id"],
        document_rank=ranks(rows.texts["feature_id"]),
        types=rows.types,
        time=rows.time,
        position=rows.position,
        carried=rows.carried,
    )
    made = fold_displays(events, displays)
    first = {name: getattr(displays, name)[:made] for name in FoldedDisplays._fields[:-1]}
    return displays._replace(**first)


def _exposed(
    folded: FoldedDisplays, search: NDArray[np.int32], signals: SignalTable, n: int
) -> NDArray[np.bool_]:
    """Return which searches logged an impression or a document without a click."""
    says = ((folded.types & signals.impression) != 0) | ((folded.types & signals.positive) == 0)
    return np.bincount(search[says], minlength=n) > 0


def _judge_bots(searches: Searches, *, drop: bool) -> Searches:
    displays = searches.displays
    lists = ClickLists(searches.shown, displays.position, displays.clicked, searches.user.codes)
    bots = find_bots(lists)
    searches.report.notes.extend(bots.notes(dropped=drop))
    found = int(bots.lists.sum())
    if not drop or not found:
        return searches
    searches.report.searches_left_out["likely bots"] = found
    return searches.select(~bots.lists)


def _describe(searches: Searches) -> None:
    """Note what the searches have and lack."""
    report = searches.report
    report.coverage.update(
        {
            "query": searches.query.share,
            "user": searches.user.share,
            "session": searches.session.share,
            "retriever": searches.retriever.share,
            "time": _share(searches.timed),
            "impressions": _share(searches.exposed[searches.shown > 0]),
            "zero_results": _share(searches.zero_results),
        }
    )
    absent = [name for name, share in report.coverage.items() if not share]
    report.missing.update({name: MISSING_ADVICE[name] for name in absent})


def _share(flags: NDArray[np.bool_]) -> float:
    return float(np.mean(flags)) if len(flags) else 0.0


def _examined(searches: Searches, given: Any) -> Searches:
    """Return the searches with the examination of every display, where it can be known."""
    if not len(searches.displays):
        return replace(searches, examination_unknown="no search shows a document")
    if given is None and not searches.exposed.any():
        reason = "no search says what was shown and passed over"
        return replace(searches, examination_unknown=reason)
    pairs = searches.pairs()
    try:
        bias = fitted_bias(pairs, searches.exposed[searches.shown > 0], given)
        examination = bias.apply(pairs).examination
    except NotIdentifiableError as error:
        if given is not None:
            raise
        reason = str(error).split(" Ways out:")[0]
        return replace(searches, examination_unknown=reason)
    return replace(
        searches, bias=bias, displays=replace(searches.displays, examination=examination)
    )
