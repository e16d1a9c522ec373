"""Fusion weights as a MongoDB aggregation: the stages `$scoreFusion` and `$rankFusion`.

Sources, as of MongoDB 8.3: mongodb.com/docs/manual/reference/operator/aggregation, pages
scoreFusion and rankFusion; github.com/mongodb/mongo, src/mongo/db/pipeline:
lite_parsed_hybrid_search_desugarer.cpp, which says by which plain stages they are computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..base.channels import checked_weights
from ._carry_over import Limits, check_expressible, warn_unless_carried_over
from ._identifiers import identifiers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..fusion.normalise import FusionMethod

RANK_CONSTANT: Final = 60
"""That of `$rankFusion`, which cannot be changed."""

_LIMITS: Final = Limits("MongoDB", rank_constant=RANK_CONSTANT, candidates=2**63 - 1)


def to_mongodb(
    weights: Mapping[str, float],
    pipelines: Mapping[str, Any],
    *,
    method: FusionMethod = "min_max",
    learnt_with: FusionMethod = "min_max",
    size: int = 10,
    candidates: int = 100,
) -> dict[str, Any]:
    """Return an aggregation that fuses one input pipeline per channel with these weights.

    Parameters
    ----------
    weights : mapping of feature_uri to float
        Finite, at least 0, not all 0; sent as they are.
    pipelines : mapping of feature_uri to stage or list of stages
        What each channel searches for, such as ``{"$vectorSearch": {...}}`` or
        ``[{"$search": {...}}, {"$limit": 50}]``; sent as they are. Input pipelines are named for
        their channels if all are identifiers that begin with a small letter, otherwise
        `channel_0`, `channel_1`, ... in string order.
    method : {"min_max", "rrf"}
        "min_max" becomes `$scoreFusion` with `minMaxScaler` (8.3 on) and an expression:
        `combination.weights` multiply scores before they are scaled, which takes every weight but
        0 out again. A channel whose scores are all equal gives 0 instead of 1. "rrf" becomes
        `$rankFusion` with `combination.weights` (8.0 on), whose rank constant is always 60.
    learnt_with : {"min_max", "z_score", "distribution", "rrf"}
        The method of the scores from which the weights were learnt.
    size : int
        Documents to return.
    candidates : int
        Documents that each channel contributes, at least `size`: a `$limit` at the end of every
        input pipeline that holds none. The limit of a `$vectorSearch` is the caller's.

    Returns
    -------
    dict
        ``{"pipeline": [...]}``, JSON-ready, for ``db.collection.aggregate``.

    Warns
    -----
    CarryOverWarning
        If the weights differ and `method` is not the one they were learnt with.

    Raises
    ------
    InvalidInputError
        If a channel lacks a weight or a pipeline, a number is out of range, or MongoDB cannot
        express the method.

    Examples
    --------
    >>> body = to_mongodb(
    ...     {"text": 0.7, "image": 0.3},
    ...     {"text": {"$search": {"text": {"query": "red shoes", "path": "title"}}},
    ...      "image": {"$vectorSearch": {"path": "image", "queryVector": [0.1, 0.9],
    ...                                  "index": "images", "numCandidates": 500, "limit": 100}}},
    ... )
    >>> fusion, limit = body["pipeline"]
    >>> fusion["$scoreFusion"]["combination"]
    {'method': 'expression', 'expression': {'$sum': [{'$multiply': ['$$image', 0.3]}, \
{'$multiply': ['$$text', 0.7]}]}}
    >>> fusion["$scoreFusion"]["input"]["pipelines"]["text"][-1], limit
    ({'$limit': 100}, {'$limit': 10})
    """
    check_expressible(method, ("min_max", "rrf"), "MongoDB")
    _LIMITS.check(size=size, candidates=candidates, rank_constant=RANK_CONSTANT)
    checked = checked_weights(weights, pipelines, "pipelines")
    warn_unless_carried_over(checked, method, learnt_with)
    names = identifiers(checked)
    inputs = {names[uri]: _input(uri, pipelines[uri], candidates) for uri in checked}
    named = {names[uri]: weight for uri, weight in checked.items()}
    stage = _rank_fusion(inputs, named) if method == "rrf" else _score_fusion(inputs, named)
    return {"pipeline": [stage, {"$limit": size}]}


def _input(
    uri: str, stages: Mapping[str, Any] | Sequence[Mapping[str, Any]], candidates: int
) -> list[Mapping[str, Any]]:
    """Return the stages of one channel, with a limit at the end where they have none."""
    from collections.abc import Mapping

    listed = [stages] if isinstance(stages, Mapping) else list(stages)
    if not listed:
        msg = f"pipelines[{uri!r}]: got no stage; give what the channel searches for"
        raise InvalidInputError(msg)
    limited = any("$limit" in stage for stage in listed)
    return listed if limited else [*listed, {"$limit": candidates}]


def _rank_fusion(inputs: Mapping[str, Any], weights: Mapping[str, float]) -> dict[str, Any]:
    return {
        "$rankFusion": {
            "input": {"pipelines": dict(inputs)},
            "combination": {"weights": dict(weights)},
        }
    }


def _score_fusion(inputs: Mapping[str, Any], weights: Mapping[str, float]) -> dict[str, Any]:
    """Weigh the scaled scores: those of an input pipeline that missed a document are 0."""
    terms = [{"$multiply": [f"$${name}", weight]} for name, weight in weights.items()]
    return {
        "$scoreFusion": {
            "input": {"pipelines": dict(inputs), "normalization": "minMaxScaler"},
            "combination": {"method": "expression", "expression": {"$sum": terms}},
        }
    }
