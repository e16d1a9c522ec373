"""Differences between retrievers and the baseline, tested one by one and for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl

from ..outcomes.search_outcomes import LOWER_IS_BETTER
from ..statistics.multiple_tests import adjusted
from ..statistics.quantiles import grouped_quantile, quantile_difference
from ..statistics.sequential import sequential_interval, sequential_p
from ..statistics.standardised import standardised_difference
from .comparability import aspects_of, strata_of, stratum_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..statistics.clustered_means import Estimate
    from ..statistics.multiple_tests import Adjustment
    from .comparability import Check
    from .traffic import Traffic

QUANTILES: Final = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}


class Rules(NamedTuple):
    """How differences are judged.

    `confidence`: of intervals; 1 minus it is the level of the tests. `expected_effect`: usual size
    of a difference, relative to the baseline. `adjust`: for the number of retrievers.
    """

    confidence: float
    expected_effect: float
    adjust: Adjustment


class _Difference(NamedTuple):
    retriever: str
    metric: str
    adjusted_for: str
    share: float
    baseline: float
    difference: Estimate
    relative: Estimate


def metric_table(traffic: Traffic, rules: Rules) -> pl.DataFrame:
    """Return the mean of every outcome and the quantiles of the latency, by retriever."""
    rows = []
    for metric, estimates, sizes in _estimates(traffic):
        for name, estimate, size in zip(traffic.names, estimates, sizes, strict=True):
            low, high = estimate.interval(rules.confidence)
            rows.append((name, metric, estimate.value, low, high, int(size)))
    return pl.DataFrame(
        rows,
        schema={
            "retriever": pl.String,
            "metric": pl.String,
            "value": pl.Float64,
            "lower": pl.Float64,
            "upper": pl.Float64,
            "searches": pl.Int64,
        },
        orient="row",
    )


def _estimates(traffic: Traffic) -> Iterator[tuple[str, list[Estimate], Any]]:
    for metric, values in traffic.outcomes.values.items():
        means = traffic.sample.means(values)
        yield metric, means.means(), means.sizes
    if traffic.latency is not None:
        sizes = traffic.sample.means(traffic.latency).sizes
        for metric, quantile in QUANTILES.items():
            yield metric, grouped_quantile(traffic.sample, traffic.latency, quantile), sizes


def difference_table(traffic: Traffic, checks: list[Check], rules: Rules) -> pl.DataFrame:
    """Return the difference of every outcome to the baseline, by retriever."""
    found = [*_plain_differences(traffic), *_standardised_differences(traffic, checks)]
    unequal = {name for name in traffic.names[1:] if strata_of(checks, name)}
    frame = pl.DataFrame([_row(each, rules) for each in found], schema=_SCHEMA, orient="row")
    return _judged(frame, unequal, rules)


def _plain_differences(traffic: Traffic) -> Iterator[_Difference]:
    for metric, values in traffic.outcomes.values.items():
        means = traffic.sample.means(values)
        for i, name in enumerate(traffic.names[1:], 1):
            found = means.difference(i, 0), means.relative(i, 0)
            yield _Difference(name, metric, "", 1.0, float(means.values[0]), *found)
    if traffic.latency is None or not traffic.names:
        return
    for metric, quantile in QUANTILES.items():
        first, *others = grouped_quantile(traffic.sample, traffic.latency, quantile)
        for name, other in zip(traffic.names[1:], others, strict=True):
            difference = quantile_difference(other, first)
            relative = _over(difference, first.value)
            yield _Difference(name, metric, "", 1.0, first.value, difference, relative)


def _over(difference: Estimate, base: float) -> Estimate:
    """Return a difference as a share of the baseline's value, which is taken as given."""
    if not base > 0:
        return difference._replace(value=float("nan"), error=float("nan"))
    return difference._replace(value=difference.value / base, error=difference.error / base)


def _standardised_differences(traffic: Traffic, checks: list[Check]) -> Iterator[_Difference]:
    aspects = aspects_of(traffic)
    for i, name in enumerate(traffic.names[1:], 1):
        for strata in strata_of(checks, name):
            stratum = stratum_codes(aspects, strata)
            chosen = traffic.between(i) & (stratum >= 0)
            for metric, values in traffic.outcomes.values.items():
                used = chosen & ~np.isnan(values)
                found = standardised_difference(
                    values[used],
                    traffic.retriever[used] == i,
                    stratum[used],
                    traffic.clusters.codes[used],
                )
                base = found.baseline
                yield _Difference(name, metric, " and ".join(strata), found.share, base, *found[:2])


_SCHEMA: Final = {
    "retriever": pl.String,
    "metric": pl.String,
    "adjusted_for": pl.String,
    "share_of_searches": pl.Float64,
    "baseline": pl.Float64,
    "difference": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "relative": pl.Float64,
    "relative_lower": pl.Float64,
    "relative_upper": pl.Float64,
    "p": pl.Float64,
    "sequential_lower": pl.Float64,
    "sequential_upper": pl.Float64,
    "p_sequential": pl.Float64,
}


def _row(found: _Difference, rules: Rules) -> tuple[Any, ...]:
    scale = rules.expected_effect * abs(found.baseline)
    return (
        found.retriever,
        found.metric,
        found.adjusted_for,
        found.share,
        found.baseline,
        found.difference.value,
        *found.difference.interval(rules.confidence),
        found.relative.value,
        *found.relative.interval(rules.confidence),
        found.difference.p,
        *sequential_interval(found.difference, scale, rules.confidence),
        sequential_p(found.difference, scale),
    )


def _judged(frame: pl.DataFrame, unequal: set[str], rules: Rules) -> pl.DataFrame:
    """Add p-values adjusted for the number of retrievers, and a verdict."""
    families = frame.partition_by("metric", "adjusted_for", maintain_order=True)
    frame = pl.concat(
        [
            part.with_columns(_adjusted(name, part, rules) for name in ("p", "p_sequential"))
            for part in families or [frame]
        ]
    )
    found = pl.col("p_sequential_adjusted") <= 1 - rules.confidence
    lower_is_better = pl.col("metric").is_in(sorted(LOWER_IS_BETTER))
    better = (pl.col("difference") > 0) ^ lower_is_better
    plain = (pl.col("adjusted_for") == "") & pl.col("retriever").is_in(sorted(unequal))
    verdict = (
        pl.when(pl.col("p").is_null() | pl.col("p").is_nan())
        .then(pl.lit("unknown"))
        .when(plain)
        .then(pl.lit("not comparable"))
        .when(~found)
        .then(pl.lit("no difference shown"))
        .when(better)
        .then(pl.lit("better"))
        .otherwise(pl.lit("worse"))
    )
    return frame.with_columns(verdict.alias("verdict"))


def _adjusted(name: str, frame: pl.DataFrame, rules: Rules) -> pl.Series:
    values = adjusted(frame[name].to_numpy(), rules.adjust)
    return pl.Series(f"{name}_adjusted", values, pl.Float64)
