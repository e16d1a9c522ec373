"""`rankloom insights trends`: volume, users and outcomes over time, and when they changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
from .reading import Confidence, FalseDiscoveries, searches_of

if TYPE_CHECKING:
    from ...insights import Trends

_SHOWN = (
    "searches",
    "users",
    "engaged_searches",
    "corrected_engagements",
    "abandonment",
    "zero_results",
)

Every = Annotated[
    str,
    option("--every", "TIME", "Length of a period, such as 12h, 1d or 1w.", show_default=True),
]


def trends(
    files: Files,
    *,
    every: Every = "1d",
    false_discoveries: FalseDiscoveries = 0.05,
    confidence: Confidence = 0.95,
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
    """Show how volume, users, engagement and position bias developed, and when they changed.

    The table shows the main series, --json all of them with intervals, and the curve over time. The
    rhythm of the week is no change; a first or last period that the log does not cover is
    marked and not tested.

    **Example**: `rankloom insights trends 'logs/*.parquet' --every 1w`
    """
    from ...insights import trends as trends_of

    searches = searches_of(
        files,
        namespace,
        mapping=mapping,
        grade=grade,
        features=features,
        impressions=impressions,
        attribution=attribution,
        drop_bots=drop_bots,
        quarantine=quarantine,
    )
    found = trends_of(searches, every=every, level=false_discoveries, confidence=confidence)
    if json:
        show_json(found.to_dict())
    else:
        show([str(found.report), "", *_series(found), "", repr(found)])


def _series(found: Trends) -> list[str]:
    present = found.series["series"].unique().to_list()
    names = [name for name in _SHOWN if name in present]
    wide = found.series.pivot("series", index=["period", "complete"], values="value")
    rows = [
        [f"{row['period']:%Y-%m-%d %H:%M}{'' if row['complete'] else ' (incomplete)'}"]
        + [f"{row[name]:.4g}" for name in names]
        for row in wide.to_dicts()
    ]
    return table(["period", *names], rows)
