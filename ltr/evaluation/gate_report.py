"""The verdict of `rankloom.ltr.compare`, as plain values and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..._shared.gate import gate_frame, gate_table, verdict_dict
from ..._shared.gate_display import GateDisplay
from ..._shared.summary import Summary
from ..._shared.summary_html import summary_html

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes

    from ..._shared.gate import GateMetric


@dataclass(frozen=True)
class Gate:
    """Whether a candidate may take the baseline's place.

    Attributes
    ----------
    passed : bool
    primary : str
        The metric that has to gain.
    metrics : dict of str to GateMetric
        The primary one first.
    reasons : list of str
        Why the gate does not pass; empty if it does.
    baseline : str
        What the candidate is compared with.
    executions : int
        Executions, or judged queries.
    method : str
        How the metrics were estimated.
    confidence : float
        Of the one-sided bounds.
    notes : list of str
    """

    passed: bool
    primary: str
    metrics: dict[str, GateMetric]
    reasons: list[str]
    baseline: str
    executions: int
    method: str
    confidence: float
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as plain values, ready for JSON; what is not finite becomes None."""
        return verdict_dict(self)

    def plot(self, ax: Axes | None = None) -> GateDisplay:
        """Draw the relative gain of every metric, its bound, and the limit."""
        return GateDisplay(self.metrics, self.passed, self.baseline, self.confidence).plot(ax)

    def __str__(self) -> str:
        """Return the verdict, a line for every metric, and the reasons."""
        verdict = "The gate passes" if self.passed else "The gate does not pass"
        bound = f"{self.confidence:.0%} bound"
        lines = [
            f"{verdict}: {self.executions:,} executions, {self.method}, against {self.baseline}",
            f"{'':12}  candidate  baseline     gain  {bound:>9}  relative  {bound:>9}",
            *(_line(name, metric) for name, metric in self.metrics.items()),
            *(f"reason: {reason}" for reason in self.reasons),
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each metric: ``metric``, the fields of `GateMetric`, ``passed``."""
        return gate_frame(self.metrics)

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        verdict = "The gate passes" if self.passed else "The gate does not pass"
        return Summary(
            f"{verdict}: {self.executions:,} executions, {self.method}, against {self.baseline}",
            [gate_table(self.metrics, f"{self.confidence:.0%} bound")],
            [*(f"reason: {reason}" for reason in self.reasons), *self.notes],
        )


def _line(name: str, metric: GateMetric) -> str:
    cells = [
        f"{name:12}",
        f"{metric.candidate:9.4f}",
        f"{metric.baseline:8.4f}",
        f"{metric.gain:+7.4f}",
        f"{_number(metric.lower, '+.4f'):>9}",
        f"{_number(metric.relative, '+.1%'):>8}",
        f"{_number(metric.relative_lower, '+.1%'):>9}",
        "ok" if metric.passed else "fails",
    ]
    return "  ".join(cells)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
