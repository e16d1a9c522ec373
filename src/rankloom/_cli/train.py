"""`rankloom train`: interactions in, a folder with a ranker out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    Features,
    Files,
    Grades,
    HalfLife,
    Impressions,
    Json,
    QuarantineFile,
    Threads,
    parse_grades,
)
from .output import counted, say, show, show_json, table, tally

if TYPE_CHECKING:
    from ..datasets import TrainingPairs
    from ..ltr import Ranker

Out = Annotated[
    Path,
    typer.Option("--out", metavar="DIR", help="Folder to write; a model in it is replaced."),
]
Debias = Annotated[
    str,
    typer.Option(
        "--debias",
        metavar="MODE",
        help=(
            "auto (what the log speaks for), click_model (labels by the likeliest click model), "
            "pairwise (Unbiased LambdaMART), position (LightGBM's own), ips (needs positions that "
            "varied) or none."
        ),
    ),
]


def train(
    files: Files,
    *,
    out: Out,
    features: Features = None,
    impressions: Impressions = None,
    debias: Debias = "auto",
    half_life: HalfLife = None,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Learn a reranker from interactions, with the position bias taken out.

    **Example**: `rankloom train 'logs/*.parquet' --features features.parquet --out model`
    """
    from ..datasets import load_pairs
    from ..ltr import Ranker
    from ..ltr._settings import check_mode

    check_mode(debias)  # before the log is read, which may take long
    ranker = Ranker(debias=debias, n_jobs=threads)  # type: ignore[arg-type]  # refused by name
    pairs = load_pairs(
        files,
        features=features,
        impressions=impressions,
        half_life=half_life,
        grades=parse_grades(grade),
        quarantine=quarantine,
    )
    ranker.fit(pairs)
    ranker.save(out)
    if json:
        show_json(_document(pairs, ranker, out))
    else:
        show(_lines(pairs, ranker))
        say(f"model -> {out}")


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
        *(f"note: {note}" for note in pairs.report.notes),
    ]


def load_lines(pairs: TrainingPairs) -> list[str]:
    """Return what a load did with the rows, for people."""
    report = pairs.report
    return [
        (
            f"{counted(report.rows_read, 'row')} read: {report.rows_kept:,} kept, "
            f"{counted(report.duplicates, 'duplicate')}, {report.quarantined:,} quarantined"
        ),
        *tally(report.quarantine_reasons),
        (
            f"{counted(len(pairs), 'pair')} in {counted(pairs.n_executions, 'execution')}, "
            f"{int(pairs.clicked.sum()):,} clicked"
        ),
        *(
            f"confounded with the position: {name} (rank correlation {value:.2f})"
            for name, value in report.confounded.items()
        ),
    ]
