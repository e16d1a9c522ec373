"""Interactions by HTTP: recorded singly or in batches, read, deleted; answered after the commit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta

from ...datasets.log.answers import RowFault
from ...datasets.log.stored_row import VALUE_COLUMNS
from ..http.access_log import logger
from ..http.body import JSON, LINES, PLAIN
from ..http.errors import unprocessable
from ..http.parameters import Parameter
from ..http.refusal import Refusal
from ..http.roles import Role
from .endpoint import Call, Endpoint
from .interaction_response import recorded_response, response
from .listing import LIST
from .schemas import (
    MOST_INTERACTIONS,
    BatchResponse,
    BatchResult,
    DeletedInteraction,
    InteractionBatch,
    InteractionResponse,
    NewInteraction,
)

if TYPE_CHECKING:
    from ...datasets.log.answers import Recorded
    from ...datasets.log.interaction_log import InteractionLog
    from ...datasets.log.stored_row import PreparedRow
    from ...datasets.record.interaction import Interaction

BATCH_BYTES: Final = 8_000_000
_USER: Final = VALUE_COLUMNS.index("user_id")
_SESSION: Final = VALUE_COLUMNS.index("session_id")
_SAME: Final = (
    "feature_id",
    "interaction_type",
    "execution_id",
    "retriever_id",
    "user_id",
    "session_id",
)
"""What a repeat has in common with the stored record."""

_PATH: Final = "/v1/retrievers/interactions"
_KEY: Final = Parameter(
    "Idempotency-Key",
    Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")],
    place="header",
    description="A repeat with the same key answers the record that the first one stored",
    default=None,
)


async def create_interaction(call: Call) -> InteractionResponse:
    """Record one interaction; the answer means that it has been stored durably.

    A browser may send it by `navigator.sendBeacon(url + "?access_token=" + token, text)` from an
    allowed origin, with a token of the role ingest.

    With `session_id` and without `occurred_at` the weights of its session move at once. A repeat
    by `interaction_id` or `Idempotency-Key` changes nothing and answers the stored record, with a
    `warning` if that is of another document, user, list or type. A
    duplicate (same execution, document and types within 5 minutes) is not stored: its answer has
    `deduplicated: true` and no id.
    """
    log = call.service.view(call.caller.namespace)
    row = _prepared(log, call)
    if row.live:
        _check_rate(call, row)
    recorded = (await call.service.committed(log, [row]))[0]
    call.service.metrics.rows(recorded.status)
    if recorded.status == "existing":
        found = await _stored(call, str(recorded.interaction_id))
        return _noting_another(found, row.interaction(recorded))
    if recorded.status == "created" and row.live and row.values[_SESSION] is not None:
        await _observe(call, row, recorded)
    return recorded_response(row, recorded)


async def create_interactions(call: Call) -> BatchResponse:
    """Record 1 to 1000 interactions as a backfill: no session's weights move at once.

    Rows that break a rule fail alone: `results` says what became of each, `errors` why. As
    `application/x-ndjson`, one interaction a line; any body may be compressed by gzip.
    """
    log = call.service.view(call.caller.namespace)
    given = [x for x in call.raw.split(b"\n") if x.strip()] if call.media == LINES else call.raw
    rows = await call.service.in_thread(log.prepare_batch, given, limit=MOST_INTERACTIONS)
    good = [row for row in rows if not isinstance(row, RowFault)]
    stored = await call.service.committed(log, good) if good else []
    receipts = iter(stored)
    outcomes = [row if isinstance(row, RowFault) else next(receipts) for row in rows]
    return _batch_response(call, outcomes)


async def read_interaction(call: Call) -> InteractionResponse:
    """Return a stored interaction."""
    return await _stored(call, call.path["interaction_id"])


async def delete_interaction(call: Call) -> DeletedInteraction:
    """Delete an interaction; doing so again changes nothing and answers the same but `deleted`."""
    interaction_id = call.path["interaction_id"]
    log = call.service.view(call.caller.namespace)
    deleted = await call.service.in_thread(log.delete, interaction_id)
    if deleted:
        call.service.metrics.rows("deleted")
    return DeletedInteraction(interaction_id=interaction_id, deleted=deleted)


def _prepared(log: InteractionLog, call: Call) -> PreparedRow:
    row = log.prepare(call.raw, backfill=False, idempotency_key=call.headers.get("idempotency-key"))
    if isinstance(row, RowFault):
        call.service.metrics.rows("failed")
        found = {"field": row.field or "body", "reason": row.reason}
        raise unprocessable([found if row.value is None else {**found, "value": row.value}])
    return row


def _check_rate(call: Call, row: PreparedRow) -> None:
    user = row.values[_USER] or row.values[_SESSION]
    if user is None:
        return
    wait = call.service.live_events.wait(call.caller.namespace, user)
    if wait:
        raise Refusal(
            429,
            "TooManyRequests",
            "too many live interactions of this user within a minute; with occurred_at they are "
            "taken as a backfill",
            headers={"retry-after": str(math.ceil(wait))},
        )


async def _stored(call: Call, interaction_id: str) -> InteractionResponse:
    log = call.service.view(call.caller.namespace)
    found = await call.service.in_thread(log.get, interaction_id)
    if found is None:
        raise Refusal(404, "NotFound", "no interaction of this id")
    return response(found)


def _noting_another(stored: InteractionResponse, sent: Interaction) -> InteractionResponse:
    """Warn where what was sent is no repeat of the record that its id or key names."""
    others = [name for name in _SAME if getattr(sent, name) != getattr(stored, name)]
    if others:
        warning = (
            "another interaction has this interaction_id or Idempotency-Key already, and is "
            f"answered; nothing of this one was stored: {', '.join(others)} differ"
        )
        stored.warning = warning if stored.warning is None else f"{warning}; {stored.warning}"
    return stored


async def _observe(call: Call, row: PreparedRow, recorded: Recorded) -> None:
    """Let the session's weights move; what is committed is acknowledged whatever happens here."""
    retrievers, namespace = call.service.retrievers, row.namespace
    retriever = retrievers.get(namespace, row.retriever_id)
    if retriever is None:
        return
    interaction = row.interaction(recorded)
    try:
        # Without an execution the log may have to be looked at.
        if row.execution_id is not None:
            with retriever.try_lock() as free:
                if free:
                    retrievers.observe(namespace, interaction)
                    return
        await call.service.in_thread(retrievers.observe, namespace, interaction)
    except Exception as error:  # noqa: BLE001 - and no message: it may quote what was sent
        kind = type(error).__name__
        logger.warning("request %s: not observed, will be followed: %s", call.request_id, kind)


def _batch_response(call: Call, outcomes: list[Recorded | RowFault]) -> BatchResponse:
    counts = {"created": 0, "deduplicated": 0, "existing": 0, "failed": 0}
    errors: list[str] = []
    results: list[BatchResult] = []
    status: Literal["created", "deduplicated", "existing", "failed"]
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, RowFault):
            name, status = "", "failed"
            errors.append(f"{index}: {outcome.field or 'interaction'}: {outcome.reason}")
        else:
            name, status = outcome.interaction_id or outcome.kept_id or "", outcome.status
        counts[status] += 1
        results.append(BatchResult(index=index, interaction_id=name, status=status))
    for name, number in counts.items():
        call.service.metrics.rows(name, number)
    return BatchResponse(**counts, errors=errors or None, results=results)


def _endpoints() -> tuple[Endpoint, ...]:
    one: dict[str, Any] = {"answer": InteractionResponse, "refusals": (404,)}
    by_id = _PATH + "/{interaction_id}"
    return (
        Endpoint(
            "POST",
            _PATH,
            create_interaction,
            "Record one interaction",
            role=Role.INGEST,
            body=NewInteraction,
            decode=False,
            accepted=(JSON, PLAIN),
            parameters=(_KEY,),
            **one,
        ),
        Endpoint(
            "POST",
            _PATH + "/batch",
            create_interactions,
            "Record many interactions",
            role=Role.INGEST,
            body=InteractionBatch,
            decode=False,
            accepted=(JSON, LINES, PLAIN),
            answer=BatchResponse,
            body_limit=BATCH_BYTES,
        ),
        LIST,
        Endpoint("GET", by_id, read_interaction, "Read one interaction", role=Role.READ, **one),
        Endpoint(
            "DELETE",
            by_id,
            delete_interaction,
            "Delete one interaction",
            role=Role.ADMIN,
            answer=DeletedInteraction,
        ),
    )


ENDPOINTS: Final = _endpoints()
