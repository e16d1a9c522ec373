"""`rankloom compare`: the gate between a candidate and the ranking that it would replace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from ..output import show, show_json
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened
from .train import load_lines

if TYPE_CHECKING:
    from ...datasets import TrainingPairs

Candidate = Annotated[
    Path,
    typer.Argument(metavar="CANDIDATE", help="Folder of the ranker to judge."),
]
Baseline = Annotated[
    str,
    typer.Argument(
        metavar="BASELINE",
        help="Folder of the ranker to beat, or `production` for the order that was shown.",
    ),
]
Metrics = Annotated[
    list[str] | None,
    option(
        "--metric",
        "M@K",
        "dcg, precision or clicks with a cut-off; may be repeated. The first must "
        "improve, the others must not get worse.",
        show_default="dcg@10, dcg@5, clicks@10",
    ),
]
Later = Annotated[
    bool,
    typer.Option("--later", help="Leave out executions up to the end of CANDIDATE's training."),
]

CLUSTERS = ("user_id", "session_id")


def compare(
    candidate: Candidate,
    baseline: Baseline,
    files: Files,
    *,
    metric: Metrics = None,
    later: Later = False,
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
    """Pass a candidate only if later interactions show that it is better.

    Ends with 0 if the gate passes: the one-sided 95 % bound of the first metric's gain lies above
    0, and that of every other metric's relative gain above -1 %. Ends with 1 if it does not, and
    says why; on a log of one deterministic ranker no candidate passes unless the features identify
    the examination curve. Interactions from the candidate's training period are refused, or left
    out with --later.

    **Example**: `rankloom compare model production 'later/*.parquet' --features features.parquet`
    """
    from ...ltr import Ranker
    from ...ltr import compare as judge
    from ...ltr.evaluation.gate import executions_after_training

    ranker = Ranker.load(candidate)
    other = baseline if baseline == "production" else Ranker.load(baseline)
    pairs = load_with_clusters(
        files,
        namespace,
        features=features,
        impressions=impressions,
        attribution=attribution,
        **mapping_arguments(mapping),
        drop_bots=drop_bots,
        grades=parse_grades(grade),
        quarantine=quarantine,
    )
    if later:
        pairs = executions_after_training(ranker, pairs)
    gate = judge(ranker, other, pairs, metrics=metric)
    if json:
        show_json({**gate.to_dict(), "load": pairs.report.to_dict()})
    else:
        show([*load_lines(pairs), "", str(gate)])
    if not gate.passed:
        raise typer.Exit(1)


def load_with_clusters(files: list[str], namespace: str, **options: Any) -> TrainingPairs:
    """Load pairs with the users and sessions that intervals are clustered by, where there are any.

    `load_pairs` refuses a context column that is empty throughout; here that is no error.
    """
    from ...datasets import load_pairs
    from ...errors import InvalidInputError

    with opened(files, namespace) as source:
        for columns in (CLUSTERS, CLUSTERS[:1], CLUSTERS[1:]):
            try:
                return load_pairs(source, context=columns, **options)
            except InvalidInputError as error:
                if not str(error).startswith("context: "):
                    raise
        return load_pairs(source, **options)
