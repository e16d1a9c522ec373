"""Parameters of the log's calls: text that SQLite can hold, numbers within bounds."""

from __future__ import annotations

from typing import Any, Final

from ...errors import InvalidInputError
from ..interaction import MAX_ID_CHARACTERS

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


def checked_whole(name: str, value: Any, lowest: int, highest: int) -> int:
    """Return a whole number within bounds, or raise `InvalidInputError`."""
    if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
        return value
    msg = f"{name}: expected {lowest:,} to {highest:,}, got {repr(value)[:100]}"
    raise InvalidInputError(msg)
