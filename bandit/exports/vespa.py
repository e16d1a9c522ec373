"""Fusion weights as a Vespa rank profile and query: cross-hit normalisation in the global phase.

Sources, as of Vespa 8: docs.vespa.ai/en/phased-ranking.html (cross-hit normalization) and
reference/schema-reference.html; github.com/vespa-engine/vespa, container-search,
com/yahoo/search/ranking: LinearNormalizer.java and ReciprocalRankNormalizer.java.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..base.channels import checked_weights
from ._carry_over import Limits, check_expressible, equal, warn, warn_unless_carried_over
from ._identifiers import identifiers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fusion.normalise import FusionMethod

_LIMITS: Final = Limits("Vespa", rank_constant=2**31 - 1, candidates=2**31 - 1)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def to_vespa(
    weights: Mapping[str, float],
    channels: Mapping[str, Any],
    *,
    method: FusionMethod = "min_max",
    learnt_with: FusionMethod = "min_max",
    size: int = 10,
    candidates: int = 100,
    rank_constant: int = 60,
    profile: str = "rankloom_fusion",
    inherits: str | None = None,
) -> dict[str, Any]:
    """Return a rank profile that fuses channels, and a query that sends it these weights.

    The profile is deployed once. Every query sends the weights as inputs, so that renewed ones need
    no deployment; those of the profile are its defaults.

    Parameters
    ----------
    weights : mapping of feature_uri to float
        Finite, at least 0, not all 0; sent as they are.
    channels : mapping of feature_uri to channel
        Of each channel its score as a rank expression, and how it retrieves, such as
        ``{"expression": "bm25(title)", "where": "userQuery()"}``. The score has to be above 0 for
        what the channel found and 0 otherwise, as `bm25` and `closeness` are. If all channels have
        a ``where``, the query gets a YQL text that retrieves what any of them finds.
    method : {"min_max", "rrf"}
        "min_max" becomes `normalize_linear`. Vespa normalises over all hits of the global phase,
        also those that a channel missed: once there is such a hit, x is score / highest score
        instead of (score - lowest) / (highest - lowest). "rrf" becomes `reciprocal_rank`, and what
        a channel missed gets nothing from it; Vespa ranks ties one after the other.
    learnt_with : {"min_max", "z_score", "distribution", "rrf"}
        The method of the scores from which the weights were learnt.
    size : int
        Hits to return.
    candidates : int
        Hits that each channel contributes, at least `size`: what the channels retrieve
        (`targetHits`) is the caller's, and the global phase ranks as many for each of them.
    rank_constant : int
        For "rrf".
    profile : str
        Name of the rank profile.
    inherits : str, optional
        A rank profile of the schema that this one inherits, such as one that declares the type of
        a query vector.

    Returns
    -------
    dict
        ``rank_profile``, a text for the schema, and ``query``, JSON-ready, for ``POST /search/``.

    Warns
    -----
    CarryOverWarning
        If the weights differ and `method` is not the one they were learnt with, or is "min_max".

    Raises
    ------
    InvalidInputError
        If a channel lacks a weight or an expression, a number or name is not valid, or Vespa cannot
        express the method.

    Examples
    --------
    >>> exported = to_vespa(
    ...     {"text": 0.7, "image": 0.3},
    ...     {"text": {"expression": "bm25(title)", "where": "userQuery()"},
    ...      "image": {"expression": "closeness(field, image)",
    ...                "where": "{targetHits: 100}nearestNeighbor(image, q)"}},
    ...     method="rrf", learnt_with="rrf", inherits="with_query_vector",
    ... )
    >>> print(exported["rank_profile"])
    rank-profile rankloom_fusion inherits with_query_vector {
        inputs {
            query(weight_image) double: 0.3
            query(weight_text) double: 0.7
        }
        function channel_image() {
            expression: closeness(field, image)
        }
        function channel_text() {
            expression: bm25(title)
        }
        first-phase {
            expression: channel_image + channel_text
        }
        global-phase {
            expression {
                query(weight_image) * if (channel_image > 0, reciprocal_rank(channel_image, 60), 0)
                + query(weight_text) * if (channel_text > 0, reciprocal_rank(channel_text, 60), 0)
            }
            rerank-count: 200
        }
        match-features: channel_image channel_text
    }
    >>> exported["query"]["yql"]
    'select * from sources * where ({targetHits: 100}nearestNeighbor(image, q)) or (userQuery())'
    >>> exported["query"]["input.query(weight_text)"]
    0.7
    """
    check_expressible(method, ("min_max", "rrf"), "Vespa")
    _LIMITS.check(size=size, candidates=candidates, rank_constant=rank_constant)
    _check_names(profile, inherits)
    checked = checked_weights(weights, channels, "channels")
    expressions = {uri: _expression(uri, channels[uri]) for uri in checked}
    warn_unless_carried_over(checked, method, learnt_with)
    if method == "min_max" and not equal(checked):
        warn(
            "Vespa's normalize_linear takes the lowest score over all hits, 0 of those that a "
            "channel missed among them, so that its scores are nearer to each other than those the "
            "weights were learnt with; export weights learnt with 'rrf', or fuse in your own "
            "service with rankloom.bandit.fuse"
        )
    names = identifiers(checked)
    head = f"rank-profile {profile}" + (f" inherits {inherits}" if inherits else "")
    constant = rank_constant if method == "rrf" else None
    lines = [
        f"{head} {{",
        *_inputs(checked, names),
        *_functions(expressions, names),
        *_phases(names, constant, candidates * len(checked)),
        f"    match-features: {' '.join(f'channel_{names[uri]}' for uri in checked)}",
        "}",
    ]
    query = _query(checked, names, channels)
    return {"rank_profile": "\n".join(lines), "query": query | {"ranking": profile, "hits": size}}


def _check_names(profile: str, inherits: str | None) -> None:
    for parameter, name in (("profile", profile), ("inherits", inherits)):
        if name is not None and not _NAME.fullmatch(name):
            msg = f"{parameter}: expected a name of letters, digits, _ and -, got {name!r}"
            raise InvalidInputError(msg)


def _expression(uri: str, channel: Mapping[str, Any]) -> str:
    expression = channel.get("expression")
    if not isinstance(expression, str) or not expression.strip():
        msg = (
            f"channels[{uri!r}]: expected a rank expression such as {{'expression': "
            f"'bm25(title)'}}, got {dict(channel)!r}"
        )
        raise InvalidInputError(msg)
    return expression


def _inputs(weights: Mapping[str, float], names: Mapping[str, str]) -> list[str]:
    declared = [
        f"        query(weight_{names[uri]}) double: {weight!r}" for uri, weight in weights.items()
    ]
    return ["    inputs {", *declared, "    }"]


def _functions(expressions: Mapping[str, str], names: Mapping[str, str]) -> list[str]:
    return [
        line
        for uri, expression in expressions.items()
        for line in (
            f"    function channel_{names[uri]}() {{",
            f"        expression: {expression}",
            "    }",
        )
    ]


def _phases(names: Mapping[str, str], rank_constant: int | None, count: int) -> list[str]:
    """Return both phases; the global one ranks all hits of the first anew."""
    channels = [f"channel_{name}" for name in names.values()]
    terms = [_term(name, rank_constant) for name in names.values()]
    return [
        "    first-phase {",
        f"        expression: {' + '.join(channels)}",
        "    }",
        "    global-phase {",
        "        expression {",
        f"            {terms[0]}",
        *(f"            + {term}" for term in terms[1:]),
        "        }",
        f"        rerank-count: {count}",
        "    }",
    ]


def _term(name: str, rank_constant: int | None) -> str:
    channel = f"channel_{name}"
    if rank_constant is None:
        return f"query(weight_{name}) * normalize_linear({channel})"
    ranked = f"reciprocal_rank({channel}, {rank_constant})"
    return f"query(weight_{name}) * if ({channel} > 0, {ranked}, 0)"


def _query(
    weights: Mapping[str, float],
    names: Mapping[str, str],
    channels: Mapping[str, Any],
) -> dict[str, Any]:
    query: dict[str, Any] = {
        f"input.query(weight_{names[uri]})": weight for uri, weight in weights.items()
    }
    clauses = [channels[uri].get("where") for uri in weights]
    if all(clauses):
        found = " or ".join(f"({clause})" for clause in clauses)
        query["yql"] = f"select * from sources * where {found}"  # noqa: S608 - clauses of the caller
    return query
