"""Examination curves from logs: how likely a position is examined, compared with the first."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError, NotIdentifiableError, did_you_mean
from ..counts.bootstrap import BootstrapSettings
from ..counts.click_counts import as_pair_counts
from ..counts.pair_counts import MAX_POSITIONS, count_pairs, n_considered, require_positions
from ..counts.swap_graph import Swaps
from ..pairs.positions import position_counts
from ..pairs.row_blocks import row_blocks
from ..quality.positions import position_notes
from .curve import ExaminationCurve, known_curve
from .feature_cells import feature_cells
from .joined_curve import curve_from_features, joined_curve
from .moves import find_moves
from .swap_curve import WAYS_OUT, curve_from_swaps
from .swap_estimators import EstimatorName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from ..counts.click_counts import ClickCounts
    from ..pairs.training_pairs import TrainingPairs
    from .display import PositionBiasDisplay, SwapGraphDisplay

logger = logging.getLogger("rankloom")

NOTES_SHOWN = 5


class PositionBias:
    """Estimate the probability that a position is examined, relative to position 0.

    The position-based model says ``P(click) = examination(position) * relevance(query,
    document)``. Two things identify the examination. Swaps: where production rankers differed, or
    changed, one document of a query was shown at several positions, and its relevance stayed.
    Features: documents of different queries that look alike were shown at different positions,
    even by one deterministic ranker. A log with neither raises `NotIdentifiableError`.

    Parameters
    ----------
    estimator : {"all_pairs", "pivot", "adjacent", "em", "features", "auto"}
        The first four use swaps, "auto" joins all of them ("all_pairs") with the features, as far
        as each is informative; see Notes.
    by : str, optional
        A column of `TrainingPairs.context`, such as ``"device"``: one curve per value.
    confidence : float
        Nominal coverage of the intervals.
    n_bootstrap : int
        Bootstrap replicates; 0 for no intervals.
    max_position : int, optional
        Last position (0-based) to estimate; without it the first 100. The curve's last value
        holds beyond it.
    random_state : int, numpy Generator or None
        Of the bootstrap.

    Attributes
    ----------
    examination_ : ndarray of float64, shape (m,)
        The curve; ``examination_[0] == 1``. It covers positions 0 to m - 1: as far as swapped
        documents with clicks connect every position to position 0, or, by features, as far as
        every position was clicked. NaN beyond position 0 where swaps tie only other positions to
        each other (`groups_`).
    lower_, upper_ : ndarray of float64, shape (m,)
        Pointwise confidence limits.
    band_lower_, band_upper_ : ndarray of float64, shape (m,)
        Simultaneous limits: they hold for the whole curve at once.
    positions_ : ndarray of int64, shape (m,)
    swaps_ : ndarray of int64, shape (k, k)
        (query, document) pairs shown at both positions, for all k positions up to `max_position`.
    swap_clicks_ : ndarray of float64, shape (k, k)
        ``swap_clicks_[a, b]``: clicks at position a of the pairs shown at both.
    connected_ : bool
        Whether the curve covers all positions that were shown, up to `max_position`.
    n_queries_ : int
        Queries that contribute.
    estimates_ : dict of str to ndarray of float64
        The curve by every estimator; NaN where one has no evidence.
    disagreement_ : dict of str to float
        Estimator -> largest relative difference from `examination_`.
    contributions_ : dict of str to ndarray of float64
        "swaps", "features" -> share of the precision of every position that is owed to it.
    errors_ : dict of str to ndarray of float64
        By features: "sampling", "confounding" -> standard errors of log examination, shape (m,).
        The first is due to the queries and clicks at hand; the second to relevance that the trees
        did not learn and, where swaps contradict them, that the features do not tell. The
        intervals allow for both.
    confounding_ : Confounding or None
        By features: how far they predict positions and clicks of queries that were held out.
    groups_ : tuple of PositionGroup
        Positions that swaps tie to each other and not to position 0, with their ratios.
    moves_ : Moves or None
        Whether documents' moves follow their clicks, which makes swaps misleading; None without
        times, without moves, or where swaps are not used.
    curves_ : dict of str to ExaminationCurve
        With `by`: value -> its curve. Values that identify none, or a shorter one than the
        whole log does, are left out; `apply` gives their executions the curve of the whole log.
    notes_ : tuple of str
        Limits of the estimate: where the curve ends, and which values have none.

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
      clicks a pair its curve is too flat, which its intervals do not show; it is offered for
      comparison.

    - ``features`` learns relevance as a boosted function of the features, and the curve, each
      given the other (regression expectation-maximisation [4]_): every document's relevance, and
      its position, is predicted by trees that never saw its query; the curve then maximises the
      likelihood of documents' clicks in total, given smooth functions of both predictions. It is
      right where, among documents with the same features, the position does not depend on the
      relevance. `confounding_` says how far features predict the position, and a log whose
      features determine it is refused. Adjusting for a prediction of reliability R takes out the
      share R of the difference that it should [6]_: with b the adjusted log curve and c the one
      without features, between none and all of ``(b - c) (1 - R) / R`` is missing (the predicted
      position makes up for some). Half of it is added, and enters the intervals as a standard
      error (`errors_`). R comes from the predictions that two halves of the queries teach.
      Relevance that no feature explains, and that the ranker selected on, is not allowed for: no
      log of one ranker shows it. Needs 20 queries with clicks; at most 100,000 counts of (query,
      document, position, features) are used.
    - ``auto`` weighs both by their precision. The likelihoods of where a pair's clicks fell (swaps)
      and of how many there were (features) share no information. Where the two curves are further
      apart than their errors explain, the excess counts as an error of the features [5]_. Groups of
      positions that swaps do not tie to position 0 are joined by the features.

    Swaps are right where documents moved for reasons other than their clicks. `moves_` tests it,
    and where moves follow clicks, "auto" leaves the swaps out if their curve is that of the raw
    click rates or contradicts the features.

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
    .. [4] X. Wang, N. Golbandi, M. Bendersky, D. Metzler and M. Najork, "Position Bias Estimation
       for Unbiased Learning to Rank in Personal Search", WSDM 2018.
    .. [5] R. C. Paule and J. Mandel, "Consensus Values and Weighting Factors", Journal of Research
       of the National Bureau of Standards 87 (1982).
    .. [6] P. M. Steiner, T. D. Cook and W. R. Shadish, "On the Importance of Reliable Covariate
       Measurement in Selection Bias Adjustments Using Propensity Scores", Journal of Educational
       and Behavioral Statistics 36 (2011).

    Examples
    --------
    >>> from rankloom.datasets import PositionBias
    >>> bias = PositionBias.from_curve([1.0, 0.5, 0.25])
    >>> bias.examination_
    array([1.  , 0.5 , 0.25])
    """

    def __init__(
        self,
        estimator: EstimatorName = "auto",
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
        """Return a fitted `PositionBias` with a given curve.

        Parameters
        ----------
        examination : array-like of float, shape (m,)
            Positive; scaled so that position 0 has 1.
        """
        curve = _positive(examination, "examination")
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
        beyond = sum(int((pairs.position[b.rows] >= size).sum()) for b in row_blocks(pairs))
        if beyond:
            text = f"{beyond:,} rows at position {size} or beyond were left out (max_position)."
            notes = (text, *notes)
        found = position_notes(position_counts(pairs))
        self._set(curve, curves, (*found, *notes))
        return self

    def fit_counts(self, counts: ClickCounts) -> Self:
        """Estimate the curve by swaps from counts of a log, such as those of its parts.

        The curve and its intervals are those of `fit` with the same estimator. Counts have no
        times, so that `moves_` is None.

        Parameters
        ----------
        counts : ClickCounts
            By position, not weighted, with one position more than are estimated where the log has
            more: see `click_counts`.

        Raises
        ------
        InvalidInputError
            If the estimator needs features ("auto", "features"), or `by` is given.
        NotIdentifiableError
            As `fit`.
        """
        self._check_settings()
        if self.estimator in {"auto", "features"} or self.by is not None or counts.by is not None:
            msg = (
                "counts: hold no features and one curve, so estimator='all_pairs', 'pivot', "
                f"'adjacent' or 'em' and by=None are expected, got {self!r}"
            )
            raise InvalidInputError(msg)
        limit = MAX_POSITIONS if self.max_position is None else self.max_position + 1
        size = min(counts.n_positions, limit)
        pairs = as_pair_counts(counts)
        pairs = replace(pairs.keep_cells(pairs.position < size), n_positions=size)
        settings = BootstrapSettings(self.n_bootstrap, self.confidence, self.random_state)
        self._set(curve_from_swaps(pairs, counts.queries, self.estimator, settings), {}, ())
        return self

    def apply(self, pairs: TrainingPairs) -> TrainingPairs:
        """Fill `pairs.examination` in place and return the same pairs.

        Positions beyond the curve get its last value.
        """
        self._check_fitted()
        require_positions(pairs)
        if np.isnan(self.examination_).any():
            msg = (
                "The examination curve is unknown: swaps tie only some positions to each other "
                f"(groups_), not to position 0. {WAYS_OUT}"
            )
            raise NotIdentifiableError(msg)
        examination = np.empty(len(pairs), np.float32)
        for block in row_blocks(pairs):
            examination[block.rows] = self._curve.at(pairs.position[block.rows])
        pairs.examination = examination
        if self.curves_:
            self._apply_values(pairs, examination)
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
        """Return a readable table of the curve, its intervals and swaps."""
        self._check_fitted()
        lines = [self._headline(), *_table(self._curve)]
        for value, curve in self.curves_.items():
            lines += ["", f"{self.by} = {value} ({curve.n_queries:,} queries)", *_table(curve)]
        lines += [f"{name} differs by up to {gap:.0%}" for name, gap in self.disagreement_.items()]
        if self.confounding_ is not None:
            lines.append(str(self.confounding_))
            sampling, beyond = (
                float(np.mean(self.errors_[name][1:])) for name in ("sampling", "confounding")
            )
            lines.append(
                f"standard error of log examination, mean over positions: {sampling:.3f} by "
                f"sampling, {beyond:.3f} by possible confounding"
            )
        lines += [f"positions {group}" for group in self.groups_]
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

    def plot(
        self, ax: Axes | None = None, *, truth: ArrayLike | None = None, log: bool = False
    ) -> PositionBiasDisplay:
        """Draw the curve, or one for each context value, with intervals and band.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes of pyplot by default.
        truth : array-like of float, optional
            The curve that is to be found, such as `true_examination` of a simulation; scaled so
            that position 0 has 1.
        log : bool
            Whether the axis of examination is logarithmic.

        Returns
        -------
        PositionBiasDisplay
        """
        from .display import PositionBiasDisplay

        curve = self.curve()
        curves = dict(self.curves_) or {self.estimator: curve}
        known = None if truth is None else known_curve(_positive(truth, "truth")).examination
        return PositionBiasDisplay(curves, known, log).plot(ax)

    def plot_swaps(self, ax: Axes | None = None) -> SwapGraphDisplay:
        """Draw between which positions documents were swapped, and which of them reach position 0.

        Raises
        ------
        InvalidInputError
            If the curve was given, so that it comes from no swaps.
        """
        from .display import SwapGraphDisplay

        self._check_fitted()
        if not len(self.swaps_):
            msg = "swaps_: the curve was given, not estimated from a log, so there are none to draw"
            raise InvalidInputError(msg)
        tied = np.zeros(len(self.swaps_), np.bool_)
        tied[Swaps(self.swaps_, self.swap_clicks_).component()] = True
        return SwapGraphDisplay(self.swaps_, tied).plot(ax)

    def __str__(self) -> str:
        return self.summary() if hasattr(self, "examination_") else repr(self)

    def __repr__(self) -> str:
        by = f", by={self.by!r}" if self.by else ""
        fitted = f", {len(self.examination_)} positions" if hasattr(self, "examination_") else ""
        return f"PositionBias({self.estimator!r}{by}{fitted})"

    def _estimate(
        self,
        pairs: TrainingPairs,
        size: int,
        executions: NDArray[np.int64] | None,
    ) -> ExaminationCurve:
        settings = BootstrapSettings(self.n_bootstrap, self.confidence, self.random_state)
        counts = count_pairs(pairs, size, executions)
        moved = self.estimator != "features" and bool((np.diff(counts.offsets) > 1).any())
        moves = find_moves(pairs, size, executions) if moved else None
        if self.estimator not in ("auto", "features"):
            curve = curve_from_swaps(counts, pairs.queries, self.estimator, settings, moves)
            return replace(curve, moves=moves)
        cells = partial(feature_cells, pairs, size, executions) if pairs.feature_names else None
        if self.estimator == "features":
            return curve_from_features(counts, cells, pairs.queries, settings)
        curve = joined_curve(counts, cells, pairs.queries, settings, moves)
        return replace(curve, moves=moves)

    def _fit_values(
        self, pairs: TrainingPairs, size: int, covered: int
    ) -> tuple[dict[str, ExaminationCurve], tuple[str, ...]]:
        """Return the curve of each value, where it reaches as far as that of the whole log."""
        curves, left_out = {}, []
        for value, executions in _executions_by_value(pairs, str(self.by)):
            try:
                curve = self._estimate(pairs, size, executions)
            except NotIdentifiableError as error:
                left_out.append((value, str(error).split(" Ways out:")[0]))
                continue
            if len(curve) < covered:
                reach = f"its swaps reach position {len(curve) - 1} only, not {covered - 1}."
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
        for value, executions in _executions_by_value(pairs, str(self.by)):
            if value in self.curves_:
                for block in row_blocks(pairs, executions):
                    position = pairs.position[block.rows]
                    examination[block.rows] = self.curves_[value].at(position)
            else:
                without.append(value)
        if without:
            logger.warning(
                "PositionBias: %d values of %s have no curve (%s); the curve of the whole log "
                "was applied.",
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
        self.contributions_ = curve.contributions
        self.errors_ = curve.errors
        self.confounding_ = curve.confounding
        self.groups_ = curve.groups
        self.moves_ = curve.moves
        self.curves_ = curves
        self.notes_ = (*curve.notes, *notes)

    def _headline(self) -> str:
        if not len(self.swaps_):
            return "Examination by position, given"
        sources = [name for name, share in self.contributions_.items() if np.nansum(share) > 0]
        return (
            f"Examination by position, {self.estimator}, by {' and '.join(sources)}, "
            f"{self.n_queries_:,} queries, "
            f"{self.confidence:.0%} intervals"
        )

    def _check_fitted(self) -> None:
        if not hasattr(self, "examination_"):
            msg = "This PositionBias has no curve yet: call fit(pairs) first."
            raise InvalidInputError(msg)

    def _check_parameters(self, pairs: TrainingPairs) -> None:
        self._check_settings()
        self._check_context(pairs)

    def _check_settings(self) -> None:
        names = get_args(EstimatorName)
        if self.estimator not in names:
            hint = did_you_mean(str(self.estimator), names)
            msg = f"estimator: got {self.estimator!r}, expected one of {names}.{hint}"
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

    def _check_context(self, pairs: TrainingPairs) -> None:
        if self.by is not None and self.by not in pairs.context:
            msg = (
                f"by: no context column {self.by!r}, there are {sorted(pairs.context)}. Name it "
                f"in load_pairs(..., context=[...]).{did_you_mean(self.by, pairs.context)}"
            )
            raise InvalidInputError(msg)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each position of each curve.

        ``context`` (the value of `by`; null for the curve of all), ``position``, ``examination``,
        limits ``lower`` and ``upper``, and those of the simultaneous band, ``band_lower`` and
        ``band_upper``; NaN without a bootstrap.
        """
        import polars as pl

        self._check_fitted()
        names = ("examination", "lower", "upper", "band_lower", "band_upper")
        frames = [
            pl.DataFrame(
                {"position": range(len(curve)), **{name: getattr(curve, name) for name in names}}
            ).select(pl.lit(value, pl.String).alias("context"), pl.all())
            for value, curve in ((None, self._curve), *self.curves_.items())
        ]
        table: pl.DataFrame = pl.concat(frames)
        return table

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        if not hasattr(self, "examination_"):
            return Summary(repr(self))
        curves = {"": self._curve} | {f"{self.by} = {v}": c for v, c in self.curves_.items()}
        gaps = [f"{name} differs by up to {gap:.0%}" for name, gap in self.disagreement_.items()]
        groups = [f"positions {group}" for group in self.groups_]
        return Summary(
            self._headline(),
            [_html_table(name, curve) for name, curve in curves.items()],
            [*gaps, *groups, *self.notes_],
        )


def _html_table(caption: str, curve: ExaminationCurve) -> Table:
    rows = [
        (
            position,
            value,
            _range(curve.lower, curve.upper, position),
            _range(curve.band_lower, curve.band_upper, position),
        )
        for position, value in enumerate(curve.examination)
    ]
    names = ["position", "examination", "interval", "band"]
    return Table.of(names, rows, caption=caption, limit=20)


def _positive(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return a curve that was given, or raise."""
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim != 1 or len(curve) == 0 or not (np.isfinite(curve) & (curve > 0)).all():
        msg = (
            f"{name}: expected a non-empty list of positive numbers, one per position, "
            f"got {values!r}"
        )
        raise InvalidInputError(msg)
    return curve


def _executions_by_value(
    pairs: TrainingPairs, column: str
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield every value of a context column with its executions; those without are left out."""
    import polars as pl

    values = pairs.context[column].cast(pl.String)
    names = values.drop_nulls().unique().sort()
    code = values.replace_strict(names, np.arange(len(names)), default=None, return_dtype=pl.Int32)
    number = code.fill_null(-1).to_numpy()
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(len(names) + 1))
    for index, name in enumerate(names.to_list()):
        yield name, order[bounds[index] : bounds[index + 1]]


def _table(curve: ExaminationCurve) -> list[str]:
    by_features = curve.contributions.get("features")
    last = "" if by_features is None else "  by features"
    lines = [f"position  examination  interval          band              swaps with 0{last}"]
    for position, value in enumerate(curve.examination):
        swaps = f"{curve.swaps[0, position]:>12,}" if position and len(curve.swaps) else ""
        if by_features is not None and position:
            swaps += f"  {by_features[position]:>11.0%}"
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
