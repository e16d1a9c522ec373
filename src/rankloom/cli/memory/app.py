"""`rankloom memory`: what the clicks of each query said, kept, looked at and judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    mapping_arguments,
    option,
    parse_grades,
)
from ..output import say, show, show_json, table
from ..ranking.compare import load_with_clusters
from ..ranking.train import load_lines
from ..sources import DEFAULT_NAMESPACE, Files, Namespace

if TYPE_CHECKING:
    from ...ltr import QueryMemory, Ranker

app = typer.Typer(
    name="memory",
    no_args_is_help=True,
    help="Keep what the clicks of each query said of its documents, and judge what that is worth.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
Memory = Annotated[
    Path, typer.Argument(metavar="MEMORY", help="File that `rankloom memory build` wrote.")
]
Model = Annotated[
    Path | None,
    option(
        "--model",
        "DIR",
        "Ranker that clicks are mixed with; without one, production's order is.",
    ),
]
Out = Annotated[Path, option("--out", "FILE", "File to write; one that is there is replaced.")]
Serving = Annotated[
    bool,
    typer.Option("--serving", help="Leave out what only further learning and deletions need."),
]
Restrict = Annotated[
    Path | None,
    option("--restrict", "FILE", "Write the memory restricted to the bands that pass."),
]
Text = Annotated[str | None, option("--query", "TEXT", "Only queries whose id holds this text.")]
Query = Annotated[str | None, option("--query", "TEXT", "A query, by its snapshot or query id.")]
Limit = Annotated[int, option("--limit", "N", "Rows to show.", show_default=True, min=0)]
Document = Annotated[str | None, option("--document", "ID", "feature_id of a document.")]
User = Annotated[str | None, option("--user", "ID", "A user; needs user_id in the log.")]


@app.command()
def build(
    files: Files,
    *,
    out: Out,
    model: Model = None,
    half_life: HalfLife = None,
    serving: Serving = False,
    features: Features = None,
    impressions: Impressions = None,
    judgments: Judgments = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Build a memory from interactions and, where there are any, judgements.

    **Example**: `rankloom memory build log.parquet --model model --features features.parquet
    --out memory.bin`
    """
    from ...ltr import QueryMemory

    memory = QueryMemory(half_life=half_life)
    ranker = _ranker(model)
    pairs = load_with_clusters(
        files,
        namespace,
        features=features,
        impressions=impressions,
        judgments=judgments,
        attribution=attribution,
        **mapping_arguments(mapping),
        drop_bots=drop_bots,
        grades=parse_grades(grade),
        quarantine=quarantine,
    )
    memory.fit(pairs, prior=ranker)
    memory.save(out, serving=serving)
    if json:
        show_json({"memory": str(out), **_document(memory), "load": pairs.report.to_dict()})
    else:
        show([*load_lines(pairs), "", memory.summary()])
        say(f"memory -> {out}")


@app.command("show")
def show_memory(
    memory: Memory, *, query: Text = None, limit: Limit = 20, json: Json = False
) -> None:
    """Show what a memory holds: its strength by frequency of the query, and its rows.

    **Example**: `rankloom memory show memory.bin --query 'red shoes'`
    """
    from ...ltr import QueryMemory

    loaded = QueryMemory.load(memory)
    rows = loaded.table()
    if query is not None:
        rows = rows.filter(rows["query_id"].str.contains(query, literal=True))
    shown = rows.head(limit)
    if json:
        show_json({**_document(loaded), "rows": shown.to_dicts()})
        return
    cells = [[f"{v:.4g}" if isinstance(v, float) else v for v in row] for row in shown.iter_rows()]
    lines = table(shown.columns, cells, left=2)
    show([loaded.summary(), "", *lines, f"{len(shown):,} of {len(rows):,} rows"])


@app.command()
def evaluate(
    memory: Memory,
    files: Files,
    *,
    model: Model = None,
    restrict: Restrict = None,
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
    """Replay later interactions by a memory and by what it is mixed with alone.

    Ends with 0 if the memory passes in any frequency band of queries: the one-sided 95 % bound of
    the gain in clicks, corrected for examination, lies above 0. Ends with 1 if it passes in none.

    **Example**: `rankloom memory evaluate memory.bin 'later/*.parquet' --model model
    --features features.parquet`
    """
    from ...ltr import QueryMemory

    loaded = QueryMemory.load(memory)
    ranker = _ranker(model)
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
    report = loaded.evaluate(pairs, ranker)
    if json:
        show_json({**report.to_dict(), "load": pairs.report.to_dict()})
    else:
        show([*load_lines(pairs), "", str(report)])
    if restrict is not None:
        loaded.restrict(report).save(restrict)
        say(f"restricted memory -> {restrict}")
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def forget(
    memory: Memory, *, query: Query = None, document: Document = None, user: User = None
) -> None:
    """Delete what a memory knows of a query, a document or a user.

    **Example**: `rankloom memory forget memory.bin --user u-17`
    """
    from ...ltr import QueryMemory

    loaded = QueryMemory.load(memory)
    removed = loaded.forget(query=query, feature_id=document, user_id=user)
    loaded.save(memory)
    units, sums, judgments = (f"{n:,}" for n in (removed.units, removed.sums, removed.judgments))
    show([f"{units} documents of executions, {sums} sums and {judgments} judgments deleted"])
    if removed.unknown:
        say(
            f"note: {removed.unknown:,} documents of executions were compacted: whose they are is "
            "not known; build the memory again from the log"
        )


def _ranker(model: Path | None) -> Ranker | None:
    from ...ltr import Ranker

    return None if model is None else Ranker.load(model)


def _document(memory: QueryMemory) -> dict[str, Any]:
    counted = memory.served.table
    return {
        "queries": len(counted.query),
        "documents": len(counted.document),
        "prior": memory.prior_kind_,
        "examination": memory.examination_.to_dict(),
        "strength": memory.strength_.to_dict(),
        "served_bands": list(memory.served_bands_),
        "judgments": {name: judge.to_dict() for name, judge in memory.judgments_.items()},
        "left_out": memory.left_out_._asdict(),
        "notes": memory.notes_,
    }
