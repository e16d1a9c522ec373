"""What the log answers: receipts, faults, reports of batches, pages, chunks of rows, deletions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from ..record.interaction import Interaction

Status = Literal["created", "deduplicated", "existing"]


class RowFault(NamedTuple):
    """Why one row is refused; nothing of it is stored.

    Attributes
    ----------
    field : str
        Empty where the row as a whole is wrong.
    reason : str
    value : str or None
        What was given, shortened.
    """

    field: str
    reason: str
    value: str | None = None

    def __str__(self) -> str:
        shown = "" if self.value is None else f" (got {self.value!r})"
        return f"{self.field or 'interaction'}: {self.reason}{shown}"


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """The receipt of one row: it has been committed.

    Attributes
    ----------
    status : {"created", "deduplicated", "existing"}
    interaction_id : str or None
        None for a duplicate.
    timestamp : datetime
        When the log recorded it (of an existing one: when it first did), in UTC.
    kept_id : str or None
        For a duplicate, the interaction that it repeats.
    seq : int or None
        Number of the stored row; None for a duplicate.
    """

    status: Status
    interaction_id: str | None
    timestamp: dt.datetime
    kept_id: str | None = None
    seq: int | None = None


@dataclass(frozen=True)
class BatchReport:
    """What became of every row of a batch.

    Attributes
    ----------
    created, deduplicated, existing, failed : int
        They add up to the number of rows.
    results : list of Recorded or RowFault
        In the order of the rows.
    """

    created: int = 0
    deduplicated: int = 0
    existing: int = 0
    failed: int = 0
    results: list[Recorded | RowFault] = field(default_factory=list)

    @classmethod
    def of(cls, results: list[Recorded | RowFault]) -> BatchReport:
        """Count results."""
        counts = {"created": 0, "deduplicated": 0, "existing": 0, "failed": 0}
        for result in results:
            counts["failed" if isinstance(result, RowFault) else result.status] += 1
        return cls(**counts, results=results)

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        counts = {
            "created": self.created,
            "deduplicated": self.deduplicated,
            "existing": self.existing,
            "failed": self.failed,
        }
        faults = [(i, str(r)) for i, r in enumerate(self.results) if isinstance(r, RowFault)]
        return Summary(
            f"BatchReport: {len(self.results):,} rows",
            [Table.of_counts(counts), Table.of(["row", "failed because"], faults)],
        )


@dataclass(frozen=True)
class Page:
    """One page of what `find` found.

    Attributes
    ----------
    items : list of Interaction
    next_cursor : str or None
        Gives the next page; None after the last one.
    total : int or None
        Number of all matches, if requested.
    """

    items: list[Interaction]
    next_cursor: str | None = None
    total: int | None = None

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each interaction, in canonical columns."""
        import polars as pl

        from ..record.interaction import canonical_schema

        schema = canonical_schema()
        rows = [[_canonical(getattr(item, name, None)) for name in schema] for item in self.items]
        return pl.DataFrame(rows, schema, orient="row")

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        rows = [
            (i.interaction_id, i.execution_id, i.feature_id, i.position, i.interaction_type)
            for i in self.items
        ]
        names = ["interaction_id", "execution_id", "feature_id", "position", "interaction_type"]
        total = "" if self.total is None else f" of {self.total:,}"
        return Summary(
            f"Page: {len(self.items):,}{total} interactions",
            [Table.of(names, rows)],
            [] if self.next_cursor is None else ["there are more: give next_cursor"],
        )


def _canonical(value: Any) -> Any:
    """Return a field of an interaction as the canonical columns hold it."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return list(value) if isinstance(value, tuple | frozenset) else value


@dataclass(frozen=True)
class LogChunk:
    """Rows after a number, in the order in which they were stored.

    Attributes
    ----------
    frame : DataFrame
        Canonical columns, ``live`` (Boolean) and ``seq`` (Int64).
    last : int
        Everything up to this number has been looked at: where to go on.
    """

    frame: pl.DataFrame
    last: int

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return `frame`."""
        return self.frame

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        return Summary(
            f"LogChunk: {len(self.frame):,} rows, up to number {self.last:,}",
            [Table.of_frame(self.frame)],
        )


class LogHistory(NamedTuple):
    """What a log holds up to a row and a deletion, to recognise an older copy of it.

    Attributes
    ----------
    last_row, last_deletion : int
        The highest numbers that the file ever gave.
    row_time : int
        When the newest row up to the number was recorded, in microseconds; 0 for none. Rows are
        recorded in the order of their numbers, at ever later times.
    deletion_time : int
        When the deletion of the number was; 0 where it is not noted, or no more.
    """

    last_row: int
    last_deletion: int
    row_time: int
    deletion_time: int


class Deletion(NamedTuple):
    """One deleted row, or one user, that learned state has to follow.

    Attributes
    ----------
    number : int
        Grows with every deletion.
    retriever_id : str or None
    execution_id, feature_id : str or None
        The unit; None where a whole user was deleted, whether or not the log held rows of theirs.
    user_id : str or None
        The user, where all of theirs was deleted.
    live : bool
    event_time : datetime or None
    session_id, query_digest : str or None
        What the execution of a row without one is inferred from; see `query_digest`.
    """

    number: int
    retriever_id: str | None
    execution_id: str | None
    feature_id: str | None
    user_id: str | None
    live: bool
    event_time: dt.datetime | None
    session_id: str | None = None
    query_digest: str | None = None
