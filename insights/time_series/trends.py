"""A log over time: `trends`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError, did_you_mean
from ..outcomes.clusters_of_searches import clusters_of
from ..outcomes.plain_tables import rows_of
from ..outcomes.search_outcomes import DESCRIPTIONS
from ..searches.read_searches import ReadOptions, as_searches
from ..statistics.periods import period_length, periods_of
from .changes import change_table
from .curves import curve_table
from .display import TrendsDisplay
from .series import COUNTS, series_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ..searches.search_report import SearchReport
    from ..searches.searches import Searches


@dataclass(frozen=True, repr=False)
class Trends:
    """A log over time.

    Attributes
    ----------
    every : str
        Length of a period.
    clustered_by : str
        What the intervals allow for, such as ``"user"``.
    series : DataFrame
        ``period`` (its start, UTC), ``series``, ``value``, ``lower``, ``upper``, ``searches`` and
        ``complete``: False for a first or last period that the log does not cover. Counts have no
        sampling error: their limits are the value.
    curve : DataFrame
        ``from``, ``until``, ``position``, ``examination``, ``lower``, ``upper``: by period, or by
        twelve blocks of periods where there are more; empty where it cannot be estimated.
    changes : DataFrame
        ``series``, ``period`` from which on the level is another one, with a 95 % interval from
        ``earliest`` to ``latest``; levels ``before`` and ``after``; ``p`` of the change,
        ``p_series``: of the series' first change, adjusted for the number of series; ``gradual``:
        a straight line describes the points as well.
    notes : list of str
        What could not be said, and why.
    report : SearchReport
        What was read and left out.
    """

    every: str
    clustered_by: str
    series: pl.DataFrame
    curve: pl.DataFrame
    changes: pl.DataFrame
    report: SearchReport
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        return {
            "every": self.every,
            "clustered_by": self.clustered_by,
            "series": rows_of(self.series),
            "curve": rows_of(self.curve),
            "changes": rows_of(self.changes),
            "notes": list(self.notes),
            "report": self.report.to_dict(),
        }

    def plot(
        self, ax: Axes | None = None, *, series: Sequence[str] = ("searches",)
    ) -> TrendsDisplay:
        """Draw series over time with intervals and the changes of their level.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes of pyplot by default.
        series : sequence of str
            Names in `series`, of one unit.

        Raises
        ------
        InvalidInputError
            If there is no such series.
        """
        names = [series] if isinstance(series, str) else list(series)
        known = self.series["series"].unique(maintain_order=True).to_list()
        missing = next((name for name in names if name not in known), None)
        if missing is not None or not names:
            hint = did_you_mean(str(missing), known)
            msg = f"series: got {series!r}, expected some of {known}.{hint}"
            raise InvalidInputError(msg)
        of_name = {name: self.series.filter(pl.col("series") == name) for name in names}
        first = of_name[names[0]]
        changes = {name: self.changes.filter(pl.col("series") == name) for name in names}
        return TrendsDisplay(
            periods=first["period"].to_numpy(),
            values={name: found["value"].to_numpy() for name, found in of_name.items()},
            lower={name: found["lower"].to_numpy() for name, found in of_name.items()},
            upper={name: found["upper"].to_numpy() for name, found in of_name.items()},
            complete=first["complete"].to_numpy(),
            changes={name: found["period"].to_numpy() for name, found in changes.items()},
            every=self.every,
            unit=_unit(names),
        ).plot(ax)

    def __repr__(self) -> str:
        """Say each series' range and every change."""
        complete = self.series.filter("complete", pl.col("value").is_finite())
        lines = [f"every {self.every}, intervals by {self.clustered_by}"]
        for (name,), frame in complete.group_by("series", maintain_order=True):
            values = frame["value"].to_numpy()
            low, high = np.min(values), np.max(values)
            lines.append(
                f"{name}: mean {np.mean(values):.4g}, {low:.4g} to {high:.4g} in {len(values)} "
                "complete periods"
            )
        lines += [sentence(row) for row in self.changes.to_dicts()]
        return "\n".join([*lines, *(f"note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        title, *lines = repr(self).split("\n")
        columns = ["series", "period", "before", "after", "p_series"]
        changes = Table.of_frame(self.changes.select(columns), caption="changes")
        return Summary(f"Trends: {title}", [changes], lines)


def _unit(names: Sequence[str]) -> str:
    """Return what the values of series are."""
    if all(name in COUNTS for name in names):
        return "number in a period"
    described = [DESCRIPTIONS.get(name, name.replace("_", " ")) for name in names]
    return described[0] if len(names) == 1 else "mean over the searches of a period"


def sentence(change: dict[str, Any]) -> str:
    """Say when a series changed and by how much."""
    how = "drifted around" if change["gradual"] else "changed on"
    share = change["after"] / change["before"] - 1 if change["before"] else float("nan")
    relative = f" ({share:+.0%})" if np.isfinite(share) else ""
    return (
        f"{change['series']} {how} {change['period']:%Y-%m-%d %H:%M} (95 % interval "
        f"{change['earliest']:%Y-%m-%d} to {change['latest']:%Y-%m-%d}): from "
        f"{change['before']:.4g} to {change['after']:.4g}{relative}, p {change['p_series']:.2g}"
    )


def trends(
    source: Any,
    *,
    every: str = "1d",
    level: float = 0.05,
    confidence: float = 0.95,
    n_bootstrap: int = 50,
    **options: Unpack[ReadOptions],
) -> Trends:
    """Return series of a log's volume, users and outcomes, its curve over time, and its changes.

    Parameters
    ----------
    source : see `read_searches`, or what it returned
    every : str
        Length of a period: hours, days or weeks, such as ``"12h"``, ``"1d"`` or ``"1w"``. Days
        start at midnight UTC, weeks on Monday.
    level : float
        Expected share of false ones among the series that are said to have changed.
    confidence : float
        Of intervals.
    n_bootstrap : int
        Replicates for the intervals of each examination curve; 0 for none.
    **options
        As of `read_searches`.

    Returns
    -------
    Trends

    Raises
    ------
    InvalidInputError
        If a parameter is wrong, or no search has a time.

    Notes
    -----
    Outcomes are corrected for position by the curve of the whole log, so that a curve that is
    estimated anew does not look like a change. Changes are found by binary segmentation of the
    complete periods with a permutation test (`change_points`), in which periods of the same place
    in the week are exchanged, so that the rhythm of the week is no change.

    Examples
    --------
    >>> from rankloom.datasets.simulation.simulate import simulate_interactions
    >>> log = simulate_interactions(n_executions=600, random_state=0, days=20)
    >>> found = trends(log, n_bootstrap=0)
    >>> len(found.changes), found.series["period"].n_unique()
    (0, 20)
    """
    period_length(every)
    checked_number("level", level, 0, 1, between=True)
    checked_number("confidence", confidence, 0, 1, between=True)
    checked_number("n_bootstrap", n_bootstrap, 0, whole=True)
    searches = as_searches(source, options)
    timed, notes = _timed(searches)
    periods = periods_of(timed.time.astype(np.int64), every)
    series = series_table(timed, periods, confidence)
    changes, of_changes = change_table(series, periods, level)
    curve, of_curve = curve_table(timed, periods, confidence, n_bootstrap)
    clusters = clusters_of(timed)
    notes += [] if clusters.note is None else [clusters.note]
    if searches.examination_unknown is not None:
        notes.append(
            "there are no position-corrected series, because examination is unknown: "
            f"{searches.examination_unknown}"
        )
    ends = periods.starts().filter(~pl.Series(periods.complete)).dt.strftime("%Y-%m-%d %H:%M")
    notes += [f"the period from {start} is incomplete and not tested" for start in ends.to_list()]
    return Trends(
        every=every,
        clustered_by=clusters.by,
        series=series,
        curve=curve,
        changes=changes,
        report=searches.report,
        notes=[*notes, *of_changes, *of_curve],
    )


def _timed(searches: Searches) -> tuple[Searches, list[str]]:
    timed = searches.timed
    if not timed.any():
        msg = f"source: no search has a time: {searches.report.missing['time']}"
        raise InvalidInputError(msg)
    missing = searches.report.missing
    notes = [
        f"there is no series of {name}s: {missing[name]}"
        for name in ("user", "session")
        if name in missing
    ]
    without = int((~timed).sum())
    if not without:
        return searches, notes
    return searches.select(timed), [*notes, f"{without:,} searches have no time: left out"]
