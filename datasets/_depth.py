"""How deep a JSON text nests, found without recursion and before anything recursive reads it."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import polars as pl

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


def too_deep(texts: pl.Series) -> pl.Series:
    """Return for each text whether it is JSON that nests too deep; plain text never is."""
    # 65 opening brackets need 65 closing ones to be JSON at all.
    rows = (texts.str.len_bytes() > 2 * MAX_DEPTH).arg_true()
    if len(rows):
        long = texts.gather(rows)
        json = long.str.contains(r"^\s*[\[{]") & (long.str.count_matches(r"[\[{]") > MAX_DEPTH)
        rows = rows.filter(json)
    deep = [row for row in rows if depth(texts[row].encode()) > MAX_DEPTH]
    found = np.zeros(len(texts), dtype=np.bool_)
    found[deep] = True
    return pl.Series(texts.name, found)
