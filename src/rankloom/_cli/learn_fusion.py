"""`rankloom learn-fusion`: interactions in, evidence for fusion weights in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError, NoExposuresError
from .fusion_state import (
    DEFAULT,
    Namespace,
    Retriever,
    State,
    by_weight,
    stored_settings,
    unlogged,
)
from .options import Files, Impressions, Json
from .output import counted, say, show, show_json, table, tally

if TYPE_CHECKING:
    from pathlib import Path

    from ..bandit import FusionBandit, UpdateReport

Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        metavar="URI",
        help="A channel to weigh; may be repeated.",
        show_default="those that the state or the log names",
    ),
]
HalfLife = Annotated[
    float | None,
    typer.Option(
        "--half-life",
        metavar="DAYS",
        help="Age at which evidence weighs half.",
        show_default="the state's, else 138",
    ),
]
SegmentBy = Annotated[
    list[str] | None,
    typer.Option(
        "--segment-by",
        metavar="FIELD",
        help="Column or metadata field whose values get weights of their own; may be repeated.",
        show_default="the state's, else none",
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
    impressions: Impressions = None,
    json: Json = False,
) -> None:
    """Learn how much each retrieval channel should weigh in the fused ranking.

    Evidence is added to the state; learning the same interactions again changes nothing. Where
    the log holds the channels' scores as fused, weights are learnt from these, else from the
    feature_uri of each document.

    **Example**: `rankloom learn-fusion 'logs/*.parquet' --state sqlite:///fusion.db`
    """
    from ..bandit import FusionBandit

    settings = stored_settings(state, retriever, namespace) or {}
    known = tuple(settings.pop("feature_uris", ()))
    wanted = {"half_life": half_life, "segment_by": segment_by}
    settings |= {name: value for name, value in wanted.items() if value is not None}
    found = channel or ([] if known else _channels_of(files, retriever))
    arms = dict.fromkeys([*known, *found])
    bandit = FusionBandit.open(
        state, list(arms), namespace=namespace, retriever_id=retriever, **settings
    )
    with unlogged():
        report = bandit.update(files, impressions=impressions)
    if not report.rows_used and report.other_retriever:
        _refuse_retriever(files, retriever)
    _show(bandit, report, state, json=json)


def _show(bandit: FusionBandit, report: UpdateReport, state: str, *, json: bool) -> None:
    try:
        weights, why = bandit.mean(), None
    except NoExposuresError as error:
        weights, why = None, str(error)
    if json:
        show_json(_document(bandit, report, state, weights))
    else:
        show(_lines(report, weights))
        say(f"evidence -> {state}")
    if why is not None:
        say(f"note: {why}")


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
        "no time": report.without_time,
        "before what is closed already": report.before_compaction,
        "of another retriever": report.other_retriever,
        "about the list, not a document": report.list_level,
        **report.quarantine_reasons,
    }
    lines = [
        (
            f"{counted(report.rows, 'row')} read: {report.rows_used:,} used, "
            f"{counted(report.units_opened, 'new document')} of executions"
        ),
        *tally({reason: count for reason, count in reasons.items() if count}),
    ]
    nameless = report.without_feature_uri + report.unknown_feature_uri
    if nameless:
        lines.append(f"{counted(nameless, 'row')} used without a channel of this state")
    if weights is None:
        return lines
    return [*lines, "", *table(["channel", "weight"], by_weight(weights))]


def _channels_of(files: list[str] | list[Path], retriever: str) -> list[str]:
    """Return the channels that a log names, in order."""
    import msgspec

    from ..bandit._event import scores_of
    from ..datasets.scan import Scan

    scan = Scan(files, columns=["feature_uri", "retriever_id", "metadata"])
    found: set[str] = set()
    for batch in scan.batches():
        own = batch.filter(batch["retriever_id"].fill_null(retriever) == retriever)
        found.update(own["feature_uri"].drop_nulls().unique().to_list())
        for text in own["metadata"].drop_nulls().unique().to_list():
            if '"features"' in text:
                found.update(scores_of(msgspec.json.decode(text).get("features")) or ())
    if not found:
        _refuse_retriever(files, retriever)
        msg = "FILE: no row names a channel (feature_uri, or metadata.features); give --channel"
        raise InvalidInputError(msg)
    return sorted(found)


def _refuse_retriever(files: list[str] | list[Path], retriever: str) -> None:
    """Raise if all rows are of other retrievers."""
    from ..datasets.scan import Scan

    scan = Scan(files, columns=["retriever_id"])
    named: set[str | None] = set()
    for batch in scan.batches():
        named.update(batch["retriever_id"].unique().to_list())
    if named and not named & {None, retriever}:
        others = ", ".join(sorted(map(str, named))[:5])
        msg = f"--retriever: no row is of {retriever!r}; the log names {others}"
        raise InvalidInputError(msg)
