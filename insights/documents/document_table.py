"""What is known of every document, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ..statistics.dispersion import Persons
from ..statistics.false_discoveries import adjusted_p_values
from ..statistics.group_rates import group_ratios, group_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..searches.searches import Searches
    from ..statistics.group_rates import Question

    Floats = NDArray[np.float64]

RATES: Final = {
    "skips": "skip",
    "returns": "return_to_results",
    "negative_feedback": "negative_feedback",
}
"""Column -> interaction type; each has `_lower`, `_upper` and `_q`."""


def document_table(
    searches: Searches, examination: Floats, person: NDArray[np.int64], question: Question
) -> pl.DataFrame:
    """Return one row for every document that was shown.

    Skips and negative feedback are counted by examination, ``sum events / sum examination``, since
    a document that nobody looks at cannot be skipped; returns to the results as a share of clicks.
    Each is compared with that of all documents.

    Returns
    -------
    DataFrame
        ``document`` (code), ``displays``, ``persons``, ``searched`` (queries it was shown for),
        ``position`` (mean), ``examined``, ``engaged``, ``engagement`` with limits, and the columns
        of `RATES`.
    """
    displays = searches.displays
    used = np.flatnonzero(examination > 0)
    document, search = displays.document.codes[used], displays.search[used]
    n = len(displays.document.texts)
    persons = Persons.of(document, person[search], n)
    examined = examination[used]
    clicked = displays.clicked[used]
    shown = np.bincount(document, minlength=n)
    seen = np.bincount(document, weights=examined, minlength=n)
    engaged = displays.engaged[used].astype(np.float64)
    position = np.bincount(document, weights=displays.position[used], minlength=n)
    columns: dict[str, object] = {
        "document": np.arange(n),
        "displays": shown,
        "persons": persons.counts,
        "position": position / np.maximum(shown, 1),
        "examined": seen,
        "engaged": np.bincount(document, weights=engaged, minlength=n),
    }
    columns |= _rate(persons, "engagement", engaged, examined, question)
    for name, kind in RATES.items():
        events = displays.has(kind)[used]
        if name == "returns":
            found = group_shares(persons, events & clicked, clicked, question)
            columns |= {name: found.value, f"{name}_lower": found.lower}
            columns |= {f"{name}_upper": found.upper, f"{name}_q": adjusted_p_values(found.above)}
        else:
            columns |= _rate(persons, name, events.astype(np.float64), examined, question)
    return pl.DataFrame(columns).filter(pl.col("displays") > 0)


def _rate(
    persons: Persons, name: str, events: Floats, examined: Floats, question: Question
) -> dict[str, Floats]:
    """Return a rate by examination, with limits and q of being no higher than overall."""
    overall = float(events.sum() / max(examined.sum(), 1e-300))
    found = group_ratios(persons, events, examined * overall, question)
    return {
        name: overall * found.value,
        f"{name}_lower": overall * found.lower,
        f"{name}_upper": overall * found.upper,
        f"{name}_q": adjusted_p_values(found.above),
    }
