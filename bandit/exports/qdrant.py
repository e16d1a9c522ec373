"""Fusion weights as a Qdrant query: reciprocal rank fusion, or a formula over normalised scores.

Sources, as of Qdrant 1.17: qdrant.tech/documentation, page search/hybrid-queries, and
github.com/qdrant/qdrant, lib/segment/src/common: reciprocal_rank_fusion.rs and score_fusion.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..base.channels import checked_weights
from ._carry_over import (
    Limits,
    check_expressible,
    equal,
    warn,
    warn_unless_carried_over,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fusion.normalise import FusionMethod

# Its interfaces hold k, which is rank_constant + 1, in 32 bits and limits in 64.
_LIMITS: Final = Limits("Qdrant", rank_constant=2**32 - 2, candidates=2**64 - 1)
_ALTERNATIVES: Final = (
    "pass single_shard=True if the collection has one shard, or fuse in your own service with "
    "rankloom.bandit.fuse"
)


def to_qdrant(
    weights: Mapping[str, float],
    prefetches: Mapping[str, Any],
    *,
    method: FusionMethod = "rrf",
    learnt_with: FusionMethod = "min_max",
    size: int = 10,
    candidates: int = 100,
    rank_constant: int = 60,
    single_shard: bool = False,
) -> dict[str, Any]:
    """Return the body of a query that fuses one prefetch per channel with these weights.

    Qdrant's own fusions are not those of the weights: its `dbsf` takes none, and the weight w of
    its `rrf` divides the rank instead of multiplying the score: 1 / (k - 1 + rank / w), rank = 1,
    2, ... With a single shard there is an exact way: fuse each channel alone, which only normalises
    its scores, and add them up in a formula. With several shards a fusion below another query is
    computed on each shard by itself, and its scores are not comparable.

    Parameters
    ----------
    weights : mapping of feature_uri to float
        Finite, at least 0, not all 0; above 0 for Qdrant's own `rrf`.
    prefetches : mapping of feature_uri to prefetch
        What each channel searches for, such as ``{"query": [0.1, 0.9], "using": "image"}``; sent
        as they are, with `candidates` as the limit where there is none.
    method : {"rrf", "distribution"}
        Qdrant has neither min-max nor z-scores.
    learnt_with : {"min_max", "z_score", "distribution", "rrf"}
        The method of the scores from which the weights were learnt.
    size : int
        Points to return (`limit`).
    candidates : int
        Points that each channel contributes, at least `size`.
    rank_constant : int
        For "rrf": k = rank_constant + 1, because Qdrant's k is that of ranks from 0.
    single_shard : bool
        Whether the collection has one shard, which allows the exact formula (Qdrant 1.14 on, "rrf"
        1.16 on). Without it, "rrf" becomes Qdrant's own (1.17 on), with the weights divided by
        their mean, so that equal weights are plain reciprocal rank fusion; and "distribution" is
        possible with equal weights only (`dbsf`).

    Returns
    -------
    dict
        JSON-ready, for ``POST /collections/<name>/points/query``.

    Warns
    -----
    CarryOverWarning
        If the weights differ and `method` is not the one they were learnt with, or is "rrf" without
        `single_shard`.

    Raises
    ------
    InvalidInputError
        If a channel lacks a weight or a prefetch, a number is out of range, or Qdrant cannot
        express the method with these weights.

    Examples
    --------
    >>> prefetches = {"text": {"query": {"indices": [7], "values": [1.0]}, "using": "text"},
    ...               "image": {"query": [0.1, 0.9], "using": "image"}}
    >>> body = to_qdrant({"text": 0.7, "image": 0.3}, prefetches, method="distribution",
    ...                  learnt_with="distribution", single_shard=True)
    >>> body["prefetch"][0]
    {'prefetch': [{'limit': 100, 'query': [0.1, 0.9], 'using': 'image'}], \
'query': {'fusion': 'dbsf'}, 'limit': 100}
    >>> body["query"]["formula"]
    {'sum': [{'mult': [0.3, '$score[0]']}, {'mult': [0.7, '$score[1]']}]}
    """
    check_expressible(method, ("rrf", "distribution"), "Qdrant")
    _LIMITS.check(size=size, candidates=candidates, rank_constant=rank_constant)
    checked = checked_weights(weights, prefetches, "prefetches")
    warn_unless_carried_over(checked, method, learnt_with)
    channels = [{"limit": candidates, **prefetches[uri]} for uri in checked]
    k = rank_constant + 1
    if single_shard:
        alone = {"rrf": {"k": k}} if method == "rrf" else {"fusion": "dbsf"}
        return _exact(checked, channels, alone, size)
    if method == "rrf":
        return {"prefetch": channels, "query": {"rrf": _rrf(checked, k)}, "limit": size}
    if not equal(checked):
        msg = f"weights: Qdrant's dbsf takes none, so they must be equal; otherwise {_ALTERNATIVES}"
        raise InvalidInputError(msg)
    return {"prefetch": channels, "query": {"fusion": "dbsf"}, "limit": size}


def _rrf(weights: Mapping[str, float], k: int) -> dict[str, Any]:
    muted = [uri for uri, weight in weights.items() if weight == 0]
    if muted:
        msg = (
            f"weights: Qdrant's rrf divides ranks by them; leave out {', '.join(map(repr, muted))}"
        )
        raise InvalidInputError(msg)
    if not equal(weights):
        warn(
            "Qdrant's rrf divides the rank by the weight instead of multiplying the score, so that "
            f"weights have another effect than the learnt one: {_ALTERNATIVES}",
            depth=2,
        )
    mean = sum(weight / len(weights) for weight in weights.values())
    return {"k": k, "weights": [weight / mean for weight in weights.values()]}


def _exact(
    weights: Mapping[str, float],
    channels: list[dict[str, Any]],
    alone: dict[str, Any],
    size: int,
) -> dict[str, Any]:
    """Fuse each channel alone and add up: a channel that missed a point gives 0."""
    scores = [f"$score[{i}]" for i in range(len(channels))]
    terms = [
        {"mult": [weight, score]} for weight, score in zip(weights.values(), scores, strict=True)
    ]
    return {
        "prefetch": [
            {"prefetch": [channel], "query": alone, "limit": channel["limit"]}
            for channel in channels
        ],
        "query": {"formula": {"sum": terms}, "defaults": dict.fromkeys(scores, 0.0)},
        "limit": size,
    }
