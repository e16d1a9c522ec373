"""The rule of both gates, of rankers and of fusion weights: a bound must lie above a limit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from .plain import plain
from .summary import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


@dataclass(frozen=True)
class GateMetric:
    """One metric of candidate and baseline, and what is required of it.

    Attributes
    ----------
    candidate, baseline, gain : float
    lower : float or None
        One-sided bound of the gain; None where the log does not determine it.
    relative, relative_lower : float or None
        Gain over the baseline's value, and its bound; None where that value is not above 0.
    limit : float
        The bound must lie above it.
    decides : bool
        Whether this is the metric that has to gain: the limit is for `lower`. Else it must not
        fall: the limit is for `relative_lower`.

    Examples
    --------
    >>> gain = GateMetric(0.5, 0.4, 0.1, 0.02, 0.25, 0.05, limit=0.0, decides=True)
    >>> gain.passed
    True
    >>> GateMetric(0.5, 0.0, 0.5, 0.02, None, None, limit=-0.01, decides=False).reason
    'the bound of the relative gain must lie above -1.0%, but the log determines none'
    """

    candidate: float
    baseline: float
    gain: float
    lower: float | None
    relative: float | None
    relative_lower: float | None
    limit: float
    decides: bool

    @property
    def passed(self) -> bool:
        """Whether the bound lies above the limit."""
        bound = self._bound
        return bound is not None and bound > self.limit

    @property
    def reason(self) -> str:
        """What is required and what there is."""
        form, of = ("+.4f", "gain") if self.decides else ("+.1%", "relative gain")
        bound = self._bound
        got = "the log determines none" if bound is None else f"it is {bound:{form}}"
        return f"the bound of the {of} must lie above {self.limit:{form}}, but {got}"

    @property
    def _bound(self) -> float | None:
        return self.lower if self.decides else self.relative_lower


def verdict_dict(report: Any) -> dict[str, Any]:
    """Return a report of a gate as plain values, each of its `metrics` with whether it passed."""
    values: dict[str, Any] = plain(asdict(report))
    for name, metric in report.metrics.items():
        values["metrics"][name]["passed"] = metric.passed
    return values


def gate_frame(metrics: Mapping[str, GateMetric]) -> pl.DataFrame:
    """Return one row for each metric: ``metric``, the fields of `GateMetric`, ``passed``."""
    import polars as pl

    names = [each.name for each in fields(GateMetric)]
    rows = [
        (name, *(getattr(metric, each) for each in names), metric.passed)
        for name, metric in metrics.items()
    ]
    columns = {each: pl.Boolean() if each == "decides" else pl.Float64() for each in names}
    schema = {"metric": pl.String(), **columns, "passed": pl.Boolean()}
    return pl.DataFrame(rows, schema, orient="row")


def gate_table(metrics: Mapping[str, GateMetric], bound: str) -> Table:
    """Return the metrics with their verdicts as a table to be shown; `bound`: its heading."""
    names = ["", "candidate", "baseline", "gain", bound, "relative", bound, "verdict"]
    rows = [
        (
            *(name, m.candidate, m.baseline),
            *(_signed(value, "+.4f") for value in (m.gain, m.lower)),
            *(_signed(value, "+.1%") for value in (m.relative, m.relative_lower)),
            "ok" if m.passed else "fails",
        )
        for name, m in metrics.items()
    ]
    return Table.of(names, rows)


def _signed(value: float | None, form: str) -> str | None:
    return None if value is None else format(value, form)
