"""`rankloom evaluate`: a saved ranker against the production order, on held-out interactions."""

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
    parse_grades,
)
from ..output import counted, say, show, show_json
from ..sources import DEFAULT_NAMESPACE, Files, Namespace
from .compare import load_with_clusters
from .own_curve import apply_own_curve
from .train import load_lines

Model = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `rankloom train` wrote.")]


def evaluate(
    model: Model,
    files: Files,
    *,
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
    """Judge a saved ranker on interactions that it was not trained on.

    Prints every metric of the ranker and of the production order, with the difference and its
    interval. Clicks favour what production showed first; where the log identifies its examination
    curve, a metric corrected for that is added. Then follow estimates from the log of the metrics
    that the ranker would have had if it had been in production (IPS, SNIPS, doubly robust), or the
    reason why the log does not identify them.

    **Example**: `rankloom evaluate model 'later/*.parquet' --features features.parquet`
    """
    from ...ltr import Ranker, evaluate_from_logs
    from ...ltr.evaluation.gate import executions_in_training_period

    ranker = Ranker.load(model)
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
    bias, note = apply_own_curve(pairs)
    report = ranker.evaluate(pairs)
    counterfactual = evaluate_from_logs(pairs, ranker.predict(pairs), examination=bias)
    in_training = executions_in_training_period(ranker, pairs)
    if json:
        show_json(
            {
                **report.to_dict(),
                "counterfactual": counterfactual.to_dict(),
                "examination": note,
                "executions_in_training_period": in_training,
                "load": pairs.report.to_dict(),
            }
        )
    else:
        show([*load_lines(pairs), "", str(report), "", str(counterfactual)])
        if note:
            say(f"note: {note}")
    if in_training:
        say(
            f"note: {counted(in_training, 'execution')} in the ranker's training period: its "
            "metrics are too high there"
        )
