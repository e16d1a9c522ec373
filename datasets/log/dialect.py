"""What SQL says differently from one database to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .condition import Condition


class Dialect(Protocol):
    """How a database searches lists of types and JSON; every condition is true or false.

    A `form` is a condition with ``{}`` in place of the value that is looked at.
    """

    @property
    def find(self) -> str:
        """Name of the function that returns where one text begins within another, from 1."""
        ...

    def indexed(self, name: str) -> str:
        """Return the clause that has the database read a table by an index, if it takes one."""
        ...

    def has_type(self, column: str, names: tuple[str, ...]) -> Condition:
        """Return the condition that one of some types is among those of a row."""
        ...

    def json_present(self, column: str, keys: tuple[str, ...]) -> Condition:
        """Return the condition that there is a value, and it is not null."""
        ...

    def json_text(
        self, column: str, keys: tuple[str, ...], form: str, bound: tuple[Any, ...]
    ) -> Condition:
        """Return the condition that the value is text, and meets a form."""
        ...

    def json_number(
        self, column: str, keys: tuple[str, ...], form: str, bound: tuple[Any, ...]
    ) -> Condition:
        """Return the condition that the value is a number, and meets a form."""
        ...

    def json_any_of(
        self,
        column: str,
        keys: tuple[str, ...],
        flags: Sequence[bool],
        texts: Sequence[str],
        numbers: Sequence[int | float],
    ) -> Condition:
        """Return the condition that the value is one of these, of the same JSON type."""
        ...
