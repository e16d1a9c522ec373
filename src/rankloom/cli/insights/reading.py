"""The log that every command of `rankloom insights` reads, and the options that say how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..options import mapping_arguments, option, parse_grades
from ..sources import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...insights import Searches

Confidence = Annotated[
    float,
    option("--confidence", "P", "Of the intervals, between 0 and 1.", show_default=True),
]
FalseDiscoveries = Annotated[
    float,
    option(
        "--false-discoveries",
        "RATE",
        "Share of false ones among what is reported as found, at most.",
        show_default=True,
    ),
]
LeastDifference = Annotated[
    float,
    option(
        "--least-difference",
        "SHARE",
        "Relative difference from the expected that is of interest, such as 0.1 for 10 %.",
        show_default=True,
    ),
]
Limit = Annotated[
    int, option("--limit", "N", "Findings of each kind to print.", show_default=True, min=0)
]


def searches_of(
    files: list[str],
    namespace: str,
    *,
    mapping: Path | None,
    grade: Sequence[str] | None,
    context: Sequence[str] = (),
    **options: Any,
) -> Searches:
    """Return the searches of files or a log.

    `options`: further ones of `read_searches`, such as impressions and attribution.
    """
    from ...insights import read_searches

    with opened(files, namespace) as source:
        return read_searches(
            source,
            context=context,
            grades=parse_grades(grade),
            **mapping_arguments(mapping),
            **options,
        )
