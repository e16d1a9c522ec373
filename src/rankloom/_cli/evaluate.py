"""`rankloom evaluate`: a saved ranker against the production order, on interactions held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import NotIdentifiableError
from .options import Features, Files, Grades, Impressions, Json, QuarantineFile, parse_grades
from .output import say, show, show_json
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
    metric corrected for that is added.

    **Example**: `rankloom evaluate model 'later/*.parquet' --features features.parquet`
    """
    from ..datasets import load_pairs
    from ..ltr import Ranker

    ranker = Ranker.load(model)
    pairs = load_pairs(
        files,
        features=features,
        impressions=impressions,
        grades=parse_grades(grade),
        quarantine=quarantine,
    )
    note = apply_own_curve(pairs)
    report = ranker.evaluate(pairs)
    if json:
        show_json({**report.to_dict(), "examination": note, "load": pairs.report.to_dict()})
    else:
        show([*load_lines(pairs), "", str(report)])
        if note:
            say(f"note: {note}")


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
