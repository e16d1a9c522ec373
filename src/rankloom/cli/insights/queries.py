"""`rankloom insights queries`: queries that fail, what people search next, and rewrites."""

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

Within = Annotated[
    float,
    option(
        "--within",
        "MINUTES",
        "Time in which a query has to follow another one to be its refinement.",
        show_default=True,
    ),
]
MinPersons = Annotated[
    int,
    option(
        "--min-persons",
        "N",
        "Persons who went from one query to the next, for the step to be listed.",
        show_default=True,
    ),
]


def queries(
    files: Files,
    *,
    within: Within = 10.0,
    min_persons: MinPersons = 3,
    least_difference: LeastDifference = 0.1,
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
    """Show which queries find nothing, are abandoned, or engage less than expected.

    Engagement is corrected for position, and compared with what the documents' --features promise;
    without them, with that of all queries. Below: steps from one query to the next that are
    more frequent than by chance, and candidates for rewrites and synonyms. --json holds all
    queries, clusters of queries that lead to the same documents, and steps, with intervals.

    **Example**: `rankloom insights queries log.parquet --features documents.parquet`
    """
    from ...insights import query_insights

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
    found = query_insights(
        searches,
        within_minutes=within,
        min_persons=min_persons,
        least_difference=least_difference,
        false_discoveries=false_discoveries,
        confidence=confidence,
    )
    if json:
        show_json(found.to_dict())
    else:
        show([found.summary(limit)])
