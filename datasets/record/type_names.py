"""Interaction types as other tools write them: ``CLICK``, ``click|view``, ``['click']``."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ...errors import did_you_mean
from .fault import TYPES_UNKNOWN
from .ids import NULL_WORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SEPARATOR: Final = re.compile(r"[|,;]|(?<=['\"])\s+(?=['\"])")
_BRACKETS: Final = ("[]", "{}", "()")
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GAP: Final = re.compile(r"[\s_-]+")


def names_of(value: Any, known: Collection[str]) -> list[Any]:
    """Return the names in a list, or in a text of one name or several.

    Examples
    --------
    >>> [names_of(text, ()) for text in ("click|view", "['click', 'view']", '["click"]', "[click]")]
    [['click', 'view'], ['click', 'view'], ['click'], ['click']]
    >>> [names_of(text, ()) for text in ("{click,view}", "('click',)", "['click' 'view']", "NULL")]
    [['click', 'view'], ['click'], ['click', 'view'], []]
    """
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str):
        return [] if value is None else [json.dumps(value)]
    text = value.strip()
    if text in known or not text or text in NULL_WORDS:
        return [text] if text in known else []
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            return list(json.loads(text))
    # A list as Python, numpy, DuckDB or PostgreSQL writes it, without JSON's quotation marks.
    in_brackets = text[:1] + text[-1:] in _BRACKETS and ":" not in text
    if text.startswith("[") and not in_brackets:
        return [text]
    bare = text[1:-1].strip().removesuffix(",") if in_brackets else text
    return [name.strip(" '\"") for name in _SEPARATOR.split(bare)] if bare else []


def known_name(name: str, known: Collection[str]) -> str | None:
    """Return the known type that a name means, whatever its case, spaces and hyphens; else None.

    Examples
    --------
    >>> known = ["click", "add_to_cart"]
    >>> [known_name(name, known) for name in ("CLICK", "Add to cart", "addToCart", "clicked")]
    ['click', 'add_to_cart', 'add_to_cart', None]
    """
    if name in known:
        return name
    words = name.strip()
    if not words.isupper():
        words = _WORD_START.sub("_", words)
    plain = _GAP.sub("_", words).lower()
    return plain if plain in known else None


def mapped_name(name: str, names: Mapping[str, str]) -> str | None:
    """Return what a mapping makes of a name, whatever its case; None if it does not have it.

    Examples
    --------
    >>> [mapped_name(name, {"Buy": "purchase"}) for name in ("Buy", "BUY ", "View")]
    ['purchase', 'purchase', None]
    """
    if name in names:
        return names[name]
    folded = {known.strip().casefold(): type_ for known, type_ in names.items()}
    return folded.get(name.strip().casefold())


def unknown_reason(name: str, known: Collection[str]) -> str:
    """Return why a name is refused, with the known type that looks most like it."""
    return TYPES_UNKNOWN + did_you_mean(name.strip().lower(), known)
