"""`rankloom compare`: the gate between a candidate and the ranking that it would replace."""

from __future__ import annotations

from functools import partial
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
from .clusters import load_columns
from .train import load_lines
from .verdict import leave_verdict, load_with_digest, renew_card

if TYPE_CHECKING:
    from ...datasets import TrainingPairs
    from ...ltr import Ranker

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
    out with --later. The verdict is left in CANDIDATE's folder, where `rankloom promote` looks for
    it.

    **Example**: `rankloom compare model production 'later/*.parquet' --features features.parquet`
    """
    from ...ltr import compare as judge
    from ...ltr.evaluation.gate import executions_after_training
    from ...ltr.model.gate_record import PRODUCTION

    ranker, digest = load_with_digest(candidate)
    other: Ranker | str = baseline
    against = PRODUCTION
    if baseline != PRODUCTION:
        other, against = load_with_digest(baseline)
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
    leave_verdict(candidate, gate, digest, against)
    renew_card(candidate)
    if json:
        show_json({**gate.to_dict(), "load": pairs.report.to_dict()})
    else:
        show([*load_lines(pairs), "", str(gate)])
    if not gate.passed:
        raise typer.Exit(1)


def load_with_clusters(files: list[str], namespace: str, **options: Any) -> TrainingPairs:
    """Load pairs with the users and sessions that intervals are clustered by, if there are any."""
    from ...datasets import load_pairs

    with opened(files, namespace) as source:
        return load_columns(partial(load_pairs, source), (), options, clusters=True)
