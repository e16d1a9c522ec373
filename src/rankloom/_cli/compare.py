"""`rankloom compare`: the gate between a candidate and what it would replace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Features, Files, Grades, Impressions, Json, QuarantineFile, parse_grades
from .output import show, show_json
from .train import load_lines

if TYPE_CHECKING:
    from ..datasets import TrainingPairs

Candidate = Annotated[
    Path,
    typer.Argument(metavar="CANDIDATE", help="Folder of the ranker that wants to go live."),
]
Baseline = Annotated[
    str,
    typer.Argument(
        metavar="BASELINE",
        help="Folder of the ranker to beat, or the word `production` for what was shown.",
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="M@K",
        help="dcg, precision or clicks with a cut-off; may be repeated. The first has to gain, "
        "the others must not fall.",
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
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    json: Json = False,
) -> None:
    """Let a candidate pass only if later interactions say beyond doubt that it is better.

    Ends with 0 if the gate passes: the one-sided 95 % bound of the first metric's gain lies above
    0, and that of every other metric's relative gain above -1 %. Ends with 1 if it does not, and
    says why; a log of one deterministic ranker passes nobody. Interactions from the candidate's
    training period are refused, or left out with --later.

    **Example**: `rankloom compare model production 'later/*.parquet' --features features.parquet`
    """
    from ..ltr import Ranker
    from ..ltr import compare as judge
    from ..ltr.gate import executions_after_training

    ranker = Ranker.load(candidate)
    other = baseline if baseline == "production" else Ranker.load(baseline)
    pairs = load_with_clusters(
        files,
        features=features,
        impressions=impressions,
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


def load_with_clusters(files: list[str], **options: Any) -> TrainingPairs:
    """Load pairs with the users and sessions that intervals are clustered by, where there are any.

    A log without them is not at fault; `load_pairs` refuses a column that is nowhere filled.
    """
    from ..datasets import load_pairs
    from ..errors import InvalidInputError

    for columns in (CLUSTERS, CLUSTERS[:1], CLUSTERS[1:]):
        try:
            return load_pairs(files, context=columns, **options)
        except InvalidInputError as error:
            if not str(error).startswith("context: "):
                raise
    return load_pairs(files, **options)
