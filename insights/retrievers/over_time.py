"""Retrievers over time: outcomes by period, and whether the difference to the baseline changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..statistics.clustered_means import GroupedClusters
from ..statistics.multiple_tests import adjusted
from ..statistics.periods import Periods, periods_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .differences import Rules
    from .traffic import Traffic

MAX_DAYS = 60


def default_length(time: NDArray[np.int64]) -> str:
    """Return days for logs of at most 60 days, else weeks."""
    span = int(time.max()) - int(time.min())
    return "1d" if span <= MAX_DAYS * 24 * 3_600_000_000 else "1w"


def period_table(traffic: Traffic, every: str | None, rules: Rules) -> pl.DataFrame:
    """Return the mean of every outcome by period and retriever; empty without times."""
    timed = traffic.searches.timed
    if not timed.any():
        return pl.DataFrame(schema=_PERIODS)
    time = traffic.searches.time.astype(np.int64)
    periods = periods_of(time[timed], every or default_length(time[timed]))
    names = len(traffic.names)
    group = np.where(timed, periods.of(time) * names + traffic.retriever, -1)
    sample = GroupedClusters(group, traffic.clusters.codes, len(periods) * names)
    frames = []
    for metric, values in traffic.outcomes.values.items():
        means = sample.means(values)
        rows = [
            (each.value, *each.interval(rules.confidence), int(size))
            for each, size in zip(means.means(), means.sizes, strict=True)
        ]
        frames.append(_named(traffic, periods, metric, rows))
    return pl.concat(frames)


_PERIODS: Final[dict[str, pl.DataType]] = {
    "period": pl.Datetime("us"),
    "retriever": pl.String(),
    "metric": pl.String(),
    "value": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "searches": pl.Int64(),
}


def _named(traffic: Traffic, periods: Periods, metric: str, rows: list[Any]) -> pl.DataFrame:
    n = len(traffic.names)
    numbers = pl.DataFrame(rows, schema=list(_PERIODS)[3:], orient="row")
    frame = pl.DataFrame(
        {
            "period": periods.starts().gather(np.repeat(np.arange(len(periods)), n)),
            "retriever": traffic.names * len(periods),
            "metric": [metric] * len(rows),
        }
    ).hstack(numbers)
    return frame.filter(pl.col("searches") > 0).cast(pl.Schema(_PERIODS))


def drift_table(traffic: Traffic, rules: Rules) -> pl.DataFrame:
    """Return how differences to the baseline changed from the first half of the time to the second.

    The halves have about equal numbers of searches.
    """
    schema = {
        "retriever": pl.String,
        "metric": pl.String,
        "change": pl.Float64,
        "lower": pl.Float64,
        "upper": pl.Float64,
        "p": pl.Float64,
    }
    rows = []
    for i, name in enumerate(traffic.names[1:], 1):
        chosen = traffic.between(i) & traffic.searches.timed
        if not chosen.any():
            continue
        late = traffic.searches.time > np.sort(traffic.searches.time[chosen])[chosen.sum() // 2]
        group = np.where(chosen, late * 2 + (traffic.retriever == i), -1)
        sample = GroupedClusters(group, traffic.clusters.codes, 4)
        for metric, values in traffic.outcomes.values.items():
            found = sample.means(values).contrast([3, 2, 1, 0], [1.0, -1.0, -1.0, 1.0])
            rows.append((name, metric, found.value, *found.interval(rules.confidence), found.p))
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    p = adjusted(frame["p"].to_numpy(), "holm" if rules.adjust == "none" else rules.adjust)
    return frame.with_columns(pl.Series("p_adjusted", p, pl.Float64))
