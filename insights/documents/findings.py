"""What was found of a log's documents: `DocumentInsights`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from ..._shared.plain import plain
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from ..outcomes.plain_tables import rows_of
from ..outcomes.text_sections import section, share_text
from .document_table import RATES

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, eq=False)
class DocumentInsights:
    """What a log says of its documents.

    Attributes
    ----------
    documents : polars.DataFrame
        One row a document, the most shown first: ``document``, ``displays``, ``persons``,
        ``position`` (mean, 0-based), ``examined`` (sum of examination), ``engaged``,
        ``first_shown``, ``new`` (first shown lately and hardly examined). Rates ``engagement``,
        ``skips`` and ``negative_feedback`` by examination and ``returns`` by click, each with
        ``_lower``, ``_upper`` and ``_q``: the rate of false discoveries at which it is above that
        of all documents. ``wanted_for`` and ``disappointing_for``: the queries of `pairs`.
    pairs : polars.DataFrame
        One row for each query and document: ``query``, ``query_id``, ``document``, ``displays``,
        ``persons``, ``position``, ``examined``, ``engaged``, ``engagement`` with limits,
        ``engagement_above`` and ``engagement_below`` (of the documents above and below it in the
        same lists), ``wanted_q``, ``disappointing_q``, and ``verdict``: "wanted" (people engage
        with it more than with what stands above it), "disappointing" (less than with what stands
        below it), "in place", or null where it was not tested.
    overall : dict of str to float
        The same rates of all documents.
    false_discoveries : float
        Expected share of false ones among the discoveries of each kind, at most.
    missing : dict of str to str
        What the log lacks, and how to log it.
    notes : tuple of str
        What was assumed or left out.
    report : dict
        The account of all rows.
    """

    documents: pl.DataFrame
    pairs: pl.DataFrame
    overall: dict[str, float]
    false_discoveries: float
    missing: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def wanted(self) -> pl.DataFrame:
        """Rows of `pairs` that people want and that stand low, the surest first."""
        return self.pairs.filter(pl.col("verdict") == "wanted").sort(
            "wanted_q", "query_id", "document"
        )

    @property
    def disappointing(self) -> pl.DataFrame:
        """Rows of `pairs` that stand high and disappoint, the surest first."""
        return self.pairs.filter(pl.col("verdict") == "disappointing").sort(
            "disappointing_q", "query_id", "document"
        )

    @property
    def without_evidence(self) -> pl.DataFrame:
        """Rows of `documents` that are new and were hardly examined, the newest first."""
        return self.documents.filter("new").sort(
            "first_shown", "document", descending=[True, False], nulls_last=True
        )

    def found(self, kind: str) -> pl.DataFrame:
        """Return the documents with a rate above that of all.

        Parameters
        ----------
        kind : {"skips", "returns", "negative_feedback"}

        Returns
        -------
        DataFrame
            Rows of `documents`, the surest first.
        """
        if kind not in RATES:
            msg = f"kind: expected one of {list(RATES)}, got {kind!r}"
            raise InvalidInputError(msg)
        chosen = self.documents.filter(pl.col(f"{kind}_q") <= self.false_discoveries)
        return chosen.sort(f"{kind}_q", "document")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        return {
            "overall": plain(self.overall),
            "false_discoveries": self.false_discoveries,
            "documents": rows_of(self.documents),
            "pairs": rows_of(self.pairs),
            "missing": dict(self.missing),
            "notes": list(self.notes),
            "report": self.report,
        }

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
            ("wanted, and stand low", self.wanted),
            ("stand high, and disappoint", self.disappointing),
            ("hardly examined", self.without_evidence),
        )
        return Summary(
            next(_lines(self, 0)),
            [Table.of_frame(frame, caption=caption, limit=5) for caption, frame in tables],
            self.notes,
        )


def _lines(insights: DocumentInsights, limit: int) -> Iterator[str]:
    overall, documents = insights.overall, insights.documents
    yield (
        f"{len(documents):,} documents in {int(overall['displays']):,} displays; by examination "
        f"engagement {share_text(overall['engagement'])}, skips {share_text(overall['skips'])}, "
        f"negative feedback {share_text(overall['negative_feedback'])}; returns "
        f"{share_text(overall['returns'])} of clicks"
    )
    yield f"discoveries hold a share of {insights.false_discoveries:.0%} false ones at most"
    if overall["displays"]:
        yield from _sections(insights, limit)
    yield from (f"note: {note}" for note in insights.notes)
    yield from (f"missing: {name}: {why}" for name, why in insights.missing.items())


def _sections(insights: DocumentInsights, limit: int) -> Iterator[str]:
    columns = ["query", "document", "position", "engagement"]
    yield from section(
        "wanted, and stand low: engagement above that with the documents above",
        insights.wanted,
        [*columns, "engagement_above"],
        limit,
    )
    yield from section(
        "stand high, and disappoint: engagement below that with the documents below",
        insights.disappointing,
        [*columns, "engagement_below"],
        limit,
    )
    for name, title in (
        ("skips", "skipped"),
        ("returns", "returned from"),
        ("negative_feedback", "given negative feedback"),
    ):
        table = insights.found(name)
        yield from section(
            f"{title} more often than others", table, ["document", name, f"{name}_lower"], limit
        )
    yield from section(
        "hardly examined" if "time" in insights.missing else "new, and hardly examined",
        insights.without_evidence,
        ["document", "displays", "examined", "engaged"],
        limit,
    )
