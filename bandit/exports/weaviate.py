"""Fusion weights as a Weaviate search: `alpha` of a hybrid one, or weights of target vectors.

Sources, as of Weaviate 1.33: docs.weaviate.io, pages concepts/search/hybrid-search,
search/multi-vector and api/graphql/search-operators; github.com/weaviate/weaviate:
usecases/traverser/hybrid/hybrid_fusion.go and adapters/repos/db/shard_combine_multi_target.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..base.channels import checked_weights
from ._carry_over import (
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

_FUSION_TYPES: Final = {"min_max": "relativeScoreFusion", "rrf": "rankedFusion"}
MAX_SIZE: Final = 10_000
"""The largest limit, by its setting QUERY_MAXIMUM_RESULTS as it is delivered."""


def to_weaviate(
    weights: Mapping[str, float],
    searches: Mapping[str, Any],
    *,
    method: FusionMethod = "min_max",
    learnt_with: FusionMethod = "min_max",
    size: int = 10,
) -> dict[str, Any]:
    """Return the arguments of a search that fuses channels with these weights.

    Weaviate fuses one keyword search with one vector search, by a weight `alpha` of the latter; or
    searches of several target vectors, each with a weight.

    Parameters
    ----------
    weights : mapping of feature_uri to float
        Finite, at least 0, not all 0. `alpha` and the weights of target vectors are shares of the
        sum.
    searches : mapping of feature_uri to search
        What each channel searches for. A channel with ``vector`` or ``targetVectors`` is a vector
        search, such as ``{"vector": [0.1, 0.9], "targetVectors": ["image"]}``; another one with
        ``query`` is the keyword search, such as
        ``{"query": "red shoes", "properties": ["title"]}``. Two channels, one of each, become a
        hybrid search; vector searches alone become one of several targets, and then each needs a
        ``vector`` and one target.
    method : {"min_max", "rrf"}
        "min_max" becomes `relativeScoreFusion` (1.20 on), or `relativeScore` of target vectors
        (1.26 on). "rrf" becomes `rankedFusion`, whose rank constant is always 59: the best document
        gets weight / 60. It is not there for target vectors.
    learnt_with : {"min_max", "z_score", "distribution", "rrf"}
        The method of the scores from which the weights were learnt.
    size : int
        Objects to return (`limit`). Each of the searches contributes at least 100.

    Returns
    -------
    dict
        JSON-ready: the arguments of ``Get`` in GraphQL. Those of the Python client's
        ``query.hybrid`` and ``query.near_vector`` have the same values.

    Warns
    -----
    CarryOverWarning
        If the weights differ and `method` is not the one they were learnt with; or target vectors
        are fused, because Weaviate computes the score that a search missed, on each shard.

    Raises
    ------
    InvalidInputError
        If a channel lacks a weight or a search, the searches are of other kinds or more than these,
        `size` is out of range, or Weaviate cannot express the method.

    Examples
    --------
    >>> to_weaviate(
    ...     {"text": 3.0, "image": 1.0},
    ...     {"text": {"query": "red shoes", "properties": ["title"]},
    ...      "image": {"vector": [0.1, 0.9], "targetVectors": ["image"]}},
    ... )
    {'hybrid': {'query': 'red shoes', 'properties': ['title'], 'vector': [0.1, 0.9], \
'targetVectors': ['image'], 'alpha': 0.25, 'fusionType': 'relativeScoreFusion'}, 'limit': 10}
    """
    check_expressible(method, ("min_max", "rrf"), "Weaviate")
    check_count("size", size)
    if size > MAX_SIZE:
        msg = f"size: Weaviate returns at most {MAX_SIZE}, got {size}; ask for further pages"
        raise InvalidInputError(msg)
    checked = checked_weights(weights, searches, "searches")
    keywords = [uri for uri in checked if not _is_vector(uri, searches[uri])]
    vectors = [uri for uri in checked if uri not in keywords]
    if len(keywords) > 1 or (keywords and len(vectors) != 1):
        raise InvalidInputError(_refusal(keywords, vectors))
    warn_unless_carried_over(checked, method, learnt_with)
    if keywords:
        return {
            "hybrid": {
                **_merged(searches[keywords[0]], searches[vectors[0]]),
                "alpha": shares(checked)[vectors[0]],
                "fusionType": _FUSION_TYPES[method],
            },
            "limit": size,
        }
    return {"nearVector": _targets(checked, searches, method), "limit": size}


def _is_vector(uri: str, search: Mapping[str, Any]) -> bool:
    if "vector" in search or "targetVectors" in search:
        return True
    if "query" in search:
        return False
    msg = (
        f"searches[{uri!r}]: expected a keyword search with 'query', or a vector search with "
        f"'vector' or 'targetVectors', got {dict(search)!r}"
    )
    raise InvalidInputError(msg)


def _refusal(keywords: list[str], vectors: list[str]) -> str:
    return (
        "searches: Weaviate's alpha weighs one vector search against one keyword search, but there "
        f"are {len(vectors)} and {len(keywords)} of them; leave out channels, let several vector "
        "searches alone be one search of several targets, or fuse in your own service with "
        "rankloom.bandit.fuse"
    )


def _merged(keyword: Mapping[str, Any], vector: Mapping[str, Any]) -> dict[str, Any]:
    twice = sorted(set(keyword) & set(vector))
    if twice:
        msg = f"searches: both have {', '.join(map(repr, twice))}, which a hybrid search takes once"
        raise InvalidInputError(msg)
    return {**keyword, **vector}


def _targets(
    weights: Mapping[str, float], searches: Mapping[str, Mapping[str, Any]], method: FusionMethod
) -> dict[str, Any]:
    if method == "rrf":
        msg = (
            "method: Weaviate cannot fuse target vectors by 'rrf'; learn the weights with "
            "method='min_max' and export those, or fuse in your own service with "
            "rankloom.bandit.fuse"
        )
        raise InvalidInputError(msg)
    target = {uri: _target(uri, searches[uri]) for uri in weights}
    if len(set(target.values())) < len(target):
        msg = f"searches: several have one target vector: {', '.join(map(repr, target.values()))}"
        raise InvalidInputError(msg)
    if not equal(weights):
        warn(
            "Weaviate computes the score of what a search of target vectors missed, on each shard "
            "by itself, whereas the weights were learnt with 0 in its place; fuse in your own "
            "service with rankloom.bandit.fuse to be exact",
            depth=2,
        )
    return {
        "vectorPerTarget": {target[uri]: searches[uri]["vector"] for uri in weights},
        "targets": {
            "targetVectors": list(target.values()),
            "combinationMethod": "relativeScore",
            "weights": {target[uri]: share for uri, share in shares(weights).items()},
        },
    }


def _target(uri: str, search: Mapping[str, Any]) -> str:
    targets = search.get("targetVectors")
    if "vector" not in search or not isinstance(targets, list) or len(targets) != 1:
        msg = (
            f"searches[{uri!r}]: expected a 'vector' and one name in 'targetVectors', got "
            f"{dict(search)!r}"
        )
        raise InvalidInputError(msg)
    return str(targets[0])
