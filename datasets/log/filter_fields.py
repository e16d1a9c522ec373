"""The fields that a search of the log may name, and what each operator means for them.

Every condition is true or false, never unknown: a field that is absent fails every comparison,
and so passes `ne` and `nin`, which are the opposite of `eq` and `in`. Every value is bound.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError, did_you_mean
from ..record.fault import FaultError
from ..record.times import microseconds, moment_of
from .condition import Condition, marks, negated

if TYPE_CHECKING:
    from .dialect import Dialect

COMPARISONS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
OPERATORS: Final = (
    *("eq", "ne", *COMPARISONS, "in", "nin"),
    *("exists", "is_null", "contains", "starts_with"),
)
MAX_VALUES: Final = 1_000
_KEY: Final = re.compile(r"metadata((?:\.[A-Za-z0-9_-]{1,64}){1,8})")
_NAME: Final = "nullif(r.name, '')"


@dataclass(frozen=True)
class Field:
    """A column that conditions may name; its kind is text, number, time, types or json.

    Of a JSON column `keys` lead to the value.
    """

    name: str
    column: str
    kind: str
    keys: tuple[str, ...] = ()

    def condition(
        self, operator: str, value: Any, dialect: Dialect, *, case_sensitive: bool
    ) -> Condition:
        """Return an operator's condition on this field."""
        if operator in {"exists", "is_null"}:
            wanted = True if value is None else value
            if not isinstance(wanted, bool):
                raise self._refuse(operator, value, "true or false")
            present = self._present(dialect)
            return present if wanted == (operator == "exists") else negated(present)
        if operator in {"in", "nin"}:
            found = self._any_of(operator, value, dialect)
            return found if operator == "in" else negated(found)
        if value is None and operator in {"eq", "ne"}:
            present = self._present(dialect)
            return negated(present) if operator == "eq" else present
        if operator in {"eq", "ne"}:
            found = self._equals(operator, value, dialect)
            return found if operator == "eq" else negated(found)
        if operator in {"contains", "starts_with"}:
            return self._matches(operator, value, dialect, case_sensitive=case_sensitive)
        return self._compares(operator, value, dialect)

    def plain_equality(self, value: Any) -> Condition:
        """Return an equality that an index serves."""
        return Condition(f"{self.column} = ?", (self._value("eq", value),))

    def _present(self, dialect: Dialect) -> Condition:
        if self.kind == "json":
            return dialect.json_present(self.column, self.keys)
        return Condition(f"{self.column} IS NOT NULL")

    def _equals(self, operator: str, value: Any, dialect: Dialect) -> Condition:
        if self.kind == "types":
            return dialect.has_type(self.column, (self._type(operator, value),))
        if self.kind == "json":
            return self._json(operator, "=", value, dialect)
        return Condition(f"({self.column} = ?) IS TRUE", (self._value(operator, value),))

    def _any_of(self, operator: str, values: Any, dialect: Dialect) -> Condition:
        if not isinstance(values, list | tuple) or not 1 <= len(values) <= MAX_VALUES:
            raise self._refuse(operator, values, f"a list of 1 to {MAX_VALUES:,} values")
        if self.kind == "json":
            flags, texts, numbers = self._by_kind(operator, values)
            return dialect.json_any_of(self.column, self.keys, flags, texts, numbers)
        if self.kind == "types":
            names = tuple(self._type(operator, value) for value in values)
            return dialect.has_type(self.column, names)
        bound = tuple(self._value(operator, value) for value in values)
        return Condition(f"({self.column} IN ({marks(bound)})) IS TRUE", bound)

    def _by_kind(
        self, operator: str, values: list[Any] | tuple[Any, ...]
    ) -> tuple[list[bool], list[str], list[int | float]]:
        """Return flags, texts and numbers among values: JSON distinguishes them."""
        flags = [value for value in values if isinstance(value, bool)]
        texts = [self._text(operator, value) for value in values if isinstance(value, str)]
        others = [value for value in values if not isinstance(value, bool | str)]
        return flags, texts, [self._number(operator, value) for value in others]

    def _compares(self, operator: str, value: Any, dialect: Dialect) -> Condition:
        sign = COMPARISONS[operator]
        if self.kind == "types":
            raise self._refuse(operator, value, "eq, ne, in, nin, contains or exists")
        if self.kind == "json":
            if isinstance(value, bool):
                raise self._refuse(operator, value, "a number or text")
            return self._json(operator, sign, value, dialect)
        return Condition(f"({self.column} {sign} ?) IS TRUE", (self._value(operator, value),))

    def _matches(
        self, operator: str, value: Any, dialect: Dialect, *, case_sensitive: bool
    ) -> Condition:
        if self.kind == "types":
            if operator == "contains":
                return dialect.has_type(self.column, (self._type(operator, value),))
            raise self._refuse(operator, value, "eq, ne, in, nin, contains or exists")
        if self.kind in {"number", "time"}:
            raise self._refuse(operator, value, "eq, ne, gt, gte, lt, lte, in or nin")
        part = _text(value)
        if part is None or not part:
            raise self._refuse(operator, value, "text that is not empty")
        # The databases know the case of the letters A to Z only.
        form = "{}" if case_sensitive else "lower({})"
        part = part if case_sensitive else _lower(part)
        if operator == "contains":
            form, bound = f"{dialect.find}({form}, ?) > 0", [part]
        else:
            form, bound = f"substr({form}, 1, length(?)) = ?", [part, part]
        if self.kind == "json":
            return dialect.json_text(self.column, self.keys, form, tuple(bound))
        return Condition(f"({form.format(self.column)}) IS TRUE", tuple(bound))

    def _type(self, operator: str, value: Any) -> str:
        name = _text(value)
        if name is None:
            raise self._refuse(operator, value, "the name of an interaction type")
        return name

    def _text(self, operator: str, value: Any) -> str:
        text = _text(value)
        if text is None:
            raise self._refuse(operator, value, "text")
        return text

    def _json(self, operator: str, sign: str, value: Any, dialect: Dialect) -> Condition:
        """Compare values of the same JSON type."""
        if isinstance(value, bool):
            return dialect.json_any_of(self.column, self.keys, [value], [], [])
        text = _text(value)
        if text is None:
            number = self._number(operator, value)
            return dialect.json_number(self.column, self.keys, f"{{}} {sign} ?", (number,))
        return dialect.json_text(self.column, self.keys, f"{{}} {sign} ?", (text,))

    def _value(self, operator: str, value: Any) -> Any:
        """Return a value as the column holds it."""
        if self.kind == "number":
            return self._number(operator, value)
        if isinstance(value, int) and not isinstance(value, bool) and self.kind == "text":
            value = str(value)
        text = _text(value)
        if text is None:
            raise self._refuse(
                operator, value, "an ISO 8601 time" if self.kind == "time" else "text"
            )
        return self._time(operator, text) if self.kind == "time" else text

    def _number(self, operator: str, value: Any) -> int | float:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole and not (isinstance(value, float) and math.isfinite(value)):
            raise self._refuse(operator, value, "a finite number")
        if whole and not -(2**63) <= value < 2**63:
            raise self._refuse(operator, value, "a number of at most 64 bits")
        return value  # type: ignore[no-any-return]

    def _time(self, operator: str, text: str) -> int:
        try:
            moment = moment_of(self.name, text)
        except FaultError:
            moment = None
        if moment is None:
            raise self._refuse(operator, text, "an ISO 8601 time such as 2026-01-31T12:00:00Z")
        return microseconds(moment)

    def _refuse(self, operator: str, value: Any, expected: str) -> InvalidInputError:
        shown = repr(value)[:100]
        return InvalidInputError(
            f"filters: {self.name} {operator}: expected {expected}, got {shown}"
        )


_TEXTS: Final = (
    *("feature_id", "user_id", "session_id", "execution_id", "feature_uri"),
    *("query_snapshot", "interaction_id"),
)
_FIELDS: Final = {
    **{name: Field(name, f"i.{name}", "text") for name in _TEXTS},
    "document_id": Field("document_id", "i.feature_id", "text"),
    "retriever_id": Field("retriever_id", _NAME, "text"),
    "interaction_type": Field("interaction_type", "i.interaction_type", "types"),
    **{
        name: Field(name, f"i.{name}", "number")
        for name in ("position", "document_score", "result_set_size")
    },
    "occurred_at": Field("occurred_at", "i.occurred_at", "time"),
    "timestamp": Field("timestamp", "i.timestamp", "time"),
    "created_at": Field("created_at", "i.timestamp", "time"),
}
FIELDS: Final = tuple(_FIELDS)
"""Names of the fields, apart from the keys of metadata."""

SORTABLE: Final = {
    **{name: field.column for name, field in _FIELDS.items() if field.kind in {"number", "time"}},
    **{name: f"i.{name}" for name in ("feature_id", "user_id", "session_id", "execution_id")},
    "interaction_id": "i.interaction_id",
    "feature_uri": "i.feature_uri",
    "retriever_id": _NAME,
}
"""Columns to sort by, each with its SQL."""


def field_of(name: Any) -> Field:
    """Return the field of a name.

    Raises InvalidInputError if there is none.
    """
    if not isinstance(name, str):
        msg = f"filters: expected the name of a field, got {repr(name)[:100]}"
        raise InvalidInputError(msg)
    found = _FIELDS.get(name)
    if found is not None:
        return found
    key = _KEY.fullmatch(name)
    if key is not None:
        return Field(name, "i.metadata", "json", tuple(key[1][1:].split(".")))
    msg = (
        f"filters: unknown field {name[:100]!r}.{did_you_mean(name[:100], _FIELDS)} Expected one "
        f"of {', '.join(_FIELDS)}, or metadata.KEY of letters, digits, - and _"
    )
    raise InvalidInputError(msg)


def _text(value: Any) -> str | None:
    """Return text that every database can compare; None for anything else."""
    if not isinstance(value, str) or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def _lower(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
