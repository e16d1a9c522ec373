"""What commands print: results on stdout as text or one JSON document, messages on stderr."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import typer

from .._shared.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["counted", "say", "show", "show_json", "table", "tally"]


def say(message: str) -> None:
    """Print a message on stderr, so that stdout holds nothing but results."""
    typer.echo(message, err=True)


def show(lines: Iterable[str]) -> None:
    """Print lines of a result on stdout."""
    typer.echo("\n".join(lines))


def show_json(document: Any) -> None:
    """Print one JSON document on stdout; numpy values become plain, NaN becomes null."""
    typer.echo(json.dumps(_plain(document), ensure_ascii=False, allow_nan=False))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> list[str]:
    r"""Return the lines of a table: the first `left` columns flush left, the others right.

    >>> print("\n".join(table(["metric", "mean"], [["NDCG@10", "0.713"]])))
    metric    mean
    NDCG@10  0.713
    """
    cells = [list(map(str, row)) for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def tally(counts: Mapping[str, int]) -> list[str]:
    """Return one indented line for each reason and its number, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"  {count:>9,}  {reason}" for reason, count in ordered]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
