"""From one query to the next: what people searched for after a search, within a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..searches.searches import Searches


@dataclass(frozen=True, eq=False)
class Steps:
    """Attempts at queries, and steps from one to the next in a visit.

    An attempt is a run of searches for one query in a visit with no more than the time limit
    between two; it succeeds if the user engages with a document of any.

    Attributes
    ----------
    attempts : DataFrame
        ``person``, ``query`` (codes), ``succeeded`` and ``time``. One row, the first, for each
        person and query.
    steps : DataFrame
        ``person``, ``from``, ``to`` (codes of queries), ``from_succeeded``, ``to_succeeded``
        and ``time``. One row, the first, for each person and pair of queries: a person's habit
        counts once.
    followed : ndarray of bool, shape (e,)
        Whether another query followed the search.
    known : ndarray of bool, shape (e,)
        Whether visit, time and query of the search are known.
    """

    attempts: pl.DataFrame
    steps: pl.DataFrame
    followed: NDArray[np.bool_]
    known: NDArray[np.bool_]


def find_steps(searches: Searches, person: NDArray[np.int64], limit: int) -> Steps:
    """Return the attempts and steps of all visits.

    A visit is a session or, where a search names none, its user. `person`, shape (e,). `limit`:
    microseconds between a search and the one that follows it.
    """
    visit = _visits(searches)
    known = (visit >= 0) & searches.timed & searches.query.known
    time = searches.time.astype(np.int64)
    # Searches are in order of time already.
    order = np.flatnonzero(known)
    order = order[np.argsort(visit[order], kind="stable")]
    at, query = time[order], searches.query.codes[order]
    follows = np.zeros(len(order), np.bool_)
    follows[1:] = (np.diff(visit[order]) == 0) & (np.diff(at) <= limit)
    begins = ~follows
    begins[1:] |= np.diff(query) != 0
    attempt = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    served = np.bincount(attempt, weights=searches.succeeded[order], minlength=len(first)) > 0
    tried = pl.DataFrame(
        {
            "person": person[order][first],
            "query": query[first],
            "succeeded": served,
            "time": at[first],
        }
    )
    later = np.flatnonzero(follows[first])  # attempts that follow the one before them
    before, after = tried[later - 1], tried[later]
    steps = pl.DataFrame(
        {
            "person": after["person"],
            "from": before["query"],
            "to": after["query"],
            "from_succeeded": before["succeeded"],
            "to_succeeded": after["succeeded"],
            "time": after["time"],
        }
    )
    followed = np.zeros(len(searches), np.bool_)
    followed[order[np.isin(attempt, later - 1)]] = True
    return Steps(
        _first_of(tried, "person", "query"),
        _first_of(steps, "person", "from", "to"),
        followed,
        known,
    )


def _first_of(table: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Return the earliest row of each value of some columns, in order of time."""
    return table.sort("time", maintain_order=True).unique(names, keep="first", maintain_order=True)


def _visits(searches: Searches) -> NDArray[np.int64]:
    """Return the code of every search's visit, -1 where neither session nor user is known."""
    session, user = searches.session, searches.user
    by_user = np.where(user.known, len(session.texts) + user.codes.astype(np.int64), -1)
    return np.where(session.known, session.codes.astype(np.int64), by_user)
