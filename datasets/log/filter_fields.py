"""The fields that a search of the log may name, and what each operator means for them in SQL.

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

if TYPE_CHECKING:
    from collections.abc import Collection

COMPARISONS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
OPERATORS: Final = (
    *("eq", "ne", *COMPARISONS, "in", "nin"),
    *("exists", "is_null", "contains", "starts_with"),
)
MAX_VALUES: Final = 1_000
_KEY: Final = re.compile(r"metadata((?:\.[A-Za-z0-9_-]{1,64}){1,8})")
_NAME: Final = "nullif(r.name, '')"


@dataclass(frozen=True)
class Condition:
    """A piece of SQL with what is bound to its question marks."""

    sql: str
    bound: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Field:
    """A column that conditions may name; its kind is text, number, time, types or json."""

    name: str
    column: str
    kind: str
    path: str = ""

    def condition(self, operator: str, value: Any, *, case_sensitive: bool) -> Condition:
        """Return an operator's condition on this field."""
        if operator in {"exists", "is_null"}:
            wanted = True if value is None else value
            if not isinstance(wanted, bool):
                raise self._refuse(operator, value, "true or false")
            return self._present() if wanted == (operator == "exists") else negated(self._present())
        if operator in {"in", "nin"}:
            found = self._any_of(operator, value)
            return found if operator == "in" else negated(found)
        if value is None and operator in {"eq", "ne"}:
            return negated(self._present()) if operator == "eq" else self._present()
        if operator in {"eq", "ne"}:
            found = self._equals(operator, value)
            return found if operator == "eq" else negated(found)
        if operator in {"contains", "starts_with"}:
            return self._matches(operator, value, case_sensitive=case_sensitive)
        return self._compares(operator, value)

    def plain_equality(self, value: Any) -> Condition:
        """Return an equality that an index serves."""
        return Condition(f"{self.column} = ?", (self._value("eq", value),))

    def _present(self) -> Condition:
        if self.kind == "json":
            return Condition(f"ifnull(json_type({self.column}, ?), 'null') <> 'null'", (self.path,))
        return Condition(f"{self.column} IS NOT NULL")

    def _equals(self, operator: str, value: Any) -> Condition:
        if self.kind == "types":
            return self._has_type(operator, value)
        if self.kind == "json":
            return self._json(operator, "=", value)
        return Condition(f"({self.column} = ?) IS TRUE", (self._value(operator, value),))

    def _any_of(self, operator: str, values: Any) -> Condition:
        if not isinstance(values, list | tuple) or not 1 <= len(values) <= MAX_VALUES:
            raise self._refuse(operator, values, f"a list of 1 to {MAX_VALUES:,} values")
        if self.kind == "json":
            return self._json_any_of(operator, values)
        if self.kind == "types":
            names = tuple(self._type(operator, value) for value in values)
            listed = f"json_each({self.column}) WHERE value IN ({_marks(names)})"
            return Condition(f"EXISTS (SELECT 1 FROM {listed})", names)  # noqa: S608
        bound = tuple(self._value(operator, value) for value in values)
        return Condition(f"({self.column} IN ({_marks(bound)})) IS TRUE", bound)

    def _json_any_of(self, operator: str, values: list[Any] | tuple[Any, ...]) -> Condition:
        """Return one membership for each JSON type: SQLite plans a chain of ORs for minutes."""
        kind, held = f"json_type({self.column}, ?)", f"json_extract({self.column}, ?)"
        truths = {"true" if value else "false": None for value in values if isinstance(value, bool)}
        texts: list[str] = []
        numbers: list[int | float] = []
        for value in values:
            if isinstance(value, str):
                texts.append(self._text(operator, value))
            elif not isinstance(value, bool):
                numbers.append(self._number(operator, value))
        parts = []
        if truths:
            sql = f"({kind} IN ({_marks(truths)})) IS TRUE"
            parts.append(Condition(sql, (self.path, *truths)))
        for types, wanted in (("'text'", texts), ("'integer', 'real'", numbers)):
            if wanted:
                sql = f"({kind} IN ({types}) AND {held} IN ({_marks(wanted)})) IS TRUE"
                parts.append(Condition(sql, (self.path, self.path, *wanted)))
        return joined("OR", parts)

    def _compares(self, operator: str, value: Any) -> Condition:
        sign = COMPARISONS[operator]
        if self.kind == "types":
            raise self._refuse(operator, value, "eq, ne, in, nin, contains or exists")
        if self.kind == "json":
            if isinstance(value, bool):
                raise self._refuse(operator, value, "a number or text")
            return self._json(operator, sign, value)
        return Condition(f"({self.column} {sign} ?) IS TRUE", (self._value(operator, value),))

    def _matches(self, operator: str, value: Any, *, case_sensitive: bool) -> Condition:
        if self.kind == "types":
            if operator == "contains":
                return self._has_type(operator, value)
            raise self._refuse(operator, value, "eq, ne, in, nin, contains or exists")
        if self.kind in {"number", "time"}:
            raise self._refuse(operator, value, "eq, ne, gt, gte, lt, lte, in or nin")
        part = _text(value)
        if part is None or not part:
            raise self._refuse(operator, value, "text that is not empty")
        column, guard = self.column, ""
        bound: tuple[Any, ...] = ()
        if self.kind == "json":
            column = f"json_extract({self.column}, ?)"
            guard, bound = f"json_type({self.column}, ?) = 'text' AND ", (self.path, self.path)
        if not case_sensitive:
            # SQLite knows the case of the letters A to Z only.
            column, part = f"lower({column})", _lower(part)
        if operator == "contains":
            return Condition(f"({guard}instr({column}, ?) > 0) IS TRUE", (*bound, part))
        sql = f"({guard}substr({column}, 1, ?) = ?) IS TRUE"
        return Condition(sql, (*bound, len(part), part))

    def _has_type(self, operator: str, value: Any) -> Condition:
        name = self._type(operator, value)
        listed = f"EXISTS (SELECT 1 FROM json_each({self.column}) WHERE value = ?)"  # noqa: S608
        if not name.isidentifier():
            return Condition(listed, (name,))
        # instr is fast and passes all that hold the name, and those that hold it within another.
        return Condition(f"(instr({self.column}, ?) > 0 AND {listed})", (name, name))

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

    def _json(self, operator: str, sign: str, value: Any) -> Condition:
        """Compare values of the same JSON type; SQLite would take true for 1."""
        kind = f"json_type({self.column}, ?)"
        if isinstance(value, bool):
            return Condition(f"({kind} = ?) IS TRUE", (self.path, "true" if value else "false"))
        text = _text(value)
        if text is None:
            checked: Any = self._number(operator, value)
            types = "'integer', 'real'"
        else:
            checked, types = text, "'text'"
        sql = f"({kind} IN ({types}) AND json_extract({self.column}, ?) {sign} ?) IS TRUE"
        return Condition(sql, (self.path, self.path, checked))

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
        path = "$" + "".join(f'."{part}"' for part in key[1][1:].split("."))
        return Field(name, "i.metadata", "json", path)
    msg = (
        f"filters: unknown field {name[:100]!r}.{did_you_mean(name[:100], _FIELDS)} Expected one "
        f"of {', '.join(_FIELDS)}, or metadata.KEY of letters, digits, - and _"
    )
    raise InvalidInputError(msg)


def joined(word: str, conditions: list[Condition]) -> Condition:
    """Return conditions joined by AND or OR."""
    if len(conditions) == 1:
        return conditions[0]
    sql = f" {word} ".join(each.sql for each in conditions)
    return Condition(f"({sql})", tuple(value for each in conditions for value in each.bound))


def _marks(values: Collection[Any]) -> str:
    return ", ".join("?" * len(values))


def negated(condition: Condition) -> Condition:
    """Return the opposite of a condition."""
    return Condition(f"NOT ({condition.sql})", condition.bound)


def _text(value: Any) -> str | None:
    """Return text that SQLite can compare; None for anything else."""
    if not isinstance(value, str) or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def _lower(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
