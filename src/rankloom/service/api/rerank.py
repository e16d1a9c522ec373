"""Documents ranked by a ranker that was named at the start, never by a path."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..http.errors import fault
from ..http.refusal import Refusal
from ..http.roles import Role
from . import schemas
from .endpoint import Call, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...ltr.ranker import Ranker

MAX_NAMED: Final = 10
"""Most unknown features that a warning names."""

BATCH_BYTES: Final = 8_000_000
_PLACE: Final = object()
"""Under which a document carries its index while it is ranked: no JSON name can equal it."""


def ranked(
    ranker: Ranker,
    documents: list[dict[str, Any]],
    execution: dict[str, Any],
    query: str | dict[str, Any] | None = None,
    contributions: int = 0,
) -> list[dict[str, Any]]:
    """Return the documents best first within each execution, with score and position.

    Parameters
    ----------
    ranker : Ranker
    documents : list of dict
        As of `Ranker.rank`.
    execution : dict
        Fields that every document has unless it says otherwise; they are not passed on.
    query : str or dict, optional
        The query snapshot of all documents.
    contributions : int
        How many of the largest contributions to the score each document gets.

    Raises
    ------
    InvalidInputError
        Names the document and its field.
    """
    placed = [{**execution, **d, _PLACE: i} for i, d in enumerate(documents)]
    found = ranker.rank(placed, query=query)
    ordered = list(_with_positions(documents, found))
    if contributions and found:
        frame = ranker.contributions(found)
        for document, row in zip(ordered, frame.iter_rows(named=True), strict=True):
            document["contributions"] = _largest(row, contributions)
    return ordered


def _with_positions(
    documents: list[dict[str, Any]], found: list[dict[Any, Any]]
) -> Iterator[dict[str, Any]]:
    next_position: Counter[Any] = Counter()
    for document in found:
        execution = document.get("execution_id")
        position = next_position[execution]
        next_position[execution] += 1
        yield {**documents[document[_PLACE]], "score": document["score"], "position": position}


def _largest(row: dict[str, float], number: int) -> dict[str, float]:
    """Return the largest contributions of a document, and the rest, so that they add up."""
    *features, expected = row.items()
    features.sort(key=lambda item: -abs(item[1]))
    rest = sum(value for _, value in features[number:])
    return dict([*features[:number], ("(other features)", rest), expected])


def unknown_features(ranker: Ranker, documents: list[dict[str, Any]]) -> str | None:
    """Return a warning that names what stands in ``features`` and the ranker does not know.

    Other fields are passed on, and no mistake.
    """
    known = set(map(str, ranker.feature_names_in_))
    counts = Counter(
        name for each in documents for name in each.get("features") or () if name not in known
    )
    if not counts:
        return None
    named = [
        f"{name[:100]!r} ({n} of {len(documents)} documents)"
        for name, n in counts.most_common(MAX_NAMED)
    ]
    more = f" and {len(counts) - MAX_NAMED} more" if len(counts) > MAX_NAMED else ""
    return f"features that the ranker does not know, and does not use: {', '.join(named)}{more}"


async def rerank(call: Call) -> schemas.RerankResponse:
    """Rank up to 1000 documents by a trained ranker that the service was given at its start.

    Documents come back best first within each execution, with `score` and `position` (0 is best).
    """
    body: schemas.RerankRequest = call.body
    found = await call.service.in_thread(_list, _ranker(call), body, body.contributions)
    if found.error is not None:
        raise fault(found.error.field, found.error.reason)
    return schemas.RerankResponse(
        ranker=body.ranker, documents=found.documents or [], warning=found.warning
    )


async def rerank_batch(call: Call) -> schemas.RerankBatchResponse:
    """Rank up to 100 lists of up to 1000 documents; a list with a fault fails alone."""
    body: schemas.RerankBatch = call.body
    in_thread, ranker = call.service.in_thread, _ranker(call)
    # One after the other: other requests have to get a thread, too.
    results = [await in_thread(_list, ranker, each, body.contributions) for each in body.requests]
    return schemas.RerankBatchResponse(ranker=body.ranker, results=results)


def _ranker(call: Call) -> Ranker:
    ranker = call.service.rankers.get(call.body.ranker)
    if ranker is None:
        msg = "no ranker of this name; the service is given its rankers at the start"
        raise Refusal(404, "NotFound", msg)
    return ranker


def _list(ranker: Ranker, given: schemas.RankedList, contributions: int) -> schemas.RerankedList:
    """Return one list as ranked, or the index and field of the document that is at fault."""
    try:
        documents = ranked(ranker, given.documents, given.execution, given.query, contributions)
    except InvalidInputError as error:
        field, _, reason = str(error).partition(": ")
        return schemas.RerankedList(error=schemas.RerankFailure(field=field, reason=reason))
    unknown = unknown_features(ranker, [{**given.execution, **each} for each in given.documents])
    return schemas.RerankedList(documents=documents, warning=unknown)


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/rerank",
        rerank,
        "Rank documents",
        role=Role.READ,
        body=schemas.RerankRequest,
        answer=schemas.RerankResponse,
        refusals=(404,),
    ),
    Endpoint(
        "POST",
        "/v1/rerank/batch",
        rerank_batch,
        "Rank documents of several lists",
        role=Role.READ,
        body=schemas.RerankBatch,
        answer=schemas.RerankBatchResponse,
        body_limit=BATCH_BYTES,
        refusals=(404,),
    ),
)
