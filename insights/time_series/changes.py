"""Series to the changes of their levels, with control over all series together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..statistics.change_points import MIN_POINTS, change_points, first_change_p
from ..statistics.false_discoveries import adjusted_p_values
from .series import COUNTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..statistics.periods import Periods

SCHEMA: Final[dict[str, pl.DataType]] = {
    "series": pl.String(),
    "period": pl.Datetime("us"),
    "earliest": pl.Datetime("us"),
    "latest": pl.Datetime("us"),
    "before": pl.Float64(),
    "after": pl.Float64(),
    "p": pl.Float64(),
    "p_series": pl.Float64(),
    "gradual": pl.Boolean(),
}

_SEASONS: Final = 2
"""Weeks without which the rhythm of the week cannot be distinguished from a change."""


def change_table(
    series: pl.DataFrame, periods: Periods, level: float
) -> tuple[pl.DataFrame, list[str]]:
    """Return the changes of all series, and what the reader should know of the tests.

    A series is searched for changes if the test that it has none, adjusted for the number of series
    (Benjamini and Hochberg), is significant: among the series with changes, at most a share of
    `level` have none in expectation. Only complete periods count.
    """
    season, notes = _season(periods)
    if season is None:
        return pl.DataFrame(schema=SCHEMA), notes
    tested = {
        str(name): _points(frame, periods)
        for (name,), frame in series.group_by("series", maintain_order=True)
    }
    p = [
        first_change_p(_scaled(name, values), season[index])
        for name, (values, index) in tested.items()
    ]
    corrected = adjusted_p_values(p)
    rows = [
        row
        for (name, (values, index)), of_series in zip(tested.items(), corrected, strict=True)
        if of_series <= level
        for row in _rows(name, values, index, season, periods, level, float(of_series))
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row"), notes


def _season(periods: Periods) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Return the class of every period in the week's rhythm; None if there are too few."""
    complete = int(periods.complete.sum())
    season = periods.season
    classes = len(np.unique(season))
    if complete < MIN_POINTS:
        return None, [
            f"{complete} complete periods are too few to test for changes, which need {MIN_POINTS}"
        ]
    if classes > 1 and complete < _SEASONS * classes:
        need = f"{_SEASONS * classes} are needed"
        return None, [
            f"{complete} complete periods do not tell a change from the rhythm of the week; {need}"
        ]
    return season, []


def _points(frame: pl.DataFrame, periods: Periods) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the values of complete periods that have one, and their index."""
    values = frame["value"].to_numpy()
    index = np.flatnonzero(periods.complete & np.isfinite(values))
    return values[index], index


def _scaled(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log1p(values) if name in COUNTS else values


def _rows(
    name: str,
    values: NDArray[np.float64],
    index: NDArray[np.intp],
    season: NDArray[np.int64],
    periods: Periods,
    level: float,
    p_series: float,
) -> list[tuple[Any, ...]]:
    found = change_points(_scaled(name, values), season[index], level)
    back = np.expm1 if name in COUNTS else np.asarray
    starts = periods.starts().to_list()
    return [
        (
            name,
            *(starts[index[at]] for at in (one.index, one.earliest, one.latest)),
            *(float(back(level_of)) for level_of in (one.before, one.after)),
            one.p,
            p_series,
            one.gradual,
        )
        for one in found
    ]
