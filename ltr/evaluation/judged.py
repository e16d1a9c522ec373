"""How good a ranker is on held-out pairs, against the order that production gave."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.drawing import limits_or_nan
from ..._shared.summary import Summary, Table, interval
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from ..metrics.bootstrap import paired_bootstrap
from ..metrics.debiased import mean_discounts
from ..metrics.ranking import Metric, parse_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from .display import ComparisonDisplay, QueryGainDisplay

    Floats = NDArray[np.float64]

DEFAULT_METRICS = ("ndcg@10", "mrr@10", "map@10", "p@10", "r@10", "err@10")

DEBIASED_DCG = "examination-weighted DCG"

_CLICK_LABELS = (
    "The grades are plain clicks on what production showed, which favour production's order: it "
    "decided what was examined. Metrics on clicks are biased in favour of the baseline"
)


@dataclass(frozen=True)
class Comparison:
    """One metric of the ranker and of the baseline.

    Attributes
    ----------
    ranker : float
        Mean over the queries with a positive grade.
    baseline : float or None
        None where there is no baseline.
    difference : float or None
        Ranker minus baseline.
    interval : tuple of float, or None
        Of the difference, by paired bootstrap.
    p : float or None
    """

    ranker: float
    baseline: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        names = ["ranker", "baseline", "difference", "interval", "p"]
        limits = interval(self.interval, "+.4f")
        row = (self.ranker, self.baseline, self.difference, limits, self.p)
        return Summary("Comparison", [Table.of(names, [row])])


@dataclass(frozen=True)
class Report:
    """Evaluation of a ranker on held-out pairs.

    Attributes
    ----------
    metrics : dict of str to Comparison
    baseline : str or None
        What the ranker is compared with.
    queries : int
        Executions (or judged queries) in the pairs.
    queries_left_out : int
        Those without a positive grade: they are in no mean. (LightGBM counts them as 1, trec_eval
        as 0.)
    confidence : float
        Of the intervals.
    notes : list of str
        How to read the numbers.
    query_gain : ndarray of float64, shape (q,), or None
        Ranker minus baseline in the first metric, the mean over the executions of every query that
        has a positive grade; None where there is no baseline. Not part of `to_dict`.
    """

    metrics: dict[str, Comparison]
    baseline: str | None
    queries: int
    queries_left_out: int
    confidence: float = 0.95
    notes: list[str] = field(default_factory=list)
    query_gain: Floats | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        values = asdict(self)
        del values["query_gain"]
        return values

    def plot(self, ax: Axes | None = None) -> ComparisonDisplay:
        """Draw every metric of ranker and baseline, with the interval of their difference."""
        from .display import ComparisonDisplay

        compared = list(self.metrics.values())
        lower, upper = limits_or_nan([each.interval for each in compared])
        return ComparisonDisplay(
            metrics=tuple(self.metrics),
            ranker=np.array([each.ranker for each in compared]),
            baseline=np.array([each.baseline for each in compared], np.float64),
            lower=np.array(lower),
            upper=np.array(upper),
            baseline_name=self.baseline,
            confidence=self.confidence,
        ).plot(ax)

    def plot_gain(self, ax: Axes | None = None) -> QueryGainDisplay:
        """Draw the gain of every query in the first metric, in ascending order.

        Raises
        ------
        InvalidInputError
            If there is no baseline.
        """
        from .display import QueryGainDisplay

        if self.query_gain is None:
            msg = "query_gain: unknown, for there is no baseline; give evaluate(baseline=scores)"
            raise InvalidInputError(msg)
        gain = np.sort(self.query_gain)
        return QueryGainDisplay(gain, next(iter(self.metrics)), self.baseline).plot(ax)

    def __str__(self) -> str:
        """Return a table with a line for every metric, and the notes."""
        used = self.queries - self.queries_left_out
        lines = [
            f"{used:,} queries with a positive grade; {self.queries_left_out:,} without, left out",
            _heading(self.baseline, self.confidence),
            *(_line(name, comparison) for name, comparison in self.metrics.items()),
            *self.notes,
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each metric: ``metric`` and the attributes of its `Comparison`.

        ``lower`` and ``upper`` are the ends of the interval.
        """
        import polars as pl

        rows = [
            (name, c.ranker, c.baseline, c.difference, *(c.interval or (None, None)), c.p)
            for name, c in self.metrics.items()
        ]
        floats = ("ranker", "baseline", "difference", "lower", "upper", "p")
        schema = {"metric": pl.String(), **dict.fromkeys(floats, pl.Float64())}
        return pl.DataFrame(rows, schema, orient="row")

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        used = self.queries - self.queries_left_out
        baseline, limits = self.baseline or "baseline", f"{self.confidence:.0%} interval"
        rows = [
            (name, c.ranker, c.baseline, c.difference, interval(c.interval, "+.4f"), c.p)
            for name, c in self.metrics.items()
        ]
        return Summary(
            f"{used:,} queries with a positive grade; {self.queries_left_out:,} without, left out",
            [Table.of(["", "ranker", baseline, "difference", limits, "p"], rows)],
            self.notes,
        )


def evaluate(
    pairs: TrainingPairs,
    scores: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    metrics: Sequence[str | Metric] = DEFAULT_METRICS,
    confidence: float = 0.95,
    n: int = 2000,
    random_state: int | np.random.Generator | None = 0,
    clip: float = 0.05,
) -> Report:
    """Evaluate scores against the grades of the pairs, and against a baseline.

    Parameters
    ----------
    pairs : TrainingPairs
        Held out. With `pairs.examination` set, an examination-weighted DCG is added.
    scores : array-like, shape (n,)
    baseline : array-like, shape (n,), optional
        Other scores to compare with. By default the production order where positions are known,
        else `document_score` where there is any.
    metrics : sequence of str or Metric
    confidence : float
    n : int
        Bootstrap draws, over distinct queries.
    random_state : int, numpy Generator or None
    clip : float
        Smallest examination counted.

    Returns
    -------
    Report

    Raises
    ------
    InvalidInputError
        If no query has a positive grade.
    """
    if not len(pairs) or pairs.y.max() <= 0:
        msg = "pairs: no query has a positive grade, so there is nothing to evaluate"
        raise InvalidInputError(msg)
    name, other = baseline_scores(pairs, baseline)
    seed = int(np.random.default_rng(random_state).integers(2**31))
    comparing = _Comparing(pairs.query_code, confidence, n, seed)
    results: dict[str, Comparison] = {}
    query_gain = None
    for metric in [m if isinstance(m, Metric) else parse_metric(m) for m in metrics]:
        values = metric(pairs.y, scores, pairs.group)
        others = None if other is None else metric(pairs.y, other, pairs.group)
        if not results and others is not None:
            query_gain = _by_query(values - others, pairs.query_code)
        results[str(metric)] = comparing(values, others)
    if pairs.examination is not None:
        results[DEBIASED_DCG] = _debiased(pairs, scores, other, clip, comparing)
    positive = np.maximum.reduceat(pairs.y, pairs.offsets[:-1]) > 0
    return Report(
        metrics=results,
        baseline=name,
        queries=pairs.n_executions,
        queries_left_out=int((~positive).sum()),
        confidence=confidence,
        notes=_notes(pairs, name),
        query_gain=query_gain,
    )


def _by_query(gain: Floats, query: NDArray[np.int32]) -> Floats:
    """Return the mean over the executions of every query; those without a value are left out."""
    used = np.isfinite(gain)
    _, index = np.unique(query[used], return_inverse=True)
    return np.asarray(np.bincount(index, gain[used]) / np.bincount(index))


@dataclass(frozen=True)
class _Comparing:
    """Paired comparison over distinct queries, with the same draws for every metric."""

    query: NDArray[np.int32]
    confidence: float
    n: int
    seed: int

    def __call__(
        self, values: Floats, others: Floats | None, weight: Floats | None = None
    ) -> Comparison:
        weights = np.ones(len(values)) if weight is None else weight
        used = np.isfinite(values) & (weights > 0)
        mean = float(np.average(values[used], weights=weights[used]))
        if others is None:
            return Comparison(mean)
        paired = paired_bootstrap(
            values,
            others,
            self.n,
            self.seed,
            self.confidence,
            weight=weights,
            cluster=self.query,
        )
        baseline = float(np.average(others[used], weights=weights[used]))
        return Comparison(mean, baseline, paired.difference, paired.interval, paired.p)


def baseline_scores(pairs: TrainingPairs, given: ArrayLike | None = None) -> tuple[str | None, Any]:
    """Return what scores are compared with, and its own scores: see `evaluate`."""
    if given is not None:
        return "the baseline given", given
    if pairs.has_positions:
        return "the production order", -pairs.position.astype(np.float64)
    scored = np.isfinite(pairs.document_score)
    if not scored.any():
        return None, None
    last = pairs.document_score[scored].min() - 1.0
    return "the order of document_score", np.where(scored, pairs.document_score, last)


def _debiased(
    pairs: TrainingPairs, scores: ArrayLike, other: Any, clip: float, comparing: _Comparing
) -> Comparison:
    examination = pairs.examination
    assert examination is not None  # noqa: S101 - the caller checked

    def share(each: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return mean_discounts(pairs.y, each, pairs.group, examination, clip=clip)

    own, weight = share(scores)
    return comparing(own, None if other is None else share(other)[0], weight)


def _notes(pairs: TrainingPairs, baseline: str | None) -> list[str]:
    notes = []
    if pairs.has_positions:
        better = f"; {DEBIASED_DCG} corrects for what was examined."
        hint = "; apply a PositionBias to the pairs to get a corrected one, too."
        notes.append(_CLICK_LABELS + (hint if pairs.examination is None else better))
    if baseline is None:
        notes.append("There is no baseline: neither positions nor document_score are known.")
    return notes


def _heading(baseline: str | None, confidence: float) -> str:
    if baseline is None:
        return f"{'':26}  ranker"
    return f"{'':26}  ranker  baseline  difference ({confidence:.0%} interval), against {baseline}"


def _line(name: str, comparison: Comparison) -> str:
    line = f"{name:26}  {comparison.ranker:.4f}"
    if comparison.interval is None:
        return line
    low, high = comparison.interval
    line += f"  {comparison.baseline:8.4f}  {comparison.difference:+.4f} "
    return f"{line}({low:+.4f} to {high:+.4f}), p = {comparison.p:.4f}"
