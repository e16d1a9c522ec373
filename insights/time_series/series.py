"""A log as series: volume, users and outcomes by period, with intervals clustered by user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..outcomes.clusters_of_searches import clusters_of
from ..outcomes.search_outcomes import SearchOutcomes
from ..statistics.clustered_means import GroupedClusters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ..searches.searches import Searches
    from ..statistics.clustered_means import Estimate
    from ..statistics.periods import Periods

COUNTS: Final = ("searches", "users", "sessions")
"""Series of numbers that grow with the traffic: their logarithm is tested for changes."""

SCHEMA: Final[dict[str, pl.DataType]] = {
    "period": pl.Datetime("us"),
    "series": pl.String(),
    "value": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "searches": pl.Int64(),
    "complete": pl.Boolean(),
}


def series_table(searches: Searches, periods: Periods, confidence: float) -> pl.DataFrame:
    """Return every series; ``searches`` says of how many searches a value is made.

    `searches`: all with a time.
    """
    period = periods.of(searches.time.astype(np.int64))
    columns = [
        *_counts(searches, period, len(periods)),
        *_outcomes(searches, period, len(periods), confidence),
        *_mix(searches, period, len(periods), confidence),
    ]
    return pl.concat(
        [
            pl.DataFrame(
                {
                    "period": periods.starts(),
                    "series": [name] * len(periods),
                    **numbers,
                    "complete": periods.complete,
                },
                schema=SCHEMA,
            )
            for name, numbers in columns
        ]
    )


_Column = tuple[str, dict[str, Any]]


def _counts(searches: Searches, period: NDArray[np.int64], periods: int) -> Iterator[_Column]:
    volume = np.bincount(period, minlength=periods)
    columns = {"users": searches.user, "sessions": searches.session}
    yield "searches", _exact(volume, volume)
    for name, column in columns.items():
        if column.known.any():
            pairs = np.unique(
                column.codes[column.known].astype(np.int64) * periods + period[column.known]
            )
            yield name, _exact(np.bincount(pairs % periods, minlength=periods), volume)


def _exact(values: NDArray[np.int64], searches: NDArray[np.int64]) -> dict[str, Any]:
    numbers = values.astype(np.float64)
    return {"value": numbers, "lower": numbers, "upper": numbers, "searches": searches}


def _outcomes(
    searches: Searches, period: NDArray[np.int64], periods: int, confidence: float
) -> Iterator[_Column]:
    counted = searches.exposed | searches.zero_results
    chosen = searches.select(counted)
    sample = GroupedClusters(period[counted], clusters_of(chosen).codes, periods)
    for name, values in SearchOutcomes(chosen).values.items():
        means = sample.means(values)
        yield name, _estimated(means.means(), means.sizes, confidence)


def _mix(
    searches: Searches, period: NDArray[np.int64], periods: int, confidence: float
) -> Iterator[_Column]:
    """Return which share of the engagements has each grade."""
    sample = GroupedClusters(period, clusters_of(searches).codes, periods)
    by_grade = {grade: raw for grade, (raw, _) in SearchOutcomes(searches).by_grade().items()}
    if len(by_grade) < 2:
        return
    everything = np.sum(list(by_grade.values()), axis=0)
    for grade, engagements in by_grade.items():
        ratios = sample.ratios(engagements, everything)
        yield f"share_of_grade_{grade}", _estimated(ratios.means(), ratios.sizes, confidence)


def _estimated(
    estimates: list[Estimate], sizes: NDArray[np.float64], confidence: float
) -> dict[str, Any]:
    ends = np.array([each.interval(confidence) for each in estimates])
    values = np.array([each.value for each in estimates])
    lower, upper = np.where(np.isnan(values)[:, None], np.nan, ends).T
    return {"value": values, "lower": lower, "upper": upper, "searches": sizes.astype(np.int64)}
