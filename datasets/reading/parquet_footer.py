"""How deep a Parquet file's columns nest, read from its footer before polars recurses over it.

At about a thousand levels the recursion overflows the stack and ends the process. The footer is a
Thrift struct in the compact protocol; only its list of schema elements is read here, each of which
gives the number of its children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SCHEMA_DEPTH: Final = 200
"""Deepest nesting of columns that is read; a list takes two or three levels."""

_STOP, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 7, 8, 9, 10, 11, 12
_SCHEMA_FIELD, _CHILDREN_FIELD = 2, 5
_FIXED: Final = {1: 0, 2: 0, 3: 1, _DOUBLE: 8}


def schema_depth(footer: bytes) -> int:
    """Return the depth of the schema; 0 where the footer cannot be understood."""
    try:
        return _depth(_Thrift(footer).children())
    except (IndexError, RecursionError):
        return 0


def _depth(children: Iterator[int]) -> int:
    """Return the deepest level of a tree given in depth-first order by counts of children."""
    deepest = 0
    open_levels: list[int] = []
    for count in children:
        deepest = max(deepest, len(open_levels))
        if open_levels:
            open_levels[-1] -= 1
        if count > 0:
            open_levels.append(count)
        while open_levels and open_levels[-1] <= 0:
            open_levels.pop()
    return deepest


class _Thrift:
    """A reader of the compact protocol that skips what it does not look for."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def children(self) -> Iterator[int]:
        """Yield every schema element's number of children."""
        for field, kind in self._fields():
            if field == _SCHEMA_FIELD and kind == _LIST:
                size, _ = self._list_header()
                for _ in range(size):
                    yield self._children_of_element()
                return
            self._skip(kind)

    def _children_of_element(self) -> int:
        found = 0
        for field, kind in self._fields():
            if field == _CHILDREN_FIELD:
                number = self._varint()
                found = (number >> 1) ^ -(number & 1)
            else:
                self._skip(kind)
        return found

    def _fields(self) -> Iterator[tuple[int, int]]:
        field = 0
        while (head := self._byte()) != _STOP:
            step = head >> 4
            field = field + step if step else self._varint() >> 1
            yield field, head & 15

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise IndexError

    def _list_header(self) -> tuple[int, int]:
        head = self._byte()
        size = head >> 4
        return (self._varint() if size == 15 else size), head & 15

    def _skip(self, kind: int) -> None:
        if kind in _FIXED:
            self._at += _FIXED[kind]
        elif kind == _BINARY:
            length = self._varint()
            self._at += length
        elif kind in {_LIST, _SET}:
            size, inner = self._list_header()
            for _ in range(size):
                self._skip_element(inner)
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._skip(inner)
        elif kind == _MAP:
            self._skip_map()
        else:
            self._varint()

    def _skip_map(self) -> None:
        size = self._varint()
        kinds = self._byte() if size else 0
        for _ in range(size):
            self._skip_element(kinds >> 4)
            self._skip_element(kinds & 15)

    def _skip_element(self, kind: int) -> None:
        # A boolean takes a byte in a list or a map, and none as a field.
        self._skip(3 if kind in {1, 2} else kind)
