"""What PostgreSQL says in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .condition import Condition, joined, marks

if TYPE_CHECKING:
    from collections.abc import Sequence


class PostgresDialect:
    """PostgreSQL's functions for JSON, on columns of text; see `Dialect`."""

    find = "strpos"

    def indexed(self, name: str) -> str:
        """Return nothing: the planner chooses, by what it knows of the table."""
        del name
        return ""

    def has_type(self, column: str, names: tuple[str, ...]) -> Condition:
        """Return the condition that one of some types is among those of a row."""
        listed = f"json_array_elements_text({_json(column)}) AS held (value)"
        sql = f"EXISTS (SELECT 1 FROM {listed} WHERE held.value IN ({marks(names)}))"  # noqa: S608
        if len(names) > 1 or not all(map(str.isidentifier, names)):
            return Condition(sql, names)
        return Condition(f"(strpos({column}, ?) > 0 AND {sql})", (*names, *names))

    def json_present(self, column: str, keys: tuple[str, ...]) -> Condition:
        """Return the condition that there is a value, and it is not null."""
        sql = f"coalesce(json_typeof({_value(column, keys)}), 'null') <> 'null'"
        return Condition(sql, keys)

    def json_text(
        self, column: str, keys: tuple[str, ...], form: str, bound: tuple[Any, ...]
    ) -> Condition:
        """Return the condition that the value is text, and meets a form."""
        return _typed("string", '{} COLLATE "C"', column, keys, form, bound)

    def json_number(
        self, column: str, keys: tuple[str, ...], form: str, bound: tuple[Any, ...]
    ) -> Condition:
        """Return the condition that the value is a number, and meets a form."""
        return _typed("number", "{}::numeric", column, keys, form, bound)

    def json_any_of(
        self,
        column: str,
        keys: tuple[str, ...],
        flags: Sequence[bool],
        texts: Sequence[str],
        numbers: Sequence[int | float],
    ) -> Condition:
        """Return one membership for each JSON type."""
        parts = []
        if flags:
            names = tuple(dict.fromkeys("true" if flag else "false" for flag in flags))
            form = f"{{}} IN ({marks(names)})"
            parts.append(_typed("boolean", "{}", column, keys, form, names))
        if texts:
            form = f"{{}} IN ({marks(texts)})"
            parts.append(self.json_text(column, keys, form, tuple(texts)))
        if numbers:
            form = f"{{}} IN ({marks(numbers)})"
            parts.append(self.json_number(column, keys, form, tuple(numbers)))
        return joined("OR", parts)


def _json(column: str) -> str:
    # PostgreSQL reads no JSON with a character 0 in a text; no search can name one.
    return f"replace({column}, '\\u0000', '\\u0001')::json"


def _value(column: str, keys: tuple[str, ...]) -> str:
    return f"({_json(column)}{' -> ?::text' * len(keys)})"


def _typed(
    kind: str,
    held: str,
    column: str,
    keys: tuple[str, ...],
    form: str,
    bound: tuple[Any, ...],
) -> Condition:
    """Look at the value where it is of a kind: in no other order, for a cast would fail."""
    value = _value(column, keys)
    text = f"({value} #>> '{{}}')"
    meets = form.format(f"({held.format(text)})")
    sql = f"(CASE WHEN json_typeof{value} = '{kind}' THEN {meets} ELSE false END)"
    return Condition(sql, (*keys, *keys, *bound))
