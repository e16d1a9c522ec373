"""What SQLite says in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .condition import Condition, joined, marks

if TYPE_CHECKING:
    from collections.abc import Sequence


class SqliteDialect:
    """SQLite's functions for JSON; see `Dialect`."""

    find = "instr"

    def indexed(self, name: str) -> str:
        """Return the clause that has SQLite read a table by an index."""
        return f"INDEXED BY {name}"

    def has_type(self, column: str, names: tuple[str, ...]) -> Condition:
        """Return the condition that one of some types is among those of a row."""
        listed = f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value IN ({marks(names)}))"  # noqa: S608
        if len(names) > 1 or not all(map(str.isidentifier, names)):
            return Condition(listed, names)
        # instr is fast and passes all that hold the name, and those that hold it within another.
        return Condition(f"(instr({column}, ?) > 0 AND {listed})", (*names, *names))

    def json_present(self, column: str, keys: tuple[str, ...]) -> Condition:
        """Return the condition that there is a value, and it is not null."""
        return Condition(f"ifnull(json_type({column}, ?), 'null') <> 'null'", (_path(keys),))

    def json_text(
        self, column: str, keys: tuple[str, ...], form: str, bound: tuple[Any, ...]
    ) -> Condition:
        """Return the condition that the value is text, and meets a form."""
        return self._typed("'text'", column, keys, form, bound)

    def json_number(
        self, column: str, keys: tuple[str, ...], form: str, bound: tuple[Any, ...]
    ) -> Condition:
        """Return the condition that the value is a number, and meets a form."""
        return self._typed("'integer', 'real'", column, keys, form, bound)

    def json_any_of(
        self,
        column: str,
        keys: tuple[str, ...],
        flags: Sequence[bool],
        texts: Sequence[str],
        numbers: Sequence[int | float],
    ) -> Condition:
        """Return one membership for each JSON type: SQLite plans a chain of ORs for minutes."""
        parts = []
        if flags:
            names = dict.fromkeys("true" if flag else "false" for flag in flags)
            sql = f"(json_type({column}, ?) IN ({marks(names)})) IS TRUE"
            parts.append(Condition(sql, (_path(keys), *names)))
        if texts:
            form = f"{{}} IN ({marks(texts)})"
            parts.append(self.json_text(column, keys, form, tuple(texts)))
        if numbers:
            form = f"{{}} IN ({marks(numbers)})"
            parts.append(self.json_number(column, keys, form, tuple(numbers)))
        return joined("OR", parts)

    @staticmethod
    def _typed(
        kinds: str, column: str, keys: tuple[str, ...], form: str, bound: tuple[Any, ...]
    ) -> Condition:
        path, held = _path(keys), form.format(f"json_extract({column}, ?)")
        sql = f"(json_type({column}, ?) IN ({kinds}) AND {held}) IS TRUE"
        return Condition(sql, (path, path, *bound))


def _path(keys: tuple[str, ...]) -> str:
    return "$" + "".join(f'."{key}"' for key in keys)
