"""The words in which a row is refused: one place, so that every source says the same."""

from __future__ import annotations

from typing import Final

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
TOO_LONG_ID: Final = f"longer than {MAX_ID_CHARACTERS:,} characters"
TOO_LONG_TEXT: Final = f"longer than {MAX_TEXT_CHARACTERS:,} characters"
TOO_LONG_LINE: Final = f"the line is longer than {MAX_LINE_BYTES:,} bytes"
TOO_DEEP: Final = f"nested more than {MAX_DEPTH} deep"
ALIAS_CONFLICT: Final = "feature_id and its alias document_id differ"

TYPES_MISSING: Final = "missing: at least one type is required"
TYPES_NULL: Final = "the list holds a null or an empty name"
TYPES_UNKNOWN: Final = "unknown type; add one of your own by naming it in grades= (or types=)"
TYPES_NOT_LIST: Final = 'expected a list of names such as ["click"]'

NOT_WHOLE: Final = "not a whole number"
NEGATIVE: Final = "negative; positions are 0-based"
ABOVE_INT32: Final = f"above {MAX_INT32}"
NOT_NUMBER: Final = "not a number"
NOT_FINITE: Final = "not finite (NaN or infinite)"
BELOW_ONE: Final = "below 1 (0 only goes with zero_results)"

NUMBER_RANGE: Final = "a number within it is too large to be read"
NOT_OBJECT: Final = "not a JSON object"
NOT_TIME: Final = "not an ISO 8601 time, such as 2026-01-31T12:00:00Z"
TIME_RANGE: Final = "outside the years 1 to 9999"
NO_TIME: Final = "missing (and no timestamp either), while other rows have times"

NOT_UTF8: Final = "not valid UTF-8"
NOT_JSON: Final = "not valid JSON"
NOT_JSON_OBJECT: Final = "the line is not a JSON object"
NOT_CSV: Final = "not valid CSV"
FIELD_COUNT: Final = "wrong number of fields in the line"
