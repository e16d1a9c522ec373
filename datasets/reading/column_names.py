"""Which column of another system's table holds which field, going by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ..record.mapping import InputMapping

OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "feature_id": (
        *("document_id", "doc_id", "docid", "document", "doc", "item_id", "item", "product_id"),
        *("product", "sku", "asin", "object_id", "content_id", "article_id", "listing_id", "id"),
        *("url", "feature"),
    ),
    "interaction_type": (
        *("event_type", "event", "event_name", "action", "action_name", "action_type", "type"),
        *("activity", "signal", "interaction"),
    ),
    "position": (
        *("pos", "rank", "ranking", "ordinal", "slot", "place", "index", "result_position"),
        *("display_position", "hit_position", "list_position", "result_rank", "row"),
    ),
    "execution_id": (
        *("request_id", "request", "search_id", "query_execution_id", "impression_id", "serp_id"),
        *("result_id", "list_id", "response_id", "search_request_id", "query_id", "queryid"),
    ),
    "session_id": ("session", "visit_id", "visit", "sid", "client_session_id"),
    "user_id": (
        *("user", "uid", "customer_id", "customer", "visitor_id", "client_id", "member_id"),
        *("account_id", "user_token", "anonymous_id", "user_pseudo_id", "device_id"),
    ),
    "query_snapshot": (
        *("query", "query_text", "search_query", "search_term", "term", "terms", "keywords"),
        *("keyword", "q", "user_query", "search_text", "search_phrase"),
    ),
    "document_score": ("score", "relevance_score", "model_score", "ranking_score", "doc_score"),
    "result_set_size": ("n_results", "num_results", "total_results", "hits", "result_count"),
    "feature_uri": ("channel", "retriever", "source", "retrieval_source", "candidate_source"),
    "retriever_id": ("index_id", "index_name", "search_index", "application"),
    "occurred_at": (
        *("event_time", "event_timestamp", "time", "ts", "datetime", "date_time", "date"),
        *("created_at", "event_date", "logged_at", "server_time", "client_time", "event_ts"),
    ),
    "metadata": ("meta", "properties", "attributes", "extra", "payload", "context"),
}
"""Field -> names that other systems give it, the likeliest first."""


def plain(name: str) -> str:
    """Return a column's name in small letters, its words joined by underscores.

    Examples
    --------
    >>> plain("eventType"), plain("Search Term"), plain("request-id")
    ('event_type', 'search_term', 'request_id')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def likely_column(field: str, columns: Iterable[str]) -> str | None:
    """Return the column that by its name is likeliest to hold a field; None where none is.

    Examples
    --------
    >>> likely_column("position", ["sku", "Rank"]), likely_column("user_id", ["sku"])
    ('Rank', None)
    """
    by_name = {plain(column): column for column in columns}
    for name in (field, *OTHER_NAMES.get(field, ())):
        if name in by_name:
            return by_name[name]
    return None


def missing_columns(
    source: str, fields: Collection[str], mapping: InputMapping, columns: Collection[str]
) -> InvalidInputError:
    """Return the error about fields that a source has no columns for, with the likely ones."""
    names = sorted(columns)
    shown = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    wanted = [
        field if mapping.column(field) == field else f"{mapping.column(field)} (for {field})"
        for field in fields
    ]
    likely = {field: found for field in fields if (found := likely_column(field, names))}
    advice = f" Did you mean columns={likely}?" if likely else ""
    rest = [field for field in fields if field not in likely]
    hints = "".join(did_you_mean(mapping.column(field), names) for field in rest)
    msg = f"{source}: no column {', '.join(wanted)}. It has: {shown or 'none'}.{hints}{advice}"
    return InvalidInputError(msg)
