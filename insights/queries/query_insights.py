"""What a log says of its queries: `query_insights`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ...datasets.counts.cells import sum_by
from ...datasets.record.query_keys import words_of
from ...errors import InvalidInputError
from ..outcomes.clusters_of_searches import clusters_of
from ..searches.examined import examined
from ..searches.read_searches import as_searches
from ..statistics.group_rates import Question
from .chains import find_chains
from .clusters import cluster_queries
from .findings import QueryInsights
from .promise import promised
from .query_table import SearchFacts, query_table
from .rewrites import find_rewrites
from .steps import find_steps

if TYPE_CHECKING:
    from typing import Unpack

    from numpy.typing import NDArray

    from ..searches.read_searches import ReadOptions
    from ..searches.searches import Searches
    from .promise import Promise
    from .steps import Steps

_MINUTE: Final = 60_000_000
_MEMBERS: Final = 10


def query_insights(
    source: Any,
    *,
    false_discoveries: float = 0.05,
    confidence: float = 0.9,
    least_difference: float = 0.1,
    within_minutes: float = 10.0,
    min_persons: int = 3,
    least_lift: float = 2.0,
    similarity: float = 0.5,
    **reading: Unpack[ReadOptions],
) -> QueryInsights:
    """Say what a log shows of its queries, with intervals and control of false discoveries.

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
        Relative difference from the expected that is of interest: 0.1 tests whether a share, or
        engagement, is more than 10 % off.
    within_minutes : float
        Time in which a query has to follow another one to be its refinement.
    min_persons : int
        Persons who took a step from one query to the next, for it to be listed.
    least_lift : float
        A step is beyond chance if it is more than so many times as frequent as by chance.
    similarity : float
        Cosine of two queries' engagement by document from which they are in one cluster.
    **reading
        Options of `read_searches`: impressions, features, columns and so on. With features,
        engagement is compared with what boosted trees, fitted to the other queries, expect of the
        documents; without, with the overall rate.

    Returns
    -------
    QueryInsights

    Raises
    ------
    UnreadableSourceError, InvalidInputError
        As `read_searches`.

    Notes
    -----
    Engagement is a grade of at least 1, and its rate a sum over examination,
    ``C / E = sum engaged / sum examination``: neither the number of documents shown nor their
    positions count. The uncertainty of the examination curve is not in the intervals. A person
    (user_id, else session, else search) who makes many searches for a query inflates its variance
    as far as persons differ. Shares and ratios are posterior means; see
    `rankloom.insights.statistics`.

    Examples
    --------
    >>> from rankloom.insights import query_insights
    >>> row = {"position": 0, "interaction_type": ["impression"]}
    >>> rows = [
    ...     {**row, "execution_id": f"e{i}", "feature_id": f"d{i % 3}", "query_snapshot": "red"}
    ...     for i in range(9)
    ... ]
    >>> rows += [{**rows[0], "interaction_type": ["click"]}]
    >>> insights = query_insights(rows, examination=[1.0])
    >>> insights.queries.select("query", "searches", "verdict").rows()
    [('red', 9, 'as promised')]
    """
    checked_number("false_discoveries", false_discoveries, 0, 1, between=True)
    checked_number("confidence", confidence, 0, 1, between=True)
    checked_number("least_difference", least_difference, 0)
    checked_number("within_minutes", within_minutes, 0, between=True)
    checked_number("min_persons", min_persons, 2, whole=True)
    checked_number("least_lift", least_lift, 1)
    checked_number("similarity", similarity, 0, 1, between=True)
    whole = as_searches(source, reading)
    named = whole.query.known
    if not named.any():
        msg = f"source: no search names its query; {whole.report.missing['query']}"
        raise InvalidInputError(msg)
    searches = whole if named.all() else whole.select(named)
    persons = clusters_of(searches)
    examination, notes = examined(searches)
    notes = [
        *whole.report.account,
        *whole.report.notes,
        *notes,
        *([persons.note] if persons.note else []),
    ]
    if not named.all():
        notes.append(f"{int((~named).sum()):,} searches without a query were left out")
    promise = promised(searches, examination)
    steps = find_steps(searches, persons.codes, int(within_minutes * _MINUTE))
    question = Question(least_difference, confidence)
    facts = _facts(searches, persons.codes, examination, promise, steps)
    order = _by_volume(searches)
    cluster = cluster_queries(searches, examination, order, similarity)
    names = _Names(searches)
    queries = _queries(facts, searches, cluster, names, question, false_discoveries)
    chains = find_chains(steps, min_persons, least_lift, confidence)
    rewrites = find_rewrites(chains, cluster, false_discoveries, min_persons)
    return QueryInsights(
        queries=queries,
        clusters=_clusters(facts, searches, cluster, order, names, question, false_discoveries),
        chains=names.replace(chains)
        .drop("p", "p_direction", "p_gain")
        .with_columns((pl.col("q") <= false_discoveries).alias("found")),
        rewrites=names.replace(rewrites),
        overall=_overall(facts),
        promised_by=promise.features,
        false_discoveries=false_discoveries,
        missing=_missing(whole),
        notes=tuple(notes),
        report=whole.report.to_dict(),
    )


def _missing(searches: Searches) -> dict[str, str]:
    named = {"user", "session", "time", "impressions", "zero_results", "query"}
    return {name: why for name, why in searches.report.missing.items() if name in named}


def _facts(
    searches: Searches,
    person: NDArray[np.int64],
    examination: NDArray[np.float64],
    promise: Promise,
    steps: Steps,
) -> SearchFacts:
    search, n = searches.displays.search.astype(np.int64), len(searches)
    engaged = searches.displays.engaged & (examination > 0)
    return SearchFacts(
        person=person,
        zero_results=searches.zero_results,
        listed=searches.exposed & (searches.shown > 0),
        succeeded=searches.succeeded,
        followed=steps.followed | searches.refined,
        visited=steps.known | bool(searches.refined.any()),
        filtered=searches.filtered,
        engaged=sum_by(search, engaged.astype(np.float64), n),
        examined=sum_by(search, examination, n),
        promised=sum_by(search, examination * promise.rate, n),
    )


def _by_volume(searches: Searches) -> NDArray[np.int64]:
    """Return the queries, the most frequent first; equal ones in the order of their ids."""
    # Codes are alphabetical.
    count = np.bincount(searches.query.codes, minlength=len(searches.query.texts))
    return np.argsort(-count, kind="stable")


class _Names:
    """The words of queries."""

    def __init__(self, searches: Searches) -> None:
        self.ids = searches.query.texts.alias("query_id")
        words = [words_of(text) or text for text in self.ids.to_list()]
        self.words = pl.Series("query", words, dtype=pl.String)

    def replace(self, steps: pl.DataFrame) -> pl.DataFrame:
        """Return a table from and to queries with their words."""
        return steps.select(
            self.words.gather(steps["from"]).alias("from_query"),
            self.words.gather(steps["to"]).alias("to_query"),
            pl.exclude("from", "to"),
        )


def _queries(
    facts: SearchFacts,
    searches: Searches,
    cluster: NDArray[np.int64],
    names: _Names,
    question: Question,
    rate: float,
) -> pl.DataFrame:
    table = query_table(facts, searches.query.codes.astype(np.int64), len(cluster), question)
    code = table["group"]
    return (
        table.select(
            names.words.gather(code),
            names.ids.gather(code),
            names.words.gather(cluster[code]).alias("cluster"),
            pl.exclude("group", "ratio_direction"),
            _verdict(rate),
        )
        .sort("searches", "query_id", descending=[True, False])
        .with_columns(pl.col(pl.Float64).fill_nan(None))
    )


def _clusters(
    facts: SearchFacts,
    searches: Searches,
    cluster: NDArray[np.int64],
    order: NDArray[np.int64],
    names: _Names,
    question: Question,
    rate: float,
) -> pl.DataFrame:
    table = query_table(facts, cluster[searches.query.codes], len(cluster), question)
    used = order[np.isin(order, searches.query.codes)]
    members = (
        pl.DataFrame({"group": cluster[used], "words": names.words.gather(used)})
        .group_by("group", maintain_order=True)
        .agg(pl.len().alias("queries"), pl.col("words").head(_MEMBERS).alias("members"))
    )
    table = table.join(members, on="group", how="left", maintain_order="left")
    return (
        table.select(
            names.words.gather(table["group"]).alias("cluster"),
            "queries",
            "members",
            pl.exclude("group", "queries", "members", "ratio_direction"),
            _verdict(rate),
        )
        .sort("searches", "cluster", descending=[True, False])
        .with_columns(pl.col(pl.Float64).fill_nan(None))
    )


def _verdict(rate: float) -> pl.Expr:
    tested = pl.col("ratio_q").is_not_nan()
    off = pl.col("ratio_q") <= rate
    return (
        pl.when(tested & off)
        .then("ratio_direction")
        .when(tested)
        .then(pl.lit("as promised"))
        .alias("verdict")
    )


def _overall(facts: SearchFacts) -> dict[str, float]:
    def share(event: NDArray[np.bool_], trial: NDArray[np.bool_] | None = None) -> float:
        chosen = event if trial is None else event[trial]
        return float(chosen.mean()) if len(chosen) else float("nan")

    examined = float(facts.examined.sum())
    return {
        "searches": len(facts.person),
        "persons": len(np.unique(facts.person)),
        "zero_results": share(facts.zero_results),
        "abandonment": share(~facts.succeeded, facts.listed),
        "refinement": share(facts.followed, facts.visited),
        "filtering": share(facts.filtered),
        "engagement": float(facts.engaged.sum()) / examined if examined else float("nan"),
    }
