"""Documents ranked by a ranker that was named at the start, never by a path."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..http.errors import fault
from ..http.refusal import Refusal
from ..http.roles import Role
from .endpoint import Call, Endpoint
from .schemas import RerankRequest, RerankResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...ltr.ranker import Ranker

_PLACE: Final = object()
"""Under which a document carries its index while it is ranked: no JSON name can equal it."""


def ranked(
    ranker: Ranker,
    documents: list[dict[str, Any]],
    execution: dict[str, Any],
    query: str | dict[str, Any] | None = None,
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

    Raises
    ------
    InvalidInputError
        Names the document and its field.
    """
    placed = [{**execution, **d, _PLACE: i} for i, d in enumerate(documents)]
    found = ranker.rank(placed, query=query)
    return list(_with_positions(documents, found))


def _with_positions(
    documents: list[dict[str, Any]], found: list[dict[Any, Any]]
) -> Iterator[dict[str, Any]]:
    next_position: Counter[Any] = Counter()
    for document in found:
        execution = document.get("execution_id")
        position = next_position[execution]
        next_position[execution] += 1
        yield {**documents[document[_PLACE]], "score": document["score"], "position": position}


async def rerank(call: Call) -> RerankResponse:
    """Rank up to 1000 documents by a trained ranker that the service was given at its start.

    Documents come back best first within each execution, with `score` and `position` (0 is best).
    """
    request: RerankRequest = call.body
    ranker = call.service.rankers.get(request.ranker)
    if ranker is None:
        msg = "no ranker of this name; the service is given its rankers at the start"
        raise Refusal(404, "NotFound", msg)
    try:
        documents = await call.service.in_thread(
            ranked, ranker, request.documents, request.execution, request.query
        )
    except InvalidInputError as error:
        raise _invalid(error) from error
    return RerankResponse(ranker=request.ranker, documents=documents)


def _invalid(error: InvalidInputError) -> Refusal:
    """Return the refusal of a document, named by its index and field."""
    field, _, reason = str(error).partition(": ")
    return fault(field, reason)


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/rerank",
        rerank,
        "Rank documents",
        role=Role.READ,
        body=RerankRequest,
        answer=RerankResponse,
        refusals=(404,),
    ),
)
