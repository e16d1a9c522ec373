"""`rankloom report`: one HTML page about a log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import (
    Attribution,
    DropBots,
    Features,
    Grades,
    Impressions,
    Judgments,
    MappingFile,
    Threads,
    mapping_arguments,
    option,
    parse_grades,
)
from ..output import say, show_json
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened

Out = Annotated[
    Path | None,
    option(
        "--out",
        "HTML",
        "File to write; one that is there is replaced.",
        show_default="report.html, none with --json",
    ),
]
Sections = Annotated[
    list[str] | None,
    option(
        "--section",
        "NAME",
        "Only this section; may be repeated. A name that does not exist is answered by all names.",
        show_default="all",
    ),
]
By = Annotated[
    str | None,
    option(
        "--by",
        "COLUMN",
        "Column or metadata field by which the examination curve is split.",
        show_default="device, where it is logged",
    ),
]
Title = Annotated[str | None, option("--title", "TEXT", "Title of the page.")]
MaxRows = Annotated[int, option("--max-rows", "N", "Rows of a table.", show_default=True, min=1)]
User = Annotated[
    str | None,
    option("--user", "ID", "Also say what the log holds of this user; other ids are not shown."),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the same facts as one JSON document."),
]


def report(
    files: Files,
    *,
    out: Out = None,
    section: Sections = None,
    by: By = None,
    title: Title = None,
    max_rows: MaxRows = 10,
    user: User = None,
    features: Features = None,
    impressions: Impressions = None,
    judgments: Judgments = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    grade: Grades = None,
    threads: Threads = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Write one page about a log, with pictures, for people who would rather look than read.

    The page needs no other file and no network. A section that the log lacks fields for says
    which, and how to log them. Users' ids are not shown. Needs rankloom[report].

    **Example**: `rankloom report log.parquet --features features.parquet --out report.html`
    """
    from ...insights.report.build import build_report
    from ...insights.report.page import check_packages

    page = out or (None if json else Path("report.html"))
    if page is not None:
        check_packages()
    with opened(files, namespace) as source:
        made = build_report(
            source,
            features=features,
            impressions=impressions,
            judgments=judgments,
            attribution=attribution,
            **mapping_arguments(mapping),
            grades=parse_grades(grade),
            drop_bots=drop_bots,
            sections=section,
            by=by,
            title=title,
            n_jobs=threads,
            max_rows=max_rows,
            user=user,
        )
    if json:
        show_json(made.to_dict())
    if page is not None:
        made.save(page)
        say(f"report -> {page}")
