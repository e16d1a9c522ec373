"""Order and pages of a search: sorting by an allow-list, cursors that fit one search only."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgspec

from ..._shared.checks import checked_number
from ...errors import InvalidInputError, did_you_mean
from .condition import Condition
from .filter_fields import SORTABLE

MAX_LIMIT: Final = 1_000
MAX_OFFSET: Final = 10_000
"""Further pages need a cursor."""

MAX_PAGE_CHARACTERS: Final = 8_000_000
"""A page ends with the row that brings it beyond this: a row alone may hold two million."""

_STALE: Final = (
    "cursor: it was not made by this search (same log, namespace, retriever, filters and sort); "
    "begin again without one"
)


@dataclass(frozen=True)
class Order:
    """How a search is sorted: by a column, absent values last, ties by the row's number."""

    field: str
    column: str
    descending: bool

    @property
    def by_number(self) -> bool:
        """Whether the rows' numbers give the order: timestamps never go back."""
        return self.field in {"timestamp", "created_at"}

    @property
    def sql(self) -> str:
        """Return what follows ORDER BY."""
        way = "DESC" if self.descending else "ASC"
        if self.by_number:
            return f"i.seq {way}"
        return f"{self.column} IS NULL, {self.column} {way}, i.seq {way}"

    def after(self, value: Any, seq: int) -> Condition:
        """Return the condition of the rows that follow one."""
        sign = "<" if self.descending else ">"
        if self.by_number:
            return Condition(f"i.seq {sign} ?", (seq,))
        if value is None:
            return Condition(f"({self.column} IS NULL AND i.seq {sign} ?)", (seq,))
        sql = (
            f"({self.column} {sign} ? OR ({self.column} = ? AND i.seq {sign} ?) "
            f"OR {self.column} IS NULL)"
        )
        return Condition(sql, (value, value, seq))


def order_of(sort: Any) -> Order:
    """Return the order of a pair (field, "asc" or "desc").

    Raises InvalidInputError if the field cannot be sorted by.
    """
    if not isinstance(sort, tuple | list) or len(sort) != 2:
        msg = f'sort: expected a pair such as ("timestamp", "desc"), got {repr(sort)[:100]}'
        raise InvalidInputError(msg)
    field, direction = sort
    if not isinstance(field, str) or field not in SORTABLE:
        shown = str(field)[:100]
        msg = (
            f"sort: cannot sort by {shown!r}.{did_you_mean(shown, SORTABLE)} Expected one of "
            f"{', '.join(SORTABLE)}"
        )
        raise InvalidInputError(msg)
    if direction not in ("asc", "desc"):
        msg = f"sort: expected 'asc' or 'desc', got {repr(direction)[:100]}"
        raise InvalidInputError(msg)
    return Order(field, SORTABLE[field], direction == "desc")


def check_page(offset: Any, limit: Any, cursor: Any) -> None:
    """Raise where a page is out of bounds."""
    checked_number("limit", limit, 1, MAX_LIMIT, whole=True)
    checked_number("offset", offset, 0, MAX_OFFSET, whole=True)
    if cursor is not None and offset:
        msg = f"offset: a cursor says where the page begins; got {offset} with a cursor"
        raise InvalidInputError(msg)


def search_digest(*parts: Any) -> str:
    """Return a digest that differs between searches."""
    text = msgspec.json.encode(parts, order="deterministic")
    return blake2b(text, digest_size=16).hexdigest()


def make_cursor(digest: str, value: Any, seq: int) -> str:
    """Return an opaque text that names the last row of a page."""
    raw = msgspec.json.encode([digest, value, seq])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(cursor: Any, digest: str) -> tuple[Any, int]:
    """Return the sort value and the number of the row that a cursor names.

    Raises InvalidInputError if it is no cursor, or that of another search.
    """
    if not isinstance(cursor, str) or len(cursor) > 8_000:
        raise InvalidInputError(_STALE)
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        made, value, seq = msgspec.json.decode(raw, type=tuple[str, int | float | str | None, int])
        in_range = abs(seq) < 2**63 and not (isinstance(value, int) and abs(value) >= 2**63)
    except ValueError:
        raise InvalidInputError(_STALE) from None
    if made != digest or not in_range:
        raise InvalidInputError(_STALE)
    return value, seq
