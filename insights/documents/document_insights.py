"""What a log says of its documents: `document_insights`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ...datasets.record.query_keys import words_of
from ...errors import InvalidInputError
from ..outcomes.clusters_of_searches import clusters_of
from ..searches.examined import examined
from ..searches.read_searches import as_searches
from ..statistics.group_rates import Question
from .document_table import RATES, document_table
from .findings import DocumentInsights
from .neighbours import compare_neighbours
from .pair_table import pair_table

if TYPE_CHECKING:
    from typing import Unpack

    from numpy.typing import NDArray

    from ..searches.read_searches import ReadOptions
    from ..searches.searches import Searches


def document_insights(
    source: Any,
    *,
    false_discoveries: float = 0.05,
    confidence: float = 0.9,
    least_difference: float = 0.2,
    min_examined: float = 10.0,
    new_days: float = 14.0,
    **reading: Unpack[ReadOptions],
) -> DocumentInsights:
    """Say what a log shows of its documents, corrected for where they stood.

    Parameters
    ----------
    source : Searches, or whatever `load_pairs` takes
        What `read_searches` returned, or a log with its options in `reading`.
    false_discoveries : float
        Expected share of false ones among the discoveries of each kind, at most (Benjamini and
        Hochberg).
    confidence : float
        Of the intervals, between 0 and 1.
    least_difference : float
        Relative difference that is of interest: 0.2 tests whether a document does more than 20 %
        better or worse than those that it is compared with. It also covers errors of the
        examination curve of that size.
    min_examined : float
        Sum of examination below which a document has hardly been seen.
    new_days : float
        A document is new if it was first shown so many days or fewer before the log's end; in a
        log without times, all documents may be.
    **reading
        Options of `read_searches`: impressions, columns and so on.

    Returns
    -------
    DocumentInsights

    Raises
    ------
    UnreadableSourceError, InvalidInputError
        As `read_searches`, and where no search shows a document.

    Notes
    -----
    A document of a query is compared with the documents above it, and with those below it, in the
    very lists that showed it: their engagements by examination have the same users and moments. The
    exact conditional test of two Poisson rates decides (`rate_above`). The raw click rate, which
    falls with the position by itself, would call most low documents bad and most high ones good.

    Examples
    --------
    >>> from rankloom.insights import document_insights
    >>> rows = []
    >>> for i in range(60):
    ...     shown = {"execution_id": f"e{i}", "user_id": f"u{i}", "query_snapshot": "red"}
    ...     for position, document in enumerate("ab"):
    ...         kinds = ["impression", "click"] if document == "b" and i % 3 else ["impression"]
    ...         row = {**shown, "feature_id": document, "position": position}
    ...         rows.append({**row, "interaction_type": kinds})
    >>> insights = document_insights(rows, examination=[1.0, 0.8])
    >>> insights.pairs.select("document", "verdict").rows()
    [('a', 'disappointing'), ('b', 'wanted')]
    """
    checked_number("false_discoveries", false_discoveries, 0, 1, between=True)
    checked_number("confidence", confidence, 0, 1, between=True)
    checked_number("least_difference", least_difference, 0)
    checked_number("min_examined", min_examined, 0)
    checked_number("new_days", new_days, 0)
    searches = as_searches(source, reading)
    if not len(searches.displays):
        msg = (
            "source: no search shows a document; log an interaction of type 'impression' for every "
            "shown document"
        )
        raise InvalidInputError(msg)
    persons = clusters_of(searches)
    examination, notes = examined(searches)
    question = Question(least_difference, confidence)
    found = compare_neighbours(searches, examination, persons.codes, least_difference)
    pairs = _pairs(pair_table(found, question, false_discoveries), searches)
    table = document_table(searches, examination, persons.codes, question)
    notes = [
        *searches.report.account,
        *searches.report.notes,
        *notes,
        *([persons.note] if persons.note else []),
    ]
    return DocumentInsights(
        documents=_documents(table, pairs, searches, min_examined, new_days),
        pairs=pairs,
        overall=_overall(searches, examination),
        false_discoveries=false_discoveries,
        missing=_missing(searches),
        notes=(*notes, *_unlogged(searches)),
        report=searches.report.to_dict(),
    )


def _missing(searches: Searches) -> dict[str, str]:
    named = {"user", "time", "impressions", "query"}
    return {name: why for name, why in searches.report.missing.items() if name in named}


def _unlogged(searches: Searches) -> list[str]:
    absent = [kind for kind in RATES.values() if not searches.displays.has(kind).any()]
    if not absent:
        return []
    return [f"no row is of type {' or '.join(absent)}, so there are no such rates"]


def _overall(searches: Searches, examination: NDArray[np.float64]) -> dict[str, float]:
    displays, used = searches.displays, examination > 0
    returned = displays.has("return_to_results") & displays.clicked

    def rate(events: NDArray[np.bool_], of: float) -> float:
        return float(np.count_nonzero(events & used)) / of if of else float("nan")

    seen = float(examination.sum())
    return {
        "displays": int(np.count_nonzero(used)),
        "engagement": rate(displays.engaged, seen),
        "skips": rate(displays.has("skip"), seen),
        "returns": rate(returned, int(np.count_nonzero(displays.clicked & used))),
        "negative_feedback": rate(displays.has("negative_feedback"), seen),
    }


def _pairs(table: pl.DataFrame, searches: Searches) -> pl.DataFrame:
    """Return the pairs with the names of queries and documents, by query and position."""
    words = [words_of(text) or text for text in searches.query.texts.to_list()]
    names = pl.Series("query", words, dtype=pl.String)
    return (
        table.select(
            names.gather(table["query"]),
            searches.query.texts.gather(table["query"]).alias("query_id"),
            searches.displays.document.texts.gather(table["document"]).alias("document"),
            pl.exclude("query", "document"),
        )
        .sort("query_id", "position", "document")
        .with_columns(pl.col(pl.Float64).fill_nan(None))
    )


def _documents(
    table: pl.DataFrame,
    pairs: pl.DataFrame,
    searches: Searches,
    min_examined: float,
    new_days: float,
) -> pl.DataFrame:
    first, new = _first_shown(searches, new_days)
    hardly = table["examined"] < min_examined
    code = table["document"]
    queries = {
        name: pairs.filter(pl.col("verdict") == verdict)
        .group_by("document", maintain_order=True)
        .agg(pl.col("query").alias(name))
        for name, verdict in (("wanted_for", "wanted"), ("disappointing_for", "disappointing"))
    }
    named = table.select(
        searches.displays.document.texts.gather(code).alias("document"),
        pl.exclude("document"),
        pl.Series("first_shown", first[code]),
        (pl.Series(new[code]) & hardly).alias("new"),
    )
    for name, found in queries.items():
        named = named.join(found, on="document", how="left", maintain_order="left")
        named = named.with_columns(pl.col(name).fill_null([]))
    return named.sort("displays", "document", descending=[True, False]).with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )


def _first_shown(
    searches: Searches, new_days: float
) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """Return when every document was first shown, and whether that is at most `new_days` ago."""
    displays, n = searches.displays, len(searches.displays.document.texts)
    first = np.full(n, np.datetime64("NaT", "us"))
    timed = searches.timed[displays.search]
    at, document = searches.time[displays.search][timed], displays.document.codes[timed]
    # Displays are in order of time: the last assignment of the reversed ones is the first display.
    first[document[::-1]] = at[::-1]
    if not timed.any():
        return first, np.ones(n, np.bool_)
    since = at.max() - np.timedelta64(int(new_days * 86_400_000_000), "us")
    return first, np.asarray(first >= since)
