"""The first rows of a table of findings, with how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..outcomes.plain_tables import rows_of
from .wording import not_shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl


def first_rows(
    frame: pl.DataFrame, limit: int, columns: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return ``count``, the number of rows, and ``rows``, the first of them as plain values.

    >>> import polars as pl
    >>> first_rows(pl.DataFrame({"a": [1, 2], "b": [3, 4]}), 1, ["b"])
    {'count': 2, 'rows': [{'b': 3}]}
    """
    shown = frame.head(limit)
    return {"count": len(frame), "rows": rows_of(shown if columns is None else shown[columns])}


def rest_of(part: Mapping[str, Any], noun: str, plural: str | None = None) -> str:
    """Return a sentence on the rows that are not among the first; empty where all are.

    >>> rest_of({"count": 3, "rows": [0]}, "query", "queries")
    '2 more queries are not shown.'
    """
    more = part["count"] - len(part["rows"])
    return not_shown(more, noun, plural) if more else ""
