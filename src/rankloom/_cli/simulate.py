"""`rankloom simulate`: a log with known truth, to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidInputError
from .output import counted, say

if TYPE_CHECKING:
    import polars as pl

CATALOGUE = 0
"""Seed of the documents: a later log with another seed is about the same ones."""

Out = Annotated[
    Path,
    typer.Argument(metavar="OUT", help="File to write (.parquet, .jsonl or .csv)."),
]
Executions = Annotated[
    int, typer.Option("--executions", metavar="N", min=1, help="Result lists to show.")
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="S",
        help="Another seed: other searches and clicks over the same documents.",
    ),
]
ClickModel = Annotated[
    str,
    typer.Option("--click-model", metavar="M", help="pbm, trust, cascade, random or last."),
]
Rankers = Annotated[
    int,
    typer.Option(
        "--rankers", metavar="N", min=1, help="Production rankers; one alone never swaps positions."
    ),
]
Dirty = Annotated[
    float,
    typer.Option("--dirty", metavar="SHARE", min=0, max=1, help="Share of rows to break."),
]
FeaturesOut = Annotated[
    Path | None,
    typer.Option(
        "--features-out",
        metavar="FILE",
        help="Write the documents' features too.",
        show_default=False,
    ),
]


def simulate(
    out: Out,
    *,
    executions: Executions,
    seed: Seed = 0,
    click_model: ClickModel = "pbm",
    rankers: Rankers = 3,
    dirty: Dirty = 0.0,
    features_out: FeaturesOut = None,
) -> None:
    """Write a simulated log of search interactions, in the format that every command reads.

    Users examine the result at rank k with probability 1/k (model pbm) and click what they
    examine and find relevant; a click may lead to a purchase or back to the results.

    **Example**: `rankloom simulate log.parquet --executions 9000 --features-out features.parquet`
    """
    from ..datasets import simulate_catalogue, simulate_interactions

    catalogue = simulate_catalogue(random_state=CATALOGUE)
    log = simulate_interactions(
        catalogue,
        n_executions=executions,
        random_state=seed,
        click_model=click_model,
        rankers=rankers,
        dirty=dirty,
    )
    write_table(log, out)
    say(f"{counted(log.height, 'interaction')} -> {out}")
    if features_out is not None:
        features = catalogue.drop("query", "grade")
        write_table(features, features_out)
        say(f"features of {counted(features.height, 'document')} -> {features_out}")


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write Parquet, JSON lines or CSV, as the suffix says."""
    suffix = path.suffix.lower()
    if suffix in {".parquet", ".pq"}:
        frame.write_parquet(path)
    elif suffix in {".jsonl", ".ndjson"}:
        frame.write_ndjson(path)
    elif suffix == ".csv":
        _flat(frame).write_csv(path)
    else:
        msg = f"OUT: expected a name ending in .parquet, .jsonl or .csv, got {str(path)!r}"
        raise InvalidInputError(msg)


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Join lists by ``|``: CSV has no lists."""
    import polars as pl

    lists = [name for name, dtype in frame.schema.items() if dtype == pl.List]
    return frame.with_columns(pl.col(lists).list.join("|"))
