"""`rankloom learn-fusion`: interactions in, evidence for fusion weights in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from ...errors import InvalidInputError, NoExposuresError
from ..dask_options import Dask, Workdir, dask_client
from ..options import Impressions, Json, MappingFile, mapping_arguments, option
from ..output import counted, say, show, show_json, table, tally
from ..sources import Files, opened
from .state_options import (
    DEFAULT,
    Namespace,
    Retriever,
    State,
    by_weight,
    stored_settings,
    unlogged,
    warnings_as_notes,
)

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import Client

    from ...bandit import FusionBandit, UpdateReport

Channels = Annotated[
    list[str] | None,
    option(
        "--channel",
        "URI",
        "A channel (feature_uri) to learn a weight for; may be repeated.",
        show_default="those named in the state, else in the log",
    ),
]
HalfLife = Annotated[
    float | None,
    option(
        "--half-life",
        "DAYS",
        "Age at which the weight of evidence is halved.",
        show_default="the state's, else 138",
    ),
]
SegmentBy = Annotated[
    list[str] | None,
    option(
        "--segment-by",
        "FIELD",
        "Column or metadata field whose values get weights of their own; may be repeated.",
        show_default="the state's, else none",
    ),
]

MaxQueries = Annotated[
    int | None,
    option(
        "--max-queries",
        "N",
        "Most queries that get weights of their own, those with the newest evidence.",
        show_default="the state's, else 0",
        min=0,
    ),
]


def learn_fusion(
    files: Files,
    *,
    state: State,
    retriever: Retriever = DEFAULT,
    namespace: Namespace = DEFAULT,
    channel: Channels = None,
    half_life: HalfLife = None,
    segment_by: SegmentBy = None,
    max_queries: MaxQueries = None,
    impressions: Impressions = None,
    mapping: MappingFile = None,
    dask: Dask = None,
    workdir: Workdir = None,
    json: Json = False,
) -> None:
    """Learn the weight of each retrieval channel in the fused ranking.

    Evidence is added to the state; learning the same interactions again changes nothing. The
    weights are learnt from the channels' scores as fused where the log holds them, else from
    the feature_uri of each document.

    **Example**: `rankloom learn-fusion 'logs/*.parquet' --state sqlite:///fusion.db`
    """
    from ...bandit import FusionBandit
    from ...bandit.store.opening import public_url

    settings = stored_settings(state, retriever, namespace) or {}
    stored = tuple(settings.pop("feature_uris", ()))
    options = {"half_life": half_life, "segment_by": segment_by}
    settings |= {name: value for name, value in options.items() if value is not None}
    arguments = mapping_arguments(mapping)
    with dask_client(dask, files, workdir) as client, opened(files, namespace) as source:
        added = channel or ([] if stored else _channels_of(source, retriever, arguments, client))
        arms = dict.fromkeys([*stored, *added])
        bandit = FusionBandit.open(
            state,
            list(arms),
            namespace=namespace,
            retriever_id=retriever,
            max_queries=max_queries,
            **settings,
        )
        with unlogged():
            report = _learn(
                bandit, source, client, workdir, {"impressions": impressions, **arguments}
            )
        if not report.rows_used and report.other_retriever:
            _refuse_retriever(source, retriever, arguments)
    _show(bandit, report, public_url(state), json=json)


def _learn(
    bandit: FusionBandit,
    source: Any,
    client: Client | None,
    workdir: Path | None,
    arguments: dict[str, Any],
) -> UpdateReport:
    """Learn the interactions, on the workers of a cluster if any."""
    if client is None:
        return bandit.update(source, **arguments)
    from ...bandit.distributed import learn

    return learn(bandit, source, client=client, workdir=workdir, **arguments)


def _show(bandit: FusionBandit, report: UpdateReport, state: str, *, json: bool) -> None:
    weights: dict[str, float] | None = None
    reason: str | None = "no exposures yet: weights are equal until a channel's are logged"
    try:
        with warnings_as_notes():
            if bandit.snapshot().posterior.has_evidence:
                weights, reason = bandit.mean(), None
    except NoExposuresError as error:
        reason = str(error)
    if json:
        show_json(_document(bandit, report, state, weights))
    else:
        show(_lines(report, weights))
        say(f"evidence -> {state}")
    for note in report.notes if reason is None else [*report.notes, reason]:
        say(f"note: {note}")


def _document(
    bandit: FusionBandit, report: UpdateReport, state: str, weights: dict[str, float] | None
) -> dict[str, Any]:
    return {
        "state": state,
        "retriever": bandit.retriever_id,
        "weights": weights,
        "snapshot_id": None if weights is None else bandit.snapshot().snapshot_id,
        "update": {**vars(report), "rows_used": report.rows_used},
    }


def _lines(report: UpdateReport, weights: dict[str, float] | None) -> list[str]:
    reasons = {
        "no execution_id, and no session_id with a query": report.without_execution,
        "no time of the event": report.without_time,
        "before the compaction cut-off": report.before_compaction,
        "of another retriever": report.other_retriever,
        "about the list, not a document": report.list_level,
        "dated in the future, counted as of now": report.future_times,
        "without a position, placed by their execution": report.rows_placed,
        **report.quarantine_reasons,
    }
    lines = [
        (
            f"{counted(report.rows, 'row')} read: {report.rows_used:,} used, "
            f"{counted(report.units_opened, 'new document')} of executions"
        ),
        *tally({reason: count for reason, count in reasons.items() if count}),
    ]
    without_channel = report.without_feature_uri + report.unknown_feature_uri
    if without_channel:
        lines.append(f"{counted(without_channel, 'row')} used without a channel of this state")
    if weights is None:
        return lines
    return [*lines, "", *table(["channel", "weight"], by_weight(weights))]


def _channels_of(
    source: Any, retriever: str, arguments: dict[str, Any], client: Client | None
) -> list[str]:
    """Return the channels that a log names, in order."""
    from ...datasets.record.mapping import InputMapping

    mapping = InputMapping(**arguments)
    if client is None:
        from ...bandit.interactions.log_channels import channels_of

        channels = sorted(channels_of(source, retriever, mapping))
    else:
        from ...bandit.distributed import find_channels

        channels = find_channels(source, retriever, client=client, mapping=mapping)
    if not channels:
        _refuse_retriever(source, retriever, arguments)
        msg = "FILE: no row names a channel (feature_uri, or metadata.features); give --channel"
        raise InvalidInputError(msg)
    return channels


def _refuse_retriever(source: Any, retriever: str, arguments: dict[str, Any]) -> None:
    """Raise if all rows are of other retrievers."""
    from ...datasets.reading.scan import Scan
    from ...datasets.record.mapping import InputMapping

    scan = Scan(source, columns=["retriever_id"], mapping=InputMapping(**arguments))
    named: set[str | None] = set()
    for batch in scan.batches():
        named.update(batch["retriever_id"].unique().to_list())
    if named and not named & {None, retriever}:
        others = ", ".join(sorted(map(str, named))[:5])
        msg = f"--retriever: no row is of {retriever!r}; the log names {others}"
        raise InvalidInputError(msg)
