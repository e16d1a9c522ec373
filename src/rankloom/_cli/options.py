"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Interactions: Parquet, JSON lines or CSV (the latter two also .gz and .zst), "
        "or quoted globs.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Grades = Annotated[
    list[str] | None,
    typer.Option(
        "--grade",
        metavar="TYPE=N",
        help="Grade of an interaction type, your own types included; may be repeated.",
        show_default=False,
    ),
]
QuarantineFile = Annotated[
    Path | None,
    typer.Option(
        "--quarantine",
        metavar="OUT",
        help="Write the rows that break a rule here, with line, field and reason "
        "(.jsonl, .csv or .parquet).",
        show_default=False,
    ),
]
Features = Annotated[
    Path | None,
    typer.Option(
        "--features",
        metavar="FILE",
        help="Table of numeric columns, keyed by feature_id, or by execution_id and feature_id.",
        show_default=False,
    ),
]
Impressions = Annotated[
    Path | None,
    typer.Option(
        "--impressions",
        metavar="FILE",
        help="Table of what was shown: execution_id, feature_id, position, document_score.",
        show_default=False,
    ),
]
HalfLife = Annotated[
    float | None,
    typer.Option(
        "--half-life",
        metavar="DAYS",
        help="Age at which an execution weighs half; by default all weigh the same.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, help="Threads for LightGBM.", show_default="all cores"
    ),
]


def parse_grades(texts: Sequence[str] | None) -> dict[str, int] | None:
    """Return ``["purchase=4"]`` as ``{"purchase": 4}``; None if there are none.

    Examples
    --------
    >>> parse_grades(["purchase=5", "save_recipe=2"])
    {'purchase': 5, 'save_recipe': 2}
    """
    if not texts:
        return None
    return dict(_grade(text) for text in texts)


def _grade(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition("=")
    if not name.strip() or not number.strip().isdecimal():
        msg = f"--grade: expected TYPE=N with a whole number N, such as purchase=4, got {text!r}"
        raise InvalidInputError(msg)
    return name.strip(), int(number)
