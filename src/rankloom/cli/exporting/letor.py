"""`rankloom export letor`: interactions in, SVMlight lines with query ids out."""

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

Out = Annotated[Path, option("--out", "FILE", "File to write; one that is there is replaced.")]
Documents = Annotated[
    bool,
    typer.Option(
        "--documents",
        help="End each line in `#docid = ID`; XGBoost misreads these after a missing value.",
    ),
]


def letor(
    files: Files,
    *,
    out: Out,
    documents: Documents = False,
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
    """Write a line `grade qid:N 1:value 2:value ...` for each document of each execution.

    The grades are those of the clicks, biased by position; nothing is corrected here.

    **Example**: `rankloom export letor log.parquet --features features.parquet --out train.svm`
    """
    from ...datasets import load_pairs

    with opened(files, namespace) as source:
        pairs = load_pairs(
            source,
            features=features,
            impressions=impressions,
            attribution=attribution,
            **mapping_arguments(mapping),
            drop_bots=drop_bots,
            grades=parse_grades(grade),
            quarantine=quarantine,
        )
    pairs.to_svmlight(out, documents=documents)
    names = dict(enumerate(pairs.feature_names, start=1))
    if json:
        counts = {"lines": len(pairs), "executions": pairs.n_executions}
        show_json({"path": str(out), **counts, "features": names, "load": pairs.report.to_dict()})
        return
    lines = [f"  {number}: {name}" for number, name in names.items()] or ["  none"]
    show([*load_lines(pairs), "", "features by number:", *lines])
    say(f"{counted(len(pairs), 'line')} of {counted(pairs.n_executions, 'execution')} -> {out}")
