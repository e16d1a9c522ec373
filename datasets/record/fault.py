"""The faults that a row can have, and their wording: one place, so that all sources agree."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from .interaction import (
    MAX_DEPTH,
    MAX_ID_CHARACTERS,
    MAX_INT32,
    MAX_LINE_BYTES,
    MAX_TEXT_CHARACTERS,
)

MISSING: Final = "missing"
EMPTY: Final = "empty text"
NOT_TEXT: Final = "expected text or a whole number"
FLOAT_ID: Final = (
    "a float of 2^53 or more (float32: 2^24), whose last digits are lost; give ids as text or "
    "whole numbers"
)
TOO_LONG_ID: Final = f"longer than {MAX_ID_CHARACTERS:,} characters"
TOO_LONG_TEXT: Final = f"longer than {MAX_TEXT_CHARACTERS:,} characters"
TOO_LONG_LINE: Final = f"the line is longer than {MAX_LINE_BYTES:,} bytes"
TOO_DEEP: Final = f"nested more than {MAX_DEPTH} deep"
ALIAS_CONFLICT: Final = "feature_id and its alias document_id differ"

TYPES_MISSING: Final = "missing: at least one type is required"
TYPES_NULL: Final = "the list holds a null or an empty name"
TYPES_UNKNOWN: Final = (
    "unknown type; map it by types={'ITS NAME': 'click'}, or add one of your own by naming it in "
    "grades= (or types=)."
)

NOT_WHOLE: Final = "not a whole number"
NEGATIVE: Final = "negative; positions are 0-based"
BELOW_BASE: Final = "below position_base=1: the first result has the position 1"
ABOVE_INT32: Final = f"above {MAX_INT32}"
NO_DISPLAY: Final = (
    "missing, and no other row shows this document in its execution; impressions= may hold it"
)
NO_EXECUTION: Final = (
    "missing, and neither an execution_id nor session and query lead to a display of this document"
)
NO_EXECUTION_ADVICE: Final = f"{NO_EXECUTION}; attribution='7d' would take its user's last one"
NO_RECENT_DISPLAY: Final = f"{NO_EXECUTION}, and its user had none within the attribution time"
NOT_NUMBER: Final = "not a number"
NOT_FINITE: Final = "not finite"
BELOW_ONE: Final = "below 1 (0 only goes with zero_results)"

NUMBER_RANGE: Final = "a number within it is too large to be read"
NOT_OBJECT: Final = 'not a JSON object, such as {"device": "mobile"}'
NOT_TIME: Final = "not an ISO 8601 time, such as 2026-01-31T12:00:00Z"
TIME_UNIT: Final = "a number; give time_unit='s', 'ms', 'us' or 'ns', counted since 1970"
TIME_RANGE: Final = "outside the years 1 to 9999"
NO_TIME: Final = "missing (and no timestamp either), while other rows have times"

NOT_UTF8: Final = "not valid UTF-8"
NOT_JSON: Final = "not valid JSON"
NOT_JSON_OBJECT: Final = "the line is not a JSON object"
NOT_CSV: Final = "not valid CSV"
FIELD_COUNT: Final = "wrong number of fields in the line"

_VALUE_CHARACTERS: Final = 200


class Fault(NamedTuple):
    """What is wrong with a row: field (empty for the whole row), value and reason."""

    field: str
    value: str | None
    reason: str

    def __str__(self) -> str:
        subject = f"{self.field}: {self.reason}" if self.field else self.reason
        return subject if self.value is None else f"{subject} (got {self.value!r})"


class FaultError(Exception):
    """A rule that a record breaks."""

    def __init__(self, reason: str, field: str, value: Any) -> None:
        self.fault = Fault(field, None if value is None else shorten(value), reason)


def shorten(value: Any) -> str:
    """Return a value as text of at most 200 characters; bytes are read as UTF-8.

    Examples
    --------
    >>> shorten(b"abc"), shorten(1.5), len(shorten("x" * 1000))
    ('abc', '1.5', 200)
    """
    if isinstance(value, bytes | msgspec.Raw):
        # UTF-8 takes at most four bytes a character.
        value = bytes(value)[: 4 * _VALUE_CHARACTERS + 4].decode("utf-8", "replace")
    text = str(value).encode("utf-8", "replace").decode().strip()
    return text if len(text) <= _VALUE_CHARACTERS else text[: _VALUE_CHARACTERS - 3] + "..."
