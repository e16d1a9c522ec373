"""Pieces of SQL with the values that are bound to their question marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Condition:
    """A piece of SQL with what is bound to its question marks."""

    sql: str
    bound: tuple[Any, ...] = ()


def joined(word: str, conditions: list[Condition]) -> Condition:
    """Return conditions joined by AND or OR."""
    if len(conditions) == 1:
        return conditions[0]
    sql = f" {word} ".join(each.sql for each in conditions)
    return Condition(f"({sql})", tuple(value for each in conditions for value in each.bound))


def negated(condition: Condition) -> Condition:
    """Return the opposite of a condition."""
    return Condition(f"NOT ({condition.sql})", condition.bound)


def marks(values: Collection[Any]) -> str:
    """Return a question mark for every value."""
    return ", ".join("?" * len(values))
