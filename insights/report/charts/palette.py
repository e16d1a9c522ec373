"""Colours by role: drawn as placeholders, which the page's style sheet gives values to.

The page has one set of values for light and one for dark. The series' colours are those of Okabe
and Ito ("Color Universal Design", 2008), darker on light paper; series differ in marks and dashes,
too.
"""

from __future__ import annotations

import re
from typing import Final

INK: Final = "#0a0b01"
MUTED: Final = "#0a0b02"
GRID: Final = "#0a0b03"
PAPER: Final = "#0a0b04"
SERIES: Final = ("#0a0b11", "#0a0b12", "#0a0b13", "#0a0b14", "#0a0b15", "#0a0b16")

MARKERS: Final = ("o", "s", "^", "D", "v", "P")
DASHES: Final = ("", "5 2", "1.5 1.5", "6 2 1.5 2", "3 3", "8 3")

_NAMES: Final = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "paper",
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES, start=1)},
}


def with_variables(svg: str) -> str:
    """Return a drawing whose placeholders are the style sheet's variables.

    >>> with_variables("fill: #0a0b01; stroke: #0a0b12; color: #ffffff")
    'fill: var(--ink); stroke: var(--series-2); color: #ffffff'
    """
    return re.sub(
        "#0a0b[01][0-9]",
        lambda found: f"var(--{_NAMES[found[0]]})" if found[0] in _NAMES else found[0],
        svg,
    )
