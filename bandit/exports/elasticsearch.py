"""Fusion weights as an Elasticsearch search: the `linear` and the `rrf` retriever.

Sources, as of Elasticsearch 9.2: elastic.co/docs/reference/elasticsearch/rest-apis/retrievers,
pages linear-retriever and rrf-retriever; for limits index-settings, page index-modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..base.channels import checked_weights
from ._carry_over import (
    Limits,
    check_count,
    check_expressible,
    warn_unless_carried_over,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fusion.normalise import FusionMethod

MAX_RANK_CONSTANT: Final = 2**31 - 1
_MORE: Final = "; raise index.max_result_window of the index and give it as max_result_window"


def to_elasticsearch(
    weights: Mapping[str, float],
    retrievers: Mapping[str, Any],
    *,
    method: FusionMethod = "min_max",
    learnt_with: FusionMethod = "min_max",
    size: int = 10,
    candidates: int = 100,
    rank_constant: int = 60,
    max_result_window: int = 10_000,
) -> dict[str, Any]:
    """Return the body of a search that fuses one retriever per channel with these weights.

    Parameters
    ----------
    weights : mapping of feature_uri to float
        Finite, at least 0, not all 0; sent as they are.
    retrievers : mapping of feature_uri to retriever
        What each channel searches for, such as ``{"standard": {"query": ...}}`` or
        ``{"knn": ...}``; sent as they are.
    method : {"min_max", "rrf"}
        "min_max" becomes a `linear` retriever with the normalizer `minmax` (Elasticsearch 8.18 on);
        where a channel's scores are all equal, Elasticsearch keeps the score instead of 1. "rrf"
        becomes a weighted `rrf` retriever (9.2 on). Elasticsearch has neither z-scores nor
        distribution-based scores.
    learnt_with : {"min_max", "z_score", "distribution", "rrf"}
        The method of the scores from which the weights were learnt.
    size : int
        Documents to return.
    candidates : int
        Documents that each channel contributes (`rank_window_size`), at least `size`. Give as many
        as were normalised over when the weights were learnt.
    rank_constant : int
        For "rrf".
    max_result_window : int
        The setting ``index.max_result_window`` of the index, which limits `candidates`; give it
        where it was raised.

    Returns
    -------
    dict
        JSON-ready, for ``POST /<index>/_search``.

    Warns
    -----
    CarryOverWarning
        If the weights differ and `method` is not the one they were learnt with.

    Raises
    ------
    InvalidInputError
        If a channel lacks a weight or a retriever, a number is out of range, or Elasticsearch
        cannot express the method.

    Examples
    --------
    >>> body = to_elasticsearch(
    ...     {"text": 0.7, "image": 0.3},
    ...     {"text": {"standard": {"query": {"match": {"title": "red shoes"}}}},
    ...      "image": {"knn": {"field": "image", "query_vector": [0.1, 0.9], "k": 100,
    ...                        "num_candidates": 200}}},
    ... )
    >>> body["retriever"]["linear"]["retrievers"][1]
    {'retriever': {'standard': {'query': {'match': {'title': 'red shoes'}}}}, 'weight': 0.7, \
'normalizer': 'minmax'}
    """
    check_expressible(method, ("min_max", "rrf"), "Elasticsearch")
    check_count("max_result_window", max_result_window)
    limits = Limits("Elasticsearch", MAX_RANK_CONSTANT, max_result_window)
    limits.check(size=size, candidates=candidates, rank_constant=rank_constant, hint=_MORE)
    checked = checked_weights(weights, retrievers, "retrievers")
    if method == "rrf" and len(checked) < 2:
        msg = f"retrievers: Elasticsearch's rrf needs at least 2, got {len(checked)}"
        raise InvalidInputError(msg)
    warn_unless_carried_over(checked, method, learnt_with)
    name = "rrf" if method == "rrf" else "linear"
    each = {} if method == "rrf" else {"normalizer": "minmax"}
    fusion: dict[str, Any] = {
        "retrievers": [
            {"retriever": retrievers[uri], "weight": weight, **each}
            for uri, weight in checked.items()
        ],
        "rank_window_size": candidates,
    }
    if method == "rrf":
        fusion["rank_constant"] = rank_constant
    return {"size": size, "retriever": {name: fusion}}
