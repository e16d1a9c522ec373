"""Fusion weights as an OpenSearch search: a hybrid query with its own search pipeline or fusion.

Sources, as of OpenSearch 3.10: docs.opensearch.org, pages search-pipelines/normalization-processor,
search-pipelines/score-ranker-processor, query-dsl/compound/hybrid, hybrid-search/pagination,
hybrid-search/fusion-mode; the limits are checked by its plugin neural-search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..base.channels import checked_weights
from ._carry_over import (
    Limits,
    check_count,
    check_expressible,
    equal,
    warn,
    warn_unless_carried_over,
)
from ._shares import shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fusion.normalise import FusionMethod

MAX_QUERIES: Final = 5
"""Clauses that a hybrid query may have."""

MAX_RANK_CONSTANT: Final = 10_000
_MORE: Final = "; raise index.max_result_window of the index and give it as max_result_window"


def to_opensearch(
    weights: Mapping[str, float],
    queries: Mapping[str, Any],
    *,
    method: FusionMethod = "min_max",
    learnt_with: FusionMethod = "min_max",
    size: int = 10,
    candidates: int = 100,
    rank_constant: int = 60,
    max_result_window: int = 10_000,
    in_query: bool = False,
) -> dict[str, Any]:
    """Return the body of a search that fuses one query per channel with these weights.

    Parameters
    ----------
    weights : mapping of feature_uri to float
        Finite, at least 0, not all 0. OpenSearch takes weights that sum to 1, so each is divided by
        the sum; their ratios stay.
    queries : mapping of feature_uri to query
        What each channel searches for, at most 5, such as ``{"match": ...}`` or
        ``{"neural": ...}``; sent as they are.
    method : {"min_max", "z_score", "rrf"}
        "min_max" and "z_score" become a `normalization-processor` with the weighted arithmetic mean
        (2.10 and 3.0 on), "rrf" a `score-ranker-processor` (weights: 3.1 on). OpenSearch
        gives a found document at least 0.001, so that the lowest min-max score is not 0; its
        z-scores are 0.001 for every document below the mean, which ties those within a channel.
    learnt_with : {"min_max", "z_score", "distribution", "rrf"}
        The method of the scores from which the weights were learnt.
    size : int
        Documents to return.
    candidates : int
        Documents that each channel contributes from each shard (`pagination_depth`, 2.19 on), or
        with `in_query` from all of them (`window_size`), at least `size`.
    rank_constant : int
        For "rrf"; at most 10,000.
    max_result_window : int
        The setting ``index.max_result_window`` of the index, which limits `candidates`; give it
        where it was raised.
    in_query : bool
        Fuse by the object ``fusion`` of the query (fusion mode, 3.10 on every node) instead of a
        search pipeline. Such a query may be a clause of another one.

    Returns
    -------
    dict
        JSON-ready, for ``POST /<index>/_search``. Its ``search_pipeline``, without `in_query`,
        holds for this search only; to keep it, ``PUT /_search/pipeline/<name>`` with that part.

    Warns
    -----
    CarryOverWarning
        If the weights differ and `method` is not the one they were learnt with, or is "z_score".

    Raises
    ------
    InvalidInputError
        If a channel lacks a weight or a query, there are more than 5, a number is out of range, or
        OpenSearch cannot express the method.

    Examples
    --------
    >>> body = to_opensearch(
    ...     {"text": 3.0, "image": 1.0},
    ...     {"text": {"match": {"title": "red shoes"}},
    ...      "image": {"knn": {"image": {"vector": [0.1, 0.9], "k": 100}}}},
    ... )
    >>> body["search_pipeline"]["phase_results_processors"][0]["normalization-processor"]
    {'normalization': {'technique': 'min_max'}, 'combination': {'technique': 'arithmetic_mean', \
'parameters': {'weights': [0.25, 0.75]}}}
    >>> [list(query) for query in body["query"]["hybrid"]["queries"]]
    [['knn'], ['match']]
    >>> to_opensearch({"text": 3.0, "image": 1.0}, {"text": {}, "image": {}},
    ...               in_query=True)["query"]["hybrid"]["fusion"]["window_size"]
    100
    """
    check_expressible(method, ("min_max", "z_score", "rrf"), "OpenSearch")
    check_count("max_result_window", max_result_window)
    limits = Limits("OpenSearch", MAX_RANK_CONSTANT, max_result_window)
    limits.check(size=size, candidates=candidates, rank_constant=rank_constant, hint=_MORE)
    checked = checked_weights(weights, queries, "queries")
    if len(checked) > MAX_QUERIES:
        msg = (
            f"queries: got {len(checked)}, but a hybrid query of OpenSearch takes at most "
            f"{MAX_QUERIES}; leave out the channels of lowest weight, or fuse in your own service "
            f"with rankloom.bandit.fuse"
        )
        raise InvalidInputError(msg)
    warn_unless_carried_over(checked, method, learnt_with)
    if method == "z_score" and not equal(checked):
        warn("OpenSearch's z_score ties all documents of a channel that score below its mean")
    found = [queries[uri] for uri in checked]
    rules = _rules(method, list(shares(checked).values()), rank_constant)
    if in_query:
        fusion = rules | {"window_size": candidates}
        return {"size": size, "query": {"hybrid": {"queries": found, "fusion": fusion}}}
    name = "score-ranker-processor" if method == "rrf" else "normalization-processor"
    return {
        "size": size,
        "query": {"hybrid": {"queries": found, "pagination_depth": candidates}},
        "search_pipeline": {"phase_results_processors": [{name: rules}]},
    }


def _rules(method: FusionMethod, weights: list[float], rank_constant: int) -> dict[str, Any]:
    """Return what both a processor and the `fusion` of a query say about fusing."""
    parameters = {"weights": weights}
    if method == "rrf":
        return {
            "combination": {
                "technique": "rrf",
                "rank_constant": rank_constant,
                "parameters": parameters,
            }
        }
    return {
        "normalization": {"technique": method},
        "combination": {"technique": "arithmetic_mean", "parameters": parameters},
    }
