"""What a comparison of retrievers found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from ..._shared.plain import plain
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from ..outcomes.plain_tables import rows_of
from ..outcomes.search_outcomes import DESCRIPTIONS, LOWER_IS_BETTER
from .display import RetrieverComparisonDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..searches.search_report import SearchReport
    from .comparability import Check
    from .interleaving import InterleavingResult


@dataclass(frozen=True, repr=False)
class RetrieverComparison:
    """Retrievers compared with a baseline.

    Attributes
    ----------
    by : str
        What names the retriever.
    baseline : str or None
        None where no retriever has enough searches.
    clustered_by : str
        What the intervals allow for, such as ``"user"``.
    retrievers : DataFrame
        ``retriever``, ``searches``, ``users`` (null without any), ``first`` and ``last`` time.
    metrics : DataFrame
        ``retriever``, ``metric``, ``value``, ``lower``, ``upper``, ``searches``.
    differences : DataFrame
        ``retriever``, ``metric``, ``adjusted_for`` (empty, or what the traffic is standardised by),
        ``share_of_searches`` that this uses, ``baseline`` (its value), ``difference`` and
        ``relative`` difference with intervals, ``p``, ``p_sequential`` and its interval
        ``sequential_lower`` to ``sequential_upper``, which hold however often one looks; both p
        also adjusted for the number of retrievers; ``verdict``, by the adjusted sequential p:
        "better", "worse", "no difference shown", "not comparable" or "unknown".
    by_grade : DataFrame
        ``retriever``, ``grade``, engagements of it a search: ``value``, ``lower``, ``upper``, and
        ``corrected`` with ``corrected_lower`` and ``corrected_upper``.
    over_time : DataFrame
        ``period``, ``retriever``, ``metric``, ``value``, ``lower``, ``upper``, ``searches``.
    drift : DataFrame
        ``retriever``, ``metric``, ``change`` of the difference to the baseline from the first half
        of the searches to the second, ``lower``, ``upper``, ``p``, ``p_adjusted``.
    checks : list of Check
        Whether the traffic was the same.
    interleaving : InterleavingResult or None
    warnings : list of str
        Where traffic was not comparable.
    notes : list of str
        Anything else that the reader should know.
    report : SearchReport
        What was read and left out.
    """

    by: str
    baseline: str | None
    clustered_by: str
    retrievers: pl.DataFrame
    metrics: pl.DataFrame
    differences: pl.DataFrame
    by_grade: pl.DataFrame
    over_time: pl.DataFrame
    drift: pl.DataFrame
    checks: list[Check]
    interleaving: InterleavingResult | None
    report: SearchReport
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        tables = ("retrievers", "metrics", "differences", "by_grade", "over_time", "drift")
        contests = self.interleaving
        return {
            "by": self.by,
            "baseline": self.baseline,
            "clustered_by": self.clustered_by,
            **{name: rows_of(getattr(self, name)) for name in tables},
            "checks": [plain(check._asdict()) for check in self.checks],
            "interleaving": None
            if contests is None
            else {
                "table": rows_of(contests.table),
                "clustered_by": contests.clustered_by,
                "notes": contests.notes,
            },
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "report": self.report.to_dict(),
        }

    def plot(
        self, ax: Axes | None = None, *, metric: str | None = None
    ) -> RetrieverComparisonDisplay:
        """Draw every retriever's difference to the baseline in one metric.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes of pyplot by default.
        metric : str, optional
            One of `differences`; by default its first.

        Raises
        ------
        InvalidInputError
            If nothing was compared, or there is no such metric.
        """
        known = self.differences["metric"].unique(maintain_order=True).to_list()
        name = metric or next(iter(known), "")
        if name not in known or self.baseline is None:
            msg = f"metric: got {metric!r}, but compared were {known}"
            raise InvalidInputError(msg)
        found = self.differences.filter(pl.col("metric") == name)
        rows = found.select("retriever", "adjusted_for").rows()
        numbers = ("difference", "lower", "upper", "sequential_lower", "sequential_upper")
        return RetrieverComparisonDisplay(
            rows=tuple(f"{who} (same {mix})" if mix else who for who, mix in rows),
            **{column: found[column].to_numpy() for column in numbers},
            verdicts=tuple(found["verdict"].to_list()),
            metric=f"{name}: {DESCRIPTIONS[name]}" if name in DESCRIPTIONS else name,
            baseline=self.baseline,
            lower_is_better=name in LOWER_IS_BETTER,
        ).plot(ax)

    def __repr__(self) -> str:
        """Say the searches of each retriever, and each outcome with its difference."""
        lines = [_of_retriever(row) for row in self.retrievers.to_dicts()]
        lines += map(_of_difference, self.differences.to_dicts())
        if self.baseline is not None:
            names = self.metrics["metric"].unique(maintain_order=True).to_list()
            known = [f"{name}: {DESCRIPTIONS[name]}" for name in names if name in DESCRIPTIONS]
            head = f"by {self.by}, baseline {self.baseline}, intervals by {self.clustered_by}"
            lines = [head, *lines, *known]
        if self.interleaving is not None:
            lines += [repr(self.interleaving)]
        lines += [f"warning: {text}" for text in self.warnings]
        return "\n".join([*lines, *(f"note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        names = ["retriever", "metric", "adjusted_for", "baseline", "difference", "lower", "upper"]
        known = [name for name in [*names, "verdict"] if name in self.differences.columns]
        differences = self.differences.select(known)
        return Summary(
            f"RetrieverComparison: by {self.by}, baseline {self.baseline or 'none'}, intervals by "
            f"{self.clustered_by}",
            [
                Table.of_frame(self.retrievers, caption="retrievers"),
                Table.of_frame(differences, caption="differences", limit=30),
            ],
            [*(f"warning: {text}" for text in self.warnings), *self.notes],
        )


def _of_retriever(row: dict[str, Any]) -> str:
    users = "" if row["users"] is None else f", {row['users']:,} users"
    times = "" if row["first"] is None else f", {row['first']:%Y-%m-%d} to {row['last']:%Y-%m-%d}"
    return f"{row['retriever']}: {row['searches']:,} searches{users}{times}"


def _of_difference(row: dict[str, Any]) -> str:
    mix = (
        f" at the same {row['adjusted_for']} ({row['share_of_searches']:.0%} of the searches)"
        if row["adjusted_for"]
        else ""
    )
    return (
        f"{row['retriever']} {row['metric']}{mix}: {row['difference']:+.4g} "
        f"[{row['lower']:+.4g}, {row['upper']:+.4g}], {row['relative']:+.1%} of "
        f"{row['baseline']:.4g}, p {row['p_adjusted']:.2g}, at any time "
        f"{row['p_sequential_adjusted']:.2g}: {row['verdict']}"
    )
