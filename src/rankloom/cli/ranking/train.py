"""`rankloom train`: interactions in, a folder with a ranker out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InvalidInputError
from ..config_file import config_values
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
from .clusters import load_columns
from .held_out import check_held_out, leave_evidence
from .ranker_parameters import ranker_parameters
from .training_time import TrainingTime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client

    from ...datasets import PositionBias, TrainingPairs
    from ...ltr import MemoryReport, Ranker

Out = Annotated[
    Path,
    option("--out", "DIR", "Folder to write; a model in it is replaced.", show_default=True),
]
Debias = Annotated[
    str | None,
    option(
        "--debias",
        "MODE",
        "auto (chosen by the evidence of the log), click_model (labels by the likeliest click "
        "model), "
        "pairwise (Unbiased LambdaMART), position (LightGBM's own), ips (needs documents shown "
        "at several positions) or none.",
        show_default="auto",
    ),
]
Param = Annotated[
    list[str] | None,
    option(
        "--param",
        "NAME=VALUE",
        "Parameter of Ranker or LightGBM, such as learning_rate=0.1; may be repeated.",
    ),
]
Params = Annotated[
    str | None,
    option(
        "--params",
        "JSON",
        "File with a JSON object of such parameters, or the object itself; --param and flags win "
        "over it.",
    ),
]
Seed = Annotated[
    int | None,
    option("--seed", "N", "Seed of everything random.", show_default="0", min=0),
]
Since = Annotated[
    str | None,
    option(
        "--since",
        "TIME",
        "Train on executions from this time (UTC) on, such as 2026-01-31; they are held in memory.",
    ),
]
Until = Annotated[
    str | None,
    option("--until", "TIME", "Train on executions before this time (UTC)."),
]
Context = Annotated[
    str | None,
    option(
        "--context",
        "COLUMN",
        "Estimate an examination curve for every value of this column, such as device; for auto, "
        "click_model and ips.",
    ),
]
Validation = Annotated[
    str | None,
    option(
        "--validation",
        "SHARE|TIME",
        "Hold out the latest executions: this share of them, or those from this time (UTC) on. The "
        "model is judged on them, and early_stopping_rounds uses them.",
    ),
]


Slice = Annotated[
    list[str] | None,
    option(
        "--slice",
        "COLUMN",
        "Judge the model by the values of this column, such as language or device, in its card, "
        "too; needs --validation and may be repeated.",
    ),
]


def _from_file(context: typer.Context, value: Path | None) -> Path | None:
    """Make what a file says the defaults of the options."""
    if value is not None:
        context.default_map = config_values(value, train)
    return value


Config = Annotated[
    Path | None,
    option(
        "--config",
        "TOML",
        "File with any of these options as keys (`since = ...`, `files = [...]`) and a table "
        "[params]; what is given on the command line wins.",
        callback=_from_file,
        is_eager=True,
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
    files: Files = None,  # type: ignore[assignment]  # a list, once --config was read
    *,
    out: Out,
    features: Features = None,
    impressions: Impressions = None,
    judgments: Judgments = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    debias: Debias = None,
    param: Param = None,
    params: Params = None,
    seed: Seed = None,
    since: Since = None,
    until: Until = None,
    validation: Validation = None,
    slices: Slice = None,
    context: Context = None,
    memory: Memory = False,
    half_life: HalfLife = None,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    threads: Threads = None,
    memory_limit: MemoryLimit = None,
    dask: Dask = None,
    workdir: Workdir = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    config: Config = None,
    json: Json = False,
) -> None:
    """Train a reranker on interactions, corrected for position bias.

    Beside the model, its folder gets a model card (card.html, card.md): data, choice, evidence,
    limits and slices. With --validation, the card has metrics on what was held out, and the folder
    the verdict of a gate against the order that was shown, which lets `rankloom promote` start a
    registry.

    **Example**: `rankloom train 'logs/*.parquet' --features features.parquet --out model`
    """
    del config  # its values are the defaults of the others
    if not files:
        msg = "FILE: expected interactions, as arguments or as `files` of --config"
        raise InvalidInputError(msg)
    # Everything that can be checked before the log is read, which may take minutes.
    time = TrainingTime.of(since, until, validation)
    flags = {"debias": debias, "seed": seed, "num_threads": threads}
    ranker = _ranker(ranker_parameters(params, param, flags), time, context)
    if slices and time.held_out is None:
        msg = "--slice: is judged on executions that are held out; give --validation"
        raise InvalidInputError(msg)
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
        columns = list(dict.fromkeys([*(slices or ()), *([context] if context else ())]))
        load = partial(_load, files, namespace, client, workdir)
        pairs = load_columns(load, columns, parameters | limits, clusters=time.held_out is not None)
        pairs, held_out = time.split(time.within(pairs))
        check_held_out(held_out)
        if context is not None:
            bias = _curves(pairs, context)
            ranker.set_params(examination=bias)
            held_out = None if held_out is None else bias.apply(held_out)
        _fit(ranker, pairs, held_out, client)
    replay = _remember(ranker, pairs, half_life) if memory else None
    ranker.save(out)
    leave_evidence(ranker, out, held_out, slices or ())
    if json:
        replayed = {} if replay is None else {"memory": replay.to_dict()}
        show_json({**_document(pairs, ranker, out), **replayed})
    else:
        show([*_lines(pairs, ranker), *([] if replay is None else ["", str(replay)])])
        say(f"model -> {out}")


def _ranker(parameters: dict[str, Any], time: TrainingTime, context: str | None) -> Ranker:
    """Return the ranker to fit, whose parameters are right as far as one sees without data."""
    from ...ltr import Ranker
    from ...ltr.settings import FitSettings

    ranker = Ranker(**parameters)
    settings = FitSettings.of(ranker.get_params(deep=False))
    if settings.early_stopping_rounds is not None and time.held_out is None:
        msg = "early_stopping_rounds: needs executions that are held out; give --validation"
        raise InvalidInputError(msg)
    if context is not None and ranker.debias not in {"auto", "click_model", "ips"}:
        msg = f"--context: debias={ranker.debias!r} uses no examination curve; leave it out"
        raise InvalidInputError(msg)
    return ranker


def _curves(pairs: TrainingPairs, column: str) -> PositionBias:
    """Return an examination curve for every value of a column, as far as each has the evidence."""
    from ...datasets import PositionBias

    bias = PositionBias(by=column).fit(pairs)
    for note in bias.notes_:
        say(f"note: {note}")
    return bias


def _load(
    files: list[str],
    namespace: str,
    client: Client | None,
    workdir: Path | None,
    **parameters: Any,
) -> TrainingPairs:
    """Return the training pairs of the interactions, from the workers of a cluster if any."""
    if client is not None:
        from ...datasets.distributed import load_pairs as load_on_workers

        return load_on_workers(files, client=client, workdir=workdir, **parameters)
    from ...datasets import load_pairs

    with opened(files, namespace) as source:
        return load_pairs(source, workdir=workdir, **parameters)


def _fit(
    ranker: Ranker, pairs: TrainingPairs, held_out: TrainingPairs | None, client: Client | None
) -> None:
    """Train, on the workers of a cluster if there is one and the rows do not fit this process."""
    from ...ltr.settings import ON_ONE_NODE

    if client is None or ranker.debias in ON_ONE_NODE:
        ranker.fit(pairs, held_out)
        return
    ranker.fit(pairs, held_out, client=client)
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
