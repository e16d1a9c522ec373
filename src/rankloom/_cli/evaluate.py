"""`rankloom evaluate`: a saved ranker against the production order, on interactions held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import NotIdentifiableError
from .compare import load_with_clusters
from .options import Features, Files, Grades, Impressions, Json, QuarantineFile, parse_grades
from .output import counted, say, show, show_json
from .train import load_lines

if TYPE_CHECKING:
    from ..datasets import TrainingPairs

Model = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `rankloom train` wrote.")]


def evaluate(
    model: Model,
    files: Files,
    *,
    features: Features = None,
    impressions: Impressions = None,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    json: Json = False,
) -> None:
    """Judge a saved ranker on interactions that it was not trained on.

    Every metric stands beside that of the production order, with the difference and its interval.
    Clicks favour what production showed first; where the log can tell its examination curve, a
    metric corrected for that is added. Then follows what the ranker would have been worth, had it
    drawn up the lists, estimated from the log (IPS, SNIPS, doubly robust), or why the log cannot
    tell.

    **Example**: `rankloom evaluate model 'later/*.parquet' --features features.parquet`
    """
    from ..ltr import Ranker, evaluate_from_logs
    from ..ltr.gate import executions_in_training_period

    ranker = Ranker.load(model)
    pairs = load_with_clusters(
        files,
        features=features,
        impressions=impressions,
        grades=parse_grades(grade),
        quarantine=quarantine,
    )
    note = apply_own_curve(pairs)
    report = ranker.evaluate(pairs)
    counterfactual = evaluate_from_logs(pairs, ranker.predict(pairs))
    known = executions_in_training_period(ranker, pairs)
    if json:
        show_json(
            {
                **report.to_dict(),
                "counterfactual": counterfactual.to_dict(),
                "examination": note,
                "executions_in_training_period": known,
                "load": pairs.report.to_dict(),
            }
        )
    else:
        show([*load_lines(pairs), "", str(report), "", str(counterfactual)])
        if note:
            say(f"note: {note}")
    if known:
        said = counted(known, "execution")
        say(f"note: {said} in the ranker's training period, which flatters it")


def apply_own_curve(pairs: TrainingPairs) -> str | None:
    """Estimate the examination curve and apply it; return the reason where the log cannot tell."""
    from ..datasets import PositionBias

    if not pairs.has_positions:
        return "positions are unknown, so nothing corrects for what was seen"
    try:
        PositionBias().fit(pairs).apply(pairs)
    except NotIdentifiableError as error:
        return str(error)
    return None
