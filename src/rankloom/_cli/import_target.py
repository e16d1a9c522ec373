"""Where an import goes, a log or a file, and what is said of it in the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._files import write_whole
from ..errors import InvalidInputError, StoreError
from .output import counted, tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from ..datasets import CopyReport, InteractionLog

Log = Annotated[
    str | None,
    typer.Option(
        "--log", metavar="URL", help="Log to record into: sqlite:///log.db.", show_default=False
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="File to write instead (.parquet).", show_default=False
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", metavar="N", help="Namespace of the log.", show_default="default"),
]


def check_target(log: str | None, out: Path | None) -> None:
    """Refuse an import that goes nowhere, or to two places."""
    if (log is None) == (out is None):
        msg = "give one of --log URL and --out FILE"
        raise InvalidInputError(msg)
    if out is None:
        return
    if out.suffix.lower() not in {".parquet", ".pq"}:
        msg = f"--out: expected a name ending in .parquet or .pq, got {str(out)!r}"
        raise InvalidInputError(msg)
    if not out.absolute().parent.is_dir():
        msg = f"--out: the folder of {str(out)!r} does not exist. Create it first"
        raise InvalidInputError(msg)


def open_log(url: str, namespace: str | None, types: Iterable[str]) -> InteractionLog:
    """Return the log behind an address; it is made if there is none."""
    from ..datasets import InteractionLog

    return InteractionLog(url, namespace=namespace or "default", types=tuple(types))


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write interactions as Parquet, whole or not at all."""
    try:
        write_whole(path, frame.write_parquet)
    except OSError as error:
        msg = f"--out: {str(path)!r} cannot be written: {error}"
        raise StoreError(msg) from error


def copy_lines(report: CopyReport) -> list[str]:
    """Return what became of the interactions of a copy, as lines of text."""
    told = f"{counted(report.rows_read, 'interaction')} read: {report.created:,} new"
    others = {
        "there before": report.existing,
        "given twice": report.duplicates,
        **report.quarantine.reasons,
    }
    return [told, *tally({reason: count for reason, count in others.items() if count})]
