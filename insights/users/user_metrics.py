"""What a log holds of one user: `user_metrics`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...datasets.reading.duplicates import mark_duplicates
from ...datasets.record.interaction import canonical_schema
from ...datasets.record.mapping import InputMapping
from ...datasets.record.signals import SignalTable
from ...errors import InvalidInputError
from ..outcomes.plain_tables import rows_of
from ..searches.read_searches import read_searches
from ..searches.search_report import MISSING_ADVICE
from .kept_fields import kept_fields
from .rows_of_user import UserRows, gather_rows
from .tables import tables_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from ...datasets.record.mapping import TimeUnit
    from ..searches.searches import Searches


@dataclass(frozen=True, repr=False)
class UserMetrics:
    """What a log holds of a user.

    Attributes
    ----------
    user_id : str
    rows : int
        Valid rows that name the user; repeated ones included.
    duplicates : int
        Those of them, and of `linked_rows`, that repeat another one.
    linked_rows : int
        Valid rows without any user in an execution or a session of the user.
    refused_rows : int
        Rows that name the user and break a rule of the record; they are in no other number.
    impression_rows : int
        Rows of the table of impressions that name the user or belong to a search of the user.
    first_seen, last_seen : datetime or None
        Times of the rows, UTC; None where they have no time.
    searches, sessions : int
        `searches`: as `read_searches` counts them. `sessions`: distinct session_id.
    shown, engaged : int
        Documents of all searches; engaged ones have a grade of at least 1.
    types : DataFrame
        ``type``, ``rows``, ``first``, ``last``: rows by interaction type; a row may have several.
    days : DataFrame
        ``day``, ``rows``, ``searches``, ``shown``, ``engaged``.
    queries : DataFrame
        ``query``, ``searches``, ``shown``, ``engaged``, ``first``, ``last``.
    documents : DataFrame
        ``feature_id``, ``shown``, ``engaged``, ``grade`` (highest), ``first``, ``last``.
    retrievers : DataFrame
        ``retriever``, ``searches``, ``shown``, ``engaged``, ``first``, ``last``.
    fields : DataFrame
        ``field`` (of the record, or ``metadata.NAME``), ``rows`` that have it, ``values``: distinct
        ones. What is kept of the user.
    notes : list of str
        What the reader should know.
    """

    user_id: str
    rows: int = 0
    duplicates: int = 0
    linked_rows: int = 0
    refused_rows: int = 0
    impression_rows: int = 0
    first_seen: dt.datetime | None = None
    last_seen: dt.datetime | None = None
    searches: int = 0
    sessions: int = 0
    shown: int = 0
    engaged: int = 0
    types: pl.DataFrame = field(default_factory=pl.DataFrame)
    days: pl.DataFrame = field(default_factory=pl.DataFrame)
    queries: pl.DataFrame = field(default_factory=pl.DataFrame)
    documents: pl.DataFrame = field(default_factory=pl.DataFrame)
    retrievers: pl.DataFrame = field(default_factory=pl.DataFrame)
    fields: pl.DataFrame = field(default_factory=pl.DataFrame)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        found: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, pl.DataFrame):
                found[name] = rows_of(value)
            elif name.endswith("_seen"):
                found[name] = None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"
            else:
                found[name] = value
        return found

    def __repr__(self) -> str:
        """Say the numbers, and what is kept."""
        head = (
            f"user {self.user_id}: {self.rows:,} rows ({self.duplicates:,} repeated), "
            f"{self.linked_rows:,} more in the same searches and sessions without a user, "
            f"{self.refused_rows:,} that break a rule, {self.impression_rows:,} of impressions"
        )
        lines = [head]
        if self.first_seen is not None and self.last_seen is not None:
            lines.append(
                f"from {self.first_seen:%Y-%m-%d %H:%M} to {self.last_seen:%Y-%m-%d %H:%M}"
            )
        lines.append(
            f"{self.searches:,} searches in {self.sessions:,} sessions, {len(self.queries):,} "
            f"queries, {self.shown:,} documents shown, {self.engaged:,} engaged with"
        )
        if len(self.fields):
            pairs = self.fields.select("field", "rows").rows()
            lines.append("kept: " + ", ".join(f"{name} {rows:,}" for name, rows in pairs))
        return "\n".join([*lines, *(f"note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        title, *lines = repr(self).split("\n")
        names = ("types", "queries", "documents", "retrievers")
        tables = [Table.of_frame(getattr(self, name), caption=name) for name in names]
        return Summary(title, tables, lines)


def user_metrics(
    source: Any,
    user_id: str,
    *,
    impressions: Any = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
) -> UserMetrics:
    """Return what a log holds of one user, as a request for information or support needs it.

    Only the user's rows are kept in memory. The log is read once more where some of its rows name
    no user, to find those of the user's searches and sessions, and once more where some break a
    rule, to count those that name the user.

    Parameters
    ----------
    source, impressions, columns, types, position_base, time_unit, grades, query_key
        As for `load_pairs`.
    user_id : str

    Returns
    -------
    UserMetrics
        With 0 rows for a user of which the log holds nothing.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If a parameter is wrong, or no row of the log names any user.

    Examples
    --------
    >>> row = {"feature_id": "a", "execution_id": "e", "position": 0, "user_id": "u1"}
    >>> rows = [{**row, "interaction_type": [name]} for name in ("impression", "click")]
    >>> found = user_metrics(rows, "u1")
    >>> found.rows, found.searches, found.shown, found.engaged
    (2, 1, 1, 1)
    """
    if not isinstance(user_id, str) or not user_id:
        msg = f"user_id: expected a non-empty text, got {user_id!r}"
        raise InvalidInputError(msg)
    signals = SignalTable(grades)
    mapping = InputMapping.of(columns, types, position_base, time_unit)
    own = query_key if isinstance(query_key, str) else None
    extra = [] if own is None or own in canonical_schema() else [own]
    found = gather_rows(source, user_id, extra=extra, signals=signals, mapping=mapping)
    kept = pl.concat([found.named, found.linked], how="diagonal_relaxed")
    shown = None
    if impressions is not None:
        shown = gather_rows(
            impressions,
            user_id,
            default_types=["impression"],
            linked_to=kept,
            extra=extra,
            signals=signals,
            mapping=mapping,
        )
    if not found.any_user and not (shown is not None and shown.any_user):
        msg = f"source: no row names a user: {MISSING_ADVICE['user']}"
        raise InvalidInputError(msg)
    return _summary(user_id, found, shown, kept, grades, query_key)


def _summary(
    user_id: str,
    found: UserRows,
    shown: UserRows | None,
    kept: pl.DataFrame,
    grades: Mapping[str, int] | None,
    query_key: Callable[[Any], str] | str | None,
) -> UserMetrics:
    displayed = (
        None if shown is None else pl.concat([shown.named, shown.linked], how="diagonal_relaxed")
    )
    everything = kept if displayed is None else pl.concat([kept, displayed], how="diagonal_relaxed")
    searches = _searches(everything, grades, query_key)
    tables = tables_of(everything, searches)
    times = everything["event_time"]
    first, last = times.min(), times.max()
    return UserMetrics(
        user_id=user_id,
        rows=len(found.named),
        duplicates=int(mark_duplicates(kept).sum()) if len(kept) else 0,
        linked_rows=len(found.linked),
        refused_rows=found.refused + (0 if shown is None else shown.refused),
        impression_rows=0 if displayed is None else len(displayed),
        first_seen=first,  # type: ignore[arg-type]
        last_seen=last,  # type: ignore[arg-type]
        searches=0 if searches is None else len(searches),
        sessions=everything["session_id"].drop_nulls().n_unique(),
        shown=0 if searches is None else len(searches.displays),
        engaged=0 if searches is None else int(searches.displays.engaged.sum()),
        **tables._asdict(),
        fields=kept_fields(everything),
        notes=_notes(found, shown, searches, everything),
    )


def _searches(
    rows: pl.DataFrame,
    grades: Mapping[str, int] | None,
    query_key: Callable[[Any], str] | str | None,
) -> Searches | None:
    """Return the rows as searches; None if no row belongs to one."""
    query = query_key if isinstance(query_key, str) else "query_snapshot"
    assigned = pl.col("execution_id").is_not_null() | (
        pl.col("session_id").is_not_null() & pl.col(query).is_not_null()
    )
    if query not in rows.columns or rows.filter(assigned).is_empty():
        return None
    return read_searches(rows, grades=grades, query_key=query_key, examination=[1.0])


def _notes(
    found: UserRows, shown: UserRows | None, searches: Searches | None, rows: pl.DataFrame
) -> list[str]:
    notes = []
    if rows.is_empty():
        notes.append("the log holds no valid row of this user")
    unreadable = found.unreadable + (0 if shown is None else shown.unreadable)
    if unreadable:
        notes.append(
            f"{unreadable:,} rows of the log cannot be read at all; whose they are is unknown"
        )
    if searches is not None:
        left_out = {**searches.report.left_out, **searches.report.quarantine_reasons}
        left_out.pop("quarantined", None)
        notes += [
            f"{count:,} of the rows are in no search: {reason}"
            for reason, count in left_out.items()
        ]
    elif len(rows):
        notes.append(
            "no row names its search, so there are no searches, queries or documents: log "
            "execution_id, or session_id with query_snapshot"
        )
    return notes
