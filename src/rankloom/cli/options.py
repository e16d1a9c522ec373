"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def option(
    flag: str, metavar: str, text: str, *, show_default: bool | str = False, **rest: Any
) -> Any:
    """Return an option with a value; its help shows no default unless one is to be shown."""
    return typer.Option(flag, metavar=metavar, help=text, show_default=show_default, **rest)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Grades = Annotated[
    list[str] | None,
    option(
        "--grade",
        "TYPE=N",
        "Grade of an interaction type, your own types included; may be repeated.",
    ),
]
QuarantineFile = Annotated[
    Path | None,
    option(
        "--quarantine",
        "OUT",
        "Write the rows that break a rule here, with line, field and reason "
        "(.jsonl, .csv or .parquet).",
    ),
]
Features = Annotated[
    str | None,
    option(
        "--features",
        "FILE",
        "Table of numbers, text and dates, keyed by feature_id, or by execution_id and feature_id.",
    ),
]
Impressions = Annotated[
    str | None,
    option(
        "--impressions",
        "FILE",
        "Table of what was shown: execution_id, feature_id, position, document_score.",
    ),
]
Judgments = Annotated[
    str | None,
    option(
        "--judgments",
        "FILE",
        "Table of grades by people or models: query, feature_id, grade and possibly source; "
        "blended with the clicks as far as each source agrees with them.",
    ),
]
Attribution = Annotated[
    str | None,
    option(
        "--attribution",
        "TIME",
        "Attribute rows with neither a position nor an execution, such as late purchases, to their "
        "user's last display of the document within this time before, such as 12h or 7d.",
        show_default="they are quarantined",
    ),
]
MappingFile = Annotated[
    Path | None,
    option(
        "--map",
        "TOML",
        "How the columns, types, positions and times of the files become those of interactions; "
        "`rankloom validate FILE --suggest-map` writes a first one.",
    ),
]
DropBots = Annotated[
    bool,
    typer.Option(
        "--drop-bots",
        help="Leave out executions and users that click like bots; a note says where there are "
        "any.",
    ),
]
HalfLife = Annotated[
    float | None,
    option(
        "--half-life",
        "DAYS",
        "Age at which the weight of an execution is halved; by default all weigh the same.",
    ),
]
Threads = Annotated[
    int | None,
    option("--threads", "N", "Threads for LightGBM.", show_default="all cores", min=1),
]


def mapping_arguments(path: Path | None) -> dict[str, Any]:
    """Return what a mapping file says, as arguments of `load_pairs` and the like."""
    from ..datasets.record.mapping import InputMapping

    return {} if path is None else InputMapping.from_toml(path).arguments()


def parse_grades(texts: Sequence[str] | None) -> dict[str, int] | None:
    """Return ``["purchase=4"]`` as ``{"purchase": 4}``; None if there are none.

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
