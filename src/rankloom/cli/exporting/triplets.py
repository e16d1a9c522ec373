"""`rankloom export triplets`: interactions and texts in, training data for embeddings out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from ..ranking.train import load_lines
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened

Out = Annotated[
    Path,
    option("--out", "FILE", "File to write, .parquet or .jsonl; one that is there is replaced."),
]
Documents = Annotated[
    Path,
    option("--documents", "FILE", "Table of texts: feature_id (or document_id, id) and text."),
]
Text = Annotated[
    list[str] | None,
    option(
        "--text",
        "COLUMN",
        "Column of the text; may be repeated, texts are joined by line ends.",
        show_default="text",
    ),
]
TestOut = Annotated[
    Path | None,
    option("--test-out", "FILE", "File for the test part: later searches for other queries."),
]
TestFraction = Annotated[
    float | None,
    option(
        "--test-fraction",
        "P",
        "Share of queries, and of time, that the test part gets and training leaves out.",
        show_default="0.2 with --test-out, else 0",
    ),
]
Layout = Annotated[
    str,
    option(
        "--layout",
        "NAME",
        "triplets (anchor, positive, negative), scored (with the difference in relevance) or "
        "labelled (anchor, document, label).",
        show_default=True,
    ),
]
Confidence = Annotated[
    float,
    option(
        "--confidence",
        "P",
        "Probability of the intervals of relevance, which must not overlap; a higher one gives "
        "fewer triplets, more of them true.",
        show_default=True,
    ),
]
PerQuery = Annotated[
    int, option("--max-per-query", "N", "Triplets of a query at most.", show_default=True)
]


def triplets(
    files: Files,
    *,
    documents: Documents,
    out: Out,
    test_out: TestOut = None,
    test_fraction: TestFraction = None,
    text: Text = None,
    layout: Layout = "triplets",
    confidence: Confidence = 0.6,
    max_per_query: PerQuery = 32,
    impressions: Impressions = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    half_life: HalfLife = None,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Write queries with a relevant document and one that was examined and passed over.

    The columns are those that the trainers of sentence-transformers take.

    **Example**: `rankloom export triplets log.parquet --documents texts.parquet --out train.jsonl`
    """
    from ...datasets import load_pairs
    from ...retrieval import training_triplets
    from ...retrieval.triplets.formats import check_format

    parts = {"train": out} if test_out is None else {"train": out, "test": test_out}
    for part, path in parts.items():  # before the log is read, which may take minutes
        check_format(path, part, layout)
    if test_fraction is None:
        test_fraction = 0.0 if test_out is None else 0.2
    with opened(files, namespace) as source:
        pairs = load_pairs(
            source,
            builtin_features=(),
            impressions=impressions,
            attribution=attribution,
            **mapping_arguments(mapping),
            drop_bots=drop_bots,
            half_life=half_life,
            grades=parse_grades(grade),
            quarantine=quarantine,
        )
    found = training_triplets(
        pairs,
        documents=documents,
        text=text or "text",
        confidence=confidence,
        max_per_query=max_per_query,
        test_fraction=test_fraction,
    )
    written = {
        part: found.write(path, part=part, layout=layout)  # type: ignore[arg-type]
        for part, path in parts.items()
    }
    if json:
        paths = {part: str(path) for part, path in parts.items()}
        report = {**found.report.to_dict(), "load": found.load.to_dict()}
        show_json({"paths": paths, "written": written, **report})
        return
    show([*load_lines(pairs), "", str(found)])
    for part, path in parts.items():
        say(f"{counted(written[part], 'row')} -> {path}")
