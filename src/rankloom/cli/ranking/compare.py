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
from ..output import say, show, show_json
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened
from .train import load_lines

if TYPE_CHECKING:
    from ...datasets import TrainingPairs
    from ...ltr import Gate, Ranker

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
    if json:
        show_json({**gate.to_dict(), "load": pairs.report.to_dict()})
    else:
        show([*load_lines(pairs), "", str(gate)])
    if not gate.passed:
        raise typer.Exit(1)


def load_with_digest(folder: str | Path) -> tuple[Ranker, str]:
    """Return a saved ranker and the digest of its folder, which is of this very model."""
    from ...errors import IntegrityError
    from ...ltr import Ranker
    from ...ltr.model.files import model_digest

    path = Path(folder)
    path = path.resolve() if path.is_symlink() else path  # the link may be pointed elsewhere
    digest, ranker = model_digest(path), Ranker.load(path)
    if model_digest(path) != digest:
        msg = f"{str(folder)!r}: was saved anew while it was read; run the command again"
        raise IntegrityError(msg)
    return ranker, digest


def leave_verdict(folder: Path, gate: Gate, digest: str, against: str) -> None:
    """Write the verdict beside the model that it is about, or say why that cannot be done."""
    from ...errors import StoreError
    from ...ltr.model.files import model_digest
    from ...ltr.model.gate_record import write_gate

    if model_digest(folder) != digest:
        say(f"note: {folder} was saved anew meanwhile, so the verdict is not left there")
        return
    try:
        write_gate(folder, gate, model=digest, baseline=against)
    except StoreError as error:
        say(f"note: {error}, so `rankloom promote` will not find it")


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
