"""What the log answers: receipts, faults, reports of batches, pages, chunks of rows, deletions."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads annotations at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
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
