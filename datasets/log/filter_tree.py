"""A tree of conditions, as the clients of the HTTP interface write it, to bound SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError, did_you_mean
from .condition import Condition, joined, negated
from .filter_fields import OPERATORS, field_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .dialect import Dialect

MAX_DEPTH: Final = 8
"""How deep AND, OR and NOT may nest."""

MAX_CONDITIONS: Final = 64
"""Conditions of one search."""

MAX_VALUES: Final = 10_000
"""Values in all lists of one search."""

_LOGICAL: Final = ("AND", "OR", "NOT")
_INDEXED: Final = {
    "interaction_id": "by_id",
    "execution_id": "by_execution",
    "session_id": "by_session",
    "user_id": "by_user",
}
"""Fields that an index finds, the most selective first."""


def condition_of(filters: Mapping[str, Any] | None, dialect: Dialect) -> Condition | None:
    """Return the condition of a tree; None where it holds none.

    Raises InvalidInputError if the tree is too large, or names a field, operator or value that
    there is not.
    """
    return _Reader(dialect).tree(filters or {}, 1, case_sensitive=False)


def driving_index(filters: Mapping[str, Any] | None) -> tuple[str, Condition] | None:
    """Return the index that finds the rows best, with the equality that it serves."""
    equal = dict(_equalities(filters or {}))
    for name, index in _INDEXED.items():
        if name in equal:
            return index, field_of(name).plain_equality(equal[name])
    return None


def _equalities(node: Mapping[str, Any]) -> Iterator[tuple[str, str | int]]:
    """Yield (field, value) of equalities that every match must keep; the tree has been checked."""
    if "field" in node:
        leaf: Any = {node.get("operator") or "eq": node.get("value")}
        pairs = [(node["field"], leaf)]
    else:
        pairs = [(name, value) for name, value in node.items() if name not in {"OR", "NOT"}]
    for name, value in pairs:
        if name == "AND":
            for inner in value or ():
                yield from _equalities(inner)
            continue
        wanted = value.get("eq") if isinstance(value, Mapping) else value
        if isinstance(wanted, str | int) and not isinstance(wanted, bool):
            yield name, wanted


class _Reader:
    """Counts conditions while it reads."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._left = MAX_CONDITIONS
        self._values_left = MAX_VALUES

    def tree(self, node: Any, depth: int, *, case_sensitive: bool) -> Condition | None:
        if not isinstance(node, Mapping):
            msg = f"filters: expected an object, got {repr(node)[:100]}"
            raise InvalidInputError(msg)
        if depth > MAX_DEPTH:
            msg = f"filters: AND, OR and NOT nest more than {MAX_DEPTH} deep; make them flatter"
            raise InvalidInputError(msg)
        if "field" in node:
            return self._leaf(node, case_sensitive=case_sensitive)
        case_sensitive = self._case(node, case_sensitive=case_sensitive)
        parts: list[Condition] = []
        for name, value in node.items():
            if name == "case_sensitive" or (name in _LOGICAL and value is None):
                continue
            if name in _LOGICAL:
                part = self._group(name, value, depth, case_sensitive=case_sensitive)
                parts += [] if part is None else [part]
            else:
                parts += self._shorthand(name, value, case_sensitive=case_sensitive)
        return joined("AND", parts) if parts else None

    @staticmethod
    def _case(node: Mapping[str, Any], *, case_sensitive: bool) -> bool:
        given = node.get("case_sensitive")
        if given is None:
            return case_sensitive
        if isinstance(given, bool):
            return given
        msg = f"filters: case_sensitive: expected true or false, got {repr(given)[:100]}"
        raise InvalidInputError(msg)

    def _group(
        self, name: str, nodes: Any, depth: int, *, case_sensitive: bool
    ) -> Condition | None:
        if not isinstance(nodes, list | tuple):
            msg = f"filters: {name}: expected a list of conditions, got {repr(nodes)[:100]}"
            raise InvalidInputError(msg)
        parts = [self.tree(node, depth + 1, case_sensitive=case_sensitive) for node in nodes]
        if any(part is None for part in parts):
            msg = f"filters: {name}: an empty condition says nothing; leave it out"
            raise InvalidInputError(msg)
        found = [part for part in parts if part is not None]
        if not found:
            return None
        if name == "NOT":
            return joined("AND", [negated(part) for part in found])
        return joined(name, found)

    def _leaf(self, node: Mapping[str, Any], *, case_sensitive: bool) -> Condition:
        for name in node:
            if name not in {"field", "operator", "value"}:
                msg = f"filters: a condition has field, operator and value, not {str(name)[:100]!r}"
                raise InvalidInputError(msg)
        operator = node.get("operator") or "eq"
        return self._condition(
            node["field"], operator, node.get("value"), case_sensitive=case_sensitive
        )

    def _shorthand(self, name: Any, value: Any, *, case_sensitive: bool) -> list[Condition]:
        if not isinstance(value, Mapping):
            return [self._condition(name, "eq", value, case_sensitive=case_sensitive)]
        if not value:
            msg = f"filters: {str(name)[:100]}: an empty condition says nothing; leave it out"
            raise InvalidInputError(msg)
        return [
            self._condition(name, operator, each, case_sensitive=case_sensitive)
            for operator, each in value.items()
        ]

    def _condition(
        self, name: Any, operator: Any, value: Any, *, case_sensitive: bool
    ) -> Condition:
        self._left -= 1
        if self._left < 0:
            msg = f"filters: more than {MAX_CONDITIONS} conditions; use in with a list of values"
            raise InvalidInputError(msg)
        if isinstance(value, list | tuple):
            self._values_left -= len(value)
        if self._values_left < 0:
            msg = f"filters: more than {MAX_VALUES:,} values in lists; search in parts"
            raise InvalidInputError(msg)
        field = field_of(name)
        if not isinstance(operator, str) or operator not in OPERATORS:
            shown = str(operator)[:100]
            msg = (
                f"filters: {field.name}: unknown operator {shown!r}."
                f"{did_you_mean(shown, OPERATORS)} Expected one of {', '.join(OPERATORS)}"
            )
            raise InvalidInputError(msg)
        return field.condition(operator, value, self._dialect, case_sensitive=case_sensitive)
