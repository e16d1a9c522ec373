"""Bodies and answers of every route, as types: what is decoded, checked and documented."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads annotations at run time
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from ...datasets.record.interaction import (
    MAX_ID_CHARACTERS,
    MAX_INT32,
    MAX_TYPES,
    InteractionType,
)
from ..learning.changes import Change  # noqa: TC001 - msgspec reads annotations at run time
from ..learning.settings_table import MIN_LISTS

MOST_CHANNELS: Final = 200
"""Most feature_uris of one retriever."""

MOST_SEGMENT_FIELDS: Final = 4
"""Most fields whose values make a segment."""

MOST_DOCUMENTS: Final = 1_000
"""Most documents of one request for a ranking."""

MOST_LISTS: Final = 100
"""Most lists of one batch of rankings."""

MOST_CONTRIBUTIONS: Final = 100
"""Most contributions of one document."""

MOST_INTERACTIONS: Final = 1_000
"""Most interactions of one batch."""

Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
Reference = Annotated[str, Meta(max_length=MAX_ID_CHARACTERS)] | int | None
QueryText = Annotated[str, Meta(min_length=1, max_length=8_192)]
Percentage = Annotated[float, Meta(ge=0.0, le=100.0)]
Weight = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
SegmentField = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^:\x00-\x1f]+$")]
SegmentValue = Annotated[
    str, Meta(pattern=r"^[^:]+:", max_length=MAX_ID_CHARACTERS, examples=["device:mobile"])
]
FeatureUri = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_ID_CHARACTERS,
        pattern=r"^[^\x00-\x1f]+$",
        examples=["mixpeek://text_extractor@v1/embedding"],
    ),
]
_CHANNELS = ["mixpeek://text_extractor@v1/embedding", "mixpeek://image_extractor@v1/embedding"]
_UNIQUE = {"uniqueItems": True}


class ErrorDetail(Struct):
    """What went wrong."""

    message: str
    type: Annotated[str, Meta(description="Stable name of the kind of error")]
    details: Annotated[
        dict[str, Any] | None,
        Meta(description="For 422: `errors`, a list of `field` and `reason`"),
    ] = None


class ErrorEnvelope(Struct):
    """Every refusal and error."""

    status: Annotated[int, Meta(ge=400, le=599)]
    error: ErrorDetail
    success: Literal[False] = False


class NewInteraction(Struct, kw_only=True):
    """One interaction of a user with a document in a result list.

    `document_id` is another name of `feature_id`. Fields beyond these are left out, and named in
    the answer's `warning`.
    """

    feature_id: Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS)] | int
    interaction_type: (
        Annotated[list[InteractionType], Meta(min_length=1, examples=[["click", "long_view"]])]
        | InteractionType
    )
    position: Annotated[int, Meta(ge=0, le=MAX_INT32, description="0-based")]
    metadata: dict[str, Any] | None = None
    user_id: Reference = None
    session_id: Reference = None
    execution_id: Reference = None
    retriever_id: Reference = None
    query_snapshot: Annotated[Any, Meta(description="The query, as JSON or text")] = None
    document_score: float | None = None
    result_set_size: (
        Annotated[int, Meta(ge=0, le=MAX_INT32, description="0 only with zero_results")] | None
    ) = None
    feature_uri: Reference = None
    occurred_at: Annotated[
        dt.datetime | None, Meta(description="When it happened; makes it a backfill")
    ] = None
    timestamp: Annotated[
        Any,
        Meta(
            description="Taken as occurred_at where that is absent; the answer's `warning` says so "
            "if it is left out: it is no time, or occurred_at is another"
        ),
    ] = None
    interaction_id: Annotated[
        Reference, Meta(description="A repeat of it answers the stored record")
    ] = None


class InteractionResponse(Struct, kw_only=True):
    """A stored interaction; every field is present."""

    feature_id: str
    interaction_type: Annotated[list[str], Meta(min_length=1, max_length=MAX_TYPES)]
    position: Annotated[int, Meta(ge=0, le=MAX_INT32)]
    metadata: dict[str, Any] | None
    user_id: str | None
    session_id: str | None
    execution_id: str | None
    retriever_id: str | None
    query_snapshot: Any
    document_score: float | None
    result_set_size: Annotated[int, Meta(ge=0, le=MAX_INT32)] | None
    feature_uri: str | None
    occurred_at: dt.datetime | None
    interaction_id: Annotated[str | None, Meta(description="Null for a duplicate")]
    deduplicated: bool
    timestamp: Annotated[dt.datetime | None, Meta(description="When it was recorded")]
    warning: str | None


class InteractionBatch(Struct, kw_only=True):
    """Interactions to record as a backfill: no session's weights move.

    Rows that break a rule fail alone: the answer has status 200 and says which and why.
    """

    interactions: Annotated[list[NewInteraction], Meta(min_length=1, max_length=MOST_INTERACTIONS)]


class BatchResult(Struct, kw_only=True):
    """What became of one row of a batch."""

    index: Count
    interaction_id: Annotated[
        str, Meta(description="Empty where failed; that of the stored row for a duplicate")
    ]
    status: Literal["created", "deduplicated", "existing", "failed"]


class BatchResponse(Struct, kw_only=True):
    """What became of a batch; bad rows fail alone."""

    created: Count
    deduplicated: Count
    existing: Count
    failed: Count
    errors: Annotated[list[str] | None, Meta(description="One message a failed row, or null")]
    results: list[BatchResult]


class DeletedInteraction(Struct, kw_only=True):
    """The interaction is not there (any more)."""

    interaction_id: str
    deleted: Annotated[bool, Meta(description="Whether it was there")]
    success: Literal[True] = True


class EnableFusion(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which channels to learn weights for, and how."""

    feature_uris: Annotated[
        list[FeatureUri],
        Meta(
            min_length=1,
            max_length=MOST_CHANNELS,
            extra_json_schema=_UNIQUE,
            examples=[_CHANNELS],
        ),
    ]
    segment_by: Annotated[
        list[SegmentField],
        Meta(
            max_length=MOST_SEGMENT_FIELDS,
            extra_json_schema=_UNIQUE,
            description="Fields of `metadata` whose values make a segment",
            examples=[["device"]],
        ),
    ] = []
    posterior: Annotated[
        Literal["auto", "beta", "linear"],
        Meta(description="auto: linear as soon as channels' scores are logged"),
    ] = "auto"
    max_queries: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Most queries with weights of their own, those with the newest evidence",
        ),
    ] = 0
    rewards: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=100)], float],
        Meta(description="Type -> reward, over those of the service; others are learnt anew"),
    ] = {}
    floor: Annotated[Weight | None, Meta(description="Smallest weight of a channel")] = None
    cap: Annotated[Weight | None, Meta(description="Largest weight of a channel")] = None
    min_lists: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="Lists to learn before learned weights are served; equal ones until then",
        ),
    ] = MIN_LISTS
    relearn: Annotated[
        bool,
        Meta(description="Clear what was learnt, of whatever log, and learn this log anew"),
    ] = False


class FusionRollout(Struct, kw_only=True, forbid_unknown_fields=True):
    """Who gets learned weights; what is not given stays as it is."""

    rollout_pct: (
        Annotated[Percentage, Meta(description="Per cent of users who take part")] | None
    ) = None
    shadow_mode: bool | None = None
    control_pct: (
        Annotated[Percentage, Meta(description="Per cent of these with equal weights")] | None
    ) = None
    explore_pct: (
        Annotated[Percentage, Meta(description="Per cent of these with random weights")] | None
    ) = None


class FusionSettings(Struct, kw_only=True):
    """How a retriever learns."""

    retriever_id: str
    enabled: bool
    feature_uris: list[str]
    segment_by: list[str]
    posterior: str
    max_queries: Count
    rewards: Annotated[dict[str, float], Meta(description="Over the built-in ones")]
    floor: Weight | None
    cap: Weight | None
    min_lists: Count
    rollout_pct: Percentage
    shadow_mode: bool
    control_pct: Percentage
    explore_pct: Percentage
    rolled_back_to: Annotated[
        str | None, Meta(description="The snapshot that is served whatever is learnt, if any")
    ]


class SnapshotWeight(Struct, kw_only=True):
    """A channel's weight in a snapshot, for everybody."""

    mean: Annotated[Weight, Meta(description="At the posterior mean")]
    low: Annotated[Weight, Meta(description="90 % of what is sampled lies above, to `high`")]
    high: Weight


class Snapshot(Struct, kw_only=True):
    """A snapshot that is kept, and can be rolled back to."""

    snapshot_id: str
    time: Annotated[dt.datetime | None, Meta(description="When it was first published")]
    author: Annotated[
        str | None, Meta(description="learner, or the name of the token that a change came with")
    ]
    weights: dict[str, SnapshotWeight]


class FusionHistory(Struct, kw_only=True):
    """The snapshots that are kept, the one that was published last first.

    The newest 20 are, and the last one of each of the newest 24 hours and 30 days with any.
    """

    retriever_id: str
    snapshots: list[Snapshot]
    dropped: Annotated[int, Meta(ge=0, description="Snapshots that are not kept any more")]
    rolled_back_to: Annotated[str | None, Meta(description="Served whatever is learnt, if any")]


class FusionChanges(Struct, kw_only=True):
    """Who changed what, the newest change first; the newest 500 of each action are kept."""

    retriever_id: str
    changes: list[Change]
    dropped: Annotated[int, Meta(ge=0, description="Changes that are not kept any more")]


class FusionWeightsResponse(Struct, kw_only=True):
    """Weights of a retriever's channels; they sum to 1."""

    retriever_id: str
    user_id: str | None
    enabled: bool
    weights: dict[str, Weight]
    policy: Annotated[
        str,
        Meta(description="mean, learned, production, control, explore, shadow or fallback"),
    ]
    propensity: Annotated[float, Meta(ge=0.0, le=1.0, description="Share of users with it")]
    snapshot_id: Annotated[
        str | None,
        Meta(description="The posterior behind the weights; the one before where it is held over"),
    ]
    metadata: Annotated[
        dict[str, Any],
        Meta(description="Merge it into the `metadata` of the interactions that follow"),
    ]
    fallback: Annotated[
        str | None,
        Meta(
            description="Why these are not learnt from the whole log, else null. Equal weights: "
            "nothing is learnt yet, or it is disabled. Previous weights of `snapshot_id`: the log "
            "is not learnt to its end yet, after a start or a change of channels or segments; or "
            "it was rolled back to"
        ),
    ]


class ChannelStatistics(Struct, kw_only=True):
    """What is known of one channel over all users."""

    feature_uri: str
    exposures: Annotated[float, Meta(ge=0.0, description="Decayed, discounted by position")]
    successes: Annotated[float, Meta(ge=0.0)]
    failures: Annotated[float, Meta(ge=0.0)]
    effective_n: Annotated[float, Meta(ge=0.0)]
    weight: Annotated[Weight | None, Meta(description="At the posterior mean; null if unknown")]


class FusionStatistics(Struct, kw_only=True):
    """What a retriever has learnt, and how far its log is followed."""

    settings: FusionSettings
    channels: list[ChannelStatistics]
    open_units: Count
    closed_units: Count
    users: Count
    queries: Annotated[int, Meta(ge=0, description="Queries with weights of their own")]
    lag: Annotated[
        int, Meta(ge=0, description="At most so many rows of the log are not learnt yet")
    ]
    left_out: Annotated[dict[str, int], Meta(description="Reason -> rows that are not learnt")]
    snapshot_id: Annotated[str | None, Meta(description="The posterior that is served")]


class OptedUser(Struct, kw_only=True):
    """Whether a user has weights of their own."""

    retriever_id: str
    user_id: str
    opted_out: bool


class DeletedUser(Struct, kw_only=True):
    """What was deleted of a user; doing so again deletes 0."""

    retriever_id: str
    user_id: str
    interactions_deleted: Count
    units_reset: Annotated[int, Meta(ge=0, description="Documents of executions forgotten")]
    success: Literal[True] = True


class RankedList(Struct, kw_only=True, forbid_unknown_fields=True):
    """Documents to rank.

    A document holds `feature_id`, `document_score`, `feature_uri` and `features` (name to number,
    text or null), as far as there are; whatever else it holds is passed on. A feature that is
    absent counts as missing.
    """

    documents: Annotated[
        list[dict[str, Any]],
        Meta(
            max_length=MOST_DOCUMENTS,
            examples=[[{"feature_id": "prod_123", "features": {"price": 9.5}}]],
        ),
    ]
    execution: Annotated[
        dict[str, Any],
        Meta(
            description="Fields that every document has unless it says otherwise",
            examples=[{"execution_id": "exec_abc123xyz", "result_set_size": 10}],
        ),
    ] = {}
    query: Annotated[
        str | dict[str, Any] | None,
        Meta(
            description="Query snapshot of all documents: a ranker that was saved with a memory of "
            "queries mixes what it knows of this query into the score",
            examples=[{"query": "red shoes"}],
        ),
    ] = None


RankerName = Annotated[str, Meta(min_length=1, max_length=128, examples=["products"])]
Contributions = Annotated[
    int,
    Meta(
        ge=0,
        le=MOST_CONTRIBUTIONS,
        description="Each document gets so many of its features' contributions to the ranker's "
        "score, the largest, with `(other features)` and `(expected score)`: they add up to that "
        "score, which a memory of the query may have changed afterwards",
    ),
]


class RerankRequest(RankedList, kw_only=True, forbid_unknown_fields=True):
    """Documents to rank, and by which ranker."""

    ranker: RankerName
    contributions: Contributions = 0


class RerankBatch(Struct, kw_only=True, forbid_unknown_fields=True):
    """Lists to rank, each by itself; one with a fault fails alone."""

    ranker: RankerName
    requests: Annotated[list[RankedList], Meta(min_length=1, max_length=MOST_LISTS)]
    contributions: Contributions = 0


class RerankResponse(Struct, kw_only=True, omit_defaults=True):
    """The documents as given, best first within each execution, with `score` and `position`."""

    ranker: str
    documents: list[dict[str, Any]]
    warning: Annotated[
        str | None, Meta(description="Features that the ranker does not know, if there are any")
    ] = None


class RerankFailure(Struct, kw_only=True):
    """Why a list of a batch was not ranked."""

    field: str
    reason: str


class RerankedList(Struct, kw_only=True, omit_defaults=True):
    """One list of a batch as ranked, or why it was not."""

    documents: list[dict[str, Any]] | None = None
    warning: str | None = None
    error: RerankFailure | None = None


class RerankBatchResponse(Struct, kw_only=True):
    """What became of the lists, in the order given."""

    ranker: str
    results: list[RerankedList]
