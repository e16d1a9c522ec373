"""One id for equal queries: the canonical form of a query snapshot."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

VOLATILE_KEYS: Final = frozenset(
    {
        "page",
        "page_size",
        "page_number",
        "offset",
        "limit",
        "cursor",
        "query_id",
        "execution_id",
        "interaction_id",
        "request_id",
        "session_id",
        "trace_id",
        "user_id",
    }
)
"""Top-level keys of a snapshot that change between two runs of the same query."""


def canonical_query(snapshot: str) -> str:
    """Return the text that equal queries share.

    A JSON snapshot loses its `VOLATILE_KEYS`; filters and the retriever stay. All text is put
    into Unicode form NFKC, case-folded, and its white space collapsed; keys are sorted. A snapshot
    that is no JSON is a query in plain words.

    Parameters
    ----------
    snapshot : str
        JSON or plain text.

    Examples
    --------
    >>> canonical_query('{"query": "Red  SHOES", "page": 2, "filters": {"size_eu": 42}}')
    '{"filters":{"size_eu":42},"query":"red shoes"}'
    >>> canonical_query("Red shoes ")
    '"red shoes"'
    """
    parsed = _parse(snapshot)
    if isinstance(parsed, dict):
        parsed = {key: value for key, value in parsed.items() if key not in VOLATILE_KEYS}
    return json.dumps(_canonical(parsed), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def query_digest(snapshot: str | None) -> str | None:
    """Return 16 hexadecimal digits that equal queries share, None for no query.

    The names of executions that are inferred from session and query hold them.

    Examples
    --------
    >>> query_digest("Red shoes ") == query_digest('"red SHOES"')
    True
    """
    if not snapshot:
        return None
    return digest_of(canonical_query(snapshot))


def digest_of(query: str) -> str:
    """Return the digits of `query_digest` for a query's canonical text or id."""
    return hashlib.blake2b(query.encode(), digest_size=8).hexdigest()


def query_key_of(query_key: Callable[[Any], str] | None) -> Callable[[str], str]:
    """Return the function from a snapshot's text to a query id.

    Parameters
    ----------
    query_key : callable, optional
        Gets the parsed snapshot (its text where it is no JSON). None: `canonical_query`.
    """
    if query_key is None:
        return canonical_query
    return lambda snapshot: str(query_key(_parse(snapshot)))


def words_of(query: str) -> str | None:
    """Return the words of a canonical query that is nothing but words, in an object or without.

    Examples
    --------
    >>> words_of('"red shoes"'), words_of('{"query":"red shoes"}')
    ('red shoes', 'red shoes')
    >>> words_of('{"filters":{"size":42},"query":"red shoes"}') is None
    True
    """
    parsed = _parse(query)
    if isinstance(parsed, dict) and len(parsed) == 1:
        parsed = next(iter(parsed.values()))
    return parsed if isinstance(parsed, str) else None


def _parse(snapshot: str) -> Any:
    try:
        return json.loads(snapshot)
    except (ValueError, RecursionError):
        return snapshot


def _canonical(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return value
