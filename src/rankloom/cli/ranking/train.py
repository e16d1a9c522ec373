"""`rankloom train`: interactions in, a folder with a ranker out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InvalidInputError
from ..dask_options import Dask, Workdir, dask_client
from ..options import (
    Attribution,
    DropBots,
    Features,
    Grades,
    HalfLife,
    Impressions,
    Json,
    Judgments,
    MappingFile,
    QuarantineFile,
    Threads,
    mapping_arguments,
    option,
    parse_grades,
)
from ..output import counted, say, show, show_json, table, tally
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client

    from ...datasets import TrainingPairs
    from ...ltr import MemoryReport, Ranker

Out = Annotated[
    Path,
    option("--out", "DIR", "Folder to write; a model in it is replaced.", show_default=True),
]
Debias = Annotated[
    str,
    option(
        "--debias",
        "MODE",
        "auto (chosen by the evidence of the log), click_model (labels by the likeliest click "
        "model), "
        "pairwise (Unbiased LambdaMART), position (LightGBM's own), ips (needs documents shown "
        "at several positions) or none.",
        show_default=True,
    ),
]


MemoryLimit = Annotated[
    str | None,
    option(
        "--memory-limit",
        "SIZE",
        "Read the log in partitions on disk (--workdir), so that about this much memory is enough, "
        "such as 2GB; the pairs are the same.",
        show_default="it is read at once",
    ),
]
Memory = Annotated[
    bool,
    typer.Option(
        "--memory",
        help="Save a memory of queries with the ranker, as far as a replay of the later half of "
        "the log lets it pass; trains twice.",
    ),
]


def train(
    files: Files,
    *,
    out: Out,
    features: Features = None,
    impressions: Impressions = None,
    judgments: Judgments = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    debias: Debias = "auto",
    memory: Memory = False,
    half_life: HalfLife = None,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    threads: Threads = None,
    memory_limit: MemoryLimit = None,
    dask: Dask = None,
    workdir: Workdir = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Train a reranker on interactions, corrected for position bias.

    **Example**: `rankloom train 'logs/*.parquet' --features features.parquet --out model`
    """
    from ...ltr import Ranker
    from ...ltr.settings import check_mode

    check_mode(debias)  # before the log is read, which may take minutes
    ranker = Ranker(debias=debias, n_jobs=threads)  # type: ignore[arg-type]  # refused by name
    parameters = {
        "features": features,
        "impressions": impressions,
        "judgments": judgments,
        "attribution": attribution,
        **mapping_arguments(mapping),
        "drop_bots": drop_bots,
        "half_life": half_life,
        "grades": parse_grades(grade),
        "quarantine": quarantine,
    }
    if memory_limit is not None and dask is not None:
        msg = "--memory-limit: is for loading in this process; give either it or --dask"
        raise InvalidInputError(msg)
    shared = workdir if memory_limit is None else None
    with dask_client(dask, files, shared) as client:
        limits = {} if client is not None else {"memory_limit": memory_limit}
        pairs = _load(files, namespace, client, workdir, parameters | limits)
        _fit(ranker, pairs, client)
    replay = _remember(ranker, pairs, half_life) if memory else None
    ranker.save(out)
    if json:
        replayed = {} if replay is None else {"memory": replay.to_dict()}
        show_json({**_document(pairs, ranker, out), **replayed})
    else:
        show([*_lines(pairs, ranker), *([] if replay is None else ["", str(replay)])])
        say(f"model -> {out}")


def _load(
    files: list[str],
    namespace: str,
    client: Client | None,
    workdir: Path | None,
    parameters: dict[str, Any],
) -> TrainingPairs:
    """Return the training pairs of the interactions, from the workers of a cluster if any."""
    if client is not None:
        from ...datasets.distributed import load_pairs as load_on_workers

        return load_on_workers(files, client=client, workdir=workdir, **parameters)
    from ...datasets import load_pairs

    with opened(files, namespace) as source:
        return load_pairs(source, workdir=workdir, **parameters)


def _fit(ranker: Ranker, pairs: TrainingPairs, client: Client | None) -> None:
    """Train, on the workers of a cluster if there is one and the rows do not fit this process."""
    from ...ltr.settings import ON_ONE_NODE

    if client is None or ranker.debias in ON_ONE_NODE:
        ranker.fit(pairs)
        return
    ranker.fit(pairs, client=client)
    for note in ranker.notes_:
        if "trees were grown" in note:
            say(note)


def _remember(ranker: Ranker, pairs: TrainingPairs, half_life: float | None) -> MemoryReport:
    """Attach a memory of the queries, if it passes a replay."""
    from ...ltr import QueryMemory, gated_memory

    memory = QueryMemory(half_life=half_life)
    report = gated_memory(ranker, pairs, memory)
    if report.passed:
        ranker.attach_memory(memory)
    else:
        say("note: the memory of queries does not pass, so the model is saved without one")
    return report


def _document(pairs: TrainingPairs, ranker: Ranker, out: Path) -> dict[str, Any]:
    return {
        "model": str(out),
        "debias": ranker.debias,
        "pairs": len(pairs),
        "clicked": int(pairs.clicked.sum()),
        "trees": ranker.best_iteration_,
        "choice": None if ranker.choice_ is None else ranker.choice_.to_dict(),
        "feature_importances": ranker.feature_importances(),
        "notes": ranker.notes_,
        "load": pairs.report.to_dict(),
    }


def _lines(pairs: TrainingPairs, ranker: Ranker) -> list[str]:
    importances = ranker.feature_importances()
    total = sum(importances.values()) or 1.0
    shares = [(name, f"{gain / total:.1%}") for name, gain in list(importances.items())[:10]]
    return [
        *load_lines(pairs),
        f"{counted(ranker.best_iteration_, 'tree')}, debias={ranker.debias}",
        *(str(ranker.choice_).splitlines() if ranker.choice_ is not None else ()),
        "",
        *table(["feature", "share of gain"], shares),
        *_behaviour_lines(ranker.training_report_["behaviour_gain"]),
        *(f"note: {note}" for note in pairs.report.notes),
    ]


def _behaviour_lines(shares: Mapping[str, float]) -> list[str]:
    """Return a line on what features of past behaviour brought, where there are any."""
    levels = ", ".join(f"{level} {share:.1%}" for level, share in shares.items())
    return [f"behaviour features: {sum(shares.values()):.1%} of the gain ({levels})"] * bool(shares)


def load_lines(pairs: TrainingPairs) -> list[str]:
    """Return the lines that account for the rows of a load."""
    from ...datasets.quality.unplaced import unplaced_sentence

    report = pairs.report
    return [
        (
            f"{counted(report.rows_read, 'row')} read: {report.rows_kept:,} kept, "
            f"{counted(report.duplicates, 'duplicate')}, {report.quarantined:,} quarantined"
        ),
        *tally(report.quarantine_reasons),
        *unplaced_sentence(report.rows_placed, report.rows_attributed, report.rows_unplaced),
        (
            f"{counted(len(pairs), 'pair')} in {counted(pairs.n_executions, 'execution')}, "
            f"{int(pairs.clicked.sum()):,} clicked"
        ),
        *(
            f"confounded with the position: {name} (rank correlation {value:.2f})"
            for name, value in report.confounded.items()
        ),
    ]
