"""All stored interactions of a service in the order of their recording, each of them once.

Services answer in pages: behind a cursor, or numbered. Sorted by the time of recording, new
interactions only come at the end, so that a walk can stop anywhere and go on from a mark: the last
time that was seen, and the ids at that time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[[dict[str, Any], dict[str, Any]], Any]

MAX_OFFSET: Final = 10_000
"""How deep numbered pages reach; beyond, the walk starts again at the time it has come to."""

_IDLE_PAGES: Final = 3


class Mark(NamedTuple):
    """How far a walk has come.

    Attributes
    ----------
    timestamp : str, optional
        Latest time of recording, in the service's own words.
    ids : frozenset of str
        Interactions of that time.
    """

    timestamp: str | None = None
    ids: frozenset[str] = frozenset()


class Page(NamedTuple):
    """New interactions of one answer, as the service gave them, and the mark behind them."""

    rows: list[Any]
    mark: Mark


class Walk:
    """Pages of new interactions, and how many rows were repeats.

    Parameters
    ----------
    ask : callable
        Gets query parameters and a body, returns the answer's JSON.
    fields : dict
        Simple filters of the body.
    page_size : int
    mark : Mark
        Where to begin; interactions of that very time are asked for again and left out by id.
    """

    def __init__(self, ask: Ask, fields: dict[str, Any], page_size: int, mark: Mark) -> None:
        self._ask, self._fields, self._page_size = ask, fields, page_size
        self._since = self._last = mark.timestamp
        self._last_time = _time_of(mark.timestamp)
        self._ids_at_last = set(mark.ids)
        # Asked for again because the filter can name no more than a time: no fault of the service.
        self._asked_again = set(mark.ids)
        self._previous: frozenset[str] = frozenset()
        self._cursors: set[bytes] = set()
        self._guessed = False
        self.repeated = 0

    def pages(self) -> Iterator[Page]:
        """Yield the pages that hold anything new.

        Raises
        ------
        StoreError
            If answers do not follow the interface: no list of results, not sorted by time, a
            cursor that comes again or leads nowhere.
        """
        query: dict[str, Any] | None = {}
        idle = 0
        while query is not None:
            asked = {"page_size": self._page_size, **query}
            rows, paging = _parts(self._ask(asked, self._body()))
            awaited = len(self._asked_again)
            fresh, repeated = self._fresh(rows)
            moved = bool(fresh) or len(self._asked_again) < awaited
            if fresh:
                yield Page(fresh, Mark(self._last, frozenset(self._ids_at_last)))
            if self._guessed and not moved:
                # Nobody promised this page, and some services answer such a one with the first.
                return
            self.repeated += repeated
            idle = 0 if moved else idle + 1
            query = self._next(query, rows, paging)
            if query is not None and idle >= _IDLE_PAGES:
                msg = f"{idle} pages in a row brought nothing new, and more are promised"
                raise StoreError(msg)

    def _body(self) -> dict[str, Any]:
        body = {**self._fields, "sort": {"field": "timestamp", "direction": "asc"}}
        if self._since is None:
            return body
        condition = {"field": "timestamp", "operator": "gte", "value": self._since}
        return {**body, "filters": {"AND": [condition]}}

    def _next(
        self, query: dict[str, Any], rows: list[Any], paging: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return the query parameters of the next page; None after the last one."""
        cursor = paging.get("next_cursor")
        if cursor:
            return {"cursor": self._new(str(cursor))}
        if "cursor" in query or not rows or not self._another(query.get("page", 1), rows, paging):
            return None
        page = query.get("page", 1) + 1
        return {"page": page} if page * self._page_size <= MAX_OFFSET else self._restart()

    def _another(self, page: int, rows: list[Any], paging: dict[str, Any]) -> bool:
        total = paging.get("total_pages")
        promised = page < total if isinstance(total, int) else bool(paging.get("next_page"))
        numbered = paging.get("page") == page or "next_cursor" not in paging
        full = len(rows) >= self._page_size
        self._guessed = not promised and not isinstance(total, int) and numbered and full
        return promised or self._guessed

    def _new(self, cursor: str) -> str:
        digest = hashlib.blake2b(cursor.encode(), digest_size=8).digest()
        if digest in self._cursors:
            msg = "the service gave the same cursor twice; its pages would never end"
            raise StoreError(msg)
        self._cursors.add(digest)
        return cursor

    def _restart(self) -> dict[str, Any]:
        if self._last is None or self._last == self._since:
            msg = (
                f"more than {MAX_OFFSET:,} interactions share one time of recording, and the "
                "service has no cursors to read them all"
            )
            raise StoreError(msg)
        self._since = self._last
        self._asked_again = set(self._ids_at_last)
        return {}

    def _fresh(self, rows: list[Any]) -> tuple[list[Any], int]:
        """Return the rows that are new and how many repeat others; move the mark behind them."""
        fresh, ids, repeated = [], set(), 0
        for row in rows:
            told = row if isinstance(row, dict) else {}
            known = told.get("interaction_id")
            if isinstance(known, str):
                seen = known in ids or known in self._previous or known in self._ids_at_last
                ids.add(known)
                if seen:
                    repeated += known not in self._asked_again
                    self._asked_again.discard(known)
                    continue
            self._advance(told.get("timestamp"), known)
            fresh.append(row)
        self._previous = frozenset(ids) or self._previous
        return fresh, repeated

    def _advance(self, timestamp: Any, known: Any) -> None:
        moment = _time_of(timestamp)
        if moment is None:
            return
        if self._last_time is None or moment > self._last_time:
            self._last, self._last_time = timestamp, moment
            self._ids_at_last.clear()
        elif moment < self._last_time:
            msg = (
                f"the service does not sort by time of recording: {timestamp} came after "
                f"{self._last}"
            )
            raise StoreError(msg)
        if isinstance(known, str):
            self._ids_at_last.add(known)


def _parts(answer: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the rows of an answer and what it says about further pages."""
    told = answer if isinstance(answer, dict) else {}
    rows = told.get("results", told.get("items"))
    paging = told.get("pagination") or {}
    if not isinstance(rows, list) or not isinstance(paging, dict):
        msg = "the answer holds no list of results; is this the address of the service's root?"
        raise StoreError(msg)
    return rows, paging


def _time_of(text: Any) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except (TypeError, ValueError):
        return None
