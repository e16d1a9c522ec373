"""`rankloom export judgments`: interactions in, a judgement list in another tool's format out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ..options import (
    Attribution,
    DropBots,
    Features,
    Grades,
    HalfLife,
    Impressions,
    Json,
    Judgments,
    MappingFile,
    QuarantineFile,
    Threads,
    mapping_arguments,
    option,
    parse_grades,
)
from ..output import counted, say, show, show_json, table
from ..ranking.train import load_lines
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened

Out = Annotated[Path, option("--out", "FILE", "File to write.", show_default=True)]
Format = Annotated[
    str,
    option(
        "--format",
        "FORMAT",
        "trec (qrels), opensearch (imported judgments of the Search Relevance Workbench), quepid "
        "(CSV) or csv (everything known, with confidence and exposures).",
        show_default=True,
    ),
]
MaxGrade = Annotated[int, option("--max-grade", "N", "Highest grade.", show_default=True)]
MinConfidence = Annotated[
    float,
    option(
        "--min-confidence",
        "P",
        "Leave out grades that are right with a lower probability.",
        show_default=True,
    ),
]


def judgments(
    files: Files,
    *,
    out: Out,
    output_format: Format = "trec",
    features: Features = None,
    impressions: Impressions = None,
    judged: Judgments = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    half_life: HalfLife = None,
    grade: Grades = None,
    max_grade: MaxGrade = 3,
    min_confidence: MinConfidence = 0.0,
    quarantine: QuarantineFile = None,
    threads: Threads = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Grade the documents of logged queries by clicks, and by judgements where there are any.

    **Example**: `rankloom export judgments log.parquet --format quepid --out ratings.csv`
    """
    from ...datasets import load_pairs
    from ...ltr import Ranker, judgment_list
    from ...ltr.judgment_lists.formats import check_format

    check_format(output_format)  # before the log is read, which may take minutes
    with opened(files, namespace) as source:
        pairs = load_pairs(
            source,
            features=features,
            impressions=impressions,
            judgments=judged,
            attribution=attribution,
            **mapping_arguments(mapping),
            drop_bots=drop_bots,
            half_life=half_life,
            grades=parse_grades(grade),
            quarantine=quarantine,
        )
    found = judgment_list(pairs, max_grade=max_grade, ranker=Ranker(n_jobs=threads))
    written = found.write(out, output_format, min_confidence=min_confidence)  # type: ignore[arg-type]
    if json:
        show_json(
            {
                "path": str(out),
                "written": written,
                "coverage": found.coverage.to_dicts(),
                "left_out": found.left_out,
                "load": pairs.report.to_dict(),
            }
        )
        return
    rows = [[str(row[0]), *map(_short, row[1:])] for row in found.coverage.rows()]
    show([*load_lines(pairs), "", *table(found.coverage.columns, rows)])
    say(f"{counted(written, 'grade')} -> {out}")


def _short(value: float) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
