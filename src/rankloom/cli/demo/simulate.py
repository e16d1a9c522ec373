"""`rankloom simulate`: a log with known truth, for experiments."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import InvalidInputError
from ..options import option
from ..output import counted, say

if TYPE_CHECKING:
    import polars as pl

CATALOGUE = 0
"""Seed of the documents: logs of different seeds show the same documents."""

Out = Annotated[
    Path,
    typer.Argument(metavar="OUT", help="File to write (.parquet, .jsonl or .csv)."),
]
Executions = Annotated[
    int, option("--executions", "N", "Result lists to show.", show_default=True, min=1)
]
Seed = Annotated[
    int,
    option(
        "--seed",
        "S",
        "Seed of the searches and clicks; the documents are always the same.",
        show_default=True,
    ),
]
ClickModel = Annotated[
    str,
    option("--click-model", "M", "pbm, trust, cascade, dbn, random or last.", show_default=True),
]
Rankers = Annotated[
    int,
    option(
        "--rankers",
        "N",
        "Production rankers; a single one never shows a document at two positions.",
        show_default=True,
        min=1,
    ),
]
Dirty = Annotated[
    float,
    option("--dirty", "SHARE", "Share of rows that break a rule.", show_default=True, min=0, max=1),
]
Start = Annotated[
    datetime | None,
    option(
        "--start",
        "DATE",
        "First day of the 30 that the log covers.",
        show_default="2025-01-06",
        formats=["%Y-%m-%d"],
    ),
]
FeaturesOut = Annotated[
    Path | None,
    option("--features-out", "FILE", "Write the features of the documents to this file."),
]


def simulate(
    out: Out,
    *,
    executions: Executions,
    seed: Seed = 0,
    click_model: ClickModel = "pbm",
    rankers: Rankers = 3,
    dirty: Dirty = 0.0,
    start: Start = None,
    features_out: FeaturesOut = None,
) -> None:
    """Write a simulated log of search interactions, in the format that every command reads.

    Users examine the result at rank k with probability 1/k (model pbm) and click what they
    examine and find relevant; a click may lead to a purchase or back to the results.

    **Example**: `rankloom simulate log.parquet --executions 9000 --features-out features.parquet`
    """
    from ...datasets import simulate_catalogue, simulate_interactions
    from ...datasets.simulation.simulate import DEFAULT_START

    catalogue = simulate_catalogue(random_state=CATALOGUE)
    log = simulate_interactions(
        catalogue,
        n_executions=executions,
        random_state=seed,
        click_model=click_model,
        rankers=rankers,
        dirty=dirty,
        start=start or DEFAULT_START,
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
