"""Learned fusion by HTTP: weights to serve, what is known, and who decides what is learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from ..http.errors import fault
from ..http.parameters import Parameter
from ..http.refusal import Refusal
from ..http.roles import Role
from . import schemas
from .endpoint import Call, Endpoint
from .fusion_weights import Asking, weights_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...bandit.base.sums import Sums
    from ...bandit.store.snapshot_history import SnapshotRecord
    from ..learning.retriever import LearningRetriever, RetrieverStatistics

MOST_CELLS: Final = 10_000
"""`LearningRetriever.session_cells` above which one look would hold up all other requests."""

_BASE: Final = "/v1/retrievers/{retriever_id}/learned-fusion"


async def read_weights(call: Call) -> schemas.FusionWeightsResponse:
    """Return the weights to serve an anonymous session or execution, else those of the mean.

    Named by `session_id` or `execution_id`, they are drawn as for a user. Without either they are
    those at the posterior mean: without sampling or experiments, for a dashboard or a
    static configuration. `user_id` stands for the path of a user's weights.
    """
    return await _weights(call, call.query["user_id"])


async def read_user_weights(call: Call) -> schemas.FusionWeightsResponse:
    """Return the weights to serve one request of a user.

    They are drawn from the posterior (Thompson sampling), as roll-out and experiments want it. The
    noise belongs to the session, else to the user: later requests of the same one see the
    evidence change and not the noise.
    """
    return await _weights(call, call.path["user_id"])


async def read_statistics(call: Call) -> schemas.FusionStatistics:
    """Return what is learnt of every channel, how far the log is followed, what was left out."""
    retriever = await _found(call)
    return _statistics(retriever, await call.service.in_thread(retriever.statistics))


async def enable(call: Call) -> schemas.FusionSettings:
    """Learn weights for these channels, from the log's rows so far and from what comes.

    Other channels or segments than before, or the first queries, are learnt anew from the log,
    which takes a while: `lag` in the statistics shows it. Until that is done the last weights are
    held over, and `fallback` says so: of K channels a new one gets 1/K, the old ones share the rest
    in their old proportions, without those that were removed; where the fields of the segments are
    others, everybody gets the weights of all. Where there were no weights before, they are equal
    until then. Doing the same again changes nothing.
    """
    body: schemas.EnableFusion = call.body
    _check_unique("feature_uris", body.feature_uris)
    _check_unique("segment_by", body.segment_by)
    registry = call.service.retrievers
    found = await call.service.in_thread(
        registry.enable,
        *_key(call),
        feature_uris=body.feature_uris,
        segment_by=body.segment_by,
        posterior=body.posterior,
        max_queries=body.max_queries,
        rewards=body.rewards,
        floor=body.floor,
        cap=body.cap,
        min_lists=body.min_lists,
        relearn=body.relearn,
        author=call.caller.name,
    )
    return _settings(found)


async def disable(call: Call) -> schemas.FusionSettings:
    """Serve equal weights and stop learning; the evidence is stored for the next `enable`."""
    return await _changed(call, call.service.retrievers.disable)


async def set_rollout(call: Call) -> schemas.FusionSettings:
    """Choose who gets learned weights; what is not given stays as it is."""
    body: schemas.FusionRollout = call.body
    given = {n: value for n in body.__struct_fields__ if (value := getattr(body, n)) is not None}
    return await _changed(call, call.service.retrievers.set_rollout, **given)


async def read_history(call: Call) -> schemas.FusionHistory:
    """Return the snapshots that are kept, with their weights, and who published them when."""
    retriever = await _found(call)
    records, dropped = await call.service.in_thread(retriever.history)
    return schemas.FusionHistory(
        **call.path,
        snapshots=[_snapshot(record) for record in records],
        dropped=dropped,
        rolled_back_to=retriever.settings.rolled_back_to,
    )


async def read_changes(call: Call) -> schemas.FusionChanges:
    """Return who changed what and when: settings, roll-out, rollbacks, users who opted out.

    Users are named by a hash: BLAKE2b, 8 bytes, big-endian, of the UTF-8 text.
    """
    registry = call.service.retrievers
    await _found(call)
    found = await call.service.in_thread(registry.trail, *_key(call))
    return schemas.FusionChanges(**call.path, **found._asdict())


async def roll_back(call: Call) -> schemas.FusionSettings:
    """Serve a snapshot that is kept, whatever is learnt, until `resume`; once more is the same.

    It must weigh the channels and segments that the retriever has now. Users, sessions and queries
    get what everybody in their segment gets meanwhile; learning goes on unseen, and the shares of
    the roll-out stay. To enable it with other channels or segments ends the rollback, too.
    """
    registry = call.service.retrievers
    await _found(call)
    found = await call.service.in_thread(
        registry.roll_back, *_key(call), call.path["snapshot"], author=call.caller.name
    )
    if found is None:
        raise Refusal(404, "NotFound", "no snapshot of this id is kept; GET history lists them")
    return _settings(found)


async def resume(call: Call) -> schemas.FusionSettings:
    """Serve what is learnt again, after a rollback; else nothing changes."""
    return await _changed(call, call.service.retrievers.resume)


async def opt_out(call: Call) -> schemas.OptedUser:
    """Keep nothing of this user: the weights are those of all from now on."""
    registry = call.service.retrievers
    await _found(call)
    await call.service.in_thread(
        registry.opt_out, *_key(call), call.path["user_id"], author=call.caller.name
    )
    return schemas.OptedUser(**call.path, opted_out=True)


async def opt_in(call: Call) -> schemas.OptedUser:
    """Learn weights for this user again, from what comes from now on."""
    registry = call.service.retrievers
    await _found(call)
    await call.service.in_thread(
        registry.opt_in, *_key(call), call.path["user_id"], author=call.caller.name
    )
    return schemas.OptedUser(**call.path, opted_out=False)


async def delete_user(call: Call) -> schemas.DeletedUser:
    """Delete a user's interactions with this retriever, and forget what was learnt of the user."""
    await _known(call)
    rows, units = await call.service.in_thread(_delete_user, call)
    return schemas.DeletedUser(**call.path, interactions_deleted=rows, units_reset=units)


def _delete_user(call: Call) -> tuple[int, int]:
    """Delete from the log first: rows that remain there would name the user again."""
    user = call.path["user_id"]
    rows = call.service.log.within(*_key(call)).delete_user(user)
    registry = call.service.retrievers
    known = registry.get(*_key(call)) is not None
    author = call.caller.name
    return rows, registry.delete_user(*_key(call), user, author=author) if known else 0


async def _changed(
    call: Call, change: Callable[..., LearningRetriever | None], **given: Any
) -> schemas.FusionSettings:
    """Change a retriever in the name of the caller, and return its settings then."""
    author = call.caller.name
    found = await call.service.in_thread(change, *_key(call), author=author, **given)
    return _settings(_enabled(found))


def _key(call: Call) -> tuple[str, str]:
    return call.caller.namespace, call.path["retriever_id"]


async def _found(call: Call) -> LearningRetriever:
    """Return what was enabled once, by whichever process."""
    registry = call.service.retrievers
    found = registry.get(*_key(call))
    if found is None:
        found = await call.service.in_thread(registry.find, *_key(call))
    return _enabled(found)


async def _known(call: Call) -> LearningRetriever | None:
    """Return what learns; None for a retriever whose interactions are logged and that never learnt.

    Raises
    ------
    Refusal
        With status 404 if nothing is known of the retriever.
    """
    registry = call.service.retrievers
    found = registry.get(*_key(call))
    if found is None:
        found = await call.service.in_thread(registry.find, *_key(call))
    if found is None and not await call.service.in_thread(registry.is_known, *_key(call)):
        raise Refusal(404, "NotFound", "no retriever of this id: it was neither logged nor enabled")
    return found


def _enabled(found: LearningRetriever | None) -> LearningRetriever:
    if found is None:
        msg = "learned fusion was never enabled for a retriever of this id: send enable first"
        raise Refusal(404, "NotFound", msg)
    return found


def _settings(retriever: LearningRetriever) -> schemas.FusionSettings:
    """Return how a retriever learns and serves, in the words of the interface."""
    settings = retriever.settings
    return schemas.FusionSettings(
        retriever_id=retriever.key.retriever_id,
        enabled=settings.enabled,
        feature_uris=list(settings.feature_uris),
        segment_by=list(settings.segment_by),
        posterior=settings.posterior,
        max_queries=settings.max_queries,
        rewards=settings.rewards,
        floor=settings.floor,
        cap=settings.cap,
        min_lists=settings.min_lists,
        rollout_pct=settings.rollout_pct,
        shadow_mode=settings.shadow_mode,
        control_pct=settings.control_pct,
        explore_pct=settings.explore_pct,
        rolled_back_to=settings.rolled_back_to,
    )


def _snapshot(record: SnapshotRecord) -> schemas.Snapshot:
    weights = {uri: schemas.SnapshotWeight(**w._asdict()) for uri, w in record.weights.items()}
    author = record.author or None
    return schemas.Snapshot(
        snapshot_id=record.snapshot_id, time=record.time, author=author, weights=weights
    )


def _statistics(
    retriever: LearningRetriever, found: RetrieverStatistics
) -> schemas.FusionStatistics:
    """Return what a retriever has learnt, in the words of the interface."""
    return schemas.FusionStatistics(
        settings=_settings(retriever),
        channels=_channels(found.sums, found.weights),
        open_units=found.open_units,
        closed_units=found.closed_units,
        users=found.users,
        queries=found.queries,
        lag=found.lag,
        left_out=found.left_out,
        snapshot_id=found.snapshot_id,
    )


def _channels(sums: Sums, weights: Mapping[str, float]) -> list[schemas.ChannelStatistics]:
    n, q = sums.N[0], sums.Q[0]
    return [
        schemas.ChannelStatistics(
            feature_uri=arm,
            exposures=float(n[i]),
            successes=float(sums.S[0][i]),
            failures=float(sums.F[0][i]),
            effective_n=float(n[i] ** 2 / q[i]) if q[i] > 0.0 else 0.0,
            weight=weights.get(arm),
        )
        for i, arm in enumerate(sums.arms)
    ]


async def _weights(call: Call, user_id: str | None) -> schemas.FusionWeightsResponse:
    retriever = await _known(call)
    asker = Asking(
        user_id,
        call.query["session_id"],
        call.query["execution_id"],
        _segment(call.query["segment"]),
        call.query["query"],
    )
    if retriever is not None and retriever.shares and asker.session_id is not None:
        await call.service.sessions.read(retriever, asker.session_id)
    arguments = call.path["retriever_id"], retriever, asker
    if retriever is not None and retriever.session_cells(asker.session_id) > MOST_CELLS:
        return await call.service.in_thread(weights_for, *arguments)
    # It waits for no lock and takes well under a millisecond, less than the way to a busy thread
    # and back, also for the first request of a session after an event.
    return weights_for(*arguments)


def _segment(given: Sequence[str] | None) -> dict[str, str] | None:
    """Return values by field from texts ``field:value``; no field's name holds a colon."""
    if not given:
        return None
    found: dict[str, str] = {}
    for text in given:
        field, colon, value = text.partition(":")
        if not colon or not field or field in found:
            raise fault(_SEGMENT.name, "expected one field:value for every field of segment_by")
        found[field] = value
    return found


def _check_unique(name: str, values: Sequence[str]) -> None:
    if len(set(values)) < len(values):
        raise fault(name, "expected every name once")


_SEGMENT: Final = Parameter(
    "segment",
    Annotated[list[schemas.SegmentValue], Meta(max_length=schemas.MOST_SEGMENT_FIELDS)],
    "query",
    "`field:value`, once for every field of segment_by, such as segment=device:mobile",
    None,
)
_USER: Final = Parameter(
    "user_id", schemas.Identifier, "query", "Whom to serve, as in the path", None
)
_SESSION: Final = Parameter(
    "session_id",
    schemas.Identifier,
    "query",
    "The session's own evidence of the last hour counts, and the noise is the session's",
    None,
)
_EXECUTION: Final = Parameter(
    "execution_id",
    schemas.Identifier,
    "query",
    "Whose noise is drawn where neither a user nor a session is named",
    None,
)
_QUERY: Final = Parameter(
    "query",
    schemas.QueryText,
    "query",
    "What is searched for, as in query_snapshot: text or JSON. It gets weights of its own where it "
    "has evidence of its own and max_queries is above 0",
    None,
)
_ASKING: Final = (_SESSION, _EXECUTION, _SEGMENT, _QUERY)


def _route(
    method: str,
    path: str,
    handle: Any,
    summary: str,
    answer: Any,
    *,
    body: Any = None,
    parameters: tuple[Parameter, ...] = (),
) -> Endpoint:
    """Return a route below a retriever's learned fusion: what changes it is for admins only."""
    role = Role.READ if method == "GET" else Role.ADMIN
    return Endpoint(
        method,
        _BASE + path,
        handle,
        summary,
        role,
        body=body,
        answer=answer,
        parameters=parameters,
        refusals=(404,),
    )


ENDPOINTS: Final = (
    _route(
        "GET",
        "/weights",
        read_weights,
        "Weights at the posterior mean",
        schemas.FusionWeightsResponse,
        parameters=(_USER, *_ASKING),
    ),
    _route(
        "GET",
        "/weights/{user_id}",
        read_user_weights,
        "Weights to serve a user",
        schemas.FusionWeightsResponse,
        parameters=_ASKING,
    ),
    _route("GET", "/stats", read_statistics, "What is learnt", schemas.FusionStatistics),
    _route(
        "POST",
        "/enable",
        enable,
        "Learn weights",
        schemas.FusionSettings,
        body=schemas.EnableFusion,
    ),
    _route("POST", "/disable", disable, "Stop learning", schemas.FusionSettings),
    _route(
        "POST",
        "/rollout",
        set_rollout,
        "Choose who gets learned weights",
        schemas.FusionSettings,
        body=schemas.FusionRollout,
    ),
    _route("GET", "/history", read_history, "Snapshots that are kept", schemas.FusionHistory),
    _route("GET", "/changes", read_changes, "Who changed what", schemas.FusionChanges),
    _route(
        "POST",
        "/rollback/{snapshot}",
        roll_back,
        "Serve an earlier snapshot",
        schemas.FusionSettings,
    ),
    _route("POST", "/resume", resume, "Serve what is learnt", schemas.FusionSettings),
    _route("POST", "/opt-out/{user_id}", opt_out, "Keep nothing of a user", schemas.OptedUser),
    _route("POST", "/opt-in/{user_id}", opt_in, "Learn of a user again", schemas.OptedUser),
    _route("DELETE", "/user/{user_id}", delete_user, "Delete a user", schemas.DeletedUser),
)
