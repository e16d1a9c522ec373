"""`rankloom tune`: interactions in, parameters of a ranker out, as a JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import (
    Attribution,
    DropBots,
    Features,
    Grades,
    HalfLife,
    Impressions,
    Json,
    MappingFile,
    QuarantineFile,
    Threads,
    mapping_arguments,
    option,
    parse_grades,
)
from ..output import say, show, show_json
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened
from .train import Debias, load_lines

if TYPE_CHECKING:
    from ...datasets import TimeSeriesQuerySplit, TrainingPairs

Trials = Annotated[
    int,
    option(
        "--trials",
        "N",
        "Trials of the study, those of earlier runs in --storage included.",
        show_default=True,
        min=1,
    ),
]
Timeout = Annotated[
    float | None,
    option("--timeout", "SECONDS", "After which no further trial is begun.", min=0),
]
Storage = Annotated[
    str | None,
    option(
        "--storage",
        "URL",
        "Where trials are stored, such as sqlite:///study.db; the same command continues there.",
    ),
]
StudyName = Annotated[
    str,
    option("--study", "NAME", "Name of the study in --storage.", show_default=True),
]
Holdout = Annotated[
    float,
    option(
        "--holdout",
        "SHARE",
        "Share of the executions, the latest ones, and of the queries that the search never reads: "
        "what the parameters gain is measured on both, once. 0 for none.",
        show_default=True,
        min=0,
        max=0.9,
    ),
]
SameQueries = Annotated[
    bool,
    typer.Option(
        "--same-queries",
        help="Judge by later searches of queries that were trained on, too: where most searches "
        "repeat. Else only by those of other queries.",
    ),
]
Seed = Annotated[int, option("--seed", "N", "Of the search.", show_default=True)]
Out = Annotated[
    Path,
    option(
        "--out",
        "FILE",
        "JSON file to write: parameters of Ranker, with those of LightGBM in params.",
        show_default=True,
    ),
]


def tune(
    files: Files,
    *,
    out: Out = Path("params.json"),
    features: Features = None,
    trials: Trials = 50,
    timeout: Timeout = None,
    storage: Storage = None,
    study: StudyName = "rankloom",
    holdout: Holdout = 0.3,
    same_queries: SameQueries = False,
    seed: Seed = 0,
    debias: Debias = "auto",
    impressions: Impressions = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    half_life: HalfLife = None,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    threads: Threads = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Search the parameters of a reranker by held-out clicks, corrected for position bias.

    Every trial is scored on executions that are later than what it learns from, and by default of
    other queries. Prints what the best parameters gain over the defaults, with its interval.

    **Example**: `rankloom tune 'logs/*.parquet' --features features.parquet --trials 50`
    """
    from ...ltr import Ranker
    from ...ltr import tune as search
    from ...ltr.settings import check_mode

    check_mode(debias)  # before the log is read, which may take minutes
    from ...datasets import load_pairs

    with opened(files, namespace) as source:
        pairs = load_pairs(
            source,
            features=features,
            impressions=impressions,
            attribution=attribution,
            **mapping_arguments(mapping),
            drop_bots=drop_bots,
            half_life=half_life,
            grades=parse_grades(grade),
            quarantine=quarantine,
        )
    searched, held_out = _parts(pairs, holdout, same_queries=same_queries)
    result = search(
        searched,
        n_trials=trials,
        timeout=timeout,
        ranker=Ranker(debias=debias, n_jobs=threads),  # type: ignore[arg-type]  # refused by name
        cv=_folds(same_queries=same_queries),
        holdout=held_out,
        storage=storage,
        study_name=study,
        seed=seed,
    )
    result.save_params(out)
    if json:
        show_json({**result.to_dict(), "params": str(out), "load": pairs.report.to_dict()})
    else:
        show([*load_lines(pairs), "", str(result)])
        say(f"parameters -> {out}")


def _folds(*, same_queries: bool) -> TimeSeriesQuerySplit:
    from ...datasets import TimeSeriesQuerySplit

    return TimeSeriesQuerySplit(3, disjoint_queries=not same_queries, test_fraction=0.2)


def _parts(
    pairs: TrainingPairs, holdout: float, *, same_queries: bool
) -> tuple[TrainingPairs, TrainingPairs | None]:
    """Return what the search reads, and what is held out, as its folds hold out."""
    from ...datasets import split_by_query, split_by_time

    if not holdout:
        return pairs, None
    earlier, later = split_by_time(pairs, test_fraction=holdout)
    if same_queries:
        return earlier, later
    searched, _ = split_by_query(earlier, test_fraction=holdout, salt="tune")
    _, others = split_by_query(later, test_fraction=holdout, salt="tune")
    return searched, others
