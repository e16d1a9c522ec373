"""Fusion weights as a Milvus hybrid search: `WeightedRanker`.

Sources, as of Milvus 2.6: milvus.io/docs/weighted-ranker.md and rrf-ranker.md;
github.com/milvus-io/milvus, internal/util/function: rerank/weighted_function.go and
chain/rerank_builder.go, which check the numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from ...errors import InvalidInputError, did_you_mean
from ..base.channels import checked_weights
from ..fusion.normalise import METHODS
from ._carry_over import Limits, equal, warn
from ._shares import shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fusion.normalise import FusionMethod

    MilvusMethod = Literal["arctan", "rrf"]

_LIMITS: Final = Limits("Milvus", rank_constant=16_383, candidates=16_384)
_EXPRESSIBLE: Final = ("arctan", "rrf")


def to_milvus(
    weights: Mapping[str, float],
    searches: Mapping[str, Any],
    *,
    method: MilvusMethod = "arctan",
    learnt_with: FusionMethod | Literal["arctan"] = "min_max",
    size: int = 10,
    candidates: int = 100,
    rank_constant: int = 60,
) -> dict[str, Any]:
    """Return the body of a hybrid search that fuses one search per channel with these weights.

    Milvus normalises a score by itself, and not by the other scores of its list: x is (1 + s) / 2
    for the metric COSINE, 1/2 + arctan(s) / pi for IP, 2 arctan(s) / pi for BM25 and
    1 - 2 arctan(s) / pi for distances. Weights that were learnt with another way of fusing do not
    mean the same there.

    Parameters
    ----------
    weights : mapping of feature_uri to float
        Finite, at least 0, not all 0. Milvus takes weights from 0 to 1, so each is divided by the
        sum; their ratios stay.
    searches : mapping of feature_uri to search
        What each channel searches for, such as ``{"data": [[0.1, 0.9]], "annsField": "image"}``;
        sent as they are, with `candidates` as the limit where there is none.
    method : {"arctan", "rrf"}
        "arctan" becomes `WeightedRanker` with `norm_score` (2.6; before, it was always on). "rrf"
        becomes `RRFRanker`, which takes no weights, so that they must be equal.
    learnt_with : {"arctan", "min_max", "z_score", "distribution", "rrf"}
        The method of the scores from which the weights were learnt; "arctan" if the lists of the
        log were fused by Milvus's `WeightedRanker`.
    size : int
        Entities to return.
    candidates : int
        Entities that each channel contributes, at least `size`, at most 16,384.
    rank_constant : int
        For "rrf" (`k`); at most 16,383.

    Returns
    -------
    dict
        JSON-ready: with ``collectionName`` added, for
        ``POST /v2/vectordb/entities/hybrid_search``.

    Warns
    -----
    CarryOverWarning
        If the weights differ and were not learnt with "arctan".

    Raises
    ------
    InvalidInputError
        If a channel lacks a weight or a search, a number is out of range, or Milvus cannot express
        the method with these weights.

    Examples
    --------
    >>> body = to_milvus(
    ...     {"text": 3.0, "image": 1.0},
    ...     {"text": {"data": ["red shoes"], "annsField": "sparse"},
    ...      "image": {"data": [[0.1, 0.9]], "annsField": "image"}},
    ...     learnt_with="arctan",
    ... )
    >>> body["rerank"]
    {'strategy': 'weighted', 'params': {'weights': [0.25, 0.75], 'norm_score': True}}
    >>> [search["annsField"] for search in body["search"]], body["limit"]
    (['image', 'sparse'], 10)
    """
    _check_method(method, learnt_with)
    _LIMITS.check(size=size, candidates=candidates, rank_constant=rank_constant)
    checked = checked_weights(weights, searches, "searches")
    if method == "rrf":
        _check_equal(checked)
    elif learnt_with != "arctan" and not equal(checked):
        warn(
            f"weights were learnt with {learnt_with!r}, but Milvus normalises every score by an "
            "arctangent of its own: a weight is tied to the scale of the scores that it "
            "multiplies. Learn them from lists that Milvus fused and pass learnt_with='arctan', or "
            "fuse in your own service with rankloom.bandit.fuse"
        )
    rerank: dict[str, Any] = (
        {"strategy": "rrf", "params": {"k": rank_constant}}
        if method == "rrf"
        else {
            "strategy": "weighted",
            "params": {"weights": list(shares(checked).values()), "norm_score": True},
        }
    )
    found = [{"limit": candidates, **searches[uri]} for uri in checked]
    return {"search": found, "rerank": rerank, "limit": size}


def _check_method(method: str, learnt_with: str) -> None:
    if method not in {*_EXPRESSIBLE, *METHODS}:
        msg = f"method: got {method!r}, expected one of {', '.join(_EXPRESSIBLE)}."
        raise InvalidInputError(msg + did_you_mean(str(method), _EXPRESSIBLE))
    if method not in _EXPRESSIBLE:
        msg = (
            f"method: Milvus cannot fuse by {method!r}; learn the weights from lists that it fused "
            "by 'arctan' and export those, use 'rrf' with equal weights, or fuse in your own "
            "service with rankloom.bandit.fuse"
        )
        raise InvalidInputError(msg)
    names = ("arctan", *METHODS)
    if learnt_with not in names:
        msg = f"learnt_with: got {learnt_with!r}, expected one of {', '.join(names)}."
        raise InvalidInputError(msg + did_you_mean(str(learnt_with), names))


def _check_equal(weights: Mapping[str, float]) -> None:
    if not equal(weights):
        msg = (
            "weights: Milvus's RRFRanker takes none, so they must be equal; otherwise use "
            "method='arctan' with weights that were learnt so, or fuse in your own service with "
            "rankloom.bandit.fuse"
        )
        raise InvalidInputError(msg)
