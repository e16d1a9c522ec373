"""`rankloom insights retrievers`: retrievers, or versions of them, compared by what users did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from ..options import (
    Attribution,
    DropBots,
    Features,
    Grades,
    Impressions,
    Json,
    MappingFile,
    QuarantineFile,
    option,
)
from ..output import show, show_json, table
from ..sources import DEFAULT_NAMESPACE, Files, Namespace
from .reading import Confidence, searches_of

if TYPE_CHECKING:
    import polars as pl

    from ...insights import RetrieverComparison

By = Annotated[
    str,
    option(
        "--by",
        "FIELD",
        "What is compared: retriever_id, or a column or metadata field such as pipeline_version.",
        show_default=True,
    ),
]
Baseline = Annotated[
    str | None,
    option(
        "--baseline",
        "NAME",
        "What the others are compared with.",
        show_default="the one with the most searches",
    ),
]
Team = Annotated[
    str | None,
    option(
        "--team",
        "FIELD",
        "Column or metadata field of each row that names the retriever of the document, in lists "
        "that interleave several (team draft).",
    ),
]
Latency = Annotated[
    str | None,
    option("--latency", "FIELD", "Column or metadata field with the latency of the search."),
]
Balance = Annotated[
    list[str] | None,
    option(
        "--balance",
        "FIELD",
        "Column or metadata field, such as device, whose mix should not differ; may be repeated.",
    ),
]
Every = Annotated[
    str | None,
    option(
        "--every",
        "TIME",
        "Length of the periods over time, such as 1d or 1w.",
        show_default="1d, or 1w for more than 60 days",
    ),
]
ExpectedEffect = Annotated[
    float,
    option(
        "--expected-effect",
        "SHARE",
        "Usual size of a difference, relative to the baseline; chosen before looking.",
        show_default=True,
    ),
]
Adjust = Annotated[
    str,
    option(
        "--adjust",
        "METHOD",
        "How p-values are adjusted for the number of retrievers: holm, fdr or none.",
        show_default=True,
    ),
]


def retrievers(
    files: Files,
    *,
    by: By = "retriever_id",
    baseline: Baseline = None,
    team: Team = None,
    latency: Latency = None,
    balance: Balance = None,
    every: Every = None,
    confidence: Confidence = 0.95,
    expected_effect: ExpectedEffect = 0.1,
    adjust: Adjust = "holm",
    features: Features = None,
    impressions: Impressions = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Compare retrievers by engagement, abandonment, zero results and latency.

    Intervals allow for users who search several times. The verdict is safe to look at every day.
    Where retrievers did not serve the same queries, days or hours, a warning says so and the
    comparison is made at the same mix.

    **Example**: `rankloom insights retrievers log.parquet --by pipeline_version --baseline v1`

    **Example**: `rankloom insights retrievers log.parquet --team team --latency latency_ms`
    """
    from ...insights import compare_retrievers

    fields = [
        name for name in (by, latency, *(balance or ())) if name not in {None, "retriever_id"}
    ]
    searches = searches_of(
        files,
        namespace,
        mapping=mapping,
        grade=grade,
        context=[str(name) for name in fields],
        display_context=[] if team is None else [team],
        features=features,
        impressions=impressions,
        attribution=attribution,
        drop_bots=drop_bots,
        quarantine=quarantine,
    )
    found = compare_retrievers(
        searches,
        by=by,
        baseline=baseline,
        team_field=team,
        latency_field=latency,
        balance=balance or (),
        every=every,
        confidence=confidence,
        expected_effect=expected_effect,
        adjust=adjust,  # type: ignore[arg-type]
    )
    if json:
        show_json(found.to_dict())
    else:
        show(_lines(found))


def _lines(found: RetrieverComparison) -> list[str]:
    lines = [str(found.report), ""]
    if len(found.retrievers):
        lines += [*_retrievers(found.retrievers), "", *_metrics(found.metrics)]
    if len(found.differences):
        lines += ["", f"differences to {found.baseline}, intervals by {found.clustered_by}"]
        lines += _differences(found.differences)
    if found.interleaving is not None:
        lines += ["", repr(found.interleaving)]
    lines += ["", *(f"warning: {text}" for text in found.warnings)] if found.warnings else []
    return [*lines, *(f"note: {text}" for text in found.notes)]


def _retrievers(frame: pl.DataFrame) -> list[str]:
    rows = [
        [
            row["retriever"],
            f"{row['searches']:,}",
            "-" if row["users"] is None else f"{row['users']:,}",
            *(f"{row[end]:%Y-%m-%d}" if row[end] else "-" for end in ("first", "last")),
        ]
        for row in frame.to_dicts()
    ]
    return table(["retriever", "searches", "users", "first", "last"], rows)


def _metrics(frame: pl.DataFrame) -> list[str]:
    names = frame["retriever"].unique(maintain_order=True).to_list()
    values = {(row["retriever"], row["metric"]): row for row in frame.to_dicts()}
    rows = [
        [metric, *(_interval(values[name, metric]) for name in names)]
        for metric in frame["metric"].unique(maintain_order=True).to_list()
    ]
    return table(["metric", *names], rows)


def _interval(row: dict[str, Any]) -> str:
    return f"{row['value']:.4g} [{row['lower']:.4g}, {row['upper']:.4g}]"


def _differences(frame: pl.DataFrame) -> list[str]:
    rows = [
        [
            row["retriever"],
            row["metric"],
            row["adjusted_for"] or "-",
            f"{row['share_of_searches']:.0%}",
            f"{row['difference']:+.4g}",
            f"[{row['lower']:+.4g}, {row['upper']:+.4g}]",
            f"{row['relative']:+.1%}",
            f"{row['p_adjusted']:.2g}",
            f"{row['p_sequential_adjusted']:.2g}",
            row["verdict"],
        ]
        for row in frame.to_dicts()
    ]
    headings = ["retriever", "metric", "same mix of", "searches", "difference", "interval"]
    return table([*headings, "relative", "p", "p at any time", "verdict"], rows, left=3)
