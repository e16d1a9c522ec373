"""Parameters of the log's calls: their limits, and text that SQLite can hold."""

from __future__ import annotations

from typing import Any, Final

from ...errors import InvalidInputError
from ..record.interaction import MAX_ID_CHARACTERS

MAX_CHUNK: Final = 1_000_000
"""Rows that one call returns at most."""

MAX_NUMBER: Final = (1 << 63) - 1
"""Highest number of a row or of a deletion."""


def checked_text(name: str, value: Any) -> str:
    """Return a name or id, or raise `InvalidInputError`."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID_CHARACTERS:
        msg = f"{name}: expected a text of 1 to 1,024 characters, got {repr(value)[:100]}"
        raise InvalidInputError(msg)
    try:
        value.encode()
    except UnicodeEncodeError:
        msg = f"{name}: expected text that UTF-8 can hold, got {repr(value)[:100]}"
        raise InvalidInputError(msg) from None
    return value
