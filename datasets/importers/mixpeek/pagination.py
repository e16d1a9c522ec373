"""All stored interactions of a service in the order of their recording, each of them once.

Services answer in pages: behind a cursor, or numbered. Sorted by the time of recording, new
interactions only come at the end, so that reading can stop anywhere and go on from a mark: the
latest time so far, and the ids of that time.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ....errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[[dict[str, Any], dict[str, Any]], Any]

MAX_OFFSET: Final = 10_000
"""How deep numbered pages reach; beyond, reading starts again at the latest time so far."""

MAX_IDLE_PAGES: Final = 3
"""Pages in a row without anything new, after which a service is taken to go round in circles."""


class Mark(NamedTuple):
    """How far reading has come: latest time of recording as the service wrote it, and its ids."""

    timestamp: str | None = None
    ids: frozenset[str] = frozenset()


class Page(NamedTuple):
    """The new rows of one answer, the mark after them, and how many rows were repeats."""

    rows: list[Any]
    mark: Mark
    repeated: int


class Rows:
    """Separates new rows from repeated ones, and moves the mark behind the new ones.

    Ids are compared with those of the answer before and with those of the latest time, which is
    enough where rows are sorted by time; memory stays bounded.
    """

    def __init__(self, mark: Mark) -> None:
        self.last, self._last_time = mark.timestamp, _time_of(mark.timestamp)
        self._ids_at_last = set(mark.ids)
        # A filter names a time, not an id: these come again, which is no fault of the service.
        self._requested_again = set(mark.ids)
        self._previous: frozenset[str] = frozenset()

    @property
    def mark(self) -> Mark:
        """Where reading would go on."""
        return Mark(self.last, frozenset(self._ids_at_last))

    def take(self, rows: list[Any]) -> tuple[Page, bool]:
        """Return the page of an answer, and whether it brought reading on."""
        fresh, ids, repeated, awaited = [], set(), 0, len(self._requested_again)
        for row in rows:
            record = row if isinstance(row, dict) else {}
            name = record.get("interaction_id")
            if isinstance(name, str):
                repeat = name in ids or name in self._previous or name in self._ids_at_last
                ids.add(name)
                if repeat:
                    repeated += name not in self._requested_again
                    self._requested_again.discard(name)
                    continue
            self._advance(record.get("timestamp"), name)
            fresh.append(row)
        self._previous = frozenset(ids) or self._previous
        moved = bool(fresh) or len(self._requested_again) < awaited
        return Page(fresh, self.mark, repeated), moved

    def request_again(self) -> None:
        """Expect the rows of the latest time once more."""
        self._requested_again = set(self._ids_at_last)

    def _advance(self, timestamp: Any, name: Any) -> None:
        moment = _time_of(timestamp)
        if moment is None:
            return
        if self._last_time is None or moment > self._last_time:
            self.last, self._last_time = timestamp, moment
            self._ids_at_last.clear()
        elif moment < self._last_time:
            msg = (
                f"the service does not sort by time of recording: {timestamp} came after "
                f"{self.last}"
            )
            raise StoreError(msg)
        if isinstance(name, str):
            self._ids_at_last.add(name)


def read_pages(ask: Ask, fields: dict[str, Any], page_size: int, mark: Mark) -> Iterator[Page]:
    """Yield the pages of all interactions from a mark on, in the order of their recording.

    `ask`: gets query parameters and a body, returns the answer's JSON.
    `fields`: simple filters of the body.
    `mark`: where to begin; interactions of that very time are requested again and left out by id.
    Raises StoreError if answers do not follow the interface: no list of results, not sorted by
    time, a cursor that comes again or leads nowhere.
    """
    rows, since, idle = Rows(mark), mark.timestamp, 0
    query: dict[str, Any] | None = {}
    guessed, cursors = False, set()
    while query is not None:
        results, paging = _parts(ask({"page_size": page_size, **query}, _body(fields, since)))
        page, moved = rows.take(results)
        if guessed and not moved:
            # No answer promised this page, and some services answer such a one with the first.
            return
        yield page
        idle = 0 if moved else idle + 1
        query, guessed = _next_query(query, results, paging, page_size)
        if query is not None and idle >= MAX_IDLE_PAGES:
            msg = f"{idle} pages in a row brought nothing new, and more are promised"
            raise StoreError(msg)
        if query is not None and "cursor" in query:
            if query["cursor"] in cursors:
                msg = "the service gave the same cursor twice; its pages would never end"
                raise StoreError(msg)
            cursors.add(query["cursor"])
        elif query is not None and query["page"] * page_size > MAX_OFFSET:
            since, query = _restart(rows, since), {}


def _body(fields: dict[str, Any], since: str | None) -> dict[str, Any]:
    body = {**fields, "sort": {"field": "timestamp", "direction": "asc"}}
    if since is None:
        return body
    condition = {"field": "timestamp", "operator": "gte", "value": since}
    return {**body, "filters": {"AND": [condition]}}


def _next_query(
    query: dict[str, Any], rows: list[Any], paging: dict[str, Any], page_size: int
) -> tuple[dict[str, Any] | None, bool]:
    """Return the query parameters of the next page, None after the last, and whether guessed."""
    if cursor := paging.get("next_cursor"):
        return {"cursor": str(cursor)}, False
    if "cursor" in query or not rows:
        return None, False
    page, total = query.get("page", 1), paging.get("total_pages")
    if isinstance(total, int):
        promised, guessed = page < total, False
    else:
        promised = bool(paging.get("next_page"))
        numbered = paging.get("page") == page or "next_cursor" not in paging
        guessed = not promised and numbered and len(rows) >= page_size
    return ({"page": page + 1} if promised or guessed else None), guessed


def _restart(rows: Rows, since: str | None) -> str:
    """Return the time from which numbered pages go on once they reach no deeper."""
    if rows.last is None or rows.last == since:
        msg = (
            f"more than {MAX_OFFSET:,} interactions share one time of recording, and the service "
            "has no cursors to read them all"
        )
        raise StoreError(msg)
    rows.request_again()
    return rows.last


def _parts(answer: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the rows of an answer and what it says about further pages."""
    content = answer if isinstance(answer, dict) else {}
    rows = content.get("results", content.get("items"))
    paging = content.get("pagination") or {}
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
