"""Fusion weights as an Azure AI Search query: the `weight` of every vector query.

Sources, as of REST API version 2024-07-01: learn.microsoft.com/azure/search, pages
hybrid-search-ranking and vector-search-how-to-query (vector weighting), and the reference of
Search Documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..base.channels import checked_weights
from ._carry_over import Limits, check_expressible, warn_unless_carried_over

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fusion.normalise import FusionMethod

RANK_CONSTANT: Final = 60
"""That of Azure AI Search, which cannot be changed."""

_LIMITS: Final = Limits("Azure AI Search", rank_constant=RANK_CONSTANT, candidates=10_000)
MAX_SIZE: Final = 1_000
"""The largest `top`."""


def to_azure(
    weights: Mapping[str, float],
    queries: Mapping[str, Any],
    *,
    method: FusionMethod = "rrf",
    learnt_with: FusionMethod = "min_max",
    size: int = 10,
    candidates: int = 100,
) -> dict[str, Any]:
    """Return the body of a query that fuses one search per channel with these weights.

    Azure AI Search fuses by reciprocal ranks, with 60 as the rank constant, and multiplies what a
    vector query contributes by its weight. The text search always weighs 1: where there is one,
    all weights are divided by its own.

    Parameters
    ----------
    weights : mapping of feature_uri to float
        Finite and above 0.
    queries : mapping of feature_uri to query
        What each channel searches for. At most one text search, such as ``{"search": "red shoes",
        "searchFields": "title"}``, whose members become members of the body. The others are vector
        queries of one field each, such as ``{"kind": "vector", "vector": [0.1, 0.9],
        "fields": "image"}``; sent as they are, with `candidates` as `k` where there is none.
    method : {"rrf"}
        Azure AI Search has no fusion of scores.
    learnt_with : {"min_max", "z_score", "distribution", "rrf"}
        The method of the scores from which the weights were learnt.
    size : int
        Documents to return (`top`), at most 1,000.
    candidates : int
        Documents that each vector query contributes (`k`), at least `size`. The text search
        contributes up to 1,000.

    Returns
    -------
    dict
        JSON-ready, for ``POST /indexes/<name>/docs/search?api-version=2024-07-01``.

    Warns
    -----
    CarryOverWarning
        If the weights differ and were not learnt with "rrf".

    Raises
    ------
    InvalidInputError
        If a channel lacks a weight or a query, a weight is 0, there are two text searches, a vector
        query names several fields, a number is out of range, or the method is not "rrf".

    Examples
    --------
    >>> body = to_azure(
    ...     {"text": 0.8, "image": 0.2},
    ...     {"text": {"search": "red shoes"},
    ...      "image": {"kind": "vector", "vector": [0.1, 0.9], "fields": "image"}},
    ...     learnt_with="rrf",
    ... )
    >>> body["vectorQueries"]
    [{'k': 100, 'kind': 'vector', 'vector': [0.1, 0.9], 'fields': 'image', 'weight': 0.25}]
    >>> body["search"], body["top"]
    ('red shoes', 10)
    """
    check_expressible(method, ("rrf",), "Azure AI Search")
    _LIMITS.check(size=size, candidates=candidates, rank_constant=RANK_CONSTANT)
    if size > MAX_SIZE:
        msg = f"size: Azure AI Search returns at most {MAX_SIZE}, got {size}; ask for further pages"
        raise InvalidInputError(msg)
    checked = checked_weights(weights, queries, "queries")
    text = _text_channel(checked, queries)
    warn_unless_carried_over(checked, method, learnt_with)
    unit = 1.0 if text is None else checked[text]
    vectors = [
        {"k": candidates, **queries[uri], "weight": weight / unit}
        for uri, weight in checked.items()
        if uri != text
    ]
    body: dict[str, Any] = {} if text is None else dict(queries[text])
    if vectors:
        body["vectorQueries"] = vectors
    return body | {"top": size}


def _text_channel(
    weights: Mapping[str, float], queries: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """Return the channel of the text search, after checks of all queries."""
    muted = [uri for uri, weight in weights.items() if weight == 0]
    if muted:
        msg = (
            "weights: those of Azure AI Search are above 0; leave out "
            f"{', '.join(map(repr, muted))}"
        )
        raise InvalidInputError(msg)
    texts = [uri for uri in weights if "search" in queries[uri]]
    if len(texts) > 1:
        msg = (
            f"queries: Azure AI Search takes one text search, got {', '.join(map(repr, texts))}; "
            "search one of them as vectors, or fuse in your own service with rankloom.bandit.fuse"
        )
        raise InvalidInputError(msg)
    for uri in weights:
        if uri not in texts:
            _check_vector_query(uri, queries[uri])
    return texts[0] if texts else None


def _check_vector_query(uri: str, query: Mapping[str, Any]) -> None:
    if "kind" not in query:
        msg = (
            f"queries[{uri!r}]: expected a text search with 'search', or a vector query with "
            f"'kind', got {dict(query)!r}"
        )
        raise InvalidInputError(msg)
    if "," in str(query.get("fields", "")):
        msg = (
            f"queries[{uri!r}]: got the fields {query['fields']!r}, but Azure AI Search fuses "
            "every field as a list of its own; make each a channel"
        )
        raise InvalidInputError(msg)
