"""Ids of documents, executions, users and the like: short text, or whole numbers as text."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from . import fault as reasons
from .fault import FaultError
from .interaction import MAX_ID_CHARACTERS

MAX_EXACT_FLOAT: Final = 2**53
"""From here on different whole numbers are the same float."""

NULL_WORDS: Final = frozenset(
    {
        *("NULL", "null", "Null", r"\N", "nan", "NaN", "NAN", "None", "N/A", "n/a", "#N/A", "<NA>"),
        *("NaT", "undefined", "(null)", "<null>", "<NULL>", "[NULL]", "nil"),
        *(" " * length for length in range(1, 10)),
    }
)
"""Texts that other tools write for a missing value; taken as an id they would merge its rows.

They come from ``map(str)`` in pandas, from exports of databases (blanks fill columns of a fixed
width), from database clients, spreadsheets and JavaScript. All are short, so that most ids are
known by their length to be none of them.
"""


def id_text(name: str, value: Any) -> str | None:
    """Return an id as text, None where it is absent, or raise `FaultError`."""
    if value is None:
        return None
    text = value if isinstance(value, str) else _as_text(name, value)
    if text == "" or text in NULL_WORDS:
        return None
    if len(text) > MAX_ID_CHARACTERS:
        raise FaultError(reasons.TOO_LONG_ID, name, value)
    return text


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        if abs(value) >= MAX_EXACT_FLOAT:
            raise FaultError(reasons.FLOAT_ID, name, value)
        value = int(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return binary_text(name, bytes(value))
    if isinstance(value, bool) or not isinstance(value, int | UUID):
        raise FaultError(reasons.NOT_TEXT, name, value)
    return str(value)


def binary_text(name: str, value: bytes) -> str:
    """Return the text in UTF-8, or the UUID, that bytes hold, or raise `FaultError`.

    Examples
    --------
    >>> binary_text("user_id", b"u1"), binary_text("user_id", bytes(15) + b"1")
    ('u1', '00000000-0000-0000-0000-000000000031')
    """
    with suppress(UnicodeDecodeError):
        text = value.decode()
        if len(value) != 16 or text.isprintable():
            return text
    if len(value) == 16:
        return str(UUID(bytes=value))
    raise FaultError(reasons.NOT_UTF8, name, value.hex())
