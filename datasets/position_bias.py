"""Examination curves from logs: how likely a position is looked at, compared with the first."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from ..errors import InvalidInputError, NotIdentifiableError, did_you_mean
from ._curves import (
    BootstrapSettings,
    EstimatorName,
    ExaminationCurve,
    estimate_curve,
    known_curve,
)
from ._swaps import count_pairs, n_considered, require_positions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from .plots import PositionBiasDisplay
    from .training_pairs import TrainingPairs

logger = logging.getLogger("rankloom")

NOTES_SHOWN = 5


class PositionBias:
    """Estimate the probability that a position is examined, relative to position 0.

    The position-based model says ``P(click) = examination(position) * relevance(query,
    document)``. Where production rankers differed, or changed, one document of a query was shown
    at several positions; its relevance stayed, so its clicks tell the examination apart. Nothing
    else does: a log of one deterministic ranker raises `NotIdentifiableError`.

    Parameters
    ----------
    estimator : {"all_pairs", "pivot", "adjacent", "em"}
        How to combine the swaps, see Notes.
    by : str, optional
        A column of `TrainingPairs.context`, such as ``"device"``: one curve per value.
    confidence : float
        Nominal coverage of the intervals.
    n_bootstrap : int
        Bootstrap replicates; 0 for no intervals.
    max_position : int, optional
        Last position (0-based) to look at; without it the 100 first. The curve's last value
        holds beyond it.
    random_state : int, numpy Generator or None
        Of the bootstrap.

    Attributes
    ----------
    examination_ : ndarray of float64, shape (m,)
        The curve; ``examination_[0] == 1``. It covers positions 0 to m - 1: as far as swapped
        documents with clicks connect every position to position 0.
    lower_, upper_ : ndarray of float64, shape (m,)
        Pointwise confidence limits.
    band_lower_, band_upper_ : ndarray of float64, shape (m,)
        Simultaneous limits: they hold for the whole curve at once.
    positions_ : ndarray of int64, shape (m,)
    swaps_ : ndarray of int64, shape (k, k)
        (query, document) pairs seen at both positions, for all k positions looked at.
    swap_clicks_ : ndarray of float64, shape (k, k)
        ``swap_clicks_[a, b]``: clicks at position a of the pairs seen at both.
    connected_ : bool
        Whether the curve covers all positions looked at.
    n_queries_ : int
        Queries that contribute.
    estimates_ : dict of str to ndarray of float64
        The curve by every estimator; NaN where one has no evidence.
    disagreement_ : dict of str to float
        Estimator -> largest relative difference from `examination_`.
    curves_ : dict of str to ExaminationCurve
        With `by`: value -> its curve. Values that identify none, or a shorter one than the whole
        log does, are left out; `apply` gives their executions the curve of the whole log.
    notes_ : tuple of str
        What the reader should know.

    Raises
    ------
    NotIdentifiableError
        From `fit`, naming the cause and the ways out.

    Notes
    -----
    Pair i, a query and a document, was shown n_ik times at position k and clicked c_ik times.

    - ``all_pairs`` maximises the conditional likelihood of where a pair's clicks fell, given how
      many there were: ``sum_i sum_k c_ik log(n_ik e_k / sum_j n_ij e_j)``. This is all-pairs
      harvesting in the sense of [1]_, every swap between any two positions is used, but not its
      estimator: that one maximises a likelihood of click rates averaged over (query, document)
      pairs with one relevance for each two positions, so a pair shown once weighs as much as one
      shown a thousand times. Conditioning on totals removes the relevances exactly, as in
      fixed-effects Poisson regression [2]_, and weighs pairs by their information. Clicks are
      yes or no, not Poisson; the estimating equation is unbiased all the same, and the intervals
      come from the bootstrap. On simulated logs with as many executions of every query its
      standard error was 1 to 10 % smaller than that of [1]_, and half as large where queries
      were as unequally frequent as search queries are (Zipf's law).
    - ``pivot`` compares each position with position 0 alone, ``adjacent`` chains neighbours
      (both [1]_, the ratios by Mantel and Haenszel [3]_). They use fewer swaps, and the chain's
      errors multiply. The curve ends before the first position that they cannot reach.
    - ``em`` fits the position-based click model with one relevance per pair (`PBM`). With few
      clicks a pair its curve is too flat, which its intervals do not show; it is here for
      comparison.

    Intervals: ``log e(k) +- t s_k``, s_k from a Bayesian bootstrap over queries (at least what
    the conditional information allows), t of Student for the interval and of the replicates'
    largest deviation for the band. They hold for the sampling of queries and clicks, not for a
    wrong click model. Below 20 queries, (query, document) pairs are resampled instead.

    References
    ----------
    .. [1] A. Agarwal, I. Zaitsev, X. Wang, C. Li, M. Najork and T. Joachims, "Estimating Position
       Bias without Intrusive Interventions", WSDM 2019.
    .. [2] J. Hausman, B. H. Hall and Z. Griliches, "Econometric Models for Count Data with an
       Application to the Patents-R&D Relationship", Econometrica 52 (1984), section 2.
    .. [3] N. Mantel and W. Haenszel, "Statistical Aspects of the Analysis of Data from
       Retrospective Studies of Disease", JNCI 22 (1959).

    Examples
    --------
    >>> from rankloom.datasets import PositionBias
    >>> bias = PositionBias.from_curve([1.0, 0.5, 0.25])
    >>> bias.examination_
    array([1.  , 0.5 , 0.25])
    """

    def __init__(
        self,
        estimator: EstimatorName = "all_pairs",
        *,
        by: str | None = None,
        confidence: float = 0.90,
        n_bootstrap: int = 200,
        max_position: int | None = None,
        random_state: int | np.random.Generator | None = 0,
    ) -> None:
        self.estimator: EstimatorName = estimator
        self.by = by
        self.confidence = confidence
        self.n_bootstrap = n_bootstrap
        self.max_position = max_position
        self.random_state = random_state

    @classmethod
    def from_curve(cls, examination: ArrayLike) -> PositionBias:
        """Return a fitted `PositionBias` with a curve known from elsewhere.

        Parameters
        ----------
        examination : array-like of float, shape (m,)
            Positive; scaled so that position 0 has 1.
        """
        curve = np.asarray(examination, dtype=np.float64)
        if curve.ndim != 1 or len(curve) == 0 or not (np.isfinite(curve) & (curve > 0)).all():
            msg = (
                "examination: expected a non-empty list of positive numbers, one per position, "
                f"got {examination!r}"
            )
            raise InvalidInputError(msg)
        bias = cls()
        bias._set(known_curve(curve), {}, ())
        return bias

    def fit(self, pairs: TrainingPairs) -> Self:
        """Estimate the curve from a log.

        Parameters
        ----------
        pairs : TrainingPairs
            Every row with a position; clicks are taken from `clicked`, queries from `query_code`.
        """
        self._check_parameters(pairs)
        require_positions(pairs)
        size = n_considered(pairs.position, self.max_position)
        curve = self._estimate(pairs, size, None)
        curves, notes = self._fit_values(pairs, size, len(curve)) if self.by else ({}, ())
        beyond = int((pairs.position >= size).sum())
        if beyond:
            text = (
                f"{beyond:,} rows at position {size} or beyond were not looked at (max_position)."
            )
            notes = (text, *notes)
        self._set(curve, curves, notes)
        return self

    def apply(self, pairs: TrainingPairs) -> TrainingPairs:
        """Fill `pairs.examination` in place and return the same pairs.

        Positions beyond the curve get its last value.
        """
        self._check_fitted()
        require_positions(pairs)
        pairs.examination = self._curve.at(pairs.position)
        if self.curves_:
            self._apply_values(pairs, pairs.examination)
        return pairs

    def curve(self, value: str | None = None) -> ExaminationCurve:
        """Return the curve of one context value, or of the whole log without a value."""
        self._check_fitted()
        if value is None:
            return self._curve
        if value not in self.curves_:
            msg = (
                f"value: no curve for {value!r}, there are {sorted(self.curves_)}."
                f"{did_you_mean(value, self.curves_)}"
            )
            raise InvalidInputError(msg)
        return self.curves_[value]

    def summary(self) -> str:
        """Return a readable table of the curve and what stands behind it."""
        self._check_fitted()
        lines = [self._headline(), *_table(self._curve)]
        for value, curve in self.curves_.items():
            lines += ["", f"{self.by} = {value} ({curve.n_queries:,} queries)", *_table(curve)]
        lines += [f"{name} differs by up to {gap:.0%}" for name, gap in self.disagreement_.items()]
        lines += [f"note: {note}" for note in self.notes_]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return settings, curves, limits and evidence as plain values, ready for JSON."""
        self._check_fitted()
        return {
            "estimator": self.estimator,
            "confidence": self.confidence,
            "n_bootstrap": self.n_bootstrap,
            "by": self.by,
            **self._curve.to_dict(),
            "notes": list(self.notes_),
            "curves": {value: curve.to_dict() for value, curve in self.curves_.items()},
        }

    def plot(self, ax: Axes | None = None) -> PositionBiasDisplay:
        """Draw the curve, or one for each context value, with intervals and band."""
        from .plots import PositionBiasDisplay

        return PositionBiasDisplay.from_position_bias(self).plot(ax)

    def __str__(self) -> str:
        return self.summary() if hasattr(self, "examination_") else repr(self)

    def __repr__(self) -> str:
        by = f", by={self.by!r}" if self.by else ""
        fitted = f", {len(self.examination_)} positions" if hasattr(self, "examination_") else ""
        return f"PositionBias({self.estimator!r}{by}{fitted})"

    def _estimate(
        self, pairs: TrainingPairs, size: int, rows: NDArray[np.int64] | None
    ) -> ExaminationCurve:
        settings = BootstrapSettings(self.n_bootstrap, self.confidence, self.random_state)
        counts = count_pairs(pairs, size, rows)
        return estimate_curve(counts, pairs.queries, self.estimator, settings)

    def _fit_values(
        self, pairs: TrainingPairs, size: int, covered: int
    ) -> tuple[dict[str, ExaminationCurve], tuple[str, ...]]:
        """Return the values' own curves; one shorter than the whole log's is no use to it."""
        curves, left_out = {}, []
        for value, rows in _rows_by_value(pairs, str(self.by)):
            try:
                curve = self._estimate(pairs, size, rows)
            except NotIdentifiableError as error:
                left_out.append((value, str(error).split(" Ways out:")[0]))
                continue
            if len(curve) < covered:
                reach = f"its own swaps reach position {len(curve) - 1} only, not {covered - 1}."
                left_out.append((value, reach))
            else:
                curves[value] = curve
        return curves, self._notes_on(left_out)

    def _notes_on(self, left_out: list[tuple[str, str]]) -> tuple[str, ...]:
        notes = [
            f"{self.by} = {value!r} takes the curve of the whole log: {cause}"
            for value, cause in left_out[:NOTES_SHOWN]
        ]
        if len(left_out) > NOTES_SHOWN:
            notes.append(f"... and so do {len(left_out) - NOTES_SHOWN:,} more values of {self.by}.")
        return tuple(notes)

    def _apply_values(self, pairs: TrainingPairs, examination: NDArray[np.float32]) -> None:
        self._check_context(pairs)
        without = []
        for value, rows in _rows_by_value(pairs, str(self.by)):
            if value in self.curves_:
                examination[rows] = self.curves_[value].at(pairs.position[rows])
            else:
                without.append(value)
        if without:
            logger.warning(
                "PositionBias: %d values of %s have no curve of their own (%s); the curve of the "
                "whole log was applied.",
                len(without),
                self.by,
                ", ".join(without[:NOTES_SHOWN]),
            )

    def _set(
        self,
        curve: ExaminationCurve,
        curves: dict[str, ExaminationCurve],
        notes: tuple[str, ...],
    ) -> None:
        self._curve = curve
        self.examination_ = curve.examination
        self.lower_, self.upper_ = curve.lower, curve.upper
        self.band_lower_, self.band_upper_ = curve.band_lower, curve.band_upper
        self.positions_ = np.arange(len(curve))
        self.swaps_, self.swap_clicks_ = curve.swaps, curve.swap_clicks
        self.connected_ = curve.connected
        self.n_queries_ = curve.n_queries
        self.estimates_ = curve.estimates
        self.disagreement_ = curve.disagreement
        self.curves_ = curves
        self.notes_ = (*curve.notes, *notes)

    def _headline(self) -> str:
        if self.n_queries_ == 0:
            return "Examination by position, given"
        return (
            f"Examination by position, {self.estimator}, {self.n_queries_:,} queries, "
            f"{self.confidence:.0%} intervals"
        )

    def _check_fitted(self) -> None:
        if not hasattr(self, "examination_"):
            msg = "This PositionBias has no curve yet: call fit(pairs) first."
            raise InvalidInputError(msg)

    def _check_parameters(self, pairs: TrainingPairs) -> None:
        known = get_args(EstimatorName)
        if self.estimator not in known:
            hint = did_you_mean(str(self.estimator), known)
            msg = f"estimator: got {self.estimator!r}, expected one of {known}.{hint}"
            raise InvalidInputError(msg)
        if not 0 < self.confidence < 1:
            msg = f"confidence: got {self.confidence!r}, expected a number between 0 and 1"
            raise InvalidInputError(msg)
        if self.n_bootstrap != 0 and self.n_bootstrap < 20:
            msg = f"n_bootstrap: got {self.n_bootstrap!r}, expected 0 (no intervals) or at least 20"
            raise InvalidInputError(msg)
        if self.max_position is not None and self.max_position < 1:
            msg = f"max_position: got {self.max_position!r}, expected at least 1 (0-based)"
            raise InvalidInputError(msg)
        self._check_context(pairs)

    def _check_context(self, pairs: TrainingPairs) -> None:
        if self.by is not None and self.by not in pairs.context:
            msg = (
                f"by: no context column {self.by!r}, there are {sorted(pairs.context)}. Name it "
                f"in load_pairs(..., context=[...]).{did_you_mean(self.by, pairs.context)}"
            )
            raise InvalidInputError(msg)


def _rows_by_value(pairs: TrainingPairs, column: str) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield every value of a context column with its rows; executions without one are left out."""
    import polars as pl

    values = pairs.context[column].cast(pl.String)
    names = values.drop_nulls().unique().sort()
    code = values.replace_strict(names, np.arange(len(names)), default=None, return_dtype=pl.Int32)
    row_code = code.fill_null(-1).to_numpy()[pairs.execution_index]
    order = np.argsort(row_code, kind="stable")
    bounds = np.searchsorted(row_code[order], np.arange(len(names) + 1))
    for index, name in enumerate(names.to_list()):
        yield name, order[bounds[index] : bounds[index + 1]]


def _table(curve: ExaminationCurve) -> list[str]:
    lines = ["position  examination  interval          band              swaps with 0"]
    for position, value in enumerate(curve.examination):
        swaps = f"{curve.swaps[0, position]:>12,}" if position and len(curve.swaps) else ""
        lines.append(
            f"{position:>8}  {value:>11.4f}  "
            f"{_range(curve.lower, curve.upper, position):<16}  "
            f"{_range(curve.band_lower, curve.band_upper, position):<16}  {swaps}".rstrip()
        )
    return lines


def _range(low: NDArray[np.float64], high: NDArray[np.float64], position: int) -> str:
    if position == 0 or not np.isfinite(low[position]):
        return ""
    return f"{low[position]:.4f}-{high[position]:.4f}"
