"""`rankloom insights documents`: documents that disappoint, stand too low, or are unknown."""

from __future__ import annotations

from typing import Annotated

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
from ..output import show, show_json
from ..sources import DEFAULT_NAMESPACE, Files, Namespace
from .reading import Confidence, FalseDiscoveries, LeastDifference, Limit, searches_of

MinExamined = Annotated[
    float,
    option(
        "--min-examined",
        "N",
        "Sum of examination below which a document has hardly been seen.",
        show_default=True,
    ),
]
NewDays = Annotated[
    float,
    option(
        "--new-days",
        "DAYS",
        "A document is new if it was first shown at most so long before the log's end.",
        show_default=True,
    ),
]


def documents(
    files: Files,
    *,
    min_examined: MinExamined = 10.0,
    new_days: NewDays = 14.0,
    least_difference: LeastDifference = 0.2,
    false_discoveries: FalseDiscoveries = 0.05,
    confidence: Confidence = 0.9,
    limit: Limit = 10,
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
    """Show documents that stand high and disappoint, or stand low and are wanted, by query.

    A document is compared with those above and below it in the same lists, by engagement over
    examination. Below: documents that are skipped, returned from or given negative feedback more
    often than others, and new ones without evidence. --json holds all documents with intervals.
    With --features the examination of positions is estimated better.

    **Example**: `rankloom insights documents 'logs/*.parquet' --limit 30`
    """
    from ...insights import document_insights

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
    found = document_insights(
        searches,
        min_examined=min_examined,
        new_days=new_days,
        least_difference=least_difference,
        false_discoveries=false_discoveries,
        confidence=confidence,
    )
    if json:
        show_json(found.to_dict())
    else:
        show([found.summary(limit)])
