"""The texts of queries and documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ...datasets.reading.table_reader import read_table
from ...datasets.record.query_keys import words_of
from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_IDS: Final = ("feature_id", "document_id", "id")
_QUERY_FIELDS: Final = ("query", "query_text", "text", "q", "search", "keywords")


def read_document_texts(documents: Any, text: str | Sequence[str]) -> pl.DataFrame:
    r"""Return the columns ``document_id`` and ``text`` of a table; null where there is no text.

    Parameters
    ----------
    documents : path, glob, table or list of dicts
        With ``feature_id``, ``document_id`` or ``id``, each document once.
    text : str or sequence of str
        Columns of the text; several are joined by line ends.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, damaged or of an unknown format.
    InvalidInputError
        If a column is missing, or a document has several rows.

    Examples
    --------
    >>> rows = [{"id": 7, "title": "Boots", "text": "Warm."}, {"id": 8, "title": None, "text": " "}]
    >>> read_document_texts(rows, ["title", "text"]).rows()
    [('7', 'Boots\nWarm.'), ('8', None)]
    """
    table, _ = read_table(documents, "documents", ids=_IDS)
    id_column = next((name for name in _IDS if name in table.columns), None)
    if id_column is None:
        msg = f"documents: expected a column feature_id, document_id or id, got {table.columns}"
        raise InvalidInputError(msg)
    columns = [text] if isinstance(text, str) else list(text)
    for name in columns:
        if name not in table.columns:
            hint = did_you_mean(str(name), table.columns)
            msg = f"documents: there is no column {name!r} (text=), only {table.columns}.{hint}"
            raise InvalidInputError(msg)
    parts = [pl.col(name).cast(pl.String).str.strip_chars().replace("", None) for name in columns]
    found = table.select(
        pl.col(id_column).alias("document_id"),
        pl.concat_str(parts, separator="\n", ignore_nulls=True).replace("", None).alias("text"),
    )
    return _one_row_each(found)


def _one_row_each(found: pl.DataFrame) -> pl.DataFrame:
    if found["document_id"].null_count():
        missing = found["document_id"].null_count()
        msg = f"documents: {missing:,} of {len(found):,} rows have no id; leave them out"
        raise InvalidInputError(msg)
    distinct = found.unique(maintain_order=True)
    repeated = distinct.filter(distinct["document_id"].is_duplicated())
    if repeated.height:
        name = repeated["document_id"][0]
        msg = f"documents: {name!r} has several rows with different texts; keep one of them"
        raise InvalidInputError(msg)
    return distinct


def query_text(query_id: str) -> str | None:
    """Return the words of a query id; None where it has none.

    These are the query itself where it is nothing but words, or the first of the fields query,
    query_text, text, q, search and keywords that holds any.

    Examples
    --------
    >>> query_text('"red shoes"'), query_text('{"filters":{"size":42},"query":"red shoes"}')
    ('red shoes', 'red shoes')
    >>> query_text("red shoes"), query_text('{"vector":[1,2]}')
    ('red shoes', None)
    """
    words = words_of(query_id)
    if words is None:
        words = _field_of(query_id)
    return (words or "").strip() or None


def _field_of(query_id: str) -> str | None:
    try:
        parsed = json.loads(query_id)
    except (ValueError, RecursionError):
        return query_id
    if not isinstance(parsed, dict):
        return None
    return next((parsed[f] for f in _QUERY_FIELDS if isinstance(parsed.get(f), str)), None)


def query_texts(ids: pl.Series, text_of: Callable[[str], str | None] | None) -> pl.Series:
    """Return the text of every query id, null where it has none."""
    read = query_text if text_of is None else text_of
    return pl.Series("query", [read(query) or None for query in ids], pl.String)
