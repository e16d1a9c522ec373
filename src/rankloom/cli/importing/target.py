"""The target of an import, a log or a file, and the summary that is printed at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..._shared.atomic_files import write_whole
from ...errors import InvalidInputError, StoreError
from ..options import option
from ..output import counted, tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from ...datasets import CopyReport, InteractionLog

Log = Annotated[
    str | None,
    option(
        "--log", "URL", "Log to record into: sqlite:///log.db or postgresql://user@host/database."
    ),
]
Out = Annotated[
    Path | None,
    option("--out", "FILE", "File to write instead (.parquet)."),
]
Namespace = Annotated[
    str | None,
    option("--namespace", "N", "Namespace of the log.", show_default="default"),
]


def check_target(log: str | None, out: Path | None) -> None:
    """Refuse an import without a target, or with two."""
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
    """Return the log at a URL; it is created if there is none."""
    from ...datasets import InteractionLog

    return InteractionLog(url, namespace=namespace or "default", types=tuple(types))


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write interactions as Parquet, completely or not at all."""
    try:
        write_whole(path, frame.write_parquet)
    except OSError as error:
        msg = f"--out: {str(path)!r} cannot be written: {error}"
        raise StoreError(msg) from error


def copy_lines(report: CopyReport) -> list[str]:
    """Return the lines that account for the interactions of a copy."""
    summary = f"{counted(report.rows_read, 'interaction')} read: {report.created:,} new"
    others = {
        "in the log already": report.existing,
        "duplicates within 5 minutes": report.duplicates,
        **report.quarantine.reasons,
    }
    return [summary, *tally({reason: count for reason, count in others.items() if count})]
