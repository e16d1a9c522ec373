"""`rankloom export matrix`: interactions in, users x documents as a sparse matrix out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import (
    Attribution,
    DropBots,
    Grades,
    HalfLife,
    Impressions,
    Json,
    MappingFile,
    QuarantineFile,
    mapping_arguments,
    option,
    parse_grades,
)
from ..output import counted, say, show, show_json
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened

if TYPE_CHECKING:
    from ...retrieval import EngagementMatrix

Out = Annotated[Path, option("--out", "FILE", "File to write (.npz); an existing one is replaced.")]
Strength = Annotated[
    float,
    typer.Option("--prior-strength", help="Examined displays that a document's rate counts as."),
]


def matrix(
    files: Files,
    *,
    out: Out,
    impressions: Impressions = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    half_life: HalfLife = None,
    prior_strength: Strength = 10.0,
    drop_bots: DropBots = False,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Write how confident the log is that each user engages with each document.

    Values are corrected for position. `scipy.sparse.load_npz` reads the file, and
    `EngagementMatrix.load` the ids and the negatives too.

    **Example**: `rankloom export matrix log.parquet --out matrix.npz`
    """
    from ...retrieval import engagement_matrix

    with opened(files, namespace) as source:
        found = engagement_matrix(
            source,
            impressions=impressions,
            attribution=attribution,
            **mapping_arguments(mapping),
            half_life=half_life,
            prior_strength=prior_strength,
            drop_bots=drop_bots,
            grades=parse_grades(grade),
            quarantine=quarantine,
        )
    found.save(out)
    if json:
        counts = dict(zip(("users", "documents"), found.shape, strict=True))
        counts |= {"engaged": found.engagement.nnz, "negative": found.negatives.nnz}
        show_json({"path": str(out), **counts, "report": found.report.to_dict()})
        return
    show(_lines(found))
    say(f"{counted(found.shape[0], 'user')} x {counted(found.shape[1], 'document')} -> {out}")


def _lines(found: EngagementMatrix) -> list[str]:
    report = found.report
    empty = (
        f"{counted(report.users_without_engagement, 'user')}, "
        f"{counted(report.documents_without_engagement, 'document')}"
    )
    return [
        f"executions with a user: {report.executions:,}",
        f"executions without one, left out: {report.executions_without_user:,}",
        f"engaged: {found.engagement.nnz:,} entries; evidence against: {found.negatives.nnz:,}",
        f"without engagement: {empty}",
    ]
