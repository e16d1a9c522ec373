"""What was found of a log's queries: `QueryInsights`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ..._shared.plain import plain
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from ..outcomes.plain_tables import rows_of
from ..outcomes.text_sections import section, share_text
from .display import RefinementChainsDisplay
from .query_table import SHARES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

_TABLES: Final = ("queries", "clusters", "chains", "rewrites")


@dataclass(frozen=True, eq=False)
class QueryInsights:
    """What a log says of its queries.

    Attributes
    ----------
    queries : polars.DataFrame
        One row a query, the most frequent first: ``query`` (its words where it is nothing else),
        ``query_id``, ``cluster`` (the query that leads it), ``searches``, ``persons``. Shares
        ``zero_results``, ``abandonment`` (of searches with a list: no engagement), ``refinement``
        (another query followed) and ``filtering``, each with ``_lower``, ``_upper`` and ``_q``:
        the rate of false discoveries at which it is above that of all searches. ``engagement`` by
        examination, what the documents' features ``promised``, their ``ratio`` with
        ``ratio_lower``, ``ratio_upper``, ``ratio_q``, and ``verdict``: "above" or "below" where
        ratio_q is at most `false_discoveries`, else "as promised", or null where it was not tested.
    clusters : polars.DataFrame
        The same by cluster of queries that lead to the same documents, with ``queries`` (number)
        and ``members`` (the most frequent).
    chains : polars.DataFrame
        ``from_query`` to ``to_query`` within a visit: ``persons``, ``lift`` over chance,
        ``succeeded`` (share of them whom the second query served) with limits, ``failed`` (whom
        the first failed), ``rescued`` (of these, whom the second served), ``rescued_back`` (the
        same in the other direction), ``q``, ``found``.
    rewrites : polars.DataFrame
        Candidates: ``from_query``, ``to_query``, ``kind`` ("rewrite" or "synonym"), the evidence of
        `chains`, and ``q``.
    overall : dict
        The same figures of all searches.
    promised_by : tuple of str
        Features that the promise is learnt from; empty: the overall rate.
    false_discoveries : float
        Expected share of false ones among the discoveries of each kind, at most.
    missing : dict of str to str
        What the log lacks, and how to log it.
    notes : tuple of str
        What was assumed or left out.
    report : dict
        The account of all rows.
    """

    queries: pl.DataFrame
    clusters: pl.DataFrame
    chains: pl.DataFrame
    rewrites: pl.DataFrame
    overall: dict[str, float]
    promised_by: tuple[str, ...]
    false_discoveries: float
    missing: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        return {
            "overall": plain(self.overall),
            "promised_by": list(self.promised_by),
            "false_discoveries": self.false_discoveries,
            **{name: rows_of(getattr(self, name)) for name in _TABLES},
            "missing": dict(self.missing),
            "notes": list(self.notes),
            "report": self.report,
        }

    def found(self, kind: str) -> pl.DataFrame:
        """Return the queries of which something was found.

        Parameters
        ----------
        kind : {"zero_results", "abandonment", "refinement", "filtering", "above", "below"}
            A share that is above that of all searches, or engagement above or below the promise.

        Returns
        -------
        DataFrame
            Rows of `queries`, the most frequent first.
        """
        if kind in SHARES:
            return self.queries.filter(pl.col(f"{kind}_q") <= self.false_discoveries)
        if kind in {"above", "below"}:
            return self.queries.filter(pl.col("verdict") == kind)
        msg = f"kind: expected one of {[*SHARES, 'above', 'below']}, got {kind!r}"
        raise InvalidInputError(msg)

    def plot_chains(self, ax: Axes | None = None, *, limit: int = 15) -> RefinementChainsDisplay:
        """Draw the steps from query to query beyond chance, those of the most persons first.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes of pyplot by default.
        limit : int
            Steps that are drawn.

        Raises
        ------
        InvalidInputError
            If no step was found.
        """
        found = self.chains.filter("found").head(limit)
        if found.is_empty():
            why = "; ".join(self.missing.values())
            msg = f"chains: no step beyond chance was found, so none is drawn. {why}".rstrip()
            raise InvalidInputError(msg)
        return RefinementChainsDisplay(
            from_query=tuple(found["from_query"].to_list()),
            to_query=tuple(found["to_query"].to_list()),
            persons=found["persons"].to_numpy(),
            lift=found["lift"].to_numpy(),
            succeeded=found["succeeded"].to_numpy(),
            lower=found["succeeded_lower"].to_numpy(),
            upper=found["succeeded_upper"].to_numpy(),
        ).plot(ax)

    def summary(self, limit: int = 10) -> str:
        """Return the findings as text, at most `limit` of each kind."""
        return "\n".join(_lines(self, limit))

    def __str__(self) -> str:
        """Return `summary()`."""
        return self.summary()

    def __repr__(self) -> str:
        """Return `summary()`: a notebook shows findings rather than tables."""
        return self.summary()

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        tables = (
            ("queries", self.queries),
            ("rewrites", self.rewrites),
        )
        return Summary(
            next(_lines(self, 0)),
            [Table.of_frame(frame, caption=caption, limit=5) for caption, frame in tables],
            self.notes,
        )


def _lines(insights: QueryInsights, limit: int) -> Iterator[str]:
    overall = insights.overall
    persons = "" if "user" in insights.missing else f" by {overall['persons']:,} persons"
    yield (
        f"{overall['searches']:,} searches{persons}, {len(insights.queries):,} queries in "
        f"{len(insights.clusters):,} clusters; zero results {share_text(overall['zero_results'])}, "
        f"abandoned {share_text(overall['abandonment'])}, followed by another query "
        f"{share_text(overall['refinement'])}, filtered {share_text(overall['filtering'])}"
    )
    yield f"discoveries hold a share of {insights.false_discoveries:.0%} false ones at most"
    for name, title in (
        ("zero_results", "find nothing more often than others"),
        ("abandonment", "are abandoned more often than others"),
        ("refinement", "are followed by another query more often than others"),
    ):
        yield from section(
            f"queries that {title}", insights.found(name), ["query", "searches", name], limit
        )
    if not math.isnan(overall["engagement"]):
        yield from _engagement(insights, limit)
    yield from _steps(insights, limit)
    yield from (f"note: {note}" for note in insights.notes)
    yield from (f"missing: {name}: {why}" for name, why in insights.missing.items())


def _engagement(insights: QueryInsights, limit: int) -> Iterator[str]:
    by = "their documents' features promise" if insights.promised_by else "is usual"
    for verdict, title in (("below", "less"), ("above", "more")):
        columns = ["query", "searches", "ratio", "ratio_lower", "ratio_upper"]
        yield from section(
            f"queries that engage {title} than {by}", insights.found(verdict), columns, limit
        )


def _steps(insights: QueryInsights, limit: int) -> Iterator[str]:
    if math.isnan(insights.overall["refinement"]):
        yield ""
        yield "steps from query to query, rewrites and synonyms: unknown, for what is missing below"
        return
    columns = ["from_query", "to_query", "persons", "lift", "succeeded"]
    yield from section("steps beyond chance", insights.chains.filter("found"), columns, limit)
    columns = ["from_query", "to_query", "kind", "failed", "rescued", "rescued_back"]
    yield from section("candidates for rewrites and synonyms", insights.rewrites, columns, limit)
