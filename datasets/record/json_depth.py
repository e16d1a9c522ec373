"""How deep a JSON text nests, found without recursion and before anything recursive reads it."""

from __future__ import annotations

import re
from typing import Final

from .interaction import MAX_DEPTH

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NOT_BRACKET: Final = re.compile(rb"[^\[\]{}]+")
_OPENING: Final = frozenset(b"[{")


def depth(text: bytes) -> int:
    """Return the deepest nesting of brackets outside of strings.

    Examples
    --------
    >>> depth(b'{"a": [1, {"b": "[[["}]}')
    3
    """
    brackets = _NOT_BRACKET.sub(b"", _STRING.sub(b"", text))
    deepest = current = 0
    for byte in brackets:
        current += 1 if byte in _OPENING else -1
        deepest = max(deepest, current)
    return deepest


def is_too_deep(text: bytes) -> bool:
    """Return whether a JSON text nests deeper than `MAX_DEPTH`; cheap for ordinary texts."""
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return False
    return depth(text) > MAX_DEPTH
