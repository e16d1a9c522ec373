"""Whether the service lives, whether it can work, and what it has counted."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from ..http.answers import Answer
from ..http.metrics import CONTENT_TYPE
from ..http.refusal import Refusal
from ..http.roles import Role
from .endpoint import Call, Endpoint
from .fusion_metrics import fusion_metrics


class Health(Struct, kw_only=True):
    """The service works."""

    status: Literal["ok"] = "ok"


async def read_health(call: Call) -> Health:
    """Return that the process answers; says nothing of its stores."""
    del call
    return Health()


async def read_readiness(call: Call) -> Health:
    """Return that the log can be written and is followed; 503 with the reasons otherwise."""
    reasons = await call.service.unready()
    if reasons:
        raise Refusal(
            503, "NotReady", "; ".join(reasons), {"reasons": reasons}, headers={"retry-after": "5"}
        )
    return Health()


async def read_metrics(call: Call) -> Answer:
    """Return counts and times by route, in Prometheus' text format.

    Weights, rewards and the like are those of the retrievers in the token's namespace.
    """
    retrievers = call.service.retrievers.of(call.caller.namespace)
    parts = [
        await call.service.in_thread(call.service.metrics.text),
        await call.service.in_thread(fusion_metrics, retrievers),
    ]
    return Answer(body=b"".join(parts), headers={"content-type": CONTENT_TYPE})


ENDPOINTS: Final = (
    Endpoint("GET", "/healthz", read_health, "Whether it lives", role=None, answer=Health),
    Endpoint("GET", "/readyz", read_readiness, "Whether it can work", role=None, answer=Health),
    Endpoint(
        "GET",
        "/metrics",
        read_metrics,
        "Counts and times",
        role=Role.METRICS,
        answer=Annotated[str, Meta(description="Prometheus' text format")],
        media_type="text/plain",
    ),
)
