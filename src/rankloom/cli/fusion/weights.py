"""`rankloom weights`: learnt fusion weights, as text, JSON or a search engine's query."""

from __future__ import annotations

import json as plain_json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InvalidInputError, UnreadableSourceError, did_you_mean
from ..options import option
from ..output import say, show, show_json
from .state_options import (
    DEFAULT,
    Namespace,
    Retriever,
    State,
    open_state,
    refuse_missing_file,
    warnings_as_notes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

User = Annotated[
    str | None,
    option("--user", "U", "Weights of this user."),
]
Segment = Annotated[
    list[str] | None,
    option("--segment", "S", "Weights of this segment: its value, or FIELD=VALUE for each field."),
]
Query = Annotated[
    str | None,
    option("--query", "TEXT", "Weights of this query, as logged in query_snapshot: text or JSON."),
]
Format = Annotated[
    str,
    option(
        "--format",
        "F",
        "text, json, or the search engine: elasticsearch, opensearch, qdrant, weaviate, vespa, "
        "milvus, mongodb or azure.",
        show_default=True,
    ),
]
Queries = Annotated[
    Path | None,
    option(
        "--queries",
        "FILE",
        "JSON object: the query of each channel, by feature_uri.",
        show_default="placeholders",
    ),
]
Method = Annotated[
    str | None,
    option(
        "--method",
        "M",
        "How the search engine fuses: min_max, z_score, distribution, rrf, or arctan of Milvus.",
        show_default="min_max; qdrant, azure: rrf; milvus: arctan",
    ),
]
SingleShard = Annotated[
    bool,
    typer.Option(
        "--single-shard",
        help="For qdrant: the collection has one shard, which allows the exact formula.",
    ),
]
InQuery = Annotated[
    bool,
    typer.Option(
        "--in-query",
        help="For opensearch: fuse in the query (3.10 on) instead of in a search pipeline.",
    ),
]
LearntWith = Annotated[
    str,
    option("--learnt-with", "M", "How the scores of the log were fused.", show_default=True),
]
History = Annotated[
    bool,
    typer.Option(
        "--history",
        help="Print the snapshots that are kept instead: since when, by whom, with which weights.",
    ),
]

FORMATS = (
    "text",
    "json",
    "elasticsearch",
    "opensearch",
    "qdrant",
    "weaviate",
    "vespa",
    "milvus",
    "mongodb",
    "azure",
)
KINDS_OF_QUERIES = {
    "weaviate": "which channel is the keyword search and which the vector search",
    "vespa": "the rank expression of each channel",
    "azure": "which channel is the text search and which are vector queries",
}
"""Engines for which a placeholder is not enough, and what they need to know."""


def weights(
    *,
    state: State,
    retriever: Retriever = DEFAULT,
    namespace: Namespace = DEFAULT,
    user: User = None,
    segment: Segment = None,
    query: Query = None,
    format: Format = "text",  # noqa: A002 - the name of the option
    queries: Queries = None,
    method: Method = None,
    learnt_with: LearntWith = "min_max",
    single_shard: SingleShard = False,
    in_query: InQuery = False,
    history: History = False,
) -> None:
    """Print the fusion weights that were learnt, or a search that uses them.

    Without --queries the search holds a placeholder for the query of each channel; weaviate, vespa
    and azure need them.

    **Example**: `rankloom weights --state sqlite:///fusion.db --format opensearch`
    """
    _check(format, queries, single_shard=single_shard, in_query=in_query)
    if history:
        _show_history(state, retriever, namespace, format)
        return
    bandit = open_state(state, retriever, namespace)
    requester: dict[str, Any] = {
        "user_id": user,
        "segment": _segment(segment),
        "query": query,
    }
    with warnings_as_notes():
        explanation = bandit.explain(**requester)
        means = bandit.mean(**requester)
    if explanation.policy == "prior":
        say("note: no exposures yet: weights are equal until a channel's are logged")
    if format == "text":
        show([str(explanation)])
    elif format == "json":
        show_json(
            {
                "weights": means,
                "level": explanation.level,
                "posterior": explanation.posterior,
                "snapshot_id": explanation.snapshot_id,
                "retriever": retriever,
            }
        )
    else:
        bodies = _placeholders(means) if queries is None else _read(queries, format)
        options: dict[str, Any] = {"learnt_with": learnt_with}
        options |= {} if method is None else {"method": method}
        options |= {"single_shard": True} if single_shard else {}
        options |= {"in_query": True} if in_query else {}
        show_json(_exported(format, means, bodies, options))


def _show_history(url: str, retriever: str, namespace: str, format_name: str) -> None:
    from ...bandit.store.opening import open_store

    if format_name not in {"text", "json"}:
        msg = f"--history: only with --format text or json, got --format {format_name}"
        raise InvalidInputError(msg)
    refuse_missing_file(url)
    with open_store(url, namespace=namespace, retriever_id=retriever) as store:
        records, dropped = store.history()
    shown = [
        {
            "snapshot_id": each.snapshot_id,
            "time": None if each.time is None else each.time.isoformat(timespec="seconds"),
            "author": each.author or None,
            "weights": {uri: weight._asdict() for uri, weight in each.weights.items()},
        }
        for each in records
    ]
    if format_name == "json":
        show_json({"snapshots": shown, "dropped": dropped})
        return
    show([line for each in shown for line in _lines_of(each)])
    say(f"{len(shown)} snapshots of {retriever} in {namespace}; {dropped} are not kept any more")


def _lines_of(snapshot: Mapping[str, Any]) -> Iterator[str]:
    yield f"{snapshot['snapshot_id']}  {snapshot['time'] or '?'}  {snapshot['author'] or '?'}"
    for uri, weight in snapshot["weights"].items():
        yield f"    {weight['mean']:.3f} ({weight['low']:.3f} to {weight['high']:.3f})  {uri}"


def _check(format_name: str, queries: Path | None, *, single_shard: bool, in_query: bool) -> None:
    if format_name not in FORMATS:
        hint = did_you_mean(format_name, FORMATS)
        msg = f"--format: expected one of {', '.join(FORMATS)}, got {format_name!r}.{hint}"
        raise InvalidInputError(msg)
    for option_name, given, engine in (
        ("--single-shard", single_shard, "qdrant"),
        ("--in-query", in_query, "opensearch"),
    ):
        if given and format_name != engine:
            msg = f"{option_name}: only for --format {engine}, got --format {format_name}"
            raise InvalidInputError(msg)
    if queries is None and format_name in KINDS_OF_QUERIES:
        known = KINDS_OF_QUERIES[format_name]
        msg = f"--queries: --format {format_name} has to know {known}; give them as a JSON file"
        raise InvalidInputError(msg)


def _segment(texts: list[str] | None) -> str | dict[str, str] | None:
    """Return one value as it is, FIELD=VALUE as a mapping."""
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    pairs = [text.partition("=") for text in texts]
    if not all(separator for _, separator, _ in pairs):
        msg = f"--segment: expected FIELD=VALUE for each of several fields, got {texts!r}"
        raise InvalidInputError(msg)
    return {name: value for name, _, value in pairs}


def _exported(
    search_engine: str,
    means: Mapping[str, float],
    queries: Mapping[str, Any],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    from ...bandit import exports

    export = getattr(exports, f"to_{search_engine}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", exports.CarryOverWarning)
        body: dict[str, Any] = export(means, queries, **options)
    if caught:
        say("warning: " + "; ".join(str(each.message) for each in caught))
    return body


def _placeholders(channels: Iterable[str]) -> dict[str, dict[str, str]]:
    return {uri: {"<query>": f"query of {uri}"} for uri in channels}


def _read(path: Path, format_name: str) -> dict[str, Any]:
    try:
        value = plain_json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"--queries: {path} cannot be read: {error}"
        raise UnreadableSourceError(msg) from error
    except ValueError as error:
        msg = f"--queries: {path} is not JSON: {error}"
        raise InvalidInputError(msg) from error
    form = _is_stages if format_name == "mongodb" else _is_object
    if not isinstance(value, dict) or not all(map(form, value.values())):
        stages = " or a list of stages" if format_name == "mongodb" else ""
        msg = (
            f"--queries: expected an object with an object{stages} for every feature_uri in {path}"
        )
        raise InvalidInputError(msg)
    return value


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_stages(value: Any) -> bool:
    """Return whether this is a stage of a MongoDB pipeline, or a list of them."""
    return all(map(_is_object, value if isinstance(value, list) else [value]))
