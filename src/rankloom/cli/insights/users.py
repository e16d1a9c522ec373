"""`rankloom insights users`: what a log holds of one user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ..options import (
    Grades,
    Impressions,
    Json,
    MappingFile,
    mapping_arguments,
    option,
    parse_grades,
)
from ..output import show, show_json, table
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened

if TYPE_CHECKING:
    import polars as pl

    from ...insights import UserMetrics

User = Annotated[str, option("--user", "ID", "user_id of the user.")]
Limit = Annotated[
    int,
    option("--limit", "N", "Rows to show of each table; --json has all.", show_default=True, min=0),
]


def users(
    files: Files,
    *,
    user: User,
    limit: Limit = 10,
    impressions: Impressions = None,
    mapping: MappingFile = None,
    grade: Grades = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Show what a log holds of one user, as a request for information or support needs it.

    Every row of the user is counted, also repeated ones and those that break a rule.

    **Example**: `rankloom insights users 'logs/*.parquet' --user u-17 --json > u-17.json`
    """
    from ...insights import user_metrics

    with opened(files, namespace) as source:
        found = user_metrics(
            source,
            user,
            impressions=impressions,
            grades=parse_grades(grade),
            **mapping_arguments(mapping),
        )
    if json:
        show_json(found.to_dict())
    else:
        show(_lines(found, limit))


def _lines(found: UserMetrics, limit: int) -> list[str]:
    lines = [repr(found)]
    for title in ("types", "days", "queries", "documents", "retrievers"):
        frame: pl.DataFrame = getattr(found, title)
        if frame.is_empty():
            continue
        shown = frame.head(limit)
        rows = [[_cell(value) for value in row] for row in shown.iter_rows()]
        rest = f" ({len(shown):,} of {len(frame):,})" if len(shown) < len(frame) else ""
        lines += ["", f"{title}{rest}", *table(frame.columns, rows)]
    return lines


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)[:60]
