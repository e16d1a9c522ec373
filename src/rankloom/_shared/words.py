"""Numbers with their nouns, for messages and reports."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 row`` or ``1,234 rows``.

    >>> counted(1, "row"), counted(1234, "row"), counted(2, "query", "queries")
    ('1 row', '1,234 rows', '2 queries')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
