"""Interactions to features of past behaviour: `behaviour_features`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ...errors import InvalidInputError
from ..pairs.text_codes import alphabetical_codes, index_among
from ..reading.column_names import missing_columns
from ..reading.displays import attribution_window
from ..reading.table_reader import read_table
from ..record.mapping import InputMapping
from ..record.signals import SignalTable
from ..record.times import microseconds
from .counting import Counting
from .displays import Key, read_displays
from .names import AGE, LEVELS, SINCE, column_name
from .prior_sums import STATISTICS, UNBOUNDED
from .tables import BehaviourTables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ..position_bias.estimator import PositionBias
    from ..record.mapping import TimeUnit
    from .displays import Displays

WINDOWS: Final = ("1d", "7d", "30d", "all")

_CHUNK: Final = 1 << 12


@overload
def behaviour_features(
    source: Any,
    *,
    impressions: Any = None,
    windows: Sequence[str] = WINDOWS,
    category: str | None = None,
    documents: Any = None,
    examination: ArrayLike | PositionBias | None = None,
    prior_strength: float = 10.0,
    as_of: None = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
) -> pl.DataFrame: ...


@overload
def behaviour_features(
    source: Any,
    *,
    impressions: Any = None,
    windows: Sequence[str] = WINDOWS,
    category: str | None = None,
    documents: Any = None,
    examination: ArrayLike | PositionBias | None = None,
    prior_strength: float = 10.0,
    as_of: dt.datetime,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
) -> BehaviourTables: ...


def behaviour_features(
    source: Any,
    *,
    impressions: Any = None,
    windows: Sequence[str] = WINDOWS,
    category: str | None = None,
    documents: Any = None,
    examination: ArrayLike | PositionBias | None = None,
    prior_strength: float = 10.0,
    as_of: dt.datetime | None = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
) -> pl.DataFrame | BehaviourTables:
    """Return what was known of each document before each execution, as features of a ranker.

    For every document that an execution showed: engagement of the document, of the document for
    the query, of the user with the document, and of the user with the document's category. Only
    rows strictly before the execution's first event count. Of a display, the click counts from
    its own time and not from that of the display. So a ranker learns from the features as it will
    meet them; `as_of` returns them for serving.

    Parameters
    ----------
    source, impressions, columns, types, position_base, time_unit, grades, query_key
        As for `load_pairs`; every execution needs a time. Rows that name no execution are not
        attributed to displays.
    windows : sequence of str
        How far back events count: hours or days such as ``"12h"`` or ``"7d"``, or ``"all"``.
    category : str, optional
        A column of `documents`, or else a column or metadata field of the interactions, that
        names a document's category.
    documents : path or table, optional
        Keyed by ``feature_id``, with the column `category`.
    examination : array-like of shape (positions,), PositionBias or None
        Probability of examination at each position, relative to the first. None: the log's own
        curve, or, with a log line, 1 / (position + 1) where it identifies none. A curve fitted on
        this log is the one thing that depends on later rows: give one to exclude that, too.
    prior_strength : float
        Examined displays that the rate of the parent level counts as.
    as_of : datetime, optional
        Return the features as of this moment instead, for new executions. Naive means UTC.

    Returns
    -------
    DataFrame
        ``execution_id``, ``feature_id`` and columns of Float32 for ``load_pairs(features=...)``,
        named ``behaviour_LEVEL_STATISTIC_WINDOW``. For every level (``document``,
        ``query_document``, ``user_document``, ``category``, ``user_category``; those of which the
        log names the keys) and window there are ``rate``, ``clicks`` and ``shown``; besides,
        ``behaviour_LEVEL_days_since_shown`` and ``behaviour_document_age_days``, since it was
        first shown. NaN where a user or category is unknown, and where there was nothing yet.
    BehaviourTables
        With `as_of`: a table by level.

    Raises
    ------
    InvalidInputError
        If a parameter is wrong, or an execution has no time.
    NoExposuresError
        If the log holds no document that was shown and not clicked.

    Notes
    -----
    A rate is position-corrected and shrunk to that of the parent level in the same window,

        r = (C + k r_parent) / (E + k),

    with C clicks, E the sum of examination over displays, and k `prior_strength`: the posterior
    mean under ``C ~ Poisson(E r)`` and a Gamma prior. Parents: all displays of the log, then
    document, then query_document and user_document; and category, then user_category. The rate of
    all displays in a window is shrunk to that of all time.

    Examples
    --------
    >>> from rankloom.datasets import behaviour_features, load_pairs
    >>> rows = []
    >>> for day in (1, 2):
    ...     shown = {"execution_id": f"e{day}", "timestamp": f"2026-01-0{day}T12:00:00Z"}
    ...     for position, document in enumerate("ab"):
    ...         row = {**shown, "feature_id": document, "position": position}
    ...         rows.append({**row, "interaction_type": ["impression"]})
    >>> rows.append({**rows[1], "interaction_type": ["click"], "timestamp": "2026-01-01T12:05:00Z"})
    >>> table = behaviour_features(rows, windows=["7d"], examination=[1, 0.5])
    >>> table.select("execution_id", "feature_id", "behaviour_document_clicks_7d").rows()
    [('e1', 'a', 0.0), ('e1', 'b', 0.0), ('e2', 'a', 0.0), ('e2', 'b', 1.0)]
    >>> load_pairs(rows, features=table).feature_names[:2]
    ('behaviour_document_rate_7d', 'behaviour_document_clicks_7d')
    """
    named = _windows(windows)
    checked_number("prior_strength", prior_strength, 0, between=True)
    if as_of is not None and not isinstance(as_of, dt.datetime):
        msg = f"as_of: expected a datetime such as datetime(2026, 1, 31, tzinfo=UTC), got {as_of!r}"
        raise InvalidInputError(msg)
    mapping = InputMapping.of(columns, types, position_base, time_unit)
    of_documents = _categories(documents, category, mapping)
    displays = read_displays(
        source,
        impressions,
        signals=SignalTable(grades),
        mapping=mapping,
        query_key=query_key,
        category=category if of_documents is None else None,
        context=[by] if (by := getattr(examination, "by", None)) else [],
        caller="behaviour_features",
    )
    if of_documents is not None:
        displays.keys["category"] = _category_key(displays, of_documents)
    moment = displays.executions.first_time
    if as_of is not None:
        moment = np.full(len(moment), microseconds(as_of))
    counting = Counting(
        displays,
        displays.examination(examination, "behaviour_features"),
        named,
        float(prior_strength),
        moment,
    )
    if as_of is None:
        return _table(counting)
    return _tables(counting, as_of, of_documents)


def _windows(windows: Any) -> dict[str, int]:
    names = [] if isinstance(windows, str) else list(windows)
    if not names:
        msg = f"windows: expected a sequence of windows such as ('7d', 'all'), got {windows!r}"
        raise InvalidInputError(msg)
    found = {}
    for name in names:
        length = None if name == "all" else attribution_window(name, "windows")
        found[str(name)] = UNBOUNDED if length is None else length
    return found


def _categories(documents: Any, category: str | None, mapping: InputMapping) -> pl.DataFrame | None:
    """Return feature_id and category of documents that have one."""
    if documents is None:
        return None
    if category is None:
        msg = "documents: give category= too, the name of the column to take from the table"
        raise InvalidInputError(msg)
    parameter = "documents"
    table, _ = read_table(documents, parameter, ids=("feature_id", "document_id"), mapping=mapping)
    if "feature_id" not in table.columns:
        table = table.rename({"document_id": "feature_id"}, strict=False)
    absent = [name for name in ("feature_id", category) if name not in table.columns]
    if absent:
        raise missing_columns(parameter, absent, mapping, table.columns)
    chosen = table.select("feature_id", pl.col(category).cast(pl.String).alias("category"))
    chosen = chosen.drop_nulls().unique()
    repeated = chosen.filter(chosen["feature_id"].is_duplicated())
    if len(repeated):
        msg = f"documents: expected one {category} per document, got {repeated.head(2).rows()}"
        raise InvalidInputError(msg)
    return chosen


def _category_key(displays: Displays, categories: pl.DataFrame) -> Key:
    codes, texts = alphabetical_codes(categories["category"])
    of_document = index_among(displays.documents, categories["feature_id"])
    code = np.append(codes, np.int32(-1))[of_document]
    return Key(code[displays.columns.document], texts)


def _feature_columns(
    level: str, windows: Mapping[str, int], past: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Return the columns of a past by the names of features, each contiguous."""
    names = [column_name(level, each, window) for window in windows for each in STATISTICS]
    names += [column_name(level, SINCE), *([column_name(level, AGE)] if LEVELS[level].age else [])]
    columns = np.empty((len(names), len(past)), np.float32)
    for start in range(0, len(past), _CHUNK):
        part = slice(start, start + _CHUNK)
        columns[:, part] = past[part, : len(names)].T
    return dict(zip(names, columns, strict=True))


def _table(counting: Counting) -> pl.DataFrame:
    displays = counting.displays
    found: dict[str, Any] = {
        "execution_id": displays.executions.ids.gather(displays.execution),
        "feature_id": displays.documents.gather(displays.columns.document),
    }
    for level, _, past in counting.pasts():
        found |= _feature_columns(level, counting.windows, past)
    return pl.DataFrame(found)


def _tables(
    counting: Counting, as_of: dt.datetime, categories: pl.DataFrame | None
) -> BehaviourTables:
    displays, tables = counting.displays, {}
    for level, key, past in counting.pasts():
        _, first = np.unique(key, return_index=True)
        first = first[~np.isnan(past[first, -2])]
        ids = [
            displays.keys[name].texts.gather(displays.keys[name].codes[first]).alias(name)
            for name in LEVELS[level].keys
        ]
        features = _feature_columns(level, counting.windows, past[first])
        tables[level] = pl.DataFrame([*ids, *(pl.Series(n, v) for n, v in features.items())])
    return BehaviourTables(
        as_of=as_of if as_of.tzinfo else as_of.replace(tzinfo=dt.UTC),
        tables=tables,
        overall=dict(zip(counting.windows, counting.overall[0].tolist(), strict=True)),
        categories=categories,
    )
