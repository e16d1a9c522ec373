"""From counts to one examination curve with its evidence: estimate, check, resample.

The steps that `PositionBias` runs for the whole log and again for every value of a context
column.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, Protocol

import numpy as np

from ..errors import NotIdentifiableError
from ._bootstrap import (
    FEWEST_QUERIES,
    Intervals,
    blocks_of_queries,
    intervals,
    no_intervals,
    replicate,
)
from ._harvesting import adjacent, all_pairs, least_error, pivot
from ._swaps import PairCounts, Swaps, count_swaps
from .click_models.pbm import PBM

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

EstimatorName = Literal["all_pairs", "pivot", "adjacent", "em"]

WAYS_OUT = (
    "Ways out: log a share of the executions with swapped neighbours or with another ranker; "
    'use Ranker(debias="position"), which needs no curve; or give a curve known from elsewhere '
    "by PositionBias.from_curve([1.0, ...])."
)


class CurveEstimator(Protocol):
    """Counts and weights of the pairs -> log examination, NaN where there is no evidence."""

    def __call__(
        self,
        counts: PairCounts,
        weight: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Return log examination, 0 at position 0."""
        ...


class ExpectationMaximisation:
    """The position-based model's examination; remembers its first fit to start the next from."""

    def __init__(self) -> None:
        self.first: PBM | None = None

    def __call__(
        self,
        counts: PairCounts,
        weight: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Return log examination, 0 at position 0."""
        del start  # its own first fit holds the relevances too
        tolerance = 1e-5 if self.first is None else 1e-4
        model = PBM(prior_strength=0.0, tolerance=tolerance)
        model.fit(counts, weight=weight, start=self.first)
        self.first = self.first or model
        log_curve: NDArray[np.float64] = np.log(model.examination_)
        return log_curve


def make_estimator(name: str) -> CurveEstimator:
    """Return a fresh estimator by its name."""
    if name == "em":
        return ExpectationMaximisation()
    simple: dict[str, CurveEstimator] = {
        "all_pairs": all_pairs,
        "pivot": pivot,
        "adjacent": adjacent,
    }
    return simple[name]


ESTIMATORS: tuple[EstimatorName, ...] = ("all_pairs", "pivot", "adjacent", "em")


class BootstrapSettings(NamedTuple):
    """How to resample."""

    n_bootstrap: int
    confidence: float
    random_state: int | np.random.Generator | None


@dataclass(frozen=True, eq=False)
class ExaminationCurve:
    """Examination by position, with intervals and the evidence behind it.

    m is the number of positions that the curve covers, k the number of positions looked at.

    Attributes
    ----------
    examination : ndarray of float64, shape (m,)
        Probability of examination relative to position 0; beyond it the last value holds.
    lower, upper : ndarray of float64, shape (m,)
        Pointwise limits; NaN without a bootstrap.
    band_lower, band_upper : ndarray of float64, shape (m,)
        Limits that hold for all positions at once; NaN without a bootstrap.
    swaps : ndarray of int64, shape (k, k)
        (query, document) pairs shown at both positions; on the diagonal, at that one.
    swap_clicks : ndarray of float64, shape (k, k)
        Clicks at the row's position of the pairs shown at both.
    connected : bool
        Whether the curve covers every position that was seen.
    n_queries : int
        Queries with a document that was clicked and shown at several positions.
    estimates : dict of str to ndarray of float64
        Curve of every estimator over the m positions, NaN where it has no evidence.
    disagreement : dict of str to float
        Estimator -> largest relative difference from this curve over the positions it covers.
    notes : tuple of str
        What the reader should know.
    """

    examination: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    band_lower: NDArray[np.float64]
    band_upper: NDArray[np.float64]
    swaps: NDArray[np.int64]
    swap_clicks: NDArray[np.float64]
    connected: bool
    n_queries: int
    estimates: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    disagreement: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of positions that the curve covers."""
        return len(self.examination)

    def at(self, position: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the examination of 0-based positions; beyond the curve its last value."""
        values = self.examination.astype(np.float32)
        return values[np.minimum(position, len(values) - 1)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; unknown limits are None."""
        limits = ("lower", "upper", "band_lower", "band_upper")
        return {
            "examination": self.examination.tolist(),
            **{name: _plain(getattr(self, name)) for name in limits},
            "swaps": self.swaps.tolist(),
            "swap_clicks": self.swap_clicks.tolist(),
            "connected": self.connected,
            "n_queries": self.n_queries,
            "estimates": {name: _plain(curve) for name, curve in self.estimates.items()},
            "disagreement": dict(self.disagreement),
            "notes": list(self.notes),
        }


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def known_curve(examination: NDArray[np.float64]) -> ExaminationCurve:
    """Return a curve that was given, not estimated."""
    nothing = no_intervals(len(examination))
    return ExaminationCurve(
        examination / examination[0],
        nothing.lower,
        nothing.upper,
        nothing.band_lower,
        nothing.band_upper,
        swaps=np.zeros((0, 0), dtype=np.int64),
        swap_clicks=np.zeros((0, 0)),
        connected=True,
        n_queries=0,
        notes=("given, not estimated from a log",),
    )


def estimate_curve(
    counts: PairCounts, queries: pl.Series, name: EstimatorName, settings: BootstrapSettings
) -> ExaminationCurve:
    """Estimate one curve, or raise `NotIdentifiableError`.

    Parameters
    ----------
    counts : PairCounts
        Of all (query, document) pairs, swapped or not.
    queries : polars.Series of String
        Texts of the query codes.
    """
    swaps = count_swaps(counts)
    component = _require_swaps(swaps)
    connected = counts.at_positions(component)
    if len(connected) < 2:
        _refuse("a single (query, document) was shown at several positions and clicked")
    estimators: dict[str, CurveEstimator] = {other: make_estimator(other) for other in ESTIMATORS}
    once = np.ones(len(connected))
    estimates = {other: fit(connected, once) for other, fit in estimators.items()}
    covered = _covered(estimates[name], component, name)
    log_curve = estimates[name][:covered]
    limits = _limits(connected, queries, estimators[name], estimates, log_curve, settings)
    seen = int((np.diagonal(swaps.pairs) > 0).sum())
    return ExaminationCurve(
        np.exp(log_curve),
        np.exp(limits.lower),
        np.exp(limits.upper),
        np.exp(limits.band_lower),
        np.exp(limits.band_upper),
        swaps=swaps.pairs,
        swap_clicks=swaps.clicks,
        connected=covered == seen,
        n_queries=len(np.unique(connected.query)),
        estimates={other: np.exp(curve[:covered]) for other, curve in estimates.items()},
        disagreement=_disagreement(estimates, name, covered),
        notes=_notes(swaps, covered, connected),
    )


def _covered(log_curve: NDArray[np.float64], component: NDArray[np.int64], name: str) -> int:
    """Return how many positions from 0 on, without a gap, have an estimate."""
    known = (component == np.arange(len(component))) & np.isfinite(log_curve)
    covered = int(np.argmin(known)) if not known.all() else len(known)
    if covered < 2:
        msg = (
            f"estimator={name!r}: no (query, document) was clicked at positions 0 and 1 both, "
            'which it needs to compare them. estimator="all_pairs" also uses detours over other '
            f"positions, if the log has any. {WAYS_OUT}"
        )
        raise NotIdentifiableError(msg)
    return covered


def _limits(
    counts: PairCounts,
    queries: pl.Series,
    estimator: CurveEstimator,
    estimates: dict[str, NDArray[np.float64]],
    log_curve: NDArray[np.float64],
    settings: BootstrapSettings,
) -> Intervals:
    if settings.n_bootstrap == 0:
        return no_intervals(len(log_curve))
    covered, start = len(log_curve), estimates["all_pairs"]
    floor = least_error(counts, start)[:covered]
    block, n_blocks = blocks_of_queries(counts, queries)
    replicates = replicate(
        lambda weight: estimator(counts, weight, start)[:covered],
        block,
        n_blocks,
        settings.n_bootstrap,
        settings.random_state,
    )
    return intervals(log_curve, replicates, floor, n_blocks, settings.confidence)


def _disagreement(
    estimates: dict[str, NDArray[np.float64]], name: str, covered: int
) -> dict[str, float]:
    gaps = {
        other: np.abs(np.expm1(curve[1:covered] - estimates[name][1:covered]))
        for other, curve in estimates.items()
        if other != name
    }
    return {other: float(np.nanmax(gap)) for other, gap in gaps.items() if np.isfinite(gap).any()}


def _notes(swaps: Swaps, covered: int, counts: PairCounts) -> tuple[str, ...]:
    notes = []
    unseen = np.flatnonzero(np.diagonal(swaps.pairs) > 0)
    if (unseen >= covered).any():
        notes.append(
            f"The curve ends at position {covered - 1} of {unseen[-1]}: beyond it no document "
            "that changed its position was clicked on both sides."
        )
    queries = len(np.unique(counts.query))
    if queries < FEWEST_QUERIES:
        notes.append(
            f"Fewer than {FEWEST_QUERIES} queries have swaps ({queries}): (query, document) pairs "
            "were resampled instead of queries, so the intervals may be too narrow."
        )
    return tuple(notes)


def _require_swaps(swaps: Swaps) -> NDArray[np.int64]:
    """Return the positions tied to position 0, or raise with the cause."""
    if swaps.clicks.sum() == 0:
        _refuse("no shown document was clicked at the positions looked at")
    if swaps.pairs[0, 0] == 0:
        first = int(np.flatnonzero(np.diagonal(swaps.pairs))[0])
        _refuse(
            f"no document was shown at position 0 (the first one seen is {first}); positions are "
            "0-based, so subtract 1 if the log counts from 1"
        )
    if len(swaps.pairs) == 1:
        _refuse("every document was shown at position 0; a curve needs two positions or more")
    moved = swaps.pairs - np.diag(np.diagonal(swaps.pairs))
    if moved.sum() == 0:
        _refuse(
            "every document of a query was always shown at one position: the log comes from one "
            "deterministic ranker, and whether a position or its documents drew the clicks cannot "
            "be told apart"
        )
    component = swaps.component()
    if len(component) < 2 or component[1] != 1:
        _refuse(
            f"{int(moved[0].max())} (query, document) pairs at most were shown at position 0 and "
            "at another one, and their clicks do not tie position 1 to position 0: documents "
            "shown at both need clicks at both"
        )
    return component


def _refuse(cause: str) -> NoReturn:
    msg = f"The examination curve is not identifiable: {cause}. {WAYS_OUT}"
    raise NotIdentifiableError(msg)
