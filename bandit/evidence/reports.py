"""Counts of what a state of evidence holds, and of what a merge changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import datetime as dt


class EvidenceSummary(NamedTuple):
    """How much evidence there is, and what was left out.

    Attributes
    ----------
    open_units : int
        Units that rows can still change.
    closed_units : int
        Units of which only sums are left.
    units_without_exposure : int
        Units, open and closed, without a display; they add nothing.
    users : int
        Users with closed sums.
    users_dropped : int
        User contexts dropped for those with newer evidence; see `max_users`.
    compacted_before : datetime or None
        The time before which rows are refused.
    closed_nbytes : int
        Bytes that the closed sums take.
    queries : int
        Queries with closed sums.
    queries_dropped : int
        Query contexts dropped for those with newer evidence; see `max_queries`.
    """

    open_units: int
    closed_units: int
    units_without_exposure: int
    users: int
    users_dropped: int
    compacted_before: dt.datetime | None
    closed_nbytes: int
    queries: int = 0
    queries_dropped: int = 0


class MergeReport(NamedTuple):
    """What a merge did.

    Attributes
    ----------
    units_opened, units_changed : int
        Units that were new, and units here that changed.
    units_refused : int
        Units of a source that was merged before, dated before the time up to which this state is
        closed: they are in its sums already, or came too late for them.
    units_closed : int
        Closed units whose sums came in.
    """

    units_opened: int
    units_changed: int
    units_refused: int
    units_closed: int
